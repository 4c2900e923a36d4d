from __future__ import annotations

import threading
import time
from typing import Any, List, Mapping, Optional, Tuple, Union

import pytest
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, chunk, interrupt, run_answers, state, update, whole

from lgsync.closing import Closing
from lgsync.cursor import Cursor, Place
from lgsync.deadline import Deadline
from lgsync.delivery import Delivery, Earlier, Gap
from lgsync.errors import (
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DeadlineExceeded,
    DecodeError,
    EventTooLarge,
    InternalServerError,
    LgsyncError,
    NotFoundError,
    PermissionDeniedError,
    PositionLost,
    ResponseError,
    StreamLost,
)
from lgsync.parts import StreamPart, Undecoded
from lgsync.policy import Policy
from lgsync.rest import Rest
from lgsync.transport import RunJoin, RunStart, Timeout

UPDATES = ("messages-tuple", "updates")
CUT = ConnectionLost("reset by peer", url="http://server")
AWAY = ConnectionFailed("refused", url="http://server")

#: One connection's steps, or what keeps it from being made.
Steps = Union[Tuple[Any, ...], List[Any], BaseException]


def deliver(
    *connections: Steps,
    answers: Any = None,
    modes: Tuple[str, ...] = UPDATES,
    payload: Optional[Mapping[str, Any]] = None,
    start: Optional[RunJoin] = None,
    deadline: Optional[float] = None,
    source: Optional[Mapping[str, Any]] = None,
    **policy: Any,
) -> Tuple[Delivery, ScriptedTransport]:
    """A delivery over these connections, one after the other."""
    sources = [c if isinstance(c, BaseException) else ScriptedSource(c, **(source or {})) for c in connections]
    transport = ScriptedTransport(sources, run_answers() if answers is None else answers)
    run = start or RunStart(THREAD, {"stream_mode": list(modes), **(payload or {})})
    rules = Policy(**{"budget": 60.0, "idle": 300.0, "jitter": lambda: 0.0, **policy})
    return Delivery(Rest(transport), run, rules, Deadline(deadline)), transport


def delivery(
    *steps: Any, answers: Any = None, modes: Tuple[str, ...] = UPDATES, **source: Any
) -> Tuple[Delivery, ScriptedTransport]:
    """A delivery over one connection, which is not taken up again."""
    return deliver(steps, answers=answers, modes=modes, source=source, budget=0.0)


def drain(one: Delivery) -> List[Any]:
    items: List[Any] = []
    while True:
        item = one.next_part()
        if item is None:
            return items
        items.append(item)


def part(id_: Optional[str], text: str = "x") -> StreamPart:
    return StreamPart("custom", text, id_)


def joins(transport: ScriptedTransport) -> List[Optional[str]]:
    """The positions that were joined from, in order."""
    return [start.position for start in transport.started if isinstance(start, RunJoin)]


def test_parts_come_in_order_and_a_finished_run_is_a_success() -> None:
    one, _ = delivery(chunk("a"), chunk("b", last=True))
    assert [part.event for part in drain(one)] == ["messages", "messages"]
    assert one.outcome == "success"


def test_a_clean_end_asks_once_how_the_run_ended() -> None:
    one, transport = delivery(chunk("a"))
    drain(one)
    assert transport.requests == [("GET", f"/threads/{THREAD}/runs/{RUN}", {})]


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_clean_end_of_a_run_that_goes_on_is_a_lost_stream(status: str) -> None:
    one, _ = delivery(chunk("a")._replace(id="7-0"), answers=run_answers(status))
    assert one.next_part() is not None
    with pytest.raises(StreamLost, match="still going on") as caught:
        one.next_part()
    assert (caught.value.thread_id, caught.value.run_id) == (THREAD, RUN)
    assert Cursor.parse(str(caught.value.cursor)).place == Place(None, "7-0", 1)


def test_a_broken_connection_is_a_lost_stream_with_its_cause() -> None:
    one, _ = delivery(chunk("a"), ConnectionLost("reset by peer", url="http://server"))
    one.next_part()
    with pytest.raises(StreamLost, match="reset by peer") as caught:
        one.next_part()
    assert isinstance(caught.value.__cause__, ConnectionLost)


