"""What holds for every stream of messages, whatever servers send and in whatever order."""

from __future__ import annotations

import copy
import json
from collections import Counter, defaultdict
from typing import Any, Dict, List, Tuple

from chunks import any_chunks, json_values, run_events, scripted_chunks, texts
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from normal_form import normal, normal_list
from server_events import call, complete, human, partial, piece, removal, streamed, told, updates, values, whole

from lgsync.accumulate import Message, MessageAccumulator
from lgsync.accumulate.blocks import agrees
from lgsync.accumulate.partial_json import PartialJSON

_calls = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["f", "g"]), "args": st.dictionaries(st.sampled_from(["a", "b"]), json_values)}
    ),
    max_size=2,
).map(lambda calls: [{**call_, "id": f"c{place}"} for place, call_ in enumerate(calls)])

_scripts = st.tuples(st.text(alphabet="ab |é谢😀\n", max_size=20), st.lists(st.integers(0, 20)), _calls)


def script(id_: str, drawn: Tuple[str, List[int], Any]) -> List[Dict[str, Any]]:
    text, cuts, calls = drawn
    return scripted_chunks(id_, text, cuts, calls=calls)


def everything(message: Message) -> Any:
    about = (message.id, message.status, message.source, message.revision, message.conflicts, message.delta)
    return about, message.to_dict(), message.text, message.reasoning, message.usage


def by_id(changes: List[Message]) -> Dict[Any, List[Message]]:
    found: Dict[Any, List[Message]] = defaultdict(list)
    for change in changes:
        found[change.id].append(change)
    return found


def as_part(event: Any) -> Any:
    return copy.deepcopy(event)


# -- deltas, snapshots, progress --------------------------------------------------------------------------------------


@given(any_chunks(max_size=10))
@settings(deadline=None)
def test_the_deltas_since_the_last_replacement_add_up_to_the_text_and_the_reasoning(chunks):
    accumulator = MessageAccumulator()
    text = reasoning = ""
    for chunk in chunks:
        for change in accumulator.feed(streamed(chunk)):
            text = change.text if change.delta.replaced else text + change.delta.text
            reasoning = change.reasoning if change.delta.replaced else reasoning + change.delta.reasoning
            assert (text, reasoning) == (change.text, change.reasoning)


@given(run_events)
@settings(deadline=None)
def test_deltas_add_up_across_all_forms_of_events(events):
    text: Dict[Any, str] = {}
    for change in told(MessageAccumulator(), events):
        # What was told without an id is heard already when the state gives it one.
        if change.id is None or (change.revision > 1 and change.id not in text):
            continue
        had = text.get(change.id, "")
        text[change.id] = change.text if change.delta.replaced else had + change.delta.text
        assert text[change.id] == change.text


@given(_scripts)
@settings(deadline=None)
def test_the_pieces_of_arguments_add_up_to_the_arguments(drawn):
    pieces: Dict[str, str] = defaultdict(str)
    accumulator = MessageAccumulator()
    for change in told(accumulator, [streamed(chunk) for chunk in script("a", drawn)]):
        for key, more in change.delta.tool_args.items():
            pieces[key] += more
    assert {key: json.loads(args) for key, args in pieces.items()} == {c["id"]: c["args"] for c in drawn[2]}


@given(run_events)
@settings(deadline=None)
def test_a_message_reads_the_same_now_and_at_the_end(events):
    accumulator = MessageAccumulator()
    now = [everything(change) for event in events for change in accumulator.feed(as_part(event))]
    late = told(MessageAccumulator(), [as_part(event) for event in events])
    assert [everything(change) for change in late] == now


@given(any_chunks(max_size=10))
@settings(deadline=None)
def test_a_folded_message_reads_the_same_now_and_at_the_end(chunks):
    accumulator = MessageAccumulator()
    events = [streamed(chunk) for chunk in chunks]
    now = [everything(change) for event in events for change in accumulator.feed(as_part(event))]
    assert [everything(change) for change in told(MessageAccumulator(), events)] == now


