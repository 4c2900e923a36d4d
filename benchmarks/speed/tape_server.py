"""The server that plays tapes on a loopback port, in a process of its own: as cheap as can be, so that clients wait
for nothing but themselves.

The ``input`` of a run says what is played: ``{"tape": "text", "chunks": 2000}``. ``pause`` is how many seconds pass
between two events (without it, all is sent at once); ``together`` that nothing is sent before so many streams with the
same ``crowd`` are open. One event is one chunk of the HTTP body (but a ``state`` comes in chunks of 8 KB), or one frame
of the WebSocket. Runs end as real ones do: their status, their thread's state and what a join shows can be asked for.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple
from uuid import uuid4

from .frames import Frames, run_frames, text_frame, thread_frames
from .tapes import FIRST_ID, RUN, STAMP, state_of

__all__ = ["served_tapes"]

_REASONS = {200: "OK", 202: "Accepted", 404: "Not Found"}
_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no"}
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: How long a socket may be quiet before its subscriptions are taken for all there are.
_QUIET = 0.05
_DESCRIPTORS = 16384

_CHILD = "import sys; sys.path.append(sys.argv[1]); from benchmarks.speed.tape_server import main; main()"
_ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def served_tapes() -> Iterator[str]:
    """The URL of such a server, which lives as long as the ``with`` block."""
    # The checkout comes last on the path: its lgsync/ would hide an installed package.
    command = [sys.executable, "-c", _CHILD, str(_ROOT)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tempfile.gettempdir()
    )
    with process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def main() -> None:
    """Serve until whoever started this closes its end of standard input."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_DESCRIPTORS, hard), hard))
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    threading.Thread(target=_accept, args=(listener, _Server()), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
    os._exit(0)


def _accept(listener: socket.socket, server: _Server) -> None:
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(client, server), daemon=True).start()


def _serve(client: socket.socket, server: _Server) -> None:
    with client, contextlib.suppress(OSError, EOFError):
        peer = _Peer(client)
        while True:
            server.answer(peer, peer.request())


class _Request(NamedTuple):
    method: str
    path: str
    headers: Dict[str, str]
    body: Any


