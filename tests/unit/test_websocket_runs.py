"""Runs over a WebSocket, against a scripted thread: how they start, what they say, how they end."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Dict, List

import pytest
from event_tape import Tape, ai, human
from rawserver import until
from thread_server import RUN, THREAD, ThreadServer

from lgsync.errors import (
    ConflictError,
    ConnectionLost,
    ConnectionTimeout,
    DecodeError,
    NotFoundError,
    UnprocessableEntityError,
)
from lgsync.parts import StreamPart
from lgsync.transport import PartSource, Quiet, RunJoin, Timeout, TransportConfig
from lgsync.transports import run_calls
from lgsync.transports.websocket import WebSocketTransport

pytestmark = pytest.mark.usefixtures("no_leaks")


def events(parts: List[StreamPart]) -> List[str]:
    return [part.event for part in parts]


def texts(parts: List[StreamPart]) -> List[str]:
    chunks = [part.data[0]["content"] for part in parts if part.kind == "messages"]
    return [block["text"] for content in chunks if isinstance(content, list) for block in content]


def run_of(source: PartSource, server: ThreadServer, *frames: Dict[str, Any]) -> List[StreamPart]:
    """Confirm the subscriptions, send the frames, and read to the end, with all that comes at once."""
    peer = server.peer()
    peer.confirm()
    peer.send(*frames)
    return [part for first in source for part in (first, *source.at_hand())]


def test_a_run_is_told_from_its_beginning_to_its_end() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        assert (source.thread_id, source.run_id) == (THREAD, RUN)
        said = [tape.values(human("hi")), *tape.said("m1", "Hel", "lo"), tape.values(human("hi"), ai("Hello", "m1"))]
        parts = run_of(source, server, tape.running(), *said, tape.completed())
        assert events(parts) == ["metadata", "values", "messages", "messages", "messages", "values"]
        assert texts(parts) == ["Hel", "lo"]
        assert source.outcome == "success"


def test_what_came_with_a_part_is_at_hand_up_to_what_is_no_piece_of_its_message() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        peer = server.peer()
        peer.confirm(tape.running(), tape.values(human("hi")))
        assert [next(source).event, next(source).event] == ["metadata", "values"]
        peer.send_at_once(*tape.said("m1", "a", "b", "c"), tape.values(human("hi"), ai("abc", "m1")), tape.completed())
        assert texts([next(source)]) == ["a"]
        came = source.at_hand()
        assert texts(came) == ["b", "c"]
        assert source.position == came[-1].id
        assert events(list(source)) == ["messages", "values"]


def test_what_is_no_json_is_met_in_its_turn_by_whoever_looked_further() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        peer = server.peer()
        peer.confirm(tape.running())
        peer.send_at_once(*tape.said("m1", "a", "b")[:3], broken=b"{")
        parts = [next(source), next(source), *source.at_hand()]
        assert texts(parts) == ["a", "b"]
        assert source.at_hand() == []
        with pytest.raises(DecodeError):
            next(source)


def test_a_run_starts_before_its_subscriptions_are_confirmed() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        assert [asked.method for asked in server.asked] == ["GET", "GET", "POST"]
        assert server.asked[1].path == f"/threads/{THREAD}/stream/events"
        source.close()


def test_the_subscriptions_ask_for_no_snapshots_of_subgraphs_unless_they_are_wanted() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        assert server.peer().confirm() == [
            {"channels": ["updates", "values"], "namespaces": [[]], "depth": 0},
            {"channels": ["lifecycle", "input", "messages"]},
        ]
        source.close()
        source = server.transport().open_run(server.start(stream_subgraphs=True, stream_mode=["values"]))
        assert server.peer().receive()["params"] == {"channels": ["values", "lifecycle", "input"]}
        source.close()


def test_the_payload_becomes_a_command_in_the_protocols_own_words() -> None:
    with ThreadServer() as server:
        start = server.start(
            input={"x": 1},
            config={"configurable": {"user": "u"}},
            metadata={"m": 1},
            multitask_strategy="reject",
            checkpoint_id="c1",
        )
        server.transport().open_run(start).close()
        (command,) = server.requests_to("POST", "/commands")
        assert command.body == {
            "id": 1,
            "method": "run.start",
            "params": {
                "assistant_id": "agent",
                "input": {"x": 1},
                "config": {"configurable": {"user": "u", "checkpoint_id": "c1"}},
                "metadata": {"m": 1},
                "multitaskStrategy": "reject",
            },
        }


def test_two_replays_come_in_the_order_of_the_tape_and_each_event_once() -> None:
    tape = Tape()
    running, seed, start, text, last = (
        tape.running(),
        tape.values(human("hi")),
        tape.start("m1"),
        tape.text("Hi"),
        tape.completed(),
    )
    with ThreadServer() as server:
        source = server.transport().open_run(server.join())
        server.peer().confirm(seed, running, start, text, running, last)
        parts = list(source)
        assert events(parts) == ["metadata", "values", "messages"]


def test_what_earlier_runs_said_is_dropped() -> None:
    earlier, tape = Tape("run-0"), Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        old = [earlier.running(), *earlier.said("m0", "old"), earlier.completed()]
        tape.seq = earlier.seq
        parts = run_of(source, server, *old, tape.running(), *tape.said("m1", "new"), tape.completed())
        assert texts(parts) == ["new"]


def test_servers_that_name_no_run_are_told_apart_by_time() -> None:
    tape = Tape(names_runs=False)
    with ThreadServer() as server:
        server.answers[f"GET {server.base}/runs/{RUN}"] = (
            200,
            {"run_id": RUN, "status": "running", "created_at": "1970-01-01T00:00:01.007Z"},
        )
        source = server.transport().open_run(server.start())
        old = [tape.running(), *tape.said("m0", "old"), tape.completed()]
        assert tape.seq == 6
        parts = run_of(source, server, *old, tape.running(), *tape.said("m1", "new"), tape.completed())
        assert texts(parts) == ["new"]


def test_a_missing_thread_is_made_if_the_run_may_make_it() -> None:
    with ThreadServer() as server:
        del server.answers[f"GET {server.base}"]
        server.answers["POST /threads"] = (200, {"thread_id": THREAD})
        with pytest.raises(NotFoundError):
            server.transport().open_run(server.start())
        server.transport().open_run(server.start(if_not_exists="create")).close()
        made = [asked.body for asked in server.asked if asked.path == "/threads"]
        assert made == [{"thread_id": THREAD, "if_exists": "do_nothing"}]


def test_a_thread_that_can_be_neither_seen_nor_made_is_not_found() -> None:
    with ThreadServer() as server:
        server.answers[f"GET {server.base}"] = (404, {"detail": "no thread of yours"})
        server.answers["POST /threads"] = (409, {"detail": f"Thread with ID {THREAD} already exists"})
        with pytest.raises(NotFoundError, match="no thread of yours"):
            server.transport().open_run(server.start(if_not_exists="create"))
        assert not server.requests_to("POST", "/commands")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("409: Thread is already running a task.", ConflictError),
        ("422: Invalid assistant: 'nope'", UnprocessableEntityError),
    ],
)
def test_a_refused_start_is_the_error_of_its_status(message: str, error: Any) -> None:
    with ThreadServer() as server:
        refusal = {"type": "error", "id": 1, "error": "unknown_error", "message": message}
        server.answers[f"POST {server.base}/commands"] = (200, refusal)
        with pytest.raises(error, match=message.partition(": ")[2]) as caught:
            server.transport().open_run(server.start())
        url = f"{server.url}/threads/{THREAD}/commands"
        assert str(caught.value).startswith(f"POST {url} (run.start) failed with status {message[:3]}: ")
        assert caught.value.url == url
        assert server.peer().closed.wait(5)


def test_an_error_frame_is_the_error_of_its_status() -> None:
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.peer().send({"type": "error", "id": None, "error": "unknown_error", "message": "404: no such thread"})
        with pytest.raises(NotFoundError, match="no such thread"):
            next(source)


def test_a_failed_run_ends_with_its_error_and_the_class_that_the_state_knows() -> None:
    tape = Tape()
    with ThreadServer() as server:
        server.answers[f"GET {server.base}/state"] = (200, {"tasks": [{"error": "ValueError('no city')"}]})
        source = server.transport().open_run(server.start())
        parts = run_of(source, server, tape.running(), tape.lifecycle("failed", error="no city"))
        assert (parts[-1].event, parts[-1].data) == ("error", {"error": "ValueError", "message": "no city"})
        assert source.outcome == "error"


def test_who_comes_late_to_a_failed_run_learns_its_error_from_the_state() -> None:
    tape = Tape()
    with ThreadServer() as server:
        server.run_is("error")
        server.answers[f"GET {server.base}/state"] = (200, {"tasks": [{"error": "KeyError('x')"}]})
        source = server.transport().open_run(server.join())
        parts = run_of(source, server, tape.running(), tape.lifecycle("failed"))
        assert parts[-1].data == {"error": "KeyError", "message": "x"}


def test_an_interrupted_run_is_heard_out_before_it_ends() -> None:
    tape = Tape()
    waiting = {"id": "i1", "value": "ok?"}
    with ThreadServer() as server:
        server.waits_for(waiting)
        server.answers[f"GET {server.base}"] = (200, {"thread_id": THREAD, "interrupts": {}})
        source = server.transport().open_run(server.start())
        peer = server.peer()
        peer.confirm()
        still_running = threading.Event()

        def status() -> Any:
            if not still_running.is_set():
                still_running.set()
                peer.send(*tape.said("m1", "late"))
            else:
                server.run_is("success")
            return 200, {"status": "running"}

        server.answers[f"GET {server.base}/runs/{RUN}"] = status
        peer.send(tape.running(), tape.values(), tape.interrupt("i1", "ok?"), tape.lifecycle("interrupted"))
        parts = list(source)
        assert texts(parts) == ["late"]
        assert [part.data["__interrupt__"] for part in parts if part.event == "updates"] == [[waiting]]
        assert source.outcome == "interrupted"


def test_an_interrupt_that_no_event_told_is_taken_from_the_state() -> None:
    tape = Tape()
    with ThreadServer() as server:
        server.waits_for({"id": "i1", "value": "one?"}, {"id": "i2", "value": "two?"})
        server.answers[f"GET {server.base}"] = (200, {"thread_id": THREAD})
        server.run_is("success")
        source = server.transport().open_run(server.start())
        parts = run_of(source, server, tape.running(), tape.interrupt("i1", "one?"), tape.lifecycle("interrupted"))
        said = [part.data["__interrupt__"][0]["id"] for part in parts if part.event == "updates"]
        assert said == ["i1", "i2"]


def test_a_cancelled_run_is_told_from_one_that_waits() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.run_is("interrupted")
        run_of(source, server, tape.running(), tape.lifecycle("interrupted"))
        assert source.outcome == "cancelled"


def test_a_run_that_vanishes_without_a_word_was_cancelled() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        server.run_is_gone()
        assert events(run_of(source, server, tape.running())) == ["metadata"]
        assert source.outcome == "cancelled"


def test_a_finished_run_whose_end_was_not_said_ends_as_its_status_says() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        server.run_is("success")
        run_of(source, server, tape.running())
        assert source.outcome == "success"


def test_beats_lose_nothing_and_put_no_question_off() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.1).open_run(server.start())
        server.run_is("success")
        source.beat_seconds = 0.03
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running(), *tape.said("m1", "Hel", "lo"))
        parts: List[StreamPart] = []
        quiet = 0
        while source.outcome is None:
            try:
                parts.extend(source)
            except Quiet:
                quiet += 1
        assert texts(parts) == ["Hel", "lo"]
        assert quiet >= 2
        assert source.outcome == "success"


def test_frames_that_bring_no_part_put_no_beat_off() -> None:
    tape, over = Tape(), threading.Event()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running())

        def send_what_brings_no_part() -> None:
            for _ in range(500):
                if over.wait(0.01):
                    break
                peer.send(tape.lifecycle("started", ["agent:1"]))
            peer.send(tape.completed())

        sending = threading.Thread(target=send_what_brings_no_part)
        sending.start()
        assert next(source).event == "metadata"
        source.beat_seconds = 0.1
        for _ in range(2):
            with pytest.raises(Quiet):
                next(source)
        over.set()
        sending.join()
        source.beat_seconds = None
        assert list(source) == []
        assert source.outcome == "success"


def test_a_beat_waits_for_no_end_of_frames_that_bring_no_part() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running(), *(tape.lifecycle("started", ["agent:1"]) for _ in range(100)), tape.completed())
        assert next(source).event == "metadata"
        # All of them are here.
        inbox = source._connection._socket.inbox  # type: ignore[attr-defined]
        until(lambda: inbox._brought > 100)
        source.beat_seconds = 1e-9
        with pytest.raises(Quiet):
            next(source)
        assert inbox.at_hand or not inbox._batches.empty()
        source.close()


def test_what_came_on_subscriptions_that_were_never_confirmed_is_given_at_the_end() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        server.run_is("success")
        server.peer().send(tape.running(), *tape.said("m1", "Hi"))
        assert texts(list(source)) == ["Hi"]
        assert (source.outcome, source.exact) == ("success", False)


def test_a_run_of_which_nothing_came_on_subscriptions_never_confirmed_is_lost() -> None:
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        server.run_is("success")
        with pytest.raises(ConnectionLost, match="never confirmed"):
            list(source)


def test_a_run_that_ended_well_but_of_which_nothing_came_is_known_to_lack_something() -> None:
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        server.run_is("success")
        assert run_of(source, server) == []
        assert (source.outcome, source.exact) == ("success", False)


def test_a_finished_run_whose_tape_the_next_run_has_taken_ends_though_that_one_goes_on() -> None:
    following = Tape("run-2")
    with ThreadServer() as server:
        started = {"run_id": RUN, "status": "success", "created_at": "1970-01-01T00:00:00.500Z"}
        server.answers[f"GET {server.base}/runs/{RUN}"] = (200, started)
        next_one = {"run_id": "run-2", "status": "running", "created_at": "1970-01-01T00:00:00.600Z"}
        server.answers[f"GET {server.base}/runs/run-2"] = (200, next_one)
        source = server.transport(probe_seconds=60).open_run(server.join())
        assert run_of(source, server, following.running(), following.text("theirs")) == []
        assert (source.outcome, source.exact) == ("success", False)


def test_an_earlier_run_of_the_tape_is_passed_over_whenever_its_events_say_that_they_were_made() -> None:
    earlier, tape = Tape("run-0"), Tape()
    tape.seq = 50
    with ThreadServer() as server:
        for run_id, second in (("run-0", 1), (RUN, 2)):
            started = {"run_id": run_id, "status": "success", "created_at": f"1970-01-01T00:00:0{second}Z"}
            server.answers[f"GET {server.base}/runs/{run_id}"] = (200, started)
        source = server.transport().open_run(server.join())
        beginning = earlier.running()
        beginning["params"]["timestamp"] = 9_000_000
        old = [beginning, *earlier.said("m0", "old"), earlier.completed()]
        parts = run_of(source, server, *old, tape.running(), *tape.said("m1", "new"), tape.completed())
        assert events(parts)[0] == "metadata"
        assert source.outcome == "success"


def test_a_quiet_run_is_waited_for_as_long_as_it_runs() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        peer = server.peer()
        peer.confirm()
        asked = 0

        def status() -> Any:
            nonlocal asked
            asked += 1
            if asked == 10:
                peer.send(tape.running(), tape.completed())
            return 200, {"status": "running"}

        server.answers[f"GET {server.base}/runs/{RUN}"] = status
        assert events(list(source)) == ["metadata"]
        assert source.heartbeats >= 8


def test_silence_of_both_the_socket_and_the_server_is_a_lost_connection() -> None:
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.start())
        server.peer().confirm()
        server.answers[f"GET {server.base}/runs/{RUN}"] = (503, {"detail": "down"})
        with pytest.raises(ConnectionLost, match="silent"):
            next(source)


class Impatient(WebSocketTransport):
    """Notes how long each request may take."""

    def request(self, method: str, path: str, **options: Any) -> Any:
        self.__dict__.setdefault("limits", []).append((path.rpartition("/")[2], options["timeout"]))
        return super().request(method, path, **options)


@pytest.mark.parametrize(("given", "limit"), [(Timeout(300, 300), 10), (Timeout(None, None), 10), (Timeout(3, 2), 3)])
@pytest.mark.parametrize("end", ["failed", "silence", "superseded"])
def test_no_question_while_a_run_is_read_may_take_long(given: Timeout, limit: float, end: str) -> None:
    tape, following = Tape(), Tape("run-2")
    following.seq = 50
    with ThreadServer() as server:
        transport = Impatient(TransportConfig(server.url, timeout=given), probe_seconds=0.2)
        source = transport.open_run(server.start())
        transport.limits.clear()  # type: ignore[attr-defined]
        server.run_is("success")
        last = {"failed": [tape.lifecycle("failed")], "silence": [], "superseded": [following.running()]}[end]
        run_of(source, server, tape.running(), *last)
        limits = transport.limits  # type: ignore[attr-defined]
        assert "state" in [name for name, _ in limits]
        assert all(
            timeout.connect <= limit and timeout.read <= min(limit, given.read or limit) for _, timeout in limits
        )
        transport.close()


def test_the_next_run_ends_this_one_as_its_status_says() -> None:
    tape, following = Tape(), Tape("run-2")
    with ThreadServer() as server:
        source = server.transport().open_run(server.start())
        server.run_is("interrupted")
        following.seq = 50
        parts = run_of(source, server, tape.running(), following.running(), *following.said("m2", "theirs"))
        assert events(parts) == ["metadata"]
        assert source.outcome == "cancelled"


class Late:
    """A transport whose clock each request moves by a second and a half."""

    def __init__(self, server: ThreadServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(run_calls, "time", self)
        self.transport = server.transport()
        self.asked: List[str] = []
        self.totals: List[Any] = []
        ask = self.transport.request

        def request(method: str, path: str, **options: Any) -> Any:
            self.asked.append(method)
            self.totals.append(options["timeout"].total)
            self.now += 1.5
            return ask(method, path, **{**options, "timeout": None})

        monkeypatch.setattr(self.transport, "request", request)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_each_request_of_an_opening_gets_what_is_left_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadServer() as server:
        late = Late(server, monkeypatch)
        source = late.transport.open_run(dataclasses.replace(server.start(), timeout=Timeout(5, 300, 4)))
        assert late.totals == [4, 2.5]
        late.now += 1000
        # What is asked about it later has nothing to do with its opening.
        tape = Tape()
        assert events(run_of(source, server, tape.running(), tape.lifecycle("failed", error="boom"))) == [
            "metadata",
            "error",
        ]
        assert late.totals == [4, 2.5, None]


def test_a_run_is_not_started_once_the_time_of_its_opening_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadServer() as server:
        late = Late(server, monkeypatch)
        with pytest.raises(ConnectionTimeout, match="the stream was not open within 1 s"):
            late.transport.open_run(dataclasses.replace(server.start(), timeout=Timeout(5, 300, 1)))
        assert late.asked == ["GET"]


def test_the_run_of_an_answer_is_looked_for_no_longer_than_its_opening_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ThreadServer() as server:
        server.waits_for({"id": "i", "value": "?"})
        server.answers[f"POST {server.base}/commands"] = (200, {"type": "success", "id": 1, "result": {}})
        late = Late(server, monkeypatch)
        answer = server.start(input=None, command={"resume": "yes"})
        with pytest.raises(ConnectionTimeout):
            late.transport.open_run(dataclasses.replace(answer, timeout=Timeout(5, 300, 6.5)))
        assert late.asked == ["GET", "GET", "POST", "GET", "GET"]


def test_a_run_can_be_joined_at_any_part_and_gives_exactly_the_rest() -> None:
    tape = Tape()
    tool = {"type": "tool", "content": "54F", "id": "r1", "tool_call_id": "t1"}
    frames = [
        tape.running(),
        tape.values(human("hi")),
        *tape.said("m1", "Hel", "lo"),
        tape.values(human("hi"), ai("Hello", "m1"), tool, human("and?", "h2")),
        tape.completed(),
    ]
    with ThreadServer() as server:

        def joined(position: Any) -> List[StreamPart]:
            source = server.transport().open_run(server.join(position))
            server.peer().confirm(*frames)
            parts = []
            for part in source:
                assert source.position == part.id
                parts.append(part)
            return parts

        whole = joined("-1")
        assert len(whole) == 8
        for place, part in enumerate(whole):
            assert joined(part.id) == whole[place + 1 :]


def test_a_position_that_is_no_longer_there_is_a_lost_stream_not_a_silent_gap() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.join("long-gone"))
        with pytest.raises(ConnectionLost, match="no longer has the position"):
            run_of(source, server, tape.running(), *tape.said("m1", "Hi"), tape.completed())


def test_a_run_whose_beginning_is_no_longer_there_is_not_told_from_the_middle() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport().open_run(server.join())
        with pytest.raises(ConnectionLost, match="no longer has the beginning"):
            run_of(source, server, tape.text("llo"), tape.completed())


def test_joining_from_now_on_drops_what_was_said_before() -> None:
    tape = Tape()
    with ThreadServer() as server:
        source = server.transport(probe_seconds=0.2).open_run(server.join(None))
        peer = server.peer()
        peer.confirm(tape.running(), tape.start("m1"), tape.text("old "))
        asked = len(server.requests_to("GET", f"/runs/{RUN}"))

        def status() -> Any:
            peer.send(tape.text("new"), tape.completed())
            server.run_is("success")
            return 200, {"status": "running"}

        server.answers[f"GET {server.base}/runs/{RUN}"] = status
        assert texts(list(source)) == ["new"]
        assert len(server.requests_to("GET", f"/runs/{RUN}")) > asked


def test_joining_a_run_that_is_not_there_is_not_found() -> None:
    with ThreadServer() as server:
        server.run_is_gone()
        with pytest.raises(NotFoundError):
            server.transport().open_run(server.join())
        assert not server.requests_to("GET", "/stream/events")


def test_a_finished_run_that_is_not_replayed_ends_at_once_as_its_status_says() -> None:
    with ThreadServer() as server:
        server.run_is("success")
        server.answers[f"GET {server.base}/state"] = (200, {"tasks": [], "metadata": {"run_id": "a later one"}})
        source = server.transport(probe_seconds=0.2).open_run(server.join())
        assert run_of(source, server) == []
        assert source.outcome == "success"


def test_a_join_that_would_cancel_on_leaving_is_refused() -> None:
    with ThreadServer() as server, pytest.raises(ValueError, match="cancel_on_disconnect"):
        server.transport().open_run(RunJoin(THREAD, RUN, cancel_on_disconnect=True))
