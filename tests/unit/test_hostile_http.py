"""Servers and proxies that break the rules of HTTP, or use them against their client."""

from __future__ import annotations

import contextlib
import gzip
import pathlib
import time
import zlib
from typing import Any, Callable, Dict, List, Optional, Type

import pytest
from memory import MIB, flood, reader_of
from rawserver import EVENT_STREAM, PATIENCE, Connection, RawServer, answer, tls_contexts

from lgsync.errors import (
    APIStatusError,
    ConnectionLost,
    ConnectionTimeout,
    InternalServerError,
    LgsyncError,
    ResponseError,
)
from lgsync.transport import PartSource, RunJoin, RunStart, Timeout, TransportConfig
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")

Script = Callable[[Connection], None]

KEY = {"x-api-key": "secret"}

PART = b"data: 1\n\n"


class Opened:
    """A transport to a server that answers each connection's request with one of these scripts, and what it gives."""

    def __init__(self, *scripts: Script, read_timeout: float = PATIENCE, **options: Any) -> None:
        self.server = RawServer(*map(_after_the_request, scripts))
        self.transport = SSETransport(TransportConfig(self.server.url, KEY, Timeout(5, read_timeout)), **options)

    def __enter__(self) -> Opened:
        self.server.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.transport.close()
        self.server.__exit__(*error)

    def start(self) -> PartSource:
        return self.transport.open_run(RunStart("t", {}))

    def data(self) -> List[Any]:
        return [part.data for part in self.start()]


def _after_the_request(script: Script) -> Script:
    def after(connection: Connection) -> None:
        connection.read_request()
        # Who leaves a server that says too much does not hear it out.
        with contextlib.suppress(ConnectionError):
            script(connection)

    return after


def saying(*data: bytes, then: Optional[Script] = None) -> Script:
    """Send these bytes, and hang up (or do something else)."""

    def script(connection: Connection) -> None:
        for each in data:
            connection.send(each)
        if then is not None:
            then(connection)

    return script


def head(fields: Dict[str, str], status: str = "200 OK") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1")


def redirect(location: str, status: int = 307) -> bytes:
    return head({"Location": location, "Content-Length": "0", "Connection": "close"}, f"{status} Go")


def stays(connection: Connection) -> None:
    assert connection.peer_closed()


CHUNKED = head({"Content-Type": EVENT_STREAM, "Transfer-Encoding": "chunked"})
UNTIL_CLOSED = head({"Content-Type": EVENT_STREAM, "Connection": "close"})


def error_of(opened: Opened, kind: Type[LgsyncError], *, first: int = 0) -> LgsyncError:
    """The error of a run's stream, after so many parts; it must be of exactly this kind, and hold no key."""
    parts = 0
    with pytest.raises(LgsyncError) as caught:
        for _ in opened.start():
            parts += 1
    assert type(caught.value) is kind, caught.value
    assert parts == first
    assert "secret" not in str(caught.value)
    return caught.value


# Answers that are no stream


@pytest.mark.parametrize(
    ("status", "fields", "body"),
    [
        ("200 OK", {"Content-Type": "application/json"}, b'{"run_id": "r"}'),
        ("200 OK", {"Content-Type": "text/plain"}, b"data: 1\n\n"),
        ("200 OK", {"Content-Type": "text/html; charset=utf-8"}, b"<html>Sign in to Wi-Fi</html>"),
        ("200 OK", {"Content-Type": "application/octet-stream"}, b"\xff\xfe\x00"),
        ("200 OK", {}, b"data: 1\n\n"),
        ("201 Created", {"Content-Type": "application/json"}, b"{}"),
        ("205 Reset Content", {}, b""),
    ],
)
@pytest.mark.parametrize("join", [False, True])
def test_an_answer_of_another_type_is_no_stream_and_is_shown(
    join: bool, status: str, fields: Dict[str, str], body: bytes
) -> None:
    with Opened(saying(head({**fields, "Content-Length": str(len(body))}, status), body, then=stays)) as opened:
        with pytest.raises(ResponseError, match="where an event stream was due") as caught:
            opened.transport.open_run(RunJoin("t", "r") if join else RunStart("t", {}))
        # Its connection is not kept for other calls: who knows what else is on it.
        opened.transport.close()
        opened.server.wait_for_scripts()
    error = caught.value
    assert (error.status, error.content_type) == (int(status[:3]), fields.get("Content-Type", ""))
    assert error.snippet == body.decode("utf-8", "replace")


def test_a_page_without_end_is_not_read_to_its_end() -> None:
    def endless(connection: Connection) -> None:
        connection.send(head({"Content-Type": "text/html", "Connection": "close"}))
        while True:
            connection.send(b"<p>" * 10_000)

    with Opened(endless) as opened:
        error = error_of(opened, ResponseError)
    assert isinstance(error, ResponseError)
    assert len(error.snippet) <= 500


