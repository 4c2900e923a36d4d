"""The message events of a run stream, written as the server writes them."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

__all__ = [
    "call",
    "complete",
    "human",
    "partial",
    "piece",
    "removal",
    "streamed",
    "told",
    "tool",
    "updates",
    "values",
    "whole",
]

Event = Tuple[str, Any]


def piece(id_: Optional[str] = "m1", content: Any = "", *, last: bool = False, **fields: Any) -> Dict[str, Any]:
    """One chunk of an AI message."""
    return {
        "content": content,
        "additional_kwargs": {},
        "response_metadata": {},
        "type": "AIMessageChunk",
        "name": None,
        "id": id_,
        "tool_calls": [],
        "invalid_tool_calls": [],
        "usage_metadata": None,
        "tool_call_chunks": [],
        "chunk_position": "last" if last else None,
        **fields,
    }


def call(args: Optional[str], *, index: Any = 0, id_: Any = None, name: Any = None) -> Dict[str, Any]:
    """One piece of a tool call, for ``tool_call_chunks``."""
    return {"name": name, "args": args, "id": id_, "index": index, "type": "tool_call_chunk"}


def whole(id_: Optional[str] = "m1", content: Any = "", **fields: Any) -> Dict[str, Any]:
    """A whole AI message."""
    return {
        "content": content,
        "additional_kwargs": {},
        "response_metadata": {},
        "type": "ai",
        "name": None,
        "id": id_,
        "tool_calls": [],
        "invalid_tool_calls": [],
        "usage_metadata": None,
        **fields,
    }


def human(id_: Optional[str], content: Any) -> Dict[str, Any]:
    """A human message."""
    return _plain("human", id_, content)


def removal(id_: str) -> Dict[str, Any]:
    """A message that removes another."""
    return _plain("remove", id_, "")


def tool(id_: str, content: Any, **fields: Any) -> Dict[str, Any]:
    """A tool's answer."""
    return {**_plain("tool", id_, content), "tool_call_id": "c1", "artifact": None, "status": "success", **fields}


def _plain(kind: str, id_: Optional[str], content: Any) -> Dict[str, Any]:
    shared = {"additional_kwargs": {}, "response_metadata": {}, "name": None}
    return {"content": content, **shared, "type": kind, "id": id_}


def streamed(message: Dict[str, Any], *, task: str = "llm:1", suffix: str = "", **metadata: Any) -> Event:
    """The ``messages`` event of a chunk or a whole message, from a task; its node is the task's name."""
    node = task.split("|")[-1].split(":")[0]
    return "messages" + suffix, [message, {"langgraph_node": node, "langgraph_checkpoint_ns": task, **metadata}]


def partial(*messages: Dict[str, Any]) -> Event:
    """A cumulative snapshot."""
    return "messages/partial", list(messages)


def complete(*messages: Dict[str, Any]) -> Event:
    """Messages that came whole."""
    return "messages/complete", list(messages)


def values(*messages: Dict[str, Any], suffix: str = "") -> Event:
    """The state after a step."""
    return "values" + suffix, {"messages": list(messages)}


def updates(node: str, *messages: Dict[str, Any], suffix: str = "") -> Event:
    """What one task of a node wrote."""
    return "updates" + suffix, {node: {"messages": list(messages)}}


def told(accumulator: Any, events: List[Event]) -> List[Any]:
    """All changes that the events make."""
    return [change for event in events for change in accumulator.feed(event)]
