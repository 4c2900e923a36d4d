"""A thread's stream goes on until it is closed, whatever becomes of its connections."""

from __future__ import annotations

import contextlib
import gc
import itertools
import pickle
import re
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional, Type

import pytest
from rawserver import PATIENCE, Connection, RawServer, until
from scripted import THREAD, ScriptedTransport
from thread_sources import ThreadScript, ThreadTransport, part

from lgsync.client import Client
from lgsync.errors import (
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    DeadlineExceeded,
    DecodeError,
    LgsyncError,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
    StreamLost,
    UnsupportedByTransport,
)
from lgsync.parts import StreamPart, Undecoded
from lgsync.thread_events import ThreadEvents
from lgsync.transport import PartSource, ThreadJoin, Timeout, TransportConfig
from lgsync.transports.sse import SSETransport
from lgsync.transports.websocket import WebSocketTransport

pytestmark = pytest.mark.usefixtures("no_leaks")

NEVER = threading.Event()
CUT = ConnectionLost("cut", url="http://server")
RUNS = f"GET /threads/{THREAD}/runs"


def joined(*sources: Any, answers: Any = None, reconnect: float = 60.0, **options: Any) -> ThreadEvents:
    transport = ThreadTransport(*sources, answers=answers)
    return Client(transport=transport, reconnect=reconnect).threads.join_stream(THREAD, **options)


def transport_of(events: ThreadEvents) -> ThreadTransport:
    transport = events._rest.transport
    assert isinstance(transport, ThreadTransport)
    return transport


def ids(events: ThreadEvents, count: int) -> List[Optional[str]]:
    """The ids of the next parts, after which the stream is closed."""
    with events:
        return [each.id for each in itertools.islice(events, count)]


def quiet() -> ThreadScript:
    """A connection that nothing comes from."""
    return ThreadScript(NEVER)


# -- joining -----------------------------------------------------------------------------------------------------------


def test_parts_come_as_the_server_sends_them() -> None:
    said = [StreamPart("metadata", {"run_id": "r", "attempt": 1}, "1-0"), StreamPart("values", {"n": 1}, "2-0")]
    events = joined(ThreadScript(*said, NEVER))
    with events:
        assert list(itertools.islice(events, 2)) == said


def test_what_is_to_be_shown_and_from_where_is_asked_of_the_transport() -> None:
    with joined(quiet(), stream_mode=["lifecycle", "state_update"], last_event_id="7-0") as events:
        live, replay = transport_of(events).joins
    assert live.modes == replay.modes == ("lifecycle", "state_update")
    assert (live.position, replay.position) == (None, "7-0")
    with joined(quiet()) as events:
        (join,) = transport_of(events).joins
    assert (join.modes, join.position) == (("run_modes",), None)


@pytest.mark.parametrize("stream_mode", ["values", ["run_modes", "all"], []])
def test_a_mode_that_threads_have_not_is_refused_before_anything_is_sent(stream_mode: Any) -> None:
    transport = ThreadTransport(quiet())
    with pytest.raises(ConfigurationError, match="stream_mode.*run_modes, lifecycle, state_update"):
        Client(transport=transport).threads.join_stream(THREAD, stream_mode=stream_mode)
    assert transport.joins == []


def test_a_thread_that_is_not_there_is_not_found_at_once() -> None:
    source = quiet()
    with pytest.raises(NotFoundError, match="/runs"):
        joined(source, answers={RUNS: (404, {"detail": "Not Found"})})
    assert source.closed.is_set()


def test_a_transport_without_such_a_stream_says_which_have_one_and_sends_nothing() -> None:
    transport = ScriptedTransport()
    with pytest.raises(UnsupportedByTransport, match='transport="sse" or transport="websocket"') as caught:
        Client(transport=transport).threads.join_stream(THREAD)
    assert caught.value.alternatives == ("sse", "websocket")
    assert transport.requests == []


def test_the_headers_and_params_of_the_call_go_with_every_request() -> None:
    client = Client(transport=ThreadTransport(ThreadScript(part("1-0"), CUT), quiet())).with_options(
        headers={"X-Client": "one"}
    )
    events = client.threads.join_stream(THREAD, headers={"X-Call": "mine"}, params={"extra": "1"})
    reading(events)
    until(lambda: len(transport_of(events).joins) == 3)
    events.close()
    for join in transport_of(events).joins:
        assert dict(join.headers) == {"X-Client": "one", "X-Call": "mine"}
        assert dict(join.params) == {"extra": "1"}


def reading(events: Iterator[Any]) -> List[Any]:
    """Read in another thread, until the end; what was read so far, and at last what was raised."""
    read: List[Any] = []

    def each() -> None:
        try:
            for one in events:
                read.append(one)
            read.append(None)
        except LgsyncError as exc:
            read.append(exc)

    threading.Thread(target=each, name="reader", daemon=True).start()
    return read


