"""The rules of delivery: each part once, what to do when a connection is lost, and when to give up. No I/O, no clock.

::

    opening ──▶ live ◀──────────────┐
                 │ lost             │ opened
                 ▼                  │
              waiting ──(pause)──▶ rejoining      live ──(the run has ended)──▶ settled
                 │
                 └──(budget spent, or refused for good)──▶ raises

Every method that needs to know the time is told it, in seconds of any steady clock.
"""

from __future__ import annotations

import random
import re
from collections import deque
from typing import Callable, Deque, NamedTuple, Optional, Tuple, Union

from .cursor import Place
from .errors import (
    APIStatusError,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    EventTooLarge,
    LgsyncError,
    PositionLost,
    ResponseError,
)
from .retry import seconds_to_retry

__all__ = ["EARLIER", "GAP", "GIVE", "SKIP", "GiveUp", "Join", "Policy"]

#: What :meth:`Policy.received` makes of a part: it is the next one; it was given before; it is the next one that is
#: left, and some before it are gone; or it comes before the place where the stream is to begin.
GIVE, SKIP, GAP, EARLIER = "give", "skip", "gap", "earlier"

#: Statuses that say "later", not "no".
_LATER = (408, 429)

# Pauses between attempts: none before the first, then doubling up to the longest; a random half of each is taken off.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0

_REFUSALS = 3

# How many heartbeats may fail to come, and the shortest time that this is taken to be.
_MISSED_BEATS = 4
_SHORTEST_PATIENCE = 1.0

# A first heartbeat that comes sooner tells nothing of when the next one is due.
_SHORTEST_FIRST = 1.0

_NOWHERE = Place()

_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")


class Join(NamedTuple):
    """How to go on: join from ``position`` (None: from now on); ``gap`` says that parts are gone for good by that."""

    position: Optional[str]
    gap: bool


class GiveUp(NamedTuple):
    """Go on no more. ``spent`` is how long was tried; None if ``error`` itself leaves nothing to try."""

    error: LgsyncError
    spent: Optional[float] = None


