from __future__ import annotations

import math
from typing import Any, List, Optional

import pytest

from lgsync.cursor import Place
from lgsync.errors import (
    APIStatusError,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DeadlineExceeded,
    EventTooLarge,
    LgsyncError,
    PositionLost,
    ResponseError,
    status_error,
)
from lgsync.policy import EARLIER, GAP, GIVE, SKIP, GiveUp, Join, Policy

URL = "http://server"
CUT = ConnectionLost("reset by peer", url=URL)
AWAY = ConnectionFailed("refused", url=URL)
GONE = PositionLost("gone", url=URL)


def policy(**options: Any) -> Policy:
    return Policy(**{"budget": 60.0, "idle": 300.0, "jitter": lambda: 1.0, **options})


def live(**options: Any) -> Policy:
    """A policy whose first connection stands since second 0."""
    one = policy(**options)
    one.opened(0.0)
    return one


def feed(one: Policy, *ids: Optional[str]) -> List[str]:
    return [one.received(id_) for id_ in ids]


def rejoin(one: Policy, at: float = 0.0, error: LgsyncError = CUT) -> Join:
    """Lose the connection and have the next one at once."""
    assert not isinstance(one.lost(error, at), GiveUp)
    join = one.rejoining()
    one.opened(at)
    return join


def status(code: int, retry_after: Optional[float] = None) -> APIStatusError:
    return status_error(code, method="GET", url=URL, body=None, retry_after=retry_after)


def strange(text: str = "HTML") -> ResponseError:
    return ResponseError(text, url=URL, status=200)


# -- states -----------------------------------------------------------------------------------------------------------


def test_a_stream_opens_lives_waits_rejoins_and_settles() -> None:
    one = policy()
    states = [one.state]
    for step in (
        lambda: one.opened(0.0),
        lambda: one.lost(CUT, 1.0),
        one.rejoining,
        lambda: one.lost(AWAY, 1.0),
        one.rejoining,
        lambda: one.opened(2.0),
        one.settled,
    ):
        step()
        states.append(one.state)
    assert states == ["opening", "live", "waiting", "rejoining", "waiting", "rejoining", "live", "settled"]


# -- each part once ---------------------------------------------------------------------------------------------------


def test_parts_of_one_connection_are_all_given_even_if_ids_repeat() -> None:
    assert feed(live(), "1", "1", "2", "2", "2", "1") == [GIVE] * 6


def test_the_place_counts_the_parts_of_the_last_id_and_names_the_id_before() -> None:
    one = live()
    places = [one.place]
    for id_ in ("1", "1", "2", "3", "3"):
        one.received(id_)
        places.append(one.place)
    assert places == [
        Place(),
        Place(None, "1", 1),
        Place(None, "1", 2),
        Place("1", "2", 1),
        Place("2", "3", 1),
        Place("2", "3", 2),
    ]


def test_a_run_is_joined_after_the_id_before_the_last_one() -> None:
    one = live()
    feed(one, "1", "2", "2")
    assert rejoin(one) == Join("1", gap=False)


def test_a_run_of_which_one_id_came_is_joined_from_its_start() -> None:
    one = live(start="-1")
    feed(one, "1", "1")
    assert rejoin(one) == Join("-1", gap=False)


def test_after_a_rejoin_what_was_given_of_the_last_id_is_skipped_and_the_rest_given() -> None:
    one = live()
    feed(one, "1", "2", "2")
    rejoin(one)
    assert feed(one, "2", "2", "2", "3") == [SKIP, SKIP, GIVE, GIVE]
    assert one.place == Place("2", "3", 1)


def test_a_cut_in_the_middle_of_what_is_skipped_skips_all_of_it_again() -> None:
    one = live()
    feed(one, "1", "2", "2", "2")
    rejoin(one)
    assert feed(one, "2") == [SKIP]
    assert rejoin(one) == Join("1", gap=False)
    assert feed(one, "2", "2", "2", "2") == [SKIP, SKIP, SKIP, GIVE]


def test_a_stream_that_begins_at_a_place_is_joined_before_it_and_skips_what_was_taken() -> None:
    one = policy(place=Place("1", "2", 2))
    assert one.rejoining() == Join("1", gap=False)
    one.opened(0.0)
    assert feed(one, "2", "2", "2", "3") == [SKIP, SKIP, GIVE, GIVE]


