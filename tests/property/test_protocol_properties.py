"""What holds for any events, in any order, cut anywhere."""

from __future__ import annotations

from typing import Any, Dict, List

from event_tape import Tape, ai, told, translated
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lgsync.accumulate import MessageAccumulator
from lgsync.transports.protocol import Translator, root_event, run_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def any_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Dict[str, Any]]:
    """Objects that may have these fields, with the values that belong there or with any others."""
    return st.fixed_dictionaries({}, optional={name: values | json_values for name, values in fields.items()})


kinds = st.sampled_from(
    ["message-start", "content-block-start", "content-block-delta", "content-block-finish", "message-finish", "error"]
)
block_types = st.sampled_from(
    ["text", "reasoning", "tool_call", "tool_call_chunk", "invalid_tool_call", "server_tool_call", "image", "new"]
)
delta_types = st.sampled_from(["text-delta", "reasoning-delta", "tool-call-delta", "data-delta", "block-delta", "new"])
words = st.sampled_from(["", "a", "{", '{"a": 1}', "m1", "m2"])
blocks = any_of(
    type=block_types, text=words, reasoning=words, args=words, id=words, name=words, index=st.integers(0, 2)
)
deltas = any_of(type=delta_types, text=words, reasoning=words, args=words, fields=blocks)
block_events = any_of(
    event=kinds,
    id=words,
    role=st.sampled_from(["ai", "tool", "human"]),
    index=st.integers(0, 2),
    content=blocks,
    content_block=blocks,
    delta=deltas,
    usage=json_values,
    metadata=json_values,
    run_id=words,
    additional_kwargs=json_values,
)
messages = any_of(
    type=st.sampled_from(["ai", "human", "tool", "remove"]),
    id=words,
    content=words | st.lists(blocks, max_size=2),
    tool_calls=st.lists(blocks, max_size=2),
    response_metadata=json_values,
)
states = any_of(messages=st.lists(messages, max_size=3), other=json_values)
lifecycles = any_of(event=st.sampled_from(["running", "completed", "failed", "interrupted"]), error=json_values)
interrupts = any_of(interrupt_id=words, payload=json_values)
params = any_of(
    namespace=st.lists(words, max_size=2),
    data=block_events | states | lifecycles | interrupts,
    node=words,
    timestamp=st.integers(),
)
envelopes = any_of(
    type=st.just("event"),
    event_id=words,
    seq=st.integers(),
    method=st.sampled_from(["messages", "values", "lifecycle", "input.requested", "updates", "custom", "tasks"]),
    params=params,
)

MODES = [["messages-tuple", "updates"], ["messages", "custom"], ["values"]]


@given(st.lists(envelopes, max_size=20), st.sampled_from(MODES), st.booleans())
def test_no_event_whatsoever_is_too_strange(events: List[Any], modes: List[str], subgraphs: bool) -> None:
    translator = Translator(modes, stream_subgraphs=subgraphs, run_id="run-1")
    accumulator = MessageAccumulator()
    for event in events:
        root_event(event)
        run_of(event)
        for part in translator.feed(event):
            accumulator.feed(part)
    for part in translator.finish([{"id": "i1", "value": 1}, {}]):
        accumulator.feed(part)


texts = st.lists(st.text(alphabet="ab ", min_size=1, max_size=3), min_size=1, max_size=4)


