"""What the HTTP base sends, and what it makes of the answer."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import threading
from typing import Any, ContextManager, Dict, List, Optional

import pytest
import requests
from rawserver import PATIENCE, Connection, RawServer, answer, tls_contexts

from lgsync.closing import Closing
from lgsync.errors import ClientClosed, ConfigurationError
from lgsync.paths import segment
from lgsync.transport import Response, RunStart, Timeout, Transport, TransportConfig
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")


def new_transport(
    url: str, headers: Optional[Dict[str, str]] = None, session: Optional[requests.Session] = None
) -> SSETransport:
    return SSETransport(TransportConfig(url, headers or {}, Timeout(5, PATIENCE), session))


def transport_to(
    url: str, headers: Optional[Dict[str, str]] = None, session: Optional[requests.Session] = None
) -> ContextManager[SSETransport]:
    """A transport that is closed at the end of the ``with`` block."""
    return contextlib.closing(new_transport(url, headers, session))


def number_of_connection(connection: Connection) -> None:
    """A script that answers every request with the connection's number."""
    answer(200, connection.number)(connection)


# Requests and answers


def test_an_answer_comes_as_it_is_whatever_its_status() -> None:
    with (
        RawServer(answer(404, {"detail": "no"}, {"X-Request-Id": "r1"})) as server,
        transport_to(server.url) as transport,
    ):
        response = transport.request("GET", "/threads/1", params={"token": "t"})
    assert response == Response(404, response.headers, b'{"detail": "no"}', server.url + "/threads/1")
    assert response.headers["x-request-id"] == "r1"


@pytest.mark.parametrize(("status", "connections"), [(200, 1), (404, 1), (500, 2), (503, 2)])
def test_no_call_is_made_on_a_connection_that_the_server_may_be_hanging_up(status: int, connections: int) -> None:
    def answer_as_told(connection: Connection) -> None:
        answer(status, {})(connection)

    with RawServer(answer_as_told) as server, transport_to(server.url) as transport:
        numbers = [transport.request("POST", "/threads", json={}).status for _ in range(2)]
        assert numbers == [status, status]
        assert len(server.connections) == connections


def test_a_body_is_sent_as_json() -> None:
    with RawServer(answer()) as server, transport_to(server.url) as transport:
        transport.request("POST", "/threads", json={"metadata": {"é": None}})
    (request,) = server.requests
    assert (request.method, request.json()) == ("POST", {"metadata": {"é": None}})
    assert request.headers["content-type"] == "application/json"


def test_a_request_without_a_body_has_no_content_type() -> None:
    with RawServer(answer()) as server, transport_to(server.url) as transport:
        transport.request("GET", "/info")
    assert "content-type" not in server.requests[0].headers


def test_a_body_that_json_cannot_hold_is_refused_before_anything_is_sent() -> None:
    with RawServer(answer()) as server, transport_to(server.url) as transport, pytest.raises(ConfigurationError):
        transport.request("POST", "/threads", json={"x": float("nan")})
    assert server.requests == []


def test_parameters_go_into_the_query_and_unset_ones_do_not() -> None:
    with RawServer(answer()) as server, transport_to(server.url) as transport:
        transport.request("GET", "/x", params={"limit": 3, "wait": True, "select": ["a", "b"], "status": None})
    assert server.requests[0].target == "/x?limit=3&wait=true&select=a&select=b"


@pytest.mark.parametrize("prefix", ["/api/v1", "/api/v1/"])
def test_the_prefix_of_the_base_url_is_kept(prefix: str) -> None:
    with RawServer(answer()) as server, transport_to(server.url + prefix) as transport:
        transport.request("GET", "/threads/1")
    assert server.requests[0].target == "/api/v1/threads/1"


