"""Servers and proxies that break the rules of a WebSocket, or use them against its client."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
import zlib
from typing import Any, Callable, Dict, Iterator, List, Optional, Type

import pytest
import requests
from event_tape import Tape
from memory import MIB, flood, reader_of
from rawserver import PATIENCE, RawServer, until
from rawserver import Connection as Wire
from thread_server import THREAD, ThreadServer
from websockets.protocol import State

from lgsync.errors import (
    APIStatusError,
    BadRequestError,
    ConflictError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DecodeError,
    EventTooLarge,
    InternalServerError,
    LgsyncError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    UnprocessableEntityError,
)
from lgsync.transport import Timeout
from lgsync.transports import connection as connections
from lgsync.transports.connection import Connection, Target, open_connection
from lgsync.transports.connection import _Guarded as Guarded
from lgsync.transports.frames import Messages
from lgsync.transports.inbox import Inbox

pytestmark = pytest.mark.usefixtures("hurried", "no_leaks")

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

LIMIT = 100_000

KEY = {"x-api-key": "secret"}

Script = Callable[[Wire], None]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers that owe an answer are given less time than usual to give it."""
    monkeypatch.setattr(connections, "_GLANCE_SECONDS", 0.02)
    monkeypatch.setattr(connections, "_CLOSE_SECONDS", 0.1)


# A server that speaks, and misspeaks, byte by byte


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, length: Optional[int] = None) -> bytes:
    """One frame as a server sends it; ``length`` is what it announces, if that is not what follows."""
    size = len(data) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        return head + bytes([size]) + data
    return head + (struct.pack("!BH", 126, size) if size < 65536 else struct.pack("!BQ", 127, size)) + data


def closing(code: Optional[int], reason: str = "") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def upgraded(wire: Wire, extensions: str = "") -> None:
    """Read the handshake and accept it."""
    key = wire.read_request().headers["sec-websocket-key"]
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    fields = {"Upgrade": "websocket", "Connection": "Upgrade"}
    fields["Sec-WebSocket-Accept"] = base64.b64encode(digest).decode()
    wire.head(101, {**fields, **({"Sec-WebSocket-Extensions": extensions} if extensions else {})})


def until_left(wire: Wire) -> bytes:
    """Read until the client has closed its end."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while True:
            data = wire.sock.recv(65536)
            if not data:
                break
            said += data
    return said


def sending(*data: bytes, then: Script = until_left) -> Script:
    """Accept the handshake, send these bytes, and then stay until the client leaves (or do something else)."""

    def script(wire: Wire) -> None:
        upgraded(wire)
        for each in data:
            wire.send(each)
        then(wire)

    return script


def sending_after(event: threading.Event, data: bytes) -> Script:
    """Accept the handshake, send this once the event is set, and then stay until the client leaves."""

    def script(wire: Wire) -> None:
        upgraded(wire)
        assert event.wait(PATIENCE)
        wire.send(data)
        until_left(wire)

    return script


def hang_up(wire: Wire) -> None:
    wire.close()


@contextlib.contextmanager
def connected(script: Script, *, limit: int = LIMIT, compression: Optional[str] = None) -> Iterator[Connection]:
    """A client's connection to a server that follows the script."""
    with RawServer(script) as server:
        connection = opened(server, limit=limit, compression=compression)
        try:
            yield connection
        finally:
            connection.close()


def opened(
    server: RawServer, *, limit: int = LIMIT, compression: Optional[str] = None, seconds: float = PATIENCE
) -> Connection:
    with requests.Session() as session:
        target = Target.of(session, f"{server.url}/stream", KEY)
    return open_connection(target, timeout=Timeout(seconds, 5), max_event_bytes=limit, compression=compression)


def end_of(connection: Connection, kind: Type[LgsyncError]) -> LgsyncError:
    """The error with which the connection ends, once all that came before it was read."""
    with pytest.raises(LgsyncError) as caught:
        while connection.receive(PATIENCE) is not None:
            pass
    assert type(caught.value) is kind, caught.value
    assert caught.value.url == connection.url  # type: ignore[attr-defined]
    return caught.value