def test_a_server_that_cannot_be_asked_how_the_run_ended_is_a_lost_stream() -> None:
    refused = ConnectionFailed("refused", url="http://server")
    one, _ = delivery(answers={f"GET /threads/{THREAD}/runs/{RUN}": refused})
    with pytest.raises(StreamLost, match="refused"):
        one.next_part()


def test_an_interrupt_among_the_updates_makes_the_outcome_interrupted() -> None:
    one, transport = delivery(interrupt({"q": "ok?"}))
    drain(one)
    assert one.outcome == "interrupted"
    assert [i["value"] for i in one.interrupts] == [{"q": "ok?"}]
    assert not transport.calls(f"GET /threads/{THREAD}/state")


def test_two_interrupts_in_two_events_are_both_kept_once() -> None:
    one, _ = delivery(interrupt("a", id="1"), interrupt("b", id="2"), interrupt("a", id="1"))
    drain(one)
    assert [i["value"] for i in one.interrupts] == ["a", "b"]


def test_a_stop_before_a_node_shows_as_an_empty_list_of_interrupts() -> None:
    one, _ = delivery(StreamPart("updates", {"__interrupt__": []}))
    drain(one)
    assert (one.outcome, one.interrupts) == ("interrupted", [])


def test_a_stream_of_messages_alone_learns_of_the_interrupt_from_the_state() -> None:
    paused = state(tasks=({"interrupts": [{"value": "ok?", "id": "1"}]},), next=("ask",))
    one, _ = delivery(chunk("a"), answers=run_answers("success", paused), modes=("messages",))
    drain(one)
    assert one.outcome == "interrupted"
    assert one.interrupts == [{"value": "ok?", "id": "1"}]


def test_a_cancelled_run_ends_as_cancelled() -> None:
    one, _ = delivery(answers=run_answers("interrupted"))
    drain(one)
    assert one.outcome == "cancelled"


def test_a_run_that_was_rolled_back_is_gone_and_counts_as_cancelled() -> None:
    one, _ = delivery(answers={f"GET /threads/{THREAD}": (200, {"thread_id": THREAD})})
    drain(one)
    assert one.outcome == "cancelled"


def test_a_run_whose_thread_is_gone_too_is_lost() -> None:
    one, _ = delivery(answers={})
    with pytest.raises(StreamLost, match="no longer knows its thread"):
        one.next_part()


def test_an_error_part_makes_the_outcome_error_and_is_told_apart_by_class_and_text() -> None:
    one, transport = delivery(StreamPart("error", {"error": "ValueError", "message": "no such city"}))
    drain(one)
    assert one.outcome == "error"
    assert one.failure is not None
    assert (one.failure.error, one.failure.detail) == ("ValueError", "no such city")
    assert transport.requests == []


def test_a_failed_run_whose_error_part_is_gone_is_explained_by_its_state() -> None:
    failed = state(tasks=({"error": "ValueError('no such city')"},))
    one, _ = delivery(answers=run_answers("error", failed))
    drain(one)
    assert one.failure is not None
    assert (one.failure.error, one.failure.detail) == ("ValueError", "no such city")
    assert THREAD in str(one.failure)
    assert RUN in str(one.failure)


def test_a_transport_that_knows_the_outcome_is_not_second_guessed() -> None:
    one, transport = delivery(update(whole("ai", "hi", id="m1")), outcome="success")
    drain(one)
    assert one.outcome == "success"
    assert transport.requests == []


def test_messages_that_came_inexact_need_the_state() -> None:
    one, _ = delivery(update(whole("ai", "hi", id="m1")), outcome="success", exact=False)
    drain(one)
    assert one.needs_state


def test_after_close_the_end_comes_quietly_and_nothing_is_asked() -> None:
    one, transport = delivery(chunk("a"))
    one.close("cancelled")
    assert one.next_part() is None
    assert one.outcome == "cancelled"
    assert transport.requests == []


def test_cancelling_a_run_that_has_ended_reports_that_there_was_nothing_to_cancel() -> None:
    one, _ = delivery(answers={})
    assert one.cancel("interrupt") is False


