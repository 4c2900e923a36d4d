"""What is played to the clients: runs of any length, made of events that were recorded from a real server.

Every piece of a message is one event, with the metadata that the server repeats around each (850 bytes). The tapes:

* ``text``: an answer of so many pieces of text
* ``clock``: the same, and each piece tells when it was sent
* ``blocks``: the same in content blocks
* ``call``: one tool call, whose arguments come in so many pieces
* ``state``: one snapshot of the state, of so many bytes
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

__all__ = ["FIRST_ID", "RUN", "STAMP", "TAPES", "Event", "chunks_of", "protocol_events", "run_events", "state_of"]

TAPES = ("text", "clock", "blocks", "call", "state")

CAPTURES = Path(__file__).resolve().parents[2] / "tests" / "data" / "captures"

#: Stands for the run's id; as long as one, so that each run's own can replace it in what is framed already.
RUN = "@run@".ljust(36, "@")
#: Stands for the time in nanoseconds; as long as it is when it is filled up with zeros.
STAMP = "@now@".ljust(24, "@")
#: The milliseconds in the first event's id; each event comes one later.
FIRST_ID = 1795331705496

_PIECE = "@piece@"
_HUMAN = {"type": "human", "content": "hello", "id": "a9598115-a317-4f9a-bf74-f122415ede8a"}
_USAGE = {"input_tokens": 1, "output_tokens": 4, "total_tokens": 5}

Json = Dict[str, Any]


class Event(NamedTuple):
    """An event of a run stream, or of the thread event protocol: its name (there: its method), and its JSON."""

    name: str
    data: bytes


def chunks_of(tape: str, chunks: int) -> Iterator[str]:
    """The pieces that a tape's message comes in."""
    if tape == "call":
        return iter(['{"text": "', *["word "] * (chunks - 2), '"}'])
    if tape == "clock":
        return iter([STAMP] * chunks)
    return (f"tok{number % 1000} " for number in range(chunks))


def run_events(tape: str, chunks: int) -> Iterator[Event]:
    """The events of the run-stream API, in all modes that are asked for here."""
    yield Event("metadata", _json({"run_id": RUN, "attempt": 1}))
    if tape == "state":
        yield Event("values", _json({"messages": [_HUMAN], "blob": "x" * chunks}))
        return
    yield Event("values", _json({"messages": [_HUMAN]}))
    opening, template, closing = _recorded(tape)
    yield from (Event("messages", _json(each)) for each in opening)
    yield from (Event("messages", data) for data in _filled(template, chunks_of(tape, chunks)))
    yield from (Event("messages", _json(each)) for each in closing)
    message = _final(tape, chunks)
    yield Event("updates", _json({"agent": {"messages": [message]}}))
    yield Event("values", _json({"messages": [_HUMAN, message]}))


def protocol_events(tape: str, chunks: int) -> Iterator[Event]:
    """The events of the thread event protocol for a ``text`` or a ``clock``, numbered from 1."""
    recorded = [json.loads(line) for line in _lines("slow/v2-ws.ws.jsonl")]
    events = [each for each in recorded if each["type"] == "event"]
    deltas = [number for number, each in enumerate(events) if _says(each) == "content-block-delta"]
    whole = "".join(chunks_of(tape, chunks))
    before, after = events[: deltas[0]], _saying(events[deltas[-1] + 1 :], whole)
    for number, envelope in enumerate(before, 1):
        yield _numbered(envelope, number)
    yield from _deltas(events[deltas[0]], chunks_of(tape, chunks), len(before) + 1)
    for number, envelope in enumerate(after, len(before) + chunks + 1):
        yield _numbered(envelope, number)


def state_of(tape: str, chunks: int) -> Json:
    """What the thread's state holds after the run."""
    return {"messages": [_HUMAN] if tape == "state" else [_HUMAN, _final(tape, chunks)]}


# -- the run-stream API ------------------------------------------------------------------------------------------------


