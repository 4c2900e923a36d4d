"""Events of the thread event protocol, as servers send them: built by hand, or read from captured sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from lgsync.accumulate import Message, MessageAccumulator
from lgsync.parts import StreamPart
from lgsync.transports.protocol import Translator, root_event, run_of

__all__ = ["CAPTURES", "Tape", "ai", "captured", "captured_state", "captures", "human", "told", "translated"]

CAPTURES = Path(__file__).parent.parent / "data" / "captures"

Envelope = Dict[str, Any]

_OUTCOMES = {"completed": "success", "failed": "error", "interrupted": "interrupted", None: "cancelled"}


def human(text: str, id: str = "h1") -> Dict[str, Any]:  # noqa: A002 (the protocol's own name)
    """A human message as a snapshot shows it."""
    return {"type": "human", "content": text, "id": id}


def ai(text: str, id: str, **fields: Any) -> Dict[str, Any]:  # noqa: A002 (the protocol's own name)
    """A streamed AI message as a snapshot shows it: slim, its content in blocks."""
    content = [{"type": "text", "text": text, "index": 0}] if text else []
    return {"type": "ai", "content": content, "id": id, "response_metadata": {"output_version": "v1"}, **fields}


class Tape:
    """Numbers events as one thread's stream does. Each method gives one event (or the events of one message)."""

    def __init__(self, run_id: str = "run-1", *, names_runs: bool = True) -> None:
        self.run_id = run_id
        self.seq = 0
        self._names_runs = names_runs

    def event(
        self, method: str, data: Any, namespace: Sequence[str] = (), *, event_id: Optional[str] = None, **params: Any
    ) -> Envelope:
        self.seq += 1
        numbered = f"17953-{self.seq}" if self._names_runs else str(self.seq)
        return {
            "type": "event",
            "event_id": event_id if event_id is not None and self._names_runs else numbered,
            "seq": self.seq,
            "method": method,
            "params": {"namespace": list(namespace), "timestamp": 1000 + self.seq, "data": data, **params},
        }

    def lifecycle(self, event: str, namespace: Sequence[str] = (), **data: Any) -> Envelope:
        event_id = f"synth:{self.run_id}:lc|{'|'.join(namespace)}|{event}"
        return self.event("lifecycle", {"event": event, "graph_name": "g", **data}, namespace, event_id=event_id)

    def running(self) -> Envelope:
        return self.lifecycle("running")

    def completed(self) -> Envelope:
        return self.lifecycle("completed")

    def interrupt(self, id: str, payload: Any, namespace: Sequence[str] = ()) -> Envelope:  # noqa: A002
        event_id = f"synth:{self.run_id}:input|{'|'.join(namespace)}|{id}"
        return self.event("input.requested", {"interrupt_id": id, "payload": payload}, namespace, event_id=event_id)

    def values(self, *messages: Mapping[str, Any], namespace: Sequence[str] = (), **state: Any) -> Envelope:
        return self.event("values", {"messages": list(messages), **state}, namespace)

    def message(self, data: Mapping[str, Any], namespace: Sequence[str] = (), **params: Any) -> Envelope:
        return self.event("messages", dict(data), namespace, **params)

    def start(self, id: str, namespace: Sequence[str] = (), **data: Any) -> Envelope:  # noqa: A002
        return self.message({"event": "message-start", "role": "ai", "id": id, **data}, namespace)

    def block(self, index: int = 0, content: Optional[Mapping[str, Any]] = None, **extra: Any) -> Envelope:
        block = content or {"type": "text", "text": ""}
        return self.message({"event": "content-block-start", "index": index, "content": block, **extra})

    def text(self, text: str, index: int = 0, namespace: Sequence[str] = (), **extra: Any) -> Envelope:
        return self.delta({"type": "text-delta", "text": text}, index, namespace, **extra)

    def delta(self, delta: Mapping[str, Any], index: int = 0, namespace: Sequence[str] = (), **extra: Any) -> Envelope:
        return self.message({"event": "content-block-delta", "index": index, "delta": delta, **extra}, namespace)

    def block_end(
        self, content: Mapping[str, Any], index: int = 0, namespace: Sequence[str] = (), **extra: Any
    ) -> Envelope:
        return self.message({"event": "content-block-finish", "index": index, "content": content, **extra}, namespace)

    def end(self, namespace: Sequence[str] = (), usage: Optional[Mapping[str, int]] = None, **extra: Any) -> Envelope:
        said = {} if usage is None else {"usage": dict(usage)}
        return self.message({"event": "message-finish", **said, **extra}, namespace)

    def ended(self, text: str, namespace: Sequence[str] = (), **extra: Any) -> List[Envelope]:
        """How a message of one text ends: its block, then itself."""
        return [self.block_end({"type": "text", "text": text}, 0, namespace), self.end(namespace, **extra)]

    def said(self, id: str, *texts: str, namespace: Sequence[str] = (), **extra: Any) -> List[Envelope]:  # noqa: A002
        """A whole message of one text, streamed in pieces, with nothing else in between."""
        start = self.start(id, namespace)
        pieces = [self.text(text, namespace=namespace) for text in texts]
        return [start, *pieces, *self.ended("".join(texts), namespace, **extra)]


def translated(
    events: Iterable[Envelope], modes: Iterable[str] = ("messages-tuple", "updates"), **options: Any
) -> Tuple[List[StreamPart], Translator]:
    """All parts of the events of one run, with what its end adds, and the translator that gave them."""
    translator = Translator(modes, thread_id="thread-1", run_id="run-1", **options)
    parts = [part for event in events for part in translator.feed(event)]
    return [*parts, *translator.finish()], translator


def told(parts: Iterable[StreamPart], outcome: str = "success") -> Tuple[List[Message], MessageAccumulator]:
    """Every change of a message that the parts come to, and the accumulator they were fed to."""
    accumulator = MessageAccumulator()
    changes = [message for part in parts for message in accumulator.feed(part)]
    return [*changes, *accumulator.close(outcome)], accumulator


def captures() -> List[str]:
    """The names of all captured sockets, such as ``agent/v2-ws``."""
    return sorted(f"{path.parent.name}/{path.name[: -len('.ws.jsonl')]}" for path in CAPTURES.glob("*/*.ws.jsonl"))


def captured(name: str) -> Tuple[List[Envelope], str]:
    """The events of the last run that a captured socket shows, in order, and that run's outcome."""
    lines = (CAPTURES / f"{name}.ws.jsonl").read_bytes().split(b"\n")
    frames = [json.loads(line) for line in lines if line.strip()]
    events = [frame for frame in frames if frame.get("type") == "event"]
    begin = max(place for place, event in enumerate(events) if root_event(event) == "running")
    events = events[begin:]
    ends = [root_event(event) for event in events if root_event(event) not in (None, "running")]
    outcome = _OUTCOMES[ends[0] if ends else None]
    asked = any(event["method"] == "input.requested" for event in events)
    assert run_of(events[0])
    return events, "cancelled" if outcome == "interrupted" and not asked else outcome


def captured_state(name: str) -> List[Dict[str, Any]]:
    """The messages of the thread as its state had them after that run."""
    about = json.loads((CAPTURES / f"{name}.json").read_bytes())
    messages: List[Dict[str, Any]] = about["thread_state"]["values"]["messages"]
    return messages
