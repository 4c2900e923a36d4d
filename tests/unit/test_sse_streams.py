"""One event stream on the wire: live in every framing, exact about its end, and freed from any thread."""

from __future__ import annotations

import contextlib
import gc
import io
import pathlib
import socket
import threading
import time
from typing import Any, Callable, List, Optional

import pytest
import responses
from rawserver import PATIENCE, Connection, RawServer, tls_contexts, until
from requests.adapters import HTTPAdapter

from lgsync.errors import (
    APIStatusError,
    ConnectionLost,
    ConnectionTimeout,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
)
from lgsync.parts import StreamPart
from lgsync.transport import PartSource, Quiet, RunJoin, RunStart, Timeout, TransportConfig
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")

Body = Callable[[Connection], None]


class Stream:
    """A server whose first stream is the given body, a transport to it, and the open source of that stream."""

    def __init__(self, *bodies: Body, read_timeout: float = PATIENCE, tls: Any = None, **options: Any) -> None:
        self.server = RawServer(*map(after_the_request, bodies), tls=tls)
        config = TransportConfig(self.server.url, timeout=Timeout(5, read_timeout))
        self.transport = SSETransport(config, **options)

    def __enter__(self) -> Stream:
        self.server.__enter__()
        self.source: PartSource = self.transport.open_run(RunStart("t", {}))
        return self

    def __exit__(self, *error: Any) -> None:
        self.transport.close()
        self.server.__exit__(*error)


def after_the_request(body: Body) -> Body:
    def script(connection: Connection) -> None:
        connection.read_request()
        body(connection)

    return script


def body_of(*pieces: bytes, end: str = "clean", **framing: Any) -> Body:
    """A body of these pieces, and then its end: "clean", "close" (FIN without one), "reset" or "open"."""

    def body(connection: Connection) -> None:
        connection.start_stream(**framing)
        for piece in pieces:
            connection.chunk(piece)
        if end == "clean":
            connection.end()
        elif end == "reset":
            connection.reset()
        elif end == "open":
            connection.peer_closed()

    return body


# Liveness


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("gzip", [False, True])
def test_an_event_is_given_while_the_body_is_still_open(framing: str, gzip: bool) -> None:
    seen = threading.Event()

    def body(connection: Connection) -> None:
        connection.start_stream(framing=framing, gzip=gzip)
        connection.chunk(b"data: 1\n\n")
        assert seen.wait(PATIENCE)
        connection.chunk(b"data: 2\n\n")
        connection.end()

    with Stream(body) as stream:
        assert next(stream.source).data == 1
        seen.set()
        assert [part.data for part in stream.source] == [2]


def test_an_event_is_given_in_the_middle_of_a_chunk_that_trickles_byte_by_byte() -> None:
    seen = threading.Event()
    first, second = b"data: 1\n\n", b"data: 2\n\n"

    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(b"%x\r\n" % len(first + second))
        for byte in first:
            connection.send(bytes([byte]))
        assert seen.wait(PATIENCE)
        connection.send(second + b"\r\n0\r\n\r\n")

    with Stream(body) as stream:
        assert next(stream.source).data == 1
        seen.set()
        assert [part.data for part in stream.source] == [2]


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("gzip", [False, True])
def test_megabytes_at_a_time_come_whole(framing: str, gzip: bool) -> None:
    texts = [chr(97 + i) * 1_500_000 for i in range(3)]
    events = "".join(f'event: values\r\ndata: "{text}"\r\nid: {text[0]}\r\n\r\n' for text in texts).encode()
    with Stream(body_of(events, framing=framing, gzip=gzip)) as stream:
        assert list(stream.source) == [StreamPart("values", text, text[0]) for text in texts]


# What the source knows


def test_the_position_is_the_id_of_the_last_part_that_was_given() -> None:
    with Stream(body_of(b"data: 0\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\n\n")) as stream:
        positions = [stream.source.position] + [stream.source.position for _ in stream.source]
        assert positions == [None, None, "1", "2"]
        assert stream.source.position == "3"


def test_an_id_that_the_server_clears_leaves_no_position() -> None:
    with Stream(body_of(b"id: 1\ndata: 1\n\nid:\n\n")) as stream:
        assert list(stream.source) == [StreamPart("message", 1, "1")]
        assert stream.source.position is None


def test_a_join_keeps_its_position_until_the_server_gives_another() -> None:
    with Stream(body_of(), body_of(b"data: 1\n\n", b"id: 7\ndata: 2\n\n")) as stream:
        source = stream.transport.open_run(RunJoin("t", "r", position="5"))
        assert [source.position for _ in source] == ["5", "7"]


