"""A thread joined from a position, over two connections: one shows what was missed, the other what comes.

A server that looks up what it kept and only then listens for what is new, shows nothing of what comes in between; nor
does it say where the one ends and the other begins. So a second connection asks for nothing that was kept, and listens
since before the lookup. The first one is read as long as its parts come before the first of the second::

    replay:  1 2 3 4     7 8        live:  5 6 7 8 9        given:  1 2 3 4 | 5 6 7 8 9
                    (5 6)
"""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import Dict, List, Optional, Tuple

from .errors import ConnectionLost, LgsyncError
from .parts import StreamPart
from .thread_place import order_of
from .transport import PartSource

__all__ = ["CatchUp"]

# How long a connection is silent, before a heartbeat, that has given all that was kept.
_QUIET = 1.0

# How much later one of two connections may show what both show.
_LATER = 0.1

# What was there already when it was asked for, came no later than what came before it.
_AT_ONCE = 0.005

# How many ids may be given by the time that it does.
_REMEMBERED = 1024


class CatchUp(PartSource):
    """``live`` was opened first; both show the same thread, and are this one's to close.

    ``later`` is how many seconds ``live`` may be behind the replay: as long, what comes on that is held back once.

    A thread waits for the first part of ``live``, and ends with that. If none comes, the heartbeats of both tell that
    nothing was missed, and ``live`` is closed in place of the replay, which by then is as good.
    """

    def __init__(self, live: PartSource, replay: PartSource, later: float = _LATER) -> None:
        self.thread_id = live.thread_id
        self.not_kept = live.not_kept
        self._live = live
        self._live_since = live.last_activity
        # Of what was sent before it was opened, it shows nothing.
        self._from = order_of(live.position)
        #: None once all was replayed.
        self._replay: Optional[PartSource] = replay
        self._replayed = False
        self._beats, self._heard = 0, replay.last_activity
        self._later = later
        # When what the replay gives now has come, at the latest.
        self._came = time.monotonic()
        # What came first of what is live: a part, or an error; and whether that is of no interest any more.
        self._first: List[Tuple[Optional[StreamPart], Optional[LgsyncError]]] = []
        self._first_came = Event()
        self._alone = False
        #: How many parts the replay gave of its last ids; then, how many of these are still to come again.
        self._given: Dict[Optional[str], int] = {}
        live.patience = _for_ever
        replay.patience = self._look_around
        Thread(target=self._listen, name="lgsync-catching-up", daemon=True).start()

    def __next__(self) -> StreamPart:
        while self._replay is not None:
            part = self._replayed_part(self._replay)
            if part is None and not self._replayed:
                raise StopIteration
            first = self._first_part(part)
            if part is not None and (first is None or self._comes_before(part, first)):
                return self._noted(part)
            self._go_live(self._replay)
        while True:
            part = self._first_part() or next(self._live)
            self._first.clear()
            self.retry = self._live.retry
            if not self._given.get(part.id) or part.kind in self.not_kept:
                return part
            self._given[part.id] -= 1

    def _replayed_part(self, replay: PartSource) -> Optional[StreamPart]:
        asked = time.monotonic()
        part = next(replay, None)
        now = time.monotonic()
        if now - asked > _AT_ONCE:
            self._came = now
        self.retry = replay.retry
        return part

    def close(self) -> None:
        replay = self._replay
        if replay is not None:
            replay.close()
        self._live.close()
        self._first_came.set()

    def _listen(self) -> None:
        try:
            part = next(self._live)
            if order_of(part.id) is None:
                # Nothing tells where it belongs.
                self._leave_live()
            self._first.append((part, None))
        except StopIteration:
            lost = ConnectionLost("the connection was ended by the other side", url=f"/threads/{self.thread_id}/stream")
            self._first.append((None, lost))
        except LgsyncError as exc:
            self._first.append((None, exc))
        finally:
            self._first_came.set()

    def _first_part(self, beside: Optional[StreamPart] = None) -> Optional[StreamPart]:
        """What came first of what is live, if that is known, and still to be given.

        It is waited for if it may have been sent no later than the part ``beside`` it, of the replay.
        """
        if self._alone:
            return None
        if beside is not None and not self._first_came.is_set():
            order = order_of(beside.id)
            if self._from is None or order is None or order >= self._from:
                self._first_came.wait(max(0.0, self._came + self._later - time.monotonic()))
        if not self._first:
            return None
        part, failure = self._first[0]
        if failure is not None:
            raise failure
        return part

    def _look_around(self, replay: PartSource) -> Optional[float]:
        """Before each wait for the replay: a heartbeat in silence says that all was replayed."""
        beats, heard = replay.heartbeats, replay.last_activity
        is_over = beats > self._beats and heard - self._heard >= _QUIET
        self._beats, self._heard = beats, heard
        if is_over and self._first and not self._alone:
            self._replayed = True
            replay.close()
        elif is_over and self._live.heartbeats and self._live.last_activity - self._live_since >= _QUIET:
            self._leave_live()
        return None if self.patience is None else self.patience(replay)

    def _leave_live(self) -> None:
        self._alone = True
        self._live.close()

    def _noted(self, part: StreamPart) -> StreamPart:
        if part.kind not in self.not_kept:
            self._given[part.id] = self._given.get(part.id, 0) + 1
            if len(self._given) > _REMEMBERED:
                del self._given[next(iter(self._given))]
        return part

    def _comes_before(self, part: StreamPart, first: StreamPart) -> bool:
        """Whether ``first`` is still to wait; of its own id, all come before it that are kept."""
        if part.id == first.id:
            return part.kind not in self.not_kept
        one, other = order_of(part.id), order_of(first.id)
        return one is None or other is None or one < other

    def _go_live(self, replay: PartSource) -> None:
        replay.close()
        self._live.patience = self.patience
        self._replay = None


def _for_ever(_: PartSource) -> Optional[float]:
    return float(2**20)
