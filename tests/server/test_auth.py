"""What a server with keys of its own refuses is told at once, in the server's words and as the error of its status."""

from __future__ import annotations

import json
import logging
import secrets
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Type

import pytest
from called import Lgsync
from langgraph_server import ROOT, Gate, dev_server
from rawserver import until
from witness import GREETING

from lgsync import (
    APIStatusError,
    AuthenticationError,
    Client,
    LgsyncError,
    NotFoundError,
    PermissionDeniedError,
)
from lgsync.cursor import Cursor
from lgsync.testing import FaultProxy
from lgsync.transports.websocket import WebSocketTransport

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])

#: Seconds within which a refusal is told: no pause, and nothing tried again.
AT_ONCE = 2.0

WHOLE = "".join(f"s{number} " for number in range(10))


class Keys:
    """The keys that the server takes, each of a user who may not do some things."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.json"
        self._held: Dict[str, Any] = {}
        self._write()

    def issue(self, name: str, *denied: str) -> str:
        key = f"lsv2-{secrets.token_hex(16)}"
        self.change(key, name, *denied)
        return key

    def change(self, key: str, name: str, *denied: str) -> None:
        self._held[key] = {"name": name, "denied": denied}
        self._write()

    def withdraw(self, key: str) -> None:
        del self._held[key]
        self._write()

    def _write(self) -> None:
        # Replaced in one step: the server must never read half a file.
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps(self._held))
        written.replace(self.file)


class World(NamedTuple):
    """A server with keys, and what alice has there: a run that has ended, and a thread that waits for an answer."""

    url: str
    keys: Keys
    thread_id: str
    run_id: str
    asking: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = Keys(tmp_path_factory.mktemp("keys"))
    auth = {"path": f"{ROOT / 'tests' / 'server' / 'graphs' / 'authentication.py'}:auth", "disable_studio_auth": True}
    try:
        server = dev_server("slow", "hitl", config={"auth": auth}, env={"TEST_KEYS": str(keys.file)})
    except LookupError as exc:
        pytest.fail(str(exc), pytrace=False)
    with server, Client(server.url, api_key=keys.issue("alice")) as alice:
        thread_id, asking = (alice.threads.create().thread_id for _ in range(2))
        config = {"configurable": {"tokens": 1, "delay": 0}}
        run = alice.runs.create(thread_id, "slow", input=GREETING, config=config)
        alice.runs.join(thread_id, run.run_id)
        alice.runs.wait(asking, "hitl", input=GREETING)
        alice.close()
        yield World(server.url, keys, thread_id, run.run_id, asking)


@pytest.fixture
def proxy(world: World, fault_proxy: Callable[[str], FaultProxy]) -> FaultProxy:
    return fault_proxy(world.url)


Way = Callable[[Client, World], Any]


def _cursor(client: Client, world: World) -> str:
    return str(Cursor(world.thread_id, world.run_id, transport=client.transport.name))


CALLS: Dict[str, Way] = {
    "threads.get": lambda c, w: c.threads.get(w.thread_id),
    "threads.get_state": lambda c, w: c.threads.get_state(w.thread_id),
    "threads.update_state": lambda c, w: c.threads.update_state(w.thread_id, {"messages": []}),
    "threads.delete": lambda c, w: c.threads.delete(w.thread_id),
    "runs.list": lambda c, w: c.runs.list(w.thread_id),
    "runs.get": lambda c, w: c.runs.get(w.thread_id, w.run_id),
    "runs.create": lambda c, w: c.runs.create(w.thread_id, "slow", input=GREETING),
    "runs.wait": lambda c, w: c.runs.wait(w.thread_id, "slow", input=GREETING),
    "runs.join": lambda c, w: c.runs.join(w.thread_id, w.run_id),
    "runs.cancel": lambda c, w: c.runs.cancel(w.thread_id, w.run_id),
}

STREAMS: Dict[str, Way] = {
    "stream": lambda c, w: list(c.runs.stream(w.thread_id, "slow", input=GREETING)),
    "stream, created": lambda c, w: list(c.runs.stream(w.thread_id, "slow", input=GREETING, if_not_exists="create")),
    "stream, messages": lambda c, w: list(c.runs.stream(w.thread_id, "slow", input=GREETING).messages()),
    "stream, answer": lambda c, w: list(c.runs.stream(w.asking, "hitl", command={"resume": "yes"})),
    "join_stream": lambda c, w: list(c.runs.join_stream(w.thread_id, w.run_id)),
    "join_stream, whichever": lambda c, w: list(c.runs.join_stream(w.thread_id)),
    "join_stream, text": lambda c, w: list(c.runs.join_stream(w.thread_id, w.run_id).text()),
    "join_stream, wait": lambda c, w: c.runs.join_stream(w.thread_id, w.run_id).wait(),
    "resume": lambda c, w: list(c.runs.resume(_cursor(c, w))),
    "resume, no replay": lambda c, w: list(c.runs.resume(_cursor(c, w), replay=False)),
}

#: Each way to use a client over each transport that it depends on.
EVERY_WAY = [
    *(pytest.param("sse", way, id=name) for name, way in CALLS.items()),
    *(pytest.param(t, way, id=f"{t}: {name}") for t in ("sse", "websocket") for name, way in STREAMS.items()),
]

every_way = pytest.mark.parametrize(("transport", "way"), EVERY_WAY)


def refusal(
    act: Callable[[], Any], kind: Type[APIStatusError], words: str, proxy: FaultProxy, key: Optional[str] = None
) -> str:
    """The text of the error with which ``act`` is refused: at once, in the server's words, not showing the key."""
    asked, began = len(proxy.requests), time.monotonic()
    with pytest.raises(APIStatusError) as caught:
        act()
    assert time.monotonic() - began < AT_ONCE
    error = caught.value
    assert type(error) is kind
    assert words in error.detail
    assert words in str(error)
    assert proxy.url.rpartition("/")[2] in error.url
    assert error.url in str(error)
    made = [(request.method, request.path) for request in proxy.requests[asked:]]
    assert len(made) == len(set(made)), "something was asked for again"
    shown = [*traceback.format_exception(type(error), error, error.__traceback__), repr(error), repr(vars(error))]
    assert key is None or key not in "".join(shown)
    return str(error)


