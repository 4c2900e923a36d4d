"""What the thread's state says of its messages, and the mirror of its list."""

from __future__ import annotations

import pytest
from server_events import human, partial, piece, removal, streamed, told, tool, updates, values, whole

from lgsync.accumulate import MessageAccumulator


@pytest.fixture
def accumulator():
    return MessageAccumulator()


def statuses(changes):
    return [(change.id, change.status) for change in changes]


def mirrored(accumulator):
    return [(m.id, m.text) for m in accumulator.messages]


# -- values -----------------------------------------------------------------------------------------------------------


def test_the_first_values_are_what_was_there_before_and_are_not_told(accumulator):
    assert accumulator.feed(values(human("h", "hi"), whole("a", "old"))) == []
    assert mirrored(accumulator) == [("h", "hi"), ("a", "old")]
    assert accumulator.run_messages == []
    assert [m.revision for m in accumulator.messages] == [0, 0]


def test_the_first_values_complete_a_message_that_is_streaming(accumulator):
    told(accumulator, [streamed(piece("a", "x"))])
    assert statuses(accumulator.feed(values(human("h", "hi"), whole("a", "x")))) == [("a", "complete")]


def test_later_values_tell_what_is_new_as_complete(accumulator):
    (change,) = told(accumulator, [values(human("h", "hi")), values(human("h", "hi"), whole("a", "new"))])
    assert (change.id, change.status, change.source, change.delta.text) == ("a", "complete", "snapshot", "new")


def test_values_complete_an_open_message_that_they_contain(accumulator):
    told(accumulator, [values(), partial(whole("a", "x"))])
    (change,) = accumulator.feed(values(whole("a", "x")))
    assert (change.status, change.source, bool(change.delta)) == ("complete", "snapshot", False)


def test_where_stream_and_state_differ_the_state_counts(accumulator):
    told(accumulator, [values(), streamed(piece("a", "draft"))])
    (change,) = accumulator.feed(values(whole("a", "final")))
    assert (change.status, change.source, change.text, change.delta.replaced) == ("complete", "state", "final", True)


def test_a_complete_message_that_the_state_changes_is_revised(accumulator):
    told(accumulator, [values(), streamed(piece("a", "x", last=True))])
    (change,) = accumulator.feed(values(whole("a", "x, edited")))
    assert (change.status, change.source, change.delta.text) == ("revised", "state", ", edited")


def test_a_message_that_was_there_before_and_is_changed_is_revised(accumulator):
    (change,) = told(accumulator, [values(human("h", "hi")), values(human("h", "hello"))])
    assert (change.id, change.status, change.text) == ("h", "revised", "hello")


@pytest.mark.parametrize("event", [values(human("h", "hello")), values()])
def test_the_words_of_history_that_changes_are_not_new_words(accumulator, event):
    (change,) = told(accumulator, [values(human("h", "hi")), event])
    assert (change.delta.text, change.delta.replaced) == ("", True)


def test_a_message_that_is_gone_is_removed(accumulator):
    told(accumulator, [values(), values(whole("a", "x"), whole("b", "y"))])
    (change,) = accumulator.feed(values(whole("b", "y")))
    assert (change.id, change.status, change.text) == ("a", "removed", "x")
    assert mirrored(accumulator) == [("b", "y")]


def test_a_removed_message_that_comes_back_is_revised(accumulator):
    told(accumulator, [values(), values(whole("a", "x")), values()])
    assert statuses(accumulator.feed(values(whole("a", "x")))) == [("a", "revised")]


def test_an_open_message_that_is_removed_ends_first(accumulator):
    told(accumulator, [values(whole("a", "x")), streamed(piece("a", "again"))])
    assert statuses(accumulator.feed(values())) == [("a", "incomplete"), ("a", "removed")]


def test_the_same_values_again_are_nothing(accumulator):
    told(accumulator, [values(), values(whole("a", "x"))])
    assert accumulator.feed(values(whole("a", "x"))) == []


def test_values_without_messages_say_nothing_of_them(accumulator):
    told(accumulator, [values(human("h", "hi"))])
    assert accumulator.feed(("values", {"__interrupt__": [{"value": 1}]})) == []
    assert mirrored(accumulator) == [("h", "hi")]


def test_an_interrupt_beside_the_messages_does_not_matter(accumulator):
    accumulator.feed(("values", {"messages": [human("h", "hi")], "__interrupt__": []}))
    assert mirrored(accumulator) == [("h", "hi")]


def test_what_a_slim_snapshot_leaves_out_is_not_erased(accumulator):
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    told(
        accumulator, [values(), streamed(piece("a", "x", usage_metadata=usage, additional_kwargs={"k": 1}, last=True))]
    )
    slim = {"type": "ai", "id": "a", "content": [{"type": "text", "text": "x"}]}
    assert accumulator.feed(("values", {"messages": [slim]})) == []
    (change,) = accumulator.feed(("values", {"messages": [{**slim, "content": "y"}]}))
    assert (change.text, change.usage, change.additional_kwargs) == ("y", usage, {"k": 1})


