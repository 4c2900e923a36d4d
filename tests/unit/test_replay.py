from __future__ import annotations

import pickle
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from rawserver import PATIENCE
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, chunk, run_answers, state
from taped import CONFIG, played, recording, replaying, seen

from lgsync import (
    Client,
    ClientClosed,
    ConfigurationError,
    ConnectionLost,
    ConnectionTimeout,
    NotFoundError,
    NotRecorded,
    RunError,
)
from lgsync.parts import StreamPart, Undecoded
from lgsync.transport import RunJoin, RunStart, ThreadJoin, Timeout, TransportConfig
from lgsync.transports import RecordingTransport, ReplayTransport

PARTS = [StreamPart("custom", number, f"{number // 2 + 1}-0") for number in range(10)]
START = RunStart(THREAD, {"assistant_id": "agent", "input": {"n": 1}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def recorded(path: Path, *steps: Any, answers: Optional[Dict[str, Any]] = None, **options: Any) -> None:
    """One run that says this, with answers to what is asked before it."""
    transport = recording(ScriptedTransport(ScriptedSource(steps, **options), answers), path)
    for call in answers or {}:
        method, _, target = call.partition(" ")
        transport.request(method, target)
    seen(transport.open_run(START))
    transport.close()


def recorded_session(path: Path, use: Callable[[Client], Any], *sources: Any, answers: Any = None) -> Any:
    with Client(transport=recording(ScriptedTransport(list(sources), answers or run_answers()), path)) as client:
        return use(client)


# -- the same again ----------------------------------------------------------------------------------------------------


def hello(client: Client) -> Any:
    with client.runs.stream(THREAD, "agent", input={"n": 1}) as run:
        messages = [message.to_dict() for message in run.messages()]
    return messages, run.outcome, run.run_id, run.thread_id


def test_a_client_sees_on_replay_what_it_saw_live(path: Path) -> None:
    source = ScriptedSource(
        [StreamPart("metadata", {"run_id": RUN}), chunk("Hel"), chunk("lo", last=True)], conclusive=False
    )
    answers = run_answers(thread_state=state({"type": "ai", "content": "Hello", "id": "m1"}))
    live = recorded_session(path, hello, source, ScriptedSource([]), answers=answers)

    assert hello(Client(transport=played(path))) == live


def test_a_failed_run_fails_again(path: Path) -> None:
    def fails(client: Client) -> Any:
        with pytest.raises(RunError) as caught, client.runs.stream(THREAD, "agent") as run:
            list(run)
        return str(caught.value), caught.value.error, caught.value.run_id

    failure = StreamPart("error", {"error": "ValueError", "message": "boom"})
    live = recorded_session(path, fails, ScriptedSource([chunk("a"), failure]))

    assert fails(Client(transport=played(path))) == live


def test_a_refusal_is_refused_again(path: Path) -> None:
    def ask(client: Client) -> Any:
        with pytest.raises(NotFoundError) as caught:
            client.threads.get("nowhere")
        return str(caught.value), caught.value.url, caught.value.body

    live = recorded_session(path, ask, None)

    assert ask(Client(transport=played(path))) == live


def test_a_connection_that_broke_breaks_again_and_is_taken_up_as_it_was(path: Path) -> None:
    def read(client: Client) -> List[Any]:
        with client.runs.stream(THREAD, "agent", stream_mode="custom") as run:
            return list(run)

    sources = [ScriptedSource([*PARTS[:5], ConnectionLost("cut", url="http://server")]), ScriptedSource(PARTS[4:])]
    live = recorded_session(path, read, *sources, ScriptedSource([]))

    assert live == PARTS
    assert read(Client(transport=played(path))) == live


def test_it_has_the_name_and_the_abilities_of_what_was_recorded(path: Path) -> None:
    recording("websocket", path)
    replay = replaying(path)

    assert replay.name == "websocket"
    assert replay.capabilities == recording("websocket", path).capabilities


def test_leaving_early_is_replayed_as_it_was(path: Path) -> None:
    def leave(client: Client) -> Any:
        with client.runs.stream(THREAD, "agent", stream_mode="custom") as run:
            first = next(iter(run))
        return first, run.outcome

    live = recorded_session(path, leave, ScriptedSource(PARTS))

    assert leave(Client(transport=played(path))) == live


class _ThreadStreams(ScriptedTransport):
    def open_thread(self, join: ThreadJoin) -> Any:
        return ScriptedSource([StreamPart("metadata", {"run_id": RUN}, "5-0"), *PARTS[8:]])


def test_a_threads_stream_is_replayed_from_any_place(path: Path) -> None:
    join = ThreadJoin(THREAD, ("run_modes",), "5-0")
    live = seen(recording(_ThreadStreams(None), path).open_thread(join))
    replay = replaying(path)

    assert seen(replay.open_thread(join)) == live
    assert seen(replay.open_thread(ThreadJoin(THREAD, position="4-9")))[0] == live[0]
    assert seen(replay.open_thread(ThreadJoin(THREAD)))[0] == []


# -- speed -------------------------------------------------------------------------------------------------------------


def paused(path: Path, seconds: float) -> None:
    """A recording with a pause before its second part."""
    recorded(path, *PARTS[:2])
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if '"kind": "part"' in line)
    for number in range(first, len(lines)):
        begin = lines[number].partition(",")[2]
        lines[number] = f'{{"t": {1.0 if number == first else 1.0 + seconds},{begin}'
    path.write_text("\n".join(lines) + "\n")


def test_without_a_speed_nothing_is_waited_for(path: Path) -> None:
    paused(path, 1000.0)

    assert seen(replaying(path).open_run(START))[0] == PARTS[:2]


@pytest.mark.parametrize("speed", [10.0, 100.0])
def test_a_pause_is_waited_for_at_the_speed_that_was_asked(path: Path, speed: float) -> None:
    paused(path, 0.2 * speed)
    source = replaying(path, speed=speed).open_run(START)
    next(source)
    begun = time.monotonic()
    next(source)

    assert 0.19 < time.monotonic() - begun < 2.0


def test_a_wait_is_freed_by_closing(path: Path) -> None:
    paused(path, 1000.0)
    source = replaying(path, speed=1.0).open_run(START)
    source.patience = lambda _: waits.set()  # type: ignore[func-returns-value]
    waits, got = threading.Event(), []
    reader = threading.Thread(target=lambda: got.append(list(source)))
    reader.start()
    assert waits.wait(PATIENCE)
    source.close()
    reader.join(PATIENCE)

    assert not reader.is_alive()


def test_a_pause_longer_than_the_readers_patience_is_a_timeout(path: Path) -> None:
    paused(path, 1000.0)
    source = replaying(path, speed=1.0).open_run(START)
    source.patience = lambda _: 0.01

    with pytest.raises(ConnectionTimeout):
        list(source)


@pytest.mark.parametrize("speed", [0, -1.0, "fast", True, float("nan")])
def test_a_speed_that_is_none_is_refused(path: Path, speed: Any) -> None:
    recorded(path)

    with pytest.raises(ConfigurationError, match="speed must be a number above 0"):
        replaying(path, speed=speed)


# -- cuts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(11))
def test_wherever_it_is_cut_each_part_is_given_once(path: Path, cut: int) -> None:
    def read(client: Client) -> List[Any]:
        with client.runs.stream(THREAD, "agent", stream_mode="custom") as run:
            return list(run)

    recorded_session(path, read, ScriptedSource(PARTS))

    assert read(Client(transport=played(path, cut_after=cut))) == PARTS


def test_each_stream_can_be_cut_in_its_turn(path: Path) -> None:
    def read(client: Client) -> List[Any]:
        with client.runs.stream(THREAD, "agent", stream_mode="custom") as run:
            return list(run)

    recorded_session(path, read, ScriptedSource(PARTS))

    assert read(Client(transport=played(path, cut_after=[3, 0, 4, 2]))) == PARTS


def test_a_cut_is_a_lost_connection(path: Path) -> None:
    recorded(path, *PARTS)
    parts, _, failure = seen(replaying(path, cut_after=3).open_run(START))

    assert parts == PARTS[:3]
    assert failure is not None
    assert failure[0] is ConnectionLost


def test_what_servers_do_not_keep_is_not_given_again(path: Path) -> None:
    source = ScriptedSource([PARTS[0], StreamPart("messages/partial", [], "9-0"), PARTS[2], PARTS[4]])
    source.not_kept = frozenset(["messages/partial"])
    transport = recording(ScriptedTransport(source), path)
    seen(transport.open_run(START))
    replay = replaying(path, cut_after=3)
    seen(replay.open_run(START))

    assert seen(replay.open_run(RunJoin(THREAD, RUN, position="-1")))[0] == [PARTS[0], PARTS[2], PARTS[4]]


@pytest.mark.parametrize(("position", "given"), [("-1", PARTS), ("3-0", PARTS[6:]), ("5-0", []), (None, PARTS[3:])])
def test_a_join_goes_on_from_any_position(path: Path, position: Optional[str], given: List[StreamPart]) -> None:
    recorded(path, *PARTS)
    replay = replaying(path, cut_after=3)
    seen(replay.open_run(START))

    assert seen(replay.open_run(RunJoin(THREAD, RUN, position=position)))[0] == given


def test_a_join_ends_as_the_run_did(path: Path) -> None:
    recorded(path, *PARTS, outcome="interrupted", exact=False)
    replay = replaying(path, cut_after=3)
    seen(replay.open_run(START))
    source = replay.open_run(RunJoin(THREAD, RUN, position="1-0"))
    list(source)

    assert (source.outcome, source.exact, source.run_id, source.thread_id) == ("interrupted", False, RUN, THREAD)


def test_a_join_of_fewer_modes_gets_those(path: Path) -> None:
    parts = [StreamPart("metadata", {}, "0-0"), chunk("a"), PARTS[4], StreamPart("values", {}, "9-0")]
    recorded(path, *parts)

    got = seen(replaying(path).open_run(RunJoin(THREAD, RUN, ("messages-tuple", "values"), "-1")))[0]
    assert [part.event for part in got] == ["metadata", "messages", "values"]


def test_a_part_can_arrive_as_no_json(path: Path) -> None:
    recorded(path, *PARTS)
    got = seen(replaying(path, corrupt_after=2).open_run(START))[0]

    assert [type(part.data) for part in got] == [int, int, Undecoded, *[int] * 7]


@pytest.mark.parametrize("count", [-1, "3", [1, "2"], True])
def test_a_count_of_parts_that_is_none_is_refused(path: Path, count: Any) -> None:
    recorded(path)

    with pytest.raises(ConfigurationError, match="cut_after must be a number of parts"):
        replaying(path, cut_after=count)


# -- which request -----------------------------------------------------------------------------------------------------


def test_equal_calls_get_their_answers_in_order_and_a_question_its_last_again(path: Path) -> None:
    inner = ScriptedTransport(None)
    transport = recording(inner, path)
    for status in ("running", "success"):
        inner.answers["GET /run"] = (200, {"status": status})
        transport.request("GET", "/run")
    replay = replaying(path)

    assert [b"success" in replay.request("GET", "/run").body for _ in range(4)] == [False, True, True, True]


def test_an_act_is_answered_no_more_often_than_it_was_recorded(path: Path) -> None:
    recorded(path, answers={"POST /threads": (200, {"thread_id": THREAD})})
    replay = replaying(path)
    replay.request("POST", "/threads")

    with pytest.raises(NotRecorded, match=r"\(once more than it was recorded, 1 times\) POST /threads"):
        replay.request("POST", "/threads")


def test_ids_that_the_client_makes_up_may_differ(path: Path) -> None:
    def ask(client: Client) -> Any:
        thread_id = str(uuid.uuid4())
        thread = client.threads.create(thread_id=thread_id, if_exists="do_nothing")
        message = {"type": "human", "content": "hi", "id": str(uuid.uuid4())}
        with client.runs.stream(thread_id, "agent", input={"messages": [message]}) as run:
            list(run)
        return thread_id, thread.thread_id, run.thread_id

    inner = _EchoingTransport([StreamPart("metadata", {"run_id": RUN})])
    with Client(transport=recording(inner, path)) as client:
        live = ask(client)
    mine = ask(Client(transport=played(path)))

    assert len(set(live)) == len(set(mine)) == 1
    assert mine != live


class _EchoingTransport(ScriptedTransport):
    """Makes the threads that it is asked for."""

    def __init__(self, steps: List[Any]) -> None:
        super().__init__(None)
        self._steps = steps

    def request(self, method: str, path: str, **options: Any) -> Any:
        if path == "/threads":
            now = "2026-01-01T00:00:00+00:00"
            made = {"created_at": now, "updated_at": now, "metadata": {}, "status": "idle", "values": None}
            self.answers["POST /threads"] = (200, {**options["json"], **made})
        return super().request(method, path, **options)

    def open_run(self, start: Any) -> Any:
        source = ScriptedSource(self._steps, outcome="success")
        source.thread_id = start.thread_id
        return source


def test_two_ids_that_were_made_up_are_not_taken_for_one(path: Path) -> None:
    transport = recording(ScriptedTransport(None), path)
    for each in ("a" * 32, "b" * 32):
        transport.request("POST", "/things", json={"id": each, "other": each})
    replay = replaying(path)
    replay.request("POST", "/things", json={"id": "c" * 32, "other": "c" * 32})

    with pytest.raises(NotRecorded):
        replay.request("POST", "/things", json={"id": "c" * 32, "other": "c" * 32})


def test_an_id_of_the_servers_is_not_replaced(path: Path) -> None:
    recorded(path, answers={"GET /threads": (200, [{"thread_id": THREAD}]), f"GET /threads/{THREAD}": (200, {})})

    with pytest.raises(NotRecorded):
        replaying(path).request("GET", f"/threads/{uuid.uuid4()}")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"n": 2}, "differs at payload.input.n"),
        ({"n": True}, "differs at payload.input.n"),
        ({"n": 1, "m": 1}, "differs at payload.input.m"),
        ({}, "differs at payload.input.n"),
        ([], "differs at payload.input"),
    ],
)
def test_another_input_is_not_what_was_recorded(path: Path, asked: Any, said: str) -> None:
    recorded(path)

    with pytest.raises(NotRecorded, match=said) as caught:
        replaying(path).open_run(RunStart(THREAD, {"assistant_id": "agent", "input": asked}))
    assert str(path) in str(caught.value)
    assert "record it anew" in str(caught.value)


