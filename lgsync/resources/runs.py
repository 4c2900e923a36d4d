"""Runs: an assistant at work on a thread, streamed, waited for or left to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ..cursor import Cursor, Place
from ..deadline import Deadline, checked
from ..delivery import Delivery, may_have_started
from ..errors import ConfigurationError, ConnectionLost, NotFoundError, WrongType, run_error
from ..paths import segment
from ..policy import Policy
from ..rest import CallOptions, Rest
from ..run_stream import RunStream
from ..run_wait import RunWait
from ..thread_state import UNFINISHED
from ..transport import STREAM_MODES, RunJoin, RunStart, Timeout, refuse
from ._options import TimeoutValue, call_options, drop_unset

if TYPE_CHECKING:
    from ..models import Run

__all__ = ["RunsClient"]

#: The fields of a run's body, by the parameter that sets each.
_BODY_FIELDS = {
    **{
        name: name
        for name in (
            "assistant_id",
            "input",
            "command",
            "stream_subgraphs",
            "stream_resumable",
            "metadata",
            "config",
            "context",
            "checkpoint",
            "checkpoint_id",
            "interrupt_before",
            "interrupt_after",
            "feedback_keys",
            "on_disconnect",
            "on_completion",
            "webhook",
            "multitask_strategy",
            "if_not_exists",
            "after_seconds",
            "durability",
        )
    },
    "langsmith_tracing": "langsmith_tracer",
}
_FROM_THE_START = "-1"
_START = Place()
_STARTS = (_FROM_THE_START, "0", "-", "0-0")
_ON_CLOSE = ("cancel", "continue")

Names = Union[str, Sequence[str]]


class RunsClient:
    """``client.runs``. Every method raises the errors of :mod:`lgsync.errors`.

    What the methods that start a run have in common:

    - ``thread_id``: the thread to run on; None for a run without a thread of its own.
    - ``assistant_id``: an assistant's id, or a graph's name.
    - ``input``: what the graph takes; None goes on from where the thread stands.
    - ``command``: ``{"resume": …}`` answers an interrupt; also ``update`` and ``goto``.
    - ``config``, ``context``, ``metadata``: for the graph, and for the run's record.
    - ``checkpoint``, ``checkpoint_id``: where in the thread's history to begin.
    - ``interrupt_before``, ``interrupt_after``: node names, or "*".
    - ``multitask_strategy`` on a busy thread: "enqueue", "reject", "interrupt" or "rollback".
    - ``if_not_exists`` for a thread that is missing: "reject" or "create".
    - ``durability``: "async", "sync" or "exit". ``after_seconds``: start later. ``webhook``: called at the end.

    A field left at None is not sent. ``headers``, ``params``, ``timeout`` and ``deadline`` are for the one call, and
    for what is asked about its run; ``deadline`` is in seconds, and bounds all of it, the stream too.
    """

    def __init__(self, rest: Rest, reconnect: float = 60.0) -> None:
        self._rest = rest
        self._reconnect = reconnect

    def stream(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,  # noqa: A002 (the API's own name)
        command: Optional[Mapping[str, Any]] = None,
        stream_mode: Optional[Names] = None,
        stream_subgraphs: bool = False,
        stream_resumable: bool = True,
        metadata: Optional[Mapping[str, Any]] = None,
        config: Optional[Mapping[str, Any]] = None,
        context: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[Mapping[str, Any]] = None,
        checkpoint_id: Optional[str] = None,
        interrupt_before: Optional[Names] = None,
        interrupt_after: Optional[Names] = None,
        feedback_keys: Optional[Sequence[str]] = None,
        on_disconnect: Optional[str] = None,
        on_completion: Optional[str] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[str] = None,
        if_not_exists: Optional[str] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Optional[Mapping[str, Any]] = None,
        durability: Optional[str] = None,
        on_close: str = "cancel",
        messages_key: str = "messages",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> RunStream:
        """Start a run and stream it (``POST /threads/{thread_id}/runs/stream``). The run starts at once.

        ``stream_mode`` is one mode or several: "messages", "messages-tuple", "values", "updates", "custom", "tasks",
        "checkpoints", "debug", "events". Left out, it is what messages need: "messages-tuple" and "updates".
        ``stream_subgraphs=True`` also sends what subgraphs say, under their namespace. ``on_close`` says what becomes
        of the run if the stream is left early: "cancel" or "continue". ``messages_key`` is where the graph's state
        keeps its messages.

        ``stream_resumable=False`` tells the server not to keep the run's parts: a connection that breaks then costs
        those that come meanwhile.

        Raises UnsupportedByTransport, before anything is sent, for what the client's transport cannot carry.
        """
        modes = self._modes(stream_mode)
        _check_choice("on_close", on_close, _ON_CLOSE)
        if thread_id is None and on_disconnect is None and on_close == "cancel":
            # Nothing names the thread of such a run, so only the server itself can cancel it.
            on_disconnect = "cancel"
        start = RunStart(
            thread_id=None if thread_id is None else _checked(thread_id, "thread_id"),
            payload=_payload(locals(), stream_mode=list(modes)),
            headers=headers or {},
            params=params or {},
            timeout=_timeout(timeout),
        )
        self._refuse_what_cannot_be_carried(start)
        policy = self._policy(start, resumable=bool(stream_resumable))
        return self._open(start, policy, on_close, messages_key, deadline)

    def join_stream(
        self,
        thread_id: str,
        run_id: Optional[str] = None,
        *,
        stream_mode: Optional[Names] = None,
        stream_subgraphs: bool = True,
        last_event_id: Optional[str] = None,
        cancel_on_disconnect: bool = False,
        on_close: str = "continue",
        messages_key: str = "messages",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> RunStream:
        """Stream a run that was started elsewhere (``GET /threads/{thread_id}/runs/{run_id}/stream``).

        Without ``run_id`` it is the run that is at work on the thread, or waits there to begin; NotFoundError is raised
        if there is none. Without ``last_event_id`` it begins with what the run has said so far, as far as the server
        kept it (``stream_resumable=True``), and goes on live. ``stream_mode`` can only narrow what the run was started
        with, and subgraphs are shown only if it was started with ``stream_subgraphs=True``. What the server did not
        keep comes from the thread's state when the run has ended, as whole messages. A position does not tell apart
        parts that have the same id: to go on exactly, use :meth:`resume`.
        Leaving the stream leaves the run going, unless ``on_close="cancel"``.
        """
        modes = () if stream_mode is None else self._modes(stream_mode)
        _check_choice("on_close", on_close, _ON_CLOSE)
        checked(deadline)
        if run_id is None:
            run_id = self._active_run(thread_id, call_options(headers, params, timeout, deadline))
        join = RunJoin(
            thread_id=_checked(thread_id, "thread_id"),
            run_id=_checked(run_id, "run_id"),
            modes=modes,
            position=_FROM_THE_START if last_event_id is None else last_event_id,
            stream_subgraphs=stream_subgraphs,
            cancel_on_disconnect=cancel_on_disconnect,
            headers=headers or {},
            params=params or {},
            timeout=_timeout(timeout),
        )
        midway = join.position not in _STARTS
        policy = self._policy(join, place=Place(join.position) if midway else _START)
        return self._open(join, policy, on_close, messages_key, deadline, begins_midway=midway)

    def resume(
        self,
        cursor: Union[Cursor, str],
        *,
        replay: bool = True,
        on_close: str = "continue",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> RunStream:
        """Go on with a run's stream where ``cursor`` stands: exactly the parts that remain, in any process.

        ``cursor`` is ``run.cursor``, or its text. What the run said before is read again first, silently, so that
        messages are whole; ``replay=False`` leaves that out, and messages that had begun by then come whole at their
        end. Works while the run goes on and after it ended, as long as the server keeps its parts; what it did not keep
        is told as StreamLost, and messages come from the thread's state.
        Leaving the stream leaves the run going, unless ``on_close="cancel"``.

        Raises ConfigurationError for a text that is no cursor, and for one of another transport.
        """
        at = Cursor.parse(cursor)
        _check_choice("on_close", on_close, _ON_CLOSE)
        transport = self._rest.transport
        if at.transport != transport.name:
            raise ConfigurationError(
                f'The cursor was made over transport="{at.transport}", whose positions "{transport.name}" does not '
                "know: resume it with a client of that transport, or stream the whole run again with join_stream"
            )
        join = RunJoin(
            thread_id=_checked(at.thread_id, "thread_id"),
            run_id=_checked(at.run_id, "run_id"),
            modes=at.modes,
            position=_FROM_THE_START,
            narrowed=at.narrowed,
            stream_subgraphs=at.stream_subgraphs,
            headers=headers or {},
            params=params or {},
            timeout=_timeout(timeout),
        )
        policy = self._policy(join, place=at.place, replaying=replay)
        midway = not replay and at.place != _START
        return self._open(join, policy, on_close, at.messages_key, deadline, begins_midway=midway)

    def create(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,  # noqa: A002 (the API's own name)
        command: Optional[Mapping[str, Any]] = None,
        stream_mode: Optional[Names] = None,
        stream_subgraphs: bool = False,
        stream_resumable: bool = True,
        metadata: Optional[Mapping[str, Any]] = None,
        config: Optional[Mapping[str, Any]] = None,
        context: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[Mapping[str, Any]] = None,
        checkpoint_id: Optional[str] = None,
        interrupt_before: Optional[Names] = None,
        interrupt_after: Optional[Names] = None,
        on_completion: Optional[str] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[str] = None,
        if_not_exists: Optional[str] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Optional[Mapping[str, Any]] = None,
        durability: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Run:
        """Start a run and return at once (``POST /threads/{thread_id}/runs``).

        It can be joined with :meth:`join_stream`; ``stream_mode`` says what it then has to show (default:
        "messages-tuple" and "updates").
        """
        from ..models import Run

        modes = _checked_modes(stream_mode) if stream_mode is not None else ("messages-tuple", "updates")
        payload = _payload(locals(), stream_mode=list(modes))
        path = _runs_path(thread_id)
        return self._rest.model(Run, "POST", path, **call_options(headers, params, timeout, deadline, json=payload))

    def wait(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,  # noqa: A002 (the API's own name)
        command: Optional[Mapping[str, Any]] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        config: Optional[Mapping[str, Any]] = None,
        context: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[Mapping[str, Any]] = None,
        checkpoint_id: Optional[str] = None,
        interrupt_before: Optional[Names] = None,
        interrupt_after: Optional[Names] = None,
        on_disconnect: Optional[str] = None,
        on_completion: Optional[str] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[str] = None,
        if_not_exists: Optional[str] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Optional[Mapping[str, Any]] = None,
        durability: Optional[str] = None,
        raise_error: bool = True,
        on_close: str = "cancel",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """Start a run, wait for its end and return the state's values (``POST /threads/{thread_id}/runs``, then
        ``GET /threads/{thread_id}/runs/{run_id}/join``, which is asked again if the connection breaks).

        A pause shows as the key ``__interrupt__``. A failed run raises RunError, or with ``raise_error=False`` is the
        server's ``{"__error__": {"error": …, "message": …}}``. Ctrl-C and a deadline that passes cancel the run, unless
        ``on_close="continue"``. A run without a thread, and one with ``on_disconnect``, is waited for by the request
        that starts it (``POST /runs/wait``), which is never repeated.
        """
        payload = _payload(locals())
        _check_choice("on_close", on_close, _ON_CLOSE)
        options = call_options(headers, params, timeout, deadline, json=payload)
        end = Deadline(self._rest.deadline if deadline is None else deadline)
        if thread_id is None or on_disconnect is not None:
            values = self._rest.call("POST", f"{_runs_path(thread_id)}/wait", **options)
            return _values_of(values, raise_error, thread_id, None)
        from ..models import Run

        try:
            run_id = self._rest.model(Run, "POST", _runs_path(thread_id), **options).run_id
        except ConnectionLost as exc:
            raise may_have_started(exc, thread_id) from exc
        values = self._waiting(thread_id, run_id, end, on_close == "cancel", headers, params, timeout).values()
        return _values_of(values, raise_error, thread_id, run_id)

    def join(
        self,
        thread_id: str,
        run_id: str,
        *,
        raise_error: bool = True,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """Wait for the end of a run that was started elsewhere, and return the state's values, as :meth:`wait` does.

        Follows ``GET /threads/{thread_id}/runs/{run_id}/join``. Whoever gives up waiting leaves the run going.
        """
        end = Deadline(self._rest.deadline if deadline is None else deadline)
        _run_path(thread_id, run_id)
        values = self._waiting(thread_id, run_id, end, False, headers, params, timeout).values()
        return _values_of(values, raise_error, thread_id, run_id)

    def get(
        self,
        thread_id: str,
        run_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Run:
        """The run of that id (``GET /threads/{thread_id}/runs/{run_id}``)."""
        from ..models import Run

        return self._rest.model(
            Run, "GET", _run_path(thread_id, run_id), **call_options(headers, params, timeout, deadline)
        )

    def list(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        offset: int = 0,
        status: Optional[str] = None,
        select: Optional[Sequence[str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[Run]:
        """A page of the thread's runs, newest first (``GET /threads/{thread_id}/runs``)."""
        from ..models import Run

        query = {"limit": limit, "offset": offset, "status": status, "select": select or None}
        path = _runs_path(_checked(thread_id, "thread_id"))
        return self._rest.model(List[Run], "GET", path, **call_options(headers, params, timeout, deadline, query))

    def cancel(
        self,
        thread_id: str,
        run_id: str,
        *,
        wait: bool = False,
        action: str = "interrupt",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Cancel a run (``POST /threads/{thread_id}/runs/{run_id}/cancel``).

        ``action`` is "interrupt" (keep what it has done) or "rollback" (undo it, and delete the run); ``wait=True``
        returns when it has stopped. Raises NotFoundError if it has ended already.
        """
        _check_choice("action", action, ("interrupt", "rollback"))
        query = {"wait": 1 if wait else 0, "action": action}
        path = f"{_run_path(thread_id, run_id)}/cancel"
        self._rest.accepted("POST", path, **call_options(headers, params, timeout, deadline, query))

    def _open(
        self,
        start: Union[RunStart, RunJoin],
        policy: Policy,
        on_close: str,
        messages_key: str,
        deadline: Optional[float],
        *,
        begins_midway: bool = False,
    ) -> RunStream:
        end = Deadline(self._rest.deadline if deadline is None else deadline)
        delivery = Delivery(self._rest, start, policy, end, begins_midway=begins_midway)
        return RunStream(
            delivery,
            modes=start.modes,
            on_close=on_close,
            messages_key=messages_key,
            capabilities=self._rest.transport.capabilities,
        )

    def _policy(
        self,
        start: Union[RunStart, RunJoin],
        *,
        resumable: bool = True,
        place: Place = _START,
        replaying: bool = False,
    ) -> Policy:
        return Policy(
            budget=self._reconnect,
            idle=(start.timeout or self._rest.transport.timeout).read,
            start=start.position if isinstance(start, RunJoin) else _FROM_THE_START,
            resumable=resumable,
            place=place,
            replaying=replaying,
        )

    def _waiting(
        self,
        thread_id: str,
        run_id: str,
        deadline: Deadline,
        cancels: bool,
        headers: Optional[Mapping[str, str]],
        params: Optional[Mapping[str, Any]],
        timeout: TimeoutValue,
    ) -> RunWait:
        policy = Policy(budget=self._reconnect, idle=None)
        limits = _timeout(timeout) or self._rest.transport.timeout
        return RunWait(
            Rest(self._rest.transport),
            thread_id,
            run_id,
            policy,
            deadline,
            limits,
            headers or {},
            params or {},
            cancels,
        )

    def _active_run(self, thread_id: str, options: CallOptions) -> str:
        """The run at work on the thread, else the next to begin (``GET /threads/{thread_id}/runs``)."""
        path = _runs_path(_checked(thread_id, "thread_id"))
        given = options.get("params") or {}
        for status in UNFINISHED[::-1]:
            options["params"] = {"limit": 1000, "status": status, **given}
            runs = self._rest.call("GET", path, **options)
            if runs:
                # Newest first; the oldest is the next one.
                return str(runs[-1]["run_id"])
        url = f"{path}?status=running"
        raise NotFoundError(
            f"No run is at work on thread {thread_id}; name the run_id of one that has ended to stream it, or read "
            "the thread's state",
            url=url,
            status_code=404,
        )

    def _modes(self, stream_mode: Optional[Names]) -> Tuple[str, ...]:
        transport = self._rest.transport
        if stream_mode is None:
            return transport.capabilities.default_modes
        modes = _checked_modes(stream_mode)
        for mode in modes:
            if mode not in transport.capabilities.stream_modes:
                refuse(f'stream_mode="{mode}"', transport.name, hint=transport.capabilities.hints.get(mode, ""))
        return modes

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


def _checked_modes(stream_mode: Names) -> Tuple[str, ...]:
    modes = (stream_mode,) if isinstance(stream_mode, str) else tuple(stream_mode)
    for mode in modes:
        _check_choice("stream_mode", mode, STREAM_MODES)
    if not modes:
        raise ConfigurationError(f"stream_mode needs at least one of: {', '.join(STREAM_MODES)}")
    return modes


def _check_choice(name: str, value: str, choices: Tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}; not {value!r}")


def _payload(arguments: Mapping[str, Any], **fields: Any) -> Dict[str, Any]:
    """The body of a run, from the arguments of the method that starts it; its signature is the list of fields."""
    if not arguments["assistant_id"]:
        raise ConfigurationError("assistant_id must be an assistant's id or a graph's name, not empty")
    if arguments["input"] is not None and arguments["command"] is not None:
        raise ConfigurationError("Give input or command, not both: an answer to an interrupt goes into the command")
    for name in ("command", "config", "metadata", "checkpoint"):
        value = arguments.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise WrongType(f"{name} must be a mapping such as a dict, not {type(value).__name__}")
    named = {field: arguments[name] for name, field in _BODY_FIELDS.items() if name in arguments}
    return drop_unset({**named, **fields})


def _checked(value: str, what: str) -> str:
    segment(value, what)
    return str(value)


def _values_of(values: Any, raise_error: bool, thread_id: Optional[str], run_id: Optional[str]) -> Any:
    if raise_error and isinstance(values, dict) and "__error__" in values:
        raise run_error(values["__error__"], thread_id=thread_id, run_id=run_id)
    return values


def _timeout(timeout: TimeoutValue) -> Optional[Timeout]:
    return None if timeout is None else Timeout.of(timeout)


def _runs_path(thread_id: Optional[str]) -> str:
    return "/runs" if thread_id is None else f"/threads/{segment(thread_id, 'thread_id')}/runs"


def _run_path(thread_id: str, run_id: str) -> str:
    return f"{_runs_path(_checked(thread_id, 'thread_id'))}/{segment(run_id, 'run_id')}"
