"""A run handed on to browsers by a WSGI server: what it costs while it is quiet, and how its leaving is noticed."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Dict, Iterator, List
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from langgraph_server import Gate
from rawserver import until
from witness import GREETING

from lgsync import Client
from lgsync.wsgi import resume, sse_headers, sse_response_body

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])

#: Within which a browser's leaving is to have cancelled the run.
NOTICED = 6.0


@pytest.fixture
def client(server_url: str, transport: str) -> Iterator[Client]:
    with Client(server_url, transport=transport) as one:
        yield one


class Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The standard library's WSGI server, for one request at a time."""
    server: WSGIServer = make_server("127.0.0.1", 0, app, handler_class=Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def browser(url: str) -> socket.socket:
    """A connection that has asked for the page."""
    where = urlsplit(url)
    connection = socket.create_connection((where.hostname, where.port), timeout=10)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    return connection


def read_until(token: bytes, connection: socket.socket) -> None:
    read = b""
    while token not in read:
        piece = connection.recv(65536)
        assert piece, f"the answer ended with {read!r}"
        read += piece


@both_transports
def test_a_browser_that_leaves_in_a_quiet_phase_cancels_the_run_within_six_seconds(client: Client) -> None:
    thread = client.threads.create()
    silence = {"configurable": {"seconds": 60}}
    threads: List[int] = []

    def app(environ: Dict[str, Any], start_response: Any) -> Any:
        before = threading.active_count()
        run = client.runs.stream(thread.thread_id, "silent", input=GREETING, config=silence)
        start_response("200 OK", sse_headers())
        body = sse_response_body(run)
        threads.append(threading.active_count() - before)
        return body

    with served(app) as url:
        with browser(url) as connection:
            read_until(b"retry: ", connection)
            (run,) = client.runs.list(thread.thread_id)
        working = ("pending", "running")
        until(lambda: client.runs.get(thread.thread_id, run.run_id).status not in working, within=NOTICED, pause=0.05)
    # A WebSocket is read by a thread of its own library.
    assert threads == [0 if client.transport.name == "sse" else 1]


@both_transports
def test_any_worker_goes_on_where_the_browser_was_cut_off(client: Client, server_url: str, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(4)
    run = client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config, on_close="continue")
    body = sse_response_body(run)
    before, ids = b"", []
    while before.count(b'"text"') < 3:
        piece = next(body)
        before += piece
        ids += [line[4:].decode() for line in piece.split(b"\n") if line.startswith(b"id: ")]
    body.close()
    gate.open()
    with Client(server_url, transport=client.transport.name) as another:
        resumed = resume(another, {"HTTP_LAST_EVENT_ID": ids[-1]}, thread_id=thread.thread_id)
        assert resumed is not None
        rest = b"".join(sse_response_body(resumed))
    assert [f'"s{number} "' in (before + rest).decode() for number in range(10)] == [True] * 10
    assert [(before + rest).count(f'"delta":{{"text":"s{number} "'.encode()) for number in range(10)] == [1] * 10
    assert len(ids[-1]) < 400
