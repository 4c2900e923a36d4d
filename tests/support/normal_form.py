"""The form in which one message looks the same whichever way it came: streamed, sent whole, or read from the state.

Two wire forms of one message differ in what carries no meaning: a string or one text block, a block's ``index``, an
absent key or its default, tool calls repeated inside the content. ``normal`` takes these away, and nothing else.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping

__all__ = ["normal", "normal_list"]

#: Blocks that only repeat what ``tool_calls`` and ``invalid_tool_calls`` say.
_CALL_BLOCKS = {"tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use"}

_TYPES = {"user": "human", "assistant": "ai", "developer": "system"}


def normal(message: Mapping[str, Any], *, ids: bool = True) -> Dict[str, Any]:
    """The normal form of a message as the server writes it; without ``ids`` messages of two runs can be compared."""
    form: Dict[str, Any] = {
        "type": _type(message),
        "name": message.get("name"),
        "blocks": _blocks(message.get("content")),
        "tool_calls": [(call.get("id"), call.get("name"), call.get("args")) for call in _list(message, "tool_calls")],
        "invalid_tool_calls": [
            (call.get("id"), call.get("name"), call.get("args")) for call in _list(message, "invalid_tool_calls")
        ],
        "usage_metadata": message.get("usage_metadata"),
        "additional_kwargs": dict(message.get("additional_kwargs") or {}),
        "response_metadata": {
            key: value for key, value in (message.get("response_metadata") or {}).items() if key != "output_version"
        },
    }
    if ids:
        form["id"] = message.get("id")
    if form["type"] == "tool":
        form["tool_call_id"] = message.get("tool_call_id")
        form["artifact"] = message.get("artifact")
        form["status"] = message.get("status") or "success"
    return form


def normal_list(messages: Iterable[Mapping[str, Any]], *, ids: bool = True) -> List[Dict[str, Any]]:
    """The normal forms of several messages."""
    return [normal(message, ids=ids) for message in messages]


def _type(message: Mapping[str, Any]) -> str:
    name = str(message.get("type") or message.get("role") or "")
    if name.endswith("MessageChunk"):
        name = name[: -len("MessageChunk")].lower()
    return _TYPES.get(name, name)


def _list(message: Mapping[str, Any], key: str) -> List[Mapping[str, Any]]:
    return list(message.get(key) or [])


def _blocks(content: Any) -> List[Any]:
    blocks: List[Any] = []
    for item in content if isinstance(content, list) else [content]:
        block = {"type": "text", "text": item} if isinstance(item, str) else _block(item)
        if block is None or block == {"type": "text", "text": ""}:
            continue
        if _is_plain_text(block) and blocks and _is_plain_text(blocks[-1]):
            block = {"type": "text", "text": blocks.pop()["text"] + block["text"]}
        blocks.append(block)
    return blocks


def _block(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    if item.get("type") in _CALL_BLOCKS:
        return None
    if item.get("type") == "image_url":
        target = item.get("image_url")
        url = target.get("url") if isinstance(target, dict) else target
        return {"type": "image", "url": url}
    return {key: value for key, value in item.items() if key != "index"}


def _is_plain_text(block: Any) -> bool:
    return isinstance(block, dict) and set(block) == {"type", "text"} and isinstance(block["text"], str)