class _Peer:
    """One connection: requests in, answers out."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._unread = b""

    def request(self) -> _Request:
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = self.read(int(headers.get("content-length", 0)))
        return _Request(method, target.partition("?")[0], headers, json.loads(body) if body else None)

    def _until(self, end: bytes) -> bytes:
        while end not in self._unread:
            self._receive()
        found, _, self._unread = self._unread.partition(end)
        return found

    def read(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._receive()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _receive(self) -> None:
        data = self._client.recv(65536)
        if not data:
            raise EOFError
        self._unread += data

    def is_quiet(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._client, select.POLLIN)
        return not self._unread and not poll.poll(seconds * 1000)

    def send(self, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            self._client.sendall(block)

    def respond(self, data: Any, status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.head(status, {"content-type": "application/json", "content-length": str(len(body))}, body)

    def head(self, status: int, headers: Dict[str, str], body: bytes = b"") -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items())]
        self.send(["\r\n".join([*lines, "", ""]).encode("latin-1") + body])


class _Run:
    """A run: what was asked for, and whether it has started."""

    def __init__(self, thread_id: str, asked: Dict[str, Any]) -> None:
        self.id = str(uuid4())
        self.thread_id = thread_id
        self.tape, self.chunks = str(asked["tape"]), int(asked["chunks"])
        self.pause = float(asked.get("pause", 0))
        self.crowd, self.together = str(asked.get("crowd", "")), int(asked.get("together", 0))
        self.modes: Tuple[str, ...] = ()
        self.numbered = False


class _Server:
    """What is asked, and what is played."""

    def __init__(self) -> None:
        self._runs: Dict[str, _Run] = {}
        self._latest: Dict[str, _Run] = {}
        self._gatherings: Dict[str, int] = {}
        self._changed = threading.Condition()
        thread, run = "/threads/([^/]+)", "/runs/([^/]+)"
        self._routes: List[Tuple[str, Callable[..., None]]] = [
            ("POST /threads", self._create_thread),
            (f"GET {thread}", lambda peer, _, thread_id: peer.respond(_thread(thread_id))),
            (f"GET {thread}/state", self._state),
            (f"POST {thread}/runs/stream", self._stream_run),
            (f"GET {thread}{run}", self._run),
            (f"GET {thread}{run}/stream", self._join_run),
            (f"POST {thread}/commands", self._command),
            (f"POST {thread}/stream/events", self._stream_thread),
            (f"GET {thread}/stream/events", self._open_socket),
        ]

    def answer(self, peer: _Peer, request: _Request) -> None:
        for route, handle in self._routes:
            found = re.fullmatch(route, f"{request.method} {request.path}")
            if found is not None:
                handle(peer, request, *found.groups())
                return
        peer.respond({"detail": "Not Found"}, 404)

    # -- REST --

    def _create_thread(self, peer: _Peer, request: _Request) -> None:
        peer.respond(_thread((request.body or {}).get("thread_id") or str(uuid4())))

    def _state(self, peer: _Peer, _: _Request, thread_id: str) -> None:
        run = self._latest[thread_id]
        metadata = {"run_id": run.id, "source": "loop", "step": 1}
        values = state_of(run.tape, run.chunks)
        peer.respond({"values": values, "next": [], "tasks": [], "metadata": metadata, "interrupts": []})

    def _run(self, peer: _Peer, _: _Request, thread_id: str, run_id: str) -> None:
        if run_id not in self._runs:
            peer.respond({"detail": "Not Found"}, 404)
            return
        created = "2026-11-22T00:00:00+00:00"
        peer.respond({"run_id": run_id, "thread_id": thread_id, "status": "success", "created_at": created})

    def _start(self, thread_id: str, asked: Dict[str, Any]) -> _Run:
        run = _Run(thread_id, asked)
        with self._changed:
            self._runs[run.id] = self._latest[thread_id] = run
            self._changed.notify_all()
        return run

    # -- the run-stream API --

    def _stream_run(self, peer: _Peer, request: _Request, thread_id: str) -> None:
        run = self._start(thread_id, request.body["input"])
        asked = request.body.get("stream_mode") or ["values"]
        run.modes = (asked,) if isinstance(asked, str) else tuple(asked)
        run.numbered = bool(request.body.get("stream_resumable"))
        place = f"/threads/{thread_id}/runs/{run.id}"
        peer.head(200, {**_STREAM, "location": f"{place}/stream", "content-location": place, **_CHUNKED})
        self._gather(run)
        played = run_frames(run.tape, run.chunks, run.modes, run.numbered)
        _play(peer, played, run)
        peer.send([_END])

    def _join_run(self, peer: _Peer, request: _Request, _: str, run_id: str) -> None:
        run = self._runs[run_id]
        peer.head(200, {**_STREAM, **_CHUNKED})
        position = request.headers.get("last-event-id", "").partition("-")[0]
        if position:
            frames = run_frames(run.tape, run.chunks, run.modes, run.numbered)
            peer.send(frame.replace(_RUN, run.id.encode()) for frame in frames.after(int(position) - FIRST_ID))
        peer.send([_END])

    def _gather(self, run: _Run) -> None:
        """Wait until all of its crowd are here."""
        with self._changed:
            self._gatherings[run.crowd] = here = self._gatherings.get(run.crowd, 0) + 1
            if here == run.together:
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._gatherings[run.crowd] >= run.together)

    # -- the thread event protocol --

    def _command(self, peer: _Peer, request: _Request, thread_id: str) -> None:
        run = self._start(thread_id, request.body["params"]["input"])
        meta = {"applied_through_seq": 0}
        peer.respond({"type": "success", "id": request.body["id"], "result": {"run_id": run.id}, "meta": meta})

    def _stream_thread(self, peer: _Peer, request: _Request, thread_id: str) -> None:
        peer.head(200, {**_STREAM, **_CHUNKED})
        run = self._started(thread_id)
        _play(peer, thread_frames(run.tape, run.chunks, frozenset(request.body["channels"]), False), run)
        # It goes on for the thread's next run: only the client ends it.
        peer.request()

    def _open_socket(self, peer: _Peer, request: _Request, thread_id: str) -> None:
        key = request.headers["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode()
        peer.head(101, {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accept})
        channels: List[str] = []
        while not channels or not peer.is_quiet(_QUIET):
            channels += _subscribed(peer)
        run = self._started(thread_id)
        self._gather(run)
        _play(peer, thread_frames(run.tape, run.chunks, frozenset(channels), True), run)
        while True:
            _read_frame(peer)

    def _started(self, thread_id: str) -> _Run:
        with self._changed:
            self._changed.wait_for(lambda: thread_id in self._latest)
            return self._latest[thread_id]


def _subscribed(peer: _Peer) -> List[str]:
    """The channels of the next subscription, which is confirmed."""
    command = _read_frame(peer)
    if command is None:
        return []
    result = {"subscription_id": str(uuid4()), "replayed_events": 0}
    confirmed = {"type": "success", "id": command["id"], "result": result, "meta": {"applied_through_seq": 0}}
    peer.send([text_frame(json.dumps(confirmed).encode())])
    return list(command["params"]["channels"])


def _thread(thread_id: str) -> Dict[str, Any]:
    now = "2026-11-22T00:00:00+00:00"
    dates = {"created_at": now, "updated_at": now, "state_updated_at": now}
    about = {"metadata": {}, "status": "idle", "config": {}, "values": None, "interrupts": {}, "error": None}
    return {"thread_id": thread_id, **dates, **about}


# -- playing -----------------------------------------------------------------------------------------------------------

_CHUNKED = {"transfer-encoding": "chunked", "connection": "keep-alive"}
_END = b"0\r\n\r\n"
_RUN, _STAMP = RUN.encode(), STAMP.encode()


def _play(peer: _Peer, frames: Frames, run: _Run) -> None:
    own = run.id.encode()
    if run.pause:
        _play_slowly(peer, [frame.replace(_RUN, own) for frame in frames.each], run.pause)
        return
    peer.send(frame.replace(_RUN, own) for frame in frames.opening)
    peer.send(frames.blocks)
    if len(frames.each) > 1:
        peer.send([frames.each[-1].replace(_RUN, own)])


def _play_slowly(peer: _Peer, frames: List[bytes], pause: float) -> None:
    """One after the other, each stamped with the time; what repeats the whole message repeats its stamps."""
    stamps: List[bytes] = []
    for frame in frames:
        first, *others = frame.split(_STAMP)
        time.sleep(pause)
        if len(others) == 1:
            stamps.append(b"%0*d" % (len(STAMP), time.monotonic_ns()))
        spoken = stamps[-1:] if len(others) == 1 else stamps
        peer.send([first + b"".join(stamp + other for stamp, other in zip(spoken, others))])


def _read_frame(peer: _Peer) -> Any:
    """The JSON of the client's next frame; None for a ping. Answers a closing frame, and ends then."""
    first, second = peer.read(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(peer.read(2 if size == 126 else 8), "big")
    mask = peer.read(4)
    data = bytes(byte ^ mask[number % 4] for number, byte in enumerate(peer.read(size)))
    kind = first & 0x0F
    if kind == 8:
        peer.send([bytes([0x88, len(data)]) + data])
        raise EOFError
    if kind == 9:
        peer.send([bytes([0x8A, len(data)]) + data])
        return None
    return json.loads(data)
