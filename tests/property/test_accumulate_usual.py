"""What is done sooner for the usual chunk is what is done for any chunk."""

from __future__ import annotations

import copy
from typing import Any, Dict, List
from unittest import mock

from chunks import any_chunks, args_pieces, chunk, texts
from hypothesis import example, given, settings
from hypothesis import strategies as st
from server_events import call, piece, streamed, told, whole

from lgsync.accumulate import Message, MessageAccumulator
from lgsync.accumulate.fold import Fold

# What a chunk is like now and then in the midst of usual ones: equal indexes of other types, ids, other keys.
_indexes = st.sampled_from([0, 0, 0, 0, 1, 1, True, 1.0, "lc_0", "lc_0", "0", None])
_ids = st.sampled_from([None, None, None, "", "x"])
_kinds = st.sampled_from(["text", "text", "reasoning", "input_json_delta", "tool_call_chunk", "non_standard", None])
_keys = st.sampled_from(["text", "text", "reasoning", "args", "partial_json", "output_version", "id", "value"])


def _without_some(element: Dict[str, Any], dropped: List[str]) -> Dict[str, Any]:
    return {key: value for key, value in element.items() if key not in dropped}


_blocks = st.builds(
    lambda key, words, kind, index, id_, dropped: _without_some(
        {"type": kind, "id": id_, "index": index, key: words}, dropped
    ),
    _keys,
    texts,
    _kinds,
    _indexes,
    _ids,
    st.sampled_from([["id"], ["id"], ["id"], [], ["type"], ["index"]]),
)
_calls = st.builds(
    lambda args, index, id_, name, extra: {**call(args, index=index, id_=id_, name=name), **extra},
    args_pieces,
    _indexes,
    _ids,
    st.sampled_from([None, None, None, "", "f"]),
    st.sampled_from([{}, {}, {}, {}, {"extras": 1}]),
)
_extras = st.sampled_from(
    [{}] * 6
    + [
        {"tool_calls": [{"name": "f", "args": {}, "id": "x"}]},
        {"name": "n"},
        {"usage_metadata": {}},
        {"tool_call_id": "c"},
        {"additional_kwargs": {"reasoning_content": "hm"}},
        {"additional_kwargs": {"reasoning_content": "hm"}},
        *[{"response_metadata": {"model_provider": "p"}}] * 4,
        {"response_metadata": {"model_provider": "q"}},
        {"response_metadata": {"model_provider": "p", "output_version": "v1"}},
        {"response_metadata": {"model_provider": "p", "finish_reason": "stop"}},
        {"response_metadata": {"model_provider": ""}},
        {"response_metadata": {"model_provider": None}},
        {"response_metadata": ["p"]},
        {"tool_call_chunks": None},
        {"content": None},
        {"content": []},
        {"content": 5},
        {"type": "ai"},
    ]
)
_usual = st.one_of(
    st.builds(lambda content: piece(content=content), texts),
    st.builds(lambda block: piece(content=[block]), _blocks),
    st.builds(lambda one: piece(tool_call_chunks=[one]), _calls),
    st.builds(lambda block, one: piece(content=[block], tool_call_chunks=[one]), _blocks, _calls),
    st.builds(lambda words, one: piece(content=words, tool_call_chunks=[one]), texts, _calls),
)
_nearly_usual = st.builds(lambda usual, extra: {**usual, **extra}, _usual, _extras)


@st.composite
def _alike(draw: st.DrawFn) -> List[Dict[str, Any]]:
    """Pieces of blocks, of calls, or of both, that differ in little but their words."""
    key, kind, form = draw(_keys), draw(_kinds), draw(st.sampled_from(["block", "block", "call", "both"]))
    chunks = []
    for index, words, id_, extra in draw(st.lists(st.tuples(_near_indexes, _words, _rare_ids, _extras), max_size=6)):
        block = {"type": kind, "index": index, key: words, **id_}
        calls = [{**call(words, index=index), **id_}]
        brought = {"content": [block]} if form == "block" else {"tool_call_chunks": calls}
        chunks.append(piece(**({**brought, "content": [block]} if form == "both" else brought), **_only_new(extra)))
    return chunks


