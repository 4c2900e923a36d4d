"""Runs whose handles are gone: they are left behind the back of whoever let go of them, and at exit.

A finaliser runs wherever the interpreter happens to be, perhaps inside the very lock that a request needs. So it makes
no request itself: a short-lived thread does. And what is still open when the program ends is left before the
interpreter takes its modules apart.
"""

from __future__ import annotations

import _thread
import atexit
import os
import weakref
from threading import Thread
from typing import Protocol

__all__ = ["Leavable", "in_background", "remember"]


class Leavable(Protocol):
    """Something that can be left: once, quickly, and from any thread."""

    def leave(self) -> None:
        """Free what is held; never raises for what a server does, and waits if another thread is leaving it."""


_open: weakref.WeakSet[Leavable] = weakref.WeakSet()
_process = os.getpid()


def remember(one: Leavable) -> None:
    """Leave ``one`` when the program ends, unless that has happened by then."""
    global _open, _process
    if _process != os.getpid():
        # What a fork brought along belongs to the parent.
        _open, _process = weakref.WeakSet(), os.getpid()
    _open.add(one)


def in_background(one: Leavable) -> None:
    """Leave ``one`` soon, in a thread of its own."""
    # Starting a Thread takes a lock that the interrupted code may hold, so that is done elsewhere too; and a Thread it
    # must be, or the threading module would keep a stand-in for it.
    _thread.start_new_thread(_start, (one,))


def _start(one: Leavable) -> None:
    Thread(target=one.leave, name="lgsync-leaving", daemon=True).start()


def _leave_all() -> None:
    if _process == os.getpid():
        for one in list(_open):
            one.leave()


atexit.register(_leave_all)
