"""Where parts of a run are gone for good, a text with a hole is never told for the text."""

from __future__ import annotations

import pytest
from server_events import call, complete, human, partial, piece, streamed, told, tool, updates, values, whole

from lgsync.accumulate import MessageAccumulator


@pytest.fixture
def accumulator():
    return MessageAccumulator()


@pytest.fixture
def cut(accumulator):
    """An accumulator that has heard "Hel", and then missed some."""
    told(accumulator, [streamed(piece("m1", "Hel"), langgraph_step=1)])
    accumulator.gap()
    return accumulator


def shown(changes):
    return [(change.id, change.status, change.text) for change in changes]


def state(*messages):
    return {"messages": list(messages)}


def at_step(step, id_, text, **where):
    return streamed(piece(id_, text), langgraph_step=step, **where)


# -- what was open ----------------------------------------------------------------------------------------------------


def test_a_gap_tells_nothing_by_itself(accumulator):
    told(accumulator, [streamed(piece("m1", "Hel"))])
    assert accumulator.gap() is None
    assert shown(accumulator.run_messages) == [("m1", "streaming", "Hel")]


def test_chunks_behind_a_gap_are_not_added_to_a_text_whose_middle_is_missing(cut):
    assert told(cut, [streamed(piece("m1", "rld")), streamed(piece("m1", "!"))]) == []
    assert shown(cut.run_messages) == [("m1", "streaming", "Hel")]


def test_its_last_chunk_does_not_complete_a_message_with_a_hole(cut):
    assert told(cut, [streamed(piece("m1", "", last=True))]) == []
    assert shown(cut.close("success")) == [("m1", "incomplete", "Hel")]


def test_the_last_chunk_under_another_id_does_not_complete_a_message_with_a_hole(cut):
    assert told(cut, [streamed(piece("lc_run--1", "", last=True))]) == []
    assert shown(cut.close("success")) == [("m1", "incomplete", "Hel")]


def test_not_even_where_that_other_id_has_surely_begun_behind_the_gap(accumulator):
    told(accumulator, [streamed(piece("m1", "Hel"))])
    accumulator.gap()
    told(accumulator, [streamed(piece("m1", "rld")), values()])
    assert told(accumulator, [streamed(piece("lc_run--1", "", last=True))]) == []


def test_a_server_that_marks_no_last_chunk_is_not_believed_across_a_gap(accumulator):
    chunk = piece("lc_run--1", "a")
    del chunk["chunk_position"]
    told(accumulator, [streamed(chunk)])
    accumulator.gap()
    assert shown(accumulator.close("success")) == [("lc_run--1", "incomplete", "a")]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (partial(whole("m1", "Hello")), "streaming"),
        (complete(whole("m1", "Hello")), "complete"),
        (streamed(whole("m1", "Hello")), "complete"),
        (updates("llm", whole("m1", "Hello")), "complete"),
        (values(whole("m1", "Hello")), "complete"),
    ],
)
def test_whatever_says_the_whole_goes_on_with_a_message_with_a_hole(cut, event, status):
    told(cut, [streamed(piece("m1", "o!"))])
    (change,) = cut.feed(event)
    assert (change.status, change.text, change.delta.text) == (status, "Hello", "lo")


def test_settling_tells_what_its_reader_has_not_heard(cut):
    told(cut, [streamed(piece("m1", "o!"))])
    (change,) = cut.settle(state(whole("m1", "Hello")))
    assert (change.status, change.source, change.delta) == ("complete", "state", ("lo", "", {}, False))


def test_settling_by_another_text_replaces_what_its_reader_has_heard(cut):
    (change,) = cut.settle(state(whole("m1", "other")))
    assert (change.source, change.text, change.delta) == ("state", "other", ("", "", {}, True))


def test_a_message_that_had_all_its_words_before_the_gap_is_confirmed_by_the_state(cut):
    (change,) = cut.settle(state(whole("m1", "Hel")))
    assert (change.status, change.source, bool(change.delta)) == ("complete", "state", False)


def test_an_update_that_does_not_list_it_leaves_it_incomplete(accumulator):
    told(accumulator, [streamed(piece("m1", "Hel", response_metadata={"finish_reason": "stop"}))])
    accumulator.gap()
    assert shown(accumulator.feed(("updates", {"llm": None}))) == [("m1", "incomplete", "Hel")]


def test_a_state_without_it_leaves_it_incomplete_even_if_its_provider_had_stopped(accumulator):
    told(accumulator, [streamed(piece("m1", "Hel", response_metadata={"finish_reason": "stop"}))])
    accumulator.gap()
    assert shown(accumulator.settle(state())) == [("m1", "incomplete", "Hel")]


