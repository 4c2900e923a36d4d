"""An HTTP server of a few routes that stands in for a LangGraph server: what it answers, a test says."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

THREAD = "11111111-1111-1111-1111-111111111111"
RUN = "22222222-2222-2222-2222-222222222222"


class Asked(NamedTuple):
    method: str
    path: str
    body: Any


class Answer(NamedTuple):
    """``beats`` is a stream: what to send, each piece when its event is set (None: at once)."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    beats: Optional[List[Tuple[Optional[threading.Event], bytes]]] = None


def as_json(data: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(data).encode())


def as_events(*events: Tuple[str, Any], ids: bool = True) -> Answer:
    """A run's stream, framed as LangGraph servers do it."""
    frames = [
        f"event: {name}\r\ndata: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}\r\n"
        + (f"id: {number}-0\r\n" if ids else "")
        + "\r\n"
        for number, (name, data) in enumerate(events, start=1)
    ]
    return Answer(200, "".join(frames).encode(), "text/event-stream; charset=utf-8")


Route = Callable[[Asked], Optional[Answer]]


class SmallServer:
    """Answers by ``routes``: (method, end of the path) → an Answer, or a function that makes one."""

    def __init__(self, routes: Dict[Tuple[str, str], Any]) -> None:
        self.asked: List[Asked] = []
        self._stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(self.command, self.path.partition("?")[0], json.loads(body) if body else None)
                server.asked.append(asked)
                found = [answer for (method, end), answer in routes.items() if server._fits(asked, method, end)]
                answer = found[0] if found else as_json({"detail": "Not Found"}, 404)
                server._send(self, answer(asked) if callable(answer) else answer)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *_: Any) -> None:
                """Nothing is to be told."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def paths(self, method: str) -> List[str]:
        return [asked.path for asked in self.asked if asked.method == method]

    def __enter__(self) -> SmallServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @staticmethod
    def _fits(asked: Asked, method: str, end: str) -> bool:
        return asked.method == method and asked.path.endswith(end)

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        handler.send_response(answer.status)
        handler.send_header("content-type", answer.content_type)
        if answer.content_type.startswith("text/event-stream"):
            handler.send_header("content-location", f"/threads/{THREAD}/runs/{RUN}")
            handler.send_header("connection", "close")
            handler.close_connection = True
        else:
            handler.send_header("content-length", str(len(answer.body)))
        handler.end_headers()
        try:
            handler.wfile.write(answer.body)
            for event, piece in answer.beats or []:
                while event is not None and not event.wait(0.02):
                    if self._stopping.is_set():
                        return
                handler.wfile.write(piece)
                handler.wfile.flush()
        except OSError:
            return  # the client has left


def thread_routes(*streams: Answer, state: Any = None, status: str = "success") -> Dict[Tuple[str, str], Any]:
    """What a run needs: a thread, its streams one after the other, its state, and the run's status."""
    left = list(streams)
    return {
        ("POST", "/threads"): as_json({"thread_id": THREAD}),
        ("POST", "/runs/stream"): lambda _: left.pop(0),
        ("GET", "/state"): as_json({"values": {"messages": []}, "next": [], "tasks": [], **(state or {})}),
        ("GET", f"/runs/{RUN}"): as_json({"run_id": RUN, "thread_id": THREAD, "status": status}),
        ("GET", f"/threads/{THREAD}"): as_json({"thread_id": THREAD, "status": "idle", "values": {}}),
    }