def test_a_run_without_a_thread_ends_with_what_the_stream_showed() -> None:
    source = ScriptedSource([interrupt("ok?")])
    source.thread_id = None
    rules = Policy(budget=60.0, idle=None)
    one = Delivery(Rest(ScriptedTransport(source)), RunStart(None, {}), rules, Deadline(None))
    drain(one)
    assert one.outcome == "interrupted"


# -- connections that break -------------------------------------------------------------------------------------------


def test_after_a_cut_the_run_is_joined_and_goes_on_after_the_last_part() -> None:
    one, transport = deliver([part("1"), part("2", "a"), CUT], [part("2", "a"), part("3")])
    assert [p.id for p in drain(one)] == ["1", "2", "3"]
    assert joins(transport) == ["1"]
    assert one.outcome == "success"


def test_the_request_that_starts_a_run_is_never_repeated() -> None:
    one, transport = deliver([part("1"), CUT], AWAY, [part("1"), CUT], [part("1")])
    drain(one)
    assert [type(start) for start in transport.started] == [RunStart, RunJoin, RunJoin, RunJoin]


def test_a_start_that_fails_is_not_tried_again() -> None:
    with pytest.raises(ConnectionFailed):
        deliver(AWAY, [part("1")])


def test_a_clean_end_of_a_run_that_goes_on_is_joined_again() -> None:
    statuses = iter(["running", "success"])
    run = {f"GET /threads/{THREAD}/runs/{RUN}": lambda: (200, {"status": next(statuses)})}
    one, transport = deliver([part("1")], [part("1"), part("2")], answers={**run_answers(), **run})
    assert [p.id for p in drain(one)] == ["1", "2"]
    assert joins(transport) == ["-1"]


def test_what_a_run_said_after_a_clean_cut_is_found_once_it_is_over() -> None:
    one, transport = deliver([part("1"), part("2")], [part("2"), part("3")], source={"conclusive": False})
    assert [p.id for p in drain(one)] == ["1", "2", "3"]
    assert (joins(transport), len(transport.requests)) == (["1"], 1)
    assert not one.needs_state


def test_what_a_server_forgot_of_a_run_that_is_over_is_no_loss_but_the_state_is_asked() -> None:
    one, _ = deliver([part("1")], [], source={"conclusive": False})
    assert [p.id for p in drain(one)] == ["1"]
    assert (one.outcome, one.needs_state) == ("success", True)


@pytest.mark.parametrize("error", [AWAY, NotFoundError("404", url="http://server", status_code=404)])
def test_a_run_that_is_over_and_cannot_be_looked_at_again_ends_as_its_state_says(error: LgsyncError) -> None:
    one, _ = deliver([part("1")], error, source={"conclusive": False})
    assert [p.id for p in drain(one)] == ["1"]
    assert (one.outcome, one.needs_state) == ("success", True)


def test_a_run_that_is_not_kept_is_not_looked_at_again_but_the_state_is_asked() -> None:
    one, transport = deliver([part(None)], source={"conclusive": False}, resumable=False)
    drain(one)
    assert joins(transport) == []
    assert one.needs_state


@pytest.mark.parametrize("source", [{"conclusive": True}, {"conclusive": False, "outcome": "success"}])
def test_a_wire_that_tells_its_end_is_not_looked_at_again(source: Mapping[str, Any]) -> None:
    one, transport = deliver([part("1")], source=source)
    drain(one)
    assert joins(transport) == []


def test_a_cut_before_the_first_part_begins_at_the_start() -> None:
    one, transport = deliver([CUT], [part("1"), part("2")])
    assert [p.id for p in drain(one)] == ["1", "2"]
    assert joins(transport) == ["-1"]


def test_a_join_asks_for_what_the_run_was_started_with() -> None:
    headers, params = {"x-tenant": "t"}, {"region": "eu"}
    transport = ScriptedTransport([ScriptedSource([part("1"), CUT]), ScriptedSource([part("1")])], run_answers())
    start = RunStart(THREAD, {"stream_mode": ["custom"], "stream_subgraphs": True}, headers, params, Timeout(1.0, 2.0))
    drain(Delivery(Rest(transport), start, Policy(budget=60.0, idle=None), Deadline(None)))
    join = transport.started[1]
    assert isinstance(join, RunJoin)
    assert (join.modes, join.narrowed, join.stream_subgraphs) == (("custom",), False, True)
    assert (join.headers, join.params, join.timeout) == (headers, params, Timeout(1.0, 2.0))


