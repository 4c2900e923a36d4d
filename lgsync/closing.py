"""The end of a stream as its owner decides it, from any thread: it cuts every wait short, that for an answer too."""

from __future__ import annotations

from threading import Event, Lock, Thread
from typing import Callable, Generic, List, Optional, TypeVar

__all__ = ["Closing"]

T = TypeVar("T")

# An interrupt from the keyboard that comes just before a wait begins is heard only when that wait ends.
_LONGEST_WAIT = 0.5


class Closing:
    """Set once, by whoever closes. Waits and calls made through it end when it is set."""

    def __init__(self) -> None:
        self._event = Event()
        self._lock = Lock()
        self._calls: List[_Call[object]] = []

    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        """End every wait, now and later."""
        self._event.set()
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.wake.set()

    def wait(self, seconds: float) -> bool:
        """Wait so long; True if that was cut short."""
        return self._event.wait(seconds)

    def call(self, work: Callable[[], T], discard: Optional[Callable[[T], None]] = None) -> Optional[T]:
        """What ``work()`` returns, or raises; None as soon as this is set.

        Nobody can call off a request that waits for its server. So ``work`` has a thread of its own, which is left
        behind then: it must end by itself soon, and what it still brings is given to ``discard``.
        """
        call = _Call(work, discard)
        with self._lock:
            self._calls.append(call)  # type: ignore[arg-type]
        try:
            if not self._event.is_set():
                Thread(target=call.run, name="lgsync-asking", daemon=True).start()
                while not call.wake.wait(_LONGEST_WAIT):
                    continue
            return call.result()
        finally:
            call.abandon()
            with self._lock:
                self._calls.remove(call)  # type: ignore[arg-type]


class _Call(Generic[T]):
    def __init__(self, work: Callable[[], T], discard: Optional[Callable[[T], None]]) -> None:
        self.wake = Event()
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
