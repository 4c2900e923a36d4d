"""What message content says: its text, its reasoning, and when two messages say the same.

Content is a string or a list of strings and blocks (dicts with a ``type``), in the provider's own form or in the
standard one (``response_metadata.output_version == "v1"``).
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

__all__ = ["REASONING_KEYS", "agrees", "message_type", "reasoning_of", "spoken_key", "text_of"]

#: Which key of a block holds its reasoning, by the block's type.
REASONING_KEYS = {"reasoning": "reasoning", "thinking": "thinking"}

_TYPES = {"user": "human", "assistant": "ai", "developer": "system"}

# Blocks that only repeat what tool_calls and invalid_tool_calls say.
_CALL_BLOCKS = {"tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use"}


def message_type(message: Mapping[str, Any]) -> str:
    """The type of a message without its Chunk suffix; plain dicts say their role."""
    name = message.get("type") or message.get("role")
    if not isinstance(name, str):
        return ""
    if name.endswith("Chunk"):
        name = name[: -len("Chunk")]
        name = name[: -len("Message")].lower() if name.endswith("Message") else name
    return _TYPES.get(name, name)


def spoken_key(kind: Any) -> Optional[str]:
    """Which key of a block of that type holds words, if any does."""
    if kind == "text":
        return "text"
    return REASONING_KEYS.get(kind) if isinstance(kind, str) else None


def text_of(content: Any) -> str:
    """The text blocks and plain strings of the content, joined."""
    return _words(content, {"text": "text"}, strings=True)


def reasoning_of(content: Any, additional_kwargs: Any) -> str:
    """The reasoning blocks of the content, joined, then ``reasoning_content`` where some providers put theirs."""
    outside = additional_kwargs.get("reasoning_content") if isinstance(additional_kwargs, Mapping) else None
    inside = "" if isinstance(content, str) else _words(content, REASONING_KEYS, strings=False)
    return inside + outside if isinstance(outside, str) else inside


def _words(content: Any, keys: Mapping[str, str], *, strings: bool) -> str:
    if isinstance(content, str):
        return content if strings else ""
    words: List[str] = []
    for item in content if isinstance(content, list) else ():
        if isinstance(item, str):
            words.append(item if strings else "")
        elif isinstance(item, Mapping):
            kind = item.get("type")
            said = item.get(keys[kind]) if isinstance(kind, str) and kind in keys else None
            words.append(said if isinstance(said, str) else "")
    return "".join(words)


def agrees(known: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Whether ``shown`` says nothing that ``known`` does not say as well; a key it lacks says nothing.

    What carries no meaning is looked through: a string or one text block, a block's ``index``, tool calls repeated in
    the content, an absent key or its empty default, ``output_version``.
    """
    return all(_agree(key, known.get(key), value, known, shown) for key, value in shown.items())


def _agree(key: str, mine: Any, other: Any, known: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    if mine == other or not (mine or other):
        return True
    if key in ("type", "role"):
        return message_type(known) == message_type(shown)
    if key == "content":
        return _content_blocks(mine) == _content_blocks(other)
    if key in ("tool_calls", "invalid_tool_calls"):
        return _calls(mine) == _calls(other)
    if key == "response_metadata":
        return _without_version(mine) == _without_version(other)
    if key == "status":
        return (mine or "success") == (other or "success")
    return False


def _content_blocks(content: Any) -> List[Any]:
    blocks: List[Any] = []
    for item in content if isinstance(content, list) else [content]:
        block = {"type": "text", "text": item} if isinstance(item, str) else _standard(item)
        if block is None or block == {"type": "text", "text": ""}:
            continue
        if blocks and _only_text(block) and _only_text(blocks[-1]):
            block = {"type": "text", "text": blocks.pop()["text"] + block["text"]}
        blocks.append(block)
    return blocks


def _standard(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    kind = item.get("type")
    if isinstance(kind, str) and kind in _CALL_BLOCKS:
        return None
    if kind == "image_url":
        target = item.get("image_url")
        return {"type": "image", "url": target.get("url") if isinstance(target, dict) else target}
    return {key: value for key, value in item.items() if key != "index"}


def _only_text(block: Any) -> bool:
    return (
        isinstance(block, dict)
        and set(block) == {"type", "text"}
        and block["type"] == "text"
        and isinstance(block["text"], str)
    )


def _calls(calls: Any) -> List[Tuple[Any, ...]]:
    listed = calls if isinstance(calls, list) else []
    return [(call.get("id"), call.get("name"), call.get("args")) for call in listed if isinstance(call, dict)]


def _without_version(metadata: Any) -> Dict[str, Any]:
    pairs = metadata.items() if isinstance(metadata, dict) else ()
    return {key: value for key, value in pairs if key != "output_version"}
