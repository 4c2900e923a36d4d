"""When a message opens, what each change of it says, and how it ends: exactly once, with evidence."""

from __future__ import annotations

import pytest
from server_events import call, complete, human, partial, piece, removal, streamed, told, tool, updates, values, whole

from lgsync import StreamPart
from lgsync.accumulate import MessageAccumulator
from lgsync.errors import ConfigurationError


@pytest.fixture
def accumulator():
    return MessageAccumulator()


def shown(changes):
    return [(change.id, change.status, change.delta.text) for change in changes]


def statuses(changes):
    return [(change.id, change.status) for change in changes]


# -- a stream of chunks -----------------------------------------------------------------------------------------------


def test_each_chunk_is_told_at_once_and_the_last_one_completes(accumulator):
    changes = told(accumulator, [streamed(piece(content=text)) for text in ("Hel", "lo")])
    changes += accumulator.feed(streamed(piece(last=True)))
    assert shown(changes) == [("m1", "streaming", "Hel"), ("m1", "streaming", "lo"), ("m1", "complete", "")]
    assert [change.text for change in changes] == ["Hel", "Hello", "Hello"]
    assert [change.revision for change in changes] == [1, 2, 3]


def test_a_chunk_that_changes_nothing_is_not_told(accumulator):
    told(accumulator, [streamed(piece(content="a"))])
    assert accumulator.feed(streamed(piece())) == []


def test_an_empty_chunk_does_not_open_a_message(accumulator):
    assert told(accumulator, [streamed(piece()), streamed(piece(content=[])), streamed(piece(last=True))]) == []
    assert accumulator.run_messages == []


def test_an_empty_first_chunk_counts_once_the_message_opens(accumulator):
    (change,) = told(accumulator, [streamed(piece()), streamed(piece(content=[{"type": "text", "text": "a"}]))])
    assert change.content == ["", {"type": "text", "text": "a"}]


def test_a_chunk_that_only_counts_tokens_opens_a_message(accumulator):
    usage = {"input_tokens": 1, "output_tokens": 0, "total_tokens": 1}
    (change,) = told(accumulator, [streamed(piece(usage_metadata=usage))])
    assert (change.status, change.usage, bool(change.delta)) == ("streaming", usage, False)


def test_a_late_chunk_is_folded_in_and_told_as_a_revision(accumulator):
    told(accumulator, [streamed(piece(content="a", last=True))])
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    (change,) = accumulator.feed(streamed(piece(usage_metadata=usage)))
    assert (change.status, change.usage, change.text) == ("revised", usage, "a")


def test_messages_that_stream_at_once_are_kept_apart_by_their_ids(accumulator):
    events = [streamed(piece(text[0], text), task=f"{text[0]}:1") for text in ("a1", "b1", "a2", "b2")]
    told(accumulator, events)
    assert [(m.id, m.text) for m in accumulator.run_messages] == [("a", "a1a2"), ("b", "b1b2")]


def test_tool_arguments_come_as_deltas_under_the_id_of_their_call(accumulator):
    changes = told(
        accumulator,
        [
            streamed(piece(tool_call_chunks=[call("", id_="c1", name="f")])),
            streamed(piece(tool_call_chunks=[call('{"a"')])),
            streamed(piece(tool_call_chunks=[call(":1}")])),
        ],
    )
    assert [dict(change.delta.tool_args) for change in changes] == [{}, {"c1": '{"a"'}, {"c1": ":1}"}]
    assert [change.tool_calls[0]["args"] for change in changes] == [{}, {}, {"a": 1}]


def test_arguments_of_a_call_without_an_id_come_under_its_index(accumulator):
    (change,) = told(accumulator, [streamed(piece(tool_call_chunks=[call("{", index=3)]))])
    assert dict(change.delta.tool_args) == {"3": "{"}


def test_words_added_before_others_replace_the_text(accumulator):
    events = [
        streamed(piece(content=[{"type": "text", "text": t, "index": i}])) for i, t in ((0, "a"), (1, "b"), (0, "c"))
    ]
    changes = told(accumulator, events)
    assert [(change.delta.text, change.delta.replaced) for change in changes] == [
        ("a", False),
        ("b", False),
        ("", True),
    ]
    assert changes[-1].text == "acb"


