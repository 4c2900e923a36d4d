"""Threads: conversations, and the state they keep between runs."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterator,
    List,
    Literal,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
    cast,
    get_args,
    overload,
)

from ..errors import ConfigurationError, ResponseError
from ..parsing import state_as
from ..paths import segment, thread_path
from ..plain import checked_mapping
from ..policy import Policy
from ..schema import OnConflictBehavior, PruneStrategy, SortOrder, ThreadSortBy, ThreadStatus, ThreadStreamMode
from ..thread_events import ThreadEvents
from ..transport import ThreadJoin
from ._options import (
    CheckpointLike,
    TimeoutValue,
    call_options,
    check_choice,
    checked_id,
    drop_empty,
    drop_unset,
    plain_checkpoint,
    timeout_of,
)
from ._pages import by_last, by_offset, with_key

if TYPE_CHECKING:
    from ..models import Thread, ThreadPruneResponse, ThreadState, ThreadStorage, ThreadUpdateStateResponse
    from ..rest import Rest
    from ..schema import Json

__all__ = ["ThreadsClient"]

M = TypeVar("M")

TTL = Union[float, Mapping[str, Any], None]


class ThreadsClient:
    """``client.threads``. Every method raises the errors of :mod:`lgsync.errors`.

    What several methods have in common:

    - ``ttl``: minutes until the thread is deleted, or ``{"ttl": minutes, "strategy": "delete" or "keep_latest"}``.
    - ``metadata``, ``values``: of a thread to be found, they must hold all of this.
    - ``select``: the fields to be sent, all others being left out. Of a state also ``"values.<key>"``. Servers that do
      not know it send all.
    - ``extract``: of each thread found also these, as ``extracted``: ``{"last": "values.messages[-1].content"}``.
    - ``checkpoint``: of an answer, or its ``checkpoint_id`` in a dictionary.
    - ``subgraphs=True``: the tasks hold the state of their subgraphs, too.
    - ``model``: a class of yours that a state's values are read as: a pydantic model, a dataclass or a TypedDict.
      Raises StateMismatch if they do not fit.

    ``headers``, ``params``, ``timeout`` and ``deadline`` are for the one call.
    """

    def __init__(self, rest: Rest, reconnect: float = 60.0) -> None:
        self._rest = rest
        self._reconnect = reconnect

    # -- threads -------------------------------------------------------------------------------------------------------

    def get(
        self,
        thread_id: str,
        *,
        include: Optional[Sequence[str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Thread:
        """The thread of that id (``GET /threads/{thread_id}``); ``include=["ttl"]`` adds its time to live."""
        from ..models import Thread

        query = {"include": ",".join(_listed(include)) or None}
        return self._rest.model(
            Thread, "GET", thread_path(thread_id), **call_options(headers, params, timeout, deadline, query)
        )

    def create(
        self,
        *,
        metadata: Optional[Json] = None,
        thread_id: Optional[str] = None,
        if_exists: Optional[OnConflictBehavior] = None,
        supersteps: Optional[Sequence[Mapping[str, Any]]] = None,
        graph_id: Optional[str] = None,
        ttl: TTL = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Thread:
        """Create a thread (``POST /threads``).

        ``thread_id`` is a UUID, the server's choice if left out; ``if_exists`` says what becomes of the request if
        there is that thread: "raise" (ConflictError) or "do_nothing" (the one there is returned). ``graph_id`` is kept
        in the metadata: a state can be written before the first run then.

        ``supersteps`` copy another thread's state: each is ``{"updates": [...]}``, and each of these holds ``as_node``,
        and ``values`` or ``command``.
        """
        from ..models import Thread

        body = drop_empty(
            {
                "thread_id": None if thread_id is None else checked_id(thread_id, "thread_id"),
                "metadata": {
                    **checked_mapping("metadata", metadata or {}),
                    **({"graph_id": graph_id} if graph_id else {}),
                },
                "if_exists": if_exists,
                "supersteps": [_superstep(step) for step in supersteps or ()],
                "ttl": _ttl(ttl),
            }
        )
        return self._rest.model(
            Thread, "POST", "/threads", **call_options(headers, params, timeout, deadline, json=body)
        )

    @overload
    def update(
        self,
        thread_id: str,
        *,
        metadata: Mapping[str, Any],
        ttl: TTL = None,
        return_minimal: Literal[False] = False,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Thread: ...

    @overload
    def update(
        self,
        thread_id: str,
        *,
        metadata: Mapping[str, Any],
        ttl: TTL = None,
        return_minimal: Literal[True],
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None: ...

    @overload
    def update(
        self,
        thread_id: str,
        *,
        metadata: Mapping[str, Any],
        ttl: TTL = None,
        return_minimal: bool,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Optional[Thread]: ...

    def update(
        self,
        thread_id: str,
        *,
        metadata: Mapping[str, Any],
        ttl: TTL = None,
        return_minimal: bool = False,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Optional[Thread]:
        """Add to a thread's metadata, and set its time to live (``PATCH /threads/{thread_id}``).

        ``return_minimal=True`` asks the server not to send the thread, and returns None.
        """
        from ..models import Thread

        body = {"metadata": metadata, **drop_unset({"ttl": _ttl(ttl)})}
        path = thread_path(thread_id)
        if return_minimal:
            asking = {**(headers or {}), "Prefer": "return=minimal"}
            self._rest.accepted("PATCH", path, **call_options(asking, params, timeout, deadline, json=body))
            return None
        return self._rest.model(Thread, "PATCH", path, **call_options(headers, params, timeout, deadline, json=body))

    def delete(
        self,
        thread_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Delete a thread, its state and its runs (``DELETE /threads/{thread_id}``)."""
        self._rest.accepted("DELETE", thread_path(thread_id), **call_options(headers, params, timeout, deadline))

    def search(
        self,
        *,
        metadata: Optional[Json] = None,
        values: Optional[Json] = None,
        ids: Optional[Sequence[str]] = None,
        status: Optional[ThreadStatus] = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: Optional[ThreadSortBy] = None,
        sort_order: Optional[SortOrder] = None,
        select: Optional[Sequence[str]] = None,
        extract: Optional[Mapping[str, str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[Thread]:
        """A page of the threads that match (``POST /threads/search``), up to 1,000; :meth:`iter` gives all of them."""
        from ..models import Thread

        filters = {
            "metadata": metadata,
            "values": values,
            "ids": [checked_id(thread_id, "thread_id") for thread_id in _listed(ids)],
            "status": status,
            "sort_by": sort_by,
            "sort_order": sort_order,
            "select": _listed(select),
            "extract": extract,
        }
        body = {"limit": limit, "offset": offset, **drop_empty(filters)}
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(List[Thread], "POST", "/threads/search", partial=bool(select), **options)

    def iter(
        self,
        *,
        metadata: Optional[Json] = None,
        values: Optional[Json] = None,
        ids: Optional[Sequence[str]] = None,
        status: Optional[ThreadStatus] = None,
        sort_by: ThreadSortBy = "created_at",
        sort_order: Optional[SortOrder] = None,
        select: Optional[Sequence[str]] = None,
        extract: Optional[Mapping[str, str]] = None,
        limit: Optional[int] = None,
        page_size: int = 100,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[Thread]:
        """All threads that match, each once, page by page as the loop goes on (:meth:`search`); newest first.

        ``limit`` is how many at most; ``select`` always adds the id. ``timeout`` and ``deadline`` are for each page.
        Pages are counted from the front: a loop that deletes threads, or changes what they are sorted or found by,
        takes ``list(client.threads.iter(...))`` first, or it passes some over.
        """
        fields = with_key(_listed(select), "thread_id")

        def page(count: int, offset: int) -> Sequence[Thread]:
            return self.search(
                metadata=metadata,
                values=values,
                ids=ids,
                status=status,
                limit=count,
                offset=offset,
                sort_by=sort_by,
                sort_order=sort_order,
                select=fields,
                extract=extract,
                headers=headers,
                params=params,
                timeout=timeout,
                deadline=deadline,
            )

        return by_offset(page, lambda thread: thread.thread_id, limit=limit, page_size=page_size)

    def count(
        self,
        *,
        metadata: Optional[Json] = None,
        values: Optional[Json] = None,
        status: Optional[ThreadStatus] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> int:
        """How many threads match (``POST /threads/count``)."""
        body = drop_empty({"metadata": metadata, "values": values, "status": status})
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(int, "POST", "/threads/count", **options)

    def copy(
        self,
        thread_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Thread:
        """Copy a thread with its whole history (``POST /threads/{thread_id}/copy``); returns the copy."""
        from ..models import Thread

        path = f"{thread_path(thread_id)}/copy"
        return self._rest.model(Thread, "POST", path, **call_options(headers, params, timeout, deadline))

    def prune(
        self,
        thread_ids: Sequence[str],
        *,
        strategy: PruneStrategy = "delete",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadPruneResponse:
        """Delete threads (``POST /threads/prune``), or with ``strategy="keep_latest"`` all but their latest state.

        Those that are not there are passed over: ``pruned_count`` says how many were.
        """
        from ..models import ThreadPruneResponse

        check_choice("strategy", strategy, get_args(PruneStrategy))
        body: Dict[str, Any] = {"thread_ids": [checked_id(thread_id, "thread_id") for thread_id in _listed(thread_ids)]}
        if strategy != "delete":
            body["strategy"] = strategy
        options = call_options(headers, params, timeout, deadline, json=body)
        return self._rest.model(ThreadPruneResponse, "POST", "/threads/prune", **options)

    def get_storage(
        self,
        thread_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadStorage:
        """How many bytes the thread takes on the server (``GET /threads/{thread_id}/storage``).

        Servers that do not tell answer with 404 or 501.
        """
        from ..models import ThreadStorage

        path = f"{thread_path(thread_id)}/storage"
        return self._rest.model(ThreadStorage, "GET", path, **call_options(headers, params, timeout, deadline))

    # -- states --------------------------------------------------------------------------------------------------------

    @overload
    def get_state(
        self,
        thread_id: str,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        *,
        subgraphs: bool = False,
        select: Optional[Sequence[str]] = None,
        model: None = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadState: ...

    @overload
    def get_state(
        self,
        thread_id: str,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        *,
        subgraphs: bool = False,
        select: Optional[Sequence[str]] = None,
        model: Type[M],
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadState[M]: ...

    def get_state(
        self,
        thread_id: str,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        *,
        subgraphs: bool = False,
        select: Optional[Sequence[str]] = None,
        model: Optional[Type[M]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadState:
        """The thread's latest state (``GET /threads/{thread_id}/state``), or that of a checkpoint.

        Follows ``POST …/state/checkpoint`` for a ``checkpoint``, ``GET …/state/{checkpoint_id}`` for its id alone.
        """
        from ..models import ThreadState

        path = f"{thread_path(thread_id)}/state"
        at = plain_checkpoint(checkpoint)
        asked = {"subgraphs": subgraphs, "select": _listed(select) or None}
        if at:
            body = {"checkpoint": at, **drop_unset(asked)}
            options = call_options(headers, params, timeout, deadline, json=body, reads=True)
            state = self._rest.model(ThreadState, "POST", f"{path}/checkpoint", **options)
        else:
            path = f"{path}/{segment(checkpoint_id, 'checkpoint_id')}" if checkpoint_id else path
            state = self._rest.model(
                ThreadState, "GET", path, **call_options(headers, params, timeout, deadline, asked)
            )
        return _as(model, state, thread_id)

    def update_state(
        self,
        thread_id: str,
        values: object,
        *,
        as_node: Optional[str] = None,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadUpdateStateResponse:
        """Write to the thread's state as if the node ``as_node`` had (``POST /threads/{thread_id}/state``).

        ``values`` is what a node would return: a mapping, a model or a dataclass, a list of those, or None for nothing.
        A checkpoint says what state to go on from, the latest if left out. Raises ConflictError while a run is at work
        on the thread.
        """
        from ..models import ThreadUpdateStateResponse

        place = {"checkpoint_id": checkpoint_id, "checkpoint": plain_checkpoint(checkpoint), "as_node": as_node}
        options = call_options(headers, params, timeout, deadline, json={"values": values, **drop_empty(place)})
        return self._rest.model(ThreadUpdateStateResponse, "POST", f"{thread_path(thread_id)}/state", **options)

    @overload
    def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: Union[str, CheckpointLike, None] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[CheckpointLike] = None,
        select: Optional[Sequence[str]] = None,
        model: None = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[ThreadState]: ...

    @overload
    def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: Union[str, CheckpointLike, None] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[CheckpointLike] = None,
        select: Optional[Sequence[str]] = None,
        model: Type[M],
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[ThreadState[M]]: ...

    def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: Union[str, CheckpointLike, None] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[CheckpointLike] = None,
        select: Optional[Sequence[str]] = None,
        model: Optional[Type[M]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[ThreadState]:
        """A page of the thread's past states, newest first (``POST /threads/{thread_id}/history``), up to 1,000.

        ``before`` is a checkpoint, or its id: only what came before it. ``metadata`` is what the checkpoints' own holds
        (``{"run_id": …}``, ``{"source": "input"}``); ``checkpoint={"checkpoint_ns": …}`` gives a subgraph's states.
        See :meth:`iter_history` for all of them.
        """
        from ..models import ThreadState

        body = {
            "limit": limit,
            **drop_empty(
                {
                    "before": _before(before),
                    "metadata": metadata,
                    "checkpoint": plain_checkpoint(checkpoint),
                    "select": _listed(select),
                }
            ),
        }
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        states = self._rest.model(List[ThreadState], "POST", f"{thread_path(thread_id)}/history", **options)
        return [_as(model, state, thread_id) for state in states]

    @overload
    def iter_history(
        self,
        thread_id: str,
        *,
        before: Union[str, CheckpointLike, None] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[CheckpointLike] = None,
        select: Optional[Sequence[str]] = None,
        model: None = None,
        limit: Optional[int] = None,
        page_size: int = 20,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[ThreadState]: ...

    @overload
    def iter_history(
        self,
        thread_id: str,
        *,
        before: Union[str, CheckpointLike, None] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[CheckpointLike] = None,
        select: Optional[Sequence[str]] = None,
        model: Type[M],
        limit: Optional[int] = None,
        page_size: int = 20,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[ThreadState[M]]: ...

    def iter_history(
        self,
        thread_id: str,
        *,
        before: Union[str, CheckpointLike, None] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[CheckpointLike] = None,
        select: Optional[Sequence[str]] = None,
        model: Optional[Type[M]] = None,
        limit: Optional[int] = None,
        page_size: int = 20,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[ThreadState]:
        """All of the thread's past states, newest first, page by page as the loop goes on (:meth:`get_history`).

        Each comes once, whatever is added meanwhile. ``limit`` is how many at most; ``select`` always adds the
        checkpoint. ``timeout`` and ``deadline`` are for each page.
        """
        fields = with_key(_listed(select), "checkpoint")

        def page(count: int, last: Optional[ThreadState]) -> Sequence[ThreadState]:
            return self.get_history(
                thread_id,
                limit=count,
                before=before if last is None else _position_of(last),
                metadata=metadata,
                checkpoint=checkpoint,
                select=fields,
                model=cast(Type[Any], model),
                headers=headers,
                params=params,
                timeout=timeout,
                deadline=deadline,
            )

        return by_last(page, limit=limit, page_size=page_size)

    # -- streams -------------------------------------------------------------------------------------------------------

    def join_stream(
        self,
        thread_id: str,
        *,
        stream_mode: Union[ThreadStreamMode, Sequence[ThreadStreamMode]] = "run_modes",
        last_event_id: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadEvents:
        """Stream what happens on a thread, whoever starts it, until you close it (``GET /threads/{thread_id}/stream``).

        ``stream_mode`` is one mode or several: "run_modes" (all that runs say, under the names of their own stream
        modes), "lifecycle" (their starts and ends alone) and "state_update" (what :meth:`update_state` made of the
        state). The start of a run is a part ``metadata`` with its ``run_id`` and ``attempt``; its end is one with
        ``{"status": "run_done", "run_id": …}``, however it ended; what comes in between names no run.

        It shows what begins after this returns. ``last_event_id`` begins after a position instead, ``"-"`` at the start
        of the thread's first run, as far as the server keeps its runs' parts (``stream_resumable=True``).
        ``timeout`` is (connect, idle) in seconds: how long the server may be silent that sends no heartbeats.
        ``deadline``, in seconds, bounds all of the stream.

        Raises NotFoundError if there is no such thread, for which one request more is made (``GET
        /threads/{thread_id}/runs``): the stream itself would stay silent for ever. Raises UnsupportedByTransport if the
        client's transport has no such stream.
        """
        join = ThreadJoin(
            thread_id=checked_id(thread_id, "thread_id"),
            modes=_checked_modes(stream_mode),
            position=last_event_id or None,
            headers=headers or {},
            params=params or {},
            timeout=timeout_of(timeout),
        )
        # What is left out when a thread is taken up again, the thread's own place decides.
        policy = Policy(budget=self._reconnect, idle=(join.timeout or self._rest.timeout).read, resumable=False)
        return ThreadEvents(self._rest, join, policy, self._rest.deadline(deadline))


def _position_of(state: ThreadState) -> Union[str, CheckpointLike]:
    """What the next page of a history comes before."""
    position = state.checkpoint or state.checkpoint_id
    if not position:
        raise ResponseError(
            "The server names no checkpoint of a state, so no more can be asked for", url="", status=200
        )
    return position


def _listed(names: Union[str, Sequence[str], None]) -> List[str]:
    """A single one, too, where several may stand; a text is a sequence of its letters otherwise."""
    return [names] if isinstance(names, str) else list(names or ())


def _ttl(ttl: TTL) -> Optional[Mapping[str, Any]]:
    return {"ttl": ttl, "strategy": "delete"} if isinstance(ttl, (int, float)) else ttl


def _superstep(step: Mapping[str, Any]) -> Dict[str, Any]:
    """One step as the server takes it, to which null is no values, and no command, but not no node."""
    return {
        "updates": [
            {
                "values": update.get("values"),
                "command": update.get("command"),
                **drop_unset({"as_node": update.get("as_node")}),
            }
            for update in step["updates"]
        ]
    }


def _before(before: Union[str, CheckpointLike, None]) -> Optional[Mapping[str, Any]]:
    """The checkpoint in both forms: as the API's document has it, and below ``configurable``, where servers look."""
    if not before:
        return None
    plain = {"checkpoint_id": before} if isinstance(before, str) else plain_checkpoint(before)
    return plain if not plain or "configurable" in plain else {**plain, "configurable": plain}


def _as(model: Optional[Type[M]], state: ThreadState, thread_id: str) -> ThreadState:
    if model is None:
        return state
    at = state.checkpoint.checkpoint_id if state.checkpoint else None
    what = f"The state of thread {thread_id}" + (f" at checkpoint {at}" if at else "")
    return state.model_copy(update={"values": state_as(model, state.values, what)})


def _checked_modes(stream_mode: Union[str, Sequence[str]]) -> Tuple[str, ...]:
    modes = tuple(_listed(stream_mode))
    for mode in modes:
        check_choice("stream_mode", mode, get_args(ThreadStreamMode))
    if not modes:
        raise ConfigurationError(f"stream_mode needs at least one of: {', '.join(get_args(ThreadStreamMode))}")
    return modes
