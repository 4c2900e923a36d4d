"""A loopback server of one thread: its REST answers are set beforehand, its sockets are driven by the test itself.

::

    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        peer = server.peer()                     # the server's end of the socket that open_run made
        peer.confirm()                           # answers the subscriptions
        peer.send(tape.running(), tape.completed())
        parts = list(source)

Nothing here sleeps; every wait ends after ``PATIENCE`` seconds.
"""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from rawserver import PATIENCE
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from lgsync.transport import RunJoin, RunStart, Timeout, TransportConfig
from lgsync.transports.websocket import WebSocketTransport

__all__ = ["RUN", "THREAD", "Asked", "Peer", "ThreadServer"]

THREAD = "11111111-1111-1111-1111-111111111111"
RUN = "run-1"

Answer = Union[Tuple[int, Any], Callable[[], Tuple[int, Any]]]


class Asked(NamedTuple):
    """One request as the server got it; the names of ``headers`` are in lower case."""

    method: str
    target: str
    headers: Dict[str, str]
    body: Any

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Peer:
    """The server's end of one WebSocket. ``asked`` is its handshake."""

    def __init__(self, sock: socket.socket, asked: Asked) -> None:
        self.asked = asked
        self._sock = sock
        self._protocol = ServerProtocol()
        self._frames: queue.Queue[Optional[Dict[str, Any]]] = queue.Queue()
        self.closed = threading.Event()

    def accept(self) -> None:
        """Do the handshake, and read what the client sends until it leaves."""
        lines = [f"GET {self.asked.target} HTTP/1.1", *(": ".join(header) for header in self.asked.headers.items())]
        self._protocol.receive_data("\r\n".join([*lines, "", ""]).encode("latin-1"))
        (request,) = self._protocol.events_received()
        assert isinstance(request, Request)
        self._protocol.send_response(self._protocol.accept(request))
        self._flush()
        self._read()

    def send(self, *frames: Mapping[str, Any]) -> None:
        for frame in frames:
            self.send_text(json.dumps(frame))

    def send_at_once(self, *frames: Mapping[str, Any], broken: bytes = b"") -> None:
        """Send all of them in one piece, and behind them, what is no JSON."""
        for text in [*(json.dumps(frame).encode() for frame in frames), *([broken] if broken else [])]:
            self._protocol.send_text(text)
        self._flush()

    def send_text(self, text: str) -> None:
        self._protocol.send_text(text.encode())
        self._flush()

    def receive(self) -> Dict[str, Any]:
        """The next frame of the client's."""
        frame = self._frames.get(timeout=PATIENCE)
        assert frame is not None, "the client left"
        return frame

    def confirm(self, *replayed: Mapping[str, Any]) -> List[Dict[str, Any]]:
        """Answer both subscriptions, the replay before the first answer; gives what was asked for."""
        first, second = self.receive(), self.receive()
        self.send(*replayed, *(self._confirmation(each) for each in (first, second)))
        return [first["params"], second["params"]]

    def _confirmation(self, command: Mapping[str, Any]) -> Dict[str, Any]:
        return {"type": "success", "id": command["id"], "result": {"subscription_id": "s", "replayed_events": 0}}

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._protocol.send_close(code, reason)
        self._flush()

    def abort(self) -> None:
        """Break the connection without a closing frame."""
        self._sock.shutdown(socket.SHUT_RDWR)

    def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._sock.sendall(data)

    def _read(self) -> None:
        try:
            while True:
                data = self._sock.recv(65536)
                if not data:
                    return
                self._protocol.receive_data(data)
                self._flush()
                for event in self._protocol.events_received():
                    if getattr(event, "opcode", None) is Opcode.TEXT:
                        self._frames.put(json.loads(event.data))
                if self._protocol.close_expected():
                    return
        except OSError:
            return
        finally:
            self.closed.set()
            self._frames.put(None)


