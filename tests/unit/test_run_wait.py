from __future__ import annotations

from typing import Any, List

import pytest
from scripted import RUN, THREAD, ScriptedTransport

from lgsync.client import Client
from lgsync.errors import ConnectionTimeout, DeadlineExceeded, NotFoundError, RunError
from lgsync.transport import Response, Timeout

JOIN = f"GET /threads/{THREAD}/runs/{RUN}/join"
STATE = f"GET /threads/{THREAD}/state"

VALUES = {"messages": [], "n": 1}
EVENT = {"type": "event", "method": "values", "params": {"namespace": [], "data": VALUES}, "seq": 7}


def joined(*answers: Any, state: Any = None) -> Any:
    """What a join gives whose answers are these, one after the other."""
    left = [(200, each) for each in answers]
    transport = ScriptedTransport(answers={JOIN: lambda: left.pop(0), STATE: (200, {"values": state})})
    values = Client(transport=transport).runs.join(THREAD, RUN)
    assert left == []
    return values


def test_a_run_that_is_told_of_by_its_last_event_is_asked_for_its_values() -> None:
    assert joined(EVENT, VALUES) == VALUES


def test_a_run_that_paused_so_has_its_values_and_all_that_it_waits_for() -> None:
    both = {"__interrupt__": [{"id": "1", "value": "left?"}, {"id": "2", "value": "right?"}]}
    assert joined(EVENT, both, state=VALUES) == {**VALUES, **both}


@pytest.mark.parametrize("field", ["type", "method", "params", "seq"])
def test_values_that_look_like_an_event_in_part_are_values(field: str) -> None:
    values = {name: value for name, value in EVENT.items() if name != field}
    assert joined(values) == values


RUNS = f"/threads/{THREAD}/runs"
STARTED = {f"POST {RUNS}": (200, {"run_id": RUN, "thread_id": THREAD}), JOIN: (200, VALUES)}


def fail(run: Any) -> None:
    raise ZeroDivisionError


def test_who_is_told_of_the_run_and_fails_leaves_no_run_behind() -> None:
    transport = ScriptedTransport(answers=STARTED)
    with pytest.raises(ZeroDivisionError):
        Client(transport=transport).runs.wait(THREAD, "agent", on_run_created=fail)
    assert transport.cancelled.is_set()


def test_who_is_told_of_the_run_and_fails_leaves_it_going_if_that_was_asked() -> None:
    transport = ScriptedTransport(answers=STARTED)
    with pytest.raises(ZeroDivisionError):
        Client(transport=transport).runs.wait(THREAD, "agent", on_run_created=fail, on_close="continue")
    assert not transport.cancelled.is_set()


@pytest.mark.parametrize(("on_close", "sent"), [("cancel", "cancel"), ("continue", None)])
def test_a_run_without_a_thread_is_cancelled_by_the_server_when_its_caller_leaves(on_close: Any, sent: Any) -> None:
    transport = ScriptedTransport(answers={"POST /runs/wait": (200, VALUES)})
    Client(transport=transport).runs.wait(None, "agent", on_close=on_close)
    assert transport.requests[0][2].get("on_disconnect") == sent


def test_a_deadline_that_passes_while_a_run_is_started_says_that_it_may_go_on() -> None:
    late = DeadlineExceeded("POST /runs was not over")
    transport = ScriptedTransport(answers={f"POST {RUNS}": late})
    with pytest.raises(DeadlineExceeded, match="A run may have begun all the same: look with client.runs.list"):
        Client(transport=transport).runs.create(THREAD, "agent")


NOT_FOUND = {"__error__": {"error": "HTTPException", "message": "404: Run not found"}}


def test_a_run_that_is_not_there_is_not_found_and_no_run_that_failed() -> None:
    transport = ScriptedTransport(answers={JOIN: (200, NOT_FOUND), f"GET {RUNS}/{RUN}": (404, {"detail": "no run"})})
    with pytest.raises(NotFoundError, match="no run"):
        Client(transport=transport).runs.join(THREAD, RUN)


def test_a_run_that_failed_with_words_like_that_is_one_that_failed() -> None:
    transport = ScriptedTransport(answers={JOIN: (200, NOT_FOUND), f"GET {RUNS}/{RUN}": (200, {"run_id": RUN})})
    with pytest.raises(RunError, match="404: Run not found"):
        Client(transport=transport).runs.join(THREAD, RUN)


def test_a_deadline_that_passes_leaves_no_time_to_wait_for_the_cancel() -> None:
    limits: List[Any] = []

    class Slow(ScriptedTransport):
        def request(self, method: str, path: str, **call: Any) -> Response:
            if path.endswith("/join"):
                raise ConnectionTimeout("silent", url="http://server")
            if path.endswith("/cancel"):
                limits.append(call["timeout"])
            return super().request(method, path, **call)

    with pytest.raises(DeadlineExceeded, match="the run is asked to end"):
        Client(transport=Slow(answers=STARTED)).runs.wait(THREAD, "agent", deadline=0.05)
    assert limits == [Timeout(0.5, 0.5)]
