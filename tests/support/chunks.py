"""Hypothesis strategies for the chunks of a message, in every form that servers stream and some that none does yet."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from hypothesis import strategies as st
from server_events import complete, human, partial, piece, removal, streamed, tool, updates, values, whole

__all__ = [
    "any_chunks",
    "chunk",
    "content",
    "json_values",
    "run_events",
    "scripted_chunks",
    "texts",
]

texts = st.text(alphabet='ab |é谢😀\n"\\{', max_size=6)
_absent = object()


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Dict[str, Any]]:
    drawn = {key: st.one_of(st.just(_absent), strategy) for key, strategy in fields.items()}
    return st.fixed_dictionaries(drawn).map(lambda d: {key: value for key, value in d.items() if value is not _absent})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "id", "index", "type", "created", "output_version"]), inner)
    ),
    max_leaves=6,
)

_indexes = st.sampled_from([0, 0, 1, 1, 2, "lc_txt_0", "lc_txt_1", "0", None, True])
_ids = st.sampled_from([None, "", "x", "y"])

blocks = st.one_of(
    texts,
    _optional(type=st.just("text"), text=texts, index=_indexes, id=_ids, annotations=st.lists(json_values, max_size=2)),
    _optional(type=st.just("reasoning"), reasoning=texts, index=_indexes, extras=st.just({"signature": "s"})),
    _optional(type=st.just("thinking"), thinking=texts, index=_indexes, signature=texts),
    _optional(
        type=st.just("tool_call_chunk"), id=_ids, name=st.just("f"), args=texts, index=_indexes, extras=json_values
    ),
    _optional(
        type=st.sampled_from(["server_tool_call_chunk", "server_tool_call"]),
        id=_ids,
        args=st.sampled_from(["", '{"q":', "1}", '{"q":1}']),
        index=_indexes,
    ),
    _optional(
        type=st.just("non_standard"), value=st.dictionaries(st.sampled_from(["a", "type"]), json_values), index=_indexes
    ),
    _optional(type=st.just("image"), url=texts, index=_indexes),
    _optional(type=texts, a=json_values, index=json_values, text=json_values),
)

content = st.one_of(texts, texts, st.lists(blocks, max_size=3))

#: Pieces of JSON arguments; without ``\u``, where a reader of growing text is wiser than one of finished text.
args_pieces = st.sampled_from(
    ["", "{", '{"a', '{"a":', '{"a":1', ',"b":[', "1.5", "tru", "}", "]", '"x', '"', "\\n", "\n"]
)

call_chunks = st.fixed_dictionaries(
    {
        "name": st.sampled_from([None, "f", "g"]),
        "args": st.none() | args_pieces,
        "id": _ids,
        "index": st.sampled_from([None, 0, 0, 0, 1]),
        "type": st.just("tool_call_chunk"),
    }
)

_counts = st.integers(0, 5)
usages = st.fixed_dictionaries(
    {"input_tokens": _counts, "output_tokens": _counts, "total_tokens": _counts},
    optional={
        "input_token_details": st.dictionaries(st.sampled_from(["cache_read", "audio"]), _counts),
        "output_token_details": st.dictionaries(st.sampled_from(["reasoning"]), _counts),
    },
)

response_metadata = st.one_of(
    st.just({}),
    st.just({}),
    st.just({"output_version": "v1"}),
    st.just({"model_provider": "p", "finish_reason": "stop"}),
    st.dictionaries(st.sampled_from(["a", "created", "logprobs"]), json_values, max_size=2),
)

additional_kwargs = st.one_of(
    st.just({}),
    st.just({}),
    st.fixed_dictionaries({"reasoning_content": texts}),
    st.dictionaries(st.sampled_from(["a", "function_call"]), json_values, max_size=2),
)


def chunk(id_: str = "lc_run--1") -> st.SearchStrategy[Dict[str, Any]]:
    """Any one chunk of an AI message, as the server writes it."""
    return st.fixed_dictionaries(
        {
            "content": content,
            "additional_kwargs": additional_kwargs,
            "response_metadata": response_metadata,
            "type": st.just("AIMessageChunk"),
            "name": st.none(),
            "id": st.just(id_),
            "tool_calls": st.just([]),
            "invalid_tool_calls": st.just([]),
            "usage_metadata": st.none() | st.none() | usages,
            "tool_call_chunks": st.just([]) | st.lists(call_chunks, max_size=2),
            "chunk_position": st.sampled_from([None, None, None, None, "last"]),
        }
    )


def any_chunks(id_: str = "lc_run--1", *, max_size: int = 7) -> st.SearchStrategy[List[Dict[str, Any]]]:
    """The chunks of one message, of all kinds mixed: most of them never occur together, none may do harm."""
    return st.lists(chunk(id_), min_size=1, max_size=max_size)


def scripted_chunks(id_: str, text: str, cuts: List[int], *, calls: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """What a model streams that says ``text`` and makes ``calls``: cut anywhere, then metadata, then the last chunk."""
    bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    chunks = [piece(id_, text[start:end]) for start, end in zip(bounds, bounds[1:])]
    for index, call in enumerate(calls):
        args = json.dumps(call["args"], ensure_ascii=False)
        half = len(args) // 2
        first = {"name": call["name"], "args": "", "id": call["id"], "index": index, "type": "tool_call_chunk"}
        chunks.append(piece(id_, tool_call_chunks=[first]))
        for part in (args[:half], args[half:]):
            more = {"name": None, "args": part, "id": None, "index": index, "type": "tool_call_chunk"}
            chunks.append(piece(id_, tool_call_chunks=[more]))
    usage = {"input_tokens": 1, "output_tokens": len(chunks), "total_tokens": 1 + len(chunks)}
    chunks.append(piece(id_, response_metadata={"finish_reason": "stop"}, usage_metadata=usage))
    return [*chunks, piece(id_, last=True)]


_message_ids = st.sampled_from(["a", "b", "c", "lc_run--1", "lc_run--2"])
_tasks = st.sampled_from(["n:1", "n:2", "m:3", "sub:4|n:5"])
_suffixes = st.sampled_from(["", "", "|sub:4"])
_texts = st.sampled_from(["", "x", "xy", "xyz", "other"])
_metadata = st.sampled_from([{}, {}, {"finish_reason": "stop"}])


def _wholes(kinds: st.SearchStrategy[Any], ids: st.SearchStrategy[Any]) -> st.SearchStrategy[Dict[str, Any]]:
    return st.builds(
        lambda kind, id_, text, metadata: {**kind(id_, text), "response_metadata": metadata},
        kinds,
        ids,
        _texts,
        _metadata,
    )


_told = _wholes(st.sampled_from([whole, human, tool]), _message_ids)
_listed = _told | _wholes(st.just(whole), st.none())
_removals = st.sampled_from(["a", "b", "lc_run--1", "__remove_all__"]).map(removal)
_written = st.lists(st.one_of(_listed, _listed, _listed, _removals), max_size=4)

_streamed = st.builds(
    lambda id_, text, last, task: streamed(piece(id_, text, last=last), task=task),
    _message_ids | st.none(),
    _texts,
    st.sampled_from([False, False, True]),
    _tasks,
)

#: Events of a run in any order, most of which no server would send so: nothing may be told wrongly even then.
run_events = st.lists(
    st.one_of(
        _streamed,
        _streamed,
        st.builds(lambda message, task: streamed(message, task=task), _told, _tasks),
        st.lists(_told, max_size=2).map(lambda messages: partial(*messages)),
        st.lists(_told, max_size=2).map(lambda messages: complete(*messages)),
        st.builds(lambda messages, suffix: values(*messages, suffix=suffix), st.lists(_listed, max_size=4), _suffixes),
        st.builds(
            lambda node, messages, suffix: updates(node, *messages, suffix=suffix),
            st.sampled_from(["n", "m"]),
            _written,
            _suffixes,
        ),
        st.builds(
            lambda run, attempt: ("metadata", {"run_id": run, "attempt": attempt}),
            st.sampled_from(["r1", "r1", "r2"]),
            st.sampled_from([1, 1, 2]),
        ),
    ),
    max_size=14,
)
