"""Work that is over in time whatever the server does. A socket's timeout is no such bound: each byte begins it anew."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import Callable, Generic, List, Optional, TypeVar

__all__ = ["done_within", "freed_by"]

T = TypeVar("T")

# An interrupt from the keyboard that comes just before a wait begins is heard only when that wait ends.
_LONGEST_WAIT = 0.5

_here = threading.local()


def done_within(
    seconds: float, work: Callable[[], T], discard: Callable[[T], None], too_late: Callable[[], BaseException]
) -> T:
    """What ``work()`` returns, or raises; raises ``too_late()`` if it is not over by then.

    ``work`` has a thread of its own, since nothing else bounds the look-up of a name, or what a user's own session
    does. If nobody waits any more, its wait is cut by what it gave to :func:`freed_by`, and its result is discarded.
    """
    end = time.monotonic() + seconds
    one = _Work(work, discard)
    # Those who trace requests find the caller's span there.
    run = contextvars.copy_context().run
    try:
        threading.Thread(target=run, args=(one.run,), name="lgsync-asking", daemon=True).start()
        while not one.over.wait(max(0.0, min(_LONGEST_WAIT, end - time.monotonic()))):
            if time.monotonic() >= end:
                break
        return one.result(too_late)
    finally:
        one.abandon()


def freed_by(cut: Callable[[], None]) -> None:
    """Say, within a ``work``, how any thread cuts what it waits for from now on."""
    one: Optional[_Work[object]] = getattr(_here, "work", None)
    if one is not None:
        one.freed_by(cut)


class _Work(Generic[T]):
    def __init__(self, work: Callable[[], T], discard: Callable[[T], None]) -> None:
        self.over = threading.Event()
        self._work = work
        self._discard = discard
        self._lock = threading.Lock()
        self._abandoned = False
        self._cut: Optional[Callable[[], None]] = None
        self._results: List[T] = []
        self._failure: Optional[BaseException] = None

    def run(self) -> None:
        _here.work = self
        try:
            result = self._work()
            with self._lock:
                self._cut = None
                unwanted = self._abandoned
                if not unwanted:
                    self._results.append(result)
            if unwanted:
                self._discard(result)
        except BaseException as exc:  # noqa: BLE001 (raised again where the answer is waited for)
            self._failure = exc
        finally:
            self._cut = None
            self.over.set()

    def freed_by(self, cut: Callable[[], None]) -> None:
        with self._lock:
            self._cut = cut
            late = self._abandoned
        if late:
            cut()

    def result(self, too_late: Callable[[], BaseException]) -> T:
        with self._lock:
            if self._results:
                return self._results.pop()
            failure = self._failure
        raise failure or too_late()

    def abandon(self) -> None:
        """Nobody waits any more; an interrupt from the keyboard may have come before the result was taken."""
        with self._lock:
            self._abandoned = True
            untaken = self._results.pop() if self._results else None
            cut = self._cut
        if untaken is not None:
            self._discard(untaken)
        elif cut is not None:
            cut()
