"""Calls on the thread of a stream's reader: they have no thread of their own, and closing ends them all the same."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import threading
from typing import Any, Callable, Iterator, List

import pytest
import requests
from rawserver import PATIENCE, Connection, RawServer, answer

from lgsync import Client
from lgsync.closing import Closing
from lgsync.transport import RunJoin, Timeout, TransportConfig
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")

_JOIN = RunJoin("t1", "r1", ("updates",), "-1")


@contextlib.contextmanager
def transport_to(url: str) -> Iterator[SSETransport]:
    with contextlib.closing(SSETransport(TransportConfig(url, {}, Timeout(PATIENCE, PATIENCE)))) as transport:
        yield transport


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The names of the threads that were started so far, but for the test's own."""
    names: List[str] = []
    start = threading.Thread.start

    def noted(self: threading.Thread) -> None:
        if self.name.startswith("lgsync"):
            names.append(self.name)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", noted)
    return names


def closed_while(waits: threading.Event, call: Callable[[Closing], Any]) -> Any:
    """What ``call`` comes to that is closed once it ``waits``; fails unless it ends within a second of that."""
    closing, came = Closing(), []  # type: Closing, List[Any]
    asking = threading.Thread(target=lambda: came.append(call(closing)))
    asking.start()
    assert waits.wait(PATIENCE)
    closing.set()
    asking.join(1.0)
    assert not asking.is_alive()
    return came


def ask(transport: SSETransport, closing: Closing) -> Any:
    return closing.call(lambda: transport.request("GET", "/x"), cuttable=transport.cuttable)


def join(transport: SSETransport, closing: Closing) -> Any:
    return closing.call(lambda: transport.open_run(_JOIN), lambda source: source.close(), cuttable=transport.cuttable)


def silent(connection: Connection) -> None:
    """Answers nothing."""


def half_a_head(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-")


def half_a_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{")


def half_a_body_that_ends_with_its_connection(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{")


def half_a_refusal(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{")


@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize(
    ("call", "come_so_far"),
    [
        *((call, come_so_far) for call in (ask, join) for come_so_far in (silent, half_a_head, half_a_refusal)),
        *((ask, come_so_far) for come_so_far in (half_a_body, half_a_body_that_ends_with_its_connection)),
    ],
)
def test_closing_ends_a_call_wherever_it_waits(
    come_so_far: Callable[[Connection], None], used: bool, call: Callable[[SSETransport, Closing], Any]
) -> None:
    waits, over = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        if used:
            connection.read_request()
            connection.respond(200, {})
        connection.read_request()
        come_so_far(connection)
        waits.set()
        over.wait(PATIENCE)

    with RawServer(script, answer(200, "whole")) as server, transport_to(server.url) as transport:
        if used:
            transport.request("GET", "/before")
        assert closed_while(waits, functools.partial(call, transport)) == [None]
        over.set()
        assert transport.request("GET", "/after").body == b'"whole"'


def test_closing_ends_a_call_whose_servers_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, found = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def slowly(*args: Any, **options: Any) -> Any:
        waits.set()
        assert found.wait(PATIENCE)
        return look_up(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with RawServer(answer()) as server, transport_to(server.url) as transport:
        assert closed_while(waits, functools.partial(ask, transport)) == [None]
        # What is connected after all has to be undone: no socket is left.
        found.set()


def test_closing_ends_a_call_that_has_an_end_of_its_own() -> None:
    waits, over = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        waits.set()
        over.wait(PATIENCE)

    def call(closing: Closing) -> Any:
        limits = Timeout(PATIENCE, PATIENCE, PATIENCE)
        return closing.call(lambda: transport.request("GET", "/x", timeout=limits), cuttable=transport.cuttable)

    with RawServer(script) as server, transport_to(server.url) as transport:
        assert closed_while(waits, call) == [None]
        over.set()


def test_a_call_on_a_connection_that_stands_starts_no_thread(started: List[str]) -> None:
    with RawServer(answer(200, "whole")) as server, transport_to(server.url) as transport:
        transport.request("GET", "/before")
        assert ask(transport, Closing()).body == b'"whole"'
    assert started == []


def test_what_a_session_of_the_users_own_waits_for_is_left_in_a_thread() -> None:
    with requests.Session() as session:
        assert not SSETransport(TransportConfig("http://127.0.0.1:1", {}, Timeout(), session)).cuttable


def test_a_run_that_is_streamed_to_its_end_starts_no_thread(started: List[str]) -> None:
    place = {"Content-Location": "/threads/t1/runs/r1"}
    update = b'event: updates\r\ndata: {"agent": {}}\r\nid: 1-0\r\n\r\n'

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream(place)
        connection.chunk(update)
        connection.end()
        connection.read_request()
        connection.respond(200, {"run_id": "r1", "thread_id": "t1", "status": "success"})
        connection.read_request()
        connection.start_stream()
        connection.chunk(update)
        connection.end()

    with RawServer(script) as server, Client(server.url) as client:
        with client.runs.stream("t1", "agent", input={}, stream_mode="updates") as run:
            assert [part.data for part in run] == [{"agent": {}}]
        assert run.outcome == "success"
        assert [request.method for request in server.requests] == ["POST", "GET", "GET"]
        assert json.loads(server.requests[0].body)["assistant_id"] == "agent"
    assert started == []
