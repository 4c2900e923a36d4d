"""The handle of a streamed run: what it says, how it ended, and the ways to stop it."""

from __future__ import annotations

import operator
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Generic,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    overload,
)

from .accumulate import Message, add_usage
from .cursor import Cursor, Place
from .delivery import Delivery
from .errors import ClientClosed, ConfigurationError
from .fan_out import FanOut, Raised, View
from .leaving import in_background, remember
from .parsing import state_as
from .parts import StreamPart
from .run_reader import Batch, BeatBatch, Raw, RunReader
from .selection import Namespaces, message_filter, namespace_filter
from .transport import STREAM_MODES, Capabilities

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    from .models import Interrupt

    Part = TypeVarWithDefault("Part", default=StreamPart)
else:
    Part = TypeVar("Part")

__all__ = ["Relayed", "RunStream"]

Out = TypeVar("Out")
M = TypeVar("M")

# What selects the items of a view of what a part brought, and what the view begins with if it is opened late.
_Selected = Tuple[Callable[[Batch], Sequence[Out]], Callable[[], Iterable[Out]]]


class Relayed(NamedTuple):
    """What one part brought: pairs as ``views`` gives them, to be handed on all together; none if it was quiet.

    ``cursor`` stands behind them: whoever has taken them goes on there.
    """

    items: Tuple[Tuple[str, Any], ...]
    cursor: Optional[Cursor]


