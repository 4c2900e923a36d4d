"""Which calls are made again when they fail, and after what pause. No I/O, no clock.

Only what can be repeated without effect: a request that was refused before anything of it was sent, and one that
changes nothing. How a run's stream is taken up again is :mod:`lgsync.policy`'s.
"""

from __future__ import annotations

import random
from typing import Callable, NamedTuple, Optional

from .errors import APIStatusError, ConfigurationError, ConnectionFailed, ConnectionLost, ConnectionTimeout, LgsyncError

__all__ = ["NEVER", "Retry", "seconds_to_retry"]

#: Statuses that say "later", not "no".
_LATER = (408, 425, 429, 502, 503, 504)

# Pauses before the next attempts: doubling up to the longest; a random half of each is taken off.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

# A server that asks for more is not waited for: the error says so.
_LONGEST_ASKED = 30.0

_BY_DEFAULT = 2


class Retry(NamedTuple):
    """Up to ``times`` more attempts of a call; ``reads_by_post`` says whether searches and their like are repeated."""

    times: int
    reads_by_post: bool

    @classmethod
    def of(cls, times: Optional[int]) -> Retry:
        """Read what users write: how often, for all that changes nothing; None: a little, for GET alone."""
        if times is None:
            return cls(_BY_DEFAULT, False)
        if isinstance(times, bool) or not isinstance(times, int) or times < 0:
            raise ConfigurationError(f"retries must be a whole number, 0 for never, or None; not {times!r}")
        return cls(times, True)

    def pause(
        self,
        error: LgsyncError,
        attempts: int,
        *,
        method: str,
        reads: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> Optional[float]:
        """Seconds to wait before another attempt, when ``attempts`` have failed, the last with ``error``; None: none.

        ``reads`` says of a POST that it changes nothing.
        """
        if attempts > self.times:
            return None
        repeatable = method == "GET" or (reads and self.reads_by_post)
        if not _never_arrived(error) and not (repeatable and _may_pass(error)):
            return None
        asked = seconds_to_retry(error)
        if asked > _LONGEST_ASKED:
            return None
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempts - 1, 30))
        return max(asked, longest * (0.5 + jitter() / 2))


#: No call is made again.
NEVER = Retry(0, False)


def seconds_to_retry(error: LgsyncError) -> float:
    """The pause that the server asked for with ``Retry-After``; 0 if it did not."""
    asked = error.retry_after if isinstance(error, APIStatusError) else None
    return asked or 0.0


def _never_arrived(error: LgsyncError) -> bool:
    return isinstance(error, ConnectionFailed) and error.refused


def _may_pass(error: LgsyncError) -> bool:
    if isinstance(error, APIStatusError):
        return error.status_code in _LATER
    # Who set a timeout meant that long, not three times as long.
    return isinstance(error, ConnectionLost) and not isinstance(error, ConnectionTimeout)