def received(connection: Connection) -> List[Dict[str, Any]]:
    """All frames up to a clean end."""
    frames = []
    while not connection.ended:
        each = connection.receive(PATIENCE)
        if each is not None:
            frames.append(each)
    return frames


# Too large


def test_a_frame_over_the_limit_is_refused_as_soon_as_it_is_announced() -> None:
    with connected(sending(frame(TEXT, b'{"a": "', length=200 * MIB))) as connection:
        error = end_of(connection, EventTooLarge)
        assert connection.close_code == 1009
    assert "max_event_bytes, 100000 bytes" in str(error)
    assert "larger max_event_bytes" in str(error)


def test_fragments_that_add_up_to_more_than_the_limit_are_refused() -> None:
    piece = b"x" * 60_000
    with connected(sending(frame(TEXT, piece, fin=False), frame(0, piece, fin=False))) as connection:
        end_of(connection, EventTooLarge)


def test_pieces_that_never_make_a_message_are_refused_though_they_are_empty() -> None:
    with connected(sending(frame(TEXT, fin=False), frame(0, fin=False) * 10_000)) as connection:
        assert "fragments" in str(end_of(connection, EventTooLarge))


def test_what_unpacks_to_more_than_the_limit_is_refused() -> None:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b" " * (50 * MIB)) + packer.flush(zlib.Z_SYNC_FLUSH)

    def script(wire: Wire) -> None:
        upgraded(wire, "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        wire.send(frame(TEXT, packed[:-4], rsv=4))
        until_left(wire)

    assert len(packed) < LIMIT
    with connected(script, compression="deflate") as connection:
        end_of(connection, EventTooLarge)


def test_what_came_before_a_frame_that_is_too_large_is_given() -> None:
    with connected(sending(frame(TEXT, b'{"a": 1}'), frame(TEXT, b"x" * (LIMIT + 1)))) as connection:
        assert connection.receive(PATIENCE) == {"a": 1}
        end_of(connection, EventTooLarge)
        assert connection.received == 8


def test_a_server_that_finds_a_message_too_large_says_so_and_both_limits_are_named() -> None:
    with connected(sending(closing(1009, "over 1 MB"))) as connection:
        error = end_of(connection, EventTooLarge)
    assert "closed with code 1009, 'over 1 MB': a message was larger than the server, or a proxy" in str(error)
    assert "max_event_bytes, 100000 bytes" in str(error)


@pytest.mark.parametrize("takes", ["nothing", "the refusal"])
def test_a_frame_of_hundreds_of_megabytes_costs_no_memory(takes: str) -> None:
    tape = Tape()
    with ThreadServer() as server:
        with reader_of("websocket", server.url, THREAD) as reader:
            peer = server.peer()
            peer.confirm()
            peer.send(tape.running())
            assert reader.first() == "a part"
            head = frame(TEXT, length=200 * MIB)
            peer._sock.sendall(head)
            flood(peer._sock, b"x" * MIB, 1 if takes == "nothing" else 200)
            assert reader.growth() < 30 * MIB


@pytest.mark.full
@pytest.mark.parametrize(("size", "count"), [(1000, 100_000), (100_000, 3000)])
def test_a_flood_at_a_reader_that_reads_no_more_is_held_back(size: int, count: int) -> None:
    tape = Tape()
    with ThreadServer() as server:
        with reader_of("websocket", server.url, THREAD) as reader:
            peer = server.peer()
            peer.confirm()
            peer.send(tape.running())
            assert reader.first() == "a part"
            event = frame(TEXT, json.dumps(tape.values(text="x" * (size - 200))).encode())
            flood(peer._sock, event, count)
            assert reader.growth() < 30 * MIB


@pytest.mark.full
def test_a_slow_reader_gets_every_frame_of_a_flood() -> None:
    stalled = threading.Event()
    texts = [str(number) * 50_000 for number in range(800)]

    def script(wire: Wire) -> None:
        upgraded(wire)
        for number, text in enumerate(texts):
            if number == 600:
                stalled.set()
            wire.send(frame(TEXT, json.dumps({"n": text}).encode()))
        wire.send(closing(1000))
        until_left(wire)

    with connected(script, limit=MIB) as connection:
        # Within this time the server has long filled what is kept for the reader.
        stalled.wait(0.5)
        assert not stalled.is_set()
        assert [each["n"] for each in received(connection)] == texts


# How it is closed


@pytest.mark.parametrize(
    ("code", "said"),
    [(1001, 1001), (1011, 1011), (1012, 1012), (1013, 1013), (3000, 3000), (4000, 4000), (4600, 4600), (None, 1005)],
)
def test_any_other_closing_frame_is_a_lost_connection_that_names_its_code(code: Optional[int], said: int) -> None:
    with connected(sending(closing(code, "" if code is None else "why"))) as connection:
        error = end_of(connection, ConnectionLost)
        assert connection.close_code == said
    assert f"was closed with code {said}" + ("" if code is None else ", 'why'") in str(error)


def test_a_connection_that_breaks_off_has_the_code_for_that() -> None:
    with connected(sending(frame(TEXT, b"{}"), then=Wire.reset)) as connection:
        assert "without a closing frame (code 1006)" in str(end_of(connection, ConnectionLost))
        assert connection.close_code == 1006


def test_a_connection_that_breaks_off_inside_a_message_gives_no_half_of_it() -> None:
    with connected(sending(frame(TEXT, b'{"a": 1}', fin=False), then=hang_up)) as connection:
        end_of(connection, ConnectionLost)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (4400, BadRequestError),
        (4404, NotFoundError),
        (4408, APIStatusError),
        (4409, ConflictError),
        (4422, UnprocessableEntityError),
        (4429, RateLimitError),
        (4503, InternalServerError),
    ],
)
def test_a_code_that_stands_for_a_status_is_its_error(code: int, kind: Type[APIStatusError]) -> None:
    with connected(sending(closing(code, "why"))) as connection:
        error = end_of(connection, kind)
        assert connection.close_code == code
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.detail) == (code - 4000, "why")