def test_an_unknown_call_is_told_with_what_there_is(path: Path) -> None:
    recorded(path, answers={"GET /info": (200, {}), "GET /ok": (200, {})})
    replay = replaying(path)
    replay.request("GET", "/ok")

    with pytest.raises(
        NotRecorded, match=r"asked for: GET /assistants/a\. What has not been asked for yet: GET /info\. If"
    ):
        replay.request("GET", "/assistants/a")


def test_a_run_that_is_not_recorded_cannot_be_joined(path: Path) -> None:
    recorded(path)

    with pytest.raises(NotRecorded, match=f"the stream of {THREAD} other"):
        replaying(path).open_run(RunJoin(THREAD, "other"))
    with pytest.raises(NotRecorded, match=f"the stream of {THREAD}. "):
        replaying(path).open_thread(ThreadJoin(THREAD))


def test_a_secret_of_another_value_is_the_same_request(path: Path) -> None:
    transport = recording(ScriptedTransport(None, {"POST /x": (200, {})}), path)
    transport.request("POST", "/x", json={"api_key": "one"}, params={"token": "one"})

    assert replaying(path).request("POST", "/x", json={"api_key": "two"}, params={"token": "two"}).status == 200


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("***", "drop all tables"),
        ("make it ***bold***", "make it bold, then"),
        (["***"], ["drop"]),
        ("***", None),
    ],
)
def test_asterisks_that_a_user_says_stand_for_nothing_else(path: Path, said: Any, asked: Any) -> None:
    transport = recording(ScriptedTransport(ScriptedSource([]), {"POST /x": (200, {})}), path)
    transport.request("POST", "/x", json={"content": said, "api_key": "one"})
    seen(transport.open_run(RunStart(THREAD, {"input": {"content": said}, "config": {"api_key": "one"}})))
    replay = replaying(path)

    with pytest.raises(NotRecorded, match=r"differs at json\.content"):
        replay.request("POST", "/x", json={"content": asked, "api_key": "two"})
    with pytest.raises(NotRecorded, match=r"differs at payload\.input\.content"):
        replay.open_run(RunStart(THREAD, {"input": {"content": asked}, "config": {"api_key": "two"}}))
    assert replay.request("POST", "/x", json={"content": said, "api_key": "two"}).status == 200


