"""When a connection counts as lost, and what comes before the next attempt: as the policy says, by the deadline."""

from __future__ import annotations

import time
from typing import Optional, Protocol

from .closing import Closing
from .deadline import Deadline
from .errors import DeadlineExceeded, LgsyncError, StreamLost
from .policy import GiveUp, Policy
from .request_log import tell_of_pause
from .transport import PartSource, Timeout

__all__ = ["ATTEMPT", "Recovery", "Subject"]

#: How long an attempt to join, or a question about the run, may take; then it is tried again.
ATTEMPT = Timeout(5.0, 10.0)


class _Watch:
    """How long the next wait for the wire may take."""

    def __init__(self, policy: Policy, deadline: Deadline) -> None:
        self._policy = policy
        self._deadline = deadline

    def __call__(self, source: PartSource) -> Optional[float]:
        self._policy.beat(source.heartbeats, source.last_activity)
        patience = self._policy.patience(source.last_activity, time.monotonic())
        left = self._deadline.remaining()
        return left if patience is None else patience if left is None else min(left, patience)


class Subject(Protocol):
    """What is streamed, or waited for: the run, if it is one, and the errors that name it.

    ``exceeded`` says that its time is up, and ``lost`` that it was ``tried`` in vain to go on, for so many seconds.
    """

    @property
    def run_id(self) -> Optional[str]: ...

    def exceeded(self, deadline: Deadline) -> DeadlineExceeded: ...

    def lost(self, why: str, *, tried: float = 0.0) -> StreamLost: ...


class Recovery:
    """Watches a connection, and says what comes between an attempt that failed and the next.

    ``closing`` ends every pause; its owner sets it.
    """

    def __init__(self, policy: Policy, deadline: Deadline, closing: Optional[Closing] = None) -> None:
        self.policy = policy
        self.deadline = deadline
        self.closing = closing or Closing()
        self._watch = _Watch(policy, deadline)

    def watched(self, source: PartSource) -> PartSource:
        """A connection that stands now: from here on it may be silent for as long as the policy says."""
        source.patience = self._watch
        self.policy.opened(time.monotonic())
        return source

    def limits(self, most: Timeout = ATTEMPT) -> Timeout:
        """How long one more attempt may take, and no longer than ``most``."""
        shorter = (b if a is None else min(a, b or a) for a, b in zip(most[:2], ATTEMPT[:2]))
        return self.deadline.within(Timeout(*shorter))

    def lift_deadline(self) -> None:
        """What it was for is over, and what is still asked for is not bound by it."""
        self.deadline = Deadline(None)

    def check(self, subject: Subject, cause: Optional[LgsyncError] = None) -> None:
        """Raise DeadlineExceeded if time is up."""
        if self.deadline.passed:
            raise subject.exceeded(self.deadline) from cause

    def pause(self, error: LgsyncError, subject: Subject, retry: Optional[float] = None) -> bool:
        """Wait before the next attempt; True if it was closed meanwhile. ``retry`` is the pause that the server wants.

        Raises if there is to be no other: ``error`` itself if that is final, StreamLost after the last one in vain, and
        DeadlineExceeded.
        """
        given_up = self.paused(error, subject, retry)
        if given_up is None:
            return self.closing.is_set()
        if given_up.spent is None:
            raise given_up.error from given_up.error.__cause__
        raise subject.lost(str(given_up.error), tried=given_up.spent) from given_up.error

    def paused(self, error: LgsyncError, subject: Subject, retry: Optional[float] = None) -> Optional[GiveUp]:
        """The same for who can do without another attempt: gives why there is to be none, or None after the pause.

        Raises DeadlineExceeded.
        """
        if self.closing.is_set():
            return None
        self.check(subject, error)
        verdict = self.policy.lost(error, time.monotonic(), retry)
        if isinstance(verdict, GiveUp):
            return verdict
        tell_of_pause(verdict, error, subject.run_id)
        left = self.deadline.remaining()
        if not self.closing.wait(verdict if left is None else min(left, verdict)):
            self.check(subject, error)
        return None
