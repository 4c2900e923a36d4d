"""The end of a stream as its owner decides it, from any thread: it cuts every wait short, that for an answer too.

And from a signal handler, which may have interrupted a wait, or the very same: so no lock is held that it would need.
"""

from __future__ import annotations

import time
from threading import Condition, Lock, RLock, Thread
from typing import Callable, Generic, List, Optional, TypeVar

__all__ = ["Closing"]

T = TypeVar("T")

# An interrupt from the keyboard that comes just before a wait begins is heard only when that wait ends.
_LONGEST_WAIT = 0.5


class _Flag:
    """An Event that a signal handler can set, wherever it interrupted; a wait may notice that half a second later."""

    def __init__(self) -> None:
        self._is_set = False
        self._changed = Condition(RLock())

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        with self._changed:
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        with self._changed:
            while not self._is_set and (left := end - time.monotonic()) > 0:
                self._changed.wait(min(left, _LONGEST_WAIT))
        return self._is_set


class Closing:
    """Set once, by whoever closes. Waits and calls made through it end when it is set."""

    def __init__(self) -> None:
        self._flag = _Flag()
        # Changed in single steps, so without a lock; a call is listed before it looks whether this is set.
        self._calls: List[_Call[object]] = []

    def is_set(self) -> bool:
        return self._flag.is_set()

    def set(self) -> None:
        """End every wait, now and later."""
        self._flag.set()
        for call in list(self._calls):
            call.wake.set()

    def wait(self, seconds: float) -> bool:
        """Wait so long; True if that was cut short."""
        return self._flag.wait(seconds)

    def call(self, work: Callable[[], T], discard: Optional[Callable[[T], None]] = None) -> Optional[T]:
        """What ``work()`` returns, or raises; None as soon as this is set.

        Nobody can call off a request that waits for its server. So ``work`` has a thread of its own, which is left
        behind then: it must end by itself soon, and what it still brings is given to ``discard``.
        """
        call = _Call(work, discard)
        self._calls.append(call)  # type: ignore[arg-type]
        try:
            if not self._flag.is_set():
                Thread(target=call.run, name="lgsync-asking", daemon=True).start()
                while not call.wake.wait(_LONGEST_WAIT):
                    continue
            return call.result()
        finally:
            call.abandon()
            self._calls.remove(call)  # type: ignore[arg-type]


class _Call(Generic[T]):
    def __init__(self, work: Callable[[], T], discard: Optional[Callable[[T], None]]) -> None:
        self.wake = _Flag()
        self._work = work
        self._discard = discard
        self._lock = Lock()
        self._abandoned = False
        self._results: List[T] = []
        self._failure: Optional[BaseException] = None

    def run(self) -> None:
        try:
            result = self._work()
            with self._lock:
                unwanted = self._abandoned
                if not unwanted:
                    self._results.append(result)
            if unwanted and self._discard is not None:
                self._discard(result)
        except BaseException as exc:  # noqa: BLE001 (raised again where the answer is waited for)
            self._failure = exc
        finally:
            self.wake.set()

    def result(self) -> Optional[T]:
        """What the work came to, if it has come to an end."""
        if self._failure is not None:
            raise self._failure
        with self._lock:
            self._abandoned = True
            return self._results.pop() if self._results else None

    def abandon(self) -> None:
        """Nobody waits any more; an interrupt from the keyboard may have come before the result was taken."""
        with self._lock:
            self._abandoned = True
            untaken = self._results.pop() if self._results else None
        if untaken is not None and self._discard is not None:
            self._discard(untaken)
