"""Where a run failed: the thread's state knows the node, and at times the words that the server's answer keeps back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Iterator, Optional

from ..errors import LgsyncError, RunError
from ..thread_state import failed_task

if TYPE_CHECKING:
    from ..client import Client

__all__ = ["failures_located"]

_SHOWN_CHARS = 500


@contextlib.contextmanager
def failures_located(client: Client) -> Iterator[None]:
    """Within, the error of a run that failed says in which node, as far as its thread's state tells."""
    try:
        yield
    except RunError as exc:
        where = _where(client, exc)
        if where is None:
            raise
        raise exc.saying(where).with_traceback(exc.__traceback__) from exc.__cause__


def _where(client: Client, error: RunError) -> Optional[str]:
    if error.thread_id is None:
        return None
    try:
        state = dict(client.threads.get_state(error.thread_id))
    except LgsyncError:
        # What is known is to be told, and not this.
        return None
    # Another run may have followed, or this one not have come as far as a step.
    if (state.get("metadata") or {}).get("run_id") != error.run_id:
        return None
    task = failed_task(state)
    if task is None:
        return None
    node, raised = f"node {str(task.get('name'))!r}", str(task["error"])
    if error.detail and error.detail in raised.replace("\\n", "\n"):
        return f"It was raised in {node}"
    return f"In {node} it raised {raised[:_SHOWN_CHARS]}"