@given(st.lists(texts, min_size=2, max_size=3), st.data())
def test_messages_at_once_never_mix_and_all_arrive(scripts: List[List[str]], data: st.DataObject) -> None:
    """Several messages in one namespace, their events interleaved at will; only their ends stay together."""
    tape = Tape()
    names = [f"lc_run--{number}" for number in range(len(scripts))]
    wholes = {name: "".join(script) for name, script in zip(names, scripts)}
    steps = [name for name, script in zip(names, scripts) for _ in range(len(script) + 2)]
    waiting = {name: ["start", *script, "end"] for name, script in zip(names, scripts)}
    events = [tape.values()]
    for name in data.draw(st.permutations(steps)):
        step = waiting[name].pop(0)
        if step == "start":
            events.append(tape.start(name))
        elif waiting[name]:
            events.append(tape.text(step))
        else:
            events += tape.ended(wholes[name])
    events.append(tape.values(*(ai(wholes[name], name) for name in names)))
    parts, _ = translated([*events, tape.completed()])
    changes, accumulator = told(parts)
    for message in changes:
        assert wholes[str(message.id)].startswith(message.text)
    assert {message.id: (message.text, message.status) for message in accumulator.run_messages} == {
        name: (text, "complete") for name, text in wholes.items()
    }


@given(texts, st.data())
def test_how_a_text_is_cut_makes_no_difference(script: List[str], data: st.DataObject) -> None:
    whole = "".join(script)
    cut = data.draw(st.integers(0, len(whole)))
    one, other = (
        translated([tape.values(), *tape.said("m1", *pieces), tape.values(ai(whole, "m1"))])[0]
        for tape, pieces in ((Tape(), script), (Tape(), [whole[:cut], whole[cut:]]))
    )
    assert told(one)[1].run_messages[0].to_dict() == told(other)[1].run_messages[0].to_dict()


@given(st.lists(texts, min_size=1, max_size=3))
def test_the_same_events_give_the_same_parts(scripts: List[List[str]]) -> None:
    tape = Tape()
    events = [
        tape.values(),
        *(event for number, script in enumerate(scripts) for event in tape.said(f"m{number}", *script)),
    ]
    assert translated(events)[0] == translated(events)[0]


class Roundabout(Translator):
    """Translates every delta as it does any other event."""

    def continued(self, envelope: Any) -> None:
        return None


PLACES: List[List[str]] = [[], ["child:1"]]
BEGUN = [
    {"type": "text", "text": ""},
    {"type": "reasoning", "reasoning": "so"},
    {"type": "tool_call_chunk", "id": "c1", "name": "search", "args": "", "index": 7},
    {"type": "server_tool_call_chunk", "id": "c2", "name": "find", "args": "", "index": None},
]
DELTAS = [
    {"type": "text-delta", "text": "word "},
    {"type": "text-delta", "text": ""},
    {"type": "reasoning-delta", "reasoning": "since "},
    {"type": "tool-call-delta", "args": '{"a"'},
    {"type": "tool_call_chunk", "args": ": 1}", "name": "search"},
    {"type": "block-delta", "fields": {"type": "text", "text": "word word"}},
]
FINISHED = [{"type": "text", "text": "word "}, {"type": "tool_call", "id": "c1", "name": "search", "args": {"a": 1}}]

marks = st.fixed_dictionaries({}, optional={"run_id": st.sampled_from(["r1", "r2"]), "id": st.just("m1")})
block_event = st.one_of(
    st.tuples(st.just("content-block-start"), st.sampled_from(BEGUN).map(lambda block: {"content": block})),
    *[st.tuples(st.just("content-block-delta"), st.sampled_from(DELTAS).map(lambda delta: {"delta": delta}))] * 4,
    st.tuples(st.just("content-block-finish"), st.sampled_from(FINISHED).map(lambda block: {"content": block})),
    st.just(("message-finish", {})),
)
said = st.builds(
    lambda event, index, marks: {"event": event[0], "index": index, **event[1], **marks},
    block_event,
    st.sampled_from([0, 0, 0, 1]),
    st.one_of(st.just({}), st.just({}), marks),
)
started = st.builds(
    lambda name, role, marks: {"event": "message-start", "role": role, **marks, "id": name},
    st.sampled_from(["m1", "m2"]),
    st.sampled_from(["ai", "ai", "ai", "human", "tool"]),
    marks,
)
runs = st.lists(
    st.tuples(
        st.one_of(said, said, said, said, said, started), st.sampled_from([[], *PLACES]), st.sampled_from(["", "", "n"])
    ),
    max_size=30,
)


