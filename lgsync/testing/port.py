"""The port that clients connect to: it can be closed for a while, and stays the proxy's own meanwhile."""

from __future__ import annotations

import socket
from typing import Callable, Optional

from .loop import READ, Loop, Timer

__all__ = ["Port"]


class Port:
    """A loopback port; lives in the loop's thread once it accepts."""

    def __init__(self, loop: Loop, accepted: Callable[[socket.socket], None]) -> None:
        self._loop = loop
        self._accepted = accepted
        self._timer: Optional[Timer] = None
        self._sock = self._bound(0)
        self._listening = False
        self.number: int = self._sock.getsockname()[1]

    def open(self) -> None:
        """Accept connections, from now on or again."""
        self._forget_timer()
        if not self._listening:
            self._listening = True
            self._sock.listen(512)
            self._loop.watch(self._sock, READ, self._ready)

    def refuse(self, seconds: Optional[float]) -> None:
        """Refuse connections, for some seconds or until ``open``."""
        self._forget_timer()
        if self._listening:
            self._listening = False
            self.close()
            # Bound but not listening, it refuses; unbound, another process could get the port.
            self._sock = self._bound(self.number)
        if seconds is not None:
            self._timer = self._loop.later(seconds, self.open)

    def close(self) -> None:
        """Give the port back."""
        self._loop.watch(self._sock, 0, self._ready)
        self._sock.close()

    def _ready(self, _: int) -> None:
        try:
            sock, _address = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # who came has left
            return
        self._accepted(sock)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _bound(self, number: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", number))
        return sock
