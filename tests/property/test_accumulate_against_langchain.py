"""The fold of a stream is the one langchain-core makes; so is the reading of unfinished JSON."""

from __future__ import annotations

import copy
import json
import math
from typing import Any, Dict, List, Optional

import pytest
from chunks import any_chunks, args_pieces, json_values
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk, convert_to_messages, message_chunk_to_message
from langchain_core.utils.json import parse_partial_json
from server_events import streamed

from lgsync.accumulate import Message, MessageAccumulator
from lgsync.accumulate.partial_json import PartialJSON, repaired

_SAME = ("content", "additional_kwargs", "response_metadata", "usage_metadata", "tool_calls", "invalid_tool_calls")


def as_sent(chunk: Dict[str, Any]) -> Dict[str, Any]:
    """The chunk after it went through langchain-core on the server."""
    return AIMessageChunk(**copy.deepcopy(chunk)).model_dump()


def left_fold(chunks: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """The message langchain-core makes of the chunks; None if it cannot."""
    try:
        total = AIMessageChunk(**copy.deepcopy(chunks[0]))
        for chunk in chunks[1:]:
            total = total + AIMessageChunk(**copy.deepcopy(chunk))
        return message_chunk_to_message(total).model_dump()
    except (TypeError, ValueError, AttributeError):
        return None


def latest(chunks: List[Dict[str, Any]]) -> Optional[Message]:
    accumulator = MessageAccumulator()
    for chunk in chunks:
        accumulator.feed(streamed(copy.deepcopy(chunk)))
    accumulator.close("success")
    return accumulator.run_messages[-1] if accumulator.run_messages else None


@given(any_chunks())
@settings(max_examples=400, deadline=None)
def test_a_streamed_message_is_the_left_fold_of_its_chunks(chunks):
    chunks = [as_sent({**chunk, "chunk_position": None}) for chunk in chunks]
    chunks.append(as_sent({"content": "", "id": "lc_run--1", "chunk_position": "last"}))
    message = latest(chunks)
    wanted = left_fold(chunks)
    if message is None:
        assert wanted is not None
        assert not any(wanted["content"])
    elif wanted is None:
        assert message.conflicts
    else:
        got = message.to_dict()
        assert not message.conflicts
        assert {key: got[key] for key in _SAME} == {key: wanted[key] for key in _SAME}


@given(any_chunks())
@settings(max_examples=300, deadline=None)
def test_every_snapshot_is_the_left_fold_of_what_had_come_even_if_read_at_the_end(chunks):
    chunks = [as_sent(chunk) for chunk in chunks]
    accumulator = MessageAccumulator()
    seen = [(end, m) for end in range(len(chunks)) for m in accumulator.feed(streamed(copy.deepcopy(chunks[end])))]
    for end, message in seen:
        wanted = left_fold(chunks[: end + 1])
        if wanted is None:
            assert message.conflicts
            continue
        got = message.to_dict()
        # While arguments grow, what was read of them stays; only when they are all there is the reading the same.
        keys = _SAME if message.status != "streaming" else _SAME[:-2]
        assert {key: got[key] for key in keys} == {key: wanted[key] for key in keys}


@given(any_chunks())
@settings(max_examples=100, deadline=None)
def test_what_to_dict_gives_langchain_takes(chunks):
    message = latest([as_sent(chunk) for chunk in chunks])
    if message is not None:
        (converted,) = convert_to_messages([message.to_dict()])
        # It makes an empty list an empty string.
        assert (converted.type, converted.id, converted.content) == ("ai", message.id, message.content or "")


def outcome_of(read, text: str) -> Any:
    try:
        return read(text)
    except (ValueError, RecursionError):
        return "nothing"


def finished(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except json.JSONDecodeError:
        return repaired(text)


broken_json = st.one_of(
    st.lists(args_pieces, max_size=8).map("".join),
    st.text(alphabet='{}[]",:\\ tfnu01.5e-+\n', max_size=16),
    st.builds(
        lambda value, ascii_only, cut: json.dumps(value, ensure_ascii=ascii_only)[:cut],
        json_values,
        st.booleans(),
        st.integers(0, 60),
    ),
)


@given(broken_json)
@settings(max_examples=1000, deadline=None)
def test_unfinished_json_ends_as_langchain_reads_it(text):
    assert repr(outcome_of(finished, text)) == repr(outcome_of(parse_partial_json, text))


@given(json_values, st.booleans(), st.lists(st.integers(1, 5), min_size=1))
@settings(max_examples=300, deadline=None)
def test_growing_json_reads_as_langchain_reads_it_except_inside_an_escape(value, ascii_only, steps):
    text = json.dumps({"a": value, "b": [value]}, ensure_ascii=ascii_only)
    reader, place = PartialJSON(), 0
    while place < len(text):
        place += steps[place % len(steps)]
        so_far = text[:place]
        if "\\u" not in so_far[-12:]:
            assert outcome_of(reader.read, so_far) == outcome_of(parse_partial_json, so_far)


@pytest.mark.parametrize("text", ['{"a": NaN', '{"a": [1, Infinity', '{"a": -Infinity}'])
def test_numbers_that_only_python_writes_are_read(text):
    values = finished(text)["a"]
    number = values[-1] if isinstance(values, list) else values
    assert math.isnan(number) or math.isinf(number)