def test_a_server_that_closes_but_never_hangs_up_is_left() -> None:
    with connected(sending(frame(TEXT, b'{"a": 1}'), closing(1000))) as connection:
        began = time.monotonic()
        assert received(connection) == [{"a": 1}]
        assert time.monotonic() - began < PATIENCE / 2


@pytest.mark.parametrize("timeout", [0.01, PATIENCE, None])
def test_a_server_that_does_not_mind_our_refusal_is_left(timeout: Optional[float]) -> None:
    def goes_on(wire: Wire) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                wire.send(b"x" * 65536)

    with connected(sending(frame(TEXT, length=2**40), then=goes_on)) as connection:
        began = time.monotonic()
        with pytest.raises(EventTooLarge):
            while time.monotonic() - began < PATIENCE:
                connection.receive(timeout)
        assert time.monotonic() - began < PATIENCE / 2


def test_a_refusal_that_the_server_answers_with_a_clean_close_is_no_clean_end() -> None:
    def answers(wire: Wire) -> None:
        wire.sock.recv(65536)
        wire.send(closing(1000))
        until_left(wire)

    with connected(sending(frame(3), then=answers)) as connection:
        end_of(connection, ConnectionLost)
        assert not connection.ended


def test_closing_does_not_wait_for_an_answer_nor_for_what_still_comes() -> None:
    def talks_on(wire: Wire) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                wire.send(frame(TEXT, b"{}") * 1000)

    with connected(sending(then=talks_on)) as connection:
        assert connection.receive(PATIENCE) == {}
        began = time.monotonic()
        connection.close()
        assert time.monotonic() - began < 2.5
        assert connection.receive(0) is None


# Frames that mean nothing


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_json_is_read_from_text_and_from_binary_frames(opcode: int) -> None:
    with connected(sending(frame(opcode, b'{"a": "\xc3\xa9"}'), closing(1000))) as connection:
        assert received(connection) == [{"a": "é"}]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b'{"a": 1',
        b'{"a": 1} {"b": 2}',
        b"<html>" + b"x" * 5000,
        b'{"a": "\xff"}',
        b"\x00\x01\x02\xff",
        b"[" * 50_000,
        b'{"a":' * 10_000,
    ],
    ids=["empty", "words", "half", "two", "html", "not UTF-8", "bytes", "deep list", "deep object"],
)
def test_a_frame_that_is_no_json_is_an_error_with_its_text(opcode: int, data: bytes) -> None:
    with connected(sending(frame(opcode, data))) as connection:
        error = end_of(connection, DecodeError)
    assert isinstance(error, DecodeError)
    assert (error.text, error.status) == (data.decode("utf-8", "replace"), 101)
    assert len(str(error)) < 1000