def test_a_stream_that_begins_after_an_id_is_joined_from_there_until_it_is_past_the_next() -> None:
    one = policy(place=Place("1", None, 0), start="1")
    assert one.rejoining() == Join("1", gap=False)
    one.opened(0.0)
    assert feed(one, "2") == [GIVE]
    assert one.place == Place("1", "2", 1)
    assert rejoin(one) == Join("1", gap=False)
    assert feed(one, "2", "3") == [SKIP, GIVE]


def test_a_stream_that_is_started_has_nothing_to_skip() -> None:
    one = live()
    assert not one.owes
    assert feed(one, "1") == [GIVE]


def test_parts_that_the_server_does_not_keep_are_given_and_move_no_place() -> None:
    one = live()
    feed(one, "1", "2")
    assert one.received("2", kept=False) == GIVE
    assert one.received("3", kept=False) == GIVE
    assert one.place == Place("1", "2", 1)
    rejoin(one)
    assert one.received("7", kept=False) == GIVE
    assert feed(one, "2", "2") == [SKIP, GIVE]


# -- parts that are gone ----------------------------------------------------------------------------------------------


def test_a_replay_that_does_not_begin_with_the_last_id_is_a_gap() -> None:
    one = live()
    feed(one, "1", "2")
    rejoin(one)
    assert feed(one, "7", "7", "8") == [GAP, GIVE, GIVE]
    assert one.place == Place("7", "8", 1)


def test_a_replay_that_has_fewer_of_the_last_id_than_were_given_is_a_gap() -> None:
    one = live()
    feed(one, "1", "2", "2", "2")
    rejoin(one)
    assert feed(one, "2", "2", "3") == [SKIP, SKIP, GAP]


def test_a_stream_owes_what_was_given_of_the_last_id_until_it_came_again() -> None:
    one = live()
    feed(one, "1", "2", "2")
    assert not one.owes
    rejoin(one)
    owed = [one.owes]
    for id_ in ("2", "2"):
        one.received(id_)
        owed.append(one.owes)
    assert owed == [True, True, False]


def test_a_part_without_an_id_makes_the_next_join_one_from_now_with_a_gap() -> None:
    one = live()
    assert one.resumable
    feed(one, None)
    assert not one.resumable
    assert rejoin(one) == Join(None, gap=True)
    assert not one.owes


def test_a_run_that_is_not_kept_is_joined_from_now_with_a_gap() -> None:
    one = live(resumable=False)
    assert rejoin(one) == Join(None, gap=True)
    assert feed(one, None, None) == [GIVE, GIVE]


def test_a_part_without_an_id_in_a_replay_is_a_gap() -> None:
    one = live()
    feed(one, "1")
    rejoin(one)
    assert feed(one, None) == [GAP]


def test_a_position_that_is_lost_leads_to_a_join_from_now_with_a_gap() -> None:
    one = live()
    feed(one, "1", "2")
    rejoin(one)
    assert rejoin(one, error=GONE) == Join(None, gap=True)
    assert not one.owes
    assert feed(one, "9", "9") == [GIVE, GIVE]


# -- reading again what came before -----------------------------------------------------------------------------------


def replaying(place: Place) -> Policy:
    one = policy(place=place, replaying=True)
    assert one.rejoining() == Join("-1", gap=False)
    one.opened(0.0)
    return one


def test_what_comes_before_the_place_is_told_apart_until_it_is_reached() -> None:
    one = replaying(Place("1", "2", 2))
    assert feed(one, "1", "2", "2", "2", "3") == [EARLIER, EARLIER, EARLIER, GIVE, GIVE]


def test_until_the_place_is_reached_the_stream_stands_there_and_owes() -> None:
    one = replaying(Place("1", "2", 1))
    feed(one, "1")
    assert (one.place, one.owes) == (Place("1", "2", 1), True)
    feed(one, "2")
    assert (one.place, one.owes) == (Place("1", "2", 1), False)
    feed(one, "3")
    assert one.place == Place("2", "3", 1)


