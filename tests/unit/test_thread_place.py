"""A thread's stream is taken up again from before its last ids, and each part is given once."""

from __future__ import annotations

from typing import List, Optional

from hypothesis import given
from hypothesis import strategies as st

from lgsync.thread_place import ThreadPlace


def received(place: ThreadPlace, *ids: Optional[str]) -> List[bool]:
    return [place.received(part_id) for part_id in ids]


def test_a_stream_that_brought_nothing_goes_on_where_it_began() -> None:
    assert ThreadPlace("7-0").rejoining("9-0") == "7-0"
    assert ThreadPlace().rejoining("9-0") == "9-0"
    assert ThreadPlace().rejoining() is None


def test_where_a_connection_stood_that_brought_nothing_is_kept_for_the_next() -> None:
    place = ThreadPlace()
    place.rejoining("9-0")
    assert place.rejoining("12-0") == place.latest == "9-0"


def test_a_stream_goes_on_right_before_the_first_id_that_is_remembered() -> None:
    place = ThreadPlace()
    received(place, "1000-3", "1001-0")
    assert place.rejoining() == "1000-2"
    other = ThreadPlace()
    received(other, "1000-0")
    assert other.rejoining() == "999-18446744073709551615"


def test_of_the_parts_with_one_id_those_that_were_given_come_no_second_time() -> None:
    place = ThreadPlace()
    received(place, "7-0", "7-0")
    place.rejoining()
    assert received(place, "7-0", "7-0", "7-0", "8-0") == [False, False, True, True]


def test_what_the_server_does_not_keep_is_not_expected_again() -> None:
    place = ThreadPlace()
    assert place.received("7-0")
    assert place.received("7-0", kept=False)
    place.rejoining()
    assert received(place, "7-0", "7-0") == [False, True]


def test_ids_that_come_in_another_order_are_each_known() -> None:
    place = ThreadPlace()
    received(place, "12-0", "11-0", "13-0")
    assert place.rejoining() == "10-18446744073709551615"
    assert received(place, "11-0", "12-0", "13-0", "14-0") == [False, False, False, True]


def test_after_ids_of_another_form_a_stream_goes_on_from_the_last_one() -> None:
    place = ThreadPlace()
    received(place, "one", "two")
    assert place.rejoining() == "two"
    assert received(place, "two") == [True]


def test_a_part_without_an_id_is_new_and_moves_nothing() -> None:
    place = ThreadPlace("7-0")
    assert received(place, None) == [True]
    assert place.latest == "7-0"


@given(
    gaps=st.lists(st.integers(0, 2), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_however_often_a_stream_is_cut_each_part_is_given_once(gaps: List[int], cuts: List[int]) -> None:
    sent, now = [], 1000
    for number, gap in enumerate(gaps):
        now += gap
        sent.append((f"{now}-0", number))
    place, given_parts, position = ThreadPlace(), [], None
    for stop in [*sorted(cuts), len(sent)]:
        shown = [part for part in sent if position is None or _after(part[0], position)]
        for part in shown:
            if part[1] >= stop:
                break
            if place.received(part[0]):
                given_parts.append(part)
        position = place.rejoining()
    assert given_parts == sent


def _after(part_id: str, position: str) -> bool:
    def order(text: str) -> List[int]:
        return [int(number) for number in text.split("-")]

    return order(part_id) > order(position)