def test_a_run_whose_parts_are_not_kept_goes_on_live_and_tells_of_the_gap() -> None:
    one, transport = deliver([part(None, "a"), CUT], [part(None, "c")], resumable=False)
    first, gap, second = drain(one)
    assert (first.data, second.data) == ("a", "c")
    assert isinstance(gap, Gap)
    assert isinstance(gap.error, StreamLost)
    assert joins(transport) == [None]
    assert one.needs_state


def test_parts_without_ids_are_never_taken_for_resumable() -> None:
    one, transport = deliver([part(None, "a"), CUT], [part(None, "c")])
    assert [type(item) for item in drain(one)] == [StreamPart, Gap, StreamPart]
    assert joins(transport) == [None]


def test_a_server_that_lost_its_tape_shows_a_gap() -> None:
    one, _ = deliver([part("1"), part("2"), CUT], [part("7"), part("8")])
    items = drain(one)
    assert [type(item) for item in items] == [StreamPart, StreamPart, Gap, StreamPart, StreamPart]
    assert items[3].id == "7"


def test_a_run_that_ended_and_whose_tape_is_gone_shows_a_gap_at_its_end() -> None:
    one, _ = deliver([part("1"), CUT], [])
    assert [type(item) for item in drain(one)] == [StreamPart, Gap]
    assert (one.outcome, one.needs_state) == ("success", True)


def test_a_position_that_the_server_has_lost_leads_to_what_is_live() -> None:
    one, transport = deliver([part("1"), CUT], [PositionLost("gone", url="http://server")], [part("9")])
    assert [type(item) for item in drain(one)] == [StreamPart, Gap, StreamPart]
    assert joins(transport) == ["-1", None]


def test_messages_that_servers_never_keep_make_a_cut_a_gap() -> None:
    class Forgetful(ScriptedSource):
        not_kept = frozenset(["messages/partial"])

    first = Forgetful([StreamPart("metadata", {}, "1"), StreamPart("messages/partial", [], "2"), CUT])
    second = Forgetful([StreamPart("metadata", {}, "1"), StreamPart("messages/partial", [], "5")])
    transport = ScriptedTransport([first, second], run_answers())
    start = RunStart(THREAD, {"stream_mode": ["messages"]})
    one = Delivery(Rest(transport), start, Policy(budget=60.0, idle=None), Deadline(None))
    assert [type(item) for item in drain(one)] == [StreamPart, StreamPart, Gap, StreamPart]
    assert joins(transport) == ["-1"]


def test_an_event_that_is_no_json_is_told_with_its_text_and_the_rest_goes_on() -> None:
    bad = StreamPart("updates", Undecoded('{"agent": {"mess'), "2")
    one, transport = deliver([part("1"), bad, part("3")])
    first, gap, last = drain(one)
    assert isinstance(gap, Gap)
    assert isinstance(gap.error, DecodeError)
    assert gap.error.text == '{"agent": {"mess'
    assert (first.id, last.id) == ("1", "3")
    assert one.needs_state
    assert joins(transport) == []


def test_an_event_of_another_kind_may_be_plain_text() -> None:
    ping = StreamPart("ping", Undecoded("2026-11-22 10:00"))
    one, _ = deliver([ping])
    assert drain(one) == [ping]


def test_what_ended_while_the_connection_was_lost_is_read_to_its_end() -> None:
    one, _ = deliver([part("1"), CUT], AWAY, [part("1"), part("2"), part("3")])
    assert [p.id for p in drain(one)] == ["1", "2", "3"]
    assert one.outcome == "success"


def test_a_run_that_was_rolled_back_meanwhile_is_cancelled() -> None:
    gone = NotFoundError("404", url="http://server", status_code=404)
    one, _ = deliver([part("1"), CUT], gone, answers={f"GET /threads/{THREAD}": (200, {})})
    drain(one)
    assert one.outcome == "cancelled"


