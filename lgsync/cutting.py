"""What a call waits for, named as it goes, so that any thread can cut it: a socket that is shut down ends its wait.

A signal handler may do that too, and may have interrupted the very call: what it needs is re-entrant.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Callable, Optional, Protocol

__all__ = ["Cut", "Cuttable", "CuttableCall", "begin", "current", "freed_by"]

_one: ContextVar[Optional[Cuttable]] = ContextVar("lgsync-works-for", default=None)


class Cut(Exception):
    """The call was ended while it waited for something that goes on behind its back."""


class Cuttable(Protocol):
    """A call that may be ended before its time."""

    def freed_by(self, cut: Callable[[], None]) -> None:
        """From now on ``cut``, called by any thread, ends what it waits for; called at once if it has been ended."""


class CuttableCall:
    """A call that its caller makes on its own thread, up to ``finish``; any thread ends it."""

    def __init__(self) -> None:
        self._ended = False
        # Held while something is cut, so that a connection serves no other call by then.
        self._lock = threading.RLock()
        self._cut: Callable[[], None] = _nothing

    def end(self) -> None:
        """Cut what it waits for, and whatever it would wait for next."""
        with self._lock:
            self._ended = True
            self._cut()

    def finish(self) -> None:
        """It was made: what it waited for may serve others now."""
        with self._lock:
            self._cut = _nothing

    def freed_by(self, cut: Callable[[], None]) -> None:
        with self._lock:
            self._cut = cut
            if self._ended:
                cut()


def begin(one: Optional[Cuttable]) -> None:
    """What runs in this context works for ``one`` from now on: call it in a copy, which no interrupt leaves behind."""
    _one.set(one)


def current() -> Optional[Cuttable]:
    """What is worked for here."""
    return _one.get()


def freed_by(cut: Callable[[], None]) -> None:
    """Say, within a call that may be ended, how any thread cuts what it waits for from now on."""
    one = current()
    if one is not None:
        one.freed_by(cut)


def _nothing() -> None:
    """Of a call that waits for nothing, there is nothing to cut."""
