"""Runs: an assistant at work on a thread, streamed, waited for or left to itself."""

from __future__ import annotations

import contextlib
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Literal,
    Mapping,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
    get_args,
    overload,
)

from ..answers import data_of
from ..cursor import Cursor, Place
from ..errors import ConfigurationError, ConnectionLost, DeadlineExceeded, WrongType, run_error
from ..named_run import may_have_started
from ..parsing import state_as
from ..parts import as_v2
from ..paths import ids_in, run_path, runs_path
from ..rest import CallOptions, Rest
from ..run_defaults import RunDefaults
from ..run_stream import RunStream
from ..schema import (
    All,
    BulkCancelRunsStatus,
    CancelAction,
    Command,
    Config,
    DisconnectMode,
    Durability,
    IfNotExists,
    Json,
    LangSmithTracing,
    MultitaskStrategy,
    OnCompletionBehavior,
    RunCreate,
    RunCreateMetadata,
    RunOptions,
    RunStatus,
    StreamMode,
    StreamPartV2,
    StreamVersion,
)
from ..transport import RUN_STARTS, RunJoin, RunStart
from ._graphs import known_graphs_named
from ._options import TimeoutValue, call_options, check_choice, checked_id, drop_unset, params_of, timeout_of
from ._pages import by_offset, with_key
from ._run_body import checked_modes, run_body, unknown_fields, warn_of_checkpoint_during
from ._run_streams import FROM_THE_START, START, RunStreams

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import Run
    from ._options import CheckpointLike

__all__ = ["RunsClient"]

M = TypeVar("M")

Modes = Union[StreamMode, Sequence[StreamMode]]
Nodes = Union[All, Sequence[str]]
OnRunCreated = Callable[[RunCreateMetadata], None]

_DEFAULTS = RunDefaults()


class _AttendedOptions(RunOptions, total=False):
    """What both methods take by name that start a run and stay with it."""

    checkpoint: Optional[CheckpointLike]
    on_disconnect: Optional[DisconnectMode]
    langsmith_tracing: Union[LangSmithTracing, Json, None]
    on_run_created: Optional[OnRunCreated]
    strict_resume: Optional[bool]
    on_close: Optional[DisconnectMode]
    headers: Optional[Mapping[str, str]]
    params: Optional[Mapping[str, Any]]
    timeout: TimeoutValue
    deadline: Optional[float]


class _StreamOptions(_AttendedOptions, total=False):
    """What :meth:`RunsClient.stream` takes by name, but ``version``."""

    stream_mode: Optional[Modes]
    stream_subgraphs: bool
    stream_resumable: bool
    feedback_keys: Optional[Sequence[str]]
    raise_error: Optional[bool]
    messages_key: str