@pytest.mark.parametrize("thread_id", [".", "..", "../assistants/x", "a/b?c#d", "é%2F"])
def test_an_id_reaches_the_wire_as_one_quoted_segment(thread_id: str) -> None:
    quoted = segment(thread_id, "thread_id")
    with RawServer(answer()) as server, transport_to(server.url + "/a b") as transport:
        transport.request("GET", f"/threads/{quoted}/state", params={"subgraphs": True})
    assert server.requests[0].target == f"/a%20b/threads/{quoted}/state?subgraphs=true"


# Headers


def test_the_headers_of_a_call_win_over_those_of_the_client_whatever_their_case() -> None:
    with RawServer(answer()) as server, transport_to(server.url, {"X-Tenant": "a", "x-api-key": "k"}) as transport:
        transport.request("GET", "/x", headers={"x-tenant": "b", "ACCEPT": "text/plain"})
    headers = server.requests[0].headers
    assert (headers["x-tenant"], headers["x-api-key"], headers["accept"]) == ("b", "k", "text/plain")


def test_a_caller_can_not_break_what_a_stream_depends_on() -> None:
    breaking = {"accept": "text/html", "CACHE-CONTROL": "max-age=9", "accept-encoding": "gzip"}
    with RawServer(answer()) as server, transport_to(server.url, breaking) as transport:
        transport.open_stream("POST", "/x", headers=breaking).close()
    headers = server.requests[0].headers
    assert (headers["accept"], headers["cache-control"]) == ("text/event-stream", "no-store")
    assert headers["accept-encoding"] == "identity"


def test_a_session_of_the_users_own_is_used_as_it_is() -> None:
    session = requests.Session()
    session.headers.update({"X-Mine": "1", "x-api-key": "old"})
    session.cookies.set("sticky", "yes")
    before = dict(session.headers)
    with session, RawServer(answer()) as server, transport_to(server.url, {"X-Api-Key": "new"}, session) as transport:
        transport.request("GET", "/x", headers={"X-Call": "2"})
        transport.close()
        assert session.get(server.url + "/y").status_code == 200
    headers = server.requests[0].headers
    assert (headers["x-mine"], headers["x-call"], headers["x-api-key"]) == ("1", "2", "new")
    assert headers["cookie"] == "sticky=yes"
    assert dict(session.headers) == before


@pytest.fixture
def netrc(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ~/.netrc with an entry for the loopback address."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
def test_netrc_does_not_replace_an_authorization_header() -> None:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer of-the-session"
    with RawServer(answer()) as server, session:
        with transport_to(server.url, {"authorization": "Bearer mine"}) as transport:
            transport.request("GET", "/x")
        with transport_to(server.url) as transport:
            transport.request("GET", "/x", headers={"Authorization": "Bearer of-the-call"})
        with transport_to(server.url, session=session) as transport:
            transport.request("GET", "/x")
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer mine", "Bearer of-the-call", "Bearer of-the-session"]


@pytest.mark.usefixtures("netrc")
def test_netrc_is_used_where_nothing_else_authorizes() -> None:
    with RawServer(answer()) as server, transport_to(server.url, {"x-api-key": "k"}) as transport:
        transport.request("GET", "/x")
    assert server.requests[0].headers["authorization"].startswith("Basic ")


# The environment


def test_the_proxy_of_the_environment_is_used_for_calls_and_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer()) as proxy, transport_to("http://langgraph.test/api", {"x-api-key": "k"}) as transport:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        transport.request("GET", "/threads/%2E%2E")
        transport.open_stream("POST", "/runs/stream").close()
    targets = [request.target for request in proxy.requests]
    assert targets == ["http://langgraph.test/api/threads/%2E%2E", "http://langgraph.test/api/runs/stream"]


def test_no_proxy_exempts_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with RawServer(answer()) as server, transport_to(server.url) as transport:
        assert transport.request("GET", "/x").status == 200


