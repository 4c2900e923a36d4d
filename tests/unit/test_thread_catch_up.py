"""Two connections to a thread are read as one, so that nothing is lost between what was kept and what is live."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any, Callable, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawserver import PATIENCE, until
from thread_sources import ThreadScript, part

from lgsync.errors import ConnectionLost
from lgsync.parts import StreamPart
from lgsync.thread_catch_up import CatchUp

pytestmark = pytest.mark.usefixtures("no_leaks")

NEVER = threading.Event()


def parts(*ids: str) -> List[StreamPart]:
    return [part(part_id) for part_id in ids]


def catching_up(live: ThreadScript, replay: ThreadScript) -> CatchUp:
    """Both, of which the replay waits for what is live for as long as it takes."""
    return CatchUp(live, replay, later=PATIENCE)


def ids(source: CatchUp, count: int) -> List[Optional[str]]:
    """The ids of the next parts, after which the source is closed."""
    try:
        return [each.id for each in itertools.islice(source, count)]
    finally:
        source.close()


def test_what_came_between_the_lookup_and_the_listening_comes_from_what_is_live() -> None:
    live = ThreadScript(*parts("5-0", "6-0", "7-0", "8-0"), NEVER, position="4-5")
    replay = ThreadScript(*parts("1-0", "2-0", "3-0", "4-0", "7-0", "8-0"), NEVER)
    assert ids(catching_up(live, replay), 8) == [f"{n}-0" for n in range(1, 9)]
    assert replay.closed.is_set()


def test_what_both_show_is_given_once() -> None:
    live = ThreadScript(*parts("3-0", "3-0", "4-0"), NEVER, position="2-5")
    replay = ThreadScript(*parts("1-0", "3-0", "3-0", "4-0"), NEVER)
    assert ids(catching_up(live, replay), 4) == ["1-0", "3-0", "3-0", "4-0"]


def test_of_one_id_what_was_kept_comes_first_and_what_is_live_follows() -> None:
    live = ThreadScript(part("3-0", "second"), part("3-0", "third"), part("4-0"), NEVER, position="3-0")
    replay = ThreadScript(part("3-0", "first"), part("3-0", "second"), part("4-0"), NEVER)
    source = catching_up(live, replay)
    assert [each.data for each in itertools.islice(source, 2)] == ["first", "second"]
    source.close()


def test_what_is_not_kept_is_given_by_the_one_that_is_live_alone() -> None:
    update = part("3-0", "update", "state_update")
    live = ThreadScript(update, part("4-0"), NEVER, position="2-5")
    replay = ThreadScript(part("1-0"), update, part("4-0"), NEVER)
    assert ids(catching_up(live, replay), 3) == ["1-0", "3-0", "4-0"]


def test_what_was_sent_before_the_other_listened_is_given_at_once() -> None:
    live = ThreadScript(NEVER, position="1000-0")
    replay = ThreadScript(*parts("998-0", "999-0"), NEVER)
    began = time.monotonic()
    assert ids(catching_up(live, replay), 2) == ["998-0", "999-0"]
    assert time.monotonic() - began < PATIENCE / 2


def test_what_may_be_live_is_given_if_it_does_not_come_there_soon() -> None:
    live = ThreadScript(NEVER, position="1000-0")
    replay = ThreadScript(part("1001-0"), NEVER)
    assert ids(CatchUp(live, replay), 1) == ["1001-0"]


def test_a_heartbeat_in_silence_says_that_all_was_replayed() -> None:
    live = ThreadScript(*parts("2-0", "3-0"), NEVER, position="1-5")

    def beat_once_something_is_live() -> None:
        until(lambda: all(thread.name != "lgsync-catching-up" for thread in threading.enumerate()))
        replay.beat()

    replay = ThreadScript(part("1-0"), beat_once_something_is_live, NEVER)
    assert ids(catching_up(live, replay), 3) == ["1-0", "2-0", "3-0"]


def test_a_heartbeat_right_after_other_bytes_says_nothing() -> None:
    live = ThreadScript(part("2-0"), NEVER, position="1-5")
    replay = ThreadScript(lambda: replay.beat(0.1), part("1-0"), NEVER)
    assert ids(catching_up(live, replay), 1) == ["1-0"]


def test_when_both_were_silent_the_replay_goes_on_alone() -> None:
    live = ThreadScript(NEVER, position="1-5")
    live.heartbeats, live_since = 1, live.last_activity
    replay = ThreadScript(part("1-0"), lambda: replay.beat(), *parts("2-0", "3-0"), NEVER)
    source = catching_up(live, replay)
    live.last_activity = live_since + 5
    assert ids(source, 3) == ["1-0", "2-0", "3-0"]
    assert live.closed.is_set()


def test_ids_that_tell_no_order_leave_it_to_the_replay() -> None:
    live = ThreadScript(part("x"), NEVER)
    replay = ThreadScript(*parts("a", "b", "x", "c"), NEVER)
    assert ids(catching_up(live, replay), 4) == ["a", "b", "x", "c"]


def test_if_the_one_that_is_live_breaks_so_does_the_whole() -> None:
    live = ThreadScript(ConnectionLost("cut", url="http://server"), position="1-5")
    replay = ThreadScript(part("2-0"), NEVER)
    source = catching_up(live, replay)
    with pytest.raises(ConnectionLost, match="cut"):
        next(source)
    source.close()


def test_a_clean_end_of_the_one_that_is_live_is_a_lost_connection() -> None:
    source = catching_up(ThreadScript(position="1-5"), ThreadScript(part("2-0"), NEVER))
    with pytest.raises(ConnectionLost, match="ended by the other side"):
        next(source)
    source.close()


def test_a_replay_that_ends_early_is_not_taken_for_all_of_it() -> None:
    live = ThreadScript(part("9-0"), NEVER, position="8-0")
    source = catching_up(live, ThreadScript(part("1-0")))
    assert ids(source, 9) == ["1-0"]


@pytest.mark.parametrize("came", [0, 1], ids=["replaying", "live"])
def test_closing_frees_who_reads_and_both_connections(came: int) -> None:
    live = ThreadScript(*parts("2-0")[:came], NEVER, position="1-5")
    replay = ThreadScript(*parts("3-0")[:came], NEVER)
    source = catching_up(live, replay)
    read: List[Any] = []
    reader = threading.Thread(target=lambda: read.extend(source))
    reader.start()
    until(lambda: (live if came else replay).waiting.is_set())
    source.close()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert live.closed.is_set()
    assert replay.closed.is_set()
    assert len(read) == came


def test_the_patience_of_its_reader_is_asked_on_both() -> None:
    asked: List[Any] = []
    live = ThreadScript(part("2-0"), lambda: live.look(), part("3-0"), NEVER, position="1-5")
    replay = ThreadScript(lambda: replay.look(), *parts("1-0", "2-0", "3-0"), NEVER)
    source = catching_up(live, replay)
    source.patience = lambda one: asked.append(one)
    # While it only listens, nobody waits for it.
    assert live.patience is not None
    assert (live.look() or 0) > 3600
    assert ids(source, 3) == ["1-0", "2-0", "3-0"]
    assert asked == [replay] or asked == [replay, live]


Thread_ = Tuple[List[StreamPart], int, int, int]


@st.composite
def threads(draw: Callable[[Any], Any]) -> Thread_:
    """What a thread says, and when one listens, the other looks up, and that listens too."""
    steps = draw(st.lists(st.integers(0, 3), min_size=1, max_size=30))
    times = [10 + sum(steps[: number + 1]) for number in range(len(steps))]
    moments = sorted(draw(st.lists(st.integers(8, times[-1] + 2), min_size=3, max_size=3)))
    return [part(f"{at}-0", number) for number, at in enumerate(times)], moments[0], moments[1], moments[2]


@given(thread=threads())
def test_whenever_they_listen_each_part_is_given_once_and_in_order(thread: Thread_) -> None:
    said, listens, looks_up, listens_too = thread
    last = part("1000-0", "last")

    def within(begin: int, end: int) -> List[StreamPart]:
        return [each for each in said if begin <= int(each.id.partition("-")[0]) < end]  # type: ignore[union-attr]

    live = ThreadScript(*within(listens, 1000), last, NEVER, position=f"{listens - 1}-5")
    replay = ThreadScript(*within(0, looks_up), *within(listens_too, 1000), last, NEVER)
    source = catching_up(live, replay)
    given_parts = list(itertools.takewhile(lambda each: each is not last, source))
    source.close()
    assert given_parts == said
