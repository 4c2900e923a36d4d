"""The store: documents that outlive threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, List, Literal, Mapping, Optional, Sequence, Union

from ..answers import data_of
from ..errors import ConfigurationError, WrongType
from ..parsing import parse
from ..rest import Rest
from ._options import TimeoutValue, call_options, drop_unset
from ._pages import by_offset

if TYPE_CHECKING:
    from ..models import Item, ListNamespaceResponse, SearchItem, SearchItemsResponse

__all__ = ["StoreClient"]


class StoreClient:
    """``client.store``. Every method raises the errors of :mod:`lgsync.errors`.

    A document is a JSON object, under a key (text) in a namespace: a path of labels, ``("users", "u1")``. A label is
    text without dots, and not empty; no other leaves this machine.
    ``headers``, ``params``, ``timeout`` and ``deadline`` are for the one call.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def put_item(
        self,
        namespace: Sequence[str],
        /,
        key: str,
        value: Mapping[str, Any],
        index: Union[Literal[False], Sequence[str], None] = None,
        ttl: Optional[float] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Keep a document, in place of one that is there already (``PUT /store/items``).

        ``index`` lists the fields to search by meaning, as paths such as ``"title"`` or ``"chapters[*].text"``; False
        is none, and left out it is as the server is set up. ``ttl`` is how many minutes it is kept.
        """
        if not key:
            raise ConfigurationError("key is empty, and servers would not give such a document back; nothing was sent")
        body = drop_unset({"namespace": _place(namespace), "key": key, "value": value, "index": index, "ttl": ttl})
        self._rest.accepted("PUT", "/store/items", **call_options(headers, params, timeout, deadline, json=body))

    def get_item(
        self,
        namespace: Sequence[str],
        /,
        key: str,
        *,
        refresh_ttl: Optional[bool] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Optional[Item]:
        """The document of that key (``GET /store/items``); None if there is none.

        ``refresh_ttl`` says whether reading it begins its ``ttl`` anew; left out, it is as the server is set up.
        """
        from ..models import Item

        query = {"key": key, "namespace": ".".join(_place(namespace)), "refresh_ttl": refresh_ttl}
        answer = self._rest.answer("GET", "/store/items", **call_options(headers, params, timeout, deadline, query))
        found = data_of(answer, "GET")
        return None if found is None else parse(Item, found, "GET", answer)

    def delete_item(
        self,
        namespace: Sequence[str],
        /,
        key: str,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Delete a document (``DELETE /store/items``); nothing happens if there is none."""
        body = {"key": key, "namespace": _place(namespace)}
        self._rest.accepted("DELETE", "/store/items", **call_options(headers, params, timeout, deadline, json=body))

    def search_items(
        self,
        namespace_prefix: Sequence[str],
        /,
        filter: Optional[Mapping[str, Any]] = None,  # noqa: A002 (the API's own name)
        limit: int = 10,
        offset: int = 0,
        query: Optional[str] = None,
        refresh_ttl: Optional[bool] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> SearchItemsResponse:
        """A page of the documents in a namespace and below it (``POST /store/items/search``); ``()`` is all of them.

        ``filter`` is what their values must hold: ``{"color": "red"}``, or ``{"size": {"$gte": 3}}``. ``query`` is text
        to find documents of like meaning, best first, if the store can do that; ``score`` is then how like they are.
        """
        from ..models import SearchItemsResponse

        prefix = _labels(namespace_prefix, "namespace_prefix")
        body = drop_unset(
            {
                "namespace_prefix": prefix,
                "filter": filter,
                "limit": limit,
                "offset": offset,
                "query": query,
                "refresh_ttl": refresh_ttl,
            }
        )
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(SearchItemsResponse, "POST", "/store/items/search", **options)

    def iter_items(
        self,
        namespace_prefix: Sequence[str],
        /,
        filter: Optional[Mapping[str, Any]] = None,  # noqa: A002 (the API's own name)
        query: Optional[str] = None,
        refresh_ttl: Optional[bool] = None,
        *,
        limit: Optional[int] = None,
        page_size: int = 100,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[SearchItem]:
        """All documents in a namespace and below it, page by page as the loop goes on (:meth:`search_items`).

        ``limit`` is how many at most. ``timeout`` and ``deadline`` are for each page.
        """
        prefix = _labels(namespace_prefix, "namespace_prefix")

        def page(count: int, offset: int) -> Sequence[SearchItem]:
            return self.search_items(
                prefix,
                filter=filter,
                limit=count,
                offset=offset,
                query=query,
                refresh_ttl=refresh_ttl,
                headers=headers,
                params=params,
                timeout=timeout,
                deadline=deadline,
            ).items

        return by_offset(page, lambda item: (*item.namespace, item.key), limit=limit, page_size=page_size)

    def list_namespaces(
        self,
        prefix: Optional[Sequence[str]] = None,
        suffix: Optional[Sequence[str]] = None,
        max_depth: Optional[int] = None,
        limit: int = 100,
        offset: int = 0,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ListNamespaceResponse:
        """A page of the namespaces there are (``POST /store/namespaces``).

        ``prefix`` and ``suffix`` are how they begin and end, with "*" for any label. ``max_depth`` cuts them after so
        many labels.
        """
        from ..models import ListNamespaceResponse

        body = drop_unset(
            {
                "prefix": None if prefix is None else _labels(prefix, "prefix"),
                "suffix": None if suffix is None else _labels(suffix, "suffix"),
                "max_depth": max_depth,
                "limit": limit,
                "offset": offset,
            }
        )
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(ListNamespaceResponse, "POST", "/store/namespaces", **options)


def _place(namespace: Sequence[str]) -> List[str]:
    """The namespace of a document: at least one label."""
    labels = _labels(namespace, "namespace")
    if not labels:
        raise ConfigurationError("namespace must have at least one label, such as ('users',); nothing was sent")
    return labels


def _labels(namespace: Sequence[str], what: str) -> List[str]:
    """The labels of a namespace, each of which may be one; ``what`` names the parameter."""
    if isinstance(namespace, (str, bytes)) or not isinstance(namespace, Iterable):
        raise WrongType(f"{what} must be a sequence of labels, such as ('users', 'u1'); not {namespace!r}")
    labels = list(namespace)
    for label in labels:
        if not isinstance(label, str):
            raise WrongType(f"{what} {labels!r} has a label that is no text: {label!r}")
        if not label:
            raise ConfigurationError(f"{what} {labels!r} has an empty label; nothing was sent")
        if "." in label:
            raise ConfigurationError(f"{what} {labels!r} has a label with a dot, which no store takes: {label!r}")
    return labels