def test_heartbeats_are_activity() -> None:
    with Stream(body_of(b": heartbeat\r\n\r\n", b": heartbeat\r\n\r\n", b"retry: 1500\n\n")) as stream:
        opened = stream.source.last_activity
        assert opened <= time.monotonic()
        assert list(stream.source) == []
        assert stream.source.heartbeats == 2
        assert stream.source.last_activity > opened
        assert getattr(stream.source, "retry", None) == 1500


def test_the_wire_does_not_say_how_the_run_ended() -> None:
    with Stream(body_of(b"event: error\ndata: {}\n\n")) as stream:
        assert [part.event for part in stream.source] == ["error"]
        assert stream.source.outcome is None


# Refused streams


def joined(*bodies: Body, position: Optional[str] = "-1", modes: Any = ()) -> Any:
    """The parts of a join, and its source; the first body is the join's, the next that of a second request."""
    with Stream(body_of(), *bodies) as stream:
        source = stream.transport.open_run(RunJoin("t", "r", modes=modes, position=position))
        return list(source), source


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b'{"error":"HTTPException","message":"404: Run not found"}', 404),
        (b'{"error":"HTTPException","message":"403: not yours"}', 403),
        (b'{"error":"HTTPException","message":"422: Invalid"}', 422),
        (b'"Run not found"', 404),
        (b'"404: Run not found"', 404),
    ],
)
def test_a_join_that_is_refused_in_its_stream_is_the_error_of_its_status(data: bytes, status: int) -> None:
    with pytest.raises(APIStatusError, match="GET .*/threads/t/runs/r/stream failed") as caught:
        joined(body_of(b": heartbeat\n\nevent: error\ndata: " + data + b"\n\n"))
    assert caught.value.status_code == status
    assert (type(caught.value) is NotFoundError) == (status == 404)


@pytest.mark.parametrize(
    "data", [b'{"error":"ValueError","message":"404: no city"}', b'{"error":"HTTPException","message":"no"}', b"null"]
)
def test_the_error_of_the_run_itself_is_a_part(data: bytes) -> None:
    parts, _ = joined(body_of(b"event: error\ndata: " + data + b"\n\n"))
    assert [part.event for part in parts] == ["error"]


def test_a_started_run_whose_stream_is_refused_is_told_of_with_the_error_of_its_status() -> None:
    refusal = b'event: error\ndata: {"error":"HTTPException","message":"403: not to be read by you"}\n\n'
    with Stream(body_of(refusal)) as stream:
        with pytest.raises(PermissionDeniedError, match="POST .*/stream failed .*: not to be read by you") as caught:
            next(stream.source)
        assert list(stream.source) == []
    assert "The run was started all the same" in str(caught.value)


def test_what_refuses_a_stream_is_the_runs_own_error_once_something_came() -> None:
    error = b'event: error\ndata: {"error":"HTTPException","message":"404: no city"}\n\n'
    body = body_of(b"event: metadata\ndata: {}\n\n" + error)
    assert [part.event for part in joined(body)[0]] == ["metadata", "error"]
    with Stream(body) as stream:
        assert [part.event for part in stream.source] == ["metadata", "error"]


@pytest.mark.parametrize("date", ["yesterday", "", "Mon, 01 Jan 2024 00:00:00 +99999999999999"])
def test_a_date_that_is_none_does_not_keep_a_join_from_being_read(date: str) -> None:
    parts, _ = joined(body_of(b"id: 1-0\ndata: 1\n\n", headers={"Date": date}))
    assert [part.data for part in parts] == [1]


def test_a_join_that_shows_nothing_is_known_to_lack_something() -> None:
    assert joined(body_of(b": heartbeat\n\n"))[1].exact is False
    assert joined(body_of(b"event: metadata\ndata: {}\n\n"))[1].exact is True


# Ends


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_body_that_ends_between_events_is_the_end(framing: str) -> None:
    with Stream(body_of(b"data: 1\n\n: heartbeat\n\n", framing=framing)) as stream:
        assert [part.data for part in stream.source] == [1]
        assert list(stream.source) == []


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("tail", [b'data: {"ha', b"event: values\ndata: 2\n"])
def test_a_body_that_ends_inside_an_event_is_a_lost_connection(framing: str, tail: bytes) -> None:
    with Stream(body_of(b"data: 1\n\n" + tail, framing=framing)) as stream:
        assert next(stream.source).data == 1
        with pytest.raises(ConnectionLost, match="ended inside an event"):
            next(stream.source)


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_reset_is_a_lost_connection(framing: str) -> None:
    with Stream(body_of(b"data: 1\n\n", end="reset", framing=framing)) as stream, pytest.raises(ConnectionLost):
        list(stream.source)


