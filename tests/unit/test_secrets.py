"""No key, no header that authorizes, no cookie and no proxy's password is in an error, a repr or the log."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import pickle
import traceback
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Set, Tuple

import pytest
from rawserver import PATIENCE, Connection, RawServer, answer, refused_port
from requests.structures import CaseInsensitiveDict
from thread_server import THREAD, Peer, ThreadServer

from lgsync import Client
from lgsync.deadline import Deadline
from lgsync.errors import LgsyncError
from lgsync.policy import Policy
from lgsync.recovery import Recovery
from lgsync.rest import CallSettings, Rest
from lgsync.run_wait import RunWait
from lgsync.transport import RunJoin, RunStart, ThreadJoin, Timeout
from lgsync.transports._hiding import Secrets
from lgsync.transports.connection import Target
from lgsync.transports.http import _Call

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.full]

SECRET = "CANARY-0f3a"
HEADERS = {"Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}"}

# Servers that are asked to tell all, and proxies, quote the request.
PAGE = f"<html><title>No: {SECRET}</title><body>{HEADERS}</body></html>".encode()

CALLS: Dict[str, Callable[[Client], Any]] = {
    "call": lambda client: client.threads.get(THREAD),
    "stream": lambda client: client.runs.stream(THREAD, "agent", input={"messages": []}),
    "wait": lambda client: client.runs.wait(THREAD, "agent", input={"messages": []}, deadline=1.0),
}

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


@pytest.fixture(autouse=True)
def _nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    # The other end of the wire is no client's.
    caplog.set_level(logging.INFO, "websockets.server")
    yield
    told = [(record.getMessage(), record.args, record.__dict__) for record in caplog.records]
    assert SECRET not in repr(told)
    assert SECRET not in caplog.text


def failure(url: str, transport: str, call: Callable[[Client], Any], **options: Any) -> LgsyncError:
    """The error of a call, after a look for the secret in all that can be seen of it."""
    settings = {"api_key": SECRET, "headers": HEADERS, "timeout": 0.5, "retries": 0, "reconnect": 0, **options}
    with Client(url, transport=transport, **settings) as client:
        with pytest.raises(LgsyncError) as caught:
            call(client)
        for shown in shown_of(caught.value):
            assert SECRET not in shown
        assert SECRET not in repr([client, client.transport, client.transport.config])  # type: ignore[attr-defined]
    return caught.value


def shown_of(error: BaseException) -> Iterator[str]:
    """All that an error, and each of those that it names as its cause, shows of itself."""
    yield "".join(traceback.format_exception(type(error), error, error.__traceback__))
    for one in chain_of(error):
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)))
        if isinstance(one, LgsyncError):
            yield pickle.dumps(one, 0).decode("latin-1")


def chain_of(error: Optional[BaseException]) -> Iterator[BaseException]:
    """The error, and what a traceback shows before it."""
    seen: Set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# Where nobody can be reached


@every_call
@both_transports
def test_a_refused_port_shows_nothing(transport: str, call: Callable[[Client], Any]) -> None:
    failure(f"http://127.0.0.1:{refused_port()}", transport, call)


@every_call
@both_transports
@pytest.mark.parametrize("ending", ["\n", "€", "\r\nX-Injected: 1"])
def test_a_header_that_cannot_be_sent_shows_nothing(transport: str, call: Callable[[Client], Any], ending: str) -> None:
    failure("http://127.0.0.1:9", transport, call, headers={"Authorization": SECRET + ending})


@every_call
@both_transports
@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:{0}@127.0.0.1:{1}",
        "user:{0}@127.0.0.1:{1}",
        "http://user:{0}@[::1",
        "http://user:{0}@127.0.0.1:port",
        "http://user:{0}/@127.0.0.1:{1}",
        "http://user:{0}@",
        "ftp://user:{0}@127.0.0.1:{1}",
        "socks5://user:{0}@127.0.0.1:{1}",
    ],
)
def test_a_proxy_shows_nothing_of_its_url(
    transport: str, call: Callable[[Client], Any], proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.format(SECRET, refused_port()))
    failure("http://langgraph.test", transport, call)


@both_transports
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_another_password_shows_nothing(
    transport: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answer(407, b"no", {"Proxy-Authenticate": "Basic"})) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.url.replace("//", f"//user:{SECRET}@"))
        failure(f"{scheme}://langgraph.test", transport, CALLS["stream"])


# What is answered


def silent(connection: Connection) -> None:
    connection.read_request()
    connection.peer_closed()


def hanging_up(connection: Connection) -> None:
    connection.read_request()


def rubbish(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"SSH-2.0-OpenSSH_9\r\n\r\n")


@every_call
@both_transports
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer(401, {"detail": "Invalid key"}), id="401"),
        pytest.param(answer(403, b"<title>No</title>", {"Content-Type": "text/html"}), id="403 page"),
        pytest.param(answer(200, b"<title>Sign in</title>", {"Content-Type": "text/html"}), id="200 page"),
        pytest.param(answer(200, b"", {"Set-Cookie": f"session={SECRET}"}), id="cookie"),
        pytest.param(answer(401, {"detail": f"Invalid key {SECRET} given"}), id="401 quoting"),
        pytest.param(answer(403, PAGE, {"Content-Type": "text/html"}), id="403 page quoting"),
        pytest.param(answer(200, PAGE, {"Content-Type": "text/html"}), id="200 page quoting"),
        pytest.param(answer(503, {"message": HEADERS}), id="503 quoting"),
        pytest.param(answer(500), id="500"),
        pytest.param(answer(307, b"", {"Location": f"http://u:{SECRET}@other.test/?k={SECRET}#{SECRET}"}), id="307"),
        pytest.param(answer(302, b"", {"Location": f"//u:{SECRET}@other.test:port/?k={SECRET}"}), id="302 to no URL"),
        pytest.param(silent, id="timeout"),
        pytest.param(hanging_up, id="hangs up"),
        pytest.param(rubbish, id="rubbish"),
    ],
)
def test_no_answer_brings_out_what_was_sent(
    transport: str, call: Callable[[Client], Any], script: Callable[[Connection], None]
) -> None:
    with RawServer(script) as server:
        failure(server.url, transport, call, timeout=0.5 if script is silent else PATIENCE)
        assert server.requests[0].headers["x-api-key"] == SECRET


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {}),
        (403, {"Content-Type": "text/html"}),
        (404, {}),
        (500, {}),
        (200, {"Content-Type": "text/html"}),
        (503, {}),
        (307, {"Location": f"http://u:{SECRET}@other.test/?k={SECRET}#{SECRET}"}),
    ],
)
def test_a_refused_handshake_shows_nothing(status: int, headers: Mapping[str, str]) -> None:
    with ThreadServer() as server:
        server.handshake = (status, headers, PAGE)
        failure(server.url, "websocket", CALLS["stream"])
        assert server.asked[-1].headers["authorization"] == HEADERS["Authorization"]


def test_a_pause_before_another_try_shows_nothing_of_what_is_quoted() -> None:
    with RawServer(answer(503, {"detail": f"No {SECRET}", "a": HEADERS}, {"Retry-After": "0"})) as server:
        error = failure(server.url, "sse", CALLS["call"], retries=1)
        assert len(server.requests) == 2
    assert "No ***." in str(error)


@pytest.mark.parametrize(
    "quoted",
    [
        "sk+0/a==",
        r"sk+0\/a==",
        r"sk\u002b0\u002Fa\u003d\u003D",
        "sk%2b0%2Fa%3D=",
        "sk&plus;0&sol;a&equals;&#61;",
        "sk&#x2B;0&#47;a&#0061;=",
    ],
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-API-Key", "{}"),
        ("authorization", "Bearer {}"),
        ("Authorization", "{}"),
        ("Proxy-Authorization", "bearer {}"),
        ("Cookie", 'a=b; session="{}"'),
        ("X-Tenant-Token", " {}"),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(name: str, value: str, quoted: str) -> None:
    secrets = Secrets({name: value.format("sk+0/a=="), "Accept": "application/json"})
    assert secrets.hidden(f"a {quoted} b application/json".encode()) == b"a *** b application/json"


def test_a_password_is_hidden_in_the_clear_too() -> None:
    secrets = Secrets({"Authorization": b"Basic dXNlcjpwYXNzd29yZDE="})
    assert secrets.hidden_in_text("dXNlcjpwYXNzd29yZDE= is user:password1") == "*** is user:***"


def test_what_is_too_short_to_be_a_secret_is_let_stand() -> None:
    assert Secrets({"x-api-key": "invalid"}).hidden_in_text("invalid key") == "invalid key"


def test_data_comes_as_it_is() -> None:
    with RawServer(answer(200, {"thread_id": SECRET})) as server, Client(server.url, api_key=SECRET) as client:
        assert client.threads.get(THREAD).thread_id == SECRET


@pytest.mark.parametrize(
    "refuse",
    [
        lambda peer: peer.close(4401, f"no key {SECRET}"),
        lambda peer: peer.close(1011, f"Bearer {SECRET}"),
        lambda peer: peer.send_text(f"no JSON: {SECRET}"),
        lambda peer: peer.send_text(f'["{SECRET}"]'),
    ],
)
def test_a_websocket_that_is_refused_later_shows_nothing(refuse: Callable[[Peer], None]) -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(dataclasses.replace(server.start(), headers=HEADERS))
        refuse(server.peer())
        with contextlib.closing(source), pytest.raises(LgsyncError, match=r"\*\*\*") as caught:
            next(source)
        for shown in shown_of(caught.value):
            assert SECRET not in shown


def test_a_stream_that_is_refused_in_its_first_event_shows_nothing() -> None:
    event = json.dumps({"error": "HTTPException", "message": f"403: not for {SECRET}"})
    body = f"event: error\ndata: {event}\n\n".encode()
    with RawServer(answer(200, body, {"Content-Type": "text/event-stream"})) as server:
        error = failure(server.url, "sse", lambda client: list(client.runs.join_stream(THREAD, "r")))
    assert "not for ***" in str(error)


# What is shown where nothing failed


@both_transports
def test_no_repr_shows_a_secret(transport: str) -> None:
    with Client("http://host", transport=transport, api_key=SECRET, headers=HEADERS) as client:
        view = client.with_options(headers={"X-Tenant-Secret": SECRET})
        shown: List[Any] = [client, view, client.transport, client.transport.config]  # type: ignore[attr-defined]
        shown += [client.runs, client.threads, client.assistants, client.store, client.crons]
        assert SECRET not in repr(shown)
        assert "x-api-key" in repr(client.transport.config)  # type: ignore[attr-defined]


def test_what_is_asked_of_a_transport_does_not_show_the_headers_of_the_call() -> None:
    query = {"token": SECRET}
    asked: Tuple[Any, ...] = (
        RunStart("t", {}, headers=HEADERS, params=query),
        RunJoin("t", "r", headers=HEADERS, params=query),
        ThreadJoin("t", headers=HEADERS, params=query),
    )
    assert SECRET not in repr(asked)


def test_what_holds_a_callers_headers_and_query_shows_their_names_alone() -> None:
    """Tools that log the variables of a failure's frames show it."""
    query = {"token": SECRET}
    with Client("http://host", api_key=SECRET) as client:
        settings = CallSettings(HEADERS)
        rest = Rest(client.transport, settings)  # type: ignore[attr-defined]
        recovery = Recovery(Policy(budget=1, idle=None), Deadline(None))
        wait = RunWait(rest, "t", "r", recovery, Timeout(), HEADERS, query, True)
        call = _Call.of("GET", "/", query, None, CaseInsensitiveDict(HEADERS), Timeout())
        target = Target("http://host/?token=" + SECRET, HEADERS, None, f"http://user:{SECRET}@proxy")
        for shown in map(repr, (settings, wait, call, target)):
            assert SECRET not in shown
            assert "Authorization" in shown


def test_an_error_that_is_raised_while_a_secret_is_at_hand_does_not_take_it_along() -> None:
    with Client("http://127.0.0.1:9", api_key=SECRET) as client, contextlib.suppress(LgsyncError):
        client.threads.create(metadata={"x": b"y"})
    with pytest.raises(LgsyncError) as caught:
        Client(api_key=f"{SECRET}\n")
    for shown in shown_of(caught.value):
        assert SECRET not in shown