@pytest.mark.parametrize(
    "fields",
    [
        {"content": [{"type": "reasoning", "reasoning": "hm", "index": 0}]},
        {"content": [{"type": "thinking", "thinking": "hm", "index": 0}]},
        {"additional_kwargs": {"reasoning_content": "hm"}},
    ],
)
def test_reasoning_comes_as_a_delta_of_its_own(accumulator, fields):
    changes = told(accumulator, [streamed(piece(**fields)), streamed(piece(**fields))])
    assert [(change.delta.reasoning, change.delta.text) for change in changes] == [("hm", ""), ("hm", "")]
    assert (changes[-1].reasoning, changes[-1].text) == ("hmhm", "")


def test_a_chunk_without_an_id_is_told_by_itself_and_never_merged(accumulator):
    changes = told(accumulator, [streamed(piece(None, text)) for text in ("a", "a")])
    assert shown(changes) == [(None, "complete", "a")] * 2
    assert len(accumulator.run_messages) == 2
    assert changes[0].type == "ai"


def test_an_empty_chunk_without_an_id_is_nothing(accumulator):
    assert accumulator.feed(streamed(piece(None, last=True))) == []


# -- two ids for one message ------------------------------------------------------------------------------------------


def test_the_last_chunk_under_another_id_completes_the_only_open_message_of_its_task(accumulator):
    told(accumulator, [streamed(piece("msg_1", "Hello"))])
    assert statuses(accumulator.feed(streamed(piece("lc_run--1", last=True)))) == [("msg_1", "complete")]


def test_the_last_chunk_under_another_id_completes_nothing_where_two_are_open(accumulator):
    told(accumulator, [streamed(piece("msg_1", "a")), streamed(piece("msg_2", "b"))])
    assert accumulator.feed(streamed(piece("lc_run--1", last=True))) == []


def test_the_last_chunk_under_another_id_completes_nothing_in_another_task(accumulator):
    told(accumulator, [streamed(piece("msg_1", "a"), task="llm:1")])
    assert accumulator.feed(streamed(piece("lc_run--1", last=True), task="llm:2")) == []


def test_the_last_chunk_of_a_silent_call_does_not_end_a_call_that_will_have_its_own(accumulator):
    told(accumulator, [streamed(piece("lc_run--1", "a"))])
    assert accumulator.feed(streamed(piece("lc_run--2", last=True))) == []


@pytest.mark.parametrize("state", [updates("llm", whole("msg_1", "Hello")), values(whole("msg_1", "Hello"))])
def test_a_message_split_over_two_ids_is_healed_by_the_state(accumulator, state):
    told(accumulator, [values(), streamed(piece("msg_1", "Hel")), streamed(piece("lc_run--1", "lo", last=True))])
    changes = accumulator.feed(state)
    assert statuses(changes) == [("msg_1", "complete"), ("lc_run--1", "removed")]
    assert (changes[0].text, changes[0].delta.text, changes[0].source) == ("Hello", "lo", "state")
    assert [m.id for m in accumulator.messages] == ["msg_1"]


def test_what_comes_later_under_the_other_id_belongs_to_the_healed_message(accumulator):
    told(accumulator, [streamed(piece("msg_1", "Hel")), streamed(piece("lc_run--1", "lo", last=True))])
    told(accumulator, [updates("llm", whole("msg_1", "Hello"))])
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    (change,) = accumulator.feed(streamed(piece("lc_run--1", usage_metadata=usage)))
    assert (change.id, change.status, change.text, change.usage) == ("msg_1", "revised", "Hello", usage)


def test_a_call_split_in_the_middle_of_its_arguments_is_healed_by_the_state(accumulator):
    told(
        accumulator,
        [
            streamed(piece("msg_1", tool_call_chunks=[call('{"a"', id_="c", name="f")])),
            streamed(piece("lc_run--1", tool_call_chunks=[call(":1}")], last=True)),
        ],
    )
    calls = [{"name": "f", "args": {"a": 1}, "id": "c", "type": "tool_call"}]
    changes = accumulator.feed(updates("llm", whole("msg_1", tool_calls=calls)))
    assert statuses(changes) == [("msg_1", "complete"), ("lc_run--1", "removed")]