# -- taking up again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [[CUT], []], ids=["broken", "ended cleanly"])
def test_a_connection_that_ends_is_taken_up_where_it_was(end: List[Any]) -> None:
    replay = ThreadScript(part("1000-0"), part("1000-0"), part("1001-0"), NEVER)
    events = joined(ThreadScript(part("1000-0"), *end), quiet(), replay)
    assert ids(events, 3) == ["1000-0", "1000-0", "1001-0"]
    assert [join.position for join in transport_of(events).joins] == [None, None, "999-18446744073709551615"]
    assert len(transport_of(events).calls(RUNS)) == 2


def test_a_pause_is_told_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="lgsync"):
        ids(joined(ThreadScript(part("1-0"), CUT), quiet(), ThreadScript(part("1-0"), part("2-0"))), 2)
    assert [record.getMessage() for record in caplog.records] == ["Trying again in 0.00 s: cut"]


def test_a_connection_that_brought_nothing_is_taken_up_from_when_it_was_heard_last() -> None:
    events = joined(ThreadScript(CUT, position="5000-0"), quiet(), ThreadScript(part("6000-0"), NEVER))
    assert ids(events, 1) == ["6000-0"]
    assert transport_of(events).joins[-1].position == "5000-0"


def test_what_is_not_kept_is_not_waited_for() -> None:
    first = ThreadScript(part("1-0"), part("1-0", event="state_update"), CUT)
    events = joined(first, quiet(), ThreadScript(part("1-0"), part("1-0"), NEVER))
    assert ids(events, 3) == ["1-0", "1-0", "1-0"]


def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    away = ConnectionFailed("refused", url="http://server", refused=True)
    events = joined(ThreadScript(part("1-0"), CUT), away, away, quiet(), ThreadScript(part("2-0"), NEVER))
    assert ids(events, 2) == ["1-0", "2-0"]


def test_a_server_that_stays_away_is_a_lost_stream_that_says_where_to_go_on() -> None:
    away = ConnectionFailed("refused", url="http://server", refused=True)
    events = joined(ThreadScript(part("7-0"), CUT), away, reconnect=0.05)
    assert next(events).id == "7-0"
    for _ in range(2):
        with pytest.raises(StreamLost, match=r"refused.*last_event_id='7-0'") as caught:
            next(events)
    assert (caught.value.thread_id, caught.value.run_id, caught.value.cursor) == (THREAD, None, None)


def test_a_thread_that_is_gone_by_then_is_not_found() -> None:
    there = iter([(200, []), (404, {"detail": "gone"})])
    events = joined(ThreadScript(part("1-0"), CUT), quiet(), answers={RUNS: lambda: next(there)})
    next(events)
    with pytest.raises(NotFoundError, match="gone"):
        next(events)


def test_no_time_that_a_stream_was_quiet_counts_as_time_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(0.0, 40.0)
    monkeypatch.setattr("lgsync.recovery.time", Clock(lambda: next(now)))
    cuts = [ThreadScript(CUT, position="1-0")]
    for _ in range(2):
        live, replay = ThreadScript(NEVER, position="1-0"), ThreadScript(position="1-0")
        replay._steps = iter([beats(replay), CUT])
        cuts += [live, replay]
    cuts += [quiet(), ThreadScript(part("9-0"), NEVER)]
    assert ids(joined(*cuts), 1) == ["9-0"]


class Clock:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic


def beats(source: ThreadScript) -> Callable[[], None]:
    return lambda: source.beat(0.5)


def test_an_interrupt_from_the_keyboard_costs_no_part() -> None:
    events = joined(ThreadScript(part("1-0"), KeyboardInterrupt()), quiet(), ThreadScript(part("2-0"), NEVER))
    assert next(events).id == "1-0"
    with pytest.raises(KeyboardInterrupt):
        next(events)
    assert ids(events, 1) == ["2-0"]


# -- what is told ------------------------------------------------------------------------------------------------------


def test_the_position_is_after_the_last_part_and_before_any_where_it_was_heard_last() -> None:
    with joined(ThreadScript(part("7-0"), part(None, "no id"), NEVER, position="5-0")) as events:
        assert events.position == "5-0"
        next(events)
        assert events.position == "7-0"
        next(events)
        assert events.position == "7-0"
    with joined(quiet(), last_event_id="3-0") as events:
        assert events.position == "3-0"


def test_an_event_that_is_no_json_is_told_and_the_stream_goes_on() -> None:
    events = joined(ThreadScript(StreamPart("values", Undecoded("{oops"), "1-0"), part("2-0"), NEVER))
    with pytest.raises(DecodeError, match=f"values.*{THREAD}.*oops") as caught:
        next(events)
    assert caught.value.text == "{oops"
    assert ids(events, 1) == ["2-0"]