@every_way
def test_no_key_is_an_authentication_error(transport: str, way: Way, world: World, proxy: FaultProxy) -> None:
    with Client(proxy.url, transport=transport, api_key=None) as client:
        told = refusal(lambda: way(client, world), AuthenticationError, "no key was sent", proxy)
        assert "LANGGRAPH_API_KEY" in told


@every_way
def test_a_wrong_key_is_an_authentication_error(transport: str, way: Way, world: World, proxy: FaultProxy) -> None:
    wrong = f"lsv2-{secrets.token_hex(16)}"
    with Client(proxy.url, transport=transport, api_key=wrong) as client:
        refusal(lambda: way(client, world), AuthenticationError, "nobody has this key", proxy, wrong)


@every_way
def test_a_user_who_is_locked_out_is_denied_everything(
    transport: str, way: Way, world: World, proxy: FaultProxy
) -> None:
    key = world.keys.issue("alice", "everything")
    with Client(proxy.url, transport=transport, api_key=key) as client:
        refusal(lambda: way(client, world), PermissionDeniedError, "alice is locked out", proxy, key)


@every_way
def test_what_is_another_users_is_not_found(transport: str, way: Way, world: World, proxy: FaultProxy) -> None:
    key = world.keys.issue("bob")
    words = "No runs found" if way is CALLS["runs.cancel"] else "not found"
    with Client(proxy.url, transport=transport, api_key=key) as client:
        refusal(lambda: way(client, world), NotFoundError, words, proxy, key)


