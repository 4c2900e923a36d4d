"""Answers in which a hostile server or proxy says what no server should: each is one typed error, or does no harm."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, List

import pytest
import requests
from event_tape import Tape
from rawserver import PATIENCE, Connection, RawServer, answer
from thread_server import RUN, THREAD, ThreadServer

from lgsync import Client
from lgsync.errors import ConnectionLost, EventTooLarge, NotFoundError, ResponseError
from lgsync.transport import RunJoin, RunStart, Timeout, TransportConfig
from lgsync.transports import run_calls
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")

PART = b"data: 1\n\n"


@contextlib.contextmanager
def opened(script: Any, read: float = PATIENCE, **options: Any) -> Any:
    def after(connection: Connection) -> None:
        connection.read_request()
        with contextlib.suppress(ConnectionError):
            script(connection)

    with RawServer(after) as server:
        transport = SSETransport(TransportConfig(server.url, {}, Timeout(5, read)), **options)
        transport.server = server
        try:
            yield transport
        finally:
            transport.close()


# Heads and bodies


@pytest.mark.parametrize("location", ["//[", "http://[::1", "http://host:port/", "\x00"])
def test_a_redirect_to_what_is_no_url_is_refused(location: str) -> None:
    answer = f"HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with opened(lambda wire: wire.send(answer)) as transport, pytest.raises(ResponseError) as caught:
        transport.open_run(RunStart("t", {}))
    assert type(caught.value) is ResponseError


@pytest.mark.parametrize("location", ["https://elsewhere.test/", "/threads"])
def test_the_page_of_a_redirect_is_not_read(location: str) -> None:
    def endless(wire: Connection) -> None:
        wire.send(f"HTTP/1.1 307 Go\r\nLocation: {location}\r\n\r\n".encode())
        while True:
            wire.send(b"x" * 65536)

    with opened(endless) as transport, pytest.raises(ResponseError, match="another origin|a circle"):
        transport.open_run(RunStart("t", {}))


@pytest.mark.parametrize("status", [101, 102, 103, 199])
@pytest.mark.parametrize("call", ["request", "open_run"])
def test_an_interim_answer_is_none_and_what_follows_it_answers_no_other_call(call: str, status: int) -> None:
    refused = threading.Event()
    late: List[int] = []

    def script(wire: Connection) -> None:
        if wire.number:
            wire.respond(200, "mine")
            return
        wire.send(f"HTTP/1.1 {status} Wait\r\n\r\n".encode())
        assert refused.wait(PATIENCE)
        with contextlib.suppress(OSError):
            wire.respond(200, "late")
            late.append(1)
            wire.peer_closed()

    with opened(script) as transport:
        with pytest.raises(ResponseError, match=f"answered {status} first"):
            transport.request("GET", "/x") if call == "request" else transport.open_run(RunStart("t", {}))
        refused.set()
        assert transport.request("GET", "/y").body == b'"mine"'


@pytest.mark.parametrize("encoding", ["zip", "br;q=1", "gzip, rot13"])
def test_an_encoding_that_is_unknown_is_said_and_its_bytes_are_never_read_as_events(encoding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
    with opened(lambda wire: wire.send(head + PART)) as transport:
        with pytest.raises(ResponseError, match="encoded as"):
            transport.open_run(RunStart("t", {}))


def test_the_hooks_of_a_users_session_are_called_all_the_same() -> None:
    called: List[int] = []
    session = requests.Session()
    session.hooks["response"].append(lambda answer, **_: called.append(answer.status_code))
    with RawServer(lambda wire: (wire.read_request(), wire.respond(200, 1))[0]) as server:
        transport = SSETransport(TransportConfig(server.url, session=session))
        assert transport.request("GET", "/x").body == b"1"
    session.close()
    assert called == [200]


# Heads that make no sense


def test_two_lengths_that_differ_are_a_lost_connection() -> None:
    both = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\nContent-Length: 18\r\n\r\n"
    with opened(lambda wire: wire.send(both + PART + PART)) as transport, pytest.raises(ConnectionLost, match="9"):
        list(transport.open_run(RunStart("t", {})))


def test_a_head_without_end_is_named() -> None:
    many = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000
    with opened(lambda wire: wire.send(many)) as transport, pytest.raises(ConnectionLost, match="100 headers"):
        transport.open_run(RunStart("t", {}))


# Positions


@pytest.mark.parametrize("position", ["é", "€", " 5", "5 ", "😀"])
def test_a_position_goes_back_as_it_came_whatever_characters_it_has(position: str) -> None:
    def script(wire: Connection) -> None:
        wire.start_stream({"Connection": "close"})
        wire.chunk(f"id:{position}\ndata: 1\n\n".encode())
        wire.end()

    with opened(script) as transport:
        source = transport.open_run(RunJoin("t", "r", position="-1"))
        list(source)
        list(transport.open_run(RunJoin("t", "r", position=source.position)))
        sent = transport.server.requests[1].headers["last-event-id"]
        assert sent.encode("latin-1").decode() == position.strip()


# JSON


def test_a_rest_answer_nested_too_deeply_is_no_answer_of_this_api() -> None:
    def script(wire: Connection) -> None:
        wire.respond(200, b"[" * 200_000)

    with RawServer(lambda wire: (wire.read_request(), script(wire))[0]) as server, Client(server.url) as client:
        with pytest.raises(ResponseError):
            client.threads.get("t")


READS = {
    "get": lambda client: client.threads.get(THREAD),
    "search": lambda client: client.threads.search(),
    "info": lambda client: client.info(),
    "join": lambda client: client.runs.join(THREAD, RUN),
}
STREAMS = {
    "stream": lambda client: client.runs.stream(THREAD, "agent"),
    "join_stream": lambda client: client.runs.join_stream(THREAD, RUN),
}

PAGE = (200, b"<title>Sign in</title>", {"Content-Type": "text/html"})


@pytest.mark.parametrize("call", [*READS.values(), *STREAMS.values()], ids=[*READS, *STREAMS])
@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (PAGE, "answered 200 with text/html, a web page that says 'Sign in', where"),
        ((200, b"", {}), "answered 200 with an empty body, where"),
        ((200, b"", {"Content-Type": "text/html"}), "answered 200 with an empty body, where"),
        ((200, b'{"score": NaN}', {}), "answered 200 with application/json: '{\"score\": NaN}', where"),
        ((200, b"{", {}), "answered 200 with application/json: '{', where"),
    ],
)
def test_what_is_not_of_this_api_is_said_by_every_call(call: Any, answered: Any, said: str) -> None:
    with RawServer(answer(*answered)) as server, Client(server.url) as client:
        with pytest.raises(ResponseError) as caught:
            call(client)
    assert said in str(caught.value)
    assert caught.value.url.startswith(server.url)
    assert caught.value.status == 200


@pytest.mark.parametrize("call", [*READS.values(), *STREAMS.values()], ids=[*READS, *STREAMS])
def test_a_redirect_to_another_origin_is_followed_by_no_call(call: Any) -> None:
    with RawServer(answer()) as other, RawServer(answer(307, b"", {"Location": f"{other.url}/x"})) as server:
        with Client(server.url, api_key="k") as client, pytest.raises(ResponseError) as caught:
            call(client)
        assert other.requests == []
    assert f"redirects to {other.url}/x, which is another origin, and the key is not sent there" in str(caught.value)


def test_a_redirect_within_the_origin_is_followed_with_the_key() -> None:
    def moved(wire: Connection) -> None:
        asked = wire.read_request()
        wire.respond(307, b"", {"Location": f"/moved{asked.path}"})

    there = answer(200, {"thread_id": THREAD})
    with RawServer(moved, there) as server, Client(server.url, api_key="k") as client:
        assert client.threads.create(metadata={"a": 1}).thread_id == THREAD
    first, second = server.requests
    assert (second.method, second.path, second.body) == ("POST", "/moved/threads", first.body)
    assert second.headers["x-api-key"] == "k"


# What is asked beside a socket


@pytest.mark.parametrize(
    "state",
    [{"metadata": [1]}, {"metadata": "x"}, {"tasks": [{"interrupts": 5}]}, {"tasks": [{"interrupts": {"a": 1}}]}],
)
def test_a_state_of_another_shape_does_no_harm(state: Any) -> None:
    tape = Tape()
    with ThreadServer() as server:
        server.answers[f"GET {server.base}/state"] = (200, state)
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running())
        assert next(source).event == "metadata"
        server.run_is("success")
        assert list(source) == []
        assert source.outcome == "success"


@pytest.mark.parametrize(
    "runs", [[{"run_id": [1], "kwargs": [1]}], [{"run_id": {}, "kwargs": {"command": "x"}}], [{"kwargs": 5}], 5, [5]]
)
def test_a_list_of_runs_of_another_shape_does_no_harm(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_calls, "_LISTED_WITHIN", 0.0)
    with ThreadServer() as server:
        server.waits_for({"id": "i1", "value": 1})
        server.answers[f"GET {server.base}/runs"] = (200, runs)
        server.answers[f"POST {server.base}/commands"] = (200, {"type": "success", "id": 1, "result": {}})
        with pytest.raises(ResponseError, match="no run of thread"):
            server.transport().open_run(server.start(command={"resume": 1}, input=None))


def test_a_flood_of_events_on_subscriptions_that_are_never_confirmed_is_refused() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport(max_event_bytes=100_000).open_run(server.start())
        peer = server.peer()
        peer.send(tape.running(), *(tape.values(text="x" * 1000) for _ in range(200)))
        with pytest.raises(EventTooLarge, match="confirmed no subscription"):
            next(source)


@pytest.mark.parametrize("position", ["x#²", "x#" + "9" * 5000, "x#", "#1", "x#1"])
def test_a_join_may_begin_at_any_position(position: str) -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.join(position))
        server.peer().confirm()
        assert source.position == position
        source.close()


def test_a_source_ends_after_its_error() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().send({"type": "error", "id": None, "message": "404: no such thread"})
        with pytest.raises(NotFoundError):
            next(source)
        assert list(source) == []
