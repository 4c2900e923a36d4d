"""What is said of a graph that the server does not have."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Dict, Iterator, List
from uuid import UUID

from ..errors import APIStatusError, LgsyncError, UnprocessableEntityError
from ..rest import Rest
from ..transport import Timeout

__all__ = ["id_advised", "known_graphs_named"]

# An error is not held up for longer.
_BRIEF = Timeout(2.0, 5.0)

_MISSING = (404, 422)

_GRAPH = re.compile(r"\b(assistant|graph)", re.IGNORECASE)

# No more are listed.
_MANY = 50


@contextlib.contextmanager
def known_graphs_named(rest: Rest, assistant_id: Any) -> Iterator[None]:
    """Within, an error of a request that named a graph tells which there are if it is that graph that is missing."""
    try:
        yield
    except APIStatusError as exc:
        told = exc if assistant_id is None else _naming_known_graphs(exc, rest, assistant_id)
        if told is exc:
            raise
        raise told from exc


@contextlib.contextmanager
def id_advised(assistant_id: Any) -> Iterator[None]:
    """Within, an error of a request that takes an assistant's id says so if it was given a graph's name."""
    try:
        yield
    except UnprocessableEntityError as exc:
        if _is_uuid(str(assistant_id)):
            raise
        advice = (
            f"If {assistant_id!r} is a graph, client.assistants.search(graph_id={assistant_id!r}) finds its assistants"
        )
        raise exc.saying(advice) from exc


def _naming_known_graphs(error: APIStatusError, rest: Rest, assistant_id: Any) -> APIStatusError:
    """The error of a request that named a graph, which tells which there are if it is that graph that is missing.

    Some servers tell by themselves; of others the assistants are asked (``POST /assistants/search``).
    """
    name = str(assistant_id)
    if error.status_code not in _MISSING or not _is_about(name, error.detail) or _is_uuid(name):
        return error
    assistants = _assistants(rest)
    graphs = sorted({str(one["graph_id"]) for one in assistants if one.get("graph_id")})
    is_there = name in graphs or any(one.get("assistant_id") == name for one in assistants)
    if not graphs or is_there or all(_has_word(error.detail, graph) for graph in graphs):
        return error
    more = f" and {len(graphs) - _MANY} more" if len(graphs) > _MANY else ""
    return error.saying(f"The server's graphs are: {', '.join(graphs[:_MANY])}{more}")


def _is_about(name: str, detail: str) -> bool:
    """Whether a refusal can mean that there is no such graph; not all servers repeat its name."""
    return _has_word(detail, name) or _GRAPH.search(detail) is not None


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def _assistants(rest: Rest) -> List[Dict[str, Any]]:
    """The server's assistants; none if it does not tell."""
    found: Any = None
    with contextlib.suppress(LgsyncError):
        found = rest.once().call("POST", "/assistants/search", json={"limit": 1000}, timeout=_BRIEF)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
