"""A loopback server whose every byte is scripted, for tests of what happens on the wire.

A script is a function of one :class:`Connection`; it runs in a thread of its own. The n-th connection that a client
opens gets the n-th script, and the last script serves all that follow::

    def script(connection):
        connection.read_request()
        connection.start_stream()
        connection.chunk(b"data: 1\\n\\n")
        assert connection.peer_closed()

    with RawServer(script) as server:
        requests.get(server.url + "/x")

A script that raises fails the test: the error comes out of the ``with`` block. Nothing here sleeps; every wait ends
after ``PATIENCE`` seconds.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
import zlib
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

__all__ = ["PATIENCE", "Connection", "RawServer", "Request", "answer", "refused_port", "tls_contexts", "until"]

#: Seconds after which a wait that should have ended has failed.
PATIENCE = 10.0

_REASONS = {200: "OK", 204: "No Content", 307: "Temporary Redirect", 404: "Not Found"}

EVENT_STREAM = "text/event-stream; charset=utf-8"


class Request(NamedTuple):
    """What a client sent; the names of ``headers`` are in lower case, ``target`` is the path and query as sent."""

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, server: RawServer, number: int) -> None:
        self.sock = sock
        self.server = server
        self.number = number
        self._received = b""
        self._deflate: Any = None

    def read_request(self) -> Request:
        """Read one request, and record it in ``server.requests``; raises EOFError if the client closed instead."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        request = Request(method, target, headers, body)
        self.server.record(request)
        return request

    def _receive(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("the client closed the connection")
        self._received += data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self, status: int = 200, headers: Optional[Mapping[str, str]] = None) -> None:
        """Send a status line and headers, exactly these."""
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def respond(self, status: int = 200, body: Any = b"", headers: Optional[Mapping[str, str]] = None) -> None:
        """A whole answer with a Content-Length; a body that is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
        self.head(status, fields)
        self.send(content)

    def start_stream(
        self,
        headers: Optional[Mapping[str, str]] = None,
        *,
        framing: str = "chunked",
        gzip: bool = False,
        content_type: str = EVENT_STREAM,
    ) -> None:
        """Begin a body that goes on: ``framing`` is "chunked" or "close" (the body ends with the connection)."""
        fields = {"Content-Type": content_type, **(headers or {})}
        fields.update({"Transfer-Encoding": "chunked"} if framing == "chunked" else {"Connection": "close"})
        if gzip:
            fields["Content-Encoding"] = "gzip"
            self._deflate = zlib.compressobj(wbits=31)
        self._framing = framing
        self.head(200, fields)

    def chunk(self, data: bytes) -> None:
        """Send a piece of the body, compressed and framed as ``start_stream`` said, so that it can be read at once."""
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._body(data)

    def _body(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data) if self._framing == "chunked" else data)

    def end(self) -> None:
        """End the body as it should end; a body framed by "close" ends by closing."""
        if self._deflate is not None:
            self._body(self._deflate.flush())
        if self._framing == "chunked":
            self.send(b"0\r\n\r\n")
        else:
            self.close()

    def close(self) -> None:
        """Close cleanly (FIN)."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """Break the connection (RST)."""
        raw = socket.socket(fileno=self.sock.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    def peer_closed(self) -> bool:
        """Wait until the client closes its end: True if it did, False if it sent something or stayed."""
        try:
            return self.sock.recv(1) == b""
        except (ConnectionResetError, ssl.SSLError):
            return True
        except (socket.timeout, TimeoutError):
            return False


Script = Callable[[Connection], None]


def answer(status: int = 200, body: Any = b"", headers: Optional[Mapping[str, str]] = None) -> Script:
    """A script that gives the same answer to every request of its connection, until the client closes."""

    def script(connection: Connection) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                connection.read_request()
                connection.respond(status, body, headers)

    return script


class RawServer:
    """Serve scripts on a loopback port; ``requests`` are those read so far, in order."""

    def __init__(self, *scripts: Script, tls: Optional[ssl.SSLContext] = None) -> None:
        self.scripts = scripts
        self.requests: List[Request] = []
        self.connections: List[Connection] = []
        self._tls = tls
        self._changed = threading.Condition()
        self._failures: List[Exception] = []
        self._threads: List[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{self.port}"

    def __enter__(self) -> RawServer:
        self._run(self._accept)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.stop()
        if error is None and self._failures:
            raise self._failures[0]

    def stop(self) -> None:
        """Close the port and every connection, and wait for the scripts to end."""
        self._closing = True
        # Closing alone would not wake the thread that is in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self.connections):
            connection.close()
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(PATIENCE)

    def record(self, request: Request) -> None:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def wait_for_requests(self, count: int) -> List[Request]:
        """Wait until ``count`` requests were read."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), self.requests
            return list(self.requests)

    def wait_for_scripts(self) -> None:
        """Wait until every script begun so far has ended."""
        for thread in self._threads[1:]:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a script has not ended"

    def _run(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name=f"rawserver:{self.port}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            connection = Connection(sock, self, len(self.connections))
            self.connections.append(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: Connection) -> None:
        try:
            if self._tls is not None:
                connection.sock = self._tls.wrap_socket(connection.sock, server_side=True)
            self.scripts[min(connection.number, len(self.scripts) - 1)](connection)
        except Exception as failure:
            # What breaks because the test is over is no failure, nor is a client that does not like the TLS.
            if not self._closing and not isinstance(failure, ssl.SSLError):
                self._failures.append(failure)
        finally:
            connection.close()


def until(happened: Callable[[], bool], *, within: float = PATIENCE, pause: float = 0.001) -> None:
    """Wait for what only another's doing shows; a longer ``pause`` spares a server that has to be asked."""
    deadline = time.monotonic() + within
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {within:g} s"
        threading.Event().wait(pause)


def refused_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class TLSFiles(NamedTuple):
    """A server's TLS context for ``localhost``, and the file of the authority that signed it."""

    server: ssl.SSLContext
    ca_file: str


def tls_contexts(folder: Any) -> TLSFiles:
    """A throw-away authority and a certificate for localhost; its CA file is written to ``folder``."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    ca_file = str(folder / "ca.pem")
    authority.cert_pem.write_to_path(ca_file)
    return TLSFiles(context, ca_file)