class RunStream(Generic[Part]):
    """A run being streamed. ``client.runs.stream(...)`` returns one; the run has started by then.

    In annotations ``RunStream`` is a stream of :class:`StreamPart`; with ``version="v2"`` it is
    ``RunStream[StreamPartV2]``.

    Iterate it for raw parts, or open views: ``messages()``, ``text()``, ``values()``, ``updates()``, ``custom()``,
    ``tasks()``, ``views(...)``. Any number of views, from any threads, in any order; whichever is advanced reads on
    for all. After the end each can be opened again, and then begins with each message as it stands, or with the data
    that was kept (the last 4,096 of a mode, and the latest of ``values``). Raw parts are not kept.

    Leaving the ``with`` block early, breaking out of a loop and letting go of the handle, an exception and Ctrl-C close
    the connection, and cancel the run unless it was started with ``on_close="continue"``.

    A loop ends when the run has ended: it finished, paused at an interrupt, or was cancelled (see ``outcome``). A run
    that failed raises RunError from every view, after what came before; a stream that broke raises StreamLost.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        modes: Tuple[str, ...],
        on_close: str,
        messages_key: str = "messages",
        capabilities: Optional[Capabilities] = None,
        raise_error: bool = True,
        show: Optional[Callable[[StreamPart], Optional[Part]]] = None,
    ) -> None:
        """``show`` makes of a part what iterating gives; it leaves out those of which it makes None."""
        self._reader = RunReader(delivery, modes, on_close, messages_key, raise_error)
        self._show = show
        self._fan_out: FanOut[Raw, Batch] = FanOut(
            self._reader.read,
            self._reader.digest,
            self._reader.lock,
            at_hand=self._reader.at_hand,
            mark=_mark,
            interrupted=self._reader.leave,
        )
        self._capabilities = capabilities
        self._parts: Optional[View[Batch, StreamPart]] = None
        remember(self._reader)

    # -- raw parts ----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Part]:
        return self

    def __next__(self) -> Part:
        parts = self._parts
        if parts is None:
            parts = self._open_parts()
        if self._show is None:
            return next(parts)  # type: ignore[return-value]
        for part in parts:
            shown = self._show(part)
            if shown is not None:
                return shown
        raise StopIteration

    def _open_parts(self) -> View[Batch, StreamPart]:
        with self._fan_out.lock:
            if self._parts is None:
                self._refuse_parts_that_are_gone()
                # The handle owns this view, so the view must not own the handle.
                self._parts = self._fan_out.open(_part_select(self._reader), lambda: (), None)
            return self._parts

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
        self._refuse_what_is_not_attributed(node, tags)
        keep = message_filter(completed, namespaces, node, tags)
        return self._open(*_messages_shown(self._reader, keep))

    def text(self, *, namespaces: Namespaces = "root", node: Optional[str] = None) -> Iterator[str]:
        """The text of AI messages as it grows: pieces to print, or to ``yield`` from a web view.

        Nothing stands between one message's text and the next one's; take :meth:`messages` to tell them apart.
        """
        self._refuse_what_is_not_attributed(node, None)
        return self._open(*_text_shown(self._reader, namespaces, node))

    @overload
    def values(self, model: None = None, *, namespaces: Namespaces = "root") -> Iterator[Any]: ...

    @overload
    def values(self, model: Type[M], *, namespaces: Namespaces = "root") -> Iterator[M]: ...

    def values(self, model: Optional[Type[M]] = None, *, namespaces: Namespaces = "root") -> Iterator[Any]:
        """The state after each step (needs the stream mode "values"); a view opened late begins with the latest.

        ``model`` is a class of yours that the state is read as: a pydantic model, a dataclass or a TypedDict. The loop
        raises StateMismatch where it does not fit.
        """
        view = self._data_view("values", namespaces)
        return view if model is None else (self._as(model, values) for values in view)

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
        named = [(name, *self._named_view(name)) for name in names]

        def select(batch: Batch) -> List[Any]:
            return _named((name, item) for name, one, _ in named for item in one(batch))

        return self._open(select, lambda: _named((name, item) for name, _, backlog in named for item in backlog()))

    def relay(self, *names: str, beat: Optional[float] = None) -> Iterator[Relayed]:
        """What each part brought to these views, with the cursor behind it: for handing the stream on to somebody else.

        Items come as pairs, as from :meth:`views`, and all that one part brought comes together: who takes it, and goes
        on at its cursor, has each of them once. Where parts are gone for good, StreamLost is not raised but stands
        among them, named "gap"; views of messages have none.

        With ``beat``, something without items comes whenever that many seconds brought nothing, so that whoever hands
        the stream on can look after the one it is for. Transports of third parties need not heed it.
        """
        if not names:
            raise ConfigurationError('relay() needs at least one name, such as "messages" or "custom"')
        if beat is not None and not beat > 0:
            raise ConfigurationError(f"beat must be a positive number of seconds, or None, not {beat!r}")
        named = [(name, *self._named_view(name)) for name in names]
        view = self._open(*_relayed(self._reader, named))
        if beat is not None:
            self._reader.delivery.beat(beat)
        return view

    # -- the end ------------------------------------------------------------------------------------------------

    def wait(self) -> Optional[str]:
        """Read to the end of the run; returns ``outcome``. Raises what its views would raise."""
        self._fan_out.drive()
        return self.outcome

    def final_message(self) -> Optional[Message]:
        """The last AI message of the root graph, after the end of the run; None if there was none."""
        self._drive_whole()
        with self._fan_out.lock:
            mirrored = {message.id for message in self._reader.accumulator.messages}
            said = [m for m in self._reader.accumulator.run_messages if m.type == "ai" and not m.namespace]
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
        values = self._reader.delivery.questions.state().get("values") if self.thread_id is not None else None
        with self._fan_out.lock:
            if not self._reader.settled and self.thread_id is not None:
                self._reader.settle(values)
            return self._reader.accumulator.messages

    @overload
    def result(self, model: None = None) -> Any: ...

    @overload
    def result(self, model: Type[M]) -> M: ...

    def result(self, model: Optional[Type[M]] = None) -> Any:
        """The thread's state values after the run (``GET /threads/{thread_id}/state``).

        ``model`` is a class of yours that they are read as; raises StateMismatch if they do not fit.
        A run without a thread has only what the stream showed: start it with the stream mode "values".
        """
        values = self._result()
        return values if model is None else self._as(model, values)

    def _result(self) -> Any:
        self._drive_whole()
        if self.thread_id is not None:
            return self._reader.delivery.questions.state().get("values")
        values = self._reader.kept.of("values")
        if not values:
            raise ConfigurationError(
                'The state of a run without a thread is gone when it ends; start it with stream_mode including "values"'
            )
        return values[-1]

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def thread_id(self) -> Optional[str]:
        """The thread; None for a run without one."""
        return self._reader.delivery.run.thread_id

    @property
    def run_id(self) -> Optional[str]:
        """The run's id."""
        return self._reader.delivery.run.run_id

    @property
    def cursor(self) -> Optional[Cursor]:
        """Where the stream stands: :meth:`RunsClient.resume` goes on from here, in any process. None without a thread.

        All that comes before it was taken from every open view (a view that is held but not read holds it back).
        ``str(cursor)`` is text to keep.
        """
        with self._fan_out.lock:
            return self._reader.cursor(self._fan_out.marks())

    @property
    def outcome(self) -> Optional[str]:
        """How the run ended: "success", "interrupted", "cancelled" or "error"; None as long as that is not known."""
        return self._reader.delivery.outcome

    @property
    def interrupts(self) -> List[Interrupt]:
        """What the run waits for: answer with ``command={"resume": …}`` in the thread's next run."""
        from .models import Interrupt

        return [Interrupt.model_validate(interrupt) for interrupt in self._reader.delivery.interrupts]

    @property
    def usage(self) -> Optional[Dict[str, Any]]:
        """The token usage of the run's AI messages so far, summed; None if no model told."""
        total: Optional[Dict[str, Any]] = None
        with self._fan_out.lock:
            messages = self._reader.accumulator.run_messages
        for message in messages:
            total = add_usage(total, message.usage)
        return total

    # -- leaving ------------------------------------------------------------------------------------------------

    def cancel(self, action: str = "interrupt") -> None:
        """Cancel the run on the server and end the stream, from any thread.

        ``action`` is "interrupt" (keep what the run has done) or "rollback" (undo it, and delete the run). Does
        nothing if the run has ended. Messages that were under way end as ``incomplete``. Raises what the request
        raises; the stream goes on then.
        """
        if action not in ("interrupt", "rollback"):
            raise ConfigurationError(f'action must be "interrupt" or "rollback", not {action!r}')
        if not self._fan_out.ended and self._reader.cancel(action):
            self._fan_out.finish(self._reader.closing)

    def close(self) -> None:
        """Free the connection, from any thread; a loop that is blocked ends at once.

        A run that has not ended is cancelled, unless it was started (or joined) with ``on_close="continue"``. That
        request is given a few seconds, and a warning is logged if it fails.
        """
        self._reader.leave()
        self._fan_out.finish(self._reader.closing)

    def detach(self) -> Cursor:
        """Free the connection, from any thread, and leave the run going; returns where to go on.

        A loop that is blocked ends at once. Raises ConfigurationError for a run without a thread, which cannot be
        joined.
        """
        if self.thread_id is None:
            raise ConfigurationError("A run without a thread cannot be joined again, so its stream cannot be detached")
        self._reader.leave(detaching=True)
        self._fan_out.finish(self._reader.closing)
        cursor = self.cursor
        assert cursor is not None
        return cursor

    def __enter__(self) -> RunStream[Part]:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_parts") and not (self._reader.left or self._reader.over):
            in_background(self._reader)

    def __reduce__(self) -> Tuple[Any, ...]:
        raise TypeError("A RunStream cannot be pickled: send str(run.cursor), and go on there with client.runs.resume")

    def __repr__(self) -> str:
        state = self.outcome or ("closed" if self._reader.left else "streaming")
        return f"<RunStream run={self.run_id} thread={self.thread_id} {state}>"

    # -- inside -------------------------------------------------------------------------------------------------

    def _as(self, model: Type[M], values: Any) -> M:
        return state_as(model, values, f"The state of run {self.run_id} on thread {self.thread_id}")

    def _drive_whole(self) -> None:
        self._fan_out.drive()
        if self.outcome is None:
            raise ClientClosed(f"The stream of run {self.run_id} was closed before the run had ended")

    def _open(self, select: Callable[[Batch], Sequence[Out]], backlog: Callable[[], Iterable[Out]]) -> Iterator[Out]:
        return self._fan_out.open(select, backlog, self)

    def _refuse_what_is_not_attributed(self, node: Optional[str], tags: Optional[Sequence[str]]) -> None:
        capabilities = self._capabilities
        if (node is not None or tags) and capabilities is not None and not capabilities.names_nodes:
            raise ConfigurationError(
                "The client's transport does not tell which node a message comes from, so node= and tags= would show "
                'nothing; transport="sse" does'
            )

    def _data_view(self, mode: str, namespaces: Namespaces) -> Iterator[Any]:
        self._require_mode(mode)
        return self._open(_data_select(mode, namespaces), _kept_so_far(self._reader, mode, namespaces))

    def _require_mode(self, mode: str) -> None:
        if mode not in STREAM_MODES or mode in ("messages", "messages-tuple"):
            names = ", ".join(name for name in STREAM_MODES if not name.startswith("messages"))
            raise ConfigurationError(f"There is no view named {mode!r}; there are parts, messages, text, {names}")
        asked = self._reader.modes
        if asked and mode not in asked:
            raise ConfigurationError(
                f'This view needs stream_mode to include "{mode}"; the run was asked for: {", ".join(asked)}'
            )
        if self._capabilities is not None and mode not in self._capabilities.stream_modes:
            raise ConfigurationError(
                f'The client\'s transport does not carry "{mode}" beyond interrupts; transport="sse" does'
            )

    def _refuse_parts_that_are_gone(self) -> None:
        if self._reader.begun:
            raise ConfigurationError(
                "The raw parts of this run were already read by another view and are not kept; "
                "begin iterating the run before its views, or use run.views('parts', 'messages', …)"
            )

    def _named_view(self, name: str) -> _Selected[Any]:
        """What a view of this name shows."""
        reader = self._reader
        if name == "parts":
            self._refuse_parts_that_are_gone()
            return _part_select(reader), lambda: ()
        if name == "messages":
            return _messages_shown(reader, message_filter(False, "root", None, None))
        if name == "text":
            return _text_shown(reader, "root", None)
        self._require_mode(name)
        return _data_select(name, "root"), _kept_so_far(reader, name, "root")