def test_values_of_a_subgraph_complete_its_messages_and_leave_the_root_mirror_alone(accumulator):
    told(accumulator, [values(human("h", "hi")), values(human("h", "hi"), suffix="|child:1")])
    told(accumulator, [partial(whole("a", "x"))])
    changes = accumulator.feed(values(human("h", "hi"), whole("a", "x"), suffix="|child:1"))
    assert statuses(changes) == [("a", "complete")]
    assert mirrored(accumulator) == [("h", "hi")]


def test_the_first_values_of_each_subgraph_are_what_was_there_before(accumulator):
    told(accumulator, [values(human("h", "hi"))])
    assert accumulator.feed(values(human("q", "asked inside"), suffix="|child:1")) == []
    assert statuses(accumulator.feed(values(whole("a", "x"), suffix="|child:1"))) == [("a", "complete")]


def test_empty_keys_are_no_difference(accumulator):
    told(accumulator, [values(human("h", "hi"))])
    assert accumulator.feed(values({**human("h", "hi"), "tool_calls": [], "example": False})) == []


def test_the_messages_are_found_under_the_key_of_the_graph():
    accumulator = MessageAccumulator(messages_key="chat")
    told(accumulator, [("values", {"chat": []}), ("updates", {"n": {"chat": [whole("a", "x")]}})])
    assert mirrored(accumulator) == [("a", "x")]


def test_the_first_values_of_the_next_run_are_its_input(accumulator):
    told(accumulator, [("metadata", {"run_id": "r1", "attempt": 1}), values(human("h1", "one"))])
    changes = told(
        accumulator, [("metadata", {"run_id": "r2", "attempt": 1}), values(human("h1", "one"), human("h2", "two"))]
    )
    assert changes == []
    assert [m.id for m in accumulator.messages] == ["h1", "h2"]


# -- updates ----------------------------------------------------------------------------------------------------------


def test_an_update_appends_what_is_new_and_keeps_the_place_of_what_is_known(accumulator):
    told(accumulator, [values(whole("a", "1"), whole("b", "2"))])
    changes = accumulator.feed(updates("n", whole("c", "3"), whole("a", "1!")))
    assert statuses(changes) == [("c", "complete"), ("a", "revised")]
    assert mirrored(accumulator) == [("a", "1!"), ("b", "2"), ("c", "3")]


def test_an_update_may_hold_one_message_several_writes_or_none(accumulator):
    told(accumulator, [("updates", {"n": {"messages": whole("a", "1")}})])
    told(accumulator, [("updates", {"n": [{"messages": [whole("b", "2")]}, {"messages": [whole("c", "3")]}, None]})])
    told(accumulator, [("updates", {"n": None, "m": {"x": 1}, "k": 3})])
    assert [m.id for m in accumulator.messages] == ["a", "b", "c"]


def test_a_removal_takes_the_message_out(accumulator):
    told(accumulator, [values(whole("a", "1"), whole("b", "2"))])
    assert statuses(accumulator.feed(updates("n", removal("a")))) == [("a", "removed")]
    assert mirrored(accumulator) == [("b", "2")]


def test_a_removal_of_what_is_not_there_is_nothing(accumulator):
    assert accumulator.feed(updates("n", removal("x"))) == []


def test_a_message_removed_and_brought_back_by_one_write_stays_in_its_place(accumulator):
    told(accumulator, [values(whole("a", "1"), whole("b", "2"))])
    assert statuses(accumulator.feed(updates("n", removal("a"), whole("a", "1!")))) == [("a", "revised")]
    assert mirrored(accumulator) == [("a", "1!"), ("b", "2")]


def test_after_a_removal_of_everything_the_rest_of_the_write_is_the_list(accumulator):
    told(accumulator, [values(whole("a", "1"), whole("b", "2"))])
    write = updates("n", whole("x", "0"), removal("__remove_all__"), whole("s", "sum"), whole("b", "2"))
    changes = accumulator.feed(write)
    assert statuses(changes) == [("x", "complete"), ("s", "complete"), ("a", "removed")]
    assert mirrored(accumulator) == [("s", "sum"), ("b", "2")]


def test_updates_of_a_subgraph_leave_the_root_mirror_alone(accumulator):
    told(accumulator, [updates("inner", whole("a", "1"), suffix="|child:1")])
    assert mirrored(accumulator) == []
    assert statuses(accumulator.run_messages) == [("a", "complete")]