def test_a_run_that_a_restarted_server_no_longer_knows_is_lost_and_not_cancelled() -> None:
    gone = NotFoundError("404", url="http://server", status_code=404)
    one, _ = deliver([part("1"), CUT], AWAY, gone, answers={f"GET /threads/{THREAD}": (200, {})})
    one.next_part()
    with pytest.raises(StreamLost, match="no longer knows the run"):
        one.next_part()


@pytest.mark.parametrize("answers", [{f"GET /threads/{THREAD}": (200, {})}, run_answers("interrupted")])
def test_a_refusal_that_comes_with_what_a_join_says_first_counts_as_one_of_the_join(answers: Any) -> None:
    gone = NotFoundError("404", url="http://server", status_code=404)
    one, _ = deliver([part("1"), CUT], [gone], answers=answers)
    drain(one)
    assert one.outcome == "cancelled"


def test_a_first_join_of_a_run_that_is_not_there_is_refused() -> None:
    gone = NotFoundError("404", url="http://server", status_code=404)
    one, _ = deliver([gone], start=RunJoin(THREAD, RUN, position="-1"))
    with pytest.raises(NotFoundError):
        one.next_part()


def test_a_started_run_whose_stream_begins_with_not_found_is_refused() -> None:
    gone = NotFoundError("404", url="http://server", status_code=404)
    one, transport = deliver([gone])
    with pytest.raises(NotFoundError):
        one.next_part()
    assert transport.requests == []


def test_a_run_that_the_server_cancels_with_its_connection_is_lost_and_not_just_cancelled() -> None:
    payload = {"on_disconnect": "cancel"}
    one, _ = deliver([part("1"), CUT], [part("1")], payload=payload, answers=run_answers("interrupted"))
    one.next_part()
    with pytest.raises(StreamLost, match="cancelled the run when the connection broke"):
        one.next_part()


@pytest.mark.parametrize(
    "refusal",
    [
        PermissionDeniedError("403", url="http://server", status_code=403),
        EventTooLarge("too large", url="http://server", status=200),
    ],
)
def test_a_refusal_for_good_is_raised_as_it_is(refusal: Exception) -> None:
    one, transport = deliver([part("1"), CUT], refusal)
    one.next_part()
    with pytest.raises(type(refusal)):
        one.next_part()
    assert len(joins(transport)) == 1


def test_the_same_strange_answer_three_times_is_raised_as_it_is() -> None:
    html = ResponseError("HTML", url="http://server", status=200)
    one, transport = deliver([part("1"), CUT], html)
    one.next_part()
    with pytest.raises(ResponseError, match="HTML"):
        one.next_part()
    assert len(joins(transport)) == 3


def test_a_busy_server_is_tried_again() -> None:
    busy = InternalServerError("503", url="http://server", status_code=503, retry_after=0.0)
    one, _ = deliver([part("1"), CUT], busy, [part("1"), part("2")])
    assert [p.id for p in drain(one)] == ["1", "2"]


def test_a_server_that_stays_away_is_given_up_within_the_budget() -> None:
    one, _ = deliver([part("1"), CUT], AWAY, budget=0.3)
    one.next_part()
    began = time.monotonic()
    with pytest.raises(StreamLost, match="could not be taken up again") as caught:
        one.next_part()
    assert time.monotonic() - began < 5
    assert Cursor.parse(str(caught.value.cursor)).place == Place(None, "1", 1)
    assert isinstance(caught.value.__cause__, ConnectionFailed)


def test_a_run_without_a_thread_cannot_be_taken_up_again() -> None:
    source = ScriptedSource([part("1"), CUT])
    source.thread_id = None
    one = Delivery(Rest(ScriptedTransport(source)), RunStart(None, {}), Policy(budget=60.0, idle=None), Deadline(None))
    one.next_part()
    with pytest.raises(StreamLost, match="without a thread") as caught:
        one.next_part()
    assert caught.value.cursor is None