def test_a_cut_before_the_place_is_reached_goes_on_where_the_replay_was() -> None:
    one = replaying(Place("3", "4", 1))
    feed(one, "1", "2", "2")
    assert rejoin(one) == Join("1", gap=False)
    assert feed(one, "2", "2", "3", "4", "5") == [SKIP, SKIP, EARLIER, EARLIER, GIVE]


def test_an_id_after_the_place_shows_that_the_place_is_gone() -> None:
    one = replaying(Place("100-0", "200-0", 2))
    assert feed(one, "100-0", "200-0", "300-0", "400-0") == [EARLIER, EARLIER, GAP, GIVE]
    assert not one.owes


def test_numbers_in_ids_are_compared_as_numbers() -> None:
    one = replaying(Place("99-2", "100-2", 1))
    assert feed(one, "9-5", "99-9", "100-1", "100-2", "100-10") == [EARLIER] * 4 + [GIVE]
    assert feed(replaying(Place("99-2", "100-2", 1)), "100-10") == [GAP]


def test_ids_that_are_no_numbers_do_not_show_that_the_place_is_gone() -> None:
    assert feed(replaying(Place("a", "b", 1)), "c", "d") == [EARLIER, EARLIER]


def test_parts_that_are_not_kept_come_earlier_until_the_place_is_reached() -> None:
    one = replaying(Place(None, "1", 1))
    assert one.received("1", kept=False) == EARLIER
    feed(one, "1")
    assert one.received("1", kept=False) == GIVE


def test_a_position_that_is_lost_ends_the_search_for_the_place() -> None:
    one = replaying(Place("1", "2", 1))
    feed(one, "1")
    assert rejoin(one, error=GONE) == Join(None, gap=True)
    assert feed(one, "9") == [GIVE]


def test_the_start_of_a_run_is_reached_at_once() -> None:
    assert feed(replaying(Place()), "1", "2") == [GIVE, GIVE]


def test_a_place_between_two_ids_is_reached_by_the_part_after_it() -> None:
    assert feed(replaying(Place("2", None, 0)), "1", "2", "2", "3") == [EARLIER, EARLIER, EARLIER, GIVE]
    assert feed(replaying(Place("b", None, 0)), "a", "b", "b", "c") == [EARLIER, EARLIER, EARLIER, GIVE]
    one = policy(place=Place("2", None, 0))
    assert one.rejoining() == Join("2", gap=False)
    one.opened(0.0)
    assert feed(one, "3", "4") == [GIVE, GIVE]


# -- the budget -------------------------------------------------------------------------------------------------------


def test_the_budget_counts_from_the_loss_and_not_from_the_last_part() -> None:
    one = live(budget=10.0)
    feed(one, "1")
    assert not isinstance(one.lost(CUT, 1000.0), GiveUp)
    assert not isinstance(one.lost(AWAY, 1009.9), GiveUp)
    assert one.lost(AWAY, 1010.0) == GiveUp(AWAY, 10.0)


def test_a_part_gives_the_whole_budget_back() -> None:
    one = live(budget=10.0)
    for at in range(0, 100, 9):
        assert not isinstance(one.lost(CUT, float(at)), GiveUp)
        one.opened(float(at))
        feed(one, str(at), str(at))


def test_a_connection_alone_does_not_give_the_budget_back() -> None:
    one = live(budget=10.0)
    rejoin(one, at=0.0)
    rejoin(one, at=9.0)
    assert isinstance(one.lost(CUT, 10.0), GiveUp)


def test_parts_that_were_given_before_do_not_give_the_budget_back() -> None:
    one = live(budget=10.0)
    feed(one, "1", "1")
    rejoin(one, at=0.0)
    assert feed(one, "1", "1") == [SKIP, SKIP]
    assert isinstance(one.lost(CUT, 10.0), GiveUp)


def test_a_heartbeat_gives_the_budget_back() -> None:
    one = live(budget=10.0)
    rejoin(one, at=0.0)
    one.beat(1, at=5.0)
    assert not isinstance(one.lost(CUT, 12.0), GiveUp)


def test_a_heartbeat_before_what_is_owed_has_come_does_not_give_the_budget_back() -> None:
    one = live(budget=10.0)
    feed(one, "1")
    rejoin(one, at=0.0)
    one.beat(1, at=5.0)
    assert isinstance(one.lost(CUT, 12.0), GiveUp)