def test_it_is_shown_by_its_thread_and_whether_it_goes_on() -> None:
    with joined(ThreadScript(part("1-0"), DENIED)) as events:
        assert repr(events) == f"<ThreadEvents thread={THREAD} streaming>"
        next(events)
        with pytest.raises(PermissionDeniedError):
            next(events)
        assert repr(events).endswith("failed>")
    assert repr(events).endswith("closed>")


DENIED = PermissionDeniedError("denied", url="http://server", status_code=403)


def test_it_cannot_be_sent_to_another_process_and_says_what_can() -> None:
    with joined(quiet()) as events, pytest.raises(TypeError, match="thread_id and position"):
        pickle.dumps(events)


# -- leaving -----------------------------------------------------------------------------------------------------------


def test_closing_from_another_thread_frees_who_reads() -> None:
    source = quiet()
    events = joined(source)
    read = reading(events)
    assert source.waiting.wait(PATIENCE)
    events.close()
    until(lambda: read == [None])
    assert list(events) == []
    assert source.closed.is_set()


def test_closing_frees_who_waits_for_a_server_that_does_not_answer() -> None:
    asked, answer = threading.Event(), threading.Event()

    def never() -> Any:
        asked.set()
        assert answer.wait(PATIENCE)
        return 200, []

    answers = iter([lambda: (200, []), never])
    late = quiet()
    events = joined(ThreadScript(CUT, position="1-0"), late, answers={RUNS: lambda: next(answers)()})
    read = reading(events)
    assert asked.wait(PATIENCE)
    events.close()
    until(lambda: read == [None])
    answer.set()
    assert late.closed.wait(PATIENCE)


def test_closing_frees_who_waits_to_try_again() -> None:
    away = ConnectionFailed("refused", url="http://server", refused=True)
    events = joined(ThreadScript(CUT, position="1-0"), away)
    read = reading(events)
    until(lambda: len(transport_of(events).joins) == 3)
    events.close()
    until(lambda: read == [None])


def test_leaving_the_block_early_frees_the_connection() -> None:
    source = ThreadScript(part("1-0"), NEVER)
    with contextlib.suppress(ZeroDivisionError), joined(source) as events:
        for _ in events:
            raise ZeroDivisionError
    assert source.closed.is_set()


def test_letting_go_of_it_frees_the_connections() -> None:
    live, replay = quiet(), ThreadScript(part("8-0"), NEVER)
    for _ in joined(live, replay, last_event_id="7-0"):
        break
    gc.collect()
    assert live.closed.wait(PATIENCE)
    assert replay.closed.wait(PATIENCE)


def test_two_loops_share_the_parts() -> None:
    held = threading.Event()
    events = joined(ThreadScript(part("1-0"), held, part("2-0"), NEVER))
    one, other = reading(events), reading(events)
    held.set()
    until(lambda: len(one) + len(other) == 2)
    events.close()
    until(lambda: len(one) + len(other) == 4)
    assert sorted(str(each.id) for each in one + other if each is not None) == ["1-0", "2-0"]


def test_a_deadline_ends_it_however_much_comes() -> None:
    def more() -> Iterator[StreamPart]:
        for number in itertools.count(1):
            yield part(f"{number}-0")

    source = ThreadScript()
    source._steps = more()
    with pytest.raises(DeadlineExceeded, match=f"thread {THREAD}.*last_event_id") as caught:
        for _ in joined(source, deadline=0.05):
            continue
    assert caught.value.thread_id == THREAD
    assert source.closed.is_set()


def test_a_deadline_bounds_the_opening_too() -> None:
    def slow(connection: Connection) -> None:
        connection.read_request()
        assert connection.peer_closed()

    with RawServer(slow) as server, Client(server.url) as client:
        with pytest.raises(DeadlineExceeded, match="Opening the stream"):
            client.threads.join_stream(THREAD, deadline=0.1)


# -- on the wire -------------------------------------------------------------------------------------------------------

over_both = pytest.mark.parametrize("kind", [SSETransport, WebSocketTransport])

Kind = Type[Any]

DATE = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
MIDNIGHT = 1767225600000


def serving(*events: bytes, headers: Optional[Dict[str, str]] = None) -> Callable[[Connection], None]:
    """The stream with these events, which then stays open until its client leaves; other requests get a list."""

    def script(connection: Connection) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while "/stream" not in connection.read_request().path:
                connection.respond(200, [])
            connection.start_stream(headers)
            for event in events:
                connection.chunk(event)
            assert connection.peer_closed()

    return script