# A selection is kept by the views' fan-out, so none of these may hold on to the handle.


_mark: Callable[[Batch], Tuple[int, Place]] = operator.attrgetter("mark")


def _named(pairs: Iterable[Tuple[str, Any]]) -> List[Any]:
    """The pairs; what is to be raised stands alone, and once."""
    listed = list(pairs)
    errors = [item for _, item in listed if type(item) is Raised]
    return [pair for pair in listed if type(pair[1]) is not Raised] + errors[:1]


def _relayed(
    reader: RunReader, named: Sequence[Tuple[str, Callable[[Batch], Iterable[Any]], Callable[[], Iterable[Any]]]]
) -> Tuple[Callable[[Batch], Sequence[Relayed]], Callable[[], Sequence[Relayed]]]:
    def together(pairs: List[Any]) -> Relayed:
        items = tuple(("gap", pair.error) if type(pair) is Raised else pair for pair in pairs)
        # Asked for with the lock held, right after the part was digested: so it is the place behind it.
        return Relayed(items, reader.cursor(()))

    def select(batch: Batch) -> Sequence[Relayed]:
        pairs = _named((name, item) for name, one, _ in named for item in one(batch))
        return (together(pairs),) if pairs or isinstance(batch, BeatBatch) else ()

    def backlog() -> Sequence[Relayed]:
        pairs = _named((name, item) for name, _, backlog in named for item in backlog())
        return (together(pairs),) if pairs else ()

    return select, backlog


