"""The socket itself: its handshake, its frames, how it breaks, and how it is closed."""

from __future__ import annotations

import base64
import gc
import hashlib
import pickle
import socket
import threading
import time
from typing import Any, Callable, Type

import pytest
import requests
from event_tape import Tape
from rawserver import PATIENCE, Connection, RawServer, answer, refused_port, tls_contexts
from thread_server import RUN, THREAD, ThreadServer
from websockets.sync.client import ClientConnection

from lgsync import Client
from lgsync.errors import (
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    EventTooLarge,
    InternalServerError,
    LgsyncError,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
    UnsupportedByTransport,
)
from lgsync.transport import RunJoin, Timeout, TransportConfig, resolve
from lgsync.transports import websocket
from lgsync.transports.connection import Target, open_connection
from lgsync.transports.websocket import WebSocketTransport

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_the_handshake_carries_all_that_a_request_does() -> None:
    session = requests.Session()
    session.headers["X-Of-The-Session"] = "s"
    session.cookies.set("login", "cookie")
    with ThreadServer(prefix="/api/v1") as server:
        headers = {"x-api-key": "secret", "User-Agent": "lgsync-test"}
        source = server.transport(headers=headers, session=session).open_run(server.start())
        asked = server.peer().asked
        assert asked.target == f"{server.base}/stream/events"
        assert asked.target.startswith("/api/v1/threads/")
        said = {name: asked.headers.get(name) for name in ("x-api-key", "user-agent", "x-of-the-session", "cookie")}
        assert said == {
            "x-api-key": "secret",
            "user-agent": "lgsync-test",
            "x-of-the-session": "s",
            "cookie": "login=cookie",
        }
        source.close()
    session.close()


@pytest.mark.parametrize(
    ("host", "option", "offered"),
    [
        ("127.0.0.1", {}, False),
        ("localhost", {}, False),
        ("dev.localhost", {}, False),
        ("langgraph.test", {}, True),
        ("127.0.0.1", {"compression": "deflate"}, True),
        ("langgraph.test", {"compression": None}, False),
    ],
)
def test_frames_are_compressed_unless_the_server_is_near_or_the_caller_decides(
    host: str, option: Any, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *args, **kw: found("127.0.0.1", *args, **kw))
    with ThreadServer() as server:
        config = TransportConfig(server.url.replace("127.0.0.1", host))
        transport = WebSocketTransport(config, **option)
        transport.open_run(server.start()).close()
        transport.close()
        extensions = server.peer().asked.headers.get("sec-websocket-extensions", "")
        assert ("permessage-deflate" in extensions) == offered


def test_a_compression_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gzip"):
        WebSocketTransport(TransportConfig("http://x"), compression="gzip")


def test_headers_and_params_of_the_call_go_with_every_request_of_it() -> None:
    with ThreadServer() as server:
        start = server.start()
        call = type(start)(start.thread_id, start.payload, headers={"X-Call": "c"}, params={"token": "t"})
        server.transport(headers={"X-Call": "default"}).open_run(call).close()
        assert {asked.headers.get("x-call") for asked in server.asked} == {"c"}
        assert {asked.target.partition("?")[2] for asked in server.asked} == {"token=t"}


def test_a_proxy_of_the_environment_is_used_unless_it_exempts_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{refused_port()}"
    with ThreadServer() as server:
        transport = server.transport()
        monkeypatch.setenv("HTTP_PROXY", nowhere)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        transport.open_run(server.start()).close()
        monkeypatch.setenv("NO_PROXY", "")
        with pytest.raises(ConnectionFailed, match="proxy"):
            transport.open_run(server.start())
        transport.close()


def test_a_socket_may_be_encrypted_and_trusts_what_requests_trusts(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tls_contexts(tmp_path)
    tape = Tape()
    with ThreadServer(tls=files.server) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.ca_file))
        transport = server.transport()
        source = transport.open_run(server.start())
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running(), tape.completed())
        assert [part.event for part in source] == ["metadata"]
        transport.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, PermissionDeniedError), (401, AuthenticationError), (404, NotFoundError), (500, InternalServerError)],
)
def test_a_refused_handshake_is_the_error_of_its_status(status: int, error: Type[LgsyncError]) -> None:
    with ThreadServer() as server:
        server.handshake = (status, {}, b"")
        with pytest.raises(error):
            server.transport().open_run(server.start())
        assert not server.requests_to("POST", "/commands")


def test_a_server_without_event_streaming_is_named_as_such() -> None:
    with ThreadServer() as server:
        server.handshake = (404, {}, b'{"detail":"Not Found"}')
        with pytest.raises(NotFoundError, match='transport="sse"'):
            server.transport().open_run(server.start())


