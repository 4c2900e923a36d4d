"""The end of a stream as its owner decides it, from any thread: it cuts every wait short, that for an answer too.

And from a signal handler, which may have interrupted a wait, or the very same.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import Any, Callable, List, Optional, TypeVar, Union

from .cutting import CuttableCall, begin
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
        self._calls: List[Union[Work[Any], CuttableCall]] = []

    def set(self) -> None:
        """End every wait, now and later."""
        self._flag.set()
        for call in list(self._calls):
            call.end()

    def wait(self, seconds: float) -> bool:
        """Wait so long; True if that was cut short."""
        return self._flag.wait(seconds)

    def call(
        self, work: Callable[[], T], discard: Optional[Callable[[T], None]] = None, *, cuttable: bool = False
    ) -> Optional[T]:
        """What ``work()`` returns, or raises; None as soon as this is set, and what it still brings is discarded.

        Work is done right here if it is ``cuttable``: if it says, by :func:`lgsync.cutting.freed_by`, how each of its
        waits is ended. Other work has a thread of its own, which is left behind then: it must end by itself soon.
        """
        return self._call_here(work, discard) if cuttable else self._call_aside(work, discard)

    def _call_here(self, work: Callable[[], T], discard: Optional[Callable[[T], None]]) -> Optional[T]:
        call, here = CuttableCall(), contextvars.copy_context()
        results: List[T] = []
        run: Callable[[Callable[[], T]], T] = here.run
        here.run(begin, call)
        try:
            self._calls.append(call)
            if not self._flag.is_set():
                # One call that runs no Python but the work's: no interrupt comes between that and keeping it.
                results.extend(map(run, [work]))
            if not self._flag.is_set():
                return results.pop()
        except Exception:
            # What was cut fails, in one of many ways.
            if not self._flag.is_set():
                raise
        finally:
            call.finish()
            if discard is not None:
                for untaken in results:
                    discard(untaken)
            with contextlib.suppress(ValueError):
                self._calls.remove(call)
        return None

    def _call_aside(self, work: Callable[[], T], discard: Optional[Callable[[T], None]]) -> Optional[T]:
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
