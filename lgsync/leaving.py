"""Runs whose handles are gone: they are left behind the back of whoever let go of them, and at exit.

A finaliser runs wherever the interpreter happens to be, perhaps inside the very lock that a request needs. So it makes
no request itself: a short-lived thread does. And what is still open when the program ends is left before the
interpreter takes its modules apart: all at once, for servers that do not answer would add up.
"""

from __future__ import annotations

import _thread
import atexit
import os
import time
import weakref
from threading import Thread, current_thread
from typing import Protocol, Set

__all__ = ["Leavable", "in_background", "remember"]


class Leavable(Protocol):
    """Something that can be left: once, quickly, and from any thread."""

    def leave(self) -> None:
        """Free what is held; never raises for what a server does, and does nothing if that is being done already."""


# How long the program's end may be held up: as long as leaving one run may take.
_AT_EXIT = 8.0

_open: weakref.WeakSet[Leavable] = weakref.WeakSet()
_threads: Set[Thread] = set()
_process = os.getpid()


def remember(one: Leavable) -> None:
    """Leave ``one`` when the program ends, unless that has happened by then."""
    global _open, _threads, _process
    if _process != os.getpid():
        # What a fork brought along belongs to the parent.
        _open, _threads, _process = weakref.WeakSet(), set(), os.getpid()
    _open.add(one)


def in_background(one: Leavable) -> None:
    """Leave ``one`` soon, in a thread of its own."""
    # Starting a Thread takes a lock that the interrupted code may hold, so that is done elsewhere too; and a Thread it
    # must be, or the threading module would keep a stand-in for it.
    _thread.start_new_thread(_start, (one,))


def _start(one: Leavable) -> None:
    thread = Thread(target=_leave, args=(one,), name="lgsync-leaving", daemon=True)
    _threads.add(thread)
    try:
        thread.start()
    except RuntimeError:
        # Some interpreters start no thread any more when the program ends.
        _threads.discard(thread)
        one.leave()


def _leave(one: Leavable) -> None:
    try:
        one.leave()
    finally:
        _threads.discard(current_thread())


def _leave_all() -> None:
    if _process != os.getpid():
        return
    end = time.monotonic() + _AT_EXIT
    for one in list(_open):
        _start(one)
    for thread in list(_threads):
        thread.join(max(0.0, end - time.monotonic()))


atexit.register(_leave_all)
