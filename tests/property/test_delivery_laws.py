"""Delivery against a model of the server, which is cut, restarted and kept busy in any order."""

from __future__ import annotations

import functools
from typing import Any, Callable, Deque, Iterable, Iterator, List, Set
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from inmemory_server import NothingYet, Server

from lgsync import delivery as delivery_module
from lgsync import recovery
from lgsync.cursor import Cursor, Place
from lgsync.deadline import Deadline
from lgsync.delivery import Delivery, Earlier, Gap
from lgsync.errors import ConnectionFailed, ConnectionLost, LgsyncError, ResponseError, StreamLost, status_error
from lgsync.parts import StreamPart
from lgsync.policy import Policy
from lgsync.rest import Rest
from lgsync.transport import RunJoin, RunStart
from lgsync.transports import sse

URL = "http://server"
MODES = ("custom", "updates")
CUT = ConnectionLost("reset by peer", url=URL)
AWAY = ConnectionFailed("refused", url=URL)
BUSY = status_error(503, method="GET", url=URL, body=None, retry_after=3.0)
STRANGE = ResponseError("HTML", url=URL, status=200)

#: More joins than that for one part are a loop without end.
_MOST_JOINS = 200


class Time:
    """The model's clock, where the core and the transport take the time from and wait."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def monotonic(self) -> float:
        return self._server.now / 1000

    def sleep(self, seconds: float) -> None:
        self._server.pass_time(seconds * 1000)


class InlineClosing:
    """Waits by the model's clock, and makes calls in the caller's own thread."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def wait(self, seconds: float) -> bool:
        self._time.sleep(seconds)
        return self._set

    def call(self, work: Callable[[], Any], discard: Any = None, *, cuttable: bool = False) -> Any:
        return work()