@both_transports
@pytest.mark.parametrize(
    ("action", "ways"),
    [
        ("threads.delete", ["threads.delete"]),
        ("threads.update", ["threads.update_state"]),
        ("threads.read", ["threads.get", "threads.get_state", "runs.list", "runs.get", "runs.join"]),
        ("threads.create_run", ["runs.create", "runs.wait", "stream", "stream, created", "stream, messages"]),
        ("threads.create_run", ["stream, answer"]),
        ("threads.read", ["join_stream", "join_stream, whichever", "join_stream, text", "join_stream, wait"]),
        ("threads.read", ["resume", "resume, no replay"]),
    ],
)
def test_what_a_user_has_no_right_to_is_denied(
    transport: str, action: str, ways: List[str], world: World, proxy: FaultProxy
) -> None:
    key = world.keys.issue("alice", action)
    for name in ways:
        way = {**CALLS, **STREAMS}[name]
        with Client(proxy.url, transport=transport, api_key=key) as client:
            refusal(lambda: way(client, world), PermissionDeniedError, f"alice has no right to {action}", proxy, key)  # noqa: B023


def test_a_run_without_a_thread_is_denied_to_who_may_run_nothing(world: World, proxy: FaultProxy) -> None:
    key = world.keys.issue("alice", "threads.create_run")
    with Client(proxy.url, api_key=key) as client:
        words = "alice has no right to threads.create_run"
        refusal(lambda: client.runs.stream(None, "slow", input=GREETING), PermissionDeniedError, words, proxy, key)


def test_a_run_that_may_be_started_but_not_watched_is_told_to_be_both(world: World, proxy: FaultProxy) -> None:
    with Client(world.url, api_key=world.keys.issue("alice")) as alice:
        thread_id = alice.threads.create().thread_id
        key = world.keys.issue("alice", "threads.read")
        with Client(proxy.url, api_key=key) as client:
            run = client.runs.stream(thread_id, "slow", input=GREETING, config={"configurable": {"delay": 0}})
            words = "alice has no right to threads.read"
            told = refusal(lambda: list(run), PermissionDeniedError, words, proxy, key)
        assert "The run was started all the same" in told
        assert alice.runs.join(thread_id, str(run.run_id))["messages"][-1]["content"] == WHOLE


@both_transports
def test_a_user_sees_and_streams_what_is_the_users_own(transport: str, world: World) -> None:
    with Client(world.url, transport=transport, api_key=world.keys.issue("bob")) as bob:
        thread = bob.threads.create()
        assert thread.metadata == {"owner": "bob"}
        with bob.runs.stream(thread.thread_id, "slow", input=GREETING, config={"configurable": {"delay": 0}}) as run:
            assert "".join(run.text()) == WHOLE
            assert run.outcome == "success"


def test_whether_the_server_is_well_can_be_asked_without_a_key(world: World) -> None:
    with Client(world.url, api_key=None) as client:
        assert client.ok() is True
        assert client.info().version


# -- rights that are taken away while a run goes on -----------------------------------------------------------------


Taking = Callable[[Keys, str], None]

taken_away = pytest.mark.parametrize(
    ("take", "kind", "words"),
    [
        pytest.param(lambda keys, key: keys.withdraw(key), AuthenticationError, "nobody has this key", id="key"),
        pytest.param(
            lambda keys, key: keys.change(key, "alice", "threads.read"),
            PermissionDeniedError,
            "alice has no right to threads.read",
            id="right",
        ),
    ],
)


@both_transports
@taken_away
def test_a_stream_that_breaks_then_ends_at_once_and_another_key_leads_on(
    transport: str,
    take: Taking,
    kind: Type[APIStatusError],
    words: str,
    world: World,
    proxy: FaultProxy,
    gate: Gate,
) -> None:
    key = world.keys.issue("alice")
    gate.allow(1)
    with Client(proxy.url, transport=transport, api_key=key) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
            text = run.text()
            first = next(text)
            take(world.keys, key)
            proxy.cut_all()
            refusal(lambda: next(text), kind, words, proxy, key)
            cursor = run.cursor
            with pytest.raises(kind):
                run.result()
    gate.open()
    assert cursor is not None
    with Client(world.url, transport=transport, api_key=world.keys.issue("alice")) as client:
        with client.runs.resume(cursor) as rest:
            assert "".join([first, *rest.text()]) == WHOLE
            assert rest.outcome == "success"