def test_a_message_whose_other_half_the_state_does_not_confirm_is_left_alone(accumulator):
    told(accumulator, [streamed(piece("msg_1", "Hel")), streamed(piece("lc_run--1", "lo", last=True))])
    assert statuses(accumulator.feed(updates("llm", whole("msg_1", "Help")))) == [("msg_1", "complete")]


# -- whole messages and cumulative snapshots --------------------------------------------------------------------------


def test_a_whole_message_is_complete_at_once_with_all_its_text_as_delta(accumulator):
    (change,) = accumulator.feed(streamed(tool("t1", "sunny", name="search"), task="tools:1"))
    assert (change.status, change.source, change.delta.text) == ("complete", "whole", "sunny")
    assert (change.type, change.name, change.tool_call_id, change.tool_status) == ("tool", "search", "c1", "success")


def test_a_whole_message_after_its_stream_replaces_it_and_is_never_added(accumulator):
    told(accumulator, [streamed(piece(content="Hel"))])
    (change,) = accumulator.feed(streamed(whole(content="Hello")))
    assert (change.status, change.text, change.delta.text) == ("complete", "Hello", "lo")


def test_a_whole_message_that_says_the_same_again_is_nothing(accumulator):
    told(accumulator, [streamed(whole(content="a"))])
    assert accumulator.feed(streamed(whole(content=[{"type": "text", "text": "a"}]))) == []


def test_a_whole_message_that_says_something_else_is_a_revision(accumulator):
    told(accumulator, [streamed(whole(content="one"))])
    (change,) = accumulator.feed(streamed(whole(content="two")))
    assert (change.status, change.text, change.delta.replaced, change.delta.text) == ("revised", "two", True, "")


def test_a_snapshot_tells_what_it_has_more_than_the_last(accumulator):
    changes = told(accumulator, [partial(whole(content=text)) for text in ("a", "ab", "abc")])
    assert shown(changes) == [("m1", "streaming", text) for text in "abc"]
    assert {change.source for change in changes} == {"snapshot"}


def test_an_equal_snapshot_is_nothing(accumulator):
    told(accumulator, [partial(whole(content="a"))])
    assert accumulator.feed(partial(whole(content="a"))) == []


def test_a_snapshot_that_is_no_extension_replaces(accumulator):
    changes = told(accumulator, [partial(whole(content=text)) for text in ("ab", "x")])
    assert changes[-1].delta == ("", "", {}, True)


def test_an_empty_snapshot_does_not_open_a_message(accumulator):
    assert accumulator.feed(partial(whole("lc_run--2"))) == []


def test_a_repeated_snapshot_of_a_message_that_has_stopped_completes_it(accumulator):
    stopped = whole(content="a", response_metadata={"finish_reason": "stop"})
    assert statuses(told(accumulator, [partial(stopped), partial(stopped)])) == [
        ("m1", "streaming"),
        ("m1", "complete"),
    ]


def test_one_event_may_hold_many_messages_streamed_before_or_not(accumulator):
    told(accumulator, [partial(whole("a", "1"))])
    changes = accumulator.feed(complete(whole("a", "1"), whole("b", "2"), tool("t", "3")))
    assert shown(changes) == [("a", "complete", ""), ("b", "complete", "2"), ("t", "complete", "3")]


def test_the_last_message_of_a_prompt_template_counts(accumulator):
    told(accumulator, [complete(whole("p", "v1"))])
    template = {"input_variables": [], "messages": [whole("p", "v1"), whole("p", "v2")], "optional_variables": []}
    (change,) = accumulator.feed(("messages/complete", [template]))
    assert (change.id, change.status, change.text) == ("p", "revised", "v2")


def test_snapshots_take_node_and_namespace_from_what_was_announced(accumulator):
    about = {"langgraph_node": "inner", "langgraph_checkpoint_ns": "child:1|inner:2", "tags": ["t"]}
    told(accumulator, [("messages/metadata", {"m1": {"metadata": about}})])
    (change,) = accumulator.feed(partial(whole(content="a")))
    assert (change.node, change.namespace, change.metadata) == ("inner", ("child:1",), about)