def test_the_key_follows_no_redirect_to_another_origin() -> None:
    with ThreadServer() as elsewhere, ThreadServer() as server:
        server.handshake = (307, {"Location": f"{elsewhere.url}/threads"}, b"")
        with pytest.raises(ResponseError, match="redirects to"):
            server.transport(headers={"x-api-key": "secret"}).open_run(server.start())
        assert elsewhere.asked == []


@pytest.mark.parametrize("scheme", ["", "http", "ws"])
def test_a_redirect_within_the_server_is_followed(scheme: str) -> None:
    with RawServer(_redirecting(scheme), _accepting) as server:
        target = Target(f"{server.url}/old", {"x-api-key": "k"}, None, None)
        connection = open_connection(target, timeout=Timeout(5, 5), max_event_bytes=1000)
        assert connection.receive(5) == {"hello": "there"}
        connection.close()


def _redirecting(scheme: str) -> Callable[[Connection], None]:
    def script(connection: Connection) -> None:
        request = connection.read_request()
        place = f"{scheme}://{request.headers['host']}/new" if scheme else "/new"
        connection.send(f"HTTP/1.1 307 There\r\nLocation: {place}\r\nConnection: close\r\n\r\n".encode())

    return script


def _accepting(connection: Connection) -> None:
    request = connection.read_request()
    assert (request.path, request.headers["x-api-key"]) == ("/new", "k")
    key = request.headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key).digest())
    head = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept
    data = b'{"hello": "there"}'
    connection.send(head + b"\r\n\r\n\x81" + bytes([len(data)]) + data)
    connection.peer_closed()


def test_redirects_in_a_circle_are_not_followed_for_ever() -> None:
    with ThreadServer() as server:
        server.handshake = (307, {"Location": "/again"}, b"")
        with pytest.raises(ResponseError, match="circle"):
            server.transport().open_run(server.start())


def test_a_server_that_is_not_there_is_said_so_with_advice() -> None:
    transport = WebSocketTransport(TransportConfig(f"http://127.0.0.1:{refused_port()}"))
    with pytest.raises(ConnectionFailed, match="langgraph dev"):
        transport.open_run(ThreadServer.start())


def test_a_handshake_that_is_never_answered_ends_with_the_connect_timeout() -> None:
    def never(connection: Connection) -> None:
        connection.read_request()
        assert connection.peer_closed()

    with RawServer(answer(200, {"interrupts": {}}, {"Connection": "close"}), never) as server:
        transport = WebSocketTransport(TransportConfig(server.url, timeout=Timeout(0.05, 5)))
        with pytest.raises(ConnectionFailed, match="no answer within 0.05 s"):
            transport.open_run(ThreadServer.start())
        transport.close()


def test_a_server_that_knows_no_websocket_is_said_to() -> None:
    def other(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"SSH-2.0-x\r\n\r\n")
        connection.close()

    with RawServer(answer(200, {"interrupts": {}}, {"Connection": "close"}), other) as server:
        transport = WebSocketTransport(TransportConfig(server.url))
        with pytest.raises(ConnectionFailed, match="does not speak WebSocket"):
            transport.open_run(ThreadServer.start())
        transport.close()


def test_a_large_frame_is_no_problem_and_a_larger_one_says_what_to_raise() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running(), tape.values(text="x" * 3_000_000), tape.completed())
        assert [len(str(part.data)) > 3_000_000 for part in source] == [False, True]

        source = server.transport(max_event_bytes=1000).open_run(server.start())
        peer = server.peer()
        peer.send(tape.values(text="x" * 2000))
        with pytest.raises(EventTooLarge, match="1000 bytes.*max_event_bytes"):
            next(source)


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (1011, "thread stream ended", ConnectionLost),
        (1012, "service restart", ConnectionLost),
        (1001, "going away", ConnectionLost),
        (4401, "no key", AuthenticationError),
        (4403, "not yours", PermissionDeniedError),
        (4404, "no thread", NotFoundError),
    ],
)
def test_a_closing_frame_is_named_by_code_and_reason(code: int, reason: str, error: Type[LgsyncError]) -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().close(code, reason)
        with pytest.raises(error) as caught:
            next(source)
        assert reason in str(caught.value)
        assert str(code) in str(caught.value) or code >= 4000


def test_a_connection_that_breaks_off_is_lost() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().abort()
        with pytest.raises(ConnectionLost, match="1006"):
            next(source)


def test_a_clean_close_ends_the_source_and_leaves_open_how_the_run_did() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().close(1000)
        assert list(source) == []
        assert source.outcome is None


@pytest.mark.parametrize("text", ["no JSON", "[1, 2]"])
def test_a_frame_of_another_kind_is_no_answer_of_this_api(text: str) -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().send_text(text)
        with pytest.raises(ResponseError, match="no JSON object"):
            next(source)


