"""Assistants: graphs with a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Optional

from ..paths import segment
from ._options import TimeoutValue, call_options, drop_unset

if TYPE_CHECKING:
    from ..models import Assistant
    from ..rest import Rest

__all__ = ["AssistantsClient"]


class AssistantsClient:
    """``client.assistants``. Every method raises the errors of :mod:`lgsync.errors`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def get(
        self,
        assistant_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Assistant:
        """The assistant of that id (``GET /assistants/{assistant_id}``)."""
        from ..models import Assistant

        path = f"/assistants/{segment(assistant_id, 'assistant_id')}"
        return self._rest.model(Assistant, "GET", path, **call_options(headers, params, timeout, deadline))

    def search(
        self,
        *,
        metadata: Optional[Mapping[str, Any]] = None,
        graph_id: Optional[str] = None,
        name: Optional[str] = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: Optional[str] = None,
        sort_order: Optional[str] = None,
        select: Optional[List[str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[Assistant]:
        """A page of the assistants that match (``POST /assistants/search``)."""
        from ..models import Assistant

        body = drop_unset(
            {
                "metadata": metadata,
                "graph_id": graph_id,
                "name": name,
                "limit": limit,
                "offset": offset,
                "sort_by": sort_by,
                "sort_order": sort_order,
                "select": select,
            }
        )
        return self._rest.model(
            List[Assistant], "POST", "/assistants/search", **call_options(headers, params, timeout, deadline, json=body)
        )