@given(runs, st.sampled_from([*MODES, ["messages-tuple", "messages"]]), st.booleans())
def test_a_delta_that_goes_on_with_a_message_is_translated_as_any_event_is(
    events: List[Any], modes: List[str], subgraphs: bool
) -> None:
    tape = Tape()
    envelopes = [tape.running(), tape.values(), tape.start("m1"), tape.block()]
    for data, place, node in events:
        envelopes.append(tape.message(data, place, **({"node": node} if node else {})))
    envelopes.append(tape.values(ai("word word ", "m1")))
    translated_alike(envelopes, modes, subgraphs)


def translated_alike(envelopes: List[Any], modes: List[str], subgraphs: bool) -> None:
    quick, other = (kind(modes, stream_subgraphs=subgraphs, run_id="run-1") for kind in (Translator, Roundabout))
    for envelope in envelopes:
        # Their words, too: True is equal to 1.
        assert repr(quick.feed(envelope)) == repr(other.feed(envelope))
        assert quick.exact == other.exact
    assert quick.finish() == other.finish()


# What a delta may have that nearly all of a message do not, and what may come between two of them.
odd = st.sampled_from(
    [
        *({"words": words} for words in ({"text": "b"}, {"text": ""}, {"text": None}, {"type": "reasoning-delta"})),
        *({"data": {"index": index}} for index in (0, 1, True, False, 0.0, 1.0, "0", None)),
        *({"data": {name: id_}} for name in ("message_id", "id", "run_id") for id_ in ("m1", "m2")),
        {"data": {"event": "content-block-start", "content": {"type": "text", "text": ""}, "index": 1}},
        {"data": {"event": "content-block-finish", "content": {"type": "text", "text": "a"}}},
        {"data": {"event": "message-start", "id": "m2"}},
        {"data": {"event": "message-finish"}},
        {"data": {"delta": "a"}},
        {"data": {"more": 1}},
        *({"params": {"namespace": place}} for place in (["child:1"], [1], [True], [[]], None, "child:1", {})),
        *({"params": {"node": node}} for node in ("n", "k", "", 1, True, None)),
        {"params": {"data": None}},
        {"params": {"more": 1}},
        *({"envelope": around} for around in ({"event_id": 1}, {"event_id": None}, {"method": "tools"})),
    ]
)
nearly_alike = st.lists(st.one_of(st.just({}), odd), max_size=20)


def less(fields: Dict[str, Any]) -> Dict[str, Any]:
    """The fields without those that are None, which stand for what is not there."""
    return {name: value for name, value in fields.items() if value is not None}


@given(nearly_alike, st.sampled_from([0, 1]), st.booleans(), st.booleans())
@example([{"params": {"namespace": place}} for place in ([1], [1], [1], [True])], 0, False, True)
@settings(max_examples=300)
def test_so_is_one_that_differs_a_little_from_those_before(
    deltas: List[Any], index: int, by_node: bool, subgraphs: bool
) -> None:
    tape = Tape()
    envelopes = [tape.running(), tape.values()]
    # What begins at once is told apart by its node.
    for name, node in (("m1", "n"), ("m2", "k")) if by_node else (("m1", None),):
        for place in ([], ["child:1"], ["1"], ["True"]):
            begun = {"event": "message-start", "role": "ai", "id": name}
            envelopes.append(tape.message(begun, place, **less({"node": node})))
    for difference in [{}, {}, *deltas]:
        data = {"event": "content-block-delta", "index": index, **difference.get("data", {})}
        data.setdefault("delta", less({"type": "text-delta", "text": "a", **difference.get("words", {})}))
        event = tape.message(less(data), [], **({"node": "n"} if by_node else {}))
        event["params"] = less({**event["params"], **difference.get("params", {})})
        envelopes.append(less({**event, **difference.get("envelope", {})}))
    translated_alike(envelopes, MODES[0], subgraphs)
