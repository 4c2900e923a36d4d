"""Which calls are made again, how often and after what pause; and which never are."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Union

import pytest
from rawserver import Connection, RawServer, answer, refused_port
from scripted import RUN, THREAD, ScriptedTransport, answered
from thread_server import ThreadServer

from lgsync.client import Client
from lgsync.errors import (
    APIStatusError,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DeadlineExceeded,
    EventTooLarge,
    InternalServerError,
    LgsyncError,
    NotFoundError,
    RateLimitError,
    ResponseError,
    status_error,
)
from lgsync.rest import CallSettings, Rest
from lgsync.retry import NEVER, Retry
from lgsync.testing import Cut, FaultProxy, Status
from lgsync.transport import Response, Timeout

pytestmark = pytest.mark.usefixtures("no_leaks")

URL = "http://server/threads/t"
REFUSED = ConnectionFailed("refused", url=URL, refused=True)
RESET = ConnectionLost("reset by peer", url=URL)
SILENT = ConnectionTimeout("silent", url=URL)
BY_DEFAULT = Retry.of(None)


def status(code: int, retry_after: Optional[float] = None) -> APIStatusError:
    return status_error(code, method="GET", url=URL, body={"detail": "no"}, retry_after=retry_after)


def pause(error: LgsyncError, attempts: int = 1, *, retry: Retry = BY_DEFAULT, **call: Any) -> Optional[float]:
    """The pause after ``error``, the random part of which is none."""
    return retry.pause(error, attempts, **{"method": "GET", "jitter": lambda: 1.0, **call})


# -- the rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RESET, *map(status, (408, 425, 429, 502, 503, 504))], ids=str)
def test_what_may_pass_is_waited_for_by_a_call_that_changes_nothing_alone(error: LgsyncError) -> None:
    assert pause(error) is not None
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert pause(error, method=method) is None
        assert pause(error, method=method, retry=Retry.of(9)) is None


@pytest.mark.parametrize(
    "error",
    [
        *map(status, (400, 401, 403, 404, 405, 409, 410, 413, 418, 422, 500, 501, 505, 507, 520)),
        SILENT,
        ConnectionFailed("no host of that name", url=URL),
        DeadlineExceeded("late"),
        ClientClosed("closed"),
        ConfigurationError("wrong"),
        ResponseError("a page", url=URL, status=200),
        EventTooLarge("large", url=URL, status=200),
    ],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'status_code', '')}",
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_will_not_pass_is_never_waited_for(error: LgsyncError, method: str) -> None:
    assert pause(error, method=method, reads=True, retry=Retry.of(9)) is None


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_what_was_refused_before_anything_was_sent_is_tried_again_whatever_it_is(method: str) -> None:
    assert pause(REFUSED, method=method) is not None


def test_a_post_that_reads_is_made_again_only_where_the_user_said_how_often() -> None:
    for error in (RESET, status(503)):
        assert pause(error, method="POST", reads=True) is None
        assert pause(error, method="POST", reads=True, retry=Retry.of(1)) is not None
    assert pause(SILENT, method="POST", reads=True, retry=Retry.of(1)) is None


@pytest.mark.parametrize(("retries", "times"), [(None, 2), (0, 0), (1, 1), (7, 7)])
def test_a_call_is_made_again_so_often_and_no_more(retries: Optional[int], times: int) -> None:
    retry = Retry.of(retries)
    assert [pause(REFUSED, attempts, retry=retry) is not None for attempts in range(1, 11)] == [
        attempts <= times for attempts in range(1, 11)
    ]


def test_never_is_never() -> None:
    assert pause(REFUSED, retry=NEVER) is None


@pytest.mark.parametrize("retries", [-1, 1.5, True, "2", float("inf")])
def test_how_often_is_a_whole_number(retries: Any) -> None:
    with pytest.raises(ConfigurationError, match="retries must be a whole number"):
        Retry.of(retries)
    with pytest.raises(ConfigurationError, match="retries must be a whole number"):
        Client("http://server", retries=retries)


def test_pauses_double_up_to_the_longest() -> None:
    retry = Retry.of(10_000)
    pauses = [pause(REFUSED, attempts, retry=retry) for attempts in range(1, 9)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert pause(REFUSED, 10_000, retry=retry) == 5.0


def test_up_to_half_of_a_pause_is_taken_off_at_random() -> None:
    assert pause(RESET, 3, retry=Retry.of(5), jitter=lambda: 0.0) == pytest.approx(0.2)
    assert len({Retry.of(5).pause(RESET, 3, method="GET") for _ in range(20)}) > 1


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("asked", "kept"), [(0.0, 0.1), (0.05, 0.1), (7.0, 7.0), (30.0, 30.0), (30.1, None), (9e9, None)]
)
def test_the_server_is_waited_for_as_long_as_it_asks_up_to_half_a_minute(
    code: int, asked: float, kept: Optional[float]
) -> None:
    assert pause(status(code, asked)) == kept


# -- a client that keeps to them ---------------------------------------------------------------------------------------

Answers = Sequence[Union[BaseException, Response]]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> List[float]:
    """The pauses between attempts, which take no time."""
    made: List[float] = []
    monkeypatch.setattr("lgsync.rest.time", SimpleNamespace(sleep=made.append))
    return made


def saying(code: int, data: Any = None, **headers: str) -> Response:
    return answered("/x", code, data if data is not None else {"detail": "no"}, **headers)


class Answering(ScriptedTransport):
    """Gives these answers one after the other, and the last again and again."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.left = list(answers)
        self.timeouts: List[Timeout] = []

    def request(self, method: str, path: str, **call: Any) -> Response:
        self.requests.append((method, path, call.get("json")))
        self.timeouts.append(call["timeout"])
        one = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(one, BaseException):
            raise one
        return one