def test_earlier_parts_that_are_read_again_give_the_budget_back() -> None:
    one = replaying(Place("8", "9", 1))
    rejoin(one, at=0.0)
    feed(one, "1")
    assert not isinstance(one.lost(CUT, 100.0), GiveUp)


def test_a_budget_of_nothing_gives_up_at_the_first_loss() -> None:
    assert live(budget=0.0).lost(CUT, 5.0) == GiveUp(CUT, 0.0)


# -- pauses -----------------------------------------------------------------------------------------------------------


def pauses(count: int, **options: Any) -> List[Any]:
    one = live(**{"budget": 1e9, **options})
    return [one.lost(AWAY, 0.0) for _ in range(count)]


def test_the_first_attempt_comes_without_a_pause_and_the_next_ones_after_longer_and_longer_ones() -> None:
    assert pauses(9) == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_no_more_than_half_of_a_pause_is_taken_off_at_random() -> None:
    assert pauses(9, jitter=lambda: 0.0) == [pause / 2 for pause in pauses(9)]
    chosen = pauses(4, jitter=iter([0.9, 0.5, 0.0, 1.0]).__next__)
    assert chosen == [0.0, 0.25 * 0.75, 0.5 * 0.5, 1.0]


def test_a_pause_has_a_longest_length_however_many_attempts_there_were() -> None:
    assert pauses(5000)[-1] == 5.0


def test_a_part_makes_the_next_attempt_one_without_a_pause_again() -> None:
    one = live()
    for _ in range(4):
        one.lost(AWAY, 0.0)
    one.opened(0.0)
    feed(one, "1")
    assert one.lost(CUT, 1.0) == 0.0


def test_a_busy_server_is_given_the_time_it_asks_for() -> None:
    assert live().lost(status(503, 7.0), 0.0) == 7.0
    assert live().lost(status(429, 1.5), 0.0) == 1.5


def test_a_pause_that_the_server_asks_for_is_no_longer_than_the_budget_that_is_left() -> None:
    one = live(budget=10.0)
    assert one.lost(CUT, 100.0) == 0.0
    assert one.lost(status(503, 3600.0), 104.0) == 6.0
    assert one.lost(status(503, math.inf), 104.0) == 6.0


def test_the_pause_that_an_event_stream_asks_for_is_kept() -> None:
    one = live()
    assert one.lost(CUT, 0.0, retry=3.0) == 3.0
    assert one.lost(status(503, 7.0), 0.0, retry=3.0) == 7.0
    assert one.lost(AWAY, 0.0, retry=0.1) == 0.5


# -- what is lost, and what is refused for good -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [CUT, AWAY, GONE, ConnectionTimeout("silent", url=URL), *map(status, (408, 429, 500, 502, 503, 504, 599))],
    ids=lambda error: type(error).__name__ + str(getattr(error, "status_code", "")),
)
def test_what_may_pass_is_tried_again(error: LgsyncError) -> None:
    assert live().lost(error, 0.0) == 0.0


@pytest.mark.parametrize(
    "error",
    [
        *map(status, (400, 401, 403, 404, 405, 409, 410, 413, 422)),
        EventTooLarge("too large", url=URL, status=200),
        ConfigurationError("wrong"),
        ClientClosed("closed"),
        DeadlineExceeded("late"),
    ],
    ids=lambda error: type(error).__name__ + str(getattr(error, "status_code", "")),
)
def test_what_will_not_pass_is_raised_at_once(error: LgsyncError) -> None:
    assert live().lost(error, 0.0) == GiveUp(error, None)


def test_the_same_strange_answer_three_times_running_is_raised_as_it_is() -> None:
    one = live()
    refusal = strange()
    verdicts = [one.lost(strange(), 0.0), one.lost(strange(), 0.0), one.lost(refusal, 0.0)]
    assert not any(isinstance(verdict, GiveUp) for verdict in verdicts[:2])
    assert verdicts[2] == GiveUp(refusal, None)


@pytest.mark.parametrize("other", [strange("JSON"), AWAY, status(503)], ids=["another", "no connection", "busy"])
def test_anything_else_between_strange_answers_starts_the_count_again(other: LgsyncError) -> None:
    one = live()
    for error in (strange(), strange(), other, strange(), strange()):
        assert not isinstance(one.lost(error, 0.0), GiveUp)
    assert isinstance(one.lost(strange(), 0.0), GiveUp)