def test_a_question_that_is_not_answered_is_asked_again() -> None:
    answers = iter([AWAY, (200, {"status": "success"})])
    one, _ = deliver([part("1")], answers={**run_answers(), f"GET /threads/{THREAD}/runs/{RUN}": lambda: next(answers)})
    drain(one)
    assert one.outcome == "success"


def test_who_asks_for_beats_while_the_stream_is_taken_up_again_gets_them_from_the_new_connection() -> None:
    class Watched(ScriptedSource):
        """Lets another thread ask for beats just when it is looked up which were asked for by then."""

        _seconds: Optional[float] = None
        _asking: Optional[threading.Thread] = None

        @property
        def beat_seconds(self) -> Optional[float]:
            seconds = self._seconds
            if self._asking is None:
                self._asking = threading.Thread(target=one.beat, args=(0.5,))
                self._asking.start()
                self._asking.join(10)
            return seconds

        @beat_seconds.setter
        def beat_seconds(self, seconds: Optional[float]) -> None:
            self._seconds = seconds

    second = Watched([part("1"), part("2")])
    transport = ScriptedTransport([ScriptedSource([part("1"), CUT]), second], run_answers())
    one = Delivery(Rest(transport), RunStart(THREAD, {}), Policy(budget=60.0, idle=None), Deadline(None))
    assert [one.next_part(), one.next_part()] == [part("1"), part("2")]
    assert second.beat_seconds == 0.5


def test_beats_that_were_asked_for_before_a_cut_are_those_of_the_next_connection() -> None:
    second = ScriptedSource([part("1"), part("2")])
    transport = ScriptedTransport([ScriptedSource([part("1"), CUT]), second], run_answers())
    one = Delivery(Rest(transport), RunStart(THREAD, {}), Policy(budget=60.0, idle=None), Deadline(None))
    one.beat(0.5)
    one.beat(5)
    assert [one.next_part(), one.next_part()] == [part("1"), part("2")]
    assert second.beat_seconds == 0.5


# -- beginning in the middle ------------------------------------------------------------------------------------------


def join(position: Optional[str] = "-1") -> RunJoin:
    return RunJoin(THREAD, RUN, UPDATES, position)


def test_a_place_is_gone_on_from_without_what_came_before() -> None:
    tape = [part("2", "b"), part("2", "c"), part("3", "d")]
    one, transport = deliver(tape, start=join(), place=Place("1", "2", 1))
    assert [p.data for p in drain(one)] == ["c", "d"]
    assert joins(transport) == ["1"]


def test_what_came_before_a_place_can_be_read_first() -> None:
    tape = [part("1", "a"), part("2", "b"), part("2", "c"), part("3", "d")]
    one, transport = deliver(tape, start=join(), place=Place("1", "2", 1), replaying=True)
    items = drain(one)
    assert [type(item) for item in items] == [Earlier, Earlier, StreamPart, StreamPart]
    assert joins(transport) == ["-1"]


def test_a_cut_while_what_came_before_is_read_changes_nothing() -> None:
    one, _ = deliver(
        [part("1", "a"), CUT],
        [part("1", "a"), part("2", "b"), part("3", "c")],
        start=join(),
        place=Place("1", "2", 1),
        replaying=True,
    )
    assert [p.part.data if isinstance(p, Earlier) else p.data for p in drain(one)] == ["a", "b", "c"]


def test_a_place_that_the_server_no_longer_has_is_a_gap() -> None:
    one, _ = deliver([part("8"), part("9")], start=join(), place=Place("1", "2", 1))
    assert [type(item) for item in drain(one)] == [Gap, StreamPart, StreamPart]


# -- deadlines and closing --------------------------------------------------------------------------------------------


def test_a_deadline_that_passes_while_reading_names_run_and_cursor() -> None:
    silent = ConnectionTimeout("silent", url="http://server")
    one, _ = deliver([part("1"), threading.Event(), silent], deadline=0.05, budget=60.0)
    one.next_part()
    source = one._source
    assert isinstance(source, ScriptedSource)

    def wait(self: Any = None) -> None:
        assert source.patience is not None
        time.sleep(source.patience(source) or 0)
        raise silent

    source._wait_for = lambda event: wait()  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceeded) as caught:
        one.next_part()
    assert (caught.value.thread_id, caught.value.run_id) == (THREAD, RUN)
    assert Cursor.parse(str(caught.value.cursor)).place == Place(None, "1", 1)