def _only_new(extra: Dict[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in extra.items() if key not in ("content", "tool_call_chunks")}


_near_indexes = st.sampled_from([1, 1, 1, 1, 0, True, 1.0])
_words = st.sampled_from(["a", "b", "{", ""])
_rare_ids = st.sampled_from([{}] * 5 + [{"id": "x"}, {"id": ""}, {"id": 1}, {"id": True}])

#: Rows of pieces that are like each other, which is what models stream.
_repeated = st.builds(
    lambda one, times, last: [one] * times + ([{**one, "chunk_position": "last"}] if last else []),
    st.one_of(_usual, _nearly_usual, chunk("m1")),
    st.integers(1, 3),
    st.sampled_from([False] * 9 + [True]),
)
_rows = st.lists(st.one_of(_repeated, _alike()), max_size=6).map(lambda rows: [each for row in rows for each in row])


def by_the_rule(events: List[Any]) -> List[Message]:
    """What is told if no chunk is taken for a usual one."""
    with mock.patch.object(Fold, "add_usual", return_value=None):
        return told(MessageAccumulator(), copy.deepcopy(events))


def everything(message: Message) -> str:
    about = (message.id, message.status, message.source, message.revision, message.conflicts, tuple(message.delta))
    # As text, in which 1, 1.0 and True are not the same.
    read = (message.text, message.reasoning, message.usage, message.tool_calls, message.name, message.tool_call_id)
    return repr((about, message.to_dict(), read))


def same(events: List[Any]) -> None:
    before = copy.deepcopy(events)
    accumulator = MessageAccumulator()
    now = [everything(change) for event in events for change in accumulator.feed(event)]
    wanted = [everything(change) for change in by_the_rule(events)]
    assert now == wanted
    assert [everything(change) for change in told(MessageAccumulator(), events)] == wanted
    assert events == before


def _thought(words: str) -> Dict[str, Any]:
    return piece(content=[{"type": "reasoning", "reasoning": words, "index": 0}])


def _written(words: str, index: int = 0, **fields: Any) -> Dict[str, Any]:
    return piece(content=[{"type": "text", "text": words, "index": index, **fields}])


def _called(args: Any, name: Any = None) -> Dict[str, Any]:
    return piece(tool_call_chunks=[call(args, name=name)])


# What these say is read after the blocks, so that a block no longer grows at the end.
_MUSED = piece(additional_kwargs={"reasoning_content": "hm"})
_ENVELOPE = {"id": "m1", "messages": [piece(content="b")], "content": "c", "tool_call_chunks": []}


@given(_rows)
@example([_thought("a"), _thought("b"), _MUSED, _thought("c"), _thought("d")])
@example([_written("a"), _written("b"), {**_written("c", 1), "response_metadata": {"k": 1}}, _written("d")])
@example([_written("a"), _written("", 1), _written("b", 1), _written("c")])
@example([_written("a"), _written("b", id=None), _written("c")])
@example([_called("{", "f"), _called("}"), _called(None, "g"), _called(None, "h")])
@example([piece(content="a"), {**piece(content="b"), "tool_call_id": "c"}])
@example([piece(content="a"), whole("m1", "b"), piece(content="c")])
@example([piece(content="a"), _ENVELOPE, piece(content="c")])
@settings(max_examples=500, deadline=None)
def test_a_usual_chunk_does_what_it_would_do_if_it_were_taken_for_any(chunks):
    same([streamed(each) for each in chunks])


@given(st.lists(st.tuples(st.sampled_from(["a", "lc_run--b"]), _rows), max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_so_it_is_for_messages_that_interleave(drawn, random):
    events = [streamed({**each, "id": id_}, task=id_) for id_, chunks in drawn for each in chunks]
    random.shuffle(events)
    same(events)


@given(any_chunks(max_size=10))
@settings(max_examples=150, deadline=None)
def test_so_it_is_whatever_comes(chunks):
    same([streamed(each) for each in chunks])
