"""What a client is told once reaches every request: key, headers, proxies and prefix, over REST, SSE and WebSocket."""

from __future__ import annotations

import base64
import contextlib
import pathlib
import select
import socket
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping
from urllib.parse import urlsplit

import pytest
import requests
from event_tape import Tape
from rawserver import Connection, RawServer, Request, answer, refused_port, tls_contexts
from thread_server import RUN, THREAD, ThreadServer

from lgsync import Client
from lgsync.errors import ConfigurationError, ConnectionFailed, LgsyncError, NotFoundError

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.full]

KEY_VARIABLES = ["LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"]
INPUT: Any = {"messages": []}


def head_of_stream(connection: Connection) -> None:
    """A run's stream that ends at once, and answers to what is asked after it."""
    connection.read_request()
    connection.start_stream({"Content-Location": f"/threads/{THREAD}/runs/{RUN}"})
    connection.chunk(b'event: error\ndata: {"error": "E", "message": "m"}\n\n')
    connection.end()


def rest(client_of: Callable[[str], Client], prefix: str = "", **call: Any) -> List[Mapping[str, str]]:
    with RawServer(answer(200, {"thread_id": THREAD})) as server, client_of(server.url + prefix) as client:
        client.threads.get(THREAD, **call)
        assert [request.path for request in server.requests] == [f"{prefix.rstrip('/')}/threads/{THREAD}"]
        return [request.headers for request in server.requests]


def sse(client_of: Callable[[str], Client], prefix: str = "", **call: Any) -> List[Mapping[str, str]]:
    with RawServer(head_of_stream, answer(404)) as server, client_of(server.url + prefix) as client:
        client.runs.stream(THREAD, "agent", input=INPUT, raise_error=False, on_close="continue", **call).wait()
        base = f"{prefix.rstrip('/')}/threads/{THREAD}/"
        assert server.requests[0].path == f"{base}runs/stream"
        assert all(request.path.startswith(base) for request in server.requests)
        return [request.headers for request in server.requests]


def websocket(client_of: Callable[[str], Client], prefix: str = "", **call: Any) -> List[Mapping[str, str]]:
    tape = Tape()
    with ThreadServer(prefix=prefix.rstrip("/")) as server:
        with client_of(server.url + ("/" if prefix.endswith("/") else "")) as client:
            run = client.runs.stream(THREAD, "agent", input=INPUT, on_close="continue", **call)
            peer = server.peer()
            peer.confirm()
            peer.send(tape.running(), tape.completed())
            server.run_is("success")
            run.wait()
        assert peer.asked.path == f"{server.base}/stream/events"
        assert len(server.requests_to("POST", "/commands")) == 1
        assert all(asked.path.startswith(server.base) for asked in server.asked)
        return [asked.headers for asked in server.asked]


WAYS: Dict[str, Callable[..., List[Mapping[str, str]]]] = {"rest": rest, "sse": sse, "websocket": websocket}


def transport_of(way: str) -> str:
    return "websocket" if way == "websocket" else "sse"


every_way = pytest.mark.parametrize("way", WAYS)


def keys_over(way: str, **options: Any) -> List[Any]:
    """The key of every request that went that way."""
    sent = WAYS[way](lambda url: Client(url, transport=transport_of(way), **options))
    return sorted({headers.get("x-api-key", "") for headers in sent})


# The key


