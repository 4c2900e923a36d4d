"""A fault applied to a response, without I/O: bytes go in; what to send, and when to do what, comes out."""

from __future__ import annotations

from typing import Iterator, Optional, Union

from .faults import Corrupt, Cut, Fault, PlacedFault, Throttle
from .wire import Body, Chunked, Frames, Piece

__all__ = ["Shaper", "Step"]

#: Bytes to send, a fault whose place is reached, or seconds to wait.
Step = Union[bytes, Fault, float]

#: A throttled response comes in this many slices per second.
_SLICES = 20


class Shaper:
    """Applies one fault to one body."""

    def __init__(self, fault: Fault, body: Body) -> None:
        self.body = body
        self._fault = fault
        self._place = _Place(fault, body) if isinstance(fault, PlacedFault) and fault.placed else None
        clean = isinstance(fault, Cut) and fault.how == "eof"
        # A reader gives out a chunk when it is complete, and a clean end can only follow a complete one.
        self._rechunked = isinstance(body, Chunked) and self._place is not None and (clean or self._place.by_events)
        self._at_frame_end = isinstance(body, Frames) and clean
        self._due = False
        self._torn = False

    def start(self) -> Iterator[Step]:
        """The head has been sent."""
        return self._shaped(Piece(b"", False, False))

    def feed(self, data: bytes) -> Iterator[Step]:
        """Bytes of the body have come."""
        if isinstance(self._fault, PlacedFault) and self._fault.placed:
            for piece in self.body.feed(data):
                yield from self._shaped(piece)
        else:
            yield from self._paced(b"".join(piece.raw for piece in self.body.feed(data)))

    def clean_end(self, code: int) -> bytes:
        """What ends the body now as if it were complete; nothing if it is in the middle of a chunk or frame."""
        if self._rechunked:
            return self.body.clean_end(code)
        return b"" if self._torn or not self.body.whole else self.body.clean_end(code)

    def _shaped(self, piece: Piece) -> Iterator[Step]:
        at = self._strikes_at(piece)
        if at is None:
            yield self._framed(piece)
            return
        self._place = None
        if isinstance(self._fault, Corrupt):
            yield self._framed(piece._replace(raw=_changed(piece.raw, at - 1, self._fault.xor)))
            yield self._fault
            return
        before, after = piece._replace(raw=piece.raw[:at]), piece._replace(raw=piece.raw[at:])
        self._torn = bool(after.raw)
        yield self._framed(before)
        yield self._fault
        if after.raw:
            yield self._framed(after)
        self._torn = False

    def _strikes_at(self, piece: Piece) -> Optional[int]:
        if self._place is None:
            return None
        at = len(piece.raw) if self._due else self._place.within(piece)
        if at is None or not self._at_frame_end:
            return at
        self._due = True
        return len(piece.raw) if self.body.whole else None

    def _framed(self, piece: Piece) -> bytes:
        if not self._rechunked:
            return piece.raw
        if piece.content:
            return b"%x\r\n%s\r\n" % (len(piece.raw), piece.raw) if piece.raw else b""
        return self.body.clean_end(0) if self.body.ended else b""

    def _paced(self, data: bytes) -> Iterator[Step]:
        if not isinstance(self._fault, Throttle):
            yield data
            return
        rate = self._fault.bytes_per_second
        size = max(1, rate // _SLICES)
        for start in range(0, len(data), size):
            self._torn = start + size < len(data)
            yield data[start : start + size]
            yield min(size, len(data) - start) / rate


class _Place:
    """Finds the place of a fault in the pieces that go by."""

    def __init__(self, fault: PlacedFault, body: Body) -> None:
        self.by_events = fault.after_events is not None
        self._base: Union[_Bytes, _Text, _Messages, _Blocks]
        if fault.after_text is not None:
            self._base = _Text(fault.after_text)
        elif fault.after_bytes is not None:
            self._base = _Bytes(fault.after_bytes)
        elif isinstance(body, Frames):
            self._base = _Messages(fault.after_events or 0)
        else:
            self._base = _Blocks(fault.after_events or 0)
        self._reached = False
        # A byte is changed as it goes by, so its place is behind it.
        self._offset = _Bytes(fault.offset + isinstance(fault, Corrupt))

    def within(self, piece: Piece) -> Optional[int]:
        """How many bytes of this piece come before the place; None if all do and the place is still ahead."""
        start = 0
        if not self._reached:
            found = self._base.within(piece)
            if found is None:
                return None
            self._reached, start = True, found
        further = self._offset.within(piece._replace(raw=piece.raw[start:]))
        return None if further is None else start + further


class _Bytes:
    def __init__(self, count: int) -> None:
        self._left = count

    def within(self, piece: Piece) -> Optional[int]:
        available = len(piece.raw) if piece.counted else 0
        if self._left <= available:
            return self._left
        self._left -= available
        return None


class _Text:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._seen = b""

    def within(self, piece: Piece) -> Optional[int]:
        if not piece.content:
            return None
        seen = self._seen + piece.raw
        found = seen.find(self._text)
        if found < 0:
            self._seen = seen[len(seen) - min(len(seen), len(self._text) - 1) :]
            return None
        return found + len(self._text) - len(self._seen)


class _Messages:
    """Counts the messages of a WebSocket."""

    def __init__(self, count: int) -> None:
        self._left = count

    def within(self, piece: Piece) -> Optional[int]:
        self._left -= piece.ends_message
        return len(piece.raw) if self._left == 0 else None


class _Blocks:
    """Counts the server-sent events that carry data."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._line = b""
        self._has_data = False

    def within(self, piece: Piece) -> Optional[int]:
        if self._left == 0:
            return 0
        if not piece.content:
            return None
        at = 0
        while True:
            end = piece.raw.find(b"\n", at) + 1
            # No more of a line matters than tells an empty one and a data field from others.
            self._line = (self._line + piece.raw[at : min(end or len(piece.raw), at + 6)])[:6]
            if not end:
                return None
            at = end
            if self._ends_event() and self._left == 0:
                return at

    def _ends_event(self) -> bool:
        line, self._line = self._line.rstrip(b"\r\n"), b""
        if line:
            self._has_data = self._has_data or line == b"data" or line.startswith(b"data:")
            return False
        ends, self._has_data = self._has_data, False
        self._left -= ends
        return ends


def _changed(raw: bytes, at: int, xor: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ xor]) + raw[at + 1 :]