def test_a_message_that_ended_before_the_gap_stays_as_it_is(accumulator):
    told(accumulator, [streamed(piece("m1", "Hello", last=True))])
    accumulator.gap()
    assert told(accumulator, [streamed(piece("m1", "late")), updates("llm", whole("m1", "Hello"))]) == []
    assert shown(accumulator.run_messages) == [("m1", "complete", "Hello")]


def test_what_a_slim_state_leaves_out_of_a_message_with_a_hole_is_not_kept(accumulator):
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    thought = {"reasoning_content": "hm"}
    told(accumulator, [streamed(piece("m1", "Hello", usage_metadata=usage, additional_kwargs=thought))])
    accumulator.gap()
    (change,) = accumulator.feed(("values", {"messages": [{"type": "ai", "id": "m1", "content": "Hello"}]}))
    assert (change.status, change.text, change.usage, change.reasoning) == ("complete", "Hello", None, "")
    assert change.delta.replaced


def test_arguments_with_a_hole_are_not_told(accumulator):
    told(accumulator, [streamed(piece("m1", tool_call_chunks=[call('{"a": "x', id_="c1", name="f")]))])
    accumulator.gap()
    assert told(accumulator, [streamed(piece("m1", tool_call_chunks=[call('"}')], last=True))]) == []
    calls = [{"name": "f", "args": {"a": "xyz"}, "id": "c1", "type": "tool_call"}]
    (change,) = accumulator.feed(updates("llm", whole("m1", tool_calls=calls)))
    assert (change.status, change.tool_calls) == ("complete", calls)


def test_an_id_that_had_only_empty_chunks_before_the_gap_may_lack_its_head(accumulator):
    told(accumulator, [streamed(piece("m1"))])
    accumulator.gap()
    assert told(accumulator, [streamed(piece("m1", "rld"))]) == []
    (change,) = accumulator.feed(updates("llm", whole("m1", "world")))
    assert (change.status, change.text, change.node) == ("complete", "world", "llm")


# -- cumulative snapshots ---------------------------------------------------------------------------------------------


def test_a_message_that_gets_no_more_snapshots_is_not_completed_by_the_runs_good_end(accumulator):
    told(accumulator, [partial(whole("m1", "Hel"))])
    accumulator.gap()
    assert shown(accumulator.close("success")) == [("m1", "incomplete", "Hel")]


def test_a_snapshot_behind_the_gap_goes_on_as_if_there_were_none(accumulator):
    told(accumulator, [partial(whole("m1", "Hel"))])
    accumulator.gap()
    (change,) = accumulator.feed(partial(whole("m1", "Hello")))
    assert (change.status, change.delta.text) == ("streaming", "lo")
    assert shown(accumulator.close("success")) == [("m1", "complete", "Hello")]


def test_a_snapshot_that_repeats_the_one_before_the_gap_shows_that_nothing_is_missing(accumulator):
    told(accumulator, [partial(whole("m1", "Hello"))])
    accumulator.gap()
    assert accumulator.feed(partial(whole("m1", "Hello"))) == []
    assert shown(accumulator.close("success")) == [("m1", "complete", "Hello")]


def test_a_snapshot_of_a_message_never_seen_is_told_at_once(accumulator):
    accumulator.gap()
    assert shown(accumulator.feed(partial(whole("m1", "Hel")))) == [("m1", "streaming", "Hel")]


# -- what shows first behind the gap ----------------------------------------------------------------------------------


def test_a_message_that_may_lack_its_head_is_told_whole_by_its_update(accumulator):
    accumulator.gap()
    assert told(accumulator, [at_step(1, "m1", "lo"), streamed(piece("m1", last=True), langgraph_step=1)]) == []
    assert accumulator.run_messages == []
    (change,) = accumulator.feed(updates("llm", whole("m1", "Hello")))
    assert (change.status, change.source, change.delta.text) == ("complete", "snapshot", "Hello")


def test_a_message_told_whole_by_the_state_is_told_with_its_place_in_the_run(accumulator):
    accumulator.gap()
    told(accumulator, [at_step(1, "m1", "lo", task="child:1|llm:2", suffix="|child:1", tags=["t"])])
    (change,) = accumulator.settle(state(whole("m1", "Hello")), known=())
    assert (change.node, change.namespace, change.metadata["tags"]) == ("llm", ("child:1",), ["t"])