# -- where a message comes from ---------------------------------------------------------------------------------------


def test_the_suffix_of_an_event_names_the_namespace(accumulator):
    (change,) = accumulator.feed(streamed(piece(content="a"), task="a:1|b:2|llm:3", suffix="|a:1|b:2"))
    assert change.namespace == ("a:1", "b:2")


def test_without_a_suffix_the_metadata_tell_the_namespace(accumulator):
    (change,) = accumulator.feed(streamed(piece(content="a"), task="child:1|llm:2"))
    assert (change.namespace, change.node) == (("child:1",), "llm")


def test_a_task_called_by_another_belongs_to_the_graph_of_its_caller(accumulator):
    path = ["__pregel_push", ["__pregel_pull", "main"], 0, True]
    (change,) = accumulator.feed(streamed(piece(content="a"), task="main:1|helper:2", langgraph_path=path))
    assert change.namespace == ()


def test_the_metadata_of_the_first_chunk_stay(accumulator):
    told(accumulator, [streamed(piece(content="a"), tags=["first"])])
    (change,) = accumulator.feed(streamed(piece(content="b"), tags=["second"]))
    assert change.metadata["tags"] == ["first"]


# -- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["success", "interrupted"])
def test_a_run_that_ended_well_completes_what_is_open(accumulator, outcome):
    told(accumulator, [partial(whole(content="a"))])
    assert statuses(accumulator.close(outcome)) == [("m1", "complete")]


@pytest.mark.parametrize("outcome", ["cancelled", "error", "unknown"])
def test_any_other_end_leaves_it_incomplete(accumulator, outcome):
    told(accumulator, [streamed(piece(content="a"))])
    assert statuses(accumulator.close(outcome)) == [("m1", "incomplete")]


def test_a_stream_that_never_had_its_last_chunk_is_incomplete_even_if_the_run_ended_well(accumulator):
    told(accumulator, [streamed(piece("lc_run--1", "a"))])
    assert statuses(accumulator.close("success")) == [("lc_run--1", "incomplete")]


def test_a_server_that_marks_no_last_chunk_is_believed_when_the_run_ended_well(accumulator):
    chunk = piece("lc_run--1", "a")
    del chunk["chunk_position"]
    told(accumulator, [streamed(chunk)])
    assert statuses(accumulator.close("success")) == [("lc_run--1", "complete")]


def test_closing_again_does_nothing(accumulator):
    told(accumulator, [streamed(piece(content="a"))])
    accumulator.close("error")
    assert accumulator.close("success") == []


def test_an_outcome_that_is_none_is_refused(accumulator):
    with pytest.raises(ConfigurationError, match="'done'"):
        accumulator.close("done")


def test_the_update_of_a_task_completes_what_it_wrote_and_ends_what_it_did_not(accumulator):
    told(accumulator, [streamed(piece("lc_run--1", "first try")), streamed(piece("lc_run--2", "second"))])
    changes = accumulator.feed(updates("llm", whole("lc_run--2", "second")))
    assert statuses(changes) == [("lc_run--2", "complete"), ("lc_run--1", "incomplete")]


def test_an_update_without_messages_ends_what_its_task_streamed(accumulator):
    told(accumulator, [streamed(piece("lc_run--1", "a"), langgraph_path=["__pregel_pull", "llm"])])
    assert statuses(accumulator.feed(("updates", {"llm": None}))) == [("lc_run--1", "incomplete")]


def test_a_message_that_its_task_did_not_write_is_complete_if_the_provider_said_that_it_stopped(accumulator):
    told(accumulator, [streamed(piece("lc_run--1", "a", response_metadata={"stop_reason": "end_turn"}))])
    assert statuses(accumulator.feed(("updates", {"llm": {"x": 1}}))) == [("lc_run--1", "complete")]


def test_a_helper_call_that_had_its_last_chunk_is_complete_and_not_in_the_mirror(accumulator):
    told(accumulator, [streamed(piece("h", "thinking", last=True)), streamed(piece("m", "answer", last=True))])
    assert accumulator.feed(updates("llm", whole("m", "answer"))) == []
    assert [m.id for m in accumulator.messages] == ["m"]
    assert statuses(accumulator.run_messages) == [("h", "complete"), ("m", "complete")]


