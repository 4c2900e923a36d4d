"""Runs recorded from a real server come out as the thread's state has them, in whichever form they were streamed."""

from __future__ import annotations

from collections import Counter

import pytest
from normal_form import normal, normal_list
from recorded_runs import final_messages, names, parts
from server_events import told

from lgsync.accumulate import MessageAccumulator

every_run = pytest.mark.parametrize("name", names())

#: A node of this graph edits a message that was shown already: only its updates and its state say so.
_EDITED_UNSEEN = {"static/v1-messages", "static/v1-messages-tuple"}


def replayed(name):
    """The accumulator after a run, and its changes but for the removal of what was there before the run."""
    accumulator = MessageAccumulator()
    return accumulator, [change for change in told(accumulator, parts(name)) if not removes_history(change)]


def removes_history(change):
    return change.revision == 1 and change.status == "removed"


def opens(change):
    return change.revision == 1


@every_run
def test_every_part_of_a_real_run_is_understood(name):
    accumulator, _ = replayed(name)
    assert accumulator.ignored == 0


@every_run
def test_after_the_state_the_mirror_is_the_state(name):
    accumulator, _ = replayed(name)
    accumulator.settle({"messages": final_messages(name)})
    assert normal_list(m.to_dict() for m in accumulator.messages) == normal_list(final_messages(name))


@pytest.mark.parametrize("name", names("combined"))
def test_with_values_and_updates_the_mirror_is_the_state_without_asking_for_it(name):
    accumulator, _ = replayed(name)
    assert normal_list(m.to_dict() for m in accumulator.messages) == normal_list(final_messages(name))


@pytest.mark.parametrize("name", [name for name in names() if name not in _EDITED_UNSEEN])
def test_what_was_streamed_is_what_the_state_says(name):
    accumulator, _ = replayed(name)
    state = {message["id"]: normal(message) for message in final_messages(name)}
    shown = {m.id: normal(m.to_dict()) for m in accumulator.run_messages if m.id in state}
    assert shown == {id_: state[id_] for id_ in shown}


@pytest.mark.parametrize("name", [name for name in names() if name not in _EDITED_UNSEEN])
def test_the_state_says_nothing_new_of_what_was_complete(name):
    accumulator, changes = replayed(name)
    done = {change.id for change in changes if change.status == "complete"}
    settled = accumulator.settle({"messages": final_messages(name)})
    assert [change for change in settled if change.id in done] == []


@every_run
def test_each_message_of_a_real_run_ends_exactly_once(name):
    accumulator, changes = replayed(name)
    changes += accumulator.settle({"messages": final_messages(name)})
    changes += accumulator.close("success")
    ends = Counter(change.id for change in changes if change.status in ("complete", "incomplete"))
    assert ends == Counter(change.id for change in changes if opens(change))


@every_run
def test_the_deltas_of_a_real_run_add_up_to_its_texts(name):
    _, changes = replayed(name)
    texts = {}
    for change in changes:
        texts[change.id] = change.text if change.delta.replaced else texts.get(change.id, "") + change.delta.text
    assert texts == {change.id: change.text for change in changes}


@pytest.mark.parametrize("graph", ["agent", "blocks", "parallel", "ptools", "slow", "thinking", "unicode"])
def test_partials_and_chunks_of_like_runs_come_to_the_same(graph):
    forms = []
    for mode in ("messages", "messages-tuple", "combined"):
        accumulator, _ = replayed(f"{graph}/v1-{mode}")
        shown = normal_list((m.to_dict() for m in accumulator.run_messages), ids=False)
        forms.append(sorted(shown, key=str))
    assert forms[0] == forms[1] == forms[2]


def test_the_model_that_blew_up_leaves_an_incomplete_message():
    accumulator, _ = replayed("err/v1-messages-tuple")
    (left,) = accumulator.close("error")
    assert left.status == "incomplete"
    assert left.text


def test_a_cancelled_run_leaves_its_message_incomplete():
    accumulator, _ = replayed("slow/v1-messages-cancel-interrupt")
    ended = accumulator.settle({"messages": final_messages("slow/v1-messages-cancel-interrupt")})
    ended += accumulator.close("cancelled")
    assert [m.status for m in ended] == ["incomplete"]


def test_messages_of_subgraphs_carry_their_namespace():
    accumulator, _ = replayed("sub/v1-messages-tuple-subgraphs")
    inner, outer = accumulator.run_messages
    assert inner.namespace[0].startswith("child:")
    assert (inner.node, outer.node, outer.namespace) == ("inner_llm", "outer_llm", ())


def test_partials_of_subgraphs_carry_the_same_namespace_as_chunks():
    accumulator, _ = replayed("sub/v1-messages-subgraphs")
    assert [m.namespace[:1] != () for m in accumulator.run_messages] == [True, False]


def test_the_input_of_a_run_is_in_the_mirror_and_is_not_told():
    accumulator, changes = replayed("agent/v1-combined")
    assert accumulator.messages[0].type == "human"
    assert accumulator.messages[0].id not in {change.id for change in changes}


def test_a_plain_dict_that_a_node_wrote_is_told_once_and_then_has_the_id_of_the_state():
    accumulator, changes = replayed("static/v1-combined")
    assert [c.id for c in changes if c.text == "dict message"] == [None]
    assert accumulator.messages[-1].text == "dict message"
    assert accumulator.messages[-1].id is not None
