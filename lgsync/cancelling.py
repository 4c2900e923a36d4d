"""Cancelling a run that is streamed or waited for: one request, never repeated, that holds nobody up for long."""

from __future__ import annotations

import logging
from typing import Any, Callable, Mapping, Optional

from .deadline import Deadline
from .errors import ConnectionTimeout, LgsyncError, NotFoundError
from .in_thread import done_apart
from .rest import Rest
from .transport import Timeout

__all__ = ["cancel_run", "cancelled_on_leaving", "time_to_leave"]

logger = logging.getLogger("lgsync")

# How long it may take to cancel a run that is left; and one whose deadline has passed, when time is up already.
_LEAVING = Timeout(3.0, 5.0)
_AT_DEADLINE = Timeout(0.5, 0.5)

# How much longer than its limits a call may take where it has a thread of its own.
_SCHEDULING = 0.5


def cancel_run(
    rest: Rest, run_path: str, action: str, *, params: Mapping[str, Any], headers: Mapping[str, str], timeout: Timeout
) -> bool:
    """Cancel the run (``POST {run_path}/cancel``), from a signal handler too; False if there was none left to cancel.

    Raises what :meth:`lgsync.rest.Rest.call` raises.
    """
    path = f"{run_path}/cancel"
    query = {**params, "action": action, "wait": "0"}
    seconds = sum(limit or 0.0 for limit in (timeout.connect, timeout.read)) + _SCHEDULING
    try:
        done_apart(
            seconds,
            lambda: rest.accepted("POST", path, params=query, headers=headers, timeout=timeout),
            lambda: ConnectionTimeout(f"{path} did not answer within {seconds:g} s", url=path),
        )
    except NotFoundError:
        return False
    return True


def cancelled_on_leaving(cancel: Callable[[], bool], run_id: Optional[str]) -> bool:
    """What ``cancel()`` gives, for a caller who leaves: if it fails, that is logged, and False."""
    try:
        return cancel()
    except LgsyncError as exc:
        # Raising here would hide why the caller left.
        logger.warning("Run %s was left but could not be cancelled, and may go on: %s", run_id, exc)
        return False


def time_to_leave(deadline: Deadline) -> Timeout:
    """How long it may take to cancel a run that is left."""
    return _AT_DEADLINE if deadline.passed else _LEAVING
