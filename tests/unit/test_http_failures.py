"""Every way in which a call can fail on the wire becomes one clear error."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import sys
import threading
import time
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, Callable, ContextManager, Dict, List, Optional, Type

import pytest
import requests
import responses
from rawserver import PATIENCE, Connection, RawServer, answer, refused_port, tls_contexts

from lgsync import Client
from lgsync.errors import (
    APIStatusError,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    LgsyncError,
)
from lgsync.transport import Timeout, TransportConfig
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")


def transport_to(
    url: str, headers: Optional[Dict[str, str]] = None, read_timeout: float = PATIENCE
) -> ContextManager[SSETransport]:
    return contextlib.closing(SSETransport(TransportConfig(url, headers or {}, Timeout(5, read_timeout))))


def failure_of(url: str, kind: Type[LgsyncError], **options: Any) -> LgsyncError:
    """The error of a call to ``url``; it must be of exactly this kind and name the URL, but not the query."""
    with transport_to(url, **options) as transport, pytest.raises(LgsyncError) as caught:
        transport.request("POST", "/threads", params={"token": "in-the-query"}, json={})
    assert type(caught.value) is kind, caught.value
    assert url + "/threads" in str(caught.value)
    assert "in-the-query" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert_one_cause(caught.value)
    return caught.value


def assert_one_cause(error: BaseException) -> None:
    """The library's exception alone is shown as the cause, and before it what is being handled here, if anything is."""
    assert chain_of(error)[2:] == chain_of(sys.exc_info()[1])


def chain_of(error: Optional[BaseException]) -> List[BaseException]:
    """The errors whose tracebacks are printed, the last of them first."""
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return chain


# No connection


def test_a_refused_port_asks_whether_the_server_runs() -> None:
    error = failure_of(f"http://127.0.0.1:{refused_port()}", ConnectionFailed)
    assert "connection refused. Is the server running, and at this port? `langgraph dev` listens on 2024" in str(error)


def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "no host named 'nowhere.test' is known" in str(failure_of("http://nowhere.test", ConnectionFailed))


def test_a_host_that_does_not_answer_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*args: Any, **options: Any) -> Any:
        raise socket.timeout("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", silent)
    assert "no answer within 5 s" in str(failure_of("http://127.0.0.1:9", ConnectionFailed))


def test_a_network_that_is_not_there_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **options: Any) -> Any:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("urllib3.util.connection.create_connection", unreachable)
    assert "Network is unreachable. Check the URL's host and port" in str(
        failure_of("http://127.0.0.1:9", ConnectionFailed)
    )


def test_a_proxy_that_does_not_connect_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:secret@127.0.0.1:{refused_port()}")
    error = failure_of("http://langgraph.test", ConnectionFailed)
    assert "the proxy did not connect (Connection refused). Check HTTP_PROXY" in str(error)
    assert "secret" not in str(error)


def test_a_proxy_that_refuses_a_tunnel_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure_of("https://langgraph.test", ConnectionFailed)
    assert "the proxy did not connect (Tunnel connection failed: 407" in str(error)


# TLS


def test_https_to_a_plain_port_says_so() -> None:
    def plain(connection: Connection) -> None:
        connection.sock.recv(4096)
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with RawServer(plain) as server:
        error = failure_of(server.url.replace("http:", "https:"), ConnectionFailed)
    assert "the server does not speak TLS at this port. Use http://" in str(error)


def test_http_to_a_port_that_answers_with_a_tls_alert_says_so() -> None:
    def alert(connection: Connection) -> None:
        connection.sock.recv(4096)
        connection.send(b"\x15\x03\x01\x00\x02\x02\x0a")

    with RawServer(alert) as server:
        assert "speaks TLS at this port. Use https://" in str(failure_of(server.url, ConnectionFailed))


def test_http_to_a_tls_port_that_just_hangs_up_gives_the_hint(tmp_path: pathlib.Path) -> None:
    with RawServer(answer(), tls=tls_contexts(tmp_path).server) as server:
        error = failure_of(server.url.replace("https:", "http:"), ConnectionLost)
    assert "If this port speaks TLS, use https:// in the URL" in str(error)


def test_https_to_a_port_that_just_hangs_up_gives_the_hint() -> None:
    def hangs_up(connection: Connection) -> None:
        connection.sock.recv(4096)

    with RawServer(hangs_up) as server:
        error = failure_of(server.url.replace("http:", "https:"), ConnectionLost)
    assert "If this port does not speak TLS, use http:// in the URL" in str(error)


def test_a_certificate_that_is_not_trusted_says_how_to_trust_it(tmp_path: pathlib.Path) -> None:
    with RawServer(answer(), tls=tls_contexts(tmp_path).server) as server:
        error = failure_of(server.url, ConnectionFailed)
    assert "its certificate is not trusted" in str(error)
    assert "REQUESTS_CA_BUNDLE" in str(error)