@given(run_events)
@settings(deadline=None)
def test_feeding_changes_nothing_that_was_fed(events):
    before = copy.deepcopy(events)
    accumulator = MessageAccumulator()
    for change in told(accumulator, events):
        change.to_dict()
    assert events == before


@given(run_events)
@settings(deadline=None)
def test_each_change_says_something_new(events):
    for id_, changes in by_id(told(MessageAccumulator(), events)).items():
        if id_ is None:
            continue
        for earlier, later in zip(changes, changes[1:]):
            assert (
                (earlier.status, normal(earlier.to_dict())) != (later.status, normal(later.to_dict()))
                or later.delta
                or later.conflicts != earlier.conflicts
            )


@given(st.lists(st.sampled_from(["x", "xy", "z"]), min_size=1), st.sampled_from([partial, complete, values]))
def test_a_snapshot_told_twice_is_told_once(contents, form):
    accumulator = MessageAccumulator()
    told(accumulator, [values()])
    for content in contents:
        accumulator.feed(form(whole("a", content)))
        assert accumulator.feed(form(whole("a", content))) == []


# -- ends -------------------------------------------------------------------------------------------------------------


@given(run_events, st.booleans(), st.sampled_from(["success", "interrupted", "cancelled", "error", "unknown"]))
@settings(deadline=None, max_examples=200)
def test_each_message_ends_exactly_once_and_is_never_streaming_again(events, settle, outcome):
    accumulator = MessageAccumulator()
    changes = told(accumulator, events)
    if settle:
        changes += accumulator.settle({"messages": [whole("a", "xy"), human("h", "x")]}, known={"h"})
    changes += accumulator.close(outcome)
    assert accumulator.close(outcome) == []
    for id_, of_one in by_id(changes).items():
        if id_ is None:
            assert all(change.status == "complete" for change in of_one)
            continue
        statuses = [change.status for change in of_one]
        # One that got its id from the state had been told, and had ended, without it.
        first = of_one[0].revision
        assert [change.revision for change in of_one] == list(range(first, first + len(of_one)))
        opened = statuses[0] in ("streaming", "complete")
        assert opened <= (first == 1)
        ends = [place for place, status in enumerate(statuses) if status in ("complete", "incomplete")]
        assert len(ends) == (1 if opened else 0)
        assert set(statuses[: ends[0] if ends else 0]) <= {"streaming"}
        assert set(statuses[ends[0] + 1 if ends else 0 :]) <= {"revised", "removed"}


@given(run_events)
@settings(deadline=None)
def test_what_the_run_showed_is_listed_by_first_appearance_at_its_latest(events):
    accumulator = MessageAccumulator()
    changes = told(accumulator, events)
    of_ids = {id_: of_one[-1] for id_, of_one in by_id(changes).items() if id_ is not None}
    listed = [message for message in accumulator.run_messages if message.id in of_ids]
    # A message that got its id later, from the state, has no change under that id.
    assert [m for m in listed if m.revision == of_ids[m.id].revision] == [
        of_ids[id_] for id_ in dict.fromkeys(m.id for m in listed) if id_ in of_ids
    ]


# -- order, interleaving, regrouping ----------------------------------------------------------------------------------


