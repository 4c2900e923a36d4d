"""A relay to a server that keeps the heads of all requests that go through it."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import socketserver
import threading
from typing import Dict, List, NamedTuple
from urllib.parse import urlsplit

__all__ = ["Head", "Wiretap"]

_HEAD = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)


class Head(NamedTuple):
    """The head of one request; the names of ``headers`` are in lower case."""

    method: str
    path: str
    headers: Dict[str, str]


class Wiretap:
    """Relays every connection to the server at ``url``. Close the clients before leaving it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        address = parts.hostname, parts.port
        sent: List[bytearray] = []

        class Relay(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                kept = bytearray()
                sent.append(kept)
                with contextlib.suppress(ConnectionError), socket.create_connection(address) as server:
                    _relay(self.request, server, kept)

        self._sent = sent
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> List[Head]:
        """Those of each connection in order, one connection after the other."""
        return [_head(*found.groups()) for kept in self._sent for found in _HEAD.finditer(bytes(kept))]

    def __enter__(self) -> Wiretap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _relay(client: socket.socket, server: socket.socket, kept: bytearray) -> None:
    other = {client: server, server: client}
    while True:
        for one in select.select(list(other), [], [])[0]:
            data = one.recv(65536)
            if not data:
                return
            if one is client:
                kept += data
            other[one].sendall(data)


def _head(method: bytes, target: bytes, lines: bytes) -> Head:
    pairs = (line.partition(":") for line in lines.decode("latin-1").split("\r\n"))
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Head(method.decode(), target.decode().partition("?")[0], headers)