def event(name: str, data: str, part_id: Optional[str] = None) -> bytes:
    return f"event: {name}\r\ndata: {data}\r\n".encode() + (f"id: {part_id}\r\n" if part_id else "").encode() + b"\r\n"


@over_both
def test_the_route_is_asked_with_what_servers_read(kind: Kind) -> None:
    with RawServer(serving(event("values", "{}", "1-0"))) as server, Client(server.url, transport=kind) as client:
        with client.threads.join_stream("t/1", stream_mode=["run_modes", "state_update"], last_event_id="é 7"):
            until(lambda: len(server.requests) == 3)
        streams = [request for request in server.requests if "/stream" in request.path]
        (listed,) = [request for request in server.requests if "/stream" not in request.path]
    assert listed.target == "/threads/t%2F1/runs?limit=1&select=run_id"
    assert {stream.target for stream in streams} == {"/threads/t%2F1/stream?stream_modes=run_modes%2Cstate_update"}
    assert [stream.headers.get("last-event-id") for stream in streams] == [None, "é 7".encode().decode("latin-1")]
    assert {stream.headers["accept"] for stream in streams} == {"text/event-stream"}


@over_both
def test_a_source_gives_the_threads_parts_and_where_it_stands(kind: Kind) -> None:
    with source_of(kind, serving(event("values", '{"n":1}', "7-0"), headers=DATE)) as source:
        assert source.position == f"{MIDNIGHT}-0"
        assert next(source) == StreamPart("values", {"n": 1}, "7-0")
        assert (source.position, source.thread_id) == ("7-0", THREAD)
        assert {"state_update", "error", "messages/partial"} <= source.not_kept


@contextlib.contextmanager
def source_of(kind: Kind, script: Callable[[Connection], None], position: Optional[str] = None) -> Iterator[PartSource]:
    with RawServer(script) as server:
        transport = kind(TransportConfig(server.url, timeout=Timeout(5, 5)))
        with contextlib.closing(transport):
            source = transport.open_thread(ThreadJoin(THREAD, position=position))
            with contextlib.closing(source):
                yield source


@pytest.mark.parametrize(
    ("headers", "asked", "position"),
    [(DATE, "3-0", "3-0"), ({}, None, None), ({"Date": "soon"}, None, None)],
    ids=["given", "no date", "no such date"],
)
def test_where_nothing_came_the_position_is_what_was_asked_for_or_what_the_server_tells(
    headers: Dict[str, str], asked: Optional[str], position: Optional[str]
) -> None:
    with source_of(SSETransport, serving(headers=headers), asked) as source:
        assert source.position == position


def test_the_position_before_any_part_moves_with_the_heartbeats() -> None:
    released = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream(DATE)
        connection.chunk(b": heartbeat\r\n\r\n")
        assert released.wait(PATIENCE)
        connection.chunk(event("values", "{}", "9-0"))

    with source_of(SSETransport, script) as source:
        # As if it had been open for 100 s when the heartbeat came; the last 30 of these are in doubt.
        source._opened_at -= 100  # type: ignore[attr-defined]
        seen: List[Any] = []

        def look(one: PartSource) -> Optional[float]:
            seen.append(one.position)
            if len(seen) == 2:
                released.set()
            return PATIENCE

        source.patience = look
        next(source)
    assert MIDNIGHT + 70_000 <= int(seen[1].partition("-")[0]) < MIDNIGHT + 72_000


@over_both
def test_a_refusal_that_comes_as_the_first_event_is_typed_by_its_status(kind: Kind) -> None:
    refusal = event("error", '{"error":"HTTPException","message":"403: not yours"}')
    with source_of(kind, serving(refusal)) as source, pytest.raises(PermissionDeniedError, match="not yours"):
        next(source)


def test_the_failure_of_a_run_is_a_part_like_any_other() -> None:
    failure = event("error", '{"error":"HTTPException","message":"403: in a node"}', "7-0")
    with source_of(SSETransport, serving(failure)) as source:
        assert next(source).data["message"] == "403: in a node"


@over_both
def test_an_answer_that_is_no_stream_is_told(kind: Kind) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.respond(200, b"<html>", {"Content-Type": "text/html"})

    with RawServer(script) as server, Client(server.url, transport=kind) as client:
        with pytest.raises(ResponseError, match=re.escape("text/html")):
            client.threads.join_stream(THREAD)


@over_both
def test_closing_the_client_ends_the_stream(kind: Kind) -> None:
    with RawServer(serving()) as server:
        client = Client(server.url, transport=kind)
        events = client.threads.join_stream(THREAD)
        read = reading(events)
        client.close()
        until(lambda: len(read) == 1)
        events.close()
    assert isinstance(read[0], ClientClosed)
