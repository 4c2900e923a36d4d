from __future__ import annotations

from typing import Any, List

import pytest

from lgsync.closing import Closing
from lgsync.deadline import Deadline
from lgsync.errors import ConnectionFailed, ConnectionLost, DeadlineExceeded, PermissionDeniedError, StreamLost
from lgsync.named_run import NamedRun
from lgsync.policy import GiveUp, Policy
from lgsync.recovery import ATTEMPT, Recovery
from lgsync.transport import RunJoin, Timeout

CUT = ConnectionLost("reset by peer", url="http://server")
AWAY = ConnectionFailed("refused", url="http://server")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def recovery(clock: Any = None, *, deadline: Any = None, **policy: Any) -> Any:
    """A recovery, and the run whose it is."""
    rules = Policy(**{"budget": 60.0, "idle": None, "jitter": lambda: 0.0, **policy})
    one = Recovery(rules, Deadline(deadline, clock or Clock()))
    return one, NamedRun(RunJoin("t", "r"), "sse", rules)


@pytest.mark.parametrize(
    ("most", "deadline", "limits"),
    [
        (Timeout(300.0, 300.0), None, ATTEMPT[:2]),
        (Timeout(None, None), None, ATTEMPT[:2]),
        (Timeout(1.0, 2.0), None, (1.0, 2.0)),
        (Timeout(1.0, 300.0), 3.0, (1.0, 3.0)),
    ],
)
def test_an_attempt_takes_no_longer_than_its_caller_or_the_deadline_allows(
    most: Timeout, deadline: Any, limits: Any
) -> None:
    one, _ = recovery(deadline=deadline)
    assert one.limits(most)[:2] == limits


def test_who_closes_a_stream_is_told_of_no_deadline() -> None:
    clock = Clock()
    one, run = recovery(clock, deadline=5.0)
    clock.now = 10.0
    one.closing.set()
    assert one.pause(CUT, run) is True


def test_a_refusal_for_good_is_raised_with_its_own_cause() -> None:
    refusal = PermissionDeniedError("403", url="http://server", status_code=403)
    refusal.__cause__ = CUT
    one, run = recovery()
    with pytest.raises(PermissionDeniedError) as caught:
        one.pause(refusal, run)
    assert caught.value.__cause__ is CUT


def test_who_can_do_without_another_attempt_is_told_that_there_is_to_be_none() -> None:
    one, run = recovery(budget=0.0)
    assert isinstance(one.paused(AWAY, run), GiveUp)


def test_the_last_attempt_in_vain_is_a_lost_stream() -> None:
    one, run = recovery(budget=0.0)
    with pytest.raises(StreamLost) as caught:
        one.pause(AWAY, run)
    assert caught.value.__cause__ is AWAY


def test_a_deadline_that_passes_during_a_pause_leaves_no_other_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    waits: List[float] = []

    def wait(self: Closing, seconds: float) -> bool:
        waits.append(seconds)
        clock.now += 10.0
        return False

    monkeypatch.setattr(Closing, "wait", wait)
    one, run = recovery(clock, deadline=5.0)
    with pytest.raises(DeadlineExceeded) as caught:
        one.pause(CUT, run)
    assert (caught.value.run_id, caught.value.__cause__, waits) == ("r", CUT, [0.0])