def test_the_update_of_one_of_many_sent_tasks_ends_no_message_of_another(accumulator):
    path = ["__pregel_push", 0, False]
    told(accumulator, [streamed(piece("lc_run--1", "a"), task="llm:1", langgraph_path=path)])
    assert accumulator.feed(("updates", {"llm": {"x": 1}})) == []


def test_an_update_of_another_node_or_namespace_ends_nothing(accumulator):
    told(accumulator, [streamed(piece("lc_run--1", "a"))])
    assert accumulator.feed(("updates", {"other": None})) == []
    assert accumulator.feed(("updates|child:1", {"llm": None})) == []


def test_an_interrupt_ends_no_message(accumulator):
    told(accumulator, [streamed(piece("lc_run--1", "a"))])
    assert accumulator.feed(("updates", {"__interrupt__": [{"value": "ok?", "id": "i"}]})) == []


def test_a_new_attempt_of_the_run_leaves_everything_open_incomplete(accumulator):
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 1}), streamed(piece(content="a"))])
    assert statuses(accumulator.feed(("metadata", {"run_id": "r", "attempt": 2}))) == [("m1", "incomplete")]


def test_the_same_metadata_again_change_nothing(accumulator):
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 1}), streamed(piece(content="a"))])
    assert accumulator.feed(("metadata", {"run_id": "r", "attempt": 1})) == []


def test_a_message_that_a_new_attempt_streams_anew_is_not_added_to_the_old_one(accumulator):
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 1}), streamed(piece(content="abc"))])
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 2})])
    (change,) = accumulator.feed(streamed(piece(content="xyz")))
    assert (change.status, change.text, change.delta.replaced) == ("revised", "xyz", True)


# -- what can be fed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [StreamPart, lambda *part: part, lambda *part: (*part, "17-0")])
def test_parts_of_any_make_are_taken(accumulator, make):
    assert shown(accumulator.feed(make(*streamed(piece(content="a"))))) == [("m1", "streaming", "a")]


@pytest.mark.parametrize(
    "kind", ["custom", "tasks", "checkpoints", "debug", "events", "feedback", "error", "custom|a:1"]
)
def test_events_that_are_no_concern_of_messages_are_passed_over(accumulator, kind):
    assert accumulator.feed((kind, {"messages": [whole(content="a")]})) == []
    assert accumulator.ignored == 0


@pytest.mark.parametrize(
    "part",
    [
        ("surprise", {}),
        ("messages", {"a": 1}),
        ("messages", [1, 2]),
        ("messages", None),
        ("messages/partial", "text"),
        ("messages/metadata", []),
        ("values", []),
        ("updates", "x"),
        ("metadata", 1),
        (None, {}),
        "text",
        None,
    ],
)
def test_what_cannot_be_used_is_counted(accumulator, part):
    assert accumulator.feed(part) == []
    assert accumulator.ignored == 1


def test_after_a_reset_nothing_is_known(accumulator):
    told(accumulator, [values(human("h", "hi")), streamed(piece(content="a")), ("surprise", 1)])
    accumulator.reset()
    assert (accumulator.messages, accumulator.run_messages, accumulator.ignored) == ([], [], 0)
    assert shown(accumulator.feed(streamed(piece(content="b")))) == [("m1", "streaming", "b")]


def test_a_replay_from_the_start_after_a_reset_comes_to_the_same(accumulator):
    events = [streamed(piece(content=text)) for text in "abc"] + [
        streamed(piece(last=True)),
        updates("llm", whole(content="abc")),
    ]
    told(accumulator, events)
    before = accumulator.run_messages
    accumulator.reset()
    told(accumulator, events)
    assert accumulator.run_messages == before


def test_a_removal_that_is_streamed_removes_what_is_known(accumulator):
    told(accumulator, [values(), streamed(whole("a", "x")), updates("llm", whole("a", "x"))])
    assert statuses(accumulator.feed(streamed(removal("a")))) == [("a", "removed")]
    assert accumulator.messages == []
    assert accumulator.feed(updates("prune", removal("a"))) == []
