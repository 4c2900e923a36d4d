"""Assistants: graphs with a configuration."""

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
    TypedDict,
    Union,
    get_args,
    overload,
)

from ..answers import data_of
from ..errors import ConfigurationError
from ..parsing import parse
from ..paths import segment
from ..rest import Rest
from ..schema import AssistantSortBy, Config, Json, OnConflictBehavior, SortOrder
from ._graphs import id_advised, known_graphs_named
from ._options import TimeoutValue, call_options, check_choice, drop_empty, drop_unset
from ._pages import by_offset, with_key

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models import Assistant, AssistantsSearchResponse, Graph, GraphSchema

__all__ = ["AssistantsClient"]

# Where the server says that there is another page, and where it begins.
_NEXT = "x-pagination-next"


class _SearchOptions(TypedDict, total=False):
    """What :meth:`AssistantsClient.search` takes by name, but ``response_format``."""

    metadata: Optional[Json]
    graph_id: Optional[str]
    name: Optional[str]
    limit: int
    offset: int
    sort_by: Optional[AssistantSortBy]
    sort_order: Optional[SortOrder]
    select: Optional[Sequence[str]]
    headers: Optional[Mapping[str, str]]
    params: Optional[Mapping[str, Any]]
    timeout: TimeoutValue
    deadline: Optional[float]