@taken_away
def test_a_silent_websocket_then_ends_although_it_stands(
    take: Taking, kind: Type[APIStatusError], words: str, world: World, gate: Gate
) -> None:
    key = world.keys.issue("alice")
    gate.allow(1)
    with Client(
        world.url, transport=lambda config: WebSocketTransport(config, probe_seconds=0.1), api_key=key
    ) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
            text = run.text()
            next(text)
            take(world.keys, key)
            with pytest.raises(kind, match=words):
                next(text)


@taken_away
def test_a_wait_that_breaks_then_ends_at_once(
    take: Taking, kind: Type[APIStatusError], words: str, world: World, proxy: FaultProxy, gate: Gate
) -> None:
    key = world.keys.issue("alice")
    with Client(proxy.url, api_key=key) as client, ThreadPoolExecutor(1) as pool:
        thread_id = client.threads.create().thread_id
        waiting = pool.submit(client.runs.wait, thread_id, "slow", input=GREETING, config=gate.config)
        until(lambda: _asks_to_join(proxy))
        take(world.keys, key)
        began = time.monotonic()
        proxy.cut_all()
        error = waiting.exception(10)
        assert time.monotonic() - began < AT_ONCE
    assert type(error) is kind
    assert words in str(error)


def _asks_to_join(proxy: FaultProxy) -> bool:
    return any(request.path.endswith("/join") for request in proxy.requests)


@both_transports
def test_leaving_a_run_then_is_quick_and_says_that_the_run_may_go_on(
    transport: str, world: World, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    key = world.keys.issue("alice")
    gate.allow(1)
    with caplog.at_level(logging.WARNING, "lgsync"):
        with Client(world.url, transport=transport, api_key=key) as client:
            thread_id = client.threads.create().thread_id
            with client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
                next(run.text())
                world.keys.withdraw(key)
                began = time.monotonic()
            assert time.monotonic() - began < AT_ONCE
    (record,) = caplog.records
    assert "could not be cancelled, and may go on" in record.getMessage()
    assert "nobody has this key" in record.getMessage()
    assert key not in record.getMessage()
    gate.open()
    with Client(world.url, transport=transport, api_key=world.keys.issue("alice")) as client:
        with client.runs.join_stream(thread_id, str(run.run_id)) as joined:
            assert "".join(joined.text()) == WHOLE


@pytest.mark.parametrize(
    ("transport", "end"),
    [
        # The end of an event stream says nothing of how the run ended, and that can no longer be asked.
        ("sse", AuthenticationError),
        ("websocket", type(None)),
    ],
)
def test_a_stream_that_stands_then_shows_all_the_same(transport: str, end: Any, world: World, gate: Gate) -> None:
    key = world.keys.issue("alice")
    gate.allow(1)
    shown: List[str] = []
    error: Optional[LgsyncError] = None
    with Client(world.url, transport=transport, api_key=key) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
            text = run.text()
            shown.append(next(text))
            world.keys.withdraw(key)
            gate.open()
            try:
                shown.extend(text)
            except LgsyncError as exc:
                error = exc
    assert "".join(shown) == WHOLE
    assert type(error) is end


def test_doctor_tells_a_key_that_is_refused_from_one_that_is_taken(lgsync: Lgsync, world: World) -> None:
    refused = lgsync("doctor", "--url", world.url, "--api-key", "lsv2-wrong")
    assert refused.code == 1
    assert "wrong  key           the server refuses the key from --api-key (status 401" in refused.out
    missing = lgsync("doctor", "--url", world.url)
    assert (missing.code, "asks for a key, and none is set" in missing.out) == (1, True)
    taken = lgsync("doctor", "--url", world.url, "--api-key", world.keys.issue("bob"))
    assert (taken.code, "taken, from --api-key" in taken.out) == (0, True)
