"""The handle of a streamed run: what it says, how it ended, and the ways to stop it."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
)

from .accumulate import Message, MessageAccumulator
from .accumulate.merge import Journal, add_usage
from .delivery import Delivery
from .errors import ClientClosed, ConfigurationError, LgsyncError
from .fan_out import FanOut, View
from .kept_data import KeptData
from .parts import StreamPart
from .selection import Namespaces, message_filter, namespace_filter

if TYPE_CHECKING:
    from .models import Interrupt

__all__ = ["RunStream"]

logger = logging.getLogger("lgsync")

Out = TypeVar("Out")

#: Kinds that are shown whatever modes were asked for.
_ALWAYS_SHOWN = frozenset({"metadata", "error", "feedback", "end"})


class _End(NamedTuple):
    """The end of the stream; ``values`` is the thread's state, if it was needed to settle what the wire left open."""

    values: Any = None
    settles: bool = False


_Raw = Union[StreamPart, _End]


class _Batch(NamedTuple):
    """One part, and the messages it changed; no part at the end."""

    part: Optional[StreamPart]
    changes: List[Message]


class RunStream:
    """A run being streamed. ``client.runs.stream(...)`` returns one; the run has started by then.

    Iterate it for raw parts, or open views: ``messages()``, ``text()``, ``values()``, ``updates()``, ``custom()``,
    ``tasks()``, ``views(...)``. Any number of views, from any threads, in any order; whichever is advanced reads on
    for all. After the end each can be opened again.

    Leaving the ``with`` block early, breaking out of a loop and letting go of the handle, an exception and Ctrl-C close
    the connection, and cancel the run unless it was started with ``on_close="continue"``.

    A loop ends when the run has ended: it finished, paused at an interrupt, or was cancelled (see ``outcome``). A run
    that failed raises RunError from every view, after what came before; a stream that broke raises StreamLost.
    """

    def __init__(self, delivery: Delivery, *, modes: Tuple[str, ...], on_close: str, messages_key: str = "messages"):
        self._delivery = delivery
        self._modes = modes
        self._on_close = on_close
        self._accumulator = MessageAccumulator(messages_key=messages_key)
        self._kept = KeptData()
        self._fan_out: FanOut[_Raw, _Batch] = FanOut(self._read, self._digest)
        self._parts: Optional[View[_Batch, StreamPart]] = None
        self._begun = False
        self._source_ended = False
        self._failure: Optional[LgsyncError] = None
        self._settled = False
        self._closed = False
        self._cancelled = False

    # -- raw parts ----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[StreamPart]:
        return self

    def __next__(self) -> StreamPart:
        if self._parts is None:
            if self._begun:
                raise ConfigurationError(
                    "The raw parts of this run were already read by another view and are not kept; "
                    "begin iterating the run before its views, or use run.views('parts', 'messages', …)"
                )
            # The handle owns this view, so the view must not own the handle.
            self._parts = self._fan_out.open(self._shown_part, lambda: (), None)
        return next(self._parts)

    # -- views --------------------------------------------------------------------------------------------------

    def messages(
        self,
        *,
        completed: bool = False,
        namespaces: Namespaces = "root",
        node: Optional[str] = None,
        tags: Optional[Sequence[str]] = None,
    ) -> Iterator[Message]:
        """Message snapshots: each time one changed, and once when it completed; the run's input is not among them.

        ``completed=True`` gives only those that are complete, incomplete, revised or removed. ``namespaces`` is
        "root", "all", or a subgraph's path or node name (``stream_subgraphs=True`` makes the server send those);
        ``node`` and ``tags`` keep the messages of that node, or of model calls that carry all of these tags. A view
        opened late begins with each message as it stands, its delta being all of its text so far.
        """
        return self._message_view(message_filter(completed, namespaces, node, tags), lambda message: message)

    def text(self, *, namespaces: Namespaces = "root", node: Optional[str] = None) -> Iterator[str]:
        """The text of AI messages as it grows: pieces to print, or to ``yield`` from a web view."""
        keep = message_filter(False, namespaces, node, None)
        return self._message_view(lambda m: m.type == "ai" and bool(m.delta.text) and keep(m), lambda m: m.delta.text)

    def values(self, *, namespaces: Namespaces = "root") -> Iterator[Any]:
        """The state after each step (needs the stream mode "values"); a view opened late begins with the latest."""
        return self._data_view("values", namespaces)

    def updates(self, *, namespaces: Namespaces = "root") -> Iterator[Any]:
        """What each node wrote, as ``{node: update}`` (needs the stream mode "updates")."""
        return self._data_view("updates", namespaces)

    def custom(self, *, namespaces: Namespaces = "root") -> Iterator[Any]:
        """What nodes wrote to their stream writer (needs the stream mode "custom")."""
        return self._data_view("custom", namespaces)

    def tasks(self, *, namespaces: Namespaces = "root") -> Iterator[Any]:
        """Starts and ends of tasks (needs the stream mode "tasks")."""
        return self._data_view("tasks", namespaces)

    def views(self, *names: str) -> Iterator[Tuple[str, Any]]:
        """``(name, item)`` pairs of several views in order of arrival.

        Names are "parts", "messages", "text", or a stream mode that was asked for ("values", "custom", …).
        """
        if not names:
            raise ConfigurationError('views() needs at least one name, such as "messages" or "custom"')
        selects = [(name, self._select_named(name)) for name in names]

        def select(batch: _Batch) -> Iterable[Tuple[str, Any]]:
            return [(name, item) for name, one in selects for item in one(batch)]

        return self._open(select, lambda: self._backlog_of(names))

    # -- the end ------------------------------------------------------------------------------------------------

    def wait(self) -> Optional[str]:
        """Read to the end of the run; returns ``outcome``. Raises what its views would raise."""
        self._fan_out.drive()
        return self.outcome

    def final_message(self) -> Optional[Message]:
        """The last AI message of the root graph, after the end of the run; None if there was none."""
        self._drive_whole()
        with self._fan_out.lock:
            mirrored = {message.id for message in self._accumulator.messages}
            said = [m for m in self._accumulator.run_messages if m.type == "ai" and not m.namespace]
        stored = [m for m in said if m.id in mirrored and m.status != "removed"]
        found = stored or said
        return found[-1] if found else None

    def final_text(self) -> str:
        """The text of :meth:`final_message`, or "" if there was none."""
        message = self.final_message()
        return "" if message is None else message.text

    def final_messages(self) -> List[Message]:
        """The thread's whole list of messages after the run, as its state has it (one request, made once)."""
        self._drive_whole()
        values = self._delivery.state().get("values") if self.thread_id is not None else None
        with self._fan_out.lock:
            if not self._settled and self.thread_id is not None:
                self._settle(values)
            return self._accumulator.messages

    def result(self) -> Any:
        """The thread's state values after the run (``GET /threads/{thread_id}/state``).

        A run without a thread has only what the stream showed: start it with the stream mode "values".
        """
        self._drive_whole()
        if self.thread_id is not None:
            return self._delivery.state().get("values")
        values = self._kept.of("values")
        if not values:
            raise ConfigurationError(
                'The state of a run without a thread is gone when it ends; start it with stream_mode including "values"'
            )
        return values[-1]

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def thread_id(self) -> Optional[str]:
        """The thread; None for a run without one."""
        return self._delivery.thread_id

    @property
    def run_id(self) -> Optional[str]:
        """The run's id."""
        return self._delivery.run_id

    @property
    def outcome(self) -> Optional[str]:
        """ "success", "interrupted", "cancelled" or "error"; None until the stream has ended."""
        return self._delivery.outcome

    @property
    def interrupts(self) -> List[Interrupt]:
        """What the run waits for: answer with ``command={"resume": …}`` in the thread's next run."""
        from .models import Interrupt

        return [Interrupt.model_validate(interrupt) for interrupt in self._delivery.interrupts]

    @property
    def usage(self) -> Optional[Dict[str, Any]]:
        """The token usage of the run's AI messages so far, summed; None if no model told."""
        total: Optional[Dict[str, Any]] = None
        with self._fan_out.lock:
            messages = self._accumulator.run_messages
        for message in messages:
            total = add_usage(total, message.usage, Journal())
        return total

    # -- leaving ------------------------------------------------------------------------------------------------

    def cancel(self, action: str = "interrupt") -> None:
        """Cancel the run on the server and end the stream, from any thread.

        ``action`` is "interrupt" (keep what the run has done) or "rollback" (undo it, and delete the run). Does
        nothing if the run has ended. Messages that were under way end as ``incomplete``.
        """
        if action not in ("interrupt", "rollback"):
            raise ConfigurationError(f'action must be "interrupt" or "rollback", not {action!r}')
        if self._cancelled or self._fan_out.ended:
            return
        self._cancelled = True
        try:
            cancelled = self._delivery.cancel(action)
        except LgsyncError:
            self._cancelled = False
            raise
        if cancelled:
            self._leave("cancelled")

    def close(self) -> None:
        """Free the connection, from any thread; a loop that is blocked ends at once.

        A run that has not ended is cancelled, unless it was started (or joined) with ``on_close="continue"``.
        """
        if self._closed or self._fan_out.ended:
            self._closed = True
            self._delivery.close()
            return
        self._closed = True
        outcome = None
        if self._on_close == "cancel" and not self._cancelled:
            self._cancelled = True
            outcome = self._cancel_on_leaving()
        self._leave(outcome)

    def __enter__(self) -> RunStream:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # At interpreter exit the modules that a request needs may be gone.
        if hasattr(self, "_cancelled") and not sys.is_finalizing():
            self.close()

    def __repr__(self) -> str:
        state = self.outcome or ("closed" if self._closed else "streaming")
        return f"<RunStream run={self.run_id} thread={self.thread_id} {state}>"

    # -- inside -------------------------------------------------------------------------------------------------

    def _read(self) -> Optional[_Raw]:
        self._begun = True
        if self._source_ended:
            failure = self._failure or self._delivery.failure
            if failure is not None:
                raise failure
            return None
        try:
            part = self._delivery.next_part()
        except LgsyncError as exc:
            self._failure = exc
            part = None
        if part is not None:
            return part
        self._source_ended = True
        return self._end()

    def _end(self) -> _End:
        """The thread's state settles what the wire could not show; a closed stream asks for nothing more."""
        delivery = self._delivery
        if self._closed or self._cancelled or delivery.outcome is None or not delivery.needs_state:
            return _End()
        try:
            return _End(delivery.state().get("values"), settles=True)
        except LgsyncError as exc:
            if delivery.outcome != "error":
                self._failure = exc
            logger.warning("The state of thread %s could not be read after its run: %s", self.thread_id, exc)
            return _End()

    def _digest(self, raw: _Raw) -> _Batch:
        if isinstance(raw, _End):
            changes = self._settle(raw.values) if raw.settles else []
            outcome = "unknown" if self._failure else self._delivery.outcome or "unknown"
            return _Batch(None, changes + self._accumulator.close(outcome))
        kind = raw.kind
        if not kind.startswith("messages") and kind not in _ALWAYS_SHOWN and self._asked(kind):
            self._kept.keep(raw)
        return _Batch(raw, self._accumulator.feed(raw))

    def _settle(self, values: Any) -> List[Message]:
        self._settled = True
        return self._accumulator.settle(values)

    def _leave(self, outcome: Optional[str]) -> None:
        self._delivery.close(outcome)
        self._fan_out.finish(self._closing)

    def _closing(self) -> Optional[_End]:
        if self._source_ended:
            return None
        self._source_ended = True
        return _End()

    def _cancel_on_leaving(self) -> Optional[str]:
        try:
            return "cancelled" if self._delivery.cancel("interrupt") else None
        except LgsyncError as exc:
            # Raising here would hide the exception that made the caller leave.
            logger.warning("Run %s was left but could not be cancelled, and may go on: %s", self.run_id, exc)
            return None

    def _drive_whole(self) -> None:
        self._fan_out.drive()
        if self.outcome is None:
            raise ClientClosed(f"The stream of run {self.run_id} was closed before the run had ended")

    def _asked(self, mode: str) -> bool:
        return not self._modes or mode in self._modes

    def _shown_part(self, batch: _Batch) -> Tuple[StreamPart, ...]:
        part = batch.part
        if part is None:
            return ()
        kind = part.kind
        mode = "messages-tuple" if kind == "messages" else kind.partition("/")[0]
        shown = kind in _ALWAYS_SHOWN or self._asked(mode) or (mode == "messages-tuple" and self._asked("messages"))
        return (part,) if shown else ()

    def _open(self, select: Callable[[_Batch], Iterable[Out]], backlog: Callable[[], Iterable[Out]]) -> Iterator[Out]:
        return self._fan_out.open(select, backlog, self)

    def _message_view(self, keep: Callable[[Message], bool], show: Callable[[Message], Out]) -> Iterator[Out]:
        def select(batch: _Batch) -> Iterable[Out]:
            return [show(message) for message in batch.changes if keep(message)]

        return self._open(select, lambda: [show(m) for m in self._messages_so_far() if keep(m)])

    def _messages_so_far(self) -> List[Message]:
        return [message.from_nothing() for message in self._accumulator.run_messages]

    def _data_view(self, mode: str, namespaces: Namespaces) -> Iterator[Any]:
        self._require_mode(mode)
        return self._open(_data_select(mode, namespaces), lambda: self._kept.of(mode, namespaces))

    def _require_mode(self, mode: str) -> None:
        if not self._asked(mode):
            asked = ", ".join(self._modes)
            raise ConfigurationError(f'This view needs stream_mode to include "{mode}"; the run was asked for: {asked}')

    def _select_named(self, name: str) -> Callable[[_Batch], Iterable[Any]]:
        if name == "parts":
            return self._shown_part
        if name == "messages":
            within = namespace_filter("root")
            return lambda batch: [message for message in batch.changes if within(message.namespace)]
        if name == "text":
            within = namespace_filter("root")
            return lambda batch: [
                m.delta.text for m in batch.changes if m.type == "ai" and m.delta.text and within(m.namespace)
            ]
        self._require_mode(name)
        return _data_select(name, "root")

    def _backlog_of(self, names: Sequence[str]) -> List[Tuple[str, Any]]:
        """What a combined view that is opened late begins with: the order between kinds is not known any more."""
        backlog: List[Tuple[str, Any]] = []
        for name in names:
            if name == "parts":
                if self._begun:
                    raise ConfigurationError("Raw parts are not kept: open this view before the run is read")
            elif name in ("messages", "text"):
                so_far = [m for m in self._messages_so_far() if not m.namespace]
                backlog += [(name, m.text if name == "text" else m) for m in so_far if name != "text" or m.type == "ai"]
            else:
                backlog += [(name, data) for data in self._kept.of(name)]
        return backlog


def _data_select(mode: str, namespaces: Namespaces) -> Callable[[_Batch], Iterable[Any]]:
    within = namespace_filter(namespaces)

    def select(batch: _Batch) -> Iterable[Any]:
        part = batch.part
        return (part.data,) if part is not None and part.kind == mode and within(part.namespace) else ()

    return select