def test_a_deadline_that_passes_while_the_server_is_away_is_told_as_such() -> None:
    one, _ = deliver([part("1"), CUT], AWAY, deadline=0.3)
    one.next_part()
    with pytest.raises(DeadlineExceeded):
        one.next_part()


def test_closing_ends_the_wait_for_a_server_that_is_away() -> None:
    away = InternalServerError("503", url="http://server", status_code=503, retry_after=30.0)
    one, _ = deliver([part("1"), CUT], away)
    one.next_part()
    ended = threading.Event()
    reader = threading.Thread(target=lambda: (one.next_part(), ended.set()))
    reader.start()
    one.close()
    assert ended.wait(5)
    reader.join(5)


def test_closing_frees_a_reader_whose_join_is_not_answered() -> None:
    asked, answer = threading.Event(), threading.Event()
    late = ScriptedSource([part("2")])

    class Slow(ScriptedTransport):
        def open_run(self, start: Union[RunStart, RunJoin]) -> Any:
            if isinstance(start, RunJoin):
                asked.set()
                answer.wait(10)
                return late
            return super().open_run(start)

    transport = Slow(ScriptedSource([part("1"), CUT]), run_answers())
    rules = Policy(budget=60.0, idle=None)
    one = Delivery(Rest(transport), RunStart(THREAD, {}), rules, Deadline(None))
    one.next_part()
    reader = threading.Thread(target=one.next_part)
    reader.start()
    assert asked.wait(5)
    one.close()
    reader.join(5)
    assert not reader.is_alive()
    answer.set()
    assert late.closed.wait(5)


def test_a_cut_join_that_is_refused_as_unknown_shows_a_gap_though_the_run_ended_well() -> None:
    gone = NotFoundError("404", url="http://server", status_code=404)
    one, _ = deliver([part("1"), CUT], gone)
    assert [type(item) for item in drain(one)] == [StreamPart, Gap]
    assert (one.outcome, one.needs_state) == ("success", True)


def test_a_look_for_the_last_parts_is_tried_again_when_the_server_is_busy() -> None:
    busy = InternalServerError("503", url="http://server", status_code=503)
    one, _ = deliver([part("1")], busy, [part("1"), part("2")], source={"conclusive": False})
    assert [p.id for p in drain(one)] == ["1", "2"]


def test_at_a_gap_the_stream_stands_before_the_part_that_comes_after_it() -> None:
    one, _ = deliver([part("1"), part("2"), CUT], [part("7"), part("8")])
    one.next_part()
    one.next_part()
    gap = one.next_part()
    assert isinstance(gap, Gap)
    assert isinstance(gap.error, StreamLost)
    assert one.place == Place("1", "2", 1)
    assert Cursor.parse(str(gap.error.cursor)).place == one.place
    one.next_part()
    assert one.place == Place("2", "7", 1)


def test_a_deadline_holds_for_a_loop_that_is_slower_than_its_stream() -> None:
    one, _ = deliver([part(str(number)) for number in range(1000)], deadline=0.05)
    with pytest.raises(DeadlineExceeded):
        for _ in range(1000):
            one.next_part()
            time.sleep(0.001)


def test_a_server_that_asks_for_a_long_pause_does_not_stretch_the_deadline() -> None:
    busy = InternalServerError("503", url="http://server", status_code=503, retry_after=30.0)
    asking = {**run_answers(), f"GET /threads/{THREAD}/runs/{RUN}": busy}
    one, _ = deliver([part("1")], answers=asking, deadline=0.2)
    one.next_part()
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        one.next_part()
    assert time.monotonic() - began < 5