@given(st.lists(_scripts, min_size=2, max_size=3), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_streams_that_interleave_say_what_each_says_alone(drawn, random):
    streams = {f"lc_run--{place}": script(f"lc_run--{place}", one) for place, one in enumerate(drawn)}
    order = [id_ for id_, chunks in streams.items() for _ in chunks]
    random.shuffle(order)
    rest = {id_: iter(chunks) for id_, chunks in streams.items()}
    mixed = by_id(told(MessageAccumulator(), [streamed(next(rest[id_])) for id_ in order]))
    for id_, chunks in streams.items():
        alone = told(MessageAccumulator(), [streamed(chunk) for chunk in chunks])
        assert [everything(change) for change in mixed[id_]] == [everything(change) for change in alone]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_messages_appear_in_the_order_of_their_first_words(order):
    accumulator = MessageAccumulator()
    told(accumulator, [streamed(piece(id_, ""), task=id_) for id_ in "cba"])
    told(accumulator, [streamed(piece(id_, "x"), task=id_) for id_ in order])
    assert [message.id for message in accumulator.run_messages] == list(dict.fromkeys(order))


@given(
    st.lists(texts, min_size=1, max_size=6),
    st.lists(st.integers(0, 30), max_size=6),
    st.sampled_from(["string", "block"]),
    st.booleans(),
)
def test_how_the_text_is_cut_does_not_matter(parts, cuts, form, empties):
    text = "".join(parts)
    assume(text)
    bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    regrouped = [text[start:end] for start, end in zip(bounds, bounds[1:])]

    def final(pieces):
        accumulator = MessageAccumulator()
        for words in pieces:
            content = words if form == "string" else [{"type": "text", "text": words, "index": 0}]
            told(accumulator, [streamed(piece("a", content))])
            if empties:
                assert told(accumulator, [streamed(piece("a")), ("custom", {})]) == []
        told(accumulator, [streamed(piece("a", last=True))])
        return normal(accumulator.run_messages[0].to_dict())

    assert final(regrouped) == final([text])


@given(st.lists(st.tuples(st.sampled_from(["a", None, "lc_run--1"]), st.sampled_from(["", []]), st.booleans())))
def test_empty_chunks_open_nothing(drawn):
    accumulator = MessageAccumulator()
    events = [streamed(piece(id_, content, last=last)) for id_, content, last in drawn]
    assert told(accumulator, events) == []
    assert accumulator.run_messages == []


@given(st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=5))
def test_messages_without_ids_never_merge(words):
    accumulator = MessageAccumulator()
    changes = told(accumulator, [streamed(piece(None, word)) for word in words])
    assert [(change.text, change.revision) for change in changes] == [(word, 1) for word in words]


# -- the forms of one run ---------------------------------------------------------------------------------------------


def in_forms(drawn: List[Any]) -> Tuple[Dict[str, List[Any]], List[Dict[str, Any]]]:
    """One run of several calls in each form that a server streams, and its final state."""
    state: List[Dict[str, Any]] = [human("h", "hi")]
    forms: Dict[str, List[Any]] = {"chunks": [], "partials": [], "state": [values(*state)], "all": [values(*state)]}
    for place, one in enumerate(drawn):
        id_ = f"lc_run--{place}"
        server = MessageAccumulator()
        for chunk in script(id_, one):
            event = streamed(chunk, task=f"llm:{place}")
            server.feed(event)
            forms["chunks"].append(event)
            forms["all"].append(event)
            if server.run_messages:
                forms["partials"].append(partial(server.run_messages[0].to_dict()))
        state.append(server.run_messages[0].to_dict())
        for form in ("state", "all"):
            forms[form] += [updates("llm", state[-1]), values(*state)]
    return forms, state


