"""Tapes as they go over the wire: one chunk of an HTTP body, or one frame of a WebSocket, for each event."""

from __future__ import annotations

import functools
import sys
from typing import Collection, List, Optional, Tuple

from .tapes import FIRST_ID, Event, protocol_events, run_events

__all__ = ["Frames", "run_frames", "text_frame", "thread_frames"]

#: As much as is sent in one call.
_BLOCK = 1 << 20
#: What a large snapshot is cut into.
_PIECE = 8192


class Frames:
    """Events as they go over the wire, the n-th of them numbered n, in blocks that are sent in one call.

    Only the first and the last frames name their run; only those are kept for joins.
    """

    _KEPT = 4

    def __init__(self, frames: List[bytes]) -> None:
        self.each = frames
        self.opening, self._last = frames[:1], frames[-self._KEPT :]
        self._count = len(frames)

    @functools.cached_property
    def blocks(self) -> List[bytes]:
        middle = b"".join(self.each[1:-1])
        return [middle[start : start + _BLOCK] for start in range(0, len(middle), _BLOCK)]

    def after(self, number: int) -> List[bytes]:
        behind = self._count - number - 1
        assert behind <= self._KEPT, "joins are made at the end"
        return self._last[len(self._last) - behind :]


@functools.lru_cache(maxsize=4)
def run_frames(tape: str, chunks: int, modes: Tuple[str, ...], numbered: bool) -> Frames:
    names = {"metadata", *("messages" if mode == "messages-tuple" else mode for mode in modes)}
    events = [event for event in run_events(tape, chunks) if event.name in names]
    ids = [f"{FIRST_ID + number}-0" if numbered else None for number in range(len(events))]
    piece = _PIECE if tape == "state" else sys.maxsize
    return Frames([_chunked(_sse_frame(event, id_), piece) for event, id_ in zip(events, ids)])


@functools.lru_cache(maxsize=4)
def thread_frames(tape: str, chunks: int, channels: Collection[str], websocket: bool) -> Frames:
    events = [event for event in protocol_events(tape, chunks) if event.name in channels]
    if websocket:
        return Frames([text_frame(event.data) for event in events])
    return Frames([_chunked(_sse_frame(event, str(number))) for number, event in enumerate(events, 1)])


def _sse_frame(event: Event, id_: Optional[str]) -> bytes:
    numbered = b"" if id_ is None else b"id: %s\r\n" % id_.encode()
    return b"event: %s\r\ndata: %s\r\n%s\r\n" % (event.name.encode(), event.data, numbered)


def _chunked(data: bytes, piece: int = sys.maxsize) -> bytes:
    """The chunk of an HTTP body that holds this; several if it is larger than ``piece``."""
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def text_frame(data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        return bytes([0x81, size]) + data
    if size < 65536:
        return bytes([0x81, 126]) + size.to_bytes(2, "big") + data
    return bytes([0x81, 127]) + size.to_bytes(8, "big") + data
