"""What is said of a graph that the server does not have."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, List
from uuid import UUID

from ..errors import APIStatusError, LgsyncError
from ..rest import Rest
from ..transport import Timeout

__all__ = ["known_graphs_named"]

# An error is not held up for longer.
_BRIEF = Timeout(2.0, 5.0)

_MISSING = (404, 422)


@contextlib.contextmanager
def known_graphs_named(rest: Rest, assistant_id: Any) -> Iterator[None]:
    """Within, an error of a request that named a graph tells which there are if it is that graph that is missing."""
    try:
        yield
    except APIStatusError as exc:
        told = _naming_known_graphs(exc, rest, assistant_id)
        if told is exc:
            raise
        raise told from exc


def _naming_known_graphs(error: APIStatusError, rest: Rest, assistant_id: Any) -> APIStatusError:
    """The error of a request that named a graph, which tells which there are if it is that graph that is missing.

    Some servers tell by themselves; of others the assistants are asked (``POST /assistants/search``).
    """
    text = str(assistant_id)
    if error.status_code not in _MISSING or repr(text) not in error.detail or _is_uuid(text):
        return error
    names: List[str] = []
    with contextlib.suppress(LgsyncError):
        found = rest.once().call("POST", "/assistants/search", json={"limit": 1000}, timeout=_BRIEF)
        names = sorted({str(one["graph_id"]) for one in found if isinstance(one, dict) and one.get("graph_id")})
    if not names or all(name in error.detail for name in names):
        return error
    return error.saying(f"The server's graphs are: {', '.join(names)}")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