def test_where_a_secret_was_quoted_another_one_is_the_same_request(path: Path) -> None:
    config = TransportConfig("http://server", {"x-api-key": "planted-key"})
    inner = ScriptedTransport(ScriptedSource([]), {"POST /x": (200, {})})
    transport = RecordingTransport(config, inner=inner, path=path)
    transport.request("POST", "/x", json={"a": [{"url": "with planted-key in ***"}]})
    seen(transport.open_run(RunStart(THREAD, {"input": "planted-key"})))
    replay = replaying(path)

    assert replay.request("POST", "/x", json={"a": [{"url": "with mine in ***"}]}).status == 200
    assert seen(replay.open_run(RunStart(THREAD, {"input": "mine"})))[0] == []


def test_what_was_recorded_up_to_leaving_says_that_there_is_no_more(path: Path) -> None:
    transport = recording(ScriptedTransport(ScriptedSource(PARTS)), path)
    source = transport.open_run(START)
    next(source)
    source.close()
    replayed = replaying(path).open_run(START)
    replayed.patience = lambda _: 0.01

    assert next(replayed) == PARTS[0]
    with pytest.raises(NotRecorded, match="It ends here, for its program left the stream"):
        next(replayed)


def test_what_was_torn_says_that_there_is_no_more(path: Path) -> None:
    next(recording(ScriptedTransport(ScriptedSource(PARTS)), path).open_run(START))
    replayed = replaying(path).open_run(START)
    replayed.patience = lambda _: 0.01

    with pytest.raises(NotRecorded, match="breaks off here"):
        list(replayed)


