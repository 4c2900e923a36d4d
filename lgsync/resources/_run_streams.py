"""How runs are streamed and waited for, behind the methods of :class:`lgsync.resources.runs.RunsClient`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence, Tuple, Union, get_args

from ..cursor import Place
from ..delivery import Delivery
from ..errors import NotFoundError
from ..paths import runs_path
from ..policy import Policy
from ..recovery import Recovery
from ..rest import CallOptions, Rest
from ..run_defaults import RunDefaults
from ..run_stream import RunStream
from ..run_wait import RunWait
from ..schema import DisconnectMode
from ..thread_state import UNFINISHED
from ..transport import RunJoin, RunStart, refuse
from ._graphs import known_graphs_named
from ._options import TimeoutValue, check_choice, timeout_of
from ._run_body import checked_modes

if TYPE_CHECKING:
    from ..deadline import Deadline
    from ..parts import StreamPart
    from ..schema import RunCreateMetadata

__all__ = ["FROM_THE_START", "START", "RunStreams"]

FROM_THE_START = "-1"
START = Place()

Show = Optional[Callable[["StreamPart"], Any]]


class RunStreams:
    """Opens the streams of a client's runs, by the client's own defaults."""

    def __init__(self, rest: Rest, reconnect: float, defaults: RunDefaults) -> None:
        self.defaults = defaults
        self._rest = rest
        self._reconnect = reconnect

    def modes(self, stream_mode: Union[str, Sequence[str], None]) -> Tuple[str, ...]:
        """The modes to ask for; refuses those that the transport cannot carry."""
        capabilities = self._rest.transport.capabilities
        stream_mode = self.defaults.stream_mode if stream_mode is None else stream_mode
        if stream_mode is None:
            return capabilities.default_modes
        modes = checked_modes(stream_mode)
        for mode in modes:
            if mode not in capabilities.stream_modes:
                hint = capabilities.hints.get(mode, "")
                refuse(f'stream_mode="{mode}"', self._rest.transport.name, hint=hint)
        return modes

    def on_close(self, own: Optional[str], default: DisconnectMode) -> str:
        """What becomes of a run whose stream is left early."""
        check_choice("on_close", own, get_args(DisconnectMode))
        return default if own is None else own

    def started(
        self,
        start: RunStart,
        on_close: str,
        deadline: Optional[float],
        *,
        messages_key: str,
        raise_error: Optional[bool],
        on_run_created: Optional[Callable[[RunCreateMetadata], None]],
        show: Show,
    ) -> RunStream[Any]:
        """Start the run and stream it."""
        self._refuse_what_cannot_be_carried(start)
        resumable = bool(start.payload.get("stream_resumable"))
        policy = self._policy(start, resumable=resumable)
        with known_graphs_named(self._rest, start.payload["assistant_id"]):
            run = self._opened(start, policy, on_close, deadline, messages_key, raise_error, show=show)
        if on_run_created is not None and run.run_id is not None:
            try:
                on_run_created({"run_id": run.run_id, "thread_id": run.thread_id})
            except BaseException:
                run.close()
                raise
        return run

    def joined(
        self,
        join: RunJoin,
        place: Place,
        on_close: str,
        deadline: Optional[float],
        *,
        messages_key: str,
        raise_error: Optional[bool],
        replaying: bool = False,
    ) -> RunStream:
        """Join the run; it is shown from ``place`` on, after what came before was replayed in silence if so asked."""
        policy = self._policy(join, place=place, replaying=replaying)
        midway = not replaying and place != START
        return self._opened(join, policy, on_close, deadline, messages_key, raise_error, begins_midway=midway)

    def waiting(
        self,
        thread_id: str,
        run_id: str,
        deadline: Deadline,
        cancels: bool,
        headers: Optional[Mapping[str, str]],
        params: Optional[Mapping[str, Any]],
        timeout: TimeoutValue,
    ) -> RunWait:
        """A wait for the run's end; ``cancels`` says whether giving up cancels it."""
        return RunWait(
            self._rest.once(),
            thread_id,
            run_id,
            Recovery(Policy(budget=self._reconnect, idle=None), deadline),
            timeout_of(timeout) or self._rest.timeout,
            self._rest.headers(headers),
            params or {},
            cancels,
        )

    def active_run(self, thread_id: str, options: CallOptions) -> str:
        """The run at work on the thread, else the next to begin (``GET /threads/{thread_id}/runs``)."""
        path = runs_path(thread_id)
        given = options.get("params") or {}
        for status in UNFINISHED[::-1]:
            options["params"] = {"limit": 1000, "status": status, **given}
            runs = self._rest.call("GET", path, **options)
            if runs:
                # Newest first; the oldest is the next one.
                return str(runs[-1]["run_id"])
        raise NotFoundError(
            f"No run is at work on thread {thread_id}; name the run_id of one that has ended to stream it, or read "
            "the thread's state",
            url=f"{path}?status=running",
            status_code=404,
        )

    def _opened(
        self,
        start: Union[RunStart, RunJoin],
        policy: Policy,
        on_close: str,
        deadline: Optional[float],
        messages_key: str,
        raise_error: Optional[bool],
        *,
        begins_midway: bool = False,
        show: Show = None,
    ) -> RunStream[Any]:
        delivery = Delivery(self._rest, start, policy, self._rest.deadline(deadline), begins_midway=begins_midway)
        return RunStream(
            delivery,
            modes=start.modes,
            on_close=on_close,
            messages_key=messages_key,
            capabilities=self._rest.transport.capabilities,
            raise_error=self.defaults.raise_error if raise_error is None else raise_error,
            show=show,
        )

    def _policy(
        self,
        start: Union[RunStart, RunJoin],
        *,
        resumable: bool = True,
        place: Place = START,
        replaying: bool = False,
    ) -> Policy:
        return Policy(
            budget=self._reconnect,
            idle=(start.timeout or self._rest.timeout).read,
            start=start.position if isinstance(start, RunJoin) else FROM_THE_START,
            resumable=resumable,
            place=place,
            replaying=replaying,
        )

    def _refuse_what_cannot_be_carried(self, start: RunStart) -> None:
        transport = self._rest.transport
        capabilities = transport.capabilities
        if start.thread_id is None and not capabilities.stateless_runs:
            refuse("thread_id=None (a run without a thread)", transport.name)
        if capabilities.run_options is None:
            return
        for option in start.payload:
            if option not in capabilities.run_options:
                refuse(option, transport.name, hint=capabilities.hints.get(option, ""))