def test_the_authority_of_the_environment_is_trusted(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tls_contexts(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", files.ca_file)
    with RawServer(answer(200, {"ok": True}), tls=files.server) as server, transport_to(server.url) as transport:
        assert transport.request("GET", "/ok").body == b'{"ok": true}'


# Threads, processes, the end


def test_many_threads_at_once_share_one_transport() -> None:
    count = 150
    together = threading.Barrier(count)
    statuses: List[int] = []

    def call(transport: Transport) -> None:
        together.wait(PATIENCE)
        statuses.append(transport.request("GET", "/x").status)

    with RawServer(answer()) as server, transport_to(server.url) as transport:
        threads = [threading.Thread(target=call, args=(transport,)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert statuses == [200] * count


def test_connections_are_used_again() -> None:
    with RawServer(number_of_connection) as server, transport_to(server.url) as transport:
        assert [transport.request("GET", "/x").body for _ in range(3)] == [b"0"] * 3


def test_work_that_is_left_behind_does_not_cut_a_connection_that_it_gave_back() -> None:
    given_back, left, go_on = threading.Event(), threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.respond()
        connection.read_request()
        closing.set()
        assert left.wait(PATIENCE)
        connection.respond(200, "whole")
        answer()(connection)

    def work() -> None:
        transport.request("GET", "/first")
        given_back.set()
        go_on.wait(PATIENCE)

    def leave_it_behind() -> None:
        closing.call(work)
        left.set()

    closing = Closing()
    with RawServer(script) as server, transport_to(server.url) as transport:
        asking = threading.Thread(target=leave_it_behind)
        asking.start()
        assert given_back.wait(PATIENCE)
        assert transport.request("GET", "/second").body == b'"whole"'
        go_on.set()
        asking.join(PATIENCE)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("own", [False, True])
def test_a_forked_child_uses_connections_of_its_own(own: bool) -> None:
    session = requests.Session() if own else None
    with RawServer(number_of_connection) as server, transport_to(server.url, session=session) as transport:
        assert transport.request("GET", "/parent").body == b"0"
        assert in_a_child(lambda: transport.request("GET", "/child").body) == b"1"
        assert transport.request("GET", "/parent").body == b"0"
        if session is not None:
            session.close()


def in_a_child(work: Any) -> bytes:
    """What ``work`` gives in a forked child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writer, work())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def test_a_transport_pickles_by_its_configuration() -> None:
    with RawServer(answer()) as server, transport_to(server.url, {"x-api-key": "k"}) as transport:
        transport.request("GET", "/before")
        with contextlib.closing(pickle.loads(pickle.dumps(transport))) as copy:
            assert (copy.config, copy.max_event_bytes) == (transport.config, transport.max_event_bytes)
            copy.request("GET", "/after")
    assert server.requests[1].headers["x-api-key"] == "k"


def test_a_users_session_goes_along_when_a_transport_is_pickled() -> None:
    session = requests.Session()
    session.headers["X-Mine"] = "1"
    with RawServer(answer()) as server:
        copy = pickle.loads(pickle.dumps(new_transport(server.url, session=session)))
        copy.request("GET", "/x")
        copy.config.session.close()
    assert server.requests[0].headers["x-mine"] == "1"


def test_neither_the_transport_nor_its_configuration_shows_the_key() -> None:
    transport = new_transport("http://127.0.0.1:1", {"x-api-key": "very-secret"})
    assert "very-secret" not in repr(transport) + str(transport) + repr(transport.config)


def test_a_closed_transport_says_so() -> None:
    transport = new_transport("http://127.0.0.1:1")
    transport.close()
    transport.close()
    with pytest.raises(ClientClosed, match="127.0.0.1:1 was closed"):
        transport.request("GET", "/x")
    with pytest.raises(ClientClosed):
        transport.open_run(RunStart("t", {}))


def test_closing_the_transport_frees_open_streams() -> None:
    closed = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        if connection.peer_closed():
            closed.set()

    with RawServer(script) as server:
        transport = new_transport(server.url)
        stream = transport.open_stream("POST", "/x")
        transport.close()
        assert stream.read() == b""
        assert closed.wait(PATIENCE)