@pytest.mark.parametrize("data", [b"[1, 2]", b"null", b'"text"', b"1"])
def test_json_that_is_no_object_is_no_answer_of_this_api(data: bytes) -> None:
    with connected(sending(frame(TEXT, data))) as connection:
        error = end_of(connection, ResponseError)
    assert isinstance(error, ResponseError)
    assert error.snippet == data.decode()


@pytest.mark.parametrize(
    "data",
    [
        frame(3),
        frame(15),
        frame(TEXT, b"{}", rsv=4),
        frame(TEXT, b"{}", rsv=1),
        b"\x81\x82abcd\x1a\x1f",
        frame(PING, b"x" * 126),
        frame(PING, b"x", fin=False),
        frame(0, b"{}"),
        frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
        closing(999),
        closing(1006),
        frame(CLOSE, b"x"),
        frame(TEXT, b"{", fin=False) + closing(1000),
    ],
    ids=[
        "unknown data",
        "unknown control",
        "compressed without consent",
        "reserved bit",
        "masked",
        "long ping",
        "ping in pieces",
        "a piece of nothing",
        "a message inside a message",
        "a code that is none",
        "a code that must not be sent",
        "half a code",
        "a close inside a message",
    ],
)
def test_a_breach_of_the_protocol_is_a_lost_connection_that_says_what_it_was(data: bytes) -> None:
    with connected(sending(data)) as connection:
        error = end_of(connection, ConnectionLost)
        assert connection.close_code == 1002
    assert "given up, as the server broke its rules: code 1002, " in str(error)


def test_a_reason_that_is_no_text_is_a_lost_connection() -> None:
    with connected(sending(frame(CLOSE, b"\x03\xe8\xff\xfe"))) as connection:
        end_of(connection, ConnectionLost)
        assert connection.close_code == 1007


def test_a_message_may_come_in_pieces_with_pings_between_them() -> None:
    data = '{"a": "é"}'.encode()
    pieces = [frame(TEXT if at == 0 else 0, data[at : at + 1], fin=at == len(data) - 1) for at in range(len(data))]
    with connected(sending(frame(PING, b"?").join(pieces), frame(PONG, b"unasked"), closing(1000))) as connection:
        assert received(connection) == [{"a": "é"}]


def test_frames_are_given_though_the_answer_to_the_close_behind_them_cannot_be_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, given_up = threading.Event(), threading.Event()
    send, break_off = Guarded.send_data, Connection._break

    def send_late(socket: Guarded) -> None:
        if socket.state is State.CLOSING:
            given_up.wait(PATIENCE)
        send(socket)

    def give_up(connection: Connection) -> None:
        break_off(connection)
        given_up.set()

    monkeypatch.setattr(Guarded, "send_data", send_late)
    monkeypatch.setattr(Connection, "_break", give_up)
    with connected(sending_after(reading, frame(TEXT, b"{}") + closing(1000))) as connection:
        reading.set()
        assert received(connection) == [{}]
        assert given_up.is_set()


def test_no_frame_is_given_after_the_connection_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, coming, closed = threading.Event(), threading.Event(), threading.Event()
    put, break_off = Inbox.put, Connection._break
    seen: List[Any] = []

    def put_late(inbox: Inbox, messages: Messages) -> None:
        coming.set()
        assert closed.wait(PATIENCE)
        put(inbox, messages)

    def close(connection: Connection) -> None:
        break_off(connection)
        closed.set()

    monkeypatch.setattr(Inbox, "put", put_late)
    monkeypatch.setattr(Connection, "_break", close)
    with connected(sending_after(reading, frame(TEXT, b"{}"))) as connection:
        reader = threading.Thread(target=lambda: seen.append(connection.receive(PATIENCE)))
        reader.start()
        until(connection._receiving.locked)
        reading.set()
        assert coming.wait(PATIENCE)
        connection.close()
        reader.join(PATIENCE)
    assert seen == [None]


