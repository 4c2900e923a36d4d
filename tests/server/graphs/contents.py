"""Graphs whose one model streams other content than plain text."""

from __future__ import annotations

from typing import Any, Dict, List, TypedDict

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from scripted_model import Script, calling, ending, said, speaks, texts, words
from typing_extensions import Annotated

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def _one_model(script: Script) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("llm", speaks(script))
    builder.add_edge(START, "llm")
    return builder.compile()


def _block(kind: str, index: int, **fields: Any) -> Any:
    return said([{"type": kind, **fields, "index": index}])


def _anthropic(content: List[Dict[str, Any]], **fields: Any) -> Any:
    metadata = {"model_provider": "anthropic", **fields.pop("response_metadata", {})}
    return said(content, response_metadata=metadata, **fields)


def _usage(input_tokens: int, output_tokens: int) -> Dict[str, int]:
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


def _tool_use() -> List[Any]:
    arguments = ('{"query":', ' "x"}')
    blocks = [
        {"type": "tool_use", "id": "toolu_9", "name": "search", "input": {}, "index": 2},
        *({"type": "input_json_delta", "partial_json": piece, "index": 2} for piece in arguments),
    ]
    chunks = calling("search", "toolu_9", 2, *arguments)
    return [_anthropic([block], tool_call_chunks=chunk.tool_call_chunks) for block, chunk in zip(blocks, chunks)]


#: Reasoning, then two text blocks.
blocks = _one_model(
    [
        *(_block("reasoning", 0, reasoning=piece) for piece in ("think", "ing ", "hard")),
        *(_block("text", 1, text=piece) for piece in ("Hello ", "wor", "ld")),
        *(_block("text", 2, text=piece) for piece in ("second ", "text")),
        ending("stop", 8),
    ]
)

#: A provider's own blocks: thinking with a signature, text, a tool call as partial JSON; usage at both ends.
thinking = _one_model(
    [
        _anthropic([], response_metadata={"model_name": "claude-x"}, usage_metadata=_usage(5, 1)),
        *(_anthropic([{"type": "thinking", "thinking": piece, "index": 0}]) for piece in ("let me ", "think")),
        _anthropic([{"type": "thinking", "signature": "c2ln", "index": 0}]),
        *(_anthropic([{"type": "text", "text": piece, "index": 1}]) for piece in ("I will ", "search")),
        *_tool_use(),
        _anthropic([], response_metadata={"stop_reason": "tool_use"}, usage_metadata=_usage(0, 7)),
    ]
)

#: An image block, then text.
image = _one_model(
    [
        _block("image", 0, base64=PIXEL, mime_type="image/png"),
        *(_block("text", 1, text=piece) for piece in ("a red ", "pixel")),
        ending("stop", 3),
    ]
)

#: Line separators, a vertical tab, NUL, CRLF, an emoji, and one of three code points cut over three chunks.
unicode = _one_model(
    texts(
        "a\u2028b",
        "c\u0085d",
        "e\u000bf",
        "\U0001f600",
        "nul\x00x",
        "line\r\nend",
        "\U0001f469",
        "\u200d",
        "\U0001f680",
    )
)


def _custom() -> Any:
    speak = speaks(words("tok", 3))

    async def node(state: MessagesState, config: RunnableConfig) -> Any:
        write = get_stream_writer()
        for value in ({"progress": 0}, "plain string", [1, 2]):
            write(value)
        update = await speak(state, config)
        write({"progress": 100})
        return update

    builder = StateGraph(MessagesState)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


#: What a node writes to the stream, before and after a model's message.
custom = _custom()


class BigState(TypedDict):
    messages: Annotated[List[AnyMessage], add_messages]
    blob: str


def _big() -> Any:
    def fill(state: BigState) -> Any:
        return {"blob": "x" * 1_500_000}

    builder = StateGraph(BigState)
    builder.add_node("fill", fill)
    builder.add_node("llm", speaks(words("tok", 2)))
    builder.add_edge(START, "fill")
    builder.add_edge("fill", "llm")
    return builder.compile()


#: A state of 1.5 MB, more than a WebSocket client takes in one frame by default.
big = _big()