def test_a_missing_certificate_file_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    assert "/nowhere/ca.pem" in str(failure_of("https://127.0.0.1:9", ConfigurationError))


# A connection that breaks


def hang_up(connection: Connection) -> None:
    connection.read_request()


def break_off(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def half_a_head(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    connection.reset()


def half_a_body(connection: Connection) -> None:
    connection.read_request()
    connection.head(200, {"Content-Length": "100"})
    connection.send(b"{")


def half_a_chunk(connection: Connection) -> None:
    connection.read_request()
    connection.start_stream()
    connection.send(b"ff\r\nabc")


def gibberish(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"SSH-2.0-OpenSSH_9\r\n\r\n")


def not_gzip(connection: Connection) -> None:
    connection.read_request()
    connection.respond(200, b"plain", {"Content-Encoding": "gzip"})


@pytest.mark.parametrize("script", [hang_up, break_off, half_a_head, half_a_body, half_a_chunk, gibberish, not_gzip])
def test_an_answer_that_does_not_come_whole_is_a_lost_connection(script: Any) -> None:
    with RawServer(script) as server:
        assert "broke the connection before its answer was whole" in str(failure_of(server.url, ConnectionLost))


def test_no_answer_in_time_is_a_timeout() -> None:
    def silent(connection: Connection) -> None:
        connection.read_request()
        connection.peer_closed()

    with RawServer(silent) as server:
        error = failure_of(server.url, ConnectionTimeout, read_timeout=0.1)
    assert "did not answer within 0.1 s; raise timeout" in str(error)
    assert isinstance(error, TimeoutError)


def test_a_body_that_stalls_is_a_timeout() -> None:
    def stalling(connection: Connection) -> None:
        connection.read_request()
        connection.head(200, {"Content-Length": "100"})
        connection.peer_closed()

    with RawServer(stalling) as server:
        failure_of(server.url, ConnectionTimeout, read_timeout=0.1)


def test_the_timeout_of_a_call_wins_over_that_of_the_client() -> None:
    def silent(connection: Connection) -> None:
        connection.read_request()
        connection.peer_closed()

    with RawServer(silent) as server, transport_to(server.url) as transport, pytest.raises(ConnectionTimeout):
        transport.request("GET", "/x", timeout=Timeout(5, 0.1))


# A server that answers a byte at a time


def drip(connection: Connection) -> None:
    """Send a byte every now and then, until the client closes."""
    connection.sock.settimeout(0.02)
    with contextlib.suppress(OSError):
        while not connection.peer_closed():
            connection.send(b"0")
    connection.sock.settimeout(PATIENCE)


def dripping(begun: bytes) -> Any:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(begun)
        drip(connection)

    return script


HEAD = b"HTTP/1.1 200 OK\r\nX: "
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
CHUNK_SIZE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UP_TO_THE_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("begun", [b"", HEAD, BODY, CHUNK_SIZE, UP_TO_THE_END])
def test_an_answer_that_drips_is_over_when_the_time_of_the_call_is(begun: bytes) -> None:
    with RawServer(dripping(begun)) as server, transport_to(server.url) as transport:
        began = time.monotonic()
        with pytest.raises(ConnectionTimeout, match=r"did not answer in full within 0\.3 s"):
            transport.request("GET", "/x", timeout=Timeout(5, 5, 0.3))
        assert time.monotonic() - began < 4
        server.wait_for_scripts()


def test_a_stream_whose_head_drips_is_over_when_the_time_of_the_call_is() -> None:
    with RawServer(dripping(HEAD)) as server, transport_to(server.url) as transport:
        with pytest.raises(ConnectionTimeout):
            transport.open_stream("GET", "/x", timeout=Timeout(5, 5, 0.3))  # type: ignore[attr-defined]
        server.wait_for_scripts()


def test_a_stream_that_has_begun_is_not_bounded_by_the_time_of_the_call() -> None:
    go_on = threading.Event()

    def body(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        assert go_on.wait(PATIENCE)

    with RawServer(body) as server, transport_to(server.url) as transport:
        end = time.monotonic() + 1
        stream = transport.open_stream("GET", "/x", timeout=Timeout(5, 5, 1))  # type: ignore[attr-defined]
        with pytest.raises(ConnectionTimeout):
            stream.read(end - time.monotonic() + 0.1)
        stream.close()
        go_on.set()


def test_each_redirect_gets_only_what_is_left_of_the_time() -> None:
    def slow(connection: Connection) -> None:
        request = connection.read_request()
        connection.sock.settimeout(0.2)
        if not connection.peer_closed():
            connection.respond(307, headers={"Location": request.target + "x"})

    with RawServer(slow) as server, transport_to(server.url) as transport:
        with pytest.raises(ConnectionTimeout):
            transport.request("POST", "/x", json={}, timeout=Timeout(5, 5, 0.5))
        assert len(server.requests) <= 3


def test_a_session_of_the_users_own_is_bounded_too() -> None:
    with RawServer(dripping(HEAD)) as server, requests.Session() as session:
        transport = SSETransport(TransportConfig(server.url, session=session))
        began = time.monotonic()
        with pytest.raises(ConnectionTimeout):
            transport.request("GET", "/x", timeout=Timeout(5, 5, 0.3))
        assert time.monotonic() - began < 4


def test_a_call_that_is_answered_in_time_leaves_its_connection_to_the_next() -> None:
    with RawServer(answer(200, {})) as server, transport_to(server.url) as transport:
        for _ in range(3):
            assert transport.request("GET", "/x", timeout=Timeout(5, 5, 5)).status == 200
        assert len(server.connections) == 1


def test_nothing_is_sent_twice() -> None:
    with RawServer(hang_up, answer()) as server:
        failure_of(server.url, ConnectionLost)
    assert len(server.requests) == 1


# What cannot be sent


@pytest.mark.parametrize("value", ["line\nbreak-secret", " leading-secret", "€-secret"])
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(value: str) -> None:
    transport = SSETransport(TransportConfig("http://127.0.0.1:9", {"x-api-key": value}))
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9/x: a header") as caught:
        transport.request("GET", "/x")
    assert "secret" not in "".join(traceback.format_exception(None, caught.value, None))


@pytest.mark.parametrize("url", ["http://[::1", "http://a..b", "http://127.0.0.1:99999"])
def test_a_url_that_is_none_is_a_wrong_setting(url: str) -> None:
    with transport_to(url) as transport, pytest.raises(ConfigurationError) as caught:
        transport.request("POST", "/threads", json={})
    assert f"{url}/threads: this URL, or that of a proxy" in str(caught.value)
    # What requests says of it might be of a proxy's, password and all.
    assert caught.value.__suppress_context__


# Foreign exceptions


def test_an_earlier_failure_that_is_being_handled_does_not_colour_the_next() -> None:
    with RawServer(hang_up) as server:
        try:
            raise requests.exceptions.ReadTimeout("an older one")
        except requests.exceptions.ReadTimeout:
            failure_of(server.url, ConnectionLost)


def test_a_failure_that_is_being_handled_is_shown_before_the_next() -> None:
    earlier = KeyError("the user's own")
    with transport_to(f"http://127.0.0.1:{refused_port()}") as transport, pytest.raises(ConnectionFailed) as caught:
        try:
            raise earlier
        except KeyError:
            transport.request("GET", "/threads")
    assert [type(one) for one in chain_of(caught.value)[:3]] == [
        ConnectionFailed,
        requests.exceptions.ConnectionError,
        KeyError,
    ]


@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.threads.create(),
        lambda client: client.runs.stream("t", "agent", input={}),
        lambda client: client.runs.wait("t", "agent", input={}),
        lambda client: client.runs.join_stream("t", "r"),
    ],
)
def test_a_server_that_is_not_there_is_told_with_one_cause_by_every_call(
    transport: str, call: Callable[[Client], Any]
) -> None:
    url = f"http://127.0.0.1:{refused_port()}"
    with Client(url, transport=transport) as client, pytest.raises(ConnectionFailed) as caught:
        call(client)
    assert_one_cause(caught.value)
    assert str(caught.value.__cause__) not in ("", str(caught.value))


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ConnectionResetError("reset"), ConnectionLost),
        (requests.exceptions.ConnectTimeout("slow"), ConnectionFailed),
        (requests.exceptions.ReadTimeout("slow"), ConnectionTimeout),
        (requests.exceptions.ChunkedEncodingError("cut"), ConnectionLost),
        (requests.exceptions.SSLError("odd"), ConnectionFailed),
    ],
)
def test_what_a_mocked_requests_raises_is_translated_too(raised: Exception, kind: Type[LgsyncError]) -> None:
    with responses.RequestsMock() as mock:
        mock.post("http://langgraph.test/threads", body=raised)
        failure_of("http://langgraph.test", kind)


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_a_date_to_try_again_at_counts_from_now_where_an_answer_tells_no_date(transport: str) -> None:
    asked = {"Retry-After": format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)}
    calls: List[Callable[[Client], Any]] = [
        lambda client: client.threads.get("t"),
        lambda client: client.runs.stream("t", "agent", input={}),
    ]
    for call in calls:
        with RawServer(answer(503, {}, asked)) as server, Client(server.url, transport=transport, retries=0) as client:
            with pytest.raises(APIStatusError) as caught:
                call(client)
            assert caught.value.retry_after == pytest.approx(3600, abs=60)
