from __future__ import annotations

from typing import Any

import pytest
from scripted import RUN, THREAD, ScriptedTransport

from lgsync.client import Client

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
