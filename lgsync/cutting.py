"""What a call waits for, named as it goes, so that any thread can cut it: a socket that is shut down ends its wait.

A signal handler may do that too, and may have interrupted the very call: what it needs is re-entrant.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Callable, Optional, Protocol, Type

__all__ = ["Cut", "Cuttable", "CuttableCall", "begin", "current", "freed_by"]

_here = threading.local()


class Cut(Exception):
    """The call was ended while it waited for something that goes on behind its back."""


class Cuttable(Protocol):
    """A call that may be ended before its time."""

    def freed_by(self, cut: Callable[[], None]) -> None:
        """From now on ``cut``, called by any thread, ends what it waits for; called at once if it has been ended."""


class CuttableCall:
    """A call that its caller makes on its own thread, within this as a context manager; any thread ends it."""

    def __init__(self) -> None:
        self._before: Optional[Cuttable] = None
        self._ended = False
        # Held while something is cut, so that a connection serves no other call by then.
        self._lock = threading.RLock()
        self._cut: Callable[[], None] = _nothing

    def end(self) -> None:
        """Cut what it waits for, and whatever it would wait for next."""
        with self._lock:
            self._ended = True
            self._cut()

    def freed_by(self, cut: Callable[[], None]) -> None:
        with self._lock:
            self._cut = cut
            if self._ended:
                cut()

    def __enter__(self) -> CuttableCall:
        self._before = current()
        begin(self)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        begin(self._before)
        with self._lock:
            self._cut = _nothing


def begin(one: Optional[Cuttable]) -> None:
    """From now on this thread works for ``one``."""
    _here.one = one


def current() -> Optional[Cuttable]:
    """What this thread works for."""
    return getattr(_here, "one", None)


def freed_by(cut: Callable[[], None]) -> None:
    """Say, within a call that may be ended, how any thread cuts what it waits for from now on."""
    one = current()
    if one is not None:
        one.freed_by(cut)


def _nothing() -> None:
    """Of a call that waits for nothing, there is nothing to cut."""