def test_a_deadline_that_passes_after_the_end_takes_no_pause_from_what_is_asked_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    pauses: List[float] = []
    monkeypatch.setattr(Closing, "wait", lambda self, seconds: pauses.append(seconds))
    away = iter([AWAY, AWAY, AWAY, (200, state())])
    transport = ScriptedTransport(
        ScriptedSource([update(whole("ai", "hi", id="m1"))], outcome="success"),
        {f"GET /threads/{THREAD}/state": lambda: next(away)},
    )
    start = RunStart(THREAD, {"stream_mode": list(UPDATES)})
    rules = Policy(budget=60.0, idle=300.0, jitter=lambda: 0.0)
    one = Delivery(Rest(transport), start, rules, Deadline(5.0, lambda: now[0]))
    drain(one)
    now[0] = 10.0
    assert one.questions.state() == state()
    assert pauses == [0.0, 0.125, 0.25]


def stateless(status: Optional[str]) -> Delivery:
    """A run without a thread, whose connection has ended; its temporary thread is named by a message."""
    message = StreamPart(
        "messages", [{"type": "AIMessageChunk", "content": "Hel", "id": "m"}, {"thread_id": "temporary"}]
    )
    source = ScriptedSource([message])
    source.thread_id = None
    path = f"GET /threads/temporary/runs/{RUN}"
    transport = ScriptedTransport(source, {} if status is None else {path: (200, {"status": status})})
    one = Delivery(Rest(transport), RunStart(None, {}), Policy(budget=60.0, idle=None), Deadline(None))
    one.next_part()
    return one


@pytest.mark.parametrize("status", ["running", "pending", "interrupted"])
def test_a_run_without_a_thread_whose_connection_ends_too_early_is_lost(status: str) -> None:
    with pytest.raises(StreamLost, match="before the run did"):
        stateless(status).next_part()


@pytest.mark.parametrize("status", ["success", None])
def test_a_run_without_a_thread_that_is_over_has_ended_well(status: Optional[str]) -> None:
    one = stateless(status)
    assert one.next_part() is None
    assert one.outcome == "success"


def test_what_is_lost_without_a_thread_advises_nothing_that_needs_one() -> None:
    with pytest.raises(StreamLost) as caught:
        stateless("running").next_part()
    assert "client.runs.resume" not in str(caught.value)


def test_a_start_whose_answer_is_lost_says_that_a_run_may_have_begun() -> None:
    with pytest.raises(ConnectionLost, match=r"A run may have begun all the same.*client\.runs\.list") as caught:
        deliver(CUT)
    assert caught.value.url == CUT.url


def test_a_gap_says_how_to_go_on_after_it() -> None:
    one, _ = deliver([part("1"), part("2"), CUT], [part("7")])
    gap = drain(one)[2]
    assert "Iterate again" in str(gap.error)


def test_a_thread_that_is_gone_is_not_advised_to_be_asked_for() -> None:
    one, _ = delivery(answers={})
    with pytest.raises(StreamLost) as caught:
        one.next_part()
    assert "get_state" not in str(caught.value)


# -- what comes at once -----------------------------------------------------------------------------------------------


def at_hand(*come: StreamPart, **options: Any) -> Delivery:
    """A delivery whose first part, with the id "1", was taken, behind which these have come."""
    one, transport = deliver([part("1"), part("9")], **options)
    one.next_part()
    transport.sources[0].come = list(come)
    return one


def test_what_came_at_once_is_given_with_the_place_behind_each() -> None:
    one = at_hand(part("1"), part("2"))
    assert one.at_hand() == [(part("1"), Place(None, "1", 2)), (part("2"), Place("1", "2", 1))]
    assert one.at_hand() == []


def test_a_gap_is_the_last_of_what_came_at_once_and_the_rest_comes_in_order() -> None:
    broken = StreamPart("updates", Undecoded("{"), "2")
    one = at_hand(broken, part("3"))
    ((gap, place),) = one.at_hand()
    assert isinstance(gap, Gap)
    assert place == Place("1", "2", 1)
    assert [one.next_part(), one.next_part()] == [part("3"), part("9")]


def test_a_stream_with_a_deadline_takes_nothing_before_it_is_asked_for() -> None:
    one = at_hand(part("2"), deadline=60.0)
    assert one.at_hand() == []


def test_an_interrupt_that_came_at_once_is_noted() -> None:
    one = at_hand(interrupt("ok?"))
    one.at_hand()
    assert [each["value"] for each in one.interrupts] == ["ok?"]
