"""Work in a thread of its own: whoever waits for it can leave it behind, when its time is over or the wait is ended.

A socket's timeout does not bound a request: each byte begins that anew. And where names are looked up, nothing can be
cut (see :mod:`lgsync.cutting` for all that can). A signal handler may free a wait that it interrupted, so no lock is
held that it would need.
"""

from __future__ import annotations

import contextvars
import threading
import time
from typing import Callable, Generic, List, Optional, TypeVar

from .cutting import Cut, CuttableCall, begin, current, freed_by

__all__ = ["Flag", "Work", "done_apart", "done_aside", "done_within"]

T = TypeVar("T")

# An interrupt from the keyboard that comes just before a wait begins is heard only when that wait ends.
_LONGEST_WAIT = 0.5


class Flag:
    """An Event that a signal handler can set, wherever it interrupted; a wait may notice that half a second later."""

    def __init__(self) -> None:
        self._is_set = False
        self._changed = threading.Condition(threading.RLock())

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """End every wait, now and later."""
        self._is_set = True
        with self._changed:
            self._changed.notify_all()

    def wait(self, seconds: Optional[float] = None) -> bool:
        """Wait so long, or (None) until it is set; True if it is."""
        end = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            while not self._is_set:
                left = _LONGEST_WAIT if end is None else end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, _LONGEST_WAIT))
        return self._is_set


class Work(Generic[T]):
    """``work()`` in a thread. Leave it as a context manager: what it still brings then is given to ``discard``."""

    def __init__(self, work: Callable[[], T], discard: Optional[Callable[[T], None]] = None) -> None:
        #: Set when the work is over; and by whoever frees the one that waits for it.
        self.wake = Flag()
        self._work = work
        self._discard = discard
        self._lock = threading.Lock()
        self._abandoned = False
        self._cut: Optional[Callable[[], None]] = None
        self._results: List[T] = []
        self._failure: Optional[BaseException] = None

    def start(self) -> None:
        """Begin, in the context of the caller: those who trace requests find its span there."""
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run,), name="lgsync-asking", daemon=True).start()

    def end(self) -> None:
        """Free the one that waits for it."""
        self.wake.set()

    def taken(self) -> List[T]:
        """What the work came to, or nothing if it is not over; raises what it raised."""
        with self._lock:
            if self._results:
                return [self._results.pop()]
        if self._failure is not None:
            raise self._failure
        return []

    def freed_by(self, cut: Callable[[], None]) -> None:
        """From now on ``cut``, called by any thread, ends what the work waits for."""
        with self._lock:
            self._cut = cut
            late = self._abandoned
        if late:
            cut()

    def __enter__(self) -> Work[T]:
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody waits any more; an interrupt from the keyboard may have come before the result was taken."""
        with self._lock:
            self._abandoned = True
            untaken, self._results = self._results, []
            cut = self._cut
        for result in untaken:
            self._throw_away(result)
        if cut is not None and not untaken:
            cut()

    def _run(self) -> None:
        begin(self)
        try:
            result = self._work()
            with self._lock:
                self._cut = None
                unwanted = self._abandoned
                if not unwanted:
                    self._results.append(result)
            if unwanted:
                self._throw_away(result)
        except BaseException as exc:  # noqa: BLE001 (raised again where the answer is waited for)
            self._failure = exc
        finally:
            self._cut = None
            self.wake.set()

    def _throw_away(self, result: T) -> None:
        if self._discard is not None:
            self._discard(result)


def done_within(
    seconds: float, work: Callable[[], T], discard: Callable[[T], None], too_late: Callable[[], BaseException]
) -> T:
    """What ``work()`` returns, or raises; raises ``too_late()`` if it is not over by then, or was cut.

    If nobody waits any more, its wait is cut by what it gave to :func:`lgsync.cutting.freed_by`, and its result is
    discarded.
    """
    taken = _taken_within(seconds, work, discard)
    if not taken:
        raise too_late()
    return taken[0]


def done_aside(work: Callable[[], T], discard: Callable[[T], None]) -> T:
    """The same of work that nothing can cut, and that takes its own time; raises Cut if the call was ended.

    It has a thread only where this call may be ended.
    """
    if not isinstance(current(), CuttableCall):
        return work()
    taken = _taken_within(None, work, discard)
    if not taken:
        raise Cut
    return taken[0]


def done_apart(seconds: float, work: Callable[[], T], too_late: Callable[[], BaseException]) -> T:
    """The same of work that a signal handler may do, which has interrupted a call of its thread's.

    Then it has a thread: it is not cut with that call, and no lock that the call holds is waited for without end.
    """
    if current() is None:
        return work()
    apart = contextvars.copy_context()
    apart.run(begin, None)
    result: T = apart.run(done_within, seconds, work, lambda _: None, too_late)
    return result


def _taken_within(seconds: Optional[float], work: Callable[[], T], discard: Callable[[T], None]) -> List[T]:
    with Work(work, discard) as one:
        freed_by(one.end)
        one.start()
        one.wake.wait(seconds)
        return one.taken()
