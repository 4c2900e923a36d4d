"""The messages of every graph, in every form, are those that its thread holds afterwards."""

from __future__ import annotations

from typing import Set

import pytest
from witness import (
    FORMS,
    assert_deltas_are_the_text,
    assert_each_ends_once,
    assert_equals_the_state,
    assert_nothing_old_is_shown,
    assert_shown_in_order,
    every_form,
    watch,
)

FINISHING = (
    "agent",
    "ptools",
    "failtool",
    "sub",
    "parallel",
    "fanout",
    "blocks",
    "thinking",
    "image",
    "unicode",
    "custom",
    "big",
    "retry",
    "static",
    "remove",
    "wipe",
    "rewrite",
    "sidecall",
    "nostream",
    "wholemodel",
)
#: Graphs that complete messages in an order of their own: parallel branches end as they end.
UNORDERED = {"parallel", "fanout"}
#: Graphs in which a node replaces a message's text by another.
REPLACING = {"rewrite", "static"}


@every_form
@pytest.mark.parametrize("graph", FINISHING)
def test_the_messages_of_a_finished_run_are_those_of_its_thread(server_url: str, graph: str, form: str) -> None:
    seen = watch(server_url, form, graph)
    assert seen.outcome == "success"
    assert_each_ends_once(seen)
    assert_deltas_are_the_text(seen, replaced=graph in REPLACING)
    assert_nothing_old_is_shown(seen)
    assert_equals_the_state(seen)
    if graph not in UNORDERED:
        assert_shown_in_order(seen)


# The server itself fails a run whose arguments are cut there if it has to parse them for `messages`.
@pytest.mark.parametrize("form", [form for form in FORMS if form != "sse-messages"])
def test_arguments_cut_inside_an_escape_or_a_surrogate_pair_come_out_whole(server_url: str, form: str) -> None:
    seen = watch(server_url, form, "escapes")
    assert seen.outcome == "success"
    for message in seen.changes:
        for call in message.tool_calls:
            assert not any("\ud800" <= character <= "\udfff" for character in call["args"].get("query", ""))
    assert_equals_the_state(seen)


@every_form
def test_messages_of_a_subgraph_are_shown_under_its_namespace(server_url: str, form: str) -> None:
    seen = watch(server_url, form, "sub", stream_subgraphs=True)
    inner = [m for m in seen.changes if "inner" in m.text and m.namespace]
    assert [m.namespace[0].partition(":")[0] for m in inner] == ["child"] * len(inner)
    assert any(m.status == "streaming" for m in inner)
    assert_each_ends_once(seen)
    assert_deltas_are_the_text(seen)
    assert_equals_the_state(seen)


@every_form
def test_a_helper_call_that_is_not_stored_is_shown_and_completes(server_url: str, form: str) -> None:
    seen = watch(server_url, form, "sidecall")
    stored: Set[str] = {message["id"] for message in seen.stored}
    helpers = [m for m in seen.last.values() if m.id not in stored]
    assert [m.status for m in helpers] == ["complete"]


# Messages alone do not tell a message that was removed from one that never was stored.
@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("sse-messages", "sse-tuple")])
def test_a_removed_message_is_said_to_be_removed(server_url: str, form: str) -> None:
    seen = watch(server_url, form, "wipe")
    kept = {message["id"] for message in seen.stored}
    for message in seen.last.values():
        assert (message.status == "removed") == (message.id not in kept)


@every_form
def test_an_attempt_that_a_retry_replaced_ends_incomplete(server_url: str, form: str) -> None:
    seen = watch(server_url, form, "retry")
    first, second = seen.last.values()
    assert [first.status, second.status] == ["incomplete", "complete"]


@every_form
def test_a_message_that_a_node_rewrote_is_replaced(server_url: str, form: str) -> None:
    seen = watch(server_url, form, "rewrite")
    (stored,) = seen.new
    mine = [message for message in seen.changes if message.id == stored["id"]]
    assert mine[-1].text == "redacted"
    (place,) = [number for number, message in enumerate(mine) if message.delta.replaced]
    assert "secret" in mine[place - 1].text
    assert mine[place].text == "redacted"


@every_form
@pytest.mark.parametrize("graph", ["err", "nodeerr"])
def test_a_failed_run_shows_what_came_before_and_raises(server_url: str, graph: str, form: str) -> None:
    seen = watch(server_url, form, graph)
    assert seen.outcome == "error"
    assert seen.failure is not None
    assert (seen.failure.error, seen.failure.thread_id) == ("ValueError", seen.thread_id)
    assert seen.failure.detail
    assert_each_ends_once(seen)
    assert_deltas_are_the_text(seen)
    assert_equals_the_state(seen)


@every_form
def test_a_message_that_its_model_left_half_way_ends_incomplete(server_url: str, form: str) -> None:
    seen = watch(server_url, form, "err")
    assert seen.statuses() == ["complete", "incomplete"]


@every_form
@pytest.mark.parametrize(("graph", "asked"), [("hitl", 1), ("hitl2", 2), ("hitlsub", 1)])
def test_a_pause_shows_its_questions_and_the_answer_goes_on(server_url: str, graph: str, asked: int, form: str) -> None:
    paused = watch(server_url, form, graph)
    assert paused.outcome == "interrupted"
    assert len(paused.interrupts) == asked
    assert all(interrupt.value for interrupt in paused.interrupts)
    assert_each_ends_once(paused)
    assert_equals_the_state(paused)

    answers = {interrupt.id: "yes" for interrupt in paused.interrupts}
    resume = "yes" if asked == 1 else answers
    resumed = watch(server_url, form, graph, thread_id=paused.thread_id, command={"resume": resume})
    assert resumed.outcome == "success"
    assert resumed.interrupts == []
    assert resumed.new
    assert_each_ends_once(resumed)
    assert_nothing_old_is_shown(resumed)
    assert_deltas_are_the_text(resumed)
    assert_equals_the_state(resumed)


@every_form
def test_a_second_run_on_a_thread_shows_its_own_messages_only(server_url: str, form: str) -> None:
    first = watch(server_url, form, "agent")
    second = watch(server_url, form, "agent", thread_id=first.thread_id)
    assert not {m.id for m in first.changes} & {m.id for m in second.changes}
    assert_equals_the_state(second)


@every_form
@pytest.mark.parametrize("subgraphs", [False, True])
def test_what_a_subgraph_hands_back_of_its_input_is_not_shown(server_url: str, form: str, subgraphs: bool) -> None:
    seen = watch(server_url, form, "sub", stream_subgraphs=subgraphs)
    assert_nothing_old_is_shown(seen)
    assert {m.type for m in seen.changes} == {"ai"}