@every_way
def test_the_key_of_the_environment_goes_with_every_request(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_API_KEY", "k1")
    assert keys_over(way) == ["k1"]


@every_way
def test_with_none_no_request_has_a_key_whatever_the_environment_says(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEY_VARIABLES:
        monkeypatch.setenv(name, "k1")
    assert keys_over(way, api_key=None) == [""]


@every_way
def test_a_key_that_is_given_wins_over_the_environment(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_API_KEY", "k1")
    assert keys_over(way, api_key="k9") == ["k9"]


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("written", ["{}", ' "{}" ', "'{}'", "\t{}\n"])
def test_the_first_variable_that_is_set_names_the_key_without_blanks_and_quotes(
    first: int, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in list(enumerate(KEY_VARIABLES))[first:]:
        monkeypatch.setenv(name, written.format(f"k{number}"))
    assert keys_over("rest") == [f"k{first}"]


@pytest.mark.parametrize("nothing", ["", " ", '""', "' '"])
def test_a_variable_that_holds_nothing_is_passed_over(nothing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_API_KEY", nothing)
    assert keys_over("rest") == [""]
    monkeypatch.setenv("LANGSMITH_API_KEY", "k2")
    assert keys_over("rest") == ["k2"]


@pytest.mark.parametrize("name", ["x-api-key", "X-API-Key", "X-Api-KEY"])
@pytest.mark.parametrize("where", ["client", "with_options"])
def test_the_keys_header_is_reserved_however_it_is_spelled(name: str, where: str) -> None:
    with pytest.raises(ConfigurationError, match=f"The header '{name}' is reserved: pass api_key="):
        Client(headers={name: "k"}) if where == "client" else Client().with_options(headers={name: "k"})


# Headers and parameters of a call


@every_way
def test_a_calls_own_headers_win_whatever_their_case_and_go_with_all_its_requests(way: str) -> None:
    def client_of(url: str) -> Client:
        return Client(url, transport=transport_of(way), headers={"X-Tenant": "default", "X-Kept": "kept"})

    sent = WAYS[way](client_of, headers={"x-tenant": "own"})
    assert {headers["x-tenant"] for headers in sent} == {"own"}
    assert {headers["x-kept"] for headers in sent} == {"kept"}


def test_a_calls_own_parameters_win_over_the_methods() -> None:
    with RawServer(answer(200, [])) as server, Client(server.url) as client:
        client.runs.list(THREAD, limit=3, params={"limit": 5, "region": "eu"})
    assert server.requests[0].target.partition("?")[2] in ("limit=5&offset=0&region=eu", "limit=5&region=eu")


def test_parameters_of_a_call_go_with_the_request_of_a_stream() -> None:
    with RawServer(head_of_stream, answer(404)) as server, Client(server.url) as client:
        client.runs.stream(THREAD, "agent", raise_error=False, params={"region": "eu"}).wait()
    assert server.requests[0].target.endswith("/runs/stream?region=eu")


@pytest.mark.parametrize("where", ["client", "call"])
def test_nobody_can_break_what_a_stream_depends_on(where: str) -> None:
    breaking = {"ACCEPT": "text/html", "cache-control": "max-age=60", "accept-encoding": "gzip"}
    with RawServer(head_of_stream, answer(404)) as server:
        with Client(server.url, headers=breaking if where == "client" else None) as client:
            client.runs.stream(THREAD, "agent", raise_error=False, headers=breaking if where == "call" else None).wait()
    headers = server.requests[0].headers
    assert (headers["accept"], headers["cache-control"]) == ("text/event-stream", "no-store")
    assert headers["accept-encoding"] == "identity"


@every_way
def test_the_headers_and_cookies_of_a_session_go_with_every_request(way: str) -> None:
    with requests.Session() as session:
        session.headers["X-Of-The-Session"] = "s"
        session.cookies.set("login", "cookie")

        def client_of(url: str) -> Client:
            return Client(url, transport=transport_of(way), session=session, api_key="k", headers={"X-Own": "o"})

        sent = WAYS[way](client_of)
    names = ("x-api-key", "x-own", "x-of-the-session", "cookie")
    assert {tuple(headers.get(name) for name in names) for headers in sent} == {("k", "o", "s", "login=cookie")}


# Proxies


class Relay(RawServer):
    """A proxy that passes everything on to one server, whatever host was meant."""

    def __init__(self, port: int) -> None:
        super().__init__(self._pass_on)
        self._port = port

    def _pass_on(self, connection: Connection) -> None:
        request = connection.read_request()
        with socket.create_connection(("127.0.0.1", self._port), 10) as upstream:
            if request.method == "CONNECT":
                connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                upstream.sendall(_as_asked_of_a_server(request))
            with contextlib.suppress(ConnectionError):
                _joined(connection.sock, upstream)


def _as_asked_of_a_server(request: Request) -> bytes:
    parts = urlsplit(request.target)
    lines = [f"{request.method} {parts.path}{'?' * bool(parts.query)}{parts.query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if not name.startswith("proxy-")]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + request.body


def _joined(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    while True:
        ready, _, _ = select.select([one, other], [], [], 10)
        for sock in ready:
            data = sock.recv(65536)
            if not data:
                return
            (other if sock is one else one).sendall(data)
        if not ready:
            return


@contextlib.contextmanager
def proxied(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    with Relay(urlsplit(url).port or 0) as relay:
        monkeypatch.setenv("HTTP_PROXY", relay.url.replace("//", "//user:password@"))
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{refused_port()}")
        yield relay


@every_way
@pytest.mark.parametrize("exempt", [False, True])
def test_the_proxy_of_the_environment_is_used_unless_it_exempts_the_host(
    way: str, exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    relays: List[Relay] = []
    with contextlib.ExitStack() as stack:

        def client_of(url: str) -> Client:
            relays.append(stack.enter_context(proxied(url, monkeypatch)))
            if exempt:
                monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
            return Client(url, transport=transport_of(way))

        sent = WAYS[way](client_of)
    (relay,) = relays
    asked = [request.method for request in relay.requests]
    assert len(asked) == (0 if exempt else len(sent))
    if not exempt:
        assert asked.count("CONNECT") == (way == "websocket")
        authorized = "Basic " + base64.b64encode(b"user:password").decode()
        assert {request.headers.get("proxy-authorization") for request in relay.requests} == {authorized}
        assert all("proxy-authorization" not in headers for headers in sent)


# The base URL


@every_way
@pytest.mark.parametrize("prefix", ["/api/v1", "/api/v1/", "/"])
def test_the_prefix_of_the_url_is_kept_and_its_last_slash_is_not(way: str, prefix: str) -> None:
    WAYS[way](lambda url: Client(url, transport=transport_of(way)), prefix)


def test_an_https_url_with_a_prefix_is_a_wss_handshake_below_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tls_contexts(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", files.ca_file)
    with ThreadServer(prefix="/api/v1", tls=files.server) as server:
        with Client(f"{server.url}/", transport="websocket", api_key="k") as client:
            client.runs.stream(THREAD, "agent", input=INPUT, on_close="continue").close()
        peer = server.peer()
        assert server.url.startswith("https://")
        assert (peer.asked.path, peer.asked.headers["x-api-key"]) == (f"/api/v1/threads/{THREAD}/stream/events", "k")


# A URL that leads nowhere

CALLS: Dict[str, Callable[[Client], Any]] = {
    "get": lambda client: client.threads.get(THREAD),
    "create": lambda client: client.threads.create(),
    "wait": lambda client: client.runs.wait(THREAD, "agent", input=INPUT),
    "wait without a thread": lambda client: client.runs.wait(None, "agent", input=INPUT),
    "stream": lambda client: client.runs.stream(THREAD, "agent", input=INPUT),
    "join": lambda client: client.runs.join_stream(THREAD, RUN),
}

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


def failure(url: str, transport: str, call: Callable[[Client], Any]) -> LgsyncError:
    """The error of a client with no settings but these, which must come at once."""
    begun = time.monotonic()
    with Client(url, transport=transport) as client, pytest.raises(LgsyncError) as caught:
        call(client)
    assert time.monotonic() - begun < 3.0
    return caught.value


@every_call
@both_transports
def test_a_refused_port_is_told_at_once_with_url_cause_and_hint(transport: str, call: Any) -> None:
    url = f"http://127.0.0.1:{refused_port()}"
    error = failure(url, transport, call)
    assert isinstance(error, ConnectionFailed)
    assert error.refused
    assert str(error).startswith(f"Cannot connect to {url}/")
    assert "connection refused. Is the server running, and at this port? `langgraph dev` listens on 2024" in str(error)


@every_call
@both_transports
def test_an_unknown_host_is_told_with_its_name(transport: str, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure("http://nowhere.test:2024", transport, call)
    assert isinstance(error, ConnectionFailed)
    assert "Cannot connect to http://nowhere.test:2024/" in str(error)
    assert "no host named 'nowhere.test' is known. Check the URL's host name" in str(error)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("localhost:2024", 'did you mean "http://localhost:2024"?'),
        ("localhost", 'did you mean "http://localhost"?'),
        ("htp://localhost:2024", 'did you mean "http://localhost:2024"?'),
        ("wss://localhost:2024", 'transport="websocket"'),
        ("http://", "does not begin with http:// or https://"),
    ],
)
def test_a_url_without_a_scheme_that_is_known_is_refused_at_once_with_the_right_one(url: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(url)
    assert url in str(caught.value)
    assert hint in str(caught.value)


@every_call
@both_transports
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer(404, {"detail": "Not Found"}), id="json"),
        pytest.param(answer(404, b"<title>404</title>", {"Content-Type": "text/html"}), id="page"),
    ],
)
def test_a_wrong_prefix_is_told_with_a_hint(transport: str, call: Any, script: Any) -> None:
    with RawServer(script) as server:
        error = failure(f"{server.url}/wrong", transport, call)
    assert isinstance(error, NotFoundError)
    assert f"{server.url}/wrong/" in str(error)
    assert "that the URL holds the API's path prefix if it has one" in str(error)
