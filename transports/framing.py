"""Server-sent events, sans I/O: bytes in, :class:`~lgsync.parts.StreamPart` out.

Follows the WHATWG rules for event streams, with what run streams add to them: data is JSON, and an ``end`` event needs
none. The framer cuts the stream into whole events and owns all that needs memory between them (line ends, ids,
heartbeats, size). An event of one line of data needs no more than its JSON to be read; of one of several lines
sseclient-py parses the fields. Events that are whole, and written as servers write them, are taken each in one piece;
all else is read line by line.

Budget: 5 µs for an event of 1 KB, its JSON among it (``python -m benchmarks --only layers``).
"""

from __future__ import annotations

import functools
import re
from typing import Any, List, Optional, Sequence, Tuple

from sseclient import SSEClient

from ..codec import decode
from ..parts import StreamPart, Undecoded
from .repeated_tail import RepeatedTail

__all__ = ["DEFAULT_MAX_EVENT_BYTES", "Framer"]

DEFAULT_MAX_EVENT_BYTES = 64 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"

# sseclient-py appends line to line, which is quadratic: an event of more lines than this is parsed in groups.
_LINES_AT_ONCE = 256

# No server means to wait longer than fits in as many digits; longer numbers are no milliseconds.
_MAX_RETRY_DIGITS = 15

# A whole event as servers write it, by what ends their lines; a dot is anything but a line feed.
_PLAIN_EVENTS = {
    end: re.compile(rb"event: ([^\r\n]*)%sdata: (.*)%s(?:id: ([^\r\n\0]*)%s)?%s" % (end, end, end, end))
    for end in (b"\r\n", b"\n")
}


