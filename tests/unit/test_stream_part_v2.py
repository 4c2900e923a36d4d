"""``version="v2"``: parts as dictionaries, with what waits for an answer beside the data."""

from __future__ import annotations

import copy
from typing import Any, List

import pytest
from scripted import THREAD, ScriptedSource, ScriptedTransport, run_answers

from lgsync import Client, ConfigurationError, RunError, StreamPart
from lgsync.parts import as_v2
from lgsync.run_defaults import RunDefaults

WAITING = [{"value": {"q": "ok?"}, "id": "i1"}]


def streamed(*parts: StreamPart, status: str = "success", **options: Any) -> List[Any]:
    """The parts that a loop over ``runs.stream(version="v2")`` gets."""
    transport = ScriptedTransport(ScriptedSource(parts), run_answers(status))
    with Client(transport=transport).runs.stream(THREAD, "agent", version="v2", **options) as run:
        return list(run)


def test_values_are_a_dictionary_of_type_namespace_data_and_interrupts() -> None:
    (part,) = streamed(StreamPart("values", {"n": 1}), stream_mode="values")
    assert part == {"type": "values", "ns": [], "data": {"n": 1}, "interrupts": []}


@pytest.mark.parametrize(
    ("event", "kind", "namespace"),
    [
        ("updates|sub:abc", "updates", ["sub:abc"]),
        ("custom|parent|child:123", "custom", ["parent", "child:123"]),
        ("messages/partial|sub:abc", "messages/partial", ["sub:abc"]),
    ],
)
def test_the_namespace_is_the_path_after_the_bar(event: str, kind: str, namespace: List[str]) -> None:
    (part,) = streamed(StreamPart(event, [{"n": 1}]), stream_mode=["updates", "custom", "messages"])
    assert (part["type"], part["ns"]) == (kind, namespace)


def test_the_end_event_is_no_part() -> None:
    assert as_v2(StreamPart("end")) is None
    parts = streamed(StreamPart("values", {"n": 1}), StreamPart("end"), stream_mode="values")
    assert [part["type"] for part in parts] == ["values"]


@pytest.mark.parametrize("event", ["metadata", "messages/partial", "messages/complete", "messages/metadata", "debug"])
def test_other_events_keep_their_name(event: str) -> None:
    part = as_v2(StreamPart(event, {"run_id": "r"}))
    assert part == {"type": event, "ns": [], "data": {"run_id": "r"}, "interrupts": []}


def test_interrupts_in_values_stand_beside_the_data() -> None:
    (part,) = streamed(StreamPart("values", {"n": 1, "__interrupt__": WAITING}), stream_mode="values")
    assert part == {"type": "values", "ns": [], "data": {"n": 1}, "interrupts": WAITING}


def test_the_part_that_others_see_keeps_its_interrupts() -> None:
    data = {"n": 1, "__interrupt__": WAITING}
    before = copy.deepcopy(data)
    as_v2(StreamPart("values", data))
    assert data == before


def test_interrupts_in_updates_stay_in_the_data() -> None:
    (part,) = streamed(StreamPart("updates", {"__interrupt__": WAITING}), stream_mode="updates")
    assert part == {"type": "updates", "ns": [], "data": {"__interrupt__": WAITING}, "interrupts": []}


def test_values_that_are_no_mapping_are_left_alone() -> None:
    assert as_v2(StreamPart("values", [1])) == {"type": "values", "ns": [], "data": [1], "interrupts": []}


def test_a_failed_run_shows_its_error_part_and_then_raises() -> None:
    failure = {"error": "ValueError", "message": "no such city"}
    transport = ScriptedTransport(ScriptedSource([StreamPart("error", failure)]), run_answers("error"))
    run = Client(transport=transport).runs.stream(THREAD, "agent", version="v2")
    assert next(run) == {"type": "error", "ns": [], "data": failure, "interrupts": []}
    with pytest.raises(RunError, match="ValueError: no such city"):
        next(run)


def test_a_failed_run_ends_with_its_error_part_if_errors_are_not_to_be_raised() -> None:
    failure = {"error": "ValueError", "message": "no such city"}
    for options, defaults in (({"raise_error": False}, RunDefaults()), ({}, RunDefaults(raise_error=False))):
        transport = ScriptedTransport(ScriptedSource([StreamPart("error", failure)]), run_answers("error"))
        client = Client(transport=transport, run_defaults=defaults)
        parts = list(client.runs.stream(THREAD, "agent", version="v2", **options))
        assert parts == [{"type": "error", "ns": [], "data": failure, "interrupts": []}]


def test_messages_are_the_same_whatever_the_version() -> None:
    said = [{"content": "hi", "type": "ai", "id": "m1"}, {"langgraph_node": "agent"}]
    transport = ScriptedTransport(ScriptedSource([StreamPart("messages", said)]), run_answers())
    run = Client(transport=transport).runs.stream(THREAD, "agent", version="v2")
    assert run.final_text() == "hi"


def test_an_unknown_version_is_refused_before_anything_is_sent() -> None:
    transport = ScriptedTransport(ScriptedSource([]))
    with pytest.raises(ConfigurationError, match="v1, v2"):
        Client(transport=transport).runs.stream(THREAD, "agent", version="v3")  # type: ignore[call-overload]
    assert transport.started == []
