"""What the demo tells of a stream of message snapshots."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, List

import pytest

from lgsync.cli.narrate import Called, Calling, Ended, Narrator, Note, Piece, Returned, Said, call_text, clean


def message(key: str = "m1", status: str = "streaming", **fields: Any) -> Any:
    empty = {
        "type": "ai",
        "text": "",
        "reasoning": "",
        "tool_calls": [],
        "invalid_tool_calls": [],
        "usage": None,
        "name": None,
        "tool_status": None,
    }
    return SimpleNamespace(id=key, status=status, **{**empty, **fields})


def call(name: str, **args: Any) -> Any:
    return {"name": name, "args": args, "id": "call_1", "type": "tool_call"}


def told(*messages: Any) -> List[Piece]:
    narrator = Narrator()
    return [piece for one in messages for piece in narrator.feed(one)]


def test_each_snapshot_adds_only_what_is_new_in_it():
    assert told(message(text="Hel"), message(text="Hello"), message(status="complete", text="Hello")) == [
        Said("text", "Hel"),
        Said("text", "lo"),
        Ended(),
    ]


def test_reasoning_comes_before_the_text_of_the_same_snapshot():
    assert told(message(status="complete", reasoning="hm", text="yes")) == [
        Said("reasoning", "hm"),
        Said("text", "yes"),
        Ended(),
    ]


def test_messages_that_stream_side_by_side_are_told_one_after_the_other():
    assert told(
        message("a", text="A1"),
        message("b", text="B1"),
        message("a", text="A1 A2"),
        message("b", text="B1 B2"),
        message("a", "complete", text="A1 A2"),
        message("b", text="B1 B2 B3"),
        message("b", "complete", text="B1 B2 B3"),
    ) == [
        Said("text", "A1"),
        Said("text", " A2"),
        Ended(),
        Said("text", "B1 B2"),
        Said("text", " B3"),
        Ended(),
    ]


def test_a_message_that_ended_while_it_waited_is_told_whole():
    pieces = told(message("a", text="A"), message("b", "complete", text="B"), message("a", "complete", text="A"))
    assert pieces == [Said("text", "A"), Ended(), Said("text", "B"), Ended()]


def test_messages_that_still_wait_at_the_end_are_told_then():
    narrator = Narrator()
    narrator.feed(message("a", text="A"))
    narrator.feed(message("b", text="B"))
    assert narrator.close() == [Ended(), Said("text", "B"), Ended()]


def test_the_arguments_of_a_tool_call_are_told_while_they_grow():
    assert told(
        message(tool_calls=[call("search")]),
        message(tool_calls=[call("search", query="weather")]),
        message(status="complete", tool_calls=[call("search", query="weather in sf")]),
    ) == [
        Calling(("search(",)),
        Calling(('search(query="weather',)),
        Calling(('search(query="weather in sf")',)),
        Called("search", {"query": "weather in sf"}),
        Ended(),
    ]


def test_only_the_last_of_several_tool_calls_is_open():
    assert told(message(tool_calls=[call("a", x=1), call("b", y=[2, 3])])) == [Calling(("a(x=1)", "b(y=[2, 3"))]


def test_a_tool_call_that_is_not_valid_is_told_with_what_is_wrong():
    broken = {"name": "search", "args": '{"query', "id": "call_1", "error": None}
    assert told(message(status="complete", invalid_tool_calls=[broken])) == [
        Called("search", '{"query', "its arguments are not valid JSON"),
        Ended(),
    ]


@pytest.mark.parametrize(("status", "failed"), [("success", False), ("error", True)])
def test_a_tool_message_is_what_the_tool_returned(status: str, failed: bool):
    result = message(type="tool", status="complete", name="search", text="54 F", tool_status=status)
    assert told(result) == [Returned("search", "54 F", failed)]


def test_a_message_of_another_speaker_carries_its_type():
    assert told(message(type="system", status="complete", text="be brief")) == [Said("system", "be brief"), Ended()]


def test_a_message_that_was_cut_short_says_so():
    assert told(message(status="incomplete", text="Hel"))[-2:] == [Note("cut short"), Ended()]


def test_text_that_was_replaced_is_told_anew():
    assert told(message(text="Hello"), message(text="Goodbye")) == [
        Said("text", "Hello"),
        Note("said differently"),
        Said("text", "Goodbye"),
    ]


def test_a_revision_of_a_finished_message_is_told_only_if_its_text_changed():
    whole = message(status="complete", text="draft")
    assert told(whole, message(status="revised", text="draft"))[2:] == []
    assert told(whole, message(status="revised", text="final"))[2:] == [
        Note("the message “draft” was revised"),
        Said("text", "final"),
        Ended(),
    ]


def test_a_removed_message_is_noted_by_its_first_words():
    pieces = told(message(status="complete", text="word " * 20), message(status="removed"))
    assert pieces[2:] == [Note("the message “word word word word word word word word…” was removed")]


def test_messages_without_an_id_are_told_each_for_itself():
    one, two = message(status="complete", text="one"), message(status="complete", text="two")
    one.id = two.id = None
    assert told(one, two) == [Said("text", "one"), Ended(), Said("text", "two"), Ended()]


def test_output_tokens_are_summed_over_finished_messages():
    narrator = Narrator()
    narrator.feed(message("a", "complete", usage={"output_tokens": 3}))
    narrator.feed(message("b", usage={"output_tokens": 9}))
    narrator.feed(message("b", "complete", usage={"output_tokens": 4}))
    narrator.feed(message("c", "complete"))
    assert narrator.output_tokens == 7


def test_control_characters_of_the_server_never_reach_the_screen():
    assert told(message(text="a\x1b[2Jb\x9bc\td\r\ne\x07")) == [Said("text", "a[2Jbc\td\ne")]
    assert clean("\x00\x7f") == ""


@pytest.mark.parametrize(
    "whole",
    [
        {"query": 'say "hi"', "k": 3},
        {"nested": {"a": [1, 2, {"b": "c"}]}},
        {"path": "C:\\dir\\", "empty": ""},
    ],
)
def test_a_growing_call_is_a_beginning_of_the_whole_call(whole: Any):
    assert call_text("f", whole).startswith(call_text("f", whole, growing=True))


def test_arguments_that_are_no_object_are_shown_as_they_are():
    assert call_text("f", '{"que') == 'f({"que)'
