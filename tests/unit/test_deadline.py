from __future__ import annotations

from typing import Any, List

import pytest

from lgsync.deadline import Deadline
from lgsync.errors import ConfigurationError, DeadlineExceeded
from lgsync.transport import Timeout


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_left_goes_down_to_nothing_and_not_below() -> None:
    clock = Clock()
    deadline = Deadline(10.0, clock)
    left: List[Any] = []
    for now in (100.0, 104.0, 110.0, 200.0):
        clock.now = now
        left.append((deadline.remaining(), deadline.passed))
    assert left == [(10.0, False), (6.0, False), (0.0, True), (0.0, True)]


def test_no_deadline_never_passes() -> None:
    clock = Clock()
    deadline = Deadline(None, clock)
    clock.now = 1e9
    assert deadline.remaining() is None
    assert not deadline.passed


def test_no_deadline_leaves_a_timeout_as_it_is() -> None:
    timeout = Timeout(None, 5.0, 7.0)
    assert Deadline(None).within(timeout) is timeout


def test_every_timeout_ends_with_the_deadline() -> None:
    clock = Clock()
    deadline = Deadline(10.0, clock)
    clock.now = 106.0
    assert deadline.within(Timeout(1.0, 300.0)) == Timeout(1.0, 4.0, 4.0)
    assert deadline.within(Timeout(None, None)) == Timeout(4.0, 4.0, 4.0)


def test_the_call_as_a_whole_takes_no_longer_than_its_own_limit() -> None:
    deadline = Deadline(10.0, Clock())
    assert deadline.within(Timeout(1.0, 1.0, 3.0)) == Timeout(1.0, 1.0, 3.0)
    assert deadline.within(Timeout(1.0, 1.0, 30.0)) == Timeout(1.0, 1.0, 10.0)


def test_a_deadline_that_has_passed_leaves_a_timeout_that_is_not_zero() -> None:
    clock = Clock()
    deadline = Deadline(10.0, clock)
    clock.now = 1000.0
    timeout = deadline.within(Timeout(5.0, 300.0))
    assert all(seconds is not None and 0 < seconds < 0.1 for seconds in timeout)


@pytest.mark.parametrize("seconds", [0, -1, -0.5, "10", True, (1, 2), float("nan")])
def test_a_deadline_is_a_positive_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="deadline must be a positive number"):
        Deadline(seconds)


def test_the_error_says_what_was_late_by_which_deadline_and_where() -> None:
    error = Deadline(2.5).exceeded("The run's stream", thread_id="t1", run_id="r1", cursor="lgsync1.x")
    assert isinstance(error, DeadlineExceeded)
    assert isinstance(error, TimeoutError)
    assert "The run's stream was not over within its deadline of 2.5 s (run r1 on thread t1)" in str(error)
    assert (error.thread_id, error.run_id, error.cursor) == ("t1", "r1", "lgsync1.x")


def test_the_error_names_the_thread_alone_before_the_run_is_known() -> None:
    assert "2 s on thread t1;" in str(Deadline(2).exceeded("Opening the stream", thread_id="t1"))
    assert "2 s;" in str(Deadline(2).exceeded("GET /threads"))