# -- as a transport ----------------------------------------------------------------------------------------------------


def test_without_a_recording_it_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"run.jsonl cannot be read: No such file.*Record it by running"):
        replaying(path)
    with pytest.raises(ConfigurationError, match=r"needs a recording: Client\(transport=partial\(ReplayTransport"):
        Client(transport="replay")


def test_a_copy_plays_from_the_start(path: Path) -> None:
    recorded(path, *PARTS)
    replay = ReplayTransport(CONFIG, path=path, cut_after=3)
    first = seen(replay.open_run(START))[0]

    assert seen(pickle.loads(pickle.dumps(replay)).open_run(START))[0] == first == PARTS[:3]


def test_after_closing_nothing_is_answered(path: Path) -> None:
    recorded(path, *PARTS, answers={"GET /ok": (200, {})})
    replay = replaying(path)
    source = replay.open_run(START)
    replay.close()

    assert list(source) == []
    with pytest.raises(ClientClosed):
        replay.request("GET", "/ok")
    with pytest.raises(ClientClosed):
        replay.open_run(RunJoin(THREAD, RUN))


def test_a_call_that_takes_longer_than_it_may_is_a_timeout(path: Path) -> None:
    recorded(path, answers={"GET /ok": (200, {})})
    text = path.read_text()
    begin = text.index('"seconds": ')
    path.write_text(text[:begin] + '"seconds": 1000.0' + text[text.index(",", begin) :])

    with pytest.raises(ConnectionTimeout):
        replaying(path, speed=1.0).request("GET", "/ok", timeout=Timeout(None, None, 0.01))


def test_threads_share_one_replay(path: Path) -> None:
    transport = recording(ScriptedTransport(None), path)
    for number in range(40):
        transport.request("POST", "/count", json={"n": number})
    replay, failures = replaying(path), []

    def ask(numbers: range) -> None:
        try:
            for number in numbers:
                replay.request("POST", "/count", json={"n": number})
        except NotRecorded as exc:
            failures.append(exc)

    threads = [threading.Thread(target=ask, args=(range(first, 40, 8),)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