class Policy:
    """The state of one run's delivery.

    ``budget`` is for how many seconds a lost connection is taken up again, ``idle`` how long a connection may be silent
    that never sent a heartbeat (None: for ever). ``place`` is where the stream begins, ``start`` the position that
    stands for the run's start. With ``replaying`` the run is read from its start, and what comes before ``place`` is
    told apart. ``jitter`` gives random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        budget: float,
        idle: Optional[float],
        place: Place = _NOWHERE,
        start: Optional[str] = "-1",
        resumable: bool = True,
        replaying: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.state = "opening"
        self.attempts = 0
        #: Whether no connection could be made since the server was last heard: it may have been started anew.
        self.was_away = False
        self._budget = budget
        self._idle = idle
        self._start = start
        self._jitter = jitter
        self._resumable = resumable
        self._before: Optional[str]
        self._group: Optional[str]
        self._before, self._group, self._count = _NOWHERE if replaying else place
        self._target = place if replaying and place != _NOWHERE else None
        self._due = 0
        self._lost_at: Optional[float] = None
        self._refusal: Tuple[str, int] = ("", 0)
        #: Where the stream stood before the part that :meth:`received` last called a GAP.
        self.gap_at = place
        self._beats = 0
        self._last_beat = 0.0
        self._intervals: Deque[float] = deque(maxlen=_MISSED_BEATS)

    # -- parts ---------------------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        """Where the stream stands: after all that was received."""
        # Asked for each part: without the constructor of its class it is made in half the time.
        return self._target or tuple.__new__(Place, (self._before, self._group, self._count))

    @property
    def owes(self) -> bool:
        """Whether parts are still to come that were given before: if the run has ended by now, others are gone too."""
        return self._due > 0 or self._target is not None

    @property
    def resumable(self) -> bool:
        """Whether a join can go on exactly where the stream stands."""
        return self._resumable

    def received(self, part_id: Optional[str], kept: bool = True) -> str:
        """What a part is. ``kept`` is False if the server does not keep it for later joins."""
        if self._lost_at is not None and not self._due:
            self.alive()
        if not kept:
            return GIVE if self._target is None else EARLIER
        if self._due:
            return self._catch_up(part_id)
        if part_id is None:
            self._resumable = False
        elif part_id == self._group:
            self._count += 1
        else:
            self._before = self._before if self._group is None else self._group
            self._group, self._count = part_id, 1
        return GIVE if self._target is None else self._look_for_target()

    def _catch_up(self, part_id: Optional[str]) -> str:
        if part_id is not None and part_id == self._group:
            self._due -= 1
            return SKIP
        self._due = 0
        self.gap_at = self.place
        self.received(part_id)
        return GAP

    def _look_for_target(self) -> str:
        assert self._target is not None
        before, group, taken = self._target
        if (self._group, self._count) == (group, taken):
            self._target = None
            return EARLIER
        passed = self._group is not None and _is_later(self._group, str(before if group is None else group))
        if not passed and (group is not None or self._before != before):
            return EARLIER
        self.gap_at, self._target = self._target, None
        return GIVE if group is None else GAP

    def forget(self) -> None:
        """The server no longer has the place: only what comes from now on can be had."""
        self._resumable = False
        self._target = None
        self._due = 0

    # -- connections ---------------------------------------------------------------------------------------------------

    def opened(self, now: float) -> None:
        """A connection stands. It begins with what was given of the group in which the place is."""
        self._due = self._count if self._resumable and self.state != "opening" else 0
        self.state = "live"
        self._beats, self._last_beat = 0, now

    def lost(self, error: LgsyncError, now: float, retry: Optional[float] = None) -> Union[float, GiveUp]:
        """The connection, or an attempt to have one, came to ``error``: the pause in seconds before the next attempt.

        ``retry`` is the pause that the server asks for.
        """
        self.state = "waiting"
        self.was_away = self.was_away or _is_away(error)
        if isinstance(error, PositionLost):
            self.forget()
        elif self._is_final(error):
            return GiveUp(error)
        if self._lost_at is None:
            self._lost_at = now
        spent = now - self._lost_at
        if spent >= self._budget:
            return GiveUp(error, spent)
        self.attempts += 1
        return min(self._pause(error, retry), self._budget - spent)

    def rejoining(self) -> Join:
        """How to join: first, if the stream begins with a join, and whenever a pause is over."""
        self.state = "rejoining"
        return Join(self._position(), not self._resumable)

    def settled(self) -> None:
        """The run has ended, and its parts with it."""
        self.state = "settled"

    def alive(self) -> None:
        """The server has been heard: what was lost is found again."""
        self._lost_at = None
        self.attempts = 0
        self.was_away = False
        self._refusal = ("", 0)

    def _position(self) -> Optional[str]:
        if not self._resumable:
            return None
        return self._start if self._before is None else self._before

    def _is_final(self, error: LgsyncError) -> bool:
        if isinstance(error, (ClientClosed, ConfigurationError, DeadlineExceeded, EventTooLarge)):
            return True
        if isinstance(error, APIStatusError) and error.status_code < 500 and error.status_code not in _LATER:
            return True
        return self._refused_too_often(str(error) if isinstance(error, ResponseError) else "")

    def _refused_too_often(self, refusal: str) -> bool:
        before, times = self._refusal
        self._refusal = (refusal, times + 1 if refusal and refusal == before else 1)
        return self._refusal[1] >= _REFUSALS

    def _pause(self, error: LgsyncError, retry: Optional[float]) -> float:
        longest = 0.0 if self.attempts == 1 else min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self.attempts - 2, 30))
        asked = max(seconds_to_retry(error), retry or 0.0)
        return max(asked, longest * (0.5 + self._jitter() / 2))

    # -- silence -------------------------------------------------------------------------------------------------------

    def beat(self, beats: int, at: float) -> None:
        """This connection has sent so many heartbeats so far, the last one at ``at``."""
        if beats > self._beats:
            if not self._due:
                # The pauses grow on: a connection that breaks after its first heartbeat, each time, is no good one.
                self._lost_at = None
            self._measure((at - self._last_beat) / (beats - self._beats))
            self._beats, self._last_beat = beats, at

    def _measure(self, interval: float) -> None:
        """Take one more interval between heartbeats; those that were read late, and then all at once, tell nothing."""
        if not self._beats and interval < _SHORTEST_FIRST:
            # Many servers begin with one, so that proxies pass their answer on.
            return
        longest = max(self._intervals, default=interval)
        if interval >= longest / 4:
            self._intervals.append(min(interval, 2 * longest))

    def patience(self, last_activity: float, now: float) -> Optional[float]:
        """How many more seconds the connection may be silent, having been heard last at ``last_activity``."""
        limit = self._idle
        if self._beats and self._intervals:
            watched = max(_SHORTEST_PATIENCE, _MISSED_BEATS * max(self._intervals))
            limit = watched if limit is None else min(limit, watched)
        return None if limit is None else max(0.0, last_activity + limit - now)


def _is_away(error: LgsyncError) -> bool:
    """Whether a server says so that is not there: it refuses, or whoever stands before it does."""
    return isinstance(error, ConnectionFailed) or (isinstance(error, APIStatusError) and error.status_code >= 500)


def _is_later(one: str, other: str) -> bool:
    """Whether ids that are numbers, as known servers give them, say that ``one`` came after ``other``."""
    first, second = _NUMBERS.fullmatch(one), _NUMBERS.fullmatch(other)
    if first is None or second is None:
        return False
    return tuple(int(n or 0) for n in first.groups()) > tuple(int(n or 0) for n in second.groups())
