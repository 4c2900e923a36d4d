from __future__ import annotations

import math
import time
import tracemalloc
from typing import Any, List, Optional, Tuple

import pytest
from inmemory_server import EPOCH, Server

from lgsync.errors import ConnectionFailed, ConnectionLost, NotFoundError
from lgsync.parts import StreamPart
from lgsync.transport import RunJoin
from lgsync.transports import sse
from lgsync.transports.overlap import MISSING, NEW, REPEATED, UNSURE, Overlap


def part(id_: Optional[str], data: Any = "x") -> StreamPart:
    return StreamPart("custom", data, id_)


def judged(overlap: Overlap, *parts: Tuple[Optional[str], Any]) -> List[str]:
    return [overlap.judge(part(id_, data)) for id_, data in parts]


def join(*parts: Tuple[Optional[str], Any], since: float = 0, until: float = math.inf) -> List[str]:
    return judged(Overlap(since, until), *parts)


def ids(text: str) -> List[Tuple[Optional[str], Any]]:
    """One part for each digit, which is its id; no two are alike."""
    return [(f"{digit}-0", number) for number, digit in enumerate(text)]


# -- what ids tell ----------------------------------------------------------------------------------------------------


def test_parts_whose_ids_rise_are_all_new() -> None:
    assert join(*ids("123456")) == [NEW] * 6


def test_a_smaller_id_begins_what_was_sent_before_up_to_the_last_id_of_the_replay() -> None:
    assert join(*ids("123454567")) == [NEW] * 5 + [REPEATED] * 2 + [NEW] * 2


def test_of_the_last_id_of_the_replay_as_many_come_again_as_were_in_it() -> None:
    assert join(*ids("12332333")) == [NEW] * 4 + [REPEATED] * 3 + [NEW]


def test_of_the_first_id_that_was_heard_live_only_some_may_come_again() -> None:
    assert join(*ids("122232234")) == [NEW] * 5 + [REPEATED] * 3 + [NEW]


def test_what_differs_within_one_id_is_new() -> None:
    assert join(("1-0", "a"), ("1-0", "b"), ("1-0", "c")) == [NEW] * 3


def test_after_what_came_again_nothing_is_doubted_any_more() -> None:
    assert join(*ids("12123"), ("3-0", 4), ("3-0", 4), ("2-0", 1)) == [NEW] * 2 + [REPEATED] * 2 + [NEW] * 4


def test_numbers_behind_the_milliseconds_order_parts_too() -> None:
    assert join(("1-0", 0), ("1-1", 1), ("1-2", 2), ("1-1", 1), ("1-2", 2), ("1-3", 3)) == (
        [NEW] * 3 + [REPEATED] * 2 + [NEW]
    )


@pytest.mark.parametrize("id_", [None, "", "abc", "1-0-0", "-1", "9" * 40, "1-" + "9" * 40])
def test_ids_of_another_kind_tell_nothing(id_: Optional[str]) -> None:
    assert join((id_, "a"), (id_, "a"), ("5-0", "b"), (id_, "a")) == [NEW] * 4


def test_a_clock_that_was_set_back_loses_no_part() -> None:
    assert join(*ids("45"), *ids("1236")) == [NEW] * 6


# -- what they do not tell --------------------------------------------------------------------------------------------


def test_an_equal_part_with_the_same_id_is_a_twin_or_sent_twice_and_nobody_can_tell() -> None:
    assert join(("1-0", "a"), ("1-0", "b"), ("1-0", "a")) == [NEW, NEW, UNSURE]


def test_what_is_older_than_the_join_or_younger_is_a_twin() -> None:
    for since, until in ((2, 9), (0, 0.5)):
        assert join(("1-0", "a"), ("1-0", "a"), since=since, until=until) == [NEW, NEW]


def unsure(*parts: Tuple[Optional[str], Any]) -> Overlap:
    """The overlap of a join of which the last of these parts is unsure."""
    overlap = Overlap(0, math.inf)
    *before, last = (overlap.judge(part(id_, data)) for id_, data in parts)
    assert before == [NEW] * len(before)
    assert last is UNSURE
    return overlap


def test_another_join_is_made_from_the_id_before_and_skips_what_came() -> None:
    overlap = unsure(("1-0", "a"), ("2-0", "a"), ("2-0", "b"), ("2-0", "a"))
    assert overlap.before == "1-0"
    again = overlap.asked_again([part("2-0", "a")], 0, math.inf)
    assert again.skips
    assert judged(again, ("2-0", "a"), ("2-0", "b"), ("2-0", "a"), ("3-0", "a")) == [REPEATED, REPEATED, NEW, NEW]
    assert not again.skips


def test_another_join_doubts_nothing_that_had_come_before_it_was_made() -> None:
    overlap = unsure(("1-0", "a"), ("1-0", "a"))
    again = overlap.asked_again([part("1-0", "a"), part("3-0", "b")], 0, math.inf)
    assert judged(again, ("1-0", "a"), ("3-0", "b"), ("3-0", "b"), ("4-0", "c"), ("4-0", "c")) == (
        [REPEATED, NEW, NEW, NEW, UNSURE]
    )


@pytest.mark.parametrize("first", ["2-0", "0-0", None])
def test_another_join_that_does_not_begin_with_what_came_misses_it(first: Optional[str]) -> None:
    again = unsure(("1-0", "a"), ("1-0", "a")).asked_again([part("1-0", "a")], 0, math.inf)
    assert judged(again, (first, "a")) == [MISSING]


