"""What a scripted run does, step by step: each of these says one thing that the run's stream shows."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple, Union

from ..parts import StreamPart

__all__ = [
    "CallsTool",
    "Cuts",
    "Fails",
    "Interrupts",
    "Says",
    "Script",
    "Sets",
    "Stage",
    "Step",
    "Wait",
    "calls_tool",
    "cuts",
    "error",
    "interrupt",
    "part",
    "says",
    "sets",
    "wait",
]


class Stage(Protocol):
    """What a step acts on: the run that plays it."""

    def tell(self, event: str, data: Any, mode: Optional[str] = None) -> None:
        """Give a part, to those who asked for ``mode``; to all if it is None."""

    def chunk(self, message: Mapping[str, Any], so_far: Mapping[str, Any], node: str) -> None:
        """Give a piece of a message, and, to those who see messages grow, what it is by now."""

    def update(self, node: str, values: Mapping[str, Any]) -> None:
        """A node has run: its values are merged into the thread's state, messages added to its messages."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Go on when the event is set; the run fails if that takes longer, and ends if it is cancelled."""

    def fail(self, name: str, message: str) -> None:
        """End the run with an error."""

    def pause(self, interrupts: Sequence[Mapping[str, Any]], node: str) -> None:
        """End the run, waiting for an answer to each of these."""

    def cut(self) -> None:
        """Break every connection that shows the run, which itself goes on."""


class Step:
    """One step of a script."""

    def play(self, stage: Stage) -> None:
        """Do it."""
        raise NotImplementedError


#: What a script is made of; an Event is waited for.
Script = Union[Step, StreamPart, threading.Event]


def _new_id(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4()}"


@dataclass(frozen=True)
class Says(Step):
    """See :func:`says`."""

    tokens: Tuple[str, ...]
    id: Optional[str] = None
    node: str = "agent"
    usage: Optional[Mapping[str, int]] = None

    def play(self, stage: Stage) -> None:
        message: Dict[str, Any] = {**_message("ai", "", self.id or _new_id("msg")), "usage_metadata": None}
        for number, token in enumerate(self.tokens):
            last = number == len(self.tokens) - 1
            message["content"] += token
            message["usage_metadata"] = self.usage if last else None
            piece = {**message, "content": token, "type": "AIMessageChunk", "tool_call_chunks": []}
            stage.chunk({**piece, "chunk_position": "last" if last else None}, dict(message), self.node)
        stage.update(self.node, {"messages": [message]})


@dataclass(frozen=True)
class CallsTool(Step):
    """See :func:`calls_tool`."""

    name: str
    args: Mapping[str, Any]
    result: Optional[str] = None
    id: Optional[str] = None
    node: str = "agent"

    def play(self, stage: Stage) -> None:
        call_id = self.id or _new_id("call")
        call = {"name": self.name, "args": dict(self.args), "id": call_id, "type": "tool_call"}
        message = {**_message("ai", "", _new_id("msg")), "tool_calls": [call], "usage_metadata": None}
        text = json.dumps(self.args)
        pieces = [(self.name, call_id, text[: len(text) // 2]), (None, None, text[len(text) // 2 :])]
        for number, (name, piece_id, args) in enumerate(pieces):
            piece = {"name": name, "args": args, "id": piece_id, "index": 0, "type": "tool_call_chunk"}
            chunk = {**message, "type": "AIMessageChunk", "tool_calls": [], "tool_call_chunks": [piece]}
            chunk["chunk_position"] = "last" if number else None
            stage.chunk(chunk, message if number else {**message, "tool_calls": []}, self.node)
        stage.update(self.node, {"messages": [message]})
        if self.result is not None:
            answer = {**_message("tool", self.result, _new_id("msg")), "name": self.name, "tool_call_id": call_id}
            answer["status"] = "success"
            stage.chunk(answer, answer, "tools")
            stage.update("tools", {"messages": [answer]})


@dataclass(frozen=True)
class Sets(Step):
    """See :func:`sets`."""

    values: Mapping[str, Any]
    node: str = "agent"

    def play(self, stage: Stage) -> None:
        stage.update(self.node, self.values)


@dataclass(frozen=True)
class Wait(Step):
    """See :func:`wait`."""

    event: threading.Event
    seconds: float = 30.0

    def play(self, stage: Stage) -> None:
        stage.wait(self.event, self.seconds)


@dataclass(frozen=True)
class Fails(Step):
    """See :func:`error`."""

    name: str
    message: str

    def play(self, stage: Stage) -> None:
        stage.fail(self.name, self.message)


@dataclass(frozen=True)
class Interrupts(Step):
    """See :func:`interrupt`."""

    values: Tuple[Any, ...]
    node: str = "agent"
    ids: Tuple[str, ...] = field(default=())

    def play(self, stage: Stage) -> None:
        ids: List[str] = [*self.ids, *(uuid.uuid4().hex for _ in self.values[len(self.ids) :])]
        stage.pause([{"value": value, "id": each} for value, each in zip(self.values, ids)], self.node)


@dataclass(frozen=True)
class Cuts(Step):
    """See :func:`cuts`."""

    def play(self, stage: Stage) -> None:
        stage.cut()


def says(
    *tokens: str,
    id: Optional[str] = None,  # noqa: A002 (the field's own name)
    node: str = "agent",
    usage: Optional[Mapping[str, int]] = None,
) -> Step:
    """An AI message of these tokens, streamed one by one; then it is in the thread's state.

    ``usage`` is its ``usage_metadata``: ``{"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}``.
    """
    return Says(tokens or ("",), id, node, usage)


def calls_tool(
    name: str,
    args: Optional[Mapping[str, Any]] = None,
    *,
    result: Optional[str] = None,
    id: Optional[str] = None,  # noqa: A002 (the field's own name)
    node: str = "agent",
) -> Step:
    """An AI message that calls a tool, its arguments streamed; with ``result``, the tool's message follows."""
    return CallsTool(name, args or {}, result, id, node)


def part(event: str, data: Any = None) -> StreamPart:
    """A part as it is, whatever modes were asked for; the thread's state does not know of it."""
    return StreamPart(event, data)


def sets(node: str = "agent", **values: Any) -> Step:
    """A node has run, and set these values of the thread's state; ``messages`` are added to what is there."""
    return Sets(values, node)


def wait(event: threading.Event, timeout: float = 30.0) -> Step:
    """The run stays silent, but for heartbeats, until the test sets the event; it fails after ``timeout`` seconds."""
    return Wait(event, timeout)


def error(name: str, message: str) -> Step:
    """The run fails: ``error("ValueError", "no such city")``. No step after it is played."""
    return Fails(name, message)


def interrupt(*values: Any, node: str = "agent", id: Optional[str] = None) -> Step:  # noqa: A002 (the field's own name)
    """The run ends and waits for an answer to each value. A run that resumes it plays the next script."""
    return Interrupts(values or (None,), node, () if id is None else (id,))


def cuts() -> Step:
    """The connection breaks, and the run goes on: a client that joins it again gets the rest."""
    return Cuts()


def _message(kind: str, content: str, message_id: str) -> Dict[str, Any]:
    common: Dict[str, Any] = {"additional_kwargs": {}, "response_metadata": {}, "name": None}
    called: Dict[str, Any] = {"tool_calls": [], "invalid_tool_calls": []} if kind == "ai" else {}
    return {"content": content, **common, "type": kind, "id": message_id, **called}