class World:
    """A server with its run, and the means to have that delivered."""

    def __init__(self) -> None:
        self.server = Server()
        self.server.pass_time = self.pass_time
        #: What the run says whenever time passes while a join is under way.
        self.meanwhile: List[int] = []
        self._said = 0
        self.time = Time(self.server)
        self._patches = [mock.patch.object(module, "time", self.time) for module in (recovery, sse)]
        self._patches.append(mock.patch.object(delivery_module, "Closing", functools.partial(InlineClosing, self.time)))
        for patch in self._patches:
            patch.start()

    def end(self) -> None:
        for patch in self._patches:
            patch.stop()

    def pass_time(self, milliseconds: float) -> None:
        self.server.now += milliseconds
        if self.meanwhile and self.server.status == "running":
            self.say(self.meanwhile.pop())

    def say(self, count: int, event: str = "custom", *, kept: bool = True) -> None:
        for _ in range(count):
            self._said += 1
            # Neighbours are often alike.
            self.server.publish(self._said // 2, event, kept=kept)

    def started(self, **policy: Any) -> Delivery:
        return self._delivery(RunStart("t", {"stream_mode": list(MODES)}), **policy)

    def resumed(self, place: Place, replay: bool, **policy: Any) -> Delivery:
        join = RunJoin("t", "r", MODES, "-1", narrowed=False)
        return self._delivery(join, place=place, replaying=replay, **policy)

    def _delivery(self, start: Any, **policy: Any) -> Delivery:
        rules = Policy(**{"budget": 1e9, "idle": None, "jitter": lambda: 1.0, **policy})
        return Delivery(Rest(self.server), start, rules, Deadline(None))

    @property
    def tape(self) -> List[StreamPart]:
        return [one.part for one in self.server.tape if one.kept]


def read(delivery: Delivery, most: int = 10**9) -> List[Any]:
    """What comes until the reader would block, or the end."""
    items: List[Any] = []
    while len(items) < most:
        try:
            item = delivery.next_part()
        except NothingYet:
            break
        if item is None:
            break
        items.append(item)
        items += [item for item, _ in delivery.at_hand()]
    return items


class Follower:
    """Where on the tape a reader may stand who got these items; nowhere, if that is against the law."""

    def __init__(self, tape: Callable[[], List[StreamPart]]) -> None:
        self._tape = tape
        self.stands: Set[int] = {0}

    def follow(self, items: Iterable[Any]) -> None:
        tape = self._tape()
        for item in items:
            if isinstance(item, Gap):
                self.lose()
            elif item.event == "custom":
                self.stands = {at + 1 for at in self.stands if at < len(tape) and tape[at] == item}
                assert self.stands, f"{item} is not what comes next"

    def lose(self) -> None:
        self.stands = set(range(min(self.stands), len(self._tape()) + 1))

    @property
    def has_all(self) -> bool:
        return len(self._tape()) in self.stands


class Deliveries(RuleBasedStateMachine):
    """The run says things and its reader reads them, while everything breaks that can."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.server = self.world.server
        self.follower = Follower(lambda: self.world.tape)
        self.unkept: List[StreamPart] = []
        self.restarted = False
        # A cut that looks like the end: if the run is over by then, and cannot be looked at again, the state must tell.
        self.looked_over = False

    @initialize()
    def start(self) -> None:
        self.delivery = self.world.started()
        self.read_again = Follower(lambda: self.world.tape)

    def teardown(self) -> None:
        try:
            if hasattr(self, "delivery"):
                self.server.finish()
                self.take(10**9)
                assert self.follower.has_all or (self.looked_over and self.delivery.needs_state)
                assert self.delivery.outcome == "success"
                assert self.delivery.next_part() is None
        finally:
            self.world.end()

    @property
    def running(self) -> bool:
        return self.server.status == "running"

    @property
    def wires(self) -> List[Any]:
        return self.server.wires

    # -- the run -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.running)
    @rule(pause=st.sampled_from([0.0, 0.0, 0.3, 1.0, 50.0]), count=st.integers(1, 5))
    def say(self, pause: float, count: int) -> None:
        self.server.now += pause
        self.world.say(count)

    @precondition(lambda self: self.running)
    @rule()
    def say_what_is_not_kept(self) -> None:
        self.world.say(1, "feedback", kept=False)

    @rule(parts=st.lists(st.integers(0, 3), max_size=6), delays=st.tuples(*[st.sampled_from([0.0, 0.2, 1.0])] * 2))
    def go_on_speaking_while_joins_are_made(self, parts: List[int], delays: Any) -> None:
        self.world.meanwhile = parts
        self.server.delays = lambda: delays

    @precondition(lambda self: self.running)
    @rule()
    def finish(self) -> None:
        self.server.finish()

    # -- the wire ------------------------------------------------------------------------------------------------------

    @rule(arrived=st.integers(0, 4), clean=st.booleans())
    def cut(self, arrived: int, clean: bool) -> None:
        self.looked_over = self.looked_over or clean
        for wire in list(self.wires):
            wire.cut(arrived, None if clean else CUT)

    @rule(error=st.sampled_from([AWAY, BUSY, STRANGE]), times=st.integers(1, 2))
    def refuse(self, error: LgsyncError, times: int) -> None:
        self.server.refusals.clear()
        self.server.refusals.extend([error] * times)

    @rule()
    def beat(self) -> None:
        for wire in self.wires:
            wire.beat()

    @rule(most=st.integers(1, 4))
    def arrive_together(self, most: int) -> None:
        for wire in self.wires:
            wire.most = most

    @precondition(lambda self: self.running)
    @rule(arrived=st.integers(0, 2))
    def restart(self, arrived: int) -> None:
        if not self.delivery.place.taken:
            # Of a run of which nothing came, nothing tells what is missing.
            self.follower.lose()
        self.restarted = True
        self.server.restart(arrived)
        self.server.now += 1000

    # -- the reader ----------------------------------------------------------------------------------------------------

    @rule(most=st.integers(1, 6))
    def take(self, most: int) -> None:
        before = len(self.server.started)
        items = read(self.delivery, most)
        assert len(self.server.started) - before <= _MOST_JOINS * (len(items) + 1)
        self.read_again.follow(item.part for item in items if isinstance(item, Earlier))
        given_now = [item for item in items if not isinstance(item, Earlier)]
        self.follower.follow(given_now)
        self.unkept += [item for item in given_now if isinstance(item, StreamPart) and item.event == "feedback"]
        if not (self.restarted or (self.looked_over and not self.running)):
            assert not any(isinstance(item, Gap) for item in items)

    @rule(replay=st.booleans())
    def go_on_in_another_process(self, replay: bool) -> None:
        cursor = self.delivery.run.cursor(self.delivery.place, "messages")
        assert cursor is not None
        self.delivery.close()
        self.server.refusals.clear()
        self.read_again = Follower(lambda: self.world.tape)
        if self.restarted:
            self.read_again.lose()
        self.delivery = self.world.resumed(Cursor.parse(str(cursor)).place, replay)

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def the_run_is_started_once(self) -> None:
        starts = [start for start in self.server.started if isinstance(start, RunStart)]
        assert len(starts) <= 1

    @invariant()
    def what_is_not_kept_comes_once_at_most(self) -> None:
        rest = iter([one.part for one in self.server.tape if not one.kept])
        assert all(part in rest for part in self.unkept)


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    one.end()


groups = st.lists(st.integers(1, 5), min_size=1, max_size=8)


@settings(max_examples=60)
@given(groups, st.booleans(), st.booleans(), st.integers(1, 9))
def test_from_every_cursor_exactly_the_rest_is_given(
    sizes: List[int], replay: bool, finished: bool, at_once: int
) -> None:
    world = World()
    try:
        first = world.started()
        world.server.wires[0].most = at_once
        for size in sizes:
            world.say(size)
            world.server.now += 1
        places = [first.place]
        while len(places) <= len(world.tape):
            first.next_part()
            places.append(first.place)
            places += [place for _, place in first.at_hand()]
        first.close()
        if finished:
            world.server.finish()
        for taken, place in enumerate(places):
            items = read(world.resumed(place, replay))
            earlier = [item.part for item in items if isinstance(item, Earlier)]
            assert [item for item in items if not isinstance(item, Earlier)] == world.tape[taken:]
            assert earlier == (world.tape[:taken] if replay else [])
    finally:
        world.end()


def endless(error: LgsyncError) -> Deque[LgsyncError]:
    class Endless(Deque[LgsyncError]):
        def __bool__(self) -> bool:
            return True

        def popleft(self) -> LgsyncError:
            return error

    return Endless()


@pytest.mark.parametrize("error", [AWAY, BUSY], ids=["away", "busy"])
def test_a_server_that_stays_away_is_given_up_when_the_budget_is_spent(world: World, error: LgsyncError) -> None:
    one = world.started(budget=60.0)
    world.say(3)
    assert len(read(one)) == 3
    world.server.refusals = endless(error)
    world.server.wires[0].cut(0, CUT)
    began = world.server.now
    with pytest.raises(StreamLost):
        read(one)
    assert 59_000 < world.server.now - began < 61_000
    assert len(world.server.started) < 30


def test_a_server_that_takes_every_join_and_drops_it_is_given_up_too(world: World) -> None:
    one = world.started(budget=60.0)
    world.say(3)
    assert len(read(one)) == 3
    began = world.server.now
    world.server.when_idle = lambda: world.server.wires[-1].cut(0, CUT)
    world.server.wires[0].cut(0, CUT)
    with pytest.raises(StreamLost):
        read(one)
    assert 59_000 < world.server.now - began < 61_000
    assert len(world.server.started) < 60


def test_a_server_that_cuts_after_every_part_gives_all_the_same(world: World) -> None:
    one = world.started(budget=60.0)
    world.say(1)
    world.server.delays = lambda: (500.0, 500.0)
    spoken = [0]

    def cut_and_go_on() -> None:
        if spoken[0] == 300:
            world.server.finish()
            return
        spoken[0] += 1
        world.say(1)
        world.server.wires[-1].cut(1, CUT)

    world.server.when_idle = cut_and_go_on
    assert read(one) == world.tape
    assert len(world.tape) == 301


def test_every_join_of_a_stream_is_a_get_and_only_its_start_a_post(world: World) -> None:
    one = world.started()
    for _ in range(5):
        world.say(2)
        read(one)
        world.server.refusals.extend([AWAY, BUSY])
        world.server.wires[-1].cut(0, CUT)
        read(one)
    assert [type(start) for start in world.server.started].count(RunStart) == 1


def test_the_place_of_a_stream_that_nothing_came_of_is_the_runs_start(world: World) -> None:
    one = world.started()
    assert one.place == Place()
    world.say(2)
    assert read(world.resumed(Place(), replay=True)) == world.tape