class _WaitOptions(_AttendedOptions, total=False):
    """What :meth:`RunsClient.wait` takes by name, but ``model``."""

    raise_error: bool


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
    - ``on_completion`` for a run without a thread: "delete" or "keep" the one that it was given.
    - ``on_run_created`` is called with ``{"run_id": …, "thread_id": …}`` once the server has taken the run.
    - ``strict_resume``: the run fails (``UnknownInterruptError``) if it answers, by its id, an interrupt that is not
      pending. A server whose ``info().flags`` do not name it runs all the same: the answer is ignored.

    A field left at None is not sent. ``headers``, ``params``, ``timeout`` and ``deadline`` are for the one call, and
    for what is asked about its run; ``deadline`` is in seconds, and bounds all of it, the stream too.
    """

    def __init__(self, rest: Rest, reconnect: float = 60.0, defaults: RunDefaults = _DEFAULTS) -> None:
        self._rest = rest
        self._defaults = defaults
        self._streams = RunStreams(rest, reconnect, defaults)

    @overload
    def stream(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        version: Literal["v2"],
        **options: Unpack[_StreamOptions],
    ) -> RunStream[StreamPartV2]: ...

    @overload
    def stream(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,
        command: Union[Command, Json, None] = None,
        stream_mode: Optional[Modes] = None,
        stream_subgraphs: bool = False,
        stream_resumable: bool = True,
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        checkpoint_during: Optional[bool] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        feedback_keys: Optional[Sequence[str]] = None,
        on_disconnect: Optional[DisconnectMode] = None,
        on_completion: Optional[OnCompletionBehavior] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[MultitaskStrategy] = None,
        if_not_exists: Optional[IfNotExists] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Union[LangSmithTracing, Json, None] = None,
        on_run_created: Optional[OnRunCreated] = None,
        durability: Optional[Durability] = None,
        strict_resume: Optional[bool] = None,
        version: Literal["v1"] = "v1",
        raise_error: Optional[bool] = None,
        on_close: Optional[DisconnectMode] = None,
        messages_key: str = "messages",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> RunStream: ...

    def stream(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,  # noqa: A002 (the API's own name)
        command: Union[Command, Json, None] = None,
        stream_mode: Optional[Modes] = None,
        stream_subgraphs: bool = False,
        stream_resumable: bool = True,
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        checkpoint_during: Optional[bool] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        feedback_keys: Optional[Sequence[str]] = None,
        on_disconnect: Optional[DisconnectMode] = None,
        on_completion: Optional[OnCompletionBehavior] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[MultitaskStrategy] = None,
        if_not_exists: Optional[IfNotExists] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Union[LangSmithTracing, Json, None] = None,
        on_run_created: Optional[OnRunCreated] = None,
        durability: Optional[Durability] = None,
        strict_resume: Optional[bool] = None,
        version: StreamVersion = "v1",
        raise_error: Optional[bool] = None,
        on_close: Optional[DisconnectMode] = None,
        messages_key: str = "messages",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> RunStream[Any]:
        """Start a run and stream it (``POST /threads/{thread_id}/runs/stream``). The run starts at once.

        ``stream_mode`` is one mode or several: "messages", "messages-tuple", "values", "updates", "custom", "tasks",
        "checkpoints", "debug", "events", "tools", "lifecycle". Left out, it is the client's ``run_defaults``, or else
        what messages need: "messages-tuple" and "updates".
        ``stream_subgraphs=True`` also sends what subgraphs say, under their namespace. ``on_close`` says what becomes
        of the run if the stream is left early: "cancel" or "continue". ``messages_key`` is where the graph's state
        keeps its messages. ``version="v2"`` gives parts as dictionaries (``type``, ``ns``, ``data``, ``interrupts``).
        ``raise_error=False`` ends the stream of a failed run with its ``error`` part, and without RunError.

        ``stream_resumable=False`` tells the server not to keep the run's parts: a connection that breaks then costs
        those that come meanwhile.

        Raises UnsupportedByTransport, before anything is sent, for what the client's transport cannot carry.
        """
        warn_of_checkpoint_during(checkpoint_during)
        check_choice("version", version, ("v1", "v2"))
        modes = self._streams.modes(stream_mode)
        leaving = self._streams.on_close(on_close, self._defaults.on_close)
        if thread_id is None and on_disconnect is None and leaving == "cancel":
            # Nothing names the thread of such a run, so only the server itself can cancel it.
            on_disconnect = "cancel"
        start = RunStart(
            thread_id=None if thread_id is None else checked_id(thread_id, "thread_id"),
            payload=run_body(locals(), stream_mode=list(modes)),
            headers=headers or {},
            params=params_of(params),
            timeout=timeout_of(timeout),
        )
        return self._streams.started(
            start,
            leaving,
            deadline,
            messages_key=messages_key,
            raise_error=raise_error,
            on_run_created=on_run_created,
            show=as_v2 if version == "v2" else None,
        )

    def join_stream(
        self,
        thread_id: str,
        run_id: Optional[str] = None,
        *,
        stream_mode: Optional[Modes] = None,
        stream_subgraphs: bool = True,
        last_event_id: Optional[str] = None,
        cancel_on_disconnect: bool = False,
        raise_error: Optional[bool] = None,
        on_close: DisconnectMode = "continue",
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
        modes = () if stream_mode is None else self._streams.modes(stream_mode)
        leaving = self._streams.on_close(on_close, "continue")
        options = call_options(headers, params, timeout, deadline)
        if run_id is None:
            run_id = self._streams.active_run(checked_id(thread_id, "thread_id"), options)
        join = RunJoin(
            thread_id=checked_id(thread_id, "thread_id"),
            run_id=checked_id(run_id, "run_id"),
            modes=modes,
            position=FROM_THE_START if last_event_id is None else last_event_id,
            stream_subgraphs=stream_subgraphs,
            cancel_on_disconnect=cancel_on_disconnect,
            headers=headers or {},
            params=params_of(params),
            timeout=timeout_of(timeout),
        )
        place = START if join.position in RUN_STARTS else Place(join.position)
        return self._streams.joined(join, place, leaving, deadline, messages_key=messages_key, raise_error=raise_error)

    def resume(
        self,
        cursor: Union[Cursor, str],
        *,
        replay: bool = True,
        raise_error: Optional[bool] = None,
        on_close: DisconnectMode = "continue",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> RunStream:
        """Go on with a run's stream where ``cursor`` stands: exactly the parts that remain, in any process.

        Follows ``GET /threads/{thread_id}/runs/{run_id}/stream``.
        ``cursor`` is ``run.cursor``, or its text. What the run said before is read again first, silently, so that
        messages are whole; ``replay=False`` leaves that out, and messages that had begun by then come whole at their
        end. Works while the run goes on and after it ended, as long as the server keeps its parts; what it did not keep
        is told as StreamLost, and messages come from the thread's state.
        Leaving the stream leaves the run going, unless ``on_close="cancel"``.

        Raises ConfigurationError for a text that is no cursor, and for one of another transport.
        """
        at = Cursor.parse(cursor)
        leaving = self._streams.on_close(on_close, "continue")
        transport = self._rest.transport
        if at.transport != transport.name:
            raise ConfigurationError(
                f'The cursor was made over transport="{at.transport}", whose positions "{transport.name}" does not '
                "know: resume it with a client of that transport, or stream the whole run again with join_stream"
            )
        join = RunJoin(
            thread_id=checked_id(at.thread_id, "thread_id"),
            run_id=checked_id(at.run_id, "run_id"),
            modes=at.modes,
            position=FROM_THE_START,
            narrowed=at.narrowed,
            stream_subgraphs=at.stream_subgraphs,
            headers=headers or {},
            params=params_of(params),
            timeout=timeout_of(timeout),
        )
        return self._streams.joined(
            join,
            at.place,
            leaving,
            deadline,
            messages_key=at.messages_key,
            raise_error=raise_error,
            replaying=replay,
        )

    def create(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,  # noqa: A002 (the API's own name)
        command: Union[Command, Json, None] = None,
        stream_mode: Optional[Modes] = None,
        stream_subgraphs: bool = False,
        stream_resumable: bool = True,
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        checkpoint_during: Optional[bool] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        on_completion: Optional[OnCompletionBehavior] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[MultitaskStrategy] = None,
        if_not_exists: Optional[IfNotExists] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Union[LangSmithTracing, Json, None] = None,
        on_run_created: Optional[OnRunCreated] = None,
        durability: Optional[Durability] = None,
        strict_resume: Optional[bool] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Run:
        """Start a run and return at once (``POST /threads/{thread_id}/runs``).

        It can be joined with :meth:`join_stream`; ``stream_mode`` says what it then has to show (default: the client's
        ``run_defaults``, or else "messages-tuple" and "updates").
        """
        warn_of_checkpoint_during(checkpoint_during)
        modes = checked_modes(stream_mode or self._defaults.stream_mode or ("messages-tuple", "updates"))
        body = run_body(locals(), stream_mode=list(modes))
        options = call_options(headers, params, timeout, deadline, json=body)
        run = self._created(thread_id, assistant_id, options)
        _tell(on_run_created, run.run_id, run.thread_id)
        return run

    def create_batch(
        self,
        payloads: Sequence[RunCreate],
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Sequence[Run]:
        """Start several runs with one request (``POST /runs/batch``); each payload is what :meth:`create` takes."""
        from ..models import Run

        bodies = _batched(payloads)
        return self._rest.model(
            List[Run], "POST", "/runs/batch", **call_options(headers, params, timeout, deadline, json=bodies)
        )

    @overload
    def wait(
        self, thread_id: Optional[str], assistant_id: str, *, model: Type[M], **options: Unpack[_WaitOptions]
    ) -> M: ...

    @overload
    def wait(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,
        command: Union[Command, Json, None] = None,
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        checkpoint_during: Optional[bool] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        on_disconnect: Optional[DisconnectMode] = None,
        on_completion: Optional[OnCompletionBehavior] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[MultitaskStrategy] = None,
        if_not_exists: Optional[IfNotExists] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Union[LangSmithTracing, Json, None] = None,
        on_run_created: Optional[OnRunCreated] = None,
        durability: Optional[Durability] = None,
        strict_resume: Optional[bool] = None,
        raise_error: bool = True,
        on_close: Optional[DisconnectMode] = None,
        model: None = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any: ...

    def wait(
        self,
        thread_id: Optional[str],
        assistant_id: str,
        *,
        input: Any = None,  # noqa: A002 (the API's own name)
        command: Union[Command, Json, None] = None,
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        checkpoint_during: Optional[bool] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        on_disconnect: Optional[DisconnectMode] = None,
        on_completion: Optional[OnCompletionBehavior] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[MultitaskStrategy] = None,
        if_not_exists: Optional[IfNotExists] = None,
        after_seconds: Optional[float] = None,
        langsmith_tracing: Union[LangSmithTracing, Json, None] = None,
        on_run_created: Optional[OnRunCreated] = None,
        durability: Optional[Durability] = None,
        strict_resume: Optional[bool] = None,
        raise_error: bool = True,
        on_close: Optional[DisconnectMode] = None,
        model: Optional[Type[M]] = None,
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
        that starts it (``POST /runs/wait``), which is never repeated. ``model`` is a class of yours that the values are
        read as: a pydantic model, a dataclass or a TypedDict; raises StateMismatch if they do not fit.
        """
        warn_of_checkpoint_during(checkpoint_during)
        cancels = self._streams.on_close(on_close, self._defaults.on_close) == "cancel"
        if thread_id is None and on_disconnect is None and cancels:
            # Nothing names the thread of such a run, so only the server itself can cancel it.
            on_disconnect = "cancel"
        options = call_options(headers, params, timeout, deadline, json=run_body(locals()))
        if thread_id is None or on_disconnect is not None:
            values = self._awaited(thread_id, assistant_id, on_run_created, options)
            return _values_of(values, raise_error, model, thread_id, None)
        end = self._rest.deadline(deadline)
        run = self._created(thread_id, assistant_id, options)
        wait = self._streams.waiting(thread_id, run.run_id, end, cancels, headers, params, timeout)
        values = wait.values(lambda: _tell(on_run_created, run.run_id, run.thread_id))
        return _values_of(values, raise_error, model, thread_id, run.run_id)

    @overload
    def join(
        self,
        thread_id: str,
        run_id: str,
        *,
        raise_error: Optional[bool] = None,
        model: Type[M],
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> M: ...

    @overload
    def join(
        self,
        thread_id: str,
        run_id: str,
        *,
        raise_error: Optional[bool] = None,
        model: None = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any: ...

    def join(
        self,
        thread_id: str,
        run_id: str,
        *,
        raise_error: Optional[bool] = None,
        model: Optional[Type[M]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """Wait for the end of a run that was started elsewhere, and return the state's values, as :meth:`wait` does.

        Follows ``GET /threads/{thread_id}/runs/{run_id}/join``. Whoever gives up waiting leaves the run going.
        ``raise_error`` left out is the client's ``run_defaults``.
        """
        end = self._rest.deadline(deadline)
        run_path(thread_id, run_id)
        wait = self._streams.waiting(thread_id, run_id, end, False, headers, params, timeout)
        raises = self._defaults.raise_error if raise_error is None else raise_error
        values = wait.values()
        if _says_not_found(values):
            # A run that is not there looks like one that failed so: this question tells.
            self.get(thread_id, run_id, headers=headers, params=params, timeout=timeout)
        return _values_of(values, raises, model, thread_id, run_id)

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
            Run, "GET", run_path(thread_id, run_id), **call_options(headers, params, timeout, deadline)
        )

    def list(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        offset: int = 0,
        status: Optional[RunStatus] = None,
        select: Optional[Sequence[str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[Run]:
        """A page of the thread's runs, newest first (``GET /threads/{thread_id}/runs``)."""
        from ..models import Run

        query = {"limit": limit, "offset": offset, "status": status, "select": select or None}
        path = runs_path(checked_id(thread_id, "thread_id"))
        options = call_options(headers, params, timeout, deadline, query)
        return self._rest.model(List[Run], "GET", path, partial=bool(select), **options)

    def iter(
        self,
        thread_id: str,
        *,
        status: Optional[RunStatus] = None,
        select: Optional[Sequence[str]] = None,
        limit: Optional[int] = None,
        page_size: int = 100,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[Run]:
        """All of the thread's runs, newest first, page by page as the loop goes on (:meth:`list`).

        ``limit`` is how many at most. ``timeout`` and ``deadline`` are for each page. With ``select`` the id comes too.
        """

        def page(count: int, offset: int) -> Sequence[Run]:
            return self.list(
                thread_id,
                limit=count,
                offset=offset,
                status=status,
                select=with_key(select, "run_id"),
                headers=headers,
                params=params,
                timeout=timeout,
                deadline=deadline,
            )

        return by_offset(page, lambda run: run.run_id, limit=limit, page_size=page_size)

    def cancel(
        self,
        thread_id: str,
        run_id: str,
        *,
        wait: bool = False,
        action: CancelAction = "interrupt",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Cancel a run (``POST /threads/{thread_id}/runs/{run_id}/cancel``).

        ``action`` is "interrupt" (keep what it has done) or "rollback" (undo it, and delete the run); ``wait=True``
        returns when it has stopped. Raises NotFoundError if it has ended already.
        """
        check_choice("action", action, get_args(CancelAction))
        query = {"wait": 1 if wait else 0, "action": action}
        path = f"{run_path(thread_id, run_id)}/cancel"
        self._rest.accepted("POST", path, **call_options(headers, params, timeout, deadline, query))

    def cancel_many(
        self,
        *,
        thread_id: Optional[str] = None,
        run_ids: Optional[Sequence[str]] = None,
        status: Optional[BulkCancelRunsStatus] = None,
        action: CancelAction = "interrupt",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Cancel several runs (``POST /runs/cancel``): some of a thread by their ids, or all of a ``status``.

        ``status`` is "pending", "running" or "all"; ``action`` is as in :meth:`cancel`. Raises NotFoundError if there
        is nothing to cancel.
        """
        check_choice("action", action, get_args(CancelAction))
        check_choice("status", status, get_args(BulkCancelRunsStatus))
        if thread_id is None and not run_ids and status is None:
            raise ConfigurationError("Say which runs to cancel: a thread_id with run_ids, or a status")
        if isinstance(run_ids, str):
            run_ids = [run_ids]
        body = drop_unset({"thread_id": thread_id, "run_ids": list(run_ids) if run_ids else None, "status": status})
        options = call_options(headers, params, timeout, deadline, {"action": action}, json=body)
        self._rest.accepted("POST", "/runs/cancel", **options)

    def delete(
        self,
        thread_id: str,
        run_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Delete the record of a run that has ended (``DELETE /threads/{thread_id}/runs/{run_id}``)."""
        self._rest.accepted("DELETE", run_path(thread_id, run_id), **call_options(headers, params, timeout, deadline))

    def _created(self, thread_id: Optional[str], assistant_id: str, options: CallOptions) -> Run:
        from ..models import Run

        with self._starting(thread_id, assistant_id):
            return self._rest.model(Run, "POST", runs_path(thread_id), **options)

    def _awaited(
        self, thread_id: Optional[str], assistant_id: str, on_run_created: Optional[OnRunCreated], options: CallOptions
    ) -> Any:
        """What the request that starts a run answers at the run's end."""
        with self._starting(thread_id, assistant_id):
            answer = self._rest.answer("POST", f"{runs_path(thread_id)}/wait", **options)
        told = ids_in(answer.headers)
        _tell(on_run_created, told.run_id, told.thread_id)
        return data_of(answer, "POST")

    @contextlib.contextmanager
    def _starting(self, thread_id: Optional[str], assistant_id: str) -> Iterator[None]:
        try:
            with known_graphs_named(self._rest, assistant_id):
                yield
        except (ConnectionLost, DeadlineExceeded) as exc:
            raise may_have_started(exc, thread_id) from exc


def _batched(payloads: Sequence[RunCreate]) -> List[Dict[str, Any]]:
    """The bodies of a batch; a field that is not known here is the server's to judge."""
    if isinstance(payloads, (str, bytes, Mapping)) or not all(isinstance(each, Mapping) for each in payloads):
        raise WrongType("payloads must be a list of mappings, each with what create() takes")
    return [run_body(each, **unknown_fields(each)) for each in payloads]


def _tell(on_run_created: Optional[OnRunCreated], run_id: Optional[str], thread_id: Optional[str]) -> None:
    if on_run_created is not None and run_id is not None:
        on_run_created({"run_id": run_id, "thread_id": thread_id})


def _says_not_found(values: Any) -> bool:
    failure = values.get("__error__") if isinstance(values, dict) else None
    return isinstance(failure, dict) and str(failure.get("message")).startswith("404")


def _values_of(
    values: Any, raise_error: bool, model: Optional[Type[M]], thread_id: Optional[str], run_id: Optional[str]
) -> Any:
    failed = isinstance(values, dict) and "__error__" in values
    if failed and raise_error:
        raise run_error(values["__error__"], thread_id=thread_id, run_id=run_id)
    if failed or model is None:
        return values
    return state_as(model, values, f"The state of run {run_id or ''} on thread {thread_id}")
