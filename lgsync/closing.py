"""The end of a stream as its owner decides it, from any thread: it cuts every wait short, that for an answer too.

And from a signal handler, which may have interrupted a wait, or the very same.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, TypeVar

from .in_thread import Flag, Work

__all__ = ["Closing"]

T = TypeVar("T")


class Closing:
    """Set once, by whoever closes. Waits and calls made through it end when it is set."""

    def __init__(self) -> None:
        self._flag = Flag()
        #: Whether it is set. Asked twice for each event of a stream, so it is the flag's own.
        self.is_set = self._flag.is_set
        # Changed in single steps, so without a lock; a call is listed before it looks whether this is set.
        self._calls: List[Work[Any]] = []

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

        ``work`` has a thread of its own, which is left behind then: it must end by itself soon, and what it still
        brings is given to ``discard``.
        """
        with Work(work, discard) as call:
            self._calls.append(call)
            try:
                if not self._flag.is_set():
                    call.start()
                    call.wake.wait()
                taken = call.taken()
            finally:
                self._calls.remove(call)
        return taken[0] if taken else None