@functools.cache
def _recorded(tape: str) -> Tuple[List[Any], bytes, List[Any]]:
    """What comes before the pieces of the message, the form of a piece, and what ends the message."""
    graph = {"blocks": "blocks", "call": "agent"}.get(tape, "slow")
    frames = (CAPTURES / graph / "v1-messages-tuple.sse").read_bytes().split(b"\r\n\r\n")
    told = [frame.split(b"\r\n") for frame in frames if frame.startswith(b"event: messages\r\n")]
    tuples = [json.loads(lines[1][len("data: ") :]) for lines in told]
    of_the_first = [each for each in tuples if each[0]["id"] == tuples[0][0]["id"]]
    *pieces, finish, last = of_the_first
    message, metadata = pieces[-1]
    template = _json([{**message, **_with_a_piece(tape, message)}, metadata])
    return (pieces[:1] if tape == "call" else []), template, [finish, last]


def _with_a_piece(tape: str, message: Json) -> Json:
    """Those fields of a recorded chunk that hold its piece."""
    if tape == "blocks":
        return {"content": [{"type": "text", "text": _PIECE, "index": 0}]}
    if tape == "call":
        return {name: [{**message[name][0], "args": _PIECE}] for name in ("tool_call_chunks", "invalid_tool_calls")}
    return {"content": _PIECE}


def _final(tape: str, chunks: int) -> Json:
    """The message as the state has it."""
    whole = "".join(chunks_of(tape, chunks))
    calls: List[Json] = []
    content: Any = whole
    if tape == "blocks":
        content = [{"type": "text", "text": whole, "index": 0}]
    elif tape == "call":
        content, calls = "", [{"name": "search", "args": json.loads(whole), "id": "toolu_1", "type": "tool_call"}]
    (finish, _) = _recorded(tape)[2]
    return {
        "content": content,
        "additional_kwargs": {},
        "response_metadata": finish[0]["response_metadata"],
        "type": "ai",
        "name": None,
        "id": finish[0]["id"],
        "tool_calls": calls,
        "invalid_tool_calls": [],
        "usage_metadata": finish[0]["usage_metadata"],
    }


# -- the thread event protocol -----------------------------------------------------------------------------------------


def _says(envelope: Json) -> Any:
    return envelope["params"]["data"].get("event")


def _deltas(recorded: Json, pieces: Iterable[str], first: int) -> Iterator[Event]:
    delta = {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": _PIECE}}
    params = {**recorded["params"], "data": delta}
    _, _, rest = _json({**recorded, "params": params}).partition(b'"method":')
    for number, data in enumerate(_filled(rest, pieces), first):
        head = b'{"type":"event","event_id":"%d-0","seq":%d,"method":' % (FIRST_ID + number, number)
        yield Event("messages", head + data)


def _saying(envelopes: List[Json], whole: str) -> List[Json]:
    """What ends a message, and the last snapshot, with this text."""
    changed: List[Json] = json.loads(json.dumps(envelopes))
    for envelope in changed:
        data = envelope["params"]["data"]
        if _says(envelope) == "content-block-finish":
            data["content"]["text"] = whole
        elif envelope["method"] == "values":
            data["messages"][-1]["content"][0]["text"] = whole
    return changed


def _numbered(envelope: Json, number: int) -> Event:
    kind, run_id, rest = [*str(envelope["event_id"]).split(":", 2), "", ""][:3]
    event_id = f"{kind}:{RUN}:{rest}" if run_id else f"{FIRST_ID + number}-0"
    return Event(envelope["method"], _json({**envelope, "event_id": event_id, "seq": number}))


# -- bytes -------------------------------------------------------------------------------------------------------------


def _lines(name: str) -> Iterable[bytes]:
    return (line for line in (CAPTURES / name).read_bytes().split(b"\n") if line.strip())


def _filled(template: bytes, pieces: Iterable[str]) -> Iterator[bytes]:
    marked = _json(_PIECE)
    return (template.replace(marked, _json(piece)) for piece in pieces)


def _json(value: Any) -> bytes:
    """As the server writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