class Framer:
    """Cuts one event stream into parts. Feed it what was read, in pieces of any size; its work is linear in bytes.

    ``last_id`` is the position after everything fed so far: None before any id came, empty once the server cleared it
    (parts then have the id None). ``retry`` is the reconnection time the server asked for, in milliseconds;
    ``heartbeats`` is the number of comments seen. Once an event grows larger than ``max_event_bytes``, ``overflow`` is
    set, and nothing more is read.
    """

    def __init__(self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        self.max_event_bytes = max_event_bytes
        self.last_id: Optional[str] = None
        self.retry: Optional[int] = None
        self.heartbeats = 0
        self.overflow = False
        # The start of the stream, as long as it may be a part of a byte order mark; None once that is decided.
        self._start: Optional[bytes] = b""
        # What ends the stream's lines, as its first one has it.
        self._line_end: Optional[bytes] = None
        self._after_cr = False
        self._tail: List[bytes] = []
        self._tail_size = 0
        # The event being read: its lines, and their size.
        self._event = b""
        self._data: List[bytes] = []
        self._id: Optional[bytes] = None
        self._size = 0
        # Whole events not given yet.
        self._parts: List[StreamPart] = []
        self._tuples = RepeatedTail()

    @property
    def truncated(self) -> bool:
        """Whether the stream, if it ends here, ends inside an event (which then is not given)."""
        tail = self._start or b"".join(self._tail[:1])
        return self._is_inside_event() or bool(tail and not tail.startswith(b":"))

    def _is_inside_event(self) -> bool:
        return bool(self._event or self._data or self._id is not None)

    def feed(self, data: bytes) -> List[StreamPart]:
        """The events that ``data`` completes, in order."""
        place = 0
        while place < len(data) and not self.overflow:
            place = self._take_plain_events(data, place)
            end = self._end_of_event(data, place)
            self._read(data[place:end])
            place = end
        parts, self._parts = self._parts, []
        return parts

    def _take_plain_events(self, data: bytes, place: int) -> int:
        """Read as many events as are whole and plain; the place behind them."""
        if self._line_end is None or self._tail or self._after_cr or self._is_inside_event():
            return place
        plain = _PLAIN_EVENTS[self._line_end]
        while True:
            found = plain.match(data, place)
            if found is None or found.end() - place > self.max_event_bytes:
                return place
            event, text, id_ = found.groups()
            if b"\r" in text:
                return place
            if id_ is not None:
                self.last_id = id_.decode("utf-8", "replace")
            name = _name(event)
            # Without the constructor of its class, in half the time.
            part = tuple.__new__(StreamPart, (name, self._json(name, text), self.last_id or None))
            self._parts.append(part)
            place = found.end()

    def _end_of_event(self, data: bytes, place: int) -> int:
        """The place behind the next blank line, as far as can be seen here; first of all behind the first line."""
        end = b"\n" if self._line_end is None else 2 * self._line_end
        found = data.find(end, place)
        return len(data) if found < 0 else found + len(end)

    def _read(self, data: bytes) -> None:
        """Read whatever this is, line by line."""
        first, *others = self._lf_only(data).split(b"\n")
        if not others:
            self._keep(first)
            return
        if self._tail:
            first = b"".join([*self._tail, first])
        self._tail, self._tail_size = [], 0
        last = others.pop()
        self._read_lines([first, *others])
        self._keep(last)

    def _lf_only(self, data: bytes) -> bytes:
        if self._start is not None:
            data = self._without_bom(data)
        if self._line_end is None and b"\n" in data:
            self._line_end = b"\r\n" if self._after_cr or b"\r\n" in data else b"\n"
        if self._after_cr and data:
            data = data[1:] if data.startswith(b"\n") else data
            self._after_cr = False
        if b"\r" in data:
            # A CR ends its line at once; if the next read begins with its LF, that is dropped then.
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _without_bom(self, data: bytes) -> bytes:
        data = (self._start or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data[len(_BOM) :] if data.startswith(_BOM) else data

    def _keep(self, tail: bytes) -> None:
        if tail and not self.overflow:
            self._tail.append(tail)
            self._tail_size += len(tail)
            if self._size + self._tail_size > self.max_event_bytes:
                self._give_up()

    def _read_lines(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            if not line:
                self._end_event()
            elif self._size + len(line) > self.max_event_bytes:
                self._give_up()
                return
            elif line.startswith(b"data:") or line == b"data":
                self._data.append(line)
                self._size += len(line)
            elif line.startswith(b"event:") or line == b"event":
                self._event = line
            elif line.startswith(b":"):
                self.heartbeats += 1
            elif line.startswith(b"id:") or line == b"id":
                self._id = self._id if b"\0" in line else line
            elif line.startswith(b"retry:"):
                self._read_retry(line)

    def _read_retry(self, line: bytes) -> None:
        digits = _value(line)
        if digits.isdigit() and len(digits) <= _MAX_RETRY_DIGITS:
            self.retry = int(digits)

    def _end_event(self) -> None:
        if self._id is not None:
            self.last_id = _value(self._id).decode("utf-8", "replace")
        if not self._data and self._event and _value(self._event) == b"end":
            self._data.append(b"data:null")
        if len(self._data) == 1:
            name = _name(_value(self._event))
            self._parts.append(StreamPart(name, self._json(name, _value(self._data[0])), self.last_id or None))
        elif self._data:
            self._parts.append(StreamPart(*_joined(self._event, self._data), self.last_id or None))
        self._event, self._data, self._id, self._size = b"", [], None, 0

    def _json(self, name: str, text: bytes) -> Any:
        if not text:
            return None
        try:
            return self._tuples.decode(text) if name.startswith("messages") else decode(text)
        except (ValueError, RecursionError):
            # What is not UTF-8 has its replacement characters, and may be JSON all the same.
            return _json(text.decode("utf-8", "replace"))

    def _give_up(self) -> None:
        self.overflow = True
        self._event, self._data, self._id, self._tail = b"", [], None, []


@functools.lru_cache(maxsize=256)
def _name(value: bytes) -> str:
    return value.decode("utf-8", "replace") or "message"


def _joined(event: bytes, data: List[bytes]) -> Tuple[str, Any]:
    """The name and the data of an event of several lines of data."""
    head = event + b"\n" if event else b""
    groups = (data[start : start + _LINES_AT_ONCE] for start in range(0, len(data), _LINES_AT_ONCE))
    events = parse_fields([head + b"\n".join(group) + b"\n\n" for group in groups])
    return events[0].event, _json("\n".join(each.data for each in events))


def parse_fields(frames: List[bytes]) -> List[Any]:
    """The events of whole frames, each with ``event`` and ``data``: the one call of sseclient-py.

    A frame has at least one data line, ends with an empty line, and has no line ends but LF; so it gives one event.
    """
    try:
        return list(SSEClient(iter(frames)).events())
    except UnicodeDecodeError:
        return list(SSEClient(frame.decode("utf-8", "replace").encode() for frame in frames).events())


def _json(text: str) -> Any:
    if not text:
        return None
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return Undecoded(text)


def _value(line: bytes) -> bytes:
    start = line.find(b":") + 1
    if not start:
        return b""
    return line[start + 1 :] if line.startswith(b" ", start) else line[start:]