def call(*answers: Union[BaseException, Response], **options: Any) -> Any:
    """What a call over a transport of these answers comes to, and the transport."""
    transport = Answering(answers)
    settings = CallSettings(retry=Retry.of(options.pop("retries", None)))
    method = options.pop("method", "GET")
    try:
        return Rest(transport, settings).call(method, "/x", **options), transport
    except LgsyncError as exc:
        return exc, transport


def test_an_answer_that_comes_at_last_is_the_answer(pauses: List[float]) -> None:
    got, transport = call(RESET, saying(503), saying(200, {"ok": True}))
    assert got == {"ok": True}
    assert len(transport.requests) == 3
    assert len(pauses) == 2
    assert 0.05 <= pauses[0] <= 0.1 <= pauses[1] <= 0.2


def test_the_last_failure_is_the_one_that_is_told(pauses: List[float]) -> None:
    got, transport = call(RESET, RESET, saying(502))
    assert type(got) is InternalServerError
    assert got.status_code == 502
    assert len(transport.requests) == 3


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_the_client_tries_as_often_as_its_user_says(pauses: List[float], retries: int) -> None:
    for failure in (REFUSED, RESET, saying(429)):
        _, transport = call(failure, retries=retries)
        assert len(transport.requests) == 1 + retries
    assert len(pauses) == 3 * retries


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("failure", [RESET, SILENT, *map(saying, (408, 429, 500, 502, 503, 504))], ids=repr)
def test_what_may_have_had_an_effect_is_never_made_again(pauses: List[float], method: str, failure: Any) -> None:
    _, transport = call(failure, method=method, json={}, retries=9)
    assert len(transport.requests) == 1
    assert pauses == []


def test_a_failure_of_another_kind_ends_it(pauses: List[float]) -> None:
    got, transport = call(saying(503), saying(404), saying(200))
    assert type(got) is NotFoundError
    assert len(transport.requests) == 2


def test_an_interrupt_ends_it(pauses: List[float]) -> None:
    with pytest.raises(KeyboardInterrupt):
        call(RESET, KeyboardInterrupt(), saying(200))


def test_what_the_server_asks_for_is_kept_to(pauses: List[float]) -> None:
    got, _ = call(saying(429, **{"retry-after": "12"}), saying(200, []))
    assert (got, pauses) == ([], [12.0])


def test_a_server_that_asks_for_too_long_is_told_of_at_once(pauses: List[float]) -> None:
    got, transport = call(saying(429, **{"retry-after": "31"}), saying(200))
    assert type(got) is RateLimitError
    assert got.retry_after == 31
    assert (len(transport.requests), pauses) == (1, [])


def test_a_pause_that_the_deadline_does_not_leave_is_not_made(pauses: List[float]) -> None:
    got, transport = call(saying(503, **{"retry-after": "20"}), saying(200), deadline=19.0)
    assert type(got) is InternalServerError
    assert (len(transport.requests), pauses) == (1, [])
    got, _ = call(saying(503, **{"retry-after": "20"}), saying(200, {}), deadline=60.0)
    assert (got, pauses) == ({}, [20.0])