def test_a_refusal_without_end_is_not_read_to_its_end() -> None:
    def endless(connection: Connection) -> None:
        connection.send(head({"Connection": "close"}, "503 Down"))
        while True:
            connection.send(b"x" * 10_000)

    with Opened(endless) as opened:
        error = error_of(opened, InternalServerError)
    assert len(str(error)) < 1000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 425, 429, 451, 500, 502, 503, 504, 520, 599])
def test_a_proxys_page_of_a_refusal_is_the_error_of_its_status(status: int) -> None:
    page = b"<html><h1>nginx</h1></html>"
    with Opened(lambda wire: wire.respond(status, page, {"Content-Type": "text/html"})) as opened:
        with pytest.raises(APIStatusError) as caught:
            opened.start()
    assert (caught.value.status_code, caught.value.body) == (status, page.decode())


# Heads


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)),
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5_000_000,
        b"HTTP/1.1 " + b"2" * 5_000_000,
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"\0" * 1000,
        b"",
    ],
    ids=["headers", "a header", "a status", "words", "a low status", "a new version", "zeros", "nothing"],
)
def test_a_head_without_end_or_sense_is_a_lost_connection(data: bytes) -> None:
    with Opened(saying(data)) as opened:
        error_of(opened, ConnectionLost)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: text/eve", CHUNKED, UNTIL_CLOSED])
def test_a_connection_that_falls_silent_is_a_timeout(data: bytes) -> None:
    with Opened(saying(data, then=stays), read_timeout=0.1) as opened:
        began = time.monotonic()
        error_of(opened, ConnectionTimeout)
        assert time.monotonic() - began < PATIENCE / 2
        opened.transport.close()
        opened.server.wait_for_scripts()


def test_a_server_may_say_that_it_goes_on_before_it_answers() -> None:
    again = head({}, "100 Continue")
    with Opened(saying(again, again, CHUNKED, b"9\r\n" + PART + b"\r\n0\r\n\r\n")) as opened:
        assert opened.data() == [1]


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_nothing_at_all_reaches_another_origin(method: str, status: int, tmp_path: pathlib.Path) -> None:
    with RawServer(answer()) as port, RawServer(answer(), tls=tls_contexts(tmp_path).server) as scheme:
        for elsewhere in (port.url, scheme.url, port.url.replace("127.0.0.1", "localhost"), f"//localhost:{port.port}"):
            with Opened(saying(redirect(f"{elsewhere}/threads", status))) as it:
                with pytest.raises(ResponseError, match="another origin, and the key is not sent there") as caught:
                    it.transport.request(method, "/threads")
                assert "secret" not in str(caught.value)
                with pytest.raises(ResponseError, match="another origin"):
                    it.transport.open_run(RunJoin("t", "r") if method == "GET" else RunStart("t", {}))
                assert len(it.server.requests) == 2
        assert (port.connections, scheme.connections) == ([], [])