@given(st.lists(_scripts, min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_every_form_of_one_run_comes_to_its_state(drawn):
    forms, state = in_forms(drawn)
    for events in forms.values():
        accumulator = MessageAccumulator()
        told(accumulator, events)
        accumulator.settle({"messages": state})
        accumulator.close("success")
        assert normal_list(m.to_dict() for m in accumulator.messages) == normal_list(state)
        assert normal_list(m.to_dict() for m in accumulator.run_messages) == normal_list(state[1:])
        assert {m.status for m in accumulator.run_messages} == {"complete"}


@given(st.lists(_scripts, min_size=1, max_size=3), st.integers(0, 40))
@settings(deadline=None, max_examples=50)
def test_after_a_reset_a_replay_comes_to_the_same_whatever_came_before(drawn, cut):
    events = in_forms(drawn)[0]["all"]
    straight = MessageAccumulator()
    told(straight, events)
    again = MessageAccumulator()
    told(again, events[:cut])
    again.reset()
    told(again, events)
    assert again.run_messages == straight.run_messages
    assert again.messages == straight.messages


@given(st.lists(_scripts, min_size=1, max_size=3), st.data())
@settings(deadline=None, max_examples=50)
def test_parts_that_were_lost_come_back_with_the_state(drawn, data):
    forms, state = in_forms(drawn)
    kept = [event for event in forms["chunks"] if data.draw(st.booleans())]
    accumulator = MessageAccumulator()
    changes = told(accumulator, kept)
    changes += accumulator.settle({"messages": state}, known={"h"})
    assert normal_list(m.to_dict() for m in accumulator.messages) == normal_list(state)
    seen = {change.id: normal(change.to_dict()) for change in changes}
    assert seen == {message["id"]: normal(message) for message in state[1:]}


# -- the mirror -------------------------------------------------------------------------------------------------------


def add_messages(left: List[Dict[str, Any]], right: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The server's rule for one write, said as plainly as can be; what it refuses is passed over."""
    everything_goes = [place for place, m in enumerate(right) if m["id"] == "__remove_all__"]
    if everything_goes:
        return right[everything_goes[-1] + 1 :]
    merged, removed = list(left), set()
    for message in right:
        known = [m["id"] for m in merged]
        if message["type"] == "remove":
            removed.add(message["id"])
        elif message["id"] in known:
            removed.discard(message["id"])
            merged[known.index(message["id"])] = message
        else:
            removed.discard(message["id"])
            merged.append(message)
    return [message for message in merged if message["id"] not in removed]


_ids = st.sampled_from("abcd")
_write = st.lists(
    st.builds(whole, _ids, texts)
    | st.builds(human, _ids, texts)
    | st.builds(removal, st.sampled_from(["a", "b", "__remove_all__"])),
    max_size=4,
    unique_by=lambda message: message["id"],
)


@given(st.lists(st.builds(whole, _ids, texts), max_size=4, unique_by=lambda m: m["id"]), st.lists(_write, max_size=6))
@settings(deadline=None)
def test_the_mirror_of_updates_is_the_list_of_the_server(start, writes):
    accumulator = MessageAccumulator()
    told(accumulator, [values(*start)])
    state = start
    for write in writes:
        state = add_messages(state, write)
        accumulator.feed(updates("n", *write))
        assert normal_list(m.to_dict() for m in accumulator.messages) == normal_list(state)


@given(run_events, st.lists(st.builds(whole, _ids, texts), max_size=4, unique_by=lambda m: m["id"]))
@settings(deadline=None)
def test_after_the_state_the_mirror_is_the_state_whatever_came_before(events, state):
    accumulator = MessageAccumulator()
    told(accumulator, events)
    accumulator.settle({"messages": state})
    shown = [(m.id, m.type, m.text) for m in accumulator.messages]
    assert shown == [(m["id"], "ai", m["content"]) for m in state]


# -- whatever is sent -------------------------------------------------------------------------------------------------

_keys = [
    *("id", "type", "content", "messages", "tool_call_chunks", "tool_calls", "usage_metadata", "index", "name", "args"),
    *("additional_kwargs", "response_metadata", "chunk_position", "text", "artifact", "metadata", "run_id", "attempt"),
    *("langgraph_checkpoint_ns", "langgraph_path", "langgraph_node"),
]

_any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(_keys),
            inner | st.sampled_from(["a", "AIMessageChunk", "text", "ToolMessageChunk", "remove", "last", "ai"]),
        )
    ),
    max_leaves=20,
)
_kinds = ["messages", "messages/partial", "messages/complete", "messages/metadata", "values", "updates", "metadata"]


@given(st.lists(st.tuples(st.sampled_from([*_kinds, "messages|a:1", "nonsense"]), _any_json), max_size=6))
@settings(deadline=None, max_examples=400)
def test_whatever_json_is_fed_and_read_nothing_is_raised(events):
    accumulator = MessageAccumulator()
    for change in told(accumulator, [*events, *events]) + accumulator.close("success"):
        everything(change)
        repr(change)
        change.tool_calls, change.invalid_tool_calls, change.artifact, change.name, change.metadata, hash(change)


