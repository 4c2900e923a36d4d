"""The log: a line for each request that was made, a line for each pause, and nothing secret in any of them."""

from __future__ import annotations

import logging
import re
from typing import Any, Dict, List, Mapping, Optional

import pytest
from event_tape import Tape
from rawserver import Connection, RawServer, answer, refused_port
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, chunk, run_answers
from thread_server import ThreadServer

from lgsync import Client
from lgsync.errors import ConnectionFailed, ConnectionLost, ConnectionTimeout, LgsyncError
from lgsync.request_log import request_line, tell_of_pause, without_secrets

pytestmark = pytest.mark.usefixtures("no_leaks")

KEY = "lsv2-do-not-show"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level(logging.DEBUG)
    return Lines(caplog)


class Lines:
    """What the logger ``lgsync`` was told, its milliseconds as N."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def at(self, level: int) -> List[str]:
        mine = [r for r in self._caplog.records if r.name == "lgsync" and r.levelno == level]
        return [re.sub(r"\d+\.\d ms", "N ms", record.getMessage()) for record in mine]

    @property
    def requests(self) -> List[str]:
        return self.at(logging.DEBUG)

    @property
    def fields(self) -> List[Dict[str, Any]]:
        return [record.__dict__["lgsync"] for record in self._caplog.records if "lgsync" in record.__dict__]


def client_of(url: str, **options: Any) -> Client:
    return Client(url, **{"api_key": KEY, "retries": 0, **options})


def stream_of(run_id: str, headers: Optional[Mapping[str, str]] = None) -> Any:
    """A server of one stream that ends at once, and of the run's record and state."""

    def script(connection: Connection) -> None:
        assert connection.read_request().method == "POST"
        connection.start_stream({"Content-Location": f"/threads/t/runs/{run_id}"} if headers is None else headers)
        connection.chunk(b'event: error\ndata: {"error": "E", "message": "m"}\n\n')
        connection.end()

    return script


# One line a request


def test_a_call_is_one_line_with_its_method_url_status_and_milliseconds(lines: Lines) -> None:
    with RawServer(answer(200, {"ok": True})) as server, client_of(server.url) as client:
        assert client.ok()
    assert lines.requests == [f"GET {server.url}/ok -> 200 in N ms"]


def test_a_line_has_fields_for_logs_that_are_not_text(lines: Lines) -> None:
    with RawServer(answer(404, {"detail": "no"})) as server, client_of(server.url) as client:
        with pytest.raises(LgsyncError):
            client.runs.get("t", "r")
    (fields,) = lines.fields
    assert 0 < fields.pop("milliseconds") < 10_000
    assert fields == {"method": "GET", "url": f"{server.url}/threads/t/runs/r", "status": 404, "run_id": "r"}


def test_the_opening_of_a_stream_is_one_line_that_names_the_run(lines: Lines) -> None:
    with RawServer(stream_of("the-run")) as server, client_of(server.url) as client:
        assert client.runs.stream("t", "agent", input={}, raise_error=False).wait() == "error"
    assert lines.requests == [f"POST {server.url}/threads/t/runs/stream -> 200 in N ms, run the-run"]


def test_a_path_that_names_no_run_is_not_taken_for_one(lines: Lines) -> None:
    with RawServer(stream_of("", headers={})) as server, client_of(server.url) as client:
        client.runs.stream("t", "agent", input={}, raise_error=False).wait()
    assert lines.requests == [f"POST {server.url}/threads/t/runs/stream -> 200 in N ms"]


def test_each_hop_of_a_redirect_is_a_line(lines: Lines) -> None:
    def redirect(connection: Connection) -> None:
        connection.read_request()
        connection.respond(307, b"", {"Location": "/new/ok"})

    with RawServer(redirect, answer(200, {"ok": True})) as server, client_of(server.url) as client:
        assert client.ok()
    assert lines.requests == [f"GET {server.url}/ok -> 307 in N ms", f"GET {server.url}/new/ok -> 200 in N ms"]


def test_a_request_that_fails_is_a_line_with_the_name_of_its_error(lines: Lines) -> None:
    def hang_up(connection: Connection) -> None:
        connection.read_request()

    def say_nothing(connection: Connection) -> None:
        connection.read_request()
        connection.peer_closed()

    port = refused_port()
    with client_of(f"http://127.0.0.1:{port}") as client, pytest.raises(ConnectionFailed):
        client.threads.get("t")
    with RawServer(hang_up, say_nothing) as server, client_of(server.url) as client:
        with pytest.raises(ConnectionLost):
            client.threads.get("t")
        with pytest.raises(ConnectionTimeout):
            client.threads.get("t", timeout=0.05)
    assert lines.requests == [
        f"GET http://127.0.0.1:{port}/threads/t -> ConnectionFailed in N ms",
        f"GET {server.url}/threads/t -> ConnectionLost in N ms",
        f"GET {server.url}/threads/t -> ConnectionTimeout in N ms",
    ]
    assert [fields["error"] for fields in lines.fields] == ["ConnectionFailed", "ConnectionLost", "ConnectionTimeout"]


def test_a_request_that_was_never_made_is_no_line(lines: Lines) -> None:
    with RawServer(answer()) as server, client_of(server.url) as client, pytest.raises(LgsyncError):
        client.threads.get("t", headers={"X-Bad": "a\nb"})
    assert lines.requests == []


def test_the_handshake_of_a_websocket_is_a_line(lines: Lines) -> None:
    tape = Tape()
    with ThreadServer() as server, client_of(server.url, transport="websocket") as client:
        run = client.runs.stream(THREAD, "agent", input={}, on_close="continue")
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running(), tape.completed())
        run.wait()
    socket = f"{server.url.replace('http', 'ws')}/threads/{THREAD}/stream/events"
    assert f"GET {socket} -> 101 in N ms" in lines.requests
    assert f"POST {server.url}/threads/{THREAD}/commands -> 200 in N ms" in lines.requests