def test_what_a_subgraph_showed_enters_the_mirror_when_its_node_writes_it_and_is_not_told_twice(accumulator):
    told(accumulator, [streamed(piece("a", "x", last=True), task="child:1|llm:2")])
    assert accumulator.feed(updates("child", whole("a", "x"))) == []
    assert mirrored(accumulator) == [("a", "x")]


def test_a_dict_without_an_id_is_told_once_and_gets_its_id_from_the_state(accumulator):
    told(accumulator, [values()])
    (change,) = accumulator.feed(updates("n", {"role": "assistant", "content": "hi"}))
    assert (change.id, change.type, change.text) == (None, "ai", "hi")
    assert accumulator.feed(values(whole("a", "hi"))) == []
    assert [(m.id, m.status) for m in accumulator.messages] == [("a", "complete")]
    assert [m.id for m in accumulator.run_messages] == ["a"]


def test_two_equal_dicts_without_ids_stay_two(accumulator):
    told(accumulator, [values()])
    plain = {"role": "assistant", "content": "hi"}
    assert len(accumulator.feed(updates("n", plain, plain))) == 2
    assert accumulator.feed(values(whole("a", "hi"), whole("b", "hi"))) == []
    assert [m.id for m in accumulator.messages] == ["a", "b"]


# -- settling ---------------------------------------------------------------------------------------------------------


def state(*messages):
    return {"messages": list(messages)}


def test_settling_completes_what_is_open_and_in_the_state(accumulator):
    told(accumulator, [streamed(piece("a", "x"))])
    (change,) = accumulator.settle(state(human("h", "hi"), whole("a", "x")))
    assert (change.id, change.status, change.source) == ("a", "complete", "state")


def test_settling_takes_over_what_the_state_says_otherwise(accumulator):
    told(accumulator, [streamed(piece("a", "x")), streamed(piece("b", "y", last=True))])
    changes = accumulator.settle(state(whole("a", "x!"), whole("b", "y!")))
    assert [(c.id, c.status, c.text, c.source) for c in changes] == [
        ("a", "complete", "x!", "state"),
        ("b", "revised", "y!", "state"),
    ]


def test_settling_makes_the_mirror_exactly_the_state(accumulator):
    told(accumulator, [values(human("h", "hi")), updates("n", whole("a", "1")), updates("n", whole("b", "2"))])
    assert statuses(accumulator.settle(state(whole("b", "2"), human("h", "hi")))) == [("a", "removed")]
    assert mirrored(accumulator) == [("b", "2"), ("h", "hi")]


def test_settling_does_not_remove_what_never_was_in_the_state(accumulator):
    told(accumulator, [streamed(piece("helper", "x", last=True))])
    assert accumulator.settle(state()) == []
    assert statuses(accumulator.run_messages) == [("helper", "complete")]


def test_settling_takes_unknown_messages_for_history(accumulator):
    assert accumulator.settle(state(human("h", "hi"), tool("t", "x"))) == []
    assert [m.id for m in accumulator.messages] == ["h", "t"]


def test_settling_tells_unknown_messages_that_were_not_there_before(accumulator):
    (change,) = accumulator.settle(state(human("h", "hi"), tool("t", "x")), known={"h"})
    assert (change.id, change.status, change.source, change.delta.text) == ("t", "complete", "state", "x")


def test_settling_twice_is_settling_once(accumulator):
    told(accumulator, [streamed(piece("a", "x"))])
    accumulator.settle(state(whole("a", "x!")), known=())
    assert accumulator.settle(state(whole("a", "x!")), known=()) == []


def test_an_incomplete_message_that_is_in_the_state_after_all_is_revised(accumulator):
    told(accumulator, [streamed(piece("a", "x"))])
    accumulator.close("unknown")
    assert statuses(accumulator.settle(state(whole("a", "x")))) == [("a", "revised")]


@pytest.mark.parametrize("values_", [None, [], "text"])
def test_a_state_that_is_none_settles_nothing(accumulator, values_):
    told(accumulator, [updates("n", whole("a", "1"))])
    assert accumulator.settle(values_) == []
    assert mirrored(accumulator) == [("a", "1")]


def test_what_a_write_has_in_front_of_a_message_of_the_run_was_there_before_it() -> None:
    accumulator = MessageAccumulator()
    said = {"type": "ai", "content": "inner", "id": "a1"}
    accumulator.feed(("messages", [said, {"langgraph_node": "child", "langgraph_checkpoint_ns": "child:1"}]))
    handed_back = [{"type": "human", "content": "hi", "id": "h1"}, said, {"type": "tool", "content": "54F", "id": "t1"}]
    changes = accumulator.feed(("updates", {"child": {"messages": handed_back}}))
    assert [change.id for change in changes] == ["t1"]
    assert [message.id for message in accumulator.messages] == ["h1", "a1", "t1"]
