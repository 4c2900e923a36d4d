"""What translating costs, counted in lines of code run, never in seconds: twice the subgraphs, twice the work."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from event_tape import Tape, ai, human, told, translated

import lgsync.transports.protocol
from lgsync.transports.attribution import Scopes
from lgsync.transports.drafts import Draft

_HERE = str(Path(lgsync.transports.protocol.__file__).parent)
_TWICE = 2.2
# As counted when it was made cheap; a line more or less is no harm.
_LINES_OF_A_DELTA = 50
_FEW = 40

Envelopes = List[Dict[str, Any]]


def in_turn(calls: int, ends: bool = False) -> Envelopes:
    """Subgraphs that run within one step, each with a message of its own; then the step's snapshot."""
    tape = Tape()
    events = [tape.running(), tape.values(human("hi"))]
    for number in range(calls):
        place = [f"child:{number}"]
        events += [tape.values(human("hi"), namespace=place), *tape.said(f"m{number}", "inner", namespace=place)]
        events += [tape.lifecycle("completed", place)] if ends else []
    return [*events, tape.values(human("hi"), *(ai("inner", f"m{number}") for number in range(calls)))]


def in_turn_and_ended(calls: int) -> Envelopes:
    return in_turn(calls, ends=True)


def in_pairs(calls: int) -> Envelopes:
    """Two messages at once in each subgraph, so that each pair is held until the step's snapshot."""
    tape = Tape()
    events = [tape.running(), tape.values(human("hi"))]
    for number in range(calls):
        place, names = [f"child:{number}"], (f"a{number}", f"b{number}")
        events += [tape.start(name, place) for name in names]
        for name in names:
            events += [tape.text(name, namespace=place), *tape.ended(name, place)]
    messages = [ai(f"{letter}{number}", f"{letter}{number}") for number in range(calls) for letter in "ab"]
    return [*events, tape.values(human("hi"), *messages)]


def never_shown(calls: int) -> Envelopes:
    """Pairs that no snapshot ever shows, a snapshot after each."""
    tape = Tape()
    events = [tape.running(), tape.values(human("hi"))]
    for number in range(calls):
        place = [f"child:{number}"]
        events += [tape.start(f"a{number}", place), tape.start(f"b{number}", place), tape.text("x", namespace=place)]
        events += [*tape.ended("x", place), *tape.ended("y", place), tape.values(human("hi"), count=number)]
        events += tape.said(f"m{number}", "outer")
    return events


def many_at_once(calls: int) -> Envelopes:
    """Messages that all begin in one place before any of them ends."""
    tape = Tape()
    names = [f"m{number}" for number in range(calls)]
    events = [tape.running(), tape.values(human("hi")), *(tape.start(name) for name in names)]
    events += [tape.text("word ") for _ in names]
    events += [event for name in names for event in tape.ended(name)]
    return [*events, tape.values(human("hi"), *(ai(name, name) for name in names))]


def unstreamed(calls: int) -> Envelopes:
    """Messages of models that do not stream, all in one snapshot, after something was held."""
    tape = Tape()
    events = [tape.running(), tape.values(human("hi")), tape.start("a"), tape.start("b"), tape.text("x")]
    events += [*tape.ended("x"), *tape.ended("y")]
    return [*events, tape.values(human("hi"), *(ai(f"text {number}", f"m{number}") for number in range(calls)))]


def lines_run(events: Envelopes, subgraphs: bool) -> int:
    """How many lines of the transports run for these events, comprehensions by their rounds."""
    lines = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(_HERE):
            return None
        lines += event == "line"
        return trace

    sys.settrace(trace)
    try:
        translated(events, stream_subgraphs=subgraphs)
    finally:
        sys.settrace(None)
    return lines


@pytest.mark.parametrize("subgraphs", [False, True])
@pytest.mark.parametrize("run", [in_turn, in_turn_and_ended, in_pairs, never_shown, many_at_once, unstreamed])
def test_twice_the_messages_cost_twice_the_work(run: Callable[[int], Envelopes], subgraphs: bool) -> None:
    few, many = (lines_run(run(calls), subgraphs) for calls in (_FEW, 2 * _FEW))
    assert many < _TWICE * few


@pytest.mark.parametrize("place", [[], ["child:1"]])
def test_a_delta_takes_few_steps_however_long_the_message_is(place: List[str]) -> None:
    def one_message(deltas: int) -> Envelopes:
        tape = Tape()
        return [tape.running(), tape.values(), *tape.said("m1", *["word "] * deltas, namespace=place)]

    few, many = (lines_run(one_message(deltas), subgraphs=True) for deltas in (2000, 4000))
    assert (many - few) / 2000 < _LINES_OF_A_DELTA


def test_the_text_of_a_message_is_kept_in_few_pieces() -> None:
    draft, deltas = Draft("m1"), 20_000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(deltas):
            draft.delta(0, {"type": "text-delta", "text": f"word {number % 10} "})
        assert tracemalloc.get_traced_memory()[0] - before < 3 * deltas * len("word 1 ")
    finally:
        tracemalloc.stop()


def test_a_subgraph_that_is_over_is_forgotten() -> None:
    scopes = Scopes()
    first, open_one = scopes.at(("child:1",)), scopes.at(("child:2",))
    scopes.start(open_one, Draft("m1"))
    for place in ("child:1", "child:2"):
        scopes.end((place,))
    assert scopes.at(("child:1",)) is not first
    assert scopes.at(("child:2",)) is open_one


def test_a_step_that_is_over_forgets_all_below_it() -> None:
    scopes = Scopes()
    child, grandchild = scopes.at(("child:1",)), scopes.at(("child:1", "inner:1"))
    scopes.start(grandchild, Draft("m1"))
    assert scopes.retire((), {}) is True
    assert scopes.at(("child:1",)) is not child
    assert scopes.knowing((), "m1") == []


def test_what_a_forgotten_subgraph_held_is_still_settled_by_the_snapshot_above() -> None:
    parts, _ = translated(in_pairs(2))
    assert [(one.id, one.text, one.status) for one in told(parts)[1].run_messages] == [
        (name, name, "complete") for name in ("a0", "b0", "a1", "b1")
    ]


def test_the_usage_of_what_a_forgotten_subgraph_held_is_still_found() -> None:
    tape, place = Tape(), ["child:1"]
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    events = [tape.values(human("hi")), tape.start("a", place), tape.start("b", place)]
    events += [
        tape.text("A", namespace=place),
        *tape.ended("A", place, usage=usage),
        *tape.ended("B", place, usage=usage),
    ]
    events += [tape.lifecycle("completed", place), tape.values(human("hi"), ai("A", "a"), ai("B", "b"))]
    parts, translator = translated(events)
    assert [one.usage for one in told(parts)[1].run_messages] == [usage, usage]
    assert translator.exact
