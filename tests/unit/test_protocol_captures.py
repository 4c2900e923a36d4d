"""The translator against what real servers sent: every captured socket, and the state its thread had afterwards."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List

import pytest
from event_tape import captured, captured_state, captures, told, translated
from normal_form import normal, normal_list

from lgsync.parts import StreamPart

CAPTURES = captures()
FINISHED = [name for name in CAPTURES if captured(name)[1] == "success"]


def parts_of(name: str, **options: Any) -> List[StreamPart]:
    return translated(captured(name)[0], **options)[0]


def test_every_graph_was_captured() -> None:
    assert len(CAPTURES) == 19


# A run that was rolled back leaves the state as if it had never been.
@pytest.mark.parametrize("name", [name for name in CAPTURES if not name.endswith("rollback")])
@pytest.mark.parametrize("subgraphs", [False, True])
def test_the_messages_are_those_of_the_state(name: str, subgraphs: bool) -> None:
    _, outcome = captured(name)
    _, accumulator = told(parts_of(name, stream_subgraphs=subgraphs), outcome)
    of_the_run = {message.id for message in accumulator.run_messages}
    seen = [message.to_dict() for message in accumulator.messages]
    state = captured_state(name)
    # What was in the thread before comes from snapshots alone, and those never tell the usage.
    state = [message if message["id"] in of_the_run else {**message, "usage_metadata": None} for message in state]
    assert normal_list(seen) == normal_list(state)


@pytest.mark.parametrize("name", FINISHED)
def test_every_message_that_is_told_is_told_as_the_state_has_it(name: str) -> None:
    _, accumulator = told(parts_of(name))
    state = {message["id"]: normal(message) for message in captured_state(name)}
    run = {message.id: normal(message.to_dict()) for message in accumulator.run_messages if message.status != "removed"}
    assert run == {message_id: state[message_id] for message_id in run if message_id is not None}


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("modes", [("messages-tuple", "updates"), ("messages", "updates")])
def test_each_message_ends_exactly_once(name: str, modes: Any) -> None:
    events, outcome = captured(name)
    changes, accumulator = told(translated(events, modes)[0], outcome)
    ends = Counter(message.id for message in changes if message.status in ("complete", "incomplete"))
    assert ends == Counter(message.id for message in accumulator.run_messages if message.status != "removed")


@pytest.mark.parametrize("name", FINISHED)
def test_the_deltas_joined_are_the_text(name: str) -> None:
    changes, accumulator = told(parts_of(name))
    said: Dict[Any, str] = {}
    for message in changes:
        said[message.id] = said.get(message.id, "") + (message.delta.text or "")
    for message in accumulator.run_messages:
        # A text that its node replaced, or a message from before the run that it removed, is said by no delta.
        if message.id != "static-1" and message.status != "removed":
            assert said[message.id] == message.text


@pytest.mark.parametrize("name", FINISHED)
def test_cumulative_snapshots_end_where_the_chunks_do(name: str) -> None:
    events, _ = captured(name)
    _, by_chunks = told(translated(events, ["messages-tuple"])[0])
    _, by_snapshots = told(translated(events, ["messages"])[0])
    chunked = [message.to_dict() for message in by_chunks.run_messages]
    assert normal_list(message.to_dict() for message in by_snapshots.run_messages) == normal_list(chunked)


def test_one_part_comes_for_each_delta() -> None:
    events, _ = captured("slow/v2-ws")
    deltas = [event for event in events if event["params"]["data"].get("event") == "content-block-delta"]
    chunks = [part for part in parts_of("slow/v2-ws") if part.kind == "messages"]
    assert len(chunks) == len(deltas) + 1


def test_parallel_models_come_whole_with_the_usage_that_was_said() -> None:
    _, accumulator = told(parts_of("parallel/v2-ws"))
    assert [message.text for message in accumulator.run_messages] == ["A0 A1 A2 A3 A4 A5 ", "B0 B1 B2 B3 B4 B5 "]
    assert [message.usage for message in accumulator.run_messages] == [
        {"input_tokens": 1, "output_tokens": 6, "total_tokens": 7}
    ] * 2


def test_a_subgraph_is_silent_until_its_node_ends_unless_asked_for() -> None:
    parts = parts_of("sub/v2-ws")
    assert {part.event for part in parts} == {"metadata", "values", "messages"}
    whole = [part.data[0] for part in parts if part.kind == "messages" and part.data[0]["type"] == "ai"]
    assert [message["content"][0]["text"] for message in whole] == ["inner0 inner1 inner2 "]
    assert whole[0]["usage_metadata"] == {"input_tokens": 1, "output_tokens": 3, "total_tokens": 4}


def test_a_subgraph_that_streamed_is_not_repeated_by_its_parent() -> None:
    parts = parts_of("sub/v2-ws", stream_subgraphs=True)
    inner = [part for part in parts if part.kind == "messages" and part.namespace]
    outer = [part for part in parts if part.kind == "messages" and not part.namespace]
    assert {part.data[0]["id"] for part in inner}.isdisjoint(part.data[0]["id"] for part in outer)
    assert "".join(part.data[0]["content"][0]["text"] for part in inner[:-1]) == "inner0 inner1 inner2 "


@pytest.mark.parametrize("name", CAPTURES)
def test_any_part_is_a_place_to_go_on_from(name: str) -> None:
    ids = [part.id for part in parts_of(name, stream_subgraphs=True)]
    assert None not in ids
    assert len(set(ids)) == len(ids)
