"""The moment by which a call must be over, however its time is spent."""

from __future__ import annotations

import time
from typing import Callable, Optional

from .errors import ConfigurationError, DeadlineExceeded
from .transport import LONGEST_WAIT, Timeout

__all__ = ["Deadline"]

# Sockets take a timeout of zero for "do not block".
_SHORTEST = 0.001


class Deadline:
    """``seconds`` from now; None is never. ``clock`` counts seconds."""

    def __init__(self, seconds: Optional[float], clock: Callable[[], float] = time.monotonic) -> None:
        checked(seconds)
        self.seconds = seconds
        self._clock = clock
        self._until = None if seconds is None else clock() + seconds

    def remaining(self) -> Optional[float]:
        """Seconds that are left, not below zero; None if there is no end."""
        return None if self._until is None else max(0.0, self._until - self._clock())

    @property
    def passed(self) -> bool:
        return self._until is not None and self._clock() >= self._until

    def within(self, timeout: Timeout) -> Timeout:
        """``timeout``, made no longer than what is left."""
        left = self.remaining()
        if left is None:
            return timeout
        left = max(left, _SHORTEST)
        return Timeout(*(left if seconds is None else min(seconds, left) for seconds in timeout))

    def exceeded(
        self,
        what: str,
        *,
        thread_id: Optional[str] = None,
        run_id: Optional[str] = None,
        cursor: Optional[str] = None,
        advice: str = "give it a larger deadline=…",
    ) -> DeadlineExceeded:
        """The error that says so; ``what`` was not over in time."""
        on_thread = f" on thread {thread_id}" if thread_id else ""
        run = f" (run {run_id}{on_thread})" if run_id else on_thread
        return DeadlineExceeded(
            f"{what} was not over within its deadline of {self.seconds:g} s{run}; {advice}",
            thread_id=thread_id,
            run_id=run_id,
            cursor=cursor,
        )


def checked(seconds: Optional[float]) -> Optional[float]:
    """``seconds`` as a deadline or a budget may be: a positive number, or None for no end."""
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (number and 0 < seconds <= LONGEST_WAIT):
        raise ConfigurationError(
            f"deadline must be a positive number of seconds (up to {LONGEST_WAIT}), or None for no end; not {seconds!r}"
        )
    return seconds