@pytest.mark.parametrize(
    ("fields", "kind", "status"),
    [
        ({"error": "unknown_error", "message": "409: Thread is already running"}, ConflictError, 409),
        ({"error": "unknown_error", "message": "403: bob may not run"}, PermissionDeniedError, 403),
        ({"error": "unknown_error", "message": "422: Invalid assistant"}, UnprocessableEntityError, 422),
        ({"error": "unknown_error", "message": "429: slow down"}, RateLimitError, 429),
        ({"error": "invalid_argument", "message": "no"}, UnprocessableEntityError, 422),
        ({"error": "no_such_run", "message": ""}, NotFoundError, 404),
        ({"error": "new", "message": "4040: no status"}, InternalServerError, 500),
        ({"error": {"odd": [1]}, "message": ["odd"]}, InternalServerError, 500),
        ({}, InternalServerError, 500),
    ],
)
def test_an_error_that_answers_nothing_is_the_error_of_its_status(
    fields: Dict[str, Any], kind: Type[APIStatusError], status: int
) -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().send({"type": "error", "id": None, **fields})
        with pytest.raises(APIStatusError) as caught:
            next(source)
        assert (type(caught.value), caught.value.status_code) == (kind, status)


# Floods of what is no message


def test_a_flood_of_pings_is_answered_and_the_frames_among_them_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    # So many answers may take longer than a reader usually waits for the end that was announced.
    monkeypatch.setattr(connections, "_GLANCE_SECONDS", PATIENCE)
    counted: List[int] = []
    over = threading.Event()

    def script(wire: Wire) -> None:
        upgraded(wire)
        wire.send(frame(PING) * 3000 + frame(TEXT, b"{}") + frame(PING) * 3000 + closing(1000))
        wire.sock.shutdown(socket.SHUT_WR)
        # A pong is six bytes, as it is masked; the closing frame is eight.
        counted.append((len(until_left(wire)) - 8) // 6)
        over.set()

    with connected(script) as connection:
        assert received(connection) == [{}]
        connection.close()
        assert over.wait(PATIENCE)
    assert counted == [6000]


class Deaf:
    """A server that sends pings without end, and reads none of the answers; ``stuck`` is set once nothing goes out."""

    def __init__(self) -> None:
        self.stuck, self.free = threading.Event(), threading.Event()

    def __call__(self, wire: Wire) -> None:
        upgraded(wire)
        wire.send(frame(TEXT, b"{}"))
        flood(wire.sock, frame(PING, b"x" * 125) * 500, 1_000_000)
        self.stuck.set()
        self.free.wait(PATIENCE)


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    server = Deaf()
    yield server
    server.free.set()


def test_closing_does_not_wait_for_a_server_that_reads_nothing(deaf: Deaf) -> None:
    with connected(deaf) as connection:
        assert connection.receive(PATIENCE) == {}
        assert deaf.stuck.wait(PATIENCE)
        began = time.monotonic()
        connection.close()
        assert time.monotonic() - began < 2.5
        deaf.free.set()


def test_nothing_waits_for_ever_to_be_sent(deaf: Deaf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_SEND_SECONDS", 0.1)
    with connected(deaf) as connection:
        assert deaf.stuck.wait(PATIENCE)
        assert not connection.ping().is_set()
        with pytest.raises(ConnectionTimeout, match="reads nothing"):
            connection.send({"id": 1})
        deaf.free.set()


def test_closing_frees_a_reader_of_a_server_that_reads_nothing(deaf: Deaf) -> None:
    with connected(deaf) as connection:
        assert connection.receive(PATIENCE) == {}
        assert deaf.stuck.wait(PATIENCE)
        reader = threading.Thread(target=connection.receive, args=(None,))
        reader.start()
        began = time.monotonic()
        connection.close()
        reader.join(PATIENCE)
        assert not reader.is_alive()
        assert time.monotonic() - began < 2.5
        deaf.free.set()


def test_a_connection_may_be_left_in_the_very_thread_that_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As garbage may be collected anywhere, and a source that is left lying around closes its connection then."""
    ready = threading.Event()

    def script(wire: Wire) -> None:
        upgraded(wire)
        ready.wait(PATIENCE)
        wire.send(frame(TEXT, b"{}"))
        until_left(wire)

    with connected(script) as connection:
        protocol, thread = connection._socket.protocol, connection._socket.recv_events_thread
        receive_data = protocol.receive_data
        monkeypatch.setattr(protocol, "receive_data", lambda data: (connection.close(), receive_data(data)))
        ready.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        monkeypatch.undo()


# Handshakes


def answering(data: bytes, then: Script = hang_up) -> Script:
    def script(wire: Wire) -> None:
        wire.read_request()
        wire.send(data)
        then(wire)

    return script


def refusal(data: bytes, kind: Type[LgsyncError], *, then: Script = hang_up, seconds: float = PATIENCE) -> LgsyncError:
    with RawServer(answering(data, then)) as server:
        with pytest.raises(LgsyncError) as caught:
            opened(server, seconds=seconds)
    assert type(caught.value) is kind, caught.value
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "206 Partial", "103 Early Hints", "101 Switching"])
def test_a_handshake_that_is_answered_like_any_request_names_the_proxy(status: str) -> None:
    body = b"" if status[:3] in ("204", "103", "101") else b"<html>portal</html>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    if status.startswith("101"):
        assert "does not speak WebSocket here" in str(refusal(head, ConnectionFailed))
        return
    error = refusal(head + body, ResponseError)
    assert isinstance(error, ResponseError)
    assert f"answered {status[:3]} where a WebSocket was due" in str(error)
    assert (error.status, error.content_type) == (int(status[:3]), "text/html")
    assert error.snippet == body.decode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_a_handshake_is_followed_and_nothing_reaches_where_it_leads(status: int) -> None:
    with RawServer(until_left) as other:
        error = refusal(f"HTTP/1.1 {status} Moved\r\nLocation: {other.url}/x?token=t\r\n\r\n".encode(), ResponseError)
        assert other.connections == []
    assert f"redirects to {other.url}/x. Give the client" in str(error)


@pytest.mark.parametrize("location", ["http://[::1", "//", "", "\x80\xff", "http://host:port/"])
def test_a_redirect_to_what_is_no_url_is_refused_too(location: str) -> None:
    refusal(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode("latin-1"), ResponseError)


def test_a_redirect_to_nowhere_is_refused() -> None:
    for fields in ("", "Location: /a\r\nLocation: /b\r\n"):
        refusal(f"HTTP/1.1 302 Found\r\n{fields}\r\n".encode(), ResponseError)


@pytest.mark.parametrize("body", [b"<html>no</html>", b"[" * 50_000, b"\xff\xfe", b'{"detail": {"odd": 1}}'])
def test_a_refusal_may_have_any_body(body: bytes) -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert len(str(refusal(head + body, PermissionDeniedError))) < 2000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoZSBhbnN3ZXI=\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 5_000_000,
    ],
    ids=[
        "nothing",
        "zeros",
        "another protocol",
        "a wrong key",
        "words for a status",
        "broken chunks",
        "headers without end",
        "a header without end",
        "a body without end",
    ],
)
def test_a_handshake_that_is_answered_with_rubbish_is_a_failed_connection(data: bytes) -> None:
    refusal(data, ConnectionFailed, then=lambda wire: None)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"])
def test_a_handshake_that_stalls_ends_with_the_connect_timeout(data: bytes) -> None:
    error = refusal(data, ConnectionFailed, then=lambda wire: until_left(wire) and None, seconds=0.1)
    assert "no answer within 0.1 s" in str(error)


def test_frames_before_the_handshake_are_rubbish_too() -> None:
    def eager(wire: Wire) -> None:
        wire.send(frame(TEXT, b"{}"))
        with contextlib.suppress(EOFError, ConnectionError):
            wire.read_request()

    with RawServer(eager) as server, pytest.raises(ConnectionFailed):
        opened(server)


def test_a_connection_that_is_refused_leaves_no_socket_behind() -> None:
    with RawServer(answering(b"HTTP/1.1 500 Oops\r\n\r\n", until_left)) as server:
        with pytest.raises((InternalServerError, ConnectionFailed)):
            opened(server, seconds=0.2)
        server.wait_for_scripts()
        assert isinstance(server.connections[0].sock, socket.socket)