def test_a_message_that_may_lack_its_head_and_is_nowhere_in_the_state_was_never_there(accumulator):
    accumulator.gap()
    told(accumulator, [at_step(1, "m1", "lo")])
    assert accumulator.settle(state(), known=()) == []
    assert accumulator.close("success") == []
    assert accumulator.run_messages == []


def test_a_further_step_of_the_graph_has_begun_behind_the_gap(cut):
    changes = told(cut, [at_step(1, "m1", "o"), at_step(2, "m2", "new"), at_step(2, "m3", "too", task="llm:3")])
    assert shown(changes) == [("m2", "streaming", "new"), ("m3", "streaming", "too")]


def test_a_whole_message_tells_its_step_too(accumulator):
    accumulator.gap()
    told(accumulator, [streamed(tool("t1", "sunny"), task="tools:1", langgraph_step=2)])
    assert shown(told(accumulator, [at_step(3, "m1", "It is")])) == [("m1", "streaming", "It is")]


def test_another_task_of_the_same_step_may_have_begun_within_the_gap(cut):
    assert told(cut, [at_step(1, "m1", "o", task="llm:1"), at_step(1, "m2", "rld", task="llm:2")]) == []


def test_another_call_of_the_same_task_may_have_begun_within_the_gap(cut):
    events = [at_step(1, "m1", "o"), streamed(piece("m1", last=True), langgraph_step=1), at_step(1, "m2", "rld")]
    assert told(cut, events) == []


def test_a_message_that_was_held_back_stays_so_in_further_steps(accumulator):
    accumulator.gap()
    assert shown(told(accumulator, [at_step(1, "m1", "a"), at_step(2, "m2", "b"), at_step(1, "m1", "c")])) == [
        ("m2", "streaming", "b")
    ]


@pytest.mark.parametrize("step", [None, "2", True])
def test_without_a_number_of_the_step_nothing_is_certain(accumulator, step):
    accumulator.gap()
    assert told(accumulator, [at_step(step, "m1", "a"), at_step(step, "m2", "b", task="llm:2")]) == []


def test_the_steps_of_one_graph_say_nothing_of_another(accumulator):
    accumulator.gap()
    events = [at_step(1, "m1", "a", task="child:1|llm:1"), at_step(2, "m2", "b", task="child:2|llm:2")]
    assert told(accumulator, events) == []


def test_the_steps_of_a_subgraph_say_nothing_of_the_graph_around_it(accumulator):
    accumulator.gap()
    events = [at_step(1, "m1", "a", task="child:1|llm:1"), at_step(2, "m2", "b", task="child:1|llm:2")]
    assert shown(told(accumulator, [*events, at_step(5, "m3", "c")])) == [("m2", "streaming", "b")]


def test_a_subgraph_that_is_called_in_a_further_step_has_begun_behind_the_gap(cut):
    told(cut, [at_step(1, "m1", "o"), at_step(2, "m2", "a")])
    (change,) = told(cut, [at_step(1, "m3", "inner", task="child:1|llm:2", suffix="|child:1")])
    assert (change.status, change.text) == ("streaming", "inner")


@pytest.fixture
def one_told_of_two(accumulator):
    """Two calls of one task: "m2" is told, "m1" came before it was certain that they began behind the gap."""
    accumulator.gap()
    told(accumulator, [at_step(1, "m0", "x"), at_step(1, "m1", "a", task="child:1|llm:1")])
    changes = told(accumulator, [at_step(2, "m3", "b", task="other:2"), at_step(1, "m2", "Hel", task="child:1|llm:1")])
    assert shown(changes) == [("m3", "streaming", "b"), ("m2", "streaming", "Hel")]
    return accumulator


def test_the_last_chunk_under_another_id_may_be_of_a_message_of_the_task_that_is_not_told(one_told_of_two):
    last = streamed(piece("lc_run--1", last=True), langgraph_step=1, task="child:1|llm:1")
    assert told(one_told_of_two, [last]) == []
    assert shown(told(one_told_of_two, [at_step(1, "m2", "lo", task="child:1|llm:1")])) == [
        ("m2", "streaming", "Hello")
    ]
    changes = one_told_of_two.feed(updates("llm", whole("m1", "a"), whole("m2", "Hello"), suffix="|child:1"))
    assert shown(changes) == [("m1", "complete", "a"), ("m2", "complete", "Hello")]