def test_a_handshake_that_is_refused_or_redirected_is_a_line_too(lines: Lines) -> None:
    with ThreadServer() as server, client_of(server.url, transport="websocket") as client:
        socket = f"{server.url.replace('http', 'ws')}/threads/{THREAD}/stream/events"
        server.handshake = (403, {}, b"")
        with pytest.raises(LgsyncError):
            client.runs.stream(THREAD, "agent", input={})
        server.handshake = (307, {"Location": "http://other.test/"}, b"")
        with pytest.raises(LgsyncError):
            client.runs.stream(THREAD, "agent", input={})
    shaken = [line for line in lines.requests if line.startswith(f"GET {socket}")]
    assert shaken == [f"GET {socket} -> 403 in N ms", f"GET {socket} -> 307 in N ms"]


def test_a_handshake_that_fails_is_a_line_with_the_name_of_its_error(lines: Lines) -> None:
    def hang_up(connection: Connection) -> None:
        connection.read_request()

    rest = answer(200, {"thread_id": "t", "interrupts": {}})
    with RawServer(rest, hang_up) as server, client_of(server.url, transport="websocket") as client:
        with pytest.raises(ConnectionFailed):
            client.runs.stream("t", "agent", input={})
    socket = f"{server.url.replace('http', 'ws')}/threads/t/stream/events"
    assert lines.requests[-1] == f"GET {socket} -> ConnectionFailed in N ms"


# Trying again


def test_a_call_that_is_made_again_says_why_and_after_what_pause(lines: Lines) -> None:
    def busy_once(connection: Connection) -> None:
        given = answer(200, {"thread_id": "t"}) if connection.number else answer(503, {"detail": "busy"})
        given(connection)

    with RawServer(busy_once) as server, client_of(server.url, retries=1) as client:
        client.threads.get("t")
    (line,) = lines.at(logging.INFO)
    assert re.match(r"Trying again in 0\.\d\d s: ", line)
    assert "503" in line
    assert "busy" in line
    assert len(lines.requests) == 2


def test_a_stream_that_is_taken_up_again_says_why_and_after_what_pause(lines: Lines) -> None:
    cut = ScriptedSource([chunk("a")._replace(id="1"), ConnectionLost("reset by peer", url="http://server")])
    rest = ScriptedSource([chunk("a")._replace(id="1"), chunk("b", last=True)._replace(id="2")], outcome="success")
    with Client(transport=ScriptedTransport([cut, rest], run_answers())) as client:
        assert client.runs.stream(THREAD, "agent", input={}).final_text() == "ab"
    assert lines.at(logging.INFO) == [f"Run {RUN}: trying again in 0.00 s: reset by peer"]


def test_a_wait_that_is_asked_again_says_so(lines: Lines) -> None:
    broken = iter([ConnectionLost("reset by peer", url="http://server"), (200, {"messages": []})])
    answers = {f"GET /threads/{THREAD}/runs/{RUN}/join": lambda: next(broken)}
    with Client(transport=ScriptedTransport(answers=answers)) as client:
        client.runs.join(THREAD, RUN)
    assert lines.at(logging.INFO) == [f"Run {RUN}: trying again in 0.00 s: reset by peer"]


# Secrets


@pytest.mark.parametrize(
    "name",
    ["api_key", "apikey", "access_token", "X-Amz-Signature", "sig", "PASSWORD", "%73ecret", "auth", "jwt"],
)
def test_a_value_whose_name_looks_secret_is_not_shown(name: str) -> None:
    shown = without_secrets(f"http://host/x?limit=1&{name}={KEY}&design=a%20b")
    assert shown == f"http://host/x?limit=1&{name}=***&design=a%20b"


def test_a_user_and_a_password_are_not_shown() -> None:
    assert without_secrets(f"http://me:{KEY}@host:8/x#frag") == "http://host:8/x"


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_no_header_no_body_and_no_secret_is_logged_by_anybody(
    transport: str, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    # The other end of the wire is no client's.
    caplog.set_level(logging.INFO, "websockets.server")
    caplog.set_level(logging.DEBUG)
    tape = Tape()
    headers = {"Authorization": f"Bearer {KEY}"}
    if transport == "sse":
        with RawServer(stream_of("r")) as server, client_of(server.url, headers=headers) as client:
            client.runs.stream("t", "agent", input={"said": "in private"}, raise_error=False).wait()
    else:
        with ThreadServer() as thread, client_of(thread.url, transport=transport, headers=headers) as client:
            run = client.runs.stream(THREAD, "agent", input={"said": "in private"}, on_close="continue")
            peer = thread.peer()
            peer.confirm()
            peer.send(tape.running(), tape.completed())
            run.wait()
    assert lines.requests
    assert KEY not in caplog.text
    assert "in private" not in caplog.text


# Where nobody listens


def test_nothing_is_worked_out_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with RawServer(answer(200, {"ok": True})) as server, client_of(server.url) as client:
        assert client.ok()
    assert caplog.records == []
    assert request_line("GET") is request_line("POST")


@pytest.mark.parametrize("run_id", [RUN, None])
def test_a_pause_is_told_as_data_too(caplog: pytest.LogCaptureFixture, run_id: Optional[str]) -> None:
    caplog.set_level(logging.INFO, "lgsync")
    tell_of_pause(0.25, ValueError("lost"), run_id)
    (record,) = caplog.records
    assert record.__dict__["lgsync"] == {"pause": 0.25, "run_id": run_id}
