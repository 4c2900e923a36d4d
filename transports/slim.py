"""Messages as the event protocol's ``values`` show them: slimmed, with every empty field left out.

A slim message has ``type``, ``content`` and, if it has them, ``id``, ``name``, ``response_metadata``, ``tool_calls``,
``invalid_tool_calls``, ``tool_call_id``, ``status``, ``artifact``. It never has ``usage_metadata`` nor
``additional_kwargs``, and content blocks that the protocol does not know come wrapped as ``non_standard``.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Mapping, Tuple

__all__ = ["content_key", "full", "is_ai", "messages_in", "same", "same_content"]

Message = Dict[str, Any]

_TYPES = frozenset({"human", "user", "ai", "assistant", "system", "tool", "function", "remove", "developer", "chat"})

_BLOCKS = frozenset(
    {
        "text",
        "reasoning",
        "tool_call",
        "tool_call_chunk",
        "invalid_tool_call",
        "server_tool_call",
        "server_tool_call_chunk",
        "server_tool_call_result",
        "image",
        "audio",
        "video",
        "file",
        "non_standard",
    }
)


def is_ai(message: Mapping[str, Any]) -> bool:
    """Whether a model is said to have written it."""
    return message.get("type") in ("ai", "assistant", "AIMessageChunk")


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("type")) in _TYPES and "content" in value


def messages_in(state: Any) -> Iterator[Message]:
    """Every message in a snapshot of the state: in its lists, as values of their own, or the state being a list."""
    entries = list(state.values()) if isinstance(state, dict) else [state]
    for entry in entries:
        for item in entry if isinstance(entry, list) else (entry,):
            if _is_message(item):
                yield item


def full(slim: Mapping[str, Any]) -> Message:
    """The message with the fields that were left out for being empty; what slim messages never say stays unsaid."""
    message = {**slim, "name": slim.get("name"), "response_metadata": slim.get("response_metadata") or {}}
    if is_ai(slim):
        message["tool_calls"] = slim.get("tool_calls") or []
        message["invalid_tool_calls"] = slim.get("invalid_tool_calls") or []
    if slim.get("type") == "tool":
        message["artifact"] = slim.get("artifact")
        message["status"] = slim.get("status") or "success"
    return message


def _block(block: Any) -> Any:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if not isinstance(block, dict):
        return block
    known = block if str(block.get("type")) in _BLOCKS else {"type": "non_standard", "value": block}
    return {key: value for key, value in known.items() if key != "index" and value is not None}


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        return content
    return [_block(block) for block in content]


def content_key(message: Mapping[str, Any]) -> str:
    """Equal for messages that say the same, whichever way their content is written down."""
    return json.dumps(_content(message.get("content")), sort_keys=True, default=str)


def same_content(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both say the same, whichever way their content is written down."""
    return bool(_content(one.get("content")) == _content(other.get("content")))


def _calls(message: Mapping[str, Any], key: str) -> List[Tuple[Any, ...]]:
    calls = message.get(key)
    found = calls if isinstance(calls, list) else []
    return [(call.get("id"), call.get("name"), call.get("args")) for call in found if isinstance(call, dict)]


def _metadata(message: Mapping[str, Any]) -> Dict[str, Any]:
    metadata = message.get("response_metadata")
    said = metadata if isinstance(metadata, dict) else {}
    return {key: value for key, value in said.items() if key != "output_version"}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are the same message as far as a slim one can tell."""
    return (
        is_ai(one) == is_ai(other)
        and one.get("name") == other.get("name")
        and one.get("tool_call_id") == other.get("tool_call_id")
        and _metadata(one) == _metadata(other)
        and _calls(one, "tool_calls") == _calls(other, "tool_calls")
        and _calls(one, "invalid_tool_calls") == _calls(other, "invalid_tool_calls")
        and same_content(one, other)
    )