def test_a_part_between_strange_answers_starts_the_count_again() -> None:
    one = live()
    one.lost(strange(), 0.0)
    one.lost(strange(), 0.0)
    one.opened(0.0)
    feed(one, "1")
    assert not isinstance(one.lost(strange(), 0.0), GiveUp)


# -- silence ----------------------------------------------------------------------------------------------------------


def test_a_connection_that_never_sent_a_heartbeat_may_be_silent_for_the_idle_timeout() -> None:
    one = live(idle=300.0)
    assert one.patience(last_activity=10.0, now=10.0) == 300.0
    assert one.patience(last_activity=10.0, now=250.0) == 60.0
    assert one.patience(last_activity=10.0, now=1000.0) == 0.0


def test_without_an_idle_timeout_and_without_heartbeats_silence_has_no_end() -> None:
    assert live(idle=None).patience(last_activity=0.0, now=1e6) is None


def test_once_heartbeats_were_seen_four_of_them_may_fail_to_come() -> None:
    for idle in (300.0, None):
        one = live(idle=idle)
        one.beat(1, at=5.0)
        assert one.patience(last_activity=5.0, now=5.0) == 20.0


def test_several_heartbeats_seen_at_once_are_so_many_intervals() -> None:
    one = live()
    one.beat(3, at=15.0)
    assert one.patience(last_activity=15.0, now=15.0) == 20.0


def test_the_idle_timeout_holds_if_it_is_shorter_than_four_heartbeats() -> None:
    one = live(idle=8.0)
    one.beat(1, at=5.0)
    assert one.patience(last_activity=5.0, now=5.0) == 8.0


def test_the_longest_of_the_last_four_intervals_counts() -> None:
    one = live(idle=None)
    at = 0.0
    for beats, interval in enumerate([9.0, 5.0, 5.0, 5.0], start=1):
        at += interval
        one.beat(beats, at)
    assert one.patience(at, at) == 36.0
    one.beat(5, at + 5.0)
    assert one.patience(at, at) == 20.0


def test_very_quick_heartbeats_leave_the_server_a_second() -> None:
    one = live(idle=None)
    one.beat(1000, at=1.0)
    one.beat(2000, at=2.0)
    assert one.patience(last_activity=2.0, now=2.0) == 1.0


def test_a_heartbeat_that_only_opens_the_stream_tells_nothing_of_the_next() -> None:
    one = live(idle=300.0)
    one.beat(1, at=0.01)
    assert one.patience(last_activity=0.01, now=0.01) == 300.0
    one.beat(2, at=5.01)
    assert one.patience(last_activity=5.01, now=5.01) == 20.0


def test_heartbeats_that_a_slow_reader_finds_all_at_once_make_nobody_impatient() -> None:
    one = live(idle=300.0)
    one.beat(1, at=5.0)
    for beats in range(2, 9):
        one.beat(beats, at=37.0 + beats / 1000)
    assert (one.patience(last_activity=37.1, now=37.1) or 0) >= 20.0


def test_a_connection_that_breaks_after_each_first_heartbeat_is_paused_for_ever_longer() -> None:
    one = live()
    pauses = []
    for turn in range(1, 7):
        pause = one.lost(CUT, 10.0 * turn)
        assert not isinstance(pause, GiveUp)
        pauses.append(pause)
        one.rejoining()
        one.opened(10.0 * turn)
        one.beat(1, at=10.0 * turn + 5)
    assert pauses == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0]


def test_a_heartbeat_that_was_counted_before_is_none() -> None:
    one = live(idle=None)
    one.beat(1, at=5.0)
    one.beat(1, at=100.0)
    assert one.patience(100.0, 100.0) == 20.0


def test_a_new_connection_is_watched_once_it_has_sent_a_heartbeat_of_its_own() -> None:
    one = live(idle=300.0)
    one.beat(1, at=5.0)
    one.lost(CUT, 50.0)
    one.opened(50.0)
    assert one.patience(last_activity=50.0, now=50.0) == 300.0
    one.beat(1, at=55.0)
    assert one.patience(last_activity=55.0, now=55.0) == 20.0
