"""Recorded events that were damaged on their way: nothing is raised or goes on for ever, and what can be is read."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any, Dict, List, Tuple

import pytest
from event_tape import Tape, captured, captures, human, told, translated
from hypothesis import given
from hypothesis import strategies as st

from lgsync.errors import APIStatusError
from lgsync.parts import StreamPart
from lgsync.transport import RunJoin
from lgsync.transports.commands import protocol_error
from lgsync.transports.enveloped import Enveloped, is_envelope

MODES = [["messages-tuple", "updates"], ["messages", "custom"], ["values"]]

RUNS = [captured(name)[0] for name in captures()]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def keys_of(value: Any) -> List[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []


@st.composite
def places(draw: st.DrawFn, event: Dict[str, Any]) -> Tuple[Any, Any]:
    """A place within an event, as what holds it and the key or number it has there; the deeper, the rarer."""
    holder, key = event, draw(st.sampled_from(keys_of(event)))
    while keys_of(holder[key]) and draw(st.integers(0, 3)):
        holder = holder[key]
        key = draw(st.sampled_from(keys_of(holder)))
    return holder, key


@st.composite
def damaged_runs(draw: st.DrawFn) -> List[Dict[str, Any]]:
    """A recorded run with events lost, doubled or moved, and with fields lost or of other types."""
    run = draw(st.sampled_from(RUNS))
    start = draw(st.integers(0, max(0, len(run) - 30)))
    events: List[Any] = copy.deepcopy(run[:4] + run[max(4, start) : start + 30])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(events) - 1))
        how = draw(st.sampled_from(["drop", "double", "move", "field", "field", "field"]))
        if how == "double":
            events.insert(draw(st.integers(0, len(events))), copy.deepcopy(events[at]))
        elif how == "move":
            events.insert(draw(st.integers(0, len(events) - 1)), events.pop(at))
        elif how == "drop" and len(events) > 1:
            del events[at]
        elif events[at]:
            holder, key = draw(places(events[at]))
            if draw(st.booleans()):
                del holder[key]
            else:
                holder[key] = draw(json_values)
    return events


def size(value: Any) -> int:
    return len(json.dumps(value))


@given(damaged_runs(), st.sampled_from(MODES), st.booleans())
def test_a_damaged_run_is_read_as_far_as_it_makes_sense(
    events: List[Dict[str, Any]], modes: List[str], subgraphs: bool
) -> None:
    before = copy.deepcopy(events)
    parts, _ = translated(events, modes, stream_subgraphs=subgraphs)
    told(parts)
    assert events == before
    # No event comes to more than a few parts, and no part to more than all that was said until then.
    assert len(parts) <= 12 * len(events)
    assert all(size(part.data) <= 3 * size(events) + 2000 for part in parts)


@given(damaged_runs(), st.sampled_from(MODES), st.none() | st.integers(0, 20))
def test_a_damaged_run_may_be_joined_too(events: List[Dict[str, Any]], modes: List[str], since: Any) -> None:
    enveloped = Enveloped(RunJoin("thread-1", "run-1", tuple(modes)))
    enveloped.since = since
    parts = [StreamPart(str(event.get("method")), event, str(number)) for number, event in enumerate(events)]
    given = [each for part in parts for each in enveloped.feed(part)]
    told([*given, *enveloped.finish()])
    assert enveloped.since is None or not any(map(is_envelope, given))


@pytest.mark.parametrize("modes", MODES)
@pytest.mark.parametrize("deep", [[], {}], ids=["lists", "objects"])
def test_what_is_nested_too_deep_to_follow_is_left_to_the_state(modes: List[str], deep: Any) -> None:
    for _ in range(sys.getrecursionlimit() - 15):
        deep = [deep] if isinstance(deep, list) else {"a": deep}
    tape = Tape()
    call = {"type": "tool_call", "id": "c", "name": "f", "args": {"a": deep}}
    events = [
        tape.running(),
        tape.values(human("hi")),
        tape.start("m1"),
        tape.block_end(call),
        tape.start("m2"),
        tape.block_end({"type": "image", "x": deep}),
        tape.end(additional_kwargs={"x": deep}),
        tape.event("updates", {"n": deep}),
        tape.event("custom", deep),
        tape.interrupt("i1", deep),
        tape.values(human("hi"), {"type": "ai", "id": "m1", "content": deep}, other=deep),
        tape.completed(),
    ]
    parts, translator = translated(events, modes)
    assert (parts[0].event, translator.ended) == ("metadata", "completed")


@given(st.dictionaries(st.sampled_from(["type", "id", "error", "message", "meta", "stacktrace"]), json_values))
def test_any_error_frame_is_the_error_of_some_status(envelope: Dict[str, Any]) -> None:
    error = protocol_error(envelope, request="GET", url="ws://x", command="subscription.subscribe")
    assert isinstance(error, APIStatusError)
    assert 400 <= error.status_code < 600
    assert error.url == "ws://x"


@given(st.integers(400, 599), st.text(max_size=20).filter(lambda text: "[" not in text))
def test_the_status_in_an_error_frame_is_the_one_it_has(status: int, text: str) -> None:
    error = protocol_error(
        {"error": "unknown_error", "message": f"{status}: {text}"}, request="GET", url="ws://x", command="c"
    )
    assert (error.status_code, error.detail) == (status, text.strip())