@pytest.mark.parametrize("location", ["javascript:alert(1)", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_to_what_no_request_goes_to_is_refused(location: str) -> None:
    with Opened(saying(redirect(location))) as opened:
        error_of(opened, ResponseError)
        assert len(opened.server.requests) == 1


def test_a_stream_is_found_behind_redirects_within_the_origin() -> None:
    def script(connection: Connection) -> None:
        server = connection.server
        onwards = {"/threads/t/runs/stream": (307, "/a"), "/a": (308, f"{server.url}/b?x=1")}
        found = onwards.get(server.requests[-1].target)
        if found:
            connection.send(redirect(found[1], found[0]))
        else:
            connection.send(CHUNKED + b"9\r\n" + PART + b"\r\n0\r\n\r\n")

    with Opened(script) as opened:
        assert opened.data() == [1]
    assert [(asked.method, asked.target) for asked in opened.server.requests] == [
        ("POST", "/threads/t/runs/stream"),
        ("POST", "/a"),
        ("POST", "/b?x=1"),
    ]
    assert {asked.headers["x-api-key"] for asked in opened.server.requests} == {"secret"}


def test_a_stream_behind_a_circle_of_redirects_is_not_looked_for_without_end() -> None:
    with Opened(saying(redirect("/threads/t/runs/stream"))) as opened:
        assert "a circle" in str(error_of(opened, ResponseError))
        assert len(opened.server.requests) == 11


def test_a_location_beside_a_stream_is_never_gone_to() -> None:
    with RawServer(answer()) as other:
        place = f"{other.url}/threads/t/runs/r"
        named = {"Location": f"{place}/stream", "Content-Location": place, "Connection": "close"}

        def script(connection: Connection) -> None:
            connection.start_stream(named)
            connection.chunk(PART)
            connection.end()

        with Opened(script) as opened:
            source = opened.start()
            assert len(list(source)) == 1
            join = RunJoin(str(source.thread_id), str(source.run_id), position="1")
            assert len(list(opened.transport.open_run(join))) == 1
            assert opened.server.requests[1].path == "/threads/t/runs/r/stream"
        assert other.connections == []


# Bodies


@pytest.mark.parametrize(
    "rest",
    [
        b"zz\r\n" + PART + b"\r\n",
        b"\r\n\r\n",
        b"9;" + b"x" * 1_000_000 + b"\r\n" + PART + b"\r\n",
        b"9\r\ndata:",
        b"9\r\n" + PART[:-1],
        b"\xff\xfe\r\n",
        b"",
    ],
    ids=["words", "none", "extended", "cut", "cut before its end", "bytes", "nothing"],
)
def test_chunks_that_are_none_are_a_lost_connection_after_what_came_before(rest: bytes) -> None:
    with Opened(saying(CHUNKED, b"9\r\n" + PART + b"\r\n", rest)) as opened:
        error_of(opened, ConnectionLost, first=1)


@pytest.mark.parametrize("size", [b"9" * 30, b"-9"])
def test_a_chunk_of_a_size_that_cannot_be_is_no_end(size: bytes) -> None:
    with Opened(saying(CHUNKED, size + b"\r\n" + PART + b"\r\n")) as opened, pytest.raises(ConnectionLost):
        opened.data()


@pytest.mark.parametrize("length", [9, 18])
def test_a_body_ends_at_its_length_whatever_follows(length: int) -> None:
    fields = {"Content-Type": EVENT_STREAM, "Content-Length": str(length)}
    with Opened(saying(head(fields), PART + PART + b"HTTP/1.1 200 OK\r\n\r\n")) as opened:
        assert opened.data() == [1] * (length // 9)


def test_a_length_that_cuts_an_event_is_a_lost_connection() -> None:
    with Opened(saying(head({"Content-Type": EVENT_STREAM, "Content-Length": "12"}), PART + PART)) as opened:
        error_of(opened, ConnectionLost, first=1)


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "", "9, 9", "9 9"])
def test_a_length_that_is_none_does_no_harm(length: str) -> None:
    fields = {"Content-Type": EVENT_STREAM, "Content-Length": length, "Connection": "close"}
    with Opened(saying(head(fields), PART)) as opened:
        assert opened.data() == [1]


def test_a_line_without_end_costs_no_more_than_the_limit() -> None:
    def script(connection: Connection) -> None:
        connection.send(UNTIL_CLOSED + PART[:6])
        flood(connection.sock, b"x" * MIB, 200)
        connection.peer_closed()

    with RawServer(_after_the_request(script)) as server, reader_of("sse", server.url, "t") as reader:
        assert reader.first() == "EventTooLarge"
        assert reader.growth() < (64 + 30) * MIB


@pytest.mark.parametrize(
    "field",
    [b"data: ", b"event: ", b"id: ", b": ", b"retry: ", b"x: ", b""],
    ids=lambda field: field.decode() or "none",
)
def test_no_line_of_any_field_may_be_longer_than_the_limit(field: bytes) -> None:
    with Opened(saying(UNTIL_CLOSED, PART, field + b"x" * 2000, then=stays), max_event_bytes=1000) as opened:
        with pytest.raises(
            ResponseError, match="more than 1000 bytes; build the transport with a larger max_event_bytes"
        ):
            list(opened.start())


@pytest.mark.full
@pytest.mark.parametrize(("size", "count"), [(1000, 100_000), (100_000, 3000)])
def test_a_flood_at_a_reader_that_reads_no_more_is_held_back(size: int, count: int) -> None:
    event = b"event: values\r\ndata: " + b'"' + b"x" * (size - 30) + b'"\r\nid: 1\r\n\r\n'

    def script(connection: Connection) -> None:
        connection.send(UNTIL_CLOSED)
        flood(connection.sock, event, count)
        connection.peer_closed()

    with RawServer(_after_the_request(script)) as server, reader_of("sse", server.url, "t") as reader:
        assert reader.first() == "a part"
        assert reader.growth() < 30 * MIB


# Encodings that nobody asked for


def coded(encoding: str, data: bytes) -> Script:
    fields = {"Content-Type": EVENT_STREAM, "Content-Encoding": encoding, "Connection": "close"}
    return saying(head(fields), data)


def gzipped(data: bytes) -> bytes:
    """The same bytes whenever it is called: they name the test."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzipped(PART + PART)),
        ("x-gzip", gzipped(PART + PART)),
        ("GZIP", gzipped(PART + PART)),
        ("gzip", gzipped(PART) + gzipped(PART)),
        ("deflate", zlib.compress(PART + PART)),
        ("deflate, gzip", gzipped(zlib.compress(PART + PART))),
        ("identity", PART + PART),
        ("", PART + PART),
    ],
)
def test_an_encoding_that_is_known_is_read(encoding: str, data: bytes) -> None:
    with Opened(coded(encoding, data)) as opened:
        assert opened.data() == [1, 1]


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", PART),
        ("gzip", gzipped(PART)[:-10] + b"\0" * 10),
        ("deflate", PART),
        ("gzip", b"\x1f\x8b\xff" + b"\0" * 100),
        ("gzip, gzip, gzip, gzip, gzip, gzip, gzip", PART),
    ],
)
def test_an_encoding_that_is_not_what_it_says_is_a_lost_connection(encoding: str, data: bytes) -> None:
    with Opened(coded(encoding, data)) as opened, pytest.raises(ConnectionLost):
        opened.data()