@given(st.lists(_any_json, max_size=4))
@settings(deadline=None, max_examples=300)
def test_whatever_the_chunks_of_a_message_hold_nothing_is_raised(fields):
    accumulator = MessageAccumulator()
    for field in fields:
        chunk = {**(field if isinstance(field, dict) else {"content": field}), "id": "a", "type": "AIMessageChunk"}
        for change in accumulator.feed(("messages", [chunk, {}])):
            everything(change)
            change.tool_calls, change.invalid_tool_calls, repr(change)


@given(st.integers(1, 3))
def test_what_is_nested_too_deep_is_counted_and_not_raised(times):
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    accumulator = MessageAccumulator()
    for _ in range(times):
        assert accumulator.feed(("messages", [{"id": "a", "type": "ai", "content": deep}, {}])) == []
    assert accumulator.ignored == times


# -- growing JSON -----------------------------------------------------------------------------------------------------


def paths(value: Any, here: Tuple[Any, ...] = ()) -> Dict[Tuple[Any, ...], Any]:
    """Every place of a JSON value, with its string if it is one."""
    found = {here: value if isinstance(value, str) else None}
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found.update(paths(inner, (*here, key)))
    return found


@given(json_values, st.booleans())
@settings(deadline=None)
def test_growing_arguments_never_take_anything_back(value, ascii_only):
    text = json.dumps({"a": value, "b": [value]}, ensure_ascii=ascii_only)
    reader, before = PartialJSON(), {(): None}
    for end in range(1, len(text) + 1):
        after = paths(reader.read(text[:end]))
        for place, words in before.items():
            assert place in after
            assert words is None or after[place].startswith(words)
        assert not any("\ud800" <= char <= "\udfff" for words in after.values() for char in words or "")
        before = after
    assert reader.read(text) == json.loads(text)


@given(json_values, st.booleans(), st.lists(st.integers(1, 9), min_size=1))
@settings(deadline=None)
def test_arguments_that_came_whole_are_what_was_sent(value, ascii_only, steps):
    text = json.dumps({"a": value}, ensure_ascii=ascii_only)
    accumulator, place, turn = MessageAccumulator(), 0, 0
    while place < len(text):
        step = steps[turn % len(steps)]
        told(accumulator, [streamed(piece("a", tool_call_chunks=[call(text[place : place + step])]))])
        place, turn = place + step, turn + 1
    assert accumulator.run_messages[0].tool_calls[0]["args"] == {"a": value}


# -- the normal form --------------------------------------------------------------------------------------------------

_said = st.builds(
    lambda content, usage, metadata: whole("a", content, usage_metadata=usage, response_metadata=metadata),
    texts | st.lists(texts.map(lambda text: {"type": "text", "text": text, "index": 0}), max_size=2),
    st.sampled_from([None, {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}]),
    st.sampled_from([{}, {"output_version": "v1"}, {"model_name": "m"}]),
)


@given(_said, _said)
def test_the_accumulator_and_the_normal_form_mean_the_same_by_the_same(one, other):
    assert agrees(one, other) == (normal(one) == normal(other))


@given(_said, st.sets(st.sampled_from(["usage_metadata", "additional_kwargs", "name", "tool_calls"])))
def test_a_key_that_is_left_out_is_never_a_difference(message, left_out):
    assert agrees(message, {key: value for key, value in message.items() if key not in left_out})


def test_the_strategies_reach_every_status():
    seen: Counter = Counter()

    @given(run_events)
    @settings(deadline=None, max_examples=200, database=None)
    def look(events):
        accumulator = MessageAccumulator()
        seen.update(change.status for change in told(accumulator, events) + accumulator.close("error"))

    look()
    assert set(seen) == {"streaming", "complete", "incomplete", "revised", "removed"}
