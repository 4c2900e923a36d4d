"""A LangGraph server that says what a test tells it to."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import threading
import uuid
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Deque, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import ConfigurationError
from ..parts import StreamPart
from .scripted_run import Broken, ScriptedRun, ScriptedThread, Sent, now
from .steps import Script, Step

__all__ = ["ReceivedRequest", "ScriptedServer"]

_HOST = "127.0.0.1"

# How long a run may take to end, and a thread of the server's, once it is closed.
_END_SECONDS = 5.0


class ReceivedRequest(NamedTuple):
    """A request that came; the names of ``headers`` are in lower case, ``json`` is the decoded body or None."""

    method: str
    path: str
    params: Dict[str, str]
    headers: Dict[str, str]
    json: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class _Refusal(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ScriptedServer:
    """An HTTP server on loopback that speaks as much of the LangGraph API as an app needs, and no graph behind it.

    ::

        with ScriptedServer() as server:
            server.script(says("Hello", " world"))
            with Client(server.url).runs.stream(None, "agent", input={"messages": "hi"}) as run:
                assert run.final_text() == "Hello world"

    Each run that is started plays the next script; its steps are those of :mod:`lgsync.testing.steps`. What a script
    says is in the thread's state, its history and the runs' status as a real server would have it. A run that no script
    is left for is refused with status 500.

    It knows threads (create, get, search, update, delete, state, history), runs (stream, create, wait, join, get, list,
    cancel), ``/ok``, ``/info`` and the assistants that runs were started with. It speaks server-sent events, not the
    WebSocket protocol. Nothing happens until ``start()`` or ``with``; ``close()`` ends every run, and leaves no thread
    and no socket behind. All members may be used from every thread.
    """

    def __init__(self, *, heartbeat: float = 5.0) -> None:
        #: After so many seconds of silence, each stream shows a sign of life.
        self.heartbeat = heartbeat
        #: Every request that came, in order.
        self.requests: List[ReceivedRequest] = []
        self._threads: Dict[str, ScriptedThread] = {}
        self._scripts: Deque[Tuple[Script, ...]] = deque()
        self._repeated: Optional[Tuple[Script, ...]] = None
        self._changed = threading.Condition()
        self._http: Optional[_HTTPServer] = None
        self._listener: Optional[threading.Thread] = None

    @property
    def url(self) -> str:
        """The base URL, for ``Client(server.url)``."""
        if self._http is None:
            raise ConfigurationError("the scripted server has no port yet; use it in a with block, or start it")
        return f"http://{_HOST}:{self._http.server_port}"

    def script(self, *steps: Script, repeat: bool = False) -> None:
        """What the next run does; with ``repeat``, what every run does that no other script is left for."""
        for step in steps:
            if not isinstance(step, (Step, StreamPart, threading.Event)):
                raise ConfigurationError(f"{step!r} is no step; a script is made of says(…), part(…), wait(…) and such")
        with self._changed:
            if repeat:
                self._repeated = steps
            else:
                self._scripts.append(steps)

    @property
    def runs(self) -> List[Dict[str, Any]]:
        """Every run that was started and not rolled back, as the API shows it, by thread."""
        return [run.shown() for thread in list(self._threads.values()) for run in list(thread.runs)]

    def state(self, thread_id: str) -> Dict[str, Any]:
        """The values of a thread's state."""
        values: Dict[str, Any] = self._thread(thread_id).state()["values"]
        return values

    def add_thread(self, thread_id: Optional[str] = None, **values: Any) -> str:
        """Make a thread that holds these values, ``messages`` among them; returns its id."""
        thread = ScriptedThread(thread_id or str(uuid.uuid4()))
        with thread.lock:
            thread.merge(values)
            thread.remember("update", None)
        self._threads[thread.thread_id] = thread
        return thread.thread_id

    def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait for a request: ``server.wait_until(lambda: len(server.requests) == 2)``.

        The condition is asked whenever one has come; it must only look. Raises TimeoutError, which tells what came.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"it did not happen within {timeout} s; there came {list(map(str, self.requests))}")

    def start(self) -> ScriptedServer:
        """Open a port; a server that is open is left as it is."""
        if self._http is None:
            http = self._http = _HTTPServer(self)
            self._listener = threading.Thread(
                target=http.serve_forever, kwargs={"poll_interval": 0.02}, name="scripted-server", daemon=True
            )
            self._listener.start()
        return self

    def close(self) -> None:
        """End every run and break every connection; closing twice is no error."""
        http, self._http = self._http, None
        if http is None or self._listener is None:
            return
        runs = [run for thread in list(self._threads.values()) for run in list(thread.runs)]
        for run in runs:
            run.cancel()
        http.shutdown()
        http.break_connections()
        http.server_close()
        self._listener.join(_END_SECONDS)
        for run in runs:
            run.join(_END_SECONDS)

    def __enter__(self) -> ScriptedServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ScriptedServer {self.url if self._http else 'closed'}, {len(self._scripts)} scripts left>"

    # -- what it answers -----------------------------------------------------------------------------------------------

    def received(self, request: ReceivedRequest) -> None:
        """A request has come."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def answer(self, request: ReceivedRequest) -> Any:
        """The JSON of an answer, or a :class:`_Stream`. Raises _Refusal."""
        for method, pattern, answer in _ROUTES:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                return answer(self, request, *map(unquote, found.groups()))
        raise _Refusal(404, f"A scripted server does not know {request}")

    def _ok(self, _: ReceivedRequest) -> Any:
        return {"ok": True}

    def _info(self, _: ReceivedRequest) -> Any:
        return {"version": "0.0.0-scripted", "flags": {"assistants": True, "crons": False}}

    def _create_thread(self, request: ReceivedRequest) -> Any:
        body = request.json or {}
        thread_id = body.get("thread_id") or str(uuid.uuid4())
        known = self._threads.get(thread_id)
        if known is not None:
            if body.get("if_exists") != "do_nothing":
                raise _Refusal(409, f"Thread with ID {thread_id} already exists")
            return known.shown()
        made = self._threads[thread_id] = ScriptedThread(thread_id, body.get("metadata"))
        return made.shown()

    def _get_thread(self, _: ReceivedRequest, thread_id: str) -> Any:
        return self._thread(thread_id).shown()

    def _update_thread(self, request: ReceivedRequest, thread_id: str) -> Any:
        thread = self._thread(thread_id)
        thread.metadata.update((request.json or {}).get("metadata") or {})
        return thread.shown()

    def _delete_thread(self, _: ReceivedRequest, thread_id: str) -> Any:
        for run in list(self._thread(thread_id).runs):
            run.cancel()
        del self._threads[thread_id]

    def _search_threads(self, request: ReceivedRequest) -> Any:
        body = request.json or {}
        wanted = body.get("metadata") or {}
        found = [thread.shown() for thread in reversed(list(self._threads.values()))]
        found = [each for each in found if _holds(each["metadata"], wanted)]
        found = [each for each in found if body.get("status") in (None, each["status"])]
        begin = body.get("offset") or 0
        return found[begin : begin + (body.get("limit") or 10)]

    def _state(self, _: ReceivedRequest, thread_id: str) -> Any:
        return self._thread(thread_id).state()

    def _update_state(self, request: ReceivedRequest, thread_id: str) -> Any:
        thread = self._thread(thread_id)
        with thread.lock:
            values = (request.json or {}).get("values")
            thread.merge(values if isinstance(values, dict) else {})
            thread.remember("update", None)
        return {"checkpoint": thread.state()["checkpoint"]}

    def _history(self, request: ReceivedRequest, thread_id: str) -> Any:
        thread = self._thread(thread_id)
        body: Dict[str, Any] = request.json or dict(request.params)
        wanted = body.get("metadata") or {}
        with thread.lock:
            found = [each for each in thread.history if _holds(each["metadata"], wanted)]
        return found[: int(body.get("limit") or 10)]

    def _stream_run(self, request: ReceivedRequest, thread_id: Optional[str] = None) -> Any:
        run = self._start(request, thread_id)
        place = f"/threads/{thread_id}" if thread_id else ""
        return _Stream(
            run, [], 0, f"{place}/runs/{run.run_id}", run.modes, run.payload.get("on_disconnect") == "cancel"
        )

    def _create_run(self, request: ReceivedRequest, thread_id: Optional[str] = None) -> Any:
        return self._start(request, thread_id).shown()

    def _wait_for_run(self, request: ReceivedRequest, thread_id: Optional[str] = None) -> Any:
        return self._result(self._start(request, thread_id), thread_id)

    def _join_run(self, _: ReceivedRequest, thread_id: str, run_id: str) -> Any:
        return self._result(self._run(thread_id, run_id), thread_id)

    def _join_stream(self, request: ReceivedRequest, thread_id: str, run_id: str) -> Any:
        run = self._run(thread_id, run_id)
        sent, place = run.after(request.headers.get("last-event-id"))
        asked = request.params.get("stream_mode")
        modes = tuple(asked.split(",")) if asked else run.modes
        leaves = request.params.get("cancel_on_disconnect") == "true"
        return _Stream(run, sent, place, f"/threads/{thread_id}/runs/{run_id}", modes, leaves)

    def _list_runs(self, request: ReceivedRequest, thread_id: str) -> Any:
        runs = [run.shown() for run in reversed(list(self._thread(thread_id).runs))]
        status = request.params.get("status")
        runs = [run for run in runs if status in (None, run["status"])]
        begin = int(request.params.get("offset") or 0)
        return runs[begin : begin + int(request.params.get("limit") or 10)]

    def _get_run(self, _: ReceivedRequest, thread_id: str, run_id: str) -> Any:
        return self._run(thread_id, run_id).shown()

    def _cancel_run(self, request: ReceivedRequest, thread_id: str, run_id: str) -> Any:
        run = self._run(thread_id, run_id)
        run.rolled_back = request.params.get("action") == "rollback" and not run.over
        run.cancel()
        # Whoever looks at the thread next finds it idle, though it was not asked to wait for that.
        run.join(_END_SECONDS)

    def _search_assistants(self, _: ReceivedRequest) -> Any:
        names = {str(run.payload.get("assistant_id")) for thread in self._threads.values() for run in thread.runs}
        return [_assistant(name) for name in sorted(names) or ["agent"]]

    def _get_assistant(self, _: ReceivedRequest, assistant_id: str) -> Any:
        return _assistant(assistant_id)

    # -- how -----------------------------------------------------------------------------------------------------------

    def _thread(self, thread_id: str) -> ScriptedThread:
        thread = self._threads.get(thread_id)
        if thread is None:
            raise _Refusal(404, f"Thread with ID {thread_id} not found")
        return thread

    def _run(self, thread_id: str, run_id: str) -> ScriptedRun:
        for run in list(self._thread(thread_id).runs):
            if run.run_id == run_id:
                return run
        raise _Refusal(404, f"Run with ID {run_id} not found")

    def _start(self, request: ReceivedRequest, thread_id: Optional[str]) -> ScriptedRun:
        payload = request.json or {}
        if not payload.get("assistant_id"):
            raise _Refusal(422, "assistant_id is missing")
        if thread_id is None:
            thread = self._threads.setdefault(name := str(uuid.uuid4()), ScriptedThread(name))
        elif thread_id not in self._threads and payload.get("if_not_exists") == "create":
            thread = self._threads.setdefault(thread_id, ScriptedThread(thread_id))
        else:
            thread = self._thread(thread_id)
        self._make_room(thread, payload.get("multitask_strategy"))
        run = ScriptedRun(thread, payload, self._next_script(request))
        with thread.lock:
            thread.runs.append(run)
        run.start()
        return run

    def _make_room(self, thread: ScriptedThread, strategy: Optional[str]) -> None:
        busy = [run for run in list(thread.runs) if not run.over]
        if busy and strategy == "reject":
            raise _Refusal(409, "Thread is already running a task. Wait for it to finish.")
        for run in busy if strategy in ("interrupt", "rollback") else []:
            run.rolled_back = strategy == "rollback"
            run.cancel()

    def _next_script(self, request: ReceivedRequest) -> Tuple[Script, ...]:
        with self._changed:
            if self._scripts:
                return self._scripts.popleft()
            if self._repeated is not None:
                return self._repeated
        raise _Refusal(500, f"No script is left for {request}: call server.script(…) once for each run that is started")

    def _result(self, run: ScriptedRun, thread_id: Optional[str]) -> Any:
        for _ in run.events(0, self.heartbeat):
            pass
        failure = [sent.data for sent in run.sent if sent.event == "error"]
        if failure:
            return {"__error__": failure[-1]}
        thread = self._threads.get(thread_id or run.thread_id)
        return None if thread is None else thread.state()["values"]


def _holds(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(metadata.get(name) == value for name, value in wanted.items())


def _assistant(name: str) -> Dict[str, Any]:
    made = now()
    about: Dict[str, Any] = {"assistant_id": name, "graph_id": name, "name": name, "version": 1}
    return {**about, "config": {}, "context": {}, "metadata": {}, "created_at": made, "updated_at": made}


_THREAD, _RUN = r"/threads/([^/]+)", r"/threads/([^/]+)/runs/([^/]+)"

_ANSWERS: List[Tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/ok", ScriptedServer._ok),
    ("GET", "/info", ScriptedServer._info),
    ("POST", "/threads", ScriptedServer._create_thread),
    ("POST", "/threads/search", ScriptedServer._search_threads),
    ("GET", _THREAD, ScriptedServer._get_thread),
    ("PATCH", _THREAD, ScriptedServer._update_thread),
    ("DELETE", _THREAD, ScriptedServer._delete_thread),
    ("GET", f"{_THREAD}/state", ScriptedServer._state),
    ("POST", f"{_THREAD}/state", ScriptedServer._update_state),
    ("GET", f"{_THREAD}/history", ScriptedServer._history),
    ("POST", f"{_THREAD}/history", ScriptedServer._history),
    ("POST", "/runs/stream", ScriptedServer._stream_run),
    ("POST", "/runs/wait", ScriptedServer._wait_for_run),
    ("POST", "/runs", ScriptedServer._create_run),
    ("POST", f"{_THREAD}/runs/stream", ScriptedServer._stream_run),
    ("POST", f"{_THREAD}/runs/wait", ScriptedServer._wait_for_run),
    ("POST", f"{_THREAD}/runs", ScriptedServer._create_run),
    ("GET", f"{_THREAD}/runs", ScriptedServer._list_runs),
    ("GET", _RUN, ScriptedServer._get_run),
    ("GET", f"{_RUN}/stream", ScriptedServer._join_stream),
    ("GET", f"{_RUN}/join", ScriptedServer._join_run),
    ("POST", f"{_RUN}/cancel", ScriptedServer._cancel_run),
    ("POST", "/assistants/search", ScriptedServer._search_assistants),
    ("GET", "/assistants/([^/]+)", ScriptedServer._get_assistant),
]

_ROUTES = [(method, re.compile(path), answer) for method, path, answer in _ANSWERS]


# -- HTTP --------------------------------------------------------------------------------------------------------------


class _Stream(NamedTuple):
    """An answer that goes on: what was said before, then what the run says from ``place`` on."""

    run: ScriptedRun
    before: List[Sent]
    place: int
    location: str
    modes: Tuple[str, ...]
    cancels: bool

    def events(self, heartbeat: float) -> Iterator[Optional[Sent]]:
        for sent in itertools.chain(self.before, self.run.events(self.place, heartbeat)):
            if sent is None or self._is_shown(sent.event):
                yield sent

    def _is_shown(self, event: str) -> bool:
        kind = event.partition("|")[0]
        if kind not in ("values", "updates", "messages") and not kind.startswith("messages/"):
            return True
        mode = "messages-tuple" if kind == "messages" else kind.partition("/")[0]
        # A raw part is shown to all who streamed the run from its start.
        return mode in self.modes or self.modes == self.run.modes


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    # It would wait for connections that clients keep open.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, scripted: ScriptedServer) -> None:
        super().__init__((_HOST, 0), _Handler)
        self.scripted = scripted
        self._lock = threading.Lock()
        self._open: Set[socket.socket] = set()
        self._workers: Set[threading.Thread] = set()
        self._broken = False

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
            self._workers.add(threading.current_thread())
            late = self._broken
        try:
            if not late:
                super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)
                self._workers.discard(threading.current_thread())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news; anything else is a bug, and is shown."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def break_connections(self) -> None:
        """Free every worker, and wait for it to end."""
        with self._lock:
            self._broken = True
            sockets, workers = list(self._open), list(self._workers)
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for worker in workers:
            worker.join(_END_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HTTPServer
    # An event goes out at once.
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        target = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        params = dict(parse_qsl(target.query))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            data = json.loads(body) if body else None
        except ValueError:
            self._respond(400, {"detail": "The body is no JSON"})
            return
        request = ReceivedRequest(self.command, target.path, params, headers, data)
        self.server.scripted.received(request)
        try:
            answer = self.server.scripted.answer(request)
        except _Refusal as refusal:
            self._respond(refusal.status, {"detail": refusal.detail})
            return
        except Broken:
            self._break()
            return
        if isinstance(answer, _Stream):
            self._stream(answer)
        elif answer is None and self.command in ("DELETE", "POST") and not self.path.endswith("/wait"):
            self._respond(204, None)
        else:
            self._respond(200, answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any  # noqa: N815 (the standard library's names)

    def log_message(self, *_: Any) -> None:
        """Keep still."""

    def _respond(self, status: int, data: Any) -> None:
        body = b"" if status == 204 else json.dumps(data).encode()
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, stream: _Stream) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Content-Location", stream.location)
        self.send_header("Location", f"{stream.location}/stream")
        self.end_headers()
        try:
            for sent in stream.events(self.server.scripted.heartbeat):
                self._chunk(b": heartbeat\r\n\r\n" if sent is None else _frame(sent))
            self._chunk(b"")
        except Broken:
            self._break()
        except OSError:
            # The client has left.
            self.close_connection = True
            if stream.cancels:
                stream.run.cancel()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _frame(sent: Sent) -> bytes:
    data = json.dumps(sent.data, ensure_ascii=False)
    return f"id: {sent.id}\r\nevent: {sent.event}\r\ndata: {data}\r\n\r\n".encode("utf-8", "replace")