class ThreadServer:
    """Serves one idle thread with one run. ``answers`` maps ``"GET /path"`` to (status, JSON); change it as needed.

    ``handshake`` other than None is the answer to every WebSocket handshake: (status, headers, body).
    """

    def __init__(self, *, prefix: str = "", tls: Optional[ssl.SSLContext] = None) -> None:
        base = f"{prefix}/threads/{THREAD}"
        self.base = base
        self.answers: Dict[str, Answer] = {
            f"GET {base}": (200, {"thread_id": THREAD, "status": "idle", "interrupts": {}}),
            f"GET {base}/state": (200, {"values": {}, "tasks": [], "metadata": {"run_id": RUN}}),
            f"GET {base}/runs/{RUN}": (200, {"run_id": RUN, "status": "running"}),
            f"GET {base}/runs": (200, [{"run_id": RUN, "kwargs": {}}]),
            f"POST {base}/commands": (200, {"type": "success", "id": 1, "result": {"run_id": RUN}}),
        }
        self.handshake: Optional[Tuple[int, Mapping[str, str], bytes]] = None
        self.asked: List[Asked] = []
        self._peers: queue.Queue[Peer] = queue.Queue()
        self._all_peers: List[Peer] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                server._serve(self, "GET")

            def do_POST(self) -> None:
                server._serve(self, "POST")

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = False
        self._http.block_on_close = True
        scheme = "http"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_address[1]}{prefix}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> ThreadServer:
        self._thread.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        left_open = [peer for peer in self._all_peers if not peer.closed.wait(PATIENCE if kind is None else 0)]
        for peer in left_open:
            peer.abort()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(PATIENCE)
        assert kind is not None or not left_open, "a client left its socket open"

    def transport(self, *, headers: Optional[Mapping[str, str]] = None, **options: Any) -> WebSocketTransport:
        session = options.pop("session", None)
        timeout = options.pop("timeout", Timeout(PATIENCE, 5))
        config = TransportConfig(self.url, headers or {}, timeout, session)
        return WebSocketTransport(config, **options)

    @staticmethod
    def start(**payload: Any) -> RunStart:
        defaults = {"assistant_id": "agent", "input": {"messages": []}, "stream_mode": ["messages-tuple", "updates"]}
        return RunStart(THREAD, {**defaults, **payload})

    @staticmethod
    def join(position: Optional[str] = "-1") -> RunJoin:
        return RunJoin(THREAD, RUN, ("messages-tuple", "updates"), position)

    def peer(self) -> Peer:
        """The server's end of the next WebSocket that was opened."""
        return self._peers.get(timeout=PATIENCE)

    def run_is(self, status: str) -> None:
        self.answers[f"GET {self.base}/runs/{RUN}"] = (200, {"run_id": RUN, "status": status})

    def run_is_gone(self) -> None:
        del self.answers[f"GET {self.base}/runs/{RUN}"]

    def waits_for(self, *interrupts: Mapping[str, Any]) -> None:
        """The thread waits for answers: both it and its state say so."""
        self.answers[f"GET {self.base}"] = (200, {"thread_id": THREAD, "interrupts": {"task": list(interrupts)}})
        state = {"values": {}, "tasks": [{"interrupts": list(interrupts)}], "metadata": {"run_id": RUN}}
        self.answers[f"GET {self.base}/state"] = (200, state)

    def requests_to(self, method: str, path: str) -> List[Asked]:
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, f"{self.base}{path}")]

    def _serve(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", 0)))
        asked = Asked(method, handler.path, headers, json.loads(body) if body else None)
        self.asked.append(asked)
        # So that no thread of the server waits for a second request.
        handler.close_connection = True
        if headers.get("upgrade", "").lower() != "websocket":
            answer = self.answers.get(f"{method} {asked.path}", (404, {"detail": "Not Found"}))
            status, data = answer() if callable(answer) else answer
            self._respond(handler, status, {"Content-Type": "application/json"}, json.dumps(data).encode())
            return
        if self.handshake is not None:
            self._respond(handler, *self.handshake)
            return
        peer = Peer(handler.connection, asked)
        self._all_peers.append(peer)
        self._peers.put(peer)
        peer.accept()

    @staticmethod
    def _respond(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