def _part_select(reader: RunReader) -> Callable[[Batch], Tuple[Any, ...]]:
    shows = reader.shows

    def select(batch: Batch) -> Tuple[Any, ...]:
        part, _, gap, _ = batch
        if gap is not None:
            return (Raised(gap),)
        return (part,) if part is not None and shows(part) else ()

    return select


# Done for each part: the interpreter runs a filter sooner than what is written out.


def _messages_shown(reader: RunReader, keep: Callable[[Message], bool]) -> _Selected[Message]:
    return lambda batch: [*filter(keep, batch.changes)], lambda: filter(keep, _messages_so_far(reader))


def _text_shown(reader: RunReader, namespaces: Namespaces, node: Optional[str]) -> _Selected[str]:
    keep = message_filter(False, namespaces, node, None)

    def says_something(message: Message) -> bool:
        return message.type == "ai" and bool(message.delta.text) and keep(message)

    def shown(messages: Iterable[Message]) -> List[str]:
        return [message.delta.text for message in filter(says_something, messages)]

    return lambda batch: shown(batch.changes), lambda: shown(_messages_so_far(reader))


def _messages_so_far(reader: RunReader) -> List[Message]:
    return [message.from_nothing() for message in reader.accumulator.run_messages]


def _data_select(mode: str, namespaces: Namespaces) -> Callable[[Batch], Sequence[Any]]:
    within = namespace_filter(namespaces)

    def select(batch: Batch) -> Sequence[Any]:
        if batch.gap is not None:
            return (Raised(batch.gap),)
        part = batch.part
        return (part.data,) if part is not None and part.kind == mode and within(part.namespace) else ()

    return select


def _kept_so_far(reader: RunReader, mode: str, namespaces: Namespaces) -> Callable[[], List[Any]]:
    """What a data view begins with; that parts were lost before is not kept from it."""
    return lambda: [*reader.kept.of(mode, namespaces), *map(Raised, reader.gaps[-1:])]
