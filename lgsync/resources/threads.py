"""Threads: conversations, and the state they keep between runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union

from ..paths import segment
from ._options import CheckpointLike, TimeoutValue, call_options, drop_unset, plain_checkpoint

if TYPE_CHECKING:
    from ..models import Thread, ThreadState
    from ..rest import Rest

__all__ = ["ThreadsClient"]


class ThreadsClient:
    """``client.threads``. Every method raises the errors of :mod:`lgsync.errors`."""

    def __init__(self, rest: Rest, reconnect: float = 60.0) -> None:
        self._rest = rest
        self._reconnect = reconnect

    def create(
        self,
        *,
        metadata: Optional[Mapping[str, Any]] = None,
        thread_id: Optional[str] = None,
        if_exists: Optional[str] = None,
        supersteps: Optional[Sequence[Mapping[str, Any]]] = None,
        graph_id: Optional[str] = None,
        ttl: Union[int, Mapping[str, Any], None] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Thread:
        """Create a thread (``POST /threads``).

        ``if_exists`` is "raise" (409) or "do_nothing"; ``ttl`` is minutes, or the server's own mapping;
        ``supersteps`` are updates to apply in order, to copy a thread's state.
        """
        from ..models import Thread

        if graph_id is not None:
            metadata = {**(metadata or {}), "graph_id": graph_id}
        body = drop_unset(
            {
                "thread_id": None if thread_id is None else str(thread_id),
                "metadata": metadata,
                "if_exists": if_exists,
                "supersteps": None if supersteps is None else _supersteps(supersteps),
                "ttl": {"ttl": ttl, "strategy": "delete"} if isinstance(ttl, (int, float)) else ttl,
            }
        )
        return self._rest.model(
            Thread, "POST", "/threads", **call_options(headers, params, timeout, deadline, json=body)
        )

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

        query = {"include": ",".join(include) if include else None}
        return self._rest.model(
            Thread, "GET", _path(thread_id), **call_options(headers, params, timeout, deadline, query)
        )

    def delete(
        self,
        thread_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Delete a thread and its state (``DELETE /threads/{thread_id}``)."""
        self._rest.accepted("DELETE", _path(thread_id), **call_options(headers, params, timeout, deadline))

    def get_state(
        self,
        thread_id: str,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        *,
        subgraphs: bool = False,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ThreadState:
        """The thread's state: the latest, or that of a checkpoint (``GET /threads/{thread_id}/state`` and kin)."""
        from ..models import ThreadState

        if checkpoint is not None:
            path, body = (
                f"{_path(thread_id)}/state/checkpoint",
                {"checkpoint": plain_checkpoint(checkpoint), "subgraphs": subgraphs},
            )
            return self._rest.model(
                ThreadState, "POST", path, **call_options(headers, params, timeout, deadline, json=body)
            )
        path = f"{_path(thread_id)}/state"
        if checkpoint_id is not None:
            path = f"{path}/{segment(checkpoint_id, 'checkpoint_id')}"
        query = {"subgraphs": "true" if subgraphs else None}
        return self._rest.model(ThreadState, "GET", path, **call_options(headers, params, timeout, deadline, query))

    def update_state(
        self,
        thread_id: str,
        values: Union[Mapping[str, Any], Sequence[Mapping[str, Any]], None],
        *,
        as_node: Optional[str] = None,
        checkpoint: Optional[CheckpointLike] = None,
        checkpoint_id: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Dict[str, Any]:
        """Write to the thread's state as if ``as_node`` had (``POST /threads/{thread_id}/state``).

        Returns the server's answer: ``{"checkpoint": {…}}``, the new checkpoint.
        """
        body = {
            "values": values,
            **drop_unset(
                {
                    "as_node": as_node,
                    "checkpoint": plain_checkpoint(checkpoint),
                    "checkpoint_id": checkpoint_id,
                }
            ),
        }
        path = f"{_path(thread_id)}/state"
        return self._rest.model(
            Dict[str, Any], "POST", path, **call_options(headers, params, timeout, deadline, json=body)
        )

    def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: Union[str, CheckpointLike, None] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        checkpoint: Optional[CheckpointLike] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[ThreadState]:
        """The thread's past states, newest first (``POST /threads/{thread_id}/history``)."""
        from ..models import ThreadState

        body = drop_unset(
            {
                "limit": limit,
                "before": before if isinstance(before, str) else plain_checkpoint(before),
                "metadata": metadata,
                "checkpoint": plain_checkpoint(checkpoint),
            }
        )
        path = f"{_path(thread_id)}/history"
        return self._rest.model(
            List[ThreadState], "POST", path, **call_options(headers, params, timeout, deadline, json=body)
        )


def _path(thread_id: str) -> str:
    return f"/threads/{segment(thread_id, 'thread_id')}"


def _supersteps(supersteps: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    return [{"updates": [drop_unset(update) for update in step["updates"]]} for step in supersteps]