def test_closing_from_another_thread_frees_the_reader_at_once() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().confirm()
        reading, read = threading.Event(), []

        def reader() -> None:
            reading.set()
            read.extend(source)

        thread = threading.Thread(target=reader)
        thread.start()
        reading.wait(PATIENCE)
        began = time.monotonic()
        source.close()
        thread.join(PATIENCE)
        assert time.monotonic() - began < 2.5
        assert read == []


def test_closing_does_not_wait_for_a_server_that_hangs() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        peer = server.peer()
        # Its answer to the closing frame never leaves.
        peer._flush = lambda: None  # type: ignore[method-assign]
        began = time.monotonic()
        source.close()
        source.close()
        assert time.monotonic() - began < 2.5
        assert list(source) == []


def test_leaving_a_source_lying_around_frees_its_socket() -> None:
    with ThreadServer() as server:
        transport = server.transport()
        source = transport.open_run(server.start())
        peer = server.peer()
        del source
        gc.collect()
        assert peer.closed.wait(PATIENCE)
        transport.close()


def test_closing_the_transport_closes_its_sources() -> None:
    with ThreadServer() as server:
        transport = server.transport()
        source = transport.open_run(server.start())
        transport.close()
        assert list(source) == []
        with pytest.raises(ClientClosed):
            transport.open_run(server.start())


def test_a_start_that_fails_leaves_no_socket() -> None:
    with ThreadServer() as server:
        server.answers[f"POST {server.base}/commands"] = (500, {"detail": "down"})
        with pytest.raises(InternalServerError):
            server.transport().open_run(server.start())
        assert server.peer().closed.wait(PATIENCE)


def test_an_interrupt_while_the_source_is_made_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    with ThreadServer() as server:
        monkeypatch.setattr(websocket, "WebSocketSource", interrupted)
        for each in (server.start(), server.join()):
            with pytest.raises(KeyboardInterrupt) as caught:
                server.transport().open_run(each)
            # Its frames hold the connection, and garbage is not what is to close it.
            assert server.peer().closed.wait(PATIENCE), caught


def test_an_interrupt_during_the_handshake_leaves_no_socket_and_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    with ThreadServer() as server:
        monkeypatch.setattr(ClientConnection, "handshake", interrupted)
        with pytest.raises(KeyboardInterrupt):
            server.transport().open_run(server.start())


def test_a_transport_pickles_with_its_options() -> None:
    transport = WebSocketTransport(
        TransportConfig("http://x"), max_event_bytes=7, extra_modes=("custom",), probe_seconds=2.0, compression=None
    )
    copy = pickle.loads(pickle.dumps(transport))
    assert (copy.config, copy.max_event_bytes, copy.extra_modes, copy.probe_seconds, copy.compression) == (
        transport.config,
        7,
        ("custom",),
        2.0,
        None,
    )


def test_it_is_found_by_its_name_and_says_what_it_can_carry() -> None:
    transport = resolve("websocket", TransportConfig("http://x"))
    assert isinstance(transport, WebSocketTransport)
    carried = transport.capabilities
    assert carried.default_modes == ("messages-tuple", "updates")
    assert carried.stream_modes == {"values", "messages", "messages-tuple"}
    assert not carried.stateless_runs
    assert not carried.names_nodes
    assert carried.run_options is not None
    assert "context" not in carried.run_options
    assert "configurable" in carried.hints["context"]


def test_updates_are_refused_by_name_and_said_to_be_there_for_graphs_that_send_them() -> None:
    with ThreadServer() as server:
        with Client(server.url, transport="websocket") as client, pytest.raises(UnsupportedByTransport) as caught:
            client.runs.stream(THREAD, "agent", stream_mode="updates")
        assert "extra_modes" in str(caught.value)
        assert server.asked == []
    assert (
        "updates" in WebSocketTransport(TransportConfig("http://x"), extra_modes=("updates",)).capabilities.stream_modes
    )


def test_a_join_without_modes_asks_for_all_that_the_transport_was_built_for() -> None:
    with ThreadServer() as server:
        source = server.transport(extra_modes=("custom",)).open_run(RunJoin(THREAD, RUN))
        assert server.peer().confirm()[0]["channels"] == ["custom", "updates", "values"]
        source.close()


def test_modes_that_a_graph_is_compiled_for_can_be_added() -> None:
    tape = Tape()
    with ThreadServer() as server:
        transport = server.transport(extra_modes=("custom",))
        assert "custom" in transport.capabilities.stream_modes
        source = transport.open_run(server.start(stream_mode=["custom"]))
        peer = server.peer()
        assert peer.confirm()[0]["channels"] == ["custom", "values"]
        peer.send(tape.running(), tape.event("custom", {"step": 1}), tape.completed())
        assert [part.data for part in source if part.event == "custom"] == [{"step": 1}]
        assert source.run_id == RUN