def test_the_last_chunk_under_another_id_is_not_of_an_untold_message_of_another_task(accumulator):
    accumulator.gap()
    told(accumulator, [at_step(1, "m1", "a"), at_step(2, "m2", "Hello", task="llm:2")])
    changes = told(accumulator, [streamed(piece("lc_run--1", last=True), langgraph_step=2, task="llm:2")])
    assert shown(changes) == [("m2", "complete", "Hello")]


def test_the_last_chunk_under_another_id_is_not_of_an_untold_message_that_ends_under_its_own(accumulator):
    accumulator.gap()
    told(accumulator, [at_step(1, "m0", "x"), at_step(1, "lc_run--1", "a", task="child:1|llm:1")])
    told(accumulator, [at_step(2, "m3", "b", task="other:2"), at_step(1, "m2", "Hello", task="child:1|llm:1")])
    last = streamed(piece("lc_run--2", last=True), langgraph_step=1, task="child:1|llm:1")
    assert shown(told(accumulator, [last])) == [("m2", "complete", "Hello")]


def test_of_two_graphs_that_one_task_calls_at_once_the_steps_of_one_say_nothing_of_the_other(accumulator):
    accumulator.gap()
    told(accumulator, [at_step(1, "m1", "a", task="tools:1|llm:1"), at_step(2, "m2", "b", task="tools:1|llm:2")])
    assert told(accumulator, [at_step(1, "m3", "c", task="tools:1|1|llm:3")]) == []
    assert told(accumulator, [at_step(1, "m4", "d", task="tools:1|1|llm:3|inner:4")]) == []


def test_values_end_a_step_where_no_steps_are_numbered(accumulator):
    told(accumulator, [values()])
    accumulator.gap()
    told(accumulator, [streamed(piece("m1", "lo")), values(whole("m1", "Hello"))])
    assert shown(told(accumulator, [streamed(piece("m2", "new"), task="llm:2")])) == [("m2", "streaming", "new")]


def test_values_that_come_before_any_chunk_may_be_an_answer_to_the_join(accumulator):
    told(accumulator, [values()])
    accumulator.gap()
    told(accumulator, [values()])
    assert told(accumulator, [streamed(piece("m1", "lo"))]) == []


def test_values_that_show_an_interrupt_may_come_in_the_middle_of_a_step(accumulator):
    accumulator.gap()
    told(accumulator, [streamed(piece("m1", "lo")), ("values", {"messages": [], "__interrupt__": [{"value": 1}]})])
    assert told(accumulator, [streamed(piece("m2", "rld"), task="llm:2")]) == []


def test_values_of_a_subgraph_end_no_step_of_the_graph_around_it(accumulator):
    accumulator.gap()
    told(accumulator, [streamed(piece("m1", "lo"), task="child:1|llm:1"), values(suffix="|child:1")])
    assert told(accumulator, [streamed(piece("m2", "rld"))]) == []


def test_an_update_ends_a_task_and_not_its_step(cut):
    told(cut, [updates("llm", whole("m1", "Hello"))])
    assert told(cut, [at_step(1, "m2", "rld", task="other:1")]) == []


def test_a_new_attempt_lies_wholly_behind_the_gap(accumulator):
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 1}), streamed(piece("m1", "Hel"))])
    accumulator.gap()
    told(accumulator, [streamed(piece("m2", "x"))])
    assert shown(accumulator.feed(("metadata", {"run_id": "r", "attempt": 2}))) == [("m1", "incomplete", "Hel")]
    changes = told(accumulator, [streamed(piece("m1", "Hi")), streamed(piece("m2", "xyz")), streamed(piece("m3", "a"))])
    assert shown(changes) == [("m1", "revised", "Hi"), ("m2", "streaming", "xyz"), ("m3", "streaming", "a")]


def test_what_a_new_attempt_had_begun_to_stream_anew_before_another_gap_may_lack_its_head(accumulator):
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 1}), streamed(piece("m1", "Hel"))])
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 2})])
    accumulator.gap()
    assert told(accumulator, [streamed(piece("m1", "lo"))]) == []


@pytest.mark.parametrize("before", [[], [("metadata", {"run_id": "r", "attempt": 1})]])
def test_metadata_that_announce_no_new_attempt_are_no_evidence(accumulator, before):
    told(accumulator, before)
    accumulator.gap()
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 1})])
    assert told(accumulator, [streamed(piece("m1", "lo"))]) == []


