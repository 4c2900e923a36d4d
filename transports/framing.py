"""Server-sent events, sans I/O: bytes in, :class:`~lgsync.parts.StreamPart` out.

Follows the WHATWG rules for event streams, with what run streams add to them: data is JSON, and an ``end`` event needs
none. The framer cuts the stream into whole events and owns all that needs memory between them (line ends, ids,
heartbeats, size); sseclient-py then parses the fields of each whole event.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Sequence, Tuple

from sseclient import SSEClient

from ..codec import decode
from ..parts import StreamPart, Undecoded

__all__ = ["DEFAULT_MAX_EVENT_BYTES", "Framer"]

DEFAULT_MAX_EVENT_BYTES = 64 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"

# sseclient-py appends line to line, which is quadratic: an event of more lines than this is parsed in groups.
_LINES_AT_ONCE = 256

# No server means to wait longer than fits in as many digits; longer numbers are no milliseconds.
_MAX_RETRY_DIGITS = 15


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
        self._after_cr = False
        self._tail: List[bytes] = []
        self._tail_size = 0
        # The event being read: its lines, and their size.
        self._event = b""
        self._data: List[bytes] = []
        self._id: Optional[bytes] = None
        self._size = 0
        # Whole events not parsed yet, and for each its id and the number of groups it was cut into.
        self._frames: List[bytes] = []
        self._whole: List[Tuple[Optional[str], int]] = []

    @property
    def truncated(self) -> bool:
        """Whether the stream, if it ends here, ends inside an event (which then is not given)."""
        tail = self._start or b"".join(self._tail[:1])
        return bool(self._event or self._data or self._id is not None or (tail and not tail.startswith(b":")))

    def feed(self, data: bytes) -> List[StreamPart]:
        """The events that ``data`` completes, in order."""
        if self.overflow:
            return []
        first, *others = self._lf_only(data).split(b"\n")
        if not others:
            self._keep(first)
            return []
        if self._tail:
            first = b"".join([*self._tail, first])
        self._tail, self._tail_size = [], 0
        last = others.pop()
        self._read_lines([first, *others])
        self._keep(last)
        return self._parse()

    def _lf_only(self, data: bytes) -> bytes:
        if self._start is not None:
            data = self._without_bom(data)
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
        if self._data:
            self._frame()
        self._event, self._data, self._id, self._size = b"", [], None, 0

    def _frame(self) -> None:
        head = self._event + b"\n" if self._event else b""
        groups = range(0, len(self._data), _LINES_AT_ONCE)
        for start in groups:
            self._frames.append(head + b"\n".join(self._data[start : start + _LINES_AT_ONCE]) + b"\n\n")
        self._whole.append((self.last_id or None, len(groups)))

    def _give_up(self) -> None:
        self.overflow = True
        self._event, self._data, self._id, self._tail = b"", [], None, []

    def _parse(self) -> List[StreamPart]:
        if not self._frames:
            return []
        events = iter(parse_fields(self._frames))
        parts = [_part(events, event_id, groups) for event_id, groups in self._whole]
        self._frames, self._whole = [], []
        return parts


def parse_fields(frames: List[bytes]) -> List[Any]:
    """The events of whole frames, each with ``event`` and ``data``: the one call of sseclient-py.

    A frame has at least one data line, ends with an empty line, and has no line ends but LF; so it gives one event.
    """
    try:
        return list(SSEClient(iter(frames)).events())
    except UnicodeDecodeError:
        return list(SSEClient(frame.decode("utf-8", "replace").encode() for frame in frames).events())


def _part(events: Iterator[Any], event_id: Optional[str], groups: int) -> StreamPart:
    event = next(events)
    text = event.data
    if groups > 1:
        text = "\n".join([text, *(next(events).data for _ in range(groups - 1))])
    return StreamPart(event.event, _json(text), event_id)


def _json(text: str) -> Any:
    if not text:
        return None
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return Undecoded(text)


def _value(line: bytes) -> bytes:
    value = line.partition(b":")[2]
    return value[1:] if value.startswith(b" ") else value
