"""The event-stream rules of the HTML standard, word for word and slowly, to compare the framer with."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional, Tuple

__all__ = ["Event", "Outcome", "interpret"]


class Event(NamedTuple):
    name: str
    data: str
    last_id: str


class Outcome(NamedTuple):
    events: List[Event]
    last_id: str
    retry: Optional[int]


def interpret(stream: bytes) -> Outcome:
    """Section 9.2.6, "Interpreting an event stream": the events of a stream that ended where ``stream`` ends."""
    text = stream.decode("utf-8", "replace")
    text = text[1:] if text.startswith("\ufeff") else text
    # The last piece is a line that was never ended: pending data, which the end of the stream discards.
    lines = re.split("\r\n|\n|\r", text)[:-1]
    events: List[Event] = []
    name, data, id_buffer, last_id = "", "", "", ""
    retry: Optional[int] = None
    for line in lines:
        if line == "":
            last_id = id_buffer
            if data:
                events.append(Event(name or "message", data[:-1], last_id))
            name, data = "", ""
            continue
        field, value = _field(line)
        if field == "event":
            name = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return Outcome(events, last_id, retry)


def _field(line: str) -> Tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value[1:] if value.startswith(" ") else value