def test_the_deadline_is_that_of_all_attempts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: List[float] = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr("lgsync.rest.time", SimpleNamespace(sleep=sleep))
    clock = lambda: passed[0]  # noqa: E731
    transport = Answering([saying(503, **{"retry-after": "4"})])
    rest = Rest(transport, CallSettings(retry=Retry.of(9)))
    monkeypatch.setattr(rest, "deadline", lambda own: _deadline(own, clock))
    with pytest.raises(InternalServerError):
        rest.call("GET", "/x", deadline=10.0)
    assert [timeout.total for timeout in transport.timeouts] == [10.0, 6.0, 2.0]


def _deadline(seconds: Optional[float], clock: Callable[[], float]) -> Any:
    from lgsync.deadline import Deadline

    return Deadline(seconds, clock)


@pytest.mark.parametrize("failure", [SILENT, ConnectionFailed("no answer", url=URL)], ids=["silent", "not connected"])
def test_whatever_the_deadline_cuts_short_is_late(pauses: List[float], failure: LgsyncError) -> None:
    got, _ = call(failure, deadline=1e-6)
    assert type(got) is DeadlineExceeded
    assert "GET /x was not over within its deadline" in str(got)
    assert type(call(failure)[0]) is type(failure)


Use = Callable[[Client], Any]

READS: Dict[str, Use] = {
    "threads.get": lambda c: c.threads.get(THREAD),
    "threads.get_state": lambda c: c.threads.get_state(THREAD),
    "runs.get": lambda c: c.runs.get(THREAD, RUN),
    "runs.list": lambda c: c.runs.list(THREAD),
    "runs.join_stream": lambda c: c.runs.join_stream(THREAD),
    "assistants.get": lambda c: c.assistants.get("1"),
    "store.get_item": lambda c: c.store.get_item(("a",), "b"),
    "info": lambda c: c.info(),
}

EFFECTS: Dict[str, Use] = {
    "threads.create": lambda c: c.threads.create(),
    "threads.create, if it is not there": lambda c: c.threads.create(thread_id=THREAD, if_exists="do_nothing"),
    "threads.delete": lambda c: c.threads.delete(THREAD),
    "threads.update_state": lambda c: c.threads.update_state(THREAD, {}),
    "threads.copy": lambda c: c.threads.copy(THREAD),
    "runs.create": lambda c: c.runs.create(THREAD, "agent"),
    "runs.create_batch": lambda c: c.runs.create_batch([{"assistant_id": "agent"}]),
    "runs.wait": lambda c: c.runs.wait(THREAD, "agent"),
    "runs.wait, without a thread": lambda c: c.runs.wait(None, "agent"),
    "runs.cancel": lambda c: c.runs.cancel(THREAD, RUN),
    "runs.delete": lambda c: c.runs.delete(THREAD, RUN),
    "assistants.create": lambda c: c.assistants.create("agent"),
    "assistants.update": lambda c: c.assistants.update("1", name="a"),
    "assistants.delete": lambda c: c.assistants.delete("1"),
    "crons.create": lambda c: c.crons.create("agent", schedule="* * * * *"),
    "crons.delete": lambda c: c.crons.delete("1"),
    "store.put_item": lambda c: c.store.put_item(("a",), "b", {}),
    "store.delete_item": lambda c: c.store.delete_item(("a",), "b"),
}

READS_BY_POST: Dict[str, Use] = {
    "threads.get_state": lambda c: c.threads.get_state(THREAD, checkpoint={"checkpoint_id": "1"}),
    "threads.get_history": lambda c: c.threads.get_history(THREAD),
    "threads.search": lambda c: c.threads.search(),
    "threads.count": lambda c: c.threads.count(),
    "assistants.search": lambda c: c.assistants.search(),
    "assistants.count": lambda c: c.assistants.count(),
    "assistants.get_versions": lambda c: c.assistants.get_versions("1"),
    "crons.search": lambda c: c.crons.search(),
    "crons.count": lambda c: c.crons.count(),
    "store.search_items": lambda c: c.store.search_items(("a",)),
    "store.list_namespaces": lambda c: c.store.list_namespaces([]),
}


def asked(use: Use, failure: Union[BaseException, Response], retries: Optional[int] = None) -> int:
    """How many requests ``use`` makes where each fails so."""
    transport = Answering([failure])
    with pytest.raises(LgsyncError):
        use(Client(transport=transport, retries=retries))
    return len(transport.requests)


@pytest.mark.parametrize("use", READS.values(), ids=READS)
def test_reading_is_tried_three_times_by_default(pauses: List[float], use: Use) -> None:
    assert [asked(use, failure) for failure in (REFUSED, RESET, saying(503))] == [3, 3, 3]
    assert [asked(use, failure, retries=0) for failure in (REFUSED, RESET, saying(503))] == [1, 1, 1]
    assert [asked(use, failure) for failure in (SILENT, saying(500), saying(404))] == [1, 1, 1]