def test_another_join_that_has_less_than_what_came_misses_it() -> None:
    again = unsure(("1-0", "a"), ("1-0", "b"), ("1-0", "a")).asked_again([part("1-0", "a")], 0, math.inf)
    assert judged(again, ("1-0", "a"), ("2-0", "c")) == [REPEATED, MISSING]


def test_a_run_that_goes_on_sending_twins_is_not_asked_about_for_ever() -> None:
    overlap, questions = Overlap(0, math.inf), 0
    for number in range(100):
        twin = part(f"{number}-0")
        assert overlap.judge(twin) is NEW
        if overlap.judge(twin) is UNSURE:
            questions += 1
            overlap = overlap.asked_again([twin], 0, math.inf)
            assert [overlap.judge(twin), overlap.judge(twin)] == [REPEATED, NEW]
    assert questions == 10


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_parts_take_little_memory() -> None:
    overlap = Overlap(0, math.inf)
    overlap.judge(part("1-0"))
    tracemalloc.start()
    for number in range(100_000):
        overlap.judge(part(f"{1_795_357_704_000 + number}-0", number))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2_000_000


def test_a_flood_of_parts_of_one_id_takes_little_memory_and_time_in_proportion() -> None:
    overlap = Overlap(0, math.inf)
    text = "x" * 1000
    parts = [part("1-0", f"{number}{text}") for number in range(20_000)]
    tracemalloc.start()
    began = time.process_time()
    for one in parts:
        overlap.judge(one)
    spent = time.process_time() - began
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000
    assert spent < 10


# -- a transport that asks again --------------------------------------------------------------------------------------


class Joined:
    """A run that says a, b, b within one millisecond; the last one just after a join has begun to listen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, late: float = 0.0, **join: Any) -> None:
        self.server = Server()
        self.server.late = late
        self.slept: List[float] = []
        monkeypatch.setattr(sse.time, "sleep", self.sleep)
        self.server.publish("a")
        self.server.publish("b")
        self.server.pass_time = self.say_the_last
        self.server.delays = lambda: (0, 1)
        self.source = self.server.open_run(
            RunJoin("t", "r", **{"modes": ("custom",), "position": "-1", "narrowed": False, **join})
        )
        self.server.pass_time = lambda milliseconds: None
        for wire in self.server.wires:
            wire.most = 9

    def say_the_last(self, milliseconds: float) -> None:
        if milliseconds:
            self.server.publish("b")

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.server.now += seconds * 1000

    def read(self) -> List[Any]:
        self.server.when_idle = self.server.finish
        return [part.data for part in self.source]


def test_a_part_that_may_be_sent_twice_is_asked_for_again_and_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined(monkeypatch)
    joined.server.publish("c")
    assert joined.read() == ["a", "b", "b", "c"]
    assert [start.position for start in joined.server.started] == ["-1", "-1"]  # type: ignore[union-attr]


def test_a_part_that_may_be_sent_twice_is_asked_for_again_though_a_busy_server_is_late_with_its_date(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined = Joined(monkeypatch, late=20_000)
    assert joined.read() == ["a", "b", "b"]
    assert len(joined.server.started) == 2


def test_the_millisecond_in_doubt_is_over_before_it_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined(monkeypatch)
    joined.read()
    assert joined.server.now >= EPOCH + 2


def test_the_connection_that_left_it_open_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined(monkeypatch)
    first = joined.server.wires[0]
    assert next(joined.source).data == "a"
    assert first.closed
    joined.source.close()
    assert joined.server.wires == []


def test_a_join_whose_end_would_cancel_the_run_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined(monkeypatch, cancel_on_disconnect=True)
    assert joined.read() == ["a", "b"]
    assert len(joined.server.started) == 1


def test_an_answer_that_does_not_come_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined(monkeypatch)
    joined.server.refusals.append(ConnectionFailed("refused", url="http://server"))
    with pytest.raises(ConnectionFailed):
        joined.read()


def test_a_server_that_no_longer_has_what_it_gave_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    for said_since in ([], ["z"]):
        joined = Joined(monkeypatch)
        joined.server.stored.clear()
        joined.server.now += 1000
        for data in said_since:
            joined.server.publish(data)
        joined.server.delays = lambda: (0, 0)
        with pytest.raises(ConnectionLost, match="no longer has"):
            joined.read()


def test_a_run_that_is_gone_meanwhile_is_told_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined(monkeypatch)
    refusal = b'event: error\r\ndata: {"error": "HTTPException", "message": "404: Run not found"}\r\n\r\n'

    def gone(seconds: float) -> None:
        joined.server.stored.clear()
        joined.server.delays = lambda: (0, 0)
        joined.server.when_idle = lambda: joined.server.wires[-1].hear_raw(refusal)

    monkeypatch.setattr(sse.time, "sleep", gone)
    with pytest.raises(NotFoundError):
        [part.data for part in joined.source]


def test_pauses_grow_so_that_twins_without_end_cost_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined(monkeypatch)

    def twins() -> None:
        if joined.server.now > EPOCH + 10_000:
            joined.server.finish()
            return
        joined.server.now += 1
        joined.server.publish("x")
        joined.server.publish("x")

    joined.server.when_idle = twins
    given = [part.data for part in joined.source]
    assert given == [one.part.data for one in joined.server.stored]
    assert joined.slept[:5] == [0.003, 0.01, 0.05, 0.2, 0.5]
    assert len(joined.slept) == 10
