"""The fault proxy between a raw client and a scripted server: what each sees of every fault."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple, Union

import pytest
import websockets.sync.client
import websockets.sync.server
from rawserver import PATIENCE, Connection, RawServer, Script, answer, refused_port, until
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from lgsync.errors import ConfigurationError
from lgsync.testing import (
    Corrupt,
    Cut,
    Delay,
    Fault,
    FaultProxy,
    HalfOpen,
    Pass,
    Refuse,
    Request,
    Stall,
    Status,
    Throttle,
    is_stream,
)

pytestmark = pytest.mark.usefixtures("no_leaks")

Proxied = Callable[[str], FaultProxy]

STREAM = "/threads/t/runs/stream"
ONE, TWO, THREE = (b"event: values\r\nid: %d\r\ndata: %d\r\n\r\n" % (n, n) for n in (1, 2, 3))
BEAT = b": heartbeat\r\n\r\n"


class Client:
    """A raw client of one connection."""

    def __init__(self, proxy: FaultProxy) -> None:
        port = int(proxy.url.rpartition(":")[2])
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.received = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, method: str = "POST", target: str = STREAM, headers: str = "", body: bytes = b"") -> None:
        head = f"{method} {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.sock.sendall(head.encode() + body)

    def read_to(self, end: bytes) -> bytes:
        """What came up to and with these bytes."""
        while end not in self.received:
            data = self.sock.recv(65536)
            assert data, f"{end!r} never came, but {self.received!r}"
            self.received += data
        before, _, self.received = self.received.partition(end)
        return before + end

    def read_all(self) -> Tuple[bytes, str]:
        """All that still comes, and how it ends: by "fin" or "rst"."""
        pieces = [self.received]
        self.received = b""
        while True:
            try:
                pieces.append(self.sock.recv(65536))
            except ConnectionResetError:
                return b"".join(pieces), "rst"
            if not pieces[-1]:
                return b"".join(pieces), "fin"

    def stream(self) -> Tuple[bytes, str]:
        """Ask for a stream: what follows its head, and how it ends."""
        self.ask()
        self.read_to(b"\r\n\r\n")
        return self.read_all()


def streaming(*chunks: bytes, end: bool = True, **options: Any) -> Script:
    """A stream of these chunks, which then ends with its connection, or is held open until the proxy closes it."""

    def script(connection: Connection) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            connection.read_request()
            connection.start_stream(**options)
            for chunk in chunks:
                connection.chunk(chunk)
            if end:
                connection.end()
            else:
                connection.peer_closed()

    return script


def each_byte(data: bytes) -> List[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def content(chunked: bytes) -> bytes:
    """What the chunks carry, also of one that is incomplete."""
    pieces = b""
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        pieces, chunked = pieces + chunked[: int(size, 16)], chunked[int(size, 16) + 2 :]
    return pieces


@contextlib.contextmanager
def between(*scripts: Script) -> Iterator[Tuple[RawServer, FaultProxy]]:
    with RawServer(*scripts) as server, FaultProxy(server.url) as proxy:
        yield server, proxy


def outcome(script: Script, fault: Fault) -> Tuple[bytes, str]:
    """What a client gets of a stream that suffers this fault."""
    with between(script) as (_, proxy), Client(proxy) as client:
        proxy.script(fault)
        return client.stream()


# -- what passes


def test_a_stream_without_a_fault_passes_byte_for_byte() -> None:
    with between(streaming(ONE, BEAT, TWO)) as (_, proxy), Client(proxy) as client:
        client.ask()
        assert client.read_to(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
        chunks = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (ONE, BEAT, TWO)]
        assert client.read_to(b"\r\n0\r\n\r\n") == b"".join(chunks) + b"0\r\n\r\n"


def test_a_stream_that_ends_with_its_connection_passes_whole() -> None:
    assert outcome(streaming(ONE, BEAT, TWO, framing="close"), Pass()) == (ONE + BEAT + TWO, "fin")


def test_a_request_reaches_the_server_once_and_as_it_was_sent() -> None:
    with between(answer(200, b"{}")) as (server, proxy), Client(proxy) as client:
        client.ask("POST", "/threads?a=%20", "X-Key: Käse\r\n", b"x" * 100_000)
        client.read_to(b"{}")
        (request,) = server.requests
        assert (request.method, request.target, request.body) == ("POST", "/threads?a=%20", b"x" * 100_000)
        assert request.headers["x-key"] == "Käse".encode().decode("latin-1")
        assert proxy.requests == [("POST", "/threads?a=%20")]


def test_pipelined_requests_are_answered_in_order_over_one_connection() -> None:
    def script(connection: Connection) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                request = connection.read_request()
                connection.respond(200, request.target.encode() + request.body)

    with between(script) as (server, proxy), Client(proxy) as client:
        proxy.script(Delay(0.05), match="/one")
        for target in ("/one", "/two", "/three"):
            client.ask("POST", target, "", b"!")
        assert [client.read_to(b"!")[-9:].partition(b"/")[2] for _ in range(3)] == [b"one!", b"two!", b"three!"]
        assert [request.target for request in proxy.requests] == ["/one", "/two", "/three"]
        assert (proxy.connections, len(server.connections)) == (1, 1)


def test_a_chunked_request_body_is_no_request_of_its_own() -> None:
    body = b"5;x=y\r\nGET /\r\n0\r\nTrailer: x\r\n\r\n"

    def script(connection: Connection) -> None:
        head = b""
        while not head.endswith(body + b"GET /next HTTP/1.1\r\n\r\n"):
            head += connection.sock.recv(65536)
            if head.endswith(body):
                connection.respond(200, b"first")
        connection.respond(200, b"second")
        connection.peer_closed()

    with between(script) as (_, proxy), Client(proxy) as client:
        client.sock.sendall(b"POST /first HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        client.read_to(b"first")
        client.sock.sendall(b"GET /next HTTP/1.1\r\n\r\n")
        client.read_to(b"second")
        assert proxy.requests == [("POST", "/first"), ("GET", "/next")]


def test_an_interim_response_is_not_taken_for_the_response() -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.start_stream()
        connection.chunk(ONE + TWO)
        assert connection.peer_closed()

    with between(script) as (_, proxy), Client(proxy) as client:
        proxy.script(Cut(after_events=1))
        client.ask()
        client.read_to(b"100 Continue\r\n\r\n")
        client.read_to(b"\r\n\r\n")
        assert content(client.read_all()[0]) == ONE


def test_big_bodies_pass_both_ways_whole_and_soon() -> None:
    upload, download = b"u" * 10_000_000, b"d" * 10_000_000

    def script(connection: Connection) -> None:
        # Read in pieces: the server's own helper would copy all that it has for each.
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.sock.recv(65536)
        left = len(upload) - len(head.partition(b"\r\n\r\n")[2])
        while left:
            left -= len(connection.sock.recv(65536))
        connection.start_stream()
        for at in range(0, len(download), 1000):
            connection.chunk(download[at : at + 1000])
        connection.end()
        connection.peer_closed()

    with between(script) as (_, proxy), Client(proxy) as client:
        began = time.monotonic()
        client.ask(body=upload)
        client.read_to(b"\r\n\r\n")
        got, seen = 0, b""
        while not seen.endswith(b"0\r\n\r\n"):
            data = client.received or client.sock.recv(262_144)
            client.received = b""
            got, seen = got + data.count(b"d"), seen[-10:] + data
        assert got == len(download)
        assert time.monotonic() - began < PATIENCE


def test_a_head_that_comes_byte_by_byte_passes_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"

    def script(connection: Connection) -> None:
        connection.read_request()
        for byte in each_byte(head + b"{}"):
            connection.send(byte)

    with between(script) as (_, proxy), Client(proxy) as client:
        client.ask()
        assert client.read_all() == (head + b"{}", "fin")


def test_a_head_that_breaks_off_is_passed_on_as_far_as_it_came() -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-")

    with between(script) as (_, proxy), Client(proxy) as client:
        client.ask()
        assert client.read_all() == (b"HTTP/1.1 200 OK\r\nContent-", "fin")


def test_a_server_may_be_named_by_its_host() -> None:
    with RawServer(streaming(ONE, framing="close")) as server:
        with FaultProxy(f"http://localhost:{server.port}") as proxy, Client(proxy) as client:
            assert client.stream() == (ONE, "fin")


def test_a_server_that_is_not_there_resets_the_client() -> None:
    with FaultProxy(f"http://127.0.0.1:{refused_port()}") as proxy, Client(proxy) as client:
        client.ask()
        assert client.read_all() == (b"", "rst")


def test_a_reset_by_the_server_reaches_the_client_as_a_reset() -> None:
    received = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        connection.chunk(ONE)
        assert received.wait(PATIENCE)
        connection.reset()

    with between(script) as (_, proxy), Client(proxy) as client:
        client.ask()
        client.read_to(ONE + b"\r\n")
        received.set()
        assert client.read_all() == (b"", "rst")


def test_a_client_that_leaves_is_gone_for_the_server_too() -> None:
    gone = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        connection.chunk(ONE)
        assert connection.peer_closed()
        gone.set()

    with between(script) as (_, proxy):
        with Client(proxy) as client:
            client.ask()
            client.read_to(ONE)
        assert gone.wait(PATIENCE)
        proxy.wait_until(lambda: proxy.open_connections == 0)


@pytest.mark.parametrize(
    "garbage", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
def test_what_cannot_be_understood_is_passed_on_as_it_is(garbage: bytes) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(garbage)

    with between(script) as (_, proxy), Client(proxy) as client:
        client.ask()
        assert client.read_all() == (garbage, "fin")


# -- cuts


@pytest.mark.parametrize(("how", "ends"), [("fin", "fin"), ("eof", "fin"), ("rst", "rst")])
@pytest.mark.parametrize(
    "chunks", [[ONE, BEAT, TWO, THREE], [ONE + BEAT + TWO + THREE], each_byte(ONE + BEAT + TWO + THREE)]
)
def test_a_cut_after_events_gives_exactly_those(how: str, ends: str, chunks: List[bytes]) -> None:
    got, ended = outcome(streaming(*chunks, end=False), Cut(after_events=2, how=how))

    assert content(got) == ONE + BEAT + TWO
    assert got.endswith(b"\r\n0\r\n\r\n") == (how == "eof")
    assert ended == ends


def test_only_blocks_with_data_are_events() -> None:
    blocks = [b"id: 1\n\n", b":\n\n", b"\n\n", b"event: x\n\n", b"database: 1\n\n", b"data\n\n", b"data:x\ndata:y\n\n"]

    got, _ = outcome(streaming(b"".join(blocks), end=False), Cut(after_events=1))
    assert content(got) == b"".join(blocks[:6])
    got, _ = outcome(streaming(b"".join(blocks), THREE, end=False), Cut(after_events=2))
    assert content(got) == b"".join(blocks)


def test_events_of_a_body_that_ends_with_the_connection_are_counted_too() -> None:
    assert outcome(streaming(ONE, TWO, end=False, framing="close"), Cut(after_events=1)) == (ONE, "fin")


@pytest.mark.parametrize("count", [0, 1, len(ONE) - 1, len(ONE), len(ONE) + 5])
def test_a_cut_after_bytes_counts_those_of_the_body(count: int) -> None:
    got, ended = outcome(streaming(ONE, TWO, end=False), Cut(after_bytes=count))

    assert content(got) == (ONE + TWO)[:count]
    assert ended == "fin"


def test_a_clean_end_inside_a_chunk_is_clean_all_the_same() -> None:
    got, _ = outcome(streaming(ONE, end=False), Cut(after_bytes=5, how="eof"))

    assert got == b"5\r\nevent\r\n0\r\n\r\n"


def test_a_cut_after_text_may_divide_a_character() -> None:
    text = 'data: {"text": "Grüße"}\n\n'.encode()

    for chunks in ([text], each_byte(text)):
        got, _ = outcome(streaming(*chunks, end=False), Cut(after_text=b'"Gr', offset=1))
        assert content(got) == b'data: {"text": "Gr\xc3'


def test_a_cut_without_a_place_comes_before_the_head() -> None:
    with between(streaming(ONE)) as (server, proxy), Client(proxy) as client:
        proxy.script(Cut())
        client.ask()
        assert client.read_all() == (b"", "fin")
        assert len(server.requests) == 1


def test_a_cut_closes_the_servers_side_as_well() -> None:
    gone = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        connection.chunk(ONE)
        assert connection.peer_closed()
        gone.set()

    with between(script) as (_, proxy), Client(proxy) as client:
        proxy.script(Cut(after_events=1))
        client.stream()
        assert gone.wait(PATIENCE)


def test_a_place_that_is_never_reached_changes_nothing_and_is_told() -> None:
    with between(streaming(ONE)) as (_, proxy), Client(proxy) as client:
        proxy.script(Cut(after_events=2))
        client.ask()
        assert client.read_to(b"0\r\n\r\n").endswith(b"\r\n%s\r\n0\r\n\r\n" % ONE)
        assert proxy.happened == []


def test_nothing_compressed_is_asked_for_where_events_are_counted() -> None:
    with between(streaming(ONE)) as (server, proxy):
        proxy.script(Cut(after_events=1), Pass())
        for _ in range(2):
            with Client(proxy) as client:
                client.ask(headers="Accept-Encoding: gzip\r\n")
                client.read_to(ONE)
        assert ["accept-encoding" in request.headers for request in server.requests] == [False, True]


@pytest.mark.parametrize(("how", "ends"), [("fin", "fin"), ("eof", "fin"), ("rst", "rst")])
def test_all_connections_can_be_cut_at_once(how: str, ends: str) -> None:
    with between(streaming(ONE, end=False)) as (_, proxy), Client(proxy) as first, Client(proxy) as second:
        for client in (first, second):
            client.ask()
            client.read_to(ONE + b"\r\n")
        assert proxy.cut_all(how=how) == 2
        assert [client.read_all() for client in (first, second)] == [(b"0\r\n\r\n" if how == "eof" else b"", ends)] * 2
        assert proxy.cut_all() == 0


# -- what takes its time


@pytest.mark.parametrize("fault", [Stall(after_events=1), HalfOpen(after_events=1)])
def test_a_stall_withholds_all_that_follows(fault: Fault) -> None:
    sent = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        connection.chunk(ONE + BEAT)
        connection.chunk(TWO)
        sent.set()
        connection.peer_closed()

    with between(script) as (_, proxy), Client(proxy) as client:
        proxy.script(fault)
        client.ask()
        client.read_to(b"\r\n\r\n")
        proxy.wait_until(lambda: proxy.happened == [fault])
        assert sent.wait(PATIENCE)
        assert proxy.cut_all() == 1
        assert content(client.read_all()[0]) == ONE


@pytest.mark.parametrize("fault", [Stall(0.1, after_bytes=3), HalfOpen(0.1, after_bytes=3), Stall(0.1), Delay(0.1)])
def test_what_was_withheld_for_a_time_follows_then(fault: Fault) -> None:
    with between(streaming(ONE, TWO)) as (_, proxy), Client(proxy) as client:
        proxy.script(fault)
        began = time.monotonic()
        client.ask()
        client.read_to(b"\r\n\r\n")
        assert content(client.read_to(b"0\r\n\r\n")) == ONE + TWO
        assert 0.1 <= time.monotonic() - began < PATIENCE


def test_a_stall_without_a_place_withholds_the_head() -> None:
    with between(streaming(ONE)) as (_, proxy), Client(proxy) as client:
        proxy.script(Stall())
        client.ask()
        proxy.wait_until(lambda: proxy.happened == [Stall()])
        proxy.cut_all()
        assert client.read_all() == (b"", "fin")


@pytest.mark.parametrize(("fault", "noticed"), [(Stall(after_events=1), True), (HalfOpen(after_events=1), False)])
def test_only_a_half_open_connection_does_not_notice_that_its_client_leaves(fault: Fault, noticed: bool) -> None:
    with between(streaming(ONE, end=False)) as (_, proxy):
        proxy.script(fault)
        with Client(proxy) as client:
            client.ask()
            client.read_to(ONE)
        # By the time another request has made its way, the proxy has turned to all that there is.
        with Client(proxy) as other:
            other.ask("GET", "/info")
            other.read_to(ONE)
        if noticed:
            proxy.wait_until(lambda: proxy.open_connections == 0)
        else:
            proxy.wait_until(lambda: proxy.open_connections == 1)


def test_a_throttled_response_takes_its_time_and_is_whole() -> None:
    with between(streaming(ONE, TWO)) as (_, proxy), Client(proxy) as client:
        proxy.script(Throttle(bytes_per_second=500))
        began = time.monotonic()
        client.ask()
        client.read_to(b"\r\n\r\n")
        assert content(client.read_to(b"\r\n0\r\n\r\n")) == ONE + TWO
        assert time.monotonic() - began >= len(ONE + TWO) / 500 * 0.9


# -- other answers


def test_a_status_replaces_the_response_and_the_server_is_not_asked() -> None:
    with between(streaming(ONE)) as (server, proxy), Client(proxy) as client:
        proxy.script(Status(503, {"Retry-After": "1"}, "later"))
        client.ask(body=b"x" * 1000)
        assert client.read_to(b"\r\n\r\n").split(b"\r\n")[0] == b"HTTP/1.1 503 Service Unavailable"
        assert client.read_all() == (b"later", "fin")
        assert (server.requests, proxy.streams) == ([], [("POST", STREAM)])


def test_a_status_is_a_page_of_html_unless_told_otherwise() -> None:
    assert b"Content-Type: text/html\r\n" in Status(200).response()
    assert Status(200).response().endswith(b"</html>")
    json = Status(422, {"content-type": "application/json", "Retry-After": "5"}, b"{}").response()
    assert b"Retry-After: 5\r\n" in json
    assert b"text/html" not in json


def test_one_byte_is_corrupted_and_nothing_else() -> None:
    for chunks in ([ONE + TWO], each_byte(ONE + TWO)):
        got, _ = outcome(streaming(*chunks, framing="close"), Corrupt(after_text=b"data: ", xor=0x40))
        assert got == ONE.replace(b"data: 1", b"data: q") + TWO


def test_refused_connections_are_accepted_again_in_time() -> None:
    with between(streaming(ONE, TWO, end=False)) as (_, proxy), Client(proxy) as live:
        live.ask("GET", "/info")
        live.read_to(TWO)
        proxy.script(Refuse(0.5, after_events=1))
        with Client(proxy) as client:
            got, ended = client.stream()
        assert (content(got), ended) == (ONE, "rst")
        with pytest.raises(ConnectionRefusedError):
            Client(proxy)
        until(lambda: accepts(proxy))
        assert proxy.open_connections >= 1


def accepts(proxy: FaultProxy) -> bool:
    try:
        with Client(proxy):
            return True
    except ConnectionRefusedError:
        return False


def test_refuse_without_a_place_keeps_the_request_from_the_server() -> None:
    with between(streaming(ONE)) as (server, proxy), Client(proxy) as client:
        proxy.script(Refuse())
        client.ask()
        assert client.read_all() == (b"", "rst")
        assert not accepts(proxy)
        proxy.accept_again()
        assert accepts(proxy)
        assert server.requests == []


def test_refusal_by_hand_ends_by_hand_and_keeps_the_url() -> None:
    with between(streaming(ONE)) as (_, proxy):
        url = proxy.url
        for _ in range(3):
            proxy.refuse()
            assert not accepts(proxy)
            proxy.accept_again()
            assert accepts(proxy)
        assert proxy.url == url


# -- scripts


@pytest.mark.parametrize(
    ("method", "path", "streams"),
    [
        ("POST", "/runs/stream", True),
        ("POST", "/api/threads/t/runs/stream?x=1", True),
        ("GET", "/threads/t/runs/r/stream?cancel_on_disconnect=0", True),
        ("GET", "/threads/t/stream", True),
        ("GET", "/threads/t/stream/events", True),
        ("OPTIONS", "/runs/stream", False),
        ("GET", "/threads/t/runs/r", False),
        ("GET", "/threads/stream/state", False),
        ("POST", "/threads/t/commands?next=/runs/stream", False),
    ],
)
def test_streams_are_told_from_other_requests(method: str, path: str, streams: bool) -> None:
    assert is_stream(Request(method, path)) == streams


def test_faults_go_to_the_streams_in_order_and_then_no_more() -> None:
    seen = []
    with between(answer(200, b"{}")) as (_, proxy):
        proxy.script(Status(500), Pass(), Status(502))
        for target in ("/threads", "/runs/stream", "/runs/stream", "/threads/t/runs", "/runs/stream", "/runs/stream"):
            with Client(proxy) as client:
                client.ask("POST", target)
                seen.append(int(client.read_to(b"\r\n\r\n").split()[1]))
        assert seen == [200, 500, 200, 200, 502, 200]
        assert proxy.happened == [Status(500), Status(502)]
        assert (len(proxy.requests), len(proxy.streams), proxy.connections) == (6, 4, 6)


@pytest.mark.parametrize(
    "match",
    ["GET /threads/t", re.compile(r"^GET .*/t$"), lambda request: request.method == "GET" and "t" in request.target],
)
def test_other_requests_are_chosen_by_text_pattern_or_function(match: Any) -> None:
    seen = []
    with between(answer(200, b"{}")) as (_, proxy):
        proxy.script(Status(500), match=match)
        for method in ("POST", "GET", "GET"):
            with Client(proxy) as client:
                client.ask(method, "/threads/t")
                seen.append(int(client.read_to(b"\r\n\r\n").split()[1]))
    assert seen == [200, 500, 200]


def test_a_script_may_repeat_until_it_is_cleared() -> None:
    seen = []
    with between(answer(200, b"{}")) as (_, proxy):
        proxy.script(Status(500), Status(502), repeat=True)
        for turn in range(4):
            if turn == 3:
                proxy.clear()
            with Client(proxy) as client:
                client.ask()
                seen.append(int(client.read_to(b"\r\n\r\n").split()[1]))
    assert seen == [500, 502, 500, 200]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Cut(after_events=1, after_bytes=1),
        lambda: Cut(after_events=-1),
        lambda: Cut(offset=3),
        lambda: Cut(after_text=b""),
        lambda: Cut(how="gently"),
        lambda: Throttle(0),
        lambda: Corrupt(),
        lambda: Corrupt(after_bytes=0, xor=0),
        lambda: FaultProxy("https://127.0.0.1:1"),
        lambda: FaultProxy("localhost:2024"),
        lambda: FaultProxy("http://127.0.0.1:1").url,
        lambda: FaultProxy("http://127.0.0.1:1").cut_all(),
        lambda: FaultProxy("http://127.0.0.1:1").script(Cut),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused_at_once(wrong: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        wrong()


def test_a_fault_shows_only_what_was_said() -> None:
    assert repr([Cut(after_events=3), Stall(2.0), Pass()]) == "[Cut(after_events=3), Stall(seconds=2.0), Pass()]"


def test_the_path_of_the_servers_url_is_kept() -> None:
    with FaultProxy("http://localhost:2024/api/v1") as proxy:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api/v1", proxy.url)


def test_what_does_not_happen_in_time_raises_with_what_was_seen() -> None:
    with between(answer(200, b"{}")) as (_, proxy), Client(proxy) as client:
        client.ask("GET", "/info")
        client.read_to(b"{}")
        with pytest.raises(TimeoutError, match="1 connections .*GET /info"):
            proxy.wait_until(lambda: len(proxy.streams) == 1, timeout=0.01)


# -- closing


@pytest.mark.parametrize("fault", [Pass(), Stall(after_events=1), HalfOpen(after_events=1), Throttle(1), Stall()])
def test_closing_frees_all_whatever_is_going_on(fault: Fault) -> None:
    with RawServer(streaming(ONE, TWO, end=False)) as server:
        with FaultProxy(server.url) as proxy:
            proxy.script(fault)
            client = Client(proxy)
            client.ask()
            server.wait_for_requests(1)
        proxy.close()
        client.read_all()
        client.sock.close()


def test_a_closed_proxy_says_so() -> None:
    proxy = FaultProxy("http://127.0.0.1:1").start()
    proxy.close()
    with pytest.raises(ConfigurationError, match="not running"):
        proxy.cut_all()
    with pytest.raises(ConfigurationError, match="make another"):
        proxy.start()


def test_the_fixture_gives_a_started_proxy(fault_proxy: Proxied) -> None:
    # That it is closed afterwards, the watch over all tests of this module tells.
    with RawServer(streaming(ONE, TWO, end=False)) as server:
        proxy = fault_proxy(server.url)
        proxy.script(Cut(after_events=1))
        with Client(proxy) as client:
            assert content(client.stream()[0]) == ONE


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("lgsync", ["lgsync.testing"]),
        ("lgsync.testing", ["pytest", "requests", "websockets", "urllib3", "ssl"]),
        ("lgsync.testing.pytest_plugin", ["requests", "websockets", "urllib3"]),
    ],
)
def test_helpers_for_tests_cost_nothing_where_they_are_not_used(
    imported: str, absent: List[str], tmp_path: Path
) -> None:
    show = f"import sys, {imported}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", show], stdout=subprocess.PIPE, cwd=tmp_path, check=True)

    assert done.stdout.strip() == b"[]"


# -- WebSockets


@contextlib.contextmanager
def socket_between(*messages: Union[str, List[str]]) -> Iterator[FaultProxy]:
    """A proxy to a WebSocket server that sends these messages (a list: in fragments), each with a ping, and echoes."""

    def handler(connection: websockets.sync.server.ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosedError, ConnectionClosedOK):
            for message in messages:
                connection.send(message)
                connection.ping()
            for message in connection:
                connection.send(message)

    options: Any = {"max_size": None, "ping_interval": None, "compression": None}
    with websockets.sync.server.serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with FaultProxy(f"http://127.0.0.1:{server.socket.getsockname()[1]}") as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def over_socket(proxy: FaultProxy) -> websockets.sync.client.ClientConnection:
    url = proxy.url.replace("http", "ws") + "/threads/t/stream/events"
    options: Any = {"max_size": None, "proxy": None, "ping_interval": None}
    return websockets.sync.client.connect(url, **options)


MESSAGES = ["one", ["frag", "men", "ted"], "x" * 300, "y" * 70_000, "last"]
WHOLE = ["one", "fragmented", "x" * 300, "y" * 70_000, "last"]


@pytest.mark.parametrize("count", range(6))
def test_the_events_of_a_websocket_are_its_messages(count: int) -> None:
    got: List[Any] = []
    with socket_between(*MESSAGES) as proxy:
        proxy.script(Cut(after_events=count))
        with over_socket(proxy) as connection, pytest.raises(ConnectionClosedError) as caught:
            while True:
                got.append(connection.recv(PATIENCE))
        assert got == WHOLE[:count]
        assert caught.value.rcvd is None
        assert proxy.streams == [("GET", "/threads/t/stream/events")]


@pytest.mark.parametrize("place", [{"after_events": 1}, {"after_text": b"o"}, {"after_bytes": 1}, {"after_bytes": 0}])
def test_a_clean_end_of_a_websocket_is_a_close_frame_between_frames(place: Any) -> None:
    got: List[Any] = []
    with socket_between("one", "two") as proxy:
        proxy.script(Cut(how="eof", code=1012, **place))
        with over_socket(proxy) as connection:
            with pytest.raises((ConnectionClosedError, ConnectionClosedOK)) as caught:
                while True:
                    got.append(connection.recv(PATIENCE))
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        assert got == ([] if place == {"after_bytes": 0} else ["one"])


def test_a_websocket_can_be_reset() -> None:
    with socket_between("one", "two") as proxy:
        proxy.script(Cut(after_events=1, how="rst"))
        with over_socket(proxy) as connection:
            assert connection.recv(PATIENCE) == "one"
            with pytest.raises(ConnectionClosedError):
                connection.recv(PATIENCE)


@pytest.mark.parametrize("count", range(24))
def test_a_cut_may_fall_on_every_byte_of_a_websocket(count: int) -> None:
    stream = b"".join(bytes([0x81, len(text)]) + text.encode() for text in ("one", "zwei", "trois"))

    def script(connection: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            connection.read_request()
            connection.head(101, {"Upgrade": "websocket", "Connection": "Upgrade"})
            connection.send(stream)
            connection.peer_closed()

    with between(script) as (_, proxy), Client(proxy) as client:
        proxy.script(Cut(after_bytes=min(count, len(stream))))
        client.ask("GET", "/threads/t/stream/events")
        client.read_to(b"\r\n\r\n")
        assert client.read_all() == (stream[:count], "fin")


def test_big_messages_pass_both_ways_through_a_websocket() -> None:
    big = "b" * 10_000_000
    with socket_between(big) as proxy, over_socket(proxy) as connection:
        # One after the other: of two ends that send so much at once, neither reads.
        assert connection.recv(PATIENCE) == big
        connection.send(big[::-1])
        assert connection.recv(PATIENCE) == big


def test_a_stalled_websocket_still_carries_what_the_client_sends() -> None:
    with socket_between("one") as proxy:
        proxy.script(Stall(0.1, after_events=1))
        with over_socket(proxy) as connection:
            connection.send("echo")
            assert [connection.recv(PATIENCE) for _ in range(2)] == ["one", "echo"]


def test_an_upgrade_can_be_answered_by_a_status() -> None:
    with socket_between("one") as proxy:
        proxy.script(Status(429, {"Retry-After": "1"}))
        with pytest.raises(websockets.exceptions.InvalidStatus, match="429"), over_socket(proxy):
            pass


def test_text_is_found_in_a_websocket_that_would_have_been_compressed() -> None:
    with socket_between("needle in hay") as proxy:
        proxy.script(Corrupt(after_text=b"needle ", xor=1))
        with over_socket(proxy) as connection:
            assert connection.recv(PATIENCE) == "needle hn hay"
