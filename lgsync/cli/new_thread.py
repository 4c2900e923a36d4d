"""The thread of a command that was given none: there once a run is on it, and not before."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Iterator
from uuid import uuid4

from ..bodies import is_page
from ..errors import APIStatusError, ConfigurationError, ConflictError, LgsyncError
from .codes import USAGE, of_error

if TYPE_CHECKING:
    from ..client import Client

__all__ = ["check_graph", "new_id", "stream_on_new_thread"]


def new_id() -> str:
    """The id of a thread that is to be made."""
    return str(uuid4())


def stream_on_new_thread(client: Client, thread_id: str, graph: str, **options: Any) -> Any:
    """Make that thread and begin a run on it; if the run is refused, the thread is not left behind."""
    try:
        client.threads.create(thread_id=thread_id)
    except ConflictError:
        # An attempt before this one made it, and broke off: maybe with a run on it.
        return client.runs.stream(thread_id, graph, **options)
    with _deleted_if_refused(client, thread_id):
        return client.runs.stream(thread_id, graph, **options)


def check_graph(client: Client, graph: str) -> None:
    """Raise ConfigurationError for a graph that is not among those which the server names."""
    try:
        found = client.assistants.search(limit=1000)
    except APIStatusError as exc:
        if isinstance(exc.body, str) and is_page(exc.body):
            # That is no LangGraph server.
            raise
        # Not everyone may list them; whether there is this one, the first run tells.
        return
    graphs = sorted({str(one.graph_id) for one in found})
    if graphs and len(found) < 1000 and graph not in graphs and graph not in {one.assistant_id for one in found}:
        raise ConfigurationError(f"There is no graph {graph!r}; the server's graphs are: {', '.join(graphs)}")


@contextlib.contextmanager
def _deleted_if_refused(client: Client, thread_id: str) -> Iterator[None]:
    try:
        yield
    except LgsyncError as exc:
        if of_error(exc) == USAGE:
            # The refusal is what is to be told, also where the thread cannot be deleted.
            with contextlib.suppress(LgsyncError):
                client.threads.delete(thread_id)
        raise