class AssistantsClient:
    """``client.assistants``. Every method raises the errors of :mod:`lgsync.errors`.

    A server has an assistant of each of its graphs from the start, whose ``name`` is the graph's.
    ``headers``, ``params``, ``timeout`` and ``deadline`` are for the one call.
    """

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

        with id_advised(assistant_id):
            return self._rest.model(
                Assistant, "GET", _path(assistant_id), **call_options(headers, params, timeout, deadline)
            )

    def get_graph(
        self,
        assistant_id: str,
        *,
        xray: Union[int, bool] = False,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Graph:
        """The nodes and edges of the assistant's graph (``GET /assistants/{assistant_id}/graph``).

        ``xray=True`` draws subgraphs in place of the nodes that run them; a number says how many levels deep.
        """
        from ..models import Graph

        path = f"{_path(assistant_id)}/graph"
        options = call_options(headers, params, timeout, deadline, {"xray": xray})
        with id_advised(assistant_id):
            return self._rest.model(Graph, "GET", path, **options)

    def get_schemas(
        self,
        assistant_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> GraphSchema:
        """The JSON schemas of what its graph takes and gives (``GET /assistants/{assistant_id}/schemas``)."""
        from ..models import GraphSchema

        path = f"{_path(assistant_id)}/schemas"
        with id_advised(assistant_id):
            return self._rest.model(GraphSchema, "GET", path, **call_options(headers, params, timeout, deadline))

    def get_subgraphs(
        self,
        assistant_id: str,
        namespace: Optional[str] = None,
        recurse: bool = False,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Dict[str, GraphSchema]:
        """The schemas of the graph's subgraphs, by their namespace (``GET /assistants/{assistant_id}/subgraphs``).

        ``namespace`` picks one; ``recurse=True`` adds the subgraphs of subgraphs.
        """
        from ..models import GraphSchema

        path = f"{_path(assistant_id)}/subgraphs"
        if namespace is not None:
            path = f"{path}/{segment(namespace, 'namespace')}"
        options = call_options(headers, params, timeout, deadline, {"recurse": recurse})
        with id_advised(assistant_id):
            return self._rest.model(Dict[str, GraphSchema], "GET", path, **options)

    def create(
        self,
        graph_id: str,
        config: Union[Config, Json, None] = None,
        *,
        context: Any = None,
        metadata: Optional[Json] = None,
        assistant_id: Optional[str] = None,
        if_exists: Optional[OnConflictBehavior] = None,
        name: Optional[str] = None,
        description: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Assistant:
        """Create an assistant of a graph (``POST /assistants``).

        ``config`` and ``context`` are what its runs have unless they say otherwise; servers take settings in one of
        the two only. ``assistant_id`` is a UUID, the server's choice if left out; ``if_exists`` says what becomes of
        the request if there is that assistant: "raise" (ConflictError) or "do_nothing" (the one there is returned).
        Raises NotFoundError, which names the server's graphs, if ``graph_id`` is none of them.
        """
        from ..models import Assistant

        if not graph_id:
            raise ConfigurationError("graph_id must be the name of one of the server's graphs, not empty")
        check_choice("if_exists", if_exists, get_args(OnConflictBehavior))
        body = {
            "graph_id": graph_id,
            **drop_empty(
                {
                    "config": config,
                    "context": context,
                    "metadata": metadata,
                    "assistant_id": assistant_id,
                    "if_exists": if_exists,
                    "name": name,
                    "description": description,
                }
            ),
        }
        options = call_options(headers, params, timeout, deadline, json=body)
        with known_graphs_named(self._rest, graph_id):
            return self._rest.model(Assistant, "POST", "/assistants", **options)

    def update(
        self,
        assistant_id: str,
        *,
        graph_id: Optional[str] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        metadata: Optional[Json] = None,
        name: Optional[str] = None,
        description: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Assistant:
        """Make a new version of an assistant, which is its latest (``PATCH /assistants/{assistant_id}``).

        What is left out stays as it was. ``metadata`` is added to what there is; ``config`` and ``context`` replace it.
        """
        from ..models import Assistant

        body = {
            **drop_empty({"graph_id": graph_id, "metadata": metadata, "name": name, "description": description}),
            **drop_unset({"config": config, "context": context}),
        }
        options = call_options(headers, params, timeout, deadline, json=body)
        with known_graphs_named(self._rest, graph_id):
            return self._rest.model(Assistant, "PATCH", _path(assistant_id), **options)

    def delete(
        self,
        assistant_id: str,
        *,
        delete_threads: bool = False,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Delete an assistant with all its versions (``DELETE /assistants/{assistant_id}``).

        ``delete_threads=True`` deletes the threads whose metadata name it, too.
        """
        query = {"delete_threads": True if delete_threads else None}
        self._rest.accepted("DELETE", _path(assistant_id), **call_options(headers, params, timeout, deadline, query))

    @overload
    def search(
        self, *, response_format: Literal["object"], **options: Unpack[_SearchOptions]
    ) -> AssistantsSearchResponse: ...

    @overload
    def search(
        self,
        *,
        metadata: Optional[Json] = None,
        graph_id: Optional[str] = None,
        name: Optional[str] = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: Optional[AssistantSortBy] = None,
        sort_order: Optional[SortOrder] = None,
        select: Optional[Sequence[str]] = None,
        response_format: Literal["array"] = "array",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[Assistant]: ...

    def search(
        self,
        *,
        metadata: Optional[Json] = None,
        graph_id: Optional[str] = None,
        name: Optional[str] = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: Optional[AssistantSortBy] = None,
        sort_order: Optional[SortOrder] = None,
        select: Optional[Sequence[str]] = None,
        response_format: Literal["array", "object"] = "array",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Union[List[Assistant], AssistantsSearchResponse]:
        """A page of the assistants that match (``POST /assistants/search``).

        ``metadata`` is what theirs must hold, ``name`` a part of theirs, and ``limit`` at most 1000. ``sort_by`` is
        "assistant_id", "graph_id", "name", "created_at" or "updated_at", and ``sort_order`` "asc" or "desc".
        ``select`` names the fields to send; all others are then None. ``response_format="object"`` gives the page with
        where the next one begins: ``assistants``, and ``next``, which is None on the last one.
        """
        from ..models import Assistant, AssistantsSearchResponse

        check_choice("response_format", response_format, ("array", "object"))
        more = {"sort_by": sort_by, "sort_order": sort_order, "select": list(select or ())}
        body = {"limit": limit, "offset": offset, **_filter(metadata, graph_id, name), **drop_empty(more)}
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        answer = self._rest.answer("POST", "/assistants/search", **options)
        found = data_of(answer, "POST")
        partial = bool(select)
        if response_format == "array":
            return parse(List[Assistant], found, "POST", answer, partial=partial)
        page = {"assistants": found, "next": answer.headers.get(_NEXT)}
        return parse(AssistantsSearchResponse, page, "POST", answer, partial=partial)

    def iter(
        self,
        *,
        metadata: Optional[Json] = None,
        graph_id: Optional[str] = None,
        name: Optional[str] = None,
        sort_by: Optional[AssistantSortBy] = None,
        sort_order: Optional[SortOrder] = None,
        select: Optional[Sequence[str]] = None,
        limit: Optional[int] = None,
        page_size: int = 100,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[Assistant]:
        """All assistants that match, page by page as the loop goes on (:meth:`search`).

        ``limit`` is how many at most. ``timeout`` and ``deadline`` are for each page. With ``select`` the id comes too.
        """

        def page(count: int, offset: int) -> Sequence[Assistant]:
            return self.search(
                metadata=metadata,
                graph_id=graph_id,
                name=name,
                limit=count,
                offset=offset,
                sort_by=sort_by,
                sort_order=sort_order,
                select=with_key(select, "assistant_id"),
                headers=headers,
                params=params,
                timeout=timeout,
                deadline=deadline,
            )

        return by_offset(page, lambda assistant: assistant.assistant_id, limit=limit, page_size=page_size)

    def count(
        self,
        *,
        metadata: Optional[Json] = None,
        graph_id: Optional[str] = None,
        name: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> int:
        """How many assistants match (``POST /assistants/count``); the filters are those of :meth:`search`."""
        body = _filter(metadata, graph_id, name)
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(int, "POST", "/assistants/count", **options)

    def get_versions(
        self,
        assistant_id: str,
        metadata: Optional[Json] = None,
        limit: int = 10,
        offset: int = 0,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[Assistant]:
        """A page of an assistant's versions, newest first (``POST /assistants/{assistant_id}/versions``).

        ``metadata`` is what theirs must hold.
        """
        from ..models import Assistant

        body = {"limit": limit, "offset": offset, **drop_empty({"metadata": metadata})}
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(List[Assistant], "POST", f"{_path(assistant_id)}/versions", **options)

    def set_latest(
        self,
        assistant_id: str,
        version: int,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Assistant:
        """Make a version of an assistant the one that runs take (``POST /assistants/{assistant_id}/latest``)."""
        from ..models import Assistant

        options = call_options(headers, params, timeout, deadline, json={"version": version})
        return self._rest.model(Assistant, "POST", f"{_path(assistant_id)}/latest", **options)


def _path(assistant_id: str) -> str:
    return f"/assistants/{segment(assistant_id, 'assistant_id')}"


def _filter(metadata: Optional[Json], graph_id: Optional[str], name: Optional[str]) -> Dict[str, Any]:
    return drop_empty({"metadata": metadata, "graph_id": graph_id, "name": name})