@pytest.mark.parametrize("cut", [b"", b"4", b"4\r\ndat"])
def test_chunks_that_break_off_are_a_lost_connection(cut: bytes) -> None:
    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.send(cut)

    with Stream(body) as stream:
        assert next(stream.source).data == 1
        with pytest.raises(ConnectionLost, match="/threads/t/runs/stream broke while its answer was read"):
            next(stream.source)


def test_a_body_shorter_than_its_length_is_a_lost_connection() -> None:
    def body(connection: Connection) -> None:
        connection.head(200, {"Content-Type": "text/event-stream", "Content-Length": "100"})
        connection.send(b"data: 1\n\n")

    with Stream(body) as stream, pytest.raises(ConnectionLost, match="ended too early"):
        list(stream.source)


def test_compressed_data_that_is_broken_is_a_lost_connection() -> None:
    def body(connection: Connection) -> None:
        connection.start_stream({"Content-Encoding": "gzip"})
        connection.chunk(b"data: 1\n\n")
        connection.end()

    with Stream(body) as stream, pytest.raises(ConnectionLost):
        list(stream.source)


def test_silence_longer_than_the_read_timeout_is_a_timeout() -> None:
    with Stream(body_of(b"data: 1\n\n", end="open"), read_timeout=0.1) as stream:
        assert next(stream.source).data == 1
        with pytest.raises(ConnectionTimeout, match="sent nothing for as long as was to be waited"):
            next(stream.source)
        assert list(stream.source) == []


def test_each_read_waits_no_longer_than_it_is_told_whatever_the_one_before_was_told() -> None:
    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.peer_closed()

    with (
        RawServer(after_the_request(body)) as server,
        contextlib.closing(SSETransport(TransportConfig(server.url))) as transport,
    ):
        stream = transport.open_stream("GET", "/x")
        assert stream.read(PATIENCE) == b"data: 1\n\n"
        with contextlib.closing(stream), pytest.raises(ConnectionTimeout):
            stream.read(0.05)


def test_an_event_that_is_too_large_is_an_error_and_what_came_before_is_given() -> None:
    body = body_of(b"data: 1\n\ndata: " + b"x" * 2000, end="open")
    with Stream(body, max_event_bytes=1000) as stream:
        assert next(stream.source).data == 1
        with pytest.raises(
            ResponseError, match="more than 1000 bytes; build the transport with a larger max_event_bytes"
        ):
            next(stream.source)
        stream.server.wait_for_scripts()


# Closing


