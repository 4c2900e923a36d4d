from __future__ import annotations

from typing import Any, Iterator, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inmemory_server import EPOCH, Server

from lgsync.parts import StreamPart
from lgsync.transport import RunJoin
from lgsync.transports import sse

#: Milliseconds between parts, often of the same millisecond; and between a join's steps.
gaps = st.sampled_from([0.0, 0.0, 0.1, 0.1, 0.4, 1.0, 2.0, 700.0])
delays = st.tuples(*[st.sampled_from([0.0, 0.1, 0.3, 1.0, 3.0])] * 2)


class World:
    """A server whose run says things at times set beforehand, and a clock that only waiting moves."""

    def __init__(self, timetable: List[Tuple[float, Any, bool]], waits: List[Tuple[float, float]], late: float) -> None:
        self.server = Server()
        self.server.late = late
        self.server.pass_time = self.pass_time
        self.server.when_idle = self.pass_until_something_is_said
        self._waits = iter(waits)
        self.server.delays = lambda: next(self._waits, (0.3, 0.3))
        self._timetable = timetable
        self._said = 0
        self._next = EPOCH + (timetable[0][0] if timetable else 0)

    def pass_time(self, milliseconds: float) -> None:
        end = self.server.now + milliseconds
        while self._said < len(self._timetable) and self._next <= end:
            self._say()
        self.server.now = end

    def pass_until_something_is_said(self) -> None:
        if self._said == len(self._timetable):
            self.server.finish()
        else:
            self._say()

    def _say(self) -> None:
        self.server.now = max(self._next, self.server.now)
        _, data, kept = self._timetable[self._said]
        self._said += 1
        self.server.publish(data, "custom" if kept else "messages/partial", kept=kept)
        if self._said < len(self._timetable):
            self._next += self._timetable[self._said][0]

    def sleep(self, seconds: float) -> None:
        self.pass_time(seconds * 1000)

    def read(self, position: str, most: int = 1, modes: Tuple[str, ...] = ("custom",)) -> List[StreamPart]:
        source = self.server.open_run(RunJoin("t", "r", modes, position, narrowed=False))
        parts: List[StreamPart] = []
        while True:
            for wire in self.server.wires:
                wire.most = most
            part = next(source, None)
            if part is None:
                return parts
            parts.append(part)


@pytest.fixture(autouse=True, scope="module")
def clock() -> Iterator[None]:
    """Pauses take the model's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "time", Clock)
        yield


class Clock:
    world: Optional[World] = None

    @staticmethod
    def monotonic() -> float:
        return 0.0

    @staticmethod
    def sleep(seconds: float) -> None:
        assert Clock.world is not None
        Clock.world.sleep(seconds)


def world(
    timetable: List[Tuple[float, Any, bool]], before: float, waits: List[Tuple[float, float]], late: float = 0.0
) -> World:
    one = Clock.world = World(timetable, waits, late)
    one.pass_time(before)
    return one


def after(server: Server, position: str) -> List[StreamPart]:
    return [one.part for one in server.tape if one.kept and str(one.part.id) > position]


timetables = st.lists(st.tuples(gaps, st.sampled_from("ab"), st.just(True)), max_size=30)
distinct = st.lists(gaps, max_size=30).map(lambda each: [(gap, number, True) for number, gap in enumerate(each)])
starts = st.tuples(
    st.floats(0.0, 10.0), st.lists(delays, max_size=6), st.sampled_from([0.0, 400.0, 1300.0]), st.integers(1, 5)
)


@settings(max_examples=400)
@given(timetables, starts, st.data())
def test_a_join_gives_each_part_once_even_if_they_are_alike(timetable: Any, start: Any, data: st.DataObject) -> None:
    before, waits, late, most = start
    one = world(timetable, before, waits, late)
    # Whoever goes on after an id has seen a later one, so that its millisecond is over.
    over = [str(each.part.id) for each in one.server.tape if int(str(each.part.id)[:-2]) < int(one.server.now)]
    position = data.draw(st.sampled_from(["-1", *over]))
    assert one.read(position, most) == after(one.server, position)


@settings(max_examples=400)
@given(distinct, starts)
def test_a_join_that_may_not_be_repeated_gives_each_part_once_if_they_differ(timetable: Any, start: Any) -> None:
    before, waits, late, most = start
    one = world(timetable, before, waits, late)
    assert one.read("-1", most, ("messages", "custom")) == after(one.server, "-1")
    assert len(one.server.started) == 1


@settings(max_examples=200)
@given(timetables, starts)
def test_a_join_that_may_not_be_repeated_loses_nothing_but_twins_and_doubles_nothing(
    timetable: Any, start: Any
) -> None:
    before, waits, late, most = start
    one = world(timetable, before, waits, late)
    given_, tape = one.read("-1", most, ("messages", "custom")), after(one.server, "-1")
    assert is_within(given_, tape)
    assert set(given_) == set(tape)


def is_within(some: List[StreamPart], parts: List[StreamPart]) -> bool:
    rest = iter(parts)
    return all(part in rest for part in some)


@settings(max_examples=200)
@given(st.lists(st.tuples(gaps, st.sampled_from("ab"), st.booleans()), max_size=30), starts)
def test_parts_that_are_not_kept_neither_hide_nor_break_what_is(timetable: Any, start: Any) -> None:
    before, waits, late, most = start
    one = world(timetable, before, waits, late)
    parts = one.read("-1", most)
    assert [part for part in parts if part.event == "custom"] == after(one.server, "-1")


@settings(max_examples=200)
@given(timetables, starts)
def test_a_join_is_repeated_no_more_often_than_there_are_ids(timetable: Any, start: Any) -> None:
    before, waits, late, most = start
    one = world(timetable, before, waits, late)
    one.read("-1", most)
    ids = {part.part.id for part in one.server.tape}
    assert len(one.server.started) <= 1 + len(ids)
