"""A loopback proxy between a client and a server: counts what passes, keeps what was asked, cuts a stream on demand."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from typing import Callable, Dict, List, Optional
from urllib.parse import urlsplit

__all__ = ["Cut", "Tap", "Watch"]

_END_OF_BODY = b"0\r\n\r\n"
_END_OF_SOCKET = b"\x88\x02\x03\xe8"  # a WebSocket's close frame, with status 1000


class Watch:
    """Calls ``then`` when the first connection has carried ``after`` to the client."""

    def __init__(self, after: bytes, then: Callable[[], None]) -> None:
        self._after = after
        self._then = then
        self._lock = threading.Lock()
        self._seen = False

    def ends(self, carried: bytes, client: socket.socket, websocket: bool) -> bool:
        """Whether the connection, which has carried these bytes, is to end here."""
        whole_event = websocket or carried.endswith(b"\r\n")
        with self._lock:
            if self._seen or self._after not in carried or not whole_event:
                return False
            self._seen = True
        ended = self._end(client, websocket)
        self._then()
        return ended

    def _end(self, client: socket.socket, websocket: bool) -> bool:  # noqa: ARG002 - a Cut needs both
        return False


class Cut(Watch):
    """Ends that connection first; ``cleanly`` as a proxy does that has had enough of a stream, else it just breaks.

    A clean end is the last chunk of the body, or the WebSocket's close frame.
    """

    def __init__(self, after: bytes, then: Callable[[], None], *, cleanly: bool) -> None:
        super().__init__(after, then)
        self._cleanly = cleanly

    def _end(self, client: socket.socket, websocket: bool) -> bool:
        if self._cleanly:
            client.sendall(_END_OF_SOCKET if websocket else _END_OF_BODY)
        return True


class Tap:
    """Listens on ``url`` while its ``with`` block lasts, and passes all on to the server at ``target``.

    ``received`` counts the bytes sent to the client, ``heads`` are the first requests of its connections, ``cpu`` is
    what passing it on has cost, in seconds. With ``deaf_seconds`` it refuses connections that long.
    A stream that is watched is not let be compressed, or its frames could not be read.
    """

    def __init__(self, target: str, *, watch: Optional[Watch] = None, deaf_seconds: float = 0.0) -> None:
        parts = urlsplit(target)
        self._server = (str(parts.hostname), parts.port or 80)
        self._watch = watch
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._opening = threading.Timer(deaf_seconds, self._open)
        self._opening.daemon = True
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.received = 0
        self._bills: Dict[int, float] = {}
        self.heads: List[bytes] = []

    def __enter__(self) -> Tap:
        if self._opening.interval:
            self._opening.start()
        else:
            self._open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opening.cancel()
        self._listener.close()

    @property
    def cpu(self) -> float:
        return sum(list(self._bills.values()))

    def _open(self) -> None:
        self._listener.listen()
        _spawn(self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # how a listener that was closed says so
            while True:
                client, _ = self._listener.accept()
                _spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            head = _read_head(client)
            self.heads.append(head)
            server.sendall(_without_compression(head) if self._watch else head)
            _spawn(self._pass_up, client, server)
            self._pass_down(server, client, b"upgrade: websocket" in head.lower())

    def _pass_up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = client.recv(65536)
                self._bill()
                if not data:
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _pass_down(self, server: socket.socket, client: socket.socket, websocket: bool) -> None:
        carried = b""
        with contextlib.suppress(OSError):
            while True:
                data = server.recv(65536)
                self._bill()
                if not data:
                    break
                client.sendall(data)
                with self._lock:
                    self.received += len(data)
                if self._watch is not None:
                    carried += data
                    if self._watch.ends(carried, client, websocket):
                        break
            # The other thread waits in recv() on this socket, and close() alone would not end the connection.
            client.shutdown(socket.SHUT_RDWR)

    def _bill(self) -> None:
        self._bills[threading.get_ident()] = time.thread_time()


def _read_head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(65536)
        if not data:
            break
        head += data
    return head


def _without_compression(head: bytes) -> bytes:
    return re.sub(rb"(?i)\r\n(sec-websocket-extensions|accept-encoding):[^\r]*", b"", head)


def _spawn(call: Callable[..., None], *args: object) -> None:
    threading.Thread(target=call, args=args, daemon=True).start()