def closing_notices(closed: List[bool]) -> Body:
    """A body of one event and a heartbeat; then it notes whether the client closed."""

    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.chunk(b": heartbeat\n\n")
        closed.append(connection.peer_closed())

    return body


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("by", ["source", "transport"])
def test_closing_from_another_thread_frees_a_blocked_reader_at_once(
    by: str, secure: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = None
    if secure:
        files = tls_contexts(tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", files.ca_file)
        tls = files.server
    closed: List[bool] = []
    parts: List[StreamPart] = []
    with Stream(closing_notices(closed), tls=tls) as stream:
        reader = threading.Thread(target=lambda: parts.extend(stream.source))
        reader.start()
        # Once it has read the heartbeat, there is nothing to read any more.
        until(lambda: stream.source.heartbeats == 1)
        began = time.monotonic()
        (stream.source if by == "source" else stream.transport).close()
        reader.join(PATIENCE)
        assert not reader.is_alive()
        assert time.monotonic() - began < 2.5
        stream.server.wait_for_scripts()
    assert [part.data for part in parts] == [1]
    assert closed == [True]


def test_closing_early_closes_the_connection() -> None:
    closed: List[bool] = []
    with Stream(closing_notices(closed)) as stream:
        assert next(stream.source).data == 1
        stream.source.close()
        stream.source.close()
        assert list(stream.source) == []
        stream.server.wait_for_scripts()
    assert closed == [True]


def test_parts_that_were_read_ahead_are_not_given_after_closing() -> None:
    with Stream(body_of(b"data: 1\n\ndata: 2\n\n")) as stream:
        assert next(stream.source).data == 1
        stream.source.close()
        assert list(stream.source) == []


def test_a_source_that_nobody_holds_closes_its_connection() -> None:
    closed: List[bool] = []
    with Stream(closing_notices(closed)) as stream:
        assert next(stream.source).data == 1
        del stream.source
        gc.collect()
        stream.server.wait_for_scripts()
    assert closed == [True]


def test_after_its_end_the_connection_serves_the_next_call() -> None:
    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.end()
        connection.read_request()
        connection.respond(200, b"again")

    with Stream(body) as stream:
        assert [part.data for part in stream.source] == [1]
        stream.source.close()
        assert stream.transport.request("GET", "/x").body == b"again"
        assert len(stream.server.connections) == 1


def test_a_connection_on_which_more_came_than_the_body_serves_no_other_call() -> None:
    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.send(b"9\r\ndata: 1\n\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")

    def other(connection: Connection) -> None:
        connection.respond(200, b"its own")

    with Stream(body, other) as stream:
        assert [part.data for part in stream.source] == [1]
        assert stream.transport.request("GET", "/x").body == b"its own"


def test_chunks_that_came_together_are_read_together() -> None:
    def body(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100)
        connection.peer_closed()

    with (
        RawServer(after_the_request(body)) as server,
        contextlib.closing(SSETransport(TransportConfig(server.url))) as transport,
    ):
        stream = transport.open_stream("GET", "/x")
        assert stream.read() == b"x" * 100
        stream.close()


def test_closing_one_stream_leaves_the_others_alone() -> None:
    seen = threading.Event()

    def waits(connection: Connection) -> None:
        connection.start_stream()
        assert seen.wait(PATIENCE)
        connection.chunk(b"data: 1\n\n")
        connection.end()

    with Stream(waits, body_of(end="open")) as stream:
        stream.transport.open_run(RunStart("t", {})).close()
        seen.set()
        assert [part.data for part in stream.source] == [1]


# Bodies that are not urllib3's


class Scripted(io.RawIOBase):
    """A raw body that gives its pieces one read at a time; an exception among them is raised."""

    def __init__(self, *pieces: Any) -> None:
        self._pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        buffer[: len(piece)] = piece
        return len(piece)


def mocked(*pieces: Any) -> List[StreamPart]:
    with responses.RequestsMock() as mock:
        body = io.BufferedReader(Scripted(*pieces))
        mock.post("http://langgraph.test/runs/stream", body=body, content_type="text/event-stream")
        source = SSETransport(TransportConfig("http://langgraph.test")).open_run(RunStart(None, {}))
        with contextlib.closing(source):
            return list(source)


def test_a_mocked_body_is_read_as_it_comes() -> None:
    assert [part.data for part in mocked(b"data: 1\n", b"\nda", b"ta: 2\n\n")] == [1, 2]


@pytest.mark.parametrize(
    ("raised", "kind"), [(ConnectionResetError("reset"), ConnectionLost), (socket.timeout("slow"), ConnectionTimeout)]
)
def test_a_mocked_body_that_fails_is_a_lost_connection(raised: Exception, kind: Any) -> None:
    with pytest.raises(kind):
        mocked(b"data: 1\n\n", raised)


class PlainBody(io.BytesIO):
    """A raw body with neither read1 options nor shutdown, such as recording libraries put in place."""

    reason, headers = "OK", {"content-type": "text/event-stream"}
    status = 200

    def release_conn(self) -> None:
        """What requests calls after closing."""


class BlockingBody(PlainBody):
    """One that blocks in its first read until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(b"data: 1\n\n")
        self.entered, self.go_on = threading.Event(), threading.Event()

    def read(self, size: Optional[int] = -1) -> bytes:
        self.entered.set()
        assert self.go_on.wait(PATIENCE)
        return super().read(size)


def source_over(body: PlainBody, monkeypatch: pytest.MonkeyPatch) -> PartSource:
    def send(adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
        return adapter.build_response(request, body)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    return SSETransport(TransportConfig("http://langgraph.test")).open_run(RunStart(None, {}))


def test_a_body_that_is_not_urllib3s_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_over(PlainBody(b"data: 1\n\ndata: 2\n\n"), monkeypatch)
    assert [part.data for part in source] == [1, 2]


def test_closing_returns_and_the_reader_cleans_up_where_nothing_can_free_it(monkeypatch: pytest.MonkeyPatch) -> None:
    body = BlockingBody()
    source = source_over(body, monkeypatch)
    parts: List[StreamPart] = []
    reader = threading.Thread(target=lambda: parts.extend(source))
    reader.start()
    assert body.entered.wait(PATIENCE)
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 2.5
    body.go_on.set()
    reader.join(PATIENCE)
    assert (parts, body.closed) == ([], True)


# What has come


def test_what_came_with_an_event_is_at_hand_and_is_the_position_then() -> None:
    with Stream(body_of(b"data: 1\nid: a\n\ndata: 2\nid: b\n\ndata: 3\n\n")) as stream:
        assert stream.source.at_hand() == []
        assert next(stream.source).data == 1
        assert [part.data for part in stream.source.at_hand()] == [2, 3]
        assert stream.source.position == "b"
        assert list(stream.source) == []


def test_nothing_is_at_hand_of_a_stream_that_was_closed() -> None:
    with Stream(body_of(b"data: 1\n\ndata: 2\n\n")) as stream:
        assert next(stream.source).data == 1
        stream.source.close()
        assert stream.source.at_hand() == []


# Beats, for a reader that wants to know of silence


@pytest.mark.parametrize("encrypted", [False, True])
def test_beats_between_two_parts_lose_nothing(
    encrypted: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = [threading.Event(), threading.Event()]

    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        for number, each in enumerate(go_on, 2):
            assert each.wait(PATIENCE)
            connection.chunk(b"data: ")
            connection.chunk(b"%d\n\n" % number)
        connection.end()

    tls = None
    if encrypted:
        files = tls_contexts(tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", files.ca_file)
        tls = files.server
    with Stream(body, tls=tls) as stream:
        stream.source.beat_seconds = 0.05
        given: List[Any] = []
        quiet = 0
        while len(given) < 3 and quiet < 1000:
            try:
                given.append(next(stream.source).data)
            except Quiet:
                quiet += 1
                if given:
                    go_on[len(given) - 1].set()
        assert given == [1, 2, 3]
        assert quiet >= 2
        assert list(stream.source) == []


def test_what_came_together_is_given_before_any_beat() -> None:
    with Stream(body_of(b"data: 1\n\ndata: 2\n\n", b"data: 3\n\n", end="open")) as stream:
        stream.source.beat_seconds = PATIENCE
        begun = time.monotonic()
        assert [next(stream.source).data for _ in range(3)] == [1, 2, 3]
        assert time.monotonic() - begun < PATIENCE / 2


@pytest.mark.parametrize(("framing", "gzip"), [("close", False), ("chunked", True)])
def test_where_silence_cannot_be_told_heartbeats_are_beats(framing: str, gzip: bool) -> None:
    enough = threading.Event()

    def body(connection: Connection) -> None:
        connection.start_stream(framing=framing, gzip=gzip)
        connection.chunk(b"data: 1\n\n")
        while not enough.wait(0.02):
            connection.chunk(b": heartbeat\n\n")
        connection.end()

    with Stream(body) as stream:
        assert next(stream.source).data == 1
        stream.source.beat_seconds = 0.05
        for _ in range(2):
            with pytest.raises(Quiet):
                next(stream.source)
        assert stream.source.heartbeats >= 2
        enough.set()
        stream.source.beat_seconds = None
        assert list(stream.source) == []


def test_heartbeats_of_the_server_put_no_beat_off() -> None:
    over = threading.Event()

    def body(connection: Connection) -> None:
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        for _ in range(500):
            if over.wait(0.01):
                break
            connection.chunk(b": heartbeat\n\n")
        connection.end()

    with Stream(body) as stream:
        assert next(stream.source).data == 1
        stream.source.beat_seconds = 0.1
        for _ in range(2):
            with pytest.raises(Quiet):
                next(stream.source)
        over.set()
        stream.source.beat_seconds = None
        assert list(stream.source) == []


def test_a_connection_that_is_dead_is_noticed_between_beats() -> None:
    with Stream(body_of(b"data: 1\n\n", end="open")) as stream:
        stream.source.beat_seconds = 0.05
        end = time.monotonic() + 0.3
        stream.source.patience = lambda _: max(0.0, end - time.monotonic())
        assert next(stream.source).data == 1
        with pytest.raises(ConnectionTimeout):
            while True:
                with contextlib.suppress(Quiet):
                    next(stream.source)


def test_closing_frees_a_reader_that_waits_for_a_beat() -> None:
    with Stream(body_of(b"data: 1\n\n", end="open")) as stream:
        assert next(stream.source).data == 1
        stream.source.beat_seconds = PATIENCE
        begun = time.monotonic()
        closing = threading.Timer(0.1, stream.source.close)
        closing.start()
        assert list(stream.source) == []
        assert time.monotonic() - begun < PATIENCE / 2
        closing.join()


def test_two_threads_that_close_at_once_close_the_connection_once() -> None:
    with Stream(body_of(b"data: 1\n\n", end="open")) as stream:
        assert next(stream.source).data == 1
        answer = stream.source._stream._answer  # type: ignore[attr-defined]
        closed: List[int] = []
        close, answer.close = answer.close, lambda: (closed.append(threading.get_ident()), close())
        reader = threading.Thread(target=lambda: list(stream.source))
        reader.start()
        stream.source.close()
        reader.join(PATIENCE)
        assert len(closed) == 1
