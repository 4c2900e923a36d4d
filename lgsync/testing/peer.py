"""A socket that never blocks, with what is still to be sent on it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import Optional

from .loop import WRITE, Handler, Loop

__all__ = ["Peer"]

_AT_ONCE = 262_144
_LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Peer:
    """One end of a link."""

    def __init__(self, sock: socket.socket, loop: Loop, handler: Handler, *, connected: bool = True) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # who connected may have left
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.unsent = bytearray()
        self.was_reset = False
        self.connected = connected
        self._loop = loop
        self._handler = handler

    def finish_connecting(self) -> bool:
        """Whether a connection came about; to be asked once the socket can be written to."""
        try:
            self.sock.getpeername()
        except OSError:
            return False
        self.connected = True
        return True

    def watch(self, events: int) -> None:
        """Wait for these events, and for room if there is something to send."""
        self._loop.watch(self.sock, events | (WRITE if self.unsent or not self.connected else 0), self._handler)

    def receive(self) -> Optional[bytes]:
        """What has come; nothing (empty) if the other side is gone, None if there is nothing new."""
        try:
            return self.sock.recv(_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            self.was_reset = True
            return b""

    def flush(self) -> bool:
        """Send what can be sent; False if the other side takes nothing more."""
        while self.unsent:
            with memoryview(self.unsent) as whole, whole[:_AT_ONCE] as part:
                try:
                    sent = self.sock.send(part)
                except (BlockingIOError, InterruptedError):
                    return True
                except OSError:
                    return False
            del self.unsent[:sent]
        return True

    def end_sending(self) -> None:
        """Tell the other side that nothing more comes (FIN)."""
        with contextlib.suppress(OSError):  # it may have gone first
            self.sock.shutdown(socket.SHUT_WR)

    def close(self, *, reset: bool = False) -> None:
        """Close the socket, cleanly or with a reset."""
        self._loop.watch(self.sock, 0, self._handler)
        if reset:
            with contextlib.suppress(OSError):  # it may be reset already
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.sock.close()
