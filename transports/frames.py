"""What a WebSocket sends, as whole messages: most are cut out of the bytes here, the rest is websockets' to parse.

Budget: 1 µs for a frame of 250 bytes (websockets' own parser takes 5); ``python -m benchmarks --only websocket``.

Nearly every frame of a run is a message of its own, and needs no parser: its first two bytes say so, the next two say
where it ends. Whatever is not that plain (a message in pieces, or compressed, or longer than is taken; pings, closes;
all that breaks the rules) is given to websockets as it came. No I/O here.
"""

from __future__ import annotations

import struct
from typing import List, Union, cast

from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.protocol import State

__all__ = ["Event", "Intake", "Message", "Messages"]

Message = Union[bytes, bytearray]

#: Whole messages, in their order.
Messages = List[Message]

#: What is received: messages, or another thing that websockets parsed.
Event = Union[Messages, Frame, Request, Response]

# More pieces than this make no message: empty ones would add up without end.
_MAX_PIECES = 4096

_BLANK_LINE = b"\r\n\r\n"

# How a text message in one piece begins that is not compressed; and one that is not masked and has its length behind.
_TEXT = 0x81
_TEXT_AND_LENGTH = 0x817E
_TWO_NUMBERS = struct.Struct("!HH").unpack_from

# What does not fit into the second byte of a head; above are what stands for more, and the mark of a mask.
_LONGEST_IN_HEAD = 125
# By what stands in the place of a length: how many bytes the length has.
_LENGTHS = {126: 2, 127: 8}

_LAST_PIECE, _CONTROL = 0x80, 0x08


class Intake:
    """Stands between a socket and a protocol of websockets, with two of the protocol's own methods.

    The protocol is never given half of a message that could have been taken whole, nor one longer than ``longest``.
    """

    def __init__(self, protocol: ClientProtocol, longest: int) -> None:
        self._protocol = protocol
        self._parse, self._parsed = protocol.receive_data, protocol.events_received
        self._longest = longest
        self._events: List[Event] = []
        # The end of what was received, where it may be part of a blank line, or of a frame's head.
        self._rest = b""
        # How much of the frame that websockets has begun to parse is still to come.
        self._owed = 0
        # Whether a message has begun in such a frame that ends in another one; and its pieces.
        self._in_pieces = False
        self._pieces: List[Message] = []

    def receive_data(self, data: bytes) -> None:
        """Take what the socket gave."""
        if self._protocol.state is State.CONNECTING:
            data = self._behind_the_handshake(data)
        elif self._rest:
            data, self._rest = self._rest + data, b""
        if self._protocol.extensions:
            self._give(data)
            return
        at = 0
        while at < len(data):
            if self._protocol.state is not State.OPEN:
                self._give(data[at:])
                return
            if not self._owed and not self._in_pieces:
                at = self._take_messages(data, at)
            at = self._give_frame(data, at)

    def events_received(self) -> List[Event]:
        """All that was received since the last call, in order."""
        self._add_parsed()
        events, self._events = self._events, []
        return events

    def _behind_the_handshake(self, data: bytes) -> bytes:
        """What follows the answer to the handshake, which ends with a blank line."""
        seen = self._rest + data
        _, end, frames = seen.partition(_BLANK_LINE)
        self._rest = b"" if end else seen[-3:]
        self._give(data[: len(data) - len(frames)])
        if self._protocol.state is State.OPEN:
            return frames
        # The body of a refusal.
        self._give(frames)
        return b""

    def _take_messages(self, data: bytes, at: int) -> int:
        """Take all whole messages that come next; returns where they end."""
        messages: Messages = []
        longest, size = self._longest, len(data)
        while at + 4 <= size:
            head, length = _TWO_NUMBERS(data, at)
            start = at + 4
            if head != _TEXT_AND_LENGTH:
                start, length = at + 2, head & 0xFF
                if head >> 8 != _TEXT or length > _LONGEST_IN_HEAD:
                    break
            end = start + length
            if end > size or length > longest:
                break
            messages.append(data[start:end])
            at = end
        if messages:
            self._events.append(messages)
        return at

    def _give_frame(self, data: bytes, at: int) -> int:
        """Give websockets the frame that begins or goes on here, as far as it has come; returns where that ends."""
        if not self._owed:
            self._owed = _size_of_frame(data, at)
            if not self._owed:
                self._rest = data[at:]
                return len(data)
            if not data[at] & _CONTROL:
                self._in_pieces = not data[at] & _LAST_PIECE
        given = data[at : at + self._owed]
        self._owed -= len(given)
        self._give(given)
        return at + len(given)

    def _give(self, data: bytes) -> None:
        self._parse(data)
        self._add_parsed()

    def _add_parsed(self) -> None:
        for event in self._parsed():
            if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
                self._put_together(event)
            else:
                self._events.append(event)

    def _put_together(self, frame: Frame) -> None:
        """Add the message of which this frame is the last one, or a piece."""
        # Only frames that are sent may hold a view.
        self._pieces.append(cast("Message", frame.data))
        if frame.fin:
            # A long message is not copied once more.
            message = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces = []
            if self._events and isinstance(self._events[-1], list):
                self._events[-1].append(message)
            else:
                self._events.append([message])
        elif len(self._pieces) > _MAX_PIECES:
            self._protocol.fail(CloseCode.MESSAGE_TOO_BIG, f"more than {_MAX_PIECES} fragments")


def _size_of_frame(data: bytes, at: int) -> int:
    """How many bytes the frame has that begins here, its head among them; 0 if that cannot be told yet."""
    if at + 2 > len(data):
        return 0
    length, start = data[at + 1] & 0x7F, at + 2
    more = _LENGTHS.get(length, 0)
    if start + more > len(data):
        return 0
    return 2 + more + (int.from_bytes(data[start : start + more], "big") if more else length)
