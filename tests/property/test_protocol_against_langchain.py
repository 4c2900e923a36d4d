"""Chunks that the translator makes of block events, folded by langchain-core, against its own reading of the events."""

from __future__ import annotations

import copy
import json
from typing import Any, Dict, List

from event_tape import Tape, translated
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models.chat_model_stream import ChatModelStream
from langchain_core.messages import AIMessageChunk

texts = st.text(alphabet='ab{}"\n é', max_size=4)
pieces = st.lists(texts, max_size=4)
arguments = st.dictionaries(
    st.sampled_from(["q", "n"]), texts | st.integers() | st.lists(texts, max_size=2), max_size=2
)


@st.composite
def text_blocks(draw: st.DrawFn) -> Any:
    said = draw(pieces)
    kind, key = draw(st.sampled_from([("text", "text"), ("reasoning", "reasoning")]))
    late = draw(st.sampled_from([{}, {"extras": {"signature": "x"}}, {"id": "late"}]))
    whole = draw(st.sampled_from(["".join(said), "".join(said) + "tail", "replaced", ""]))
    deltas = [{"type": f"{kind}-delta", key: piece} for piece in said]
    return {"type": kind, key: ""}, deltas, {"type": kind, key: whole, **late}


@st.composite
def calls(draw: st.DrawFn) -> Any:
    args = draw(arguments)
    text = json.dumps(args)
    cut = draw(st.integers(0, len(text)))
    call_id = f"t{draw(st.integers(0, 99))}"
    start = {"type": "tool_call_chunk", "id": call_id, "name": "search", "args": ""}
    if draw(st.booleans()):
        final: Dict[str, Any] = {"type": "tool_call", "id": call_id, "name": "search", "args": args}
    else:
        text = text[:cut]
        final = {"type": "invalid_tool_call", "id": call_id, "name": "search", "args": text, "error": "broken"}
    deltas = [{"type": "tool-call-delta", "args": piece} for piece in (text[:cut], text[cut:]) if piece]
    return start, deltas, final


images = st.just(({"type": "image"}, [], {"type": "image", "base64": "AAAA", "mime_type": "image/png"}))
usages = st.none() | st.just({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})


def events_of(tape: Tape, blocks: List[Any], data: st.DataObject) -> List[Dict[str, Any]]:
    """One message: blocks begin in order, their deltas interleave, and all of them finish at the end."""
    waiting = [[tape.block(index, start)] for index, (start, _, _) in enumerate(blocks)]
    for index, (_, deltas, _) in enumerate(blocks):
        waiting[index] += [tape.delta(delta, index) for delta in deltas]
    turns = [index for index, events in enumerate(waiting) for _ in events]
    order = sorted(turns) if data.draw(st.booleans()) else data.draw(st.permutations(turns))
    middle = [waiting[index].pop(0) for index in order]
    ends = [tape.block_end(final, index) for index, (_, _, final) in enumerate(blocks)]
    return [*middle, *ends]


@given(st.lists(text_blocks() | calls() | images, max_size=4), usages, st.data())
def test_the_fold_of_the_chunks_is_what_the_run_stores(blocks: List[Any], usage: Any, data: st.DataObject) -> None:
    tape = Tape()
    start = tape.start("lc_run--1", metadata={"provider": "p", "model": "m"})
    end = tape.end(usage=usage, metadata={"finish_reason": "stop"}, additional_kwargs={"k": 1})
    events = [start, *events_of(tape, blocks, data), end]

    stream = ChatModelStream(message_id="lc_run--1")
    for event in events:
        stream.dispatch(copy.deepcopy(event["params"]["data"]))
    stored = stream.output_message
    assert stored is not None

    said = [part.data[0] for part in translated(events)[0] if part.kind == "messages"]
    folded = said[-1]
    if folded["type"] == "AIMessageChunk":
        chunks = [AIMessageChunk(**message) for message in said]
        folded = chunks[0].model_dump() if len(chunks) == 1 else (chunks[0] + chunks[1:]).model_dump()
    expected = stored.model_dump()
    for key in ("content", "tool_calls", "usage_metadata", "response_metadata", "additional_kwargs", "id", "name"):
        assert folded[key] == expected[key], key
    assert [(call["id"], call["args"]) for call in folded["invalid_tool_calls"]] == [
        (call["id"], call["args"]) for call in expected["invalid_tool_calls"]
    ]