@pytest.mark.parametrize("use", EFFECTS.values(), ids=EFFECTS)
def test_what_has_effects_is_tried_again_only_where_nothing_was_sent(pauses: List[float], use: Use) -> None:
    assert [asked(use, failure, retries=4) for failure in (RESET, SILENT, saying(503), saying(429))] == [1, 1, 1, 1]
    assert [asked(use, REFUSED), asked(use, REFUSED, retries=0), asked(use, REFUSED, retries=4)] == [3, 1, 5]


@pytest.mark.parametrize("use", READS_BY_POST.values(), ids=READS_BY_POST)
def test_reading_by_post_is_tried_again_where_the_user_said_how_often(pauses: List[float], use: Use) -> None:
    for failure in (RESET, saying(503)):
        assert [asked(use, failure), asked(use, failure, retries=3)] == [1, 4]
    assert asked(use, REFUSED) == 3


# -- on the wire -------------------------------------------------------------------------------------------------------


def reset(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def hang_up(connection: Connection) -> None:
    connection.read_request()


def break_off(connection: Connection) -> None:
    connection.read_request()
    connection.head(200, {"Content-Type": "application/json", "Content-Length": "100"})
    connection.send(b'{"thread_id": ')


BREAKS = pytest.mark.parametrize("breaks", [reset, hang_up, break_off, answer(503), answer(429)])

A_THREAD = {"thread_id": THREAD}


@BREAKS
def test_a_read_that_breaks_twice_is_answered_the_third_time(pauses: List[float], breaks: Any) -> None:
    closing = {"Connection": "close"}
    broken = answer(503, headers=closing) if breaks not in (reset, hang_up, break_off) else breaks
    with RawServer(broken, broken, answer(200, A_THREAD)) as server, Client(server.url) as client:
        assert client.threads.get(THREAD).thread_id == THREAD
        assert [request.method for request in server.requests] == ["GET"] * 3
    assert len(pauses) == 2


@BREAKS
@pytest.mark.parametrize("use", [EFFECTS["threads.create"], EFFECTS["runs.wait"], EFFECTS["threads.delete"]])
def test_an_effect_that_breaks_has_been_asked_for_once(pauses: List[float], breaks: Any, use: Use) -> None:
    with RawServer(breaks) as server, Client(server.url, retries=5) as client:
        with pytest.raises(LgsyncError):
            use(client)
        assert len(server.requests) == 1
    assert pauses == []


def test_a_server_that_does_not_answer_in_time_is_asked_once(pauses: List[float]) -> None:
    def silent(connection: Connection) -> None:
        connection.read_request()
        assert connection.peer_closed()

    with RawServer(silent) as server, Client(server.url, retries=5, timeout=0.05) as client:
        with pytest.raises(ConnectionTimeout):
            client.threads.get(THREAD)
        assert len(server.requests) == 1


def test_a_server_that_is_still_starting_is_waited_for(pauses: List[float]) -> None:
    url = f"http://127.0.0.1:{refused_port()}"
    for retries, times in ((0, 0), (None, 2), (4, 4)):
        pauses.clear()
        with Client(url, retries=retries) as client, pytest.raises(ConnectionFailed, match="refused"):
            client.threads.create()
        assert len(pauses) == times


class Away:
    """A server that refuses every connection until somebody pauses."""

    def __init__(self, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proxy = proxy
        self.pauses: List[float] = []
        monkeypatch.setattr("lgsync.rest.time", SimpleNamespace(sleep=self._pause))

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.proxy.accept_again()


@contextlib.contextmanager
def before(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Away]:
    """What stands before ``server`` and can refuse to let anyone through."""
    with FaultProxy(server.url) as proxy:
        yield Away(proxy, monkeypatch)


def test_an_effect_that_was_refused_is_asked_for_once_the_server_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer(200, A_THREAD)) as server, before(server, monkeypatch) as away:
        away.proxy.refuse()
        with Client(away.proxy.url) as client:
            assert client.threads.create().thread_id == THREAD
        assert len(server.requests) == 1
    assert len(away.pauses) == 1


# -- starting a run ----------------------------------------------------------------------------------------------------


def a_stream(connection: Connection) -> None:
    connection.read_request()
    connection.start_stream({"Content-Location": f"/threads/{THREAD}/runs/{RUN}"})
    assert connection.peer_closed()


def start(client: Client, **options: Any) -> None:
    client.runs.stream(THREAD, "agent", input={}, on_close="continue", **options).close()


def test_a_run_whose_start_was_refused_is_started_once_the_server_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(a_stream) as server, before(server, monkeypatch) as away:
        away.proxy.refuse()
        with Client(away.proxy.url) as client:
            start(client)
        assert [request.path for request in server.requests] == [f"/threads/{THREAD}/runs/stream"]
    assert len(away.pauses) == 1


@BREAKS
def test_a_run_whose_start_breaks_is_not_started_again(pauses: List[float], breaks: Any) -> None:
    with RawServer(breaks) as server, Client(server.url, retries=5) as client:
        with pytest.raises(LgsyncError):
            start(client)
        assert len(server.requests) == 1
    assert pauses == []


@pytest.mark.parametrize("retries", [0, 3])
def test_a_run_that_cannot_be_started_is_told_of_when_it_was_tried_so_often(pauses: List[float], retries: int) -> None:
    url = f"http://127.0.0.1:{refused_port()}"
    for transport in ("sse", "websocket"):
        pauses.clear()
        with Client(url, transport=transport, retries=retries) as client:
            with pytest.raises(ConnectionFailed):
                start(client)
        assert len(pauses) == retries


def test_a_join_is_a_read(pauses: List[float]) -> None:
    refusal = answer(503, headers={"Connection": "close"})
    with RawServer(refusal, reset, a_stream) as server, Client(server.url) as client:
        client.runs.join_stream(THREAD, RUN).close()
        assert {request.method for request in server.requests} == {"GET"}
        assert len(server.requests) == 3
    assert len(pauses) == 2


def commands(server: ThreadServer) -> int:
    return len(server.requests_to("POST", "/commands"))


def handshakes(server: ThreadServer) -> int:
    return len(server.requests_to("GET", "/stream/events"))


def websocket(url: str) -> Client:
    return Client(url, transport="websocket", retries=5)


@pytest.mark.parametrize(
    "fault",
    [Cut(), Cut(how="rst"), Cut(after_bytes=5), Status(503), Status(429)],
    ids=["end", "reset", "half", "503", "429"],
)
def test_a_command_that_has_arrived_is_never_sent_again(pauses: List[float], fault: Any) -> None:
    with ThreadServer() as server, FaultProxy(server.url) as proxy:
        proxy.script(fault, match="/commands", repeat=True)
        with websocket(proxy.url) as client, pytest.raises(LgsyncError):
            start(client)
        assert len([request for request in proxy.requests if request.path.endswith("/commands")]) == 1
        assert handshakes(server) == 1
    assert pauses == []


def test_a_server_that_takes_the_command_and_dies_is_not_given_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadServer() as server, before(server, monkeypatch) as away:

        def take_and_die() -> Any:
            away.proxy.refuse()
            return 200, {"type": "success", "id": 1, "result": {}}

        server.waits_for({"id": "i1", "value": "sure?"})
        server.answers[f"POST {server.base}/commands"] = take_and_die
        with (
            websocket(away.proxy.url) as client,
            pytest.raises(ConnectionLost, match="A run may have begun all the same"),
        ):
            client.runs.stream(THREAD, "agent", command={"resume": "yes"})
        assert (commands(server), handshakes(server)) == (1, 1)
    assert away.pauses == []


def once(act: Callable[[], Any], then: Any) -> Callable[[], Any]:
    """An answer before the first of which something happens."""
    left = [act]

    def respond() -> Any:
        while left:
            left.pop()()
        return then

    return respond


def test_a_handshake_that_was_refused_is_made_again_before_any_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadServer() as server, before(server, monkeypatch) as away:
        thread = f"GET {server.base}"
        server.answers[thread] = once(away.proxy.refuse, server.answers[thread])
        with websocket(away.proxy.url) as client:
            start(client)
        assert (commands(server), handshakes(server)) == (1, 1)
        assert len(server.requests_to("GET", "")) == 2
    assert len(away.pauses) == 1


def test_a_command_that_was_refused_is_sent_over_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadServer() as server, before(server, monkeypatch) as away:
        runs = f"GET {server.base}/runs"
        resumed = [{"run_id": RUN, "kwargs": {"command": {"resume": {"i1": "yes"}}}}]
        server.waits_for({"id": "i1", "value": "sure?"})
        server.answers[runs] = once(away.proxy.refuse, (200, []))

        def take() -> Any:
            server.answers[runs] = (200, resumed)
            return 200, {"type": "success", "id": 1, "result": {}}

        server.answers[f"POST {server.base}/commands"] = take
        with websocket(away.proxy.url) as client:
            client.runs.stream(THREAD, "agent", command={"resume": "yes"}, on_close="continue").close()
        assert (commands(server), handshakes(server)) == (1, 2)
    assert len(away.pauses) == 1