def test_behind_a_second_gap_it_all_begins_again(cut):
    told(cut, [at_step(1, "m1", "o"), at_step(2, "m2", "Hel")])
    cut.gap()
    cut.gap()
    assert told(cut, [at_step(2, "m2", "rld"), at_step(2, "m3", "x")]) == []
    assert shown(told(cut, [at_step(3, "m4", "y")])) == [("m4", "streaming", "y")]
    assert shown(cut.close("unknown")) == [
        ("m1", "incomplete", "Hel"),
        ("m2", "incomplete", "Hel"),
        ("m4", "incomplete", "y"),
    ]


def test_a_reset_forgets_the_gap(cut):
    cut.reset()
    assert shown(told(cut, [streamed(piece("m1", "Hello", last=True))])) == [("m1", "complete", "Hello")]


def test_an_attempt_that_repeats_a_step_is_told_from_its_start(accumulator):
    told(accumulator, [("metadata", {"run_id": "r", "attempt": 1})])
    accumulator.gap()
    told(accumulator, [at_step(3, "m1", "lo"), ("metadata", {"run_id": "r", "attempt": 2})])
    assert shown(told(accumulator, [at_step(1, "m2", "Hel")])) == [("m2", "streaming", "Hel")]


def test_an_empty_first_chunk_behind_the_gap_is_the_head_of_its_message(cut):
    told(cut, [at_step(1, "m1", "o"), at_step(2, "m2", "")])
    assert shown(told(cut, [at_step(2, "m2", "Hel")])) == [("m2", "streaming", "Hel")]


@pytest.fixture
def with_history(accumulator):
    told(accumulator, [values(whole("old", "x"))])
    accumulator.gap()
    return accumulator


def test_a_message_of_history_that_is_streamed_anew_may_lack_its_head_too(with_history):
    assert told(with_history, [at_step(1, "old", "lo")]) == []


def test_a_message_of_history_that_is_streamed_anew_in_a_further_step_is_told_by_all_its_chunks(with_history):
    changes = told(with_history, [at_step(1, "m1", "a"), at_step(2, "old", "Hel"), at_step(2, "old", "lo")])
    assert shown(changes) == [("old", "streaming", "Hel"), ("old", "streaming", "Hello")]


# -- what may be older than the run -----------------------------------------------------------------------------------


def test_the_first_values_behind_a_gap_are_taken_for_history_until_it_is_known_what_was(accumulator):
    accumulator.gap()
    assert accumulator.feed(values(human("h", "hi"), whole("m1", "Hello"))) == []
    (change,) = accumulator.settle(state(human("h", "hi"), whole("m1", "Hello")), known={"h"})
    assert (change.id, change.status, change.source, change.delta.text) == ("m1", "complete", "state", "Hello")
    assert [m.id for m in accumulator.messages] == ["h", "m1"]


def test_what_was_streamed_is_no_history_even_if_its_head_may_be_gone(accumulator):
    accumulator.gap()
    told(accumulator, [streamed(piece("m1", "lo"))])
    changes = accumulator.feed(values(human("h", "hi"), whole("m1", "Hello")))
    assert shown(changes) == [("m1", "complete", "Hello")]


def test_of_a_list_that_a_task_hands_back_only_the_last_is_sure_to_be_new(accumulator):
    accumulator.gap()
    handed_back = [human("h", "hi"), whole("m1", "a"), whole("m2", "b")]
    assert shown(accumulator.feed(updates("child", *handed_back))) == [("m2", "complete", "b")]
    changes = accumulator.settle(state(*handed_back), known={"h"})
    assert shown(changes) == [("m1", "complete", "a")]


def test_where_history_is_known_all_that_a_task_writes_is_new(accumulator):
    told(accumulator, [values(human("h", "hi"))])
    accumulator.gap()
    changes = accumulator.feed(updates("tools", tool("t1", "a"), tool("t2", "b")))
    assert shown(changes) == [("t1", "complete", "a"), ("t2", "complete", "b")]


def test_a_task_that_began_behind_the_gap_tells_all_that_it_wrote(cut):
    told(cut, [at_step(1, "m1", "o"), at_step(2, "m2", "x")])
    changes = cut.feed(updates("tools", tool("t1", "a"), tool("t2", "b")))
    assert shown(changes) == [("t1", "complete", "a"), ("t2", "complete", "b")]


def test_what_stands_before_a_message_whose_head_may_be_gone_was_there_before_it(accumulator):
    accumulator.gap()
    told(accumulator, [streamed(piece("m1", "lo"), task="child:1|llm:2")])
    changes = accumulator.feed(updates("child", human("h", "hi"), whole("m1", "Hello"), tool("t", "x")))
    assert shown(changes) == [("m1", "complete", "Hello"), ("t", "complete", "x")]
