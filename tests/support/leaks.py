"""Watches for threads and sockets that outlive the test that opened them."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
import time
from typing import Dict, Union

PATIENCE = 2.0

#: What is open, by an identity that no two open things share.
Open = Dict[object, Union[threading.Thread, int]]


def what_is_open() -> Open:
    """Every live thread, and the descriptor of every open socket of this process."""
    return {**{thread: thread for thread in threading.enumerate()}, **_sockets()}


def assert_none_remain(before: Open) -> None:
    """Fail, naming what leaked, if two seconds from now something is open that was not open before."""
    deadline = time.monotonic() + PATIENCE
    while True:
        leaked = {key: thing for key, thing in what_is_open().items() if key not in before}
        if not leaked:
            return
        if time.monotonic() > deadline:
            raise AssertionError(
                f"{len(leaked)} left open: " + "; ".join(_described(thing) for thing in leaked.values())
            )
        threading.Event().wait(0.02)


def _sockets() -> Open:
    if not os.path.isdir("/proc/self/fd"):
        alive = (thing for thing in gc.get_objects() if isinstance(thing, socket.socket))
        return {id(thing): thing.fileno() for thing in alive if thing.fileno() != -1}
    found: Open = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, as the listing's own descriptor is
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:"):
                found[target] = int(name)
    return found


def _described(thing: Union[threading.Thread, int]) -> str:
    if isinstance(thing, threading.Thread):
        return f"thread {thing.name!r}"
    try:
        with socket.socket(fileno=os.dup(thing)) as copy:
            return f"socket {copy.getsockname()} to {copy.getpeername()}"
    except OSError:
        return f"socket {thing}, not connected"
