"""Chunked bodies (RFC 9112, section 7.1), with many chunks in one read.

http.client gives one chunk a read, and servers send each event in a chunk of its own: asking for each would cost more
than decoding it does. So all that has come is taken from the connection in one piece, and its chunks are told apart
here. This is run for every event; a microsecond is its budget (``python -m benchmarks --only layers``).
"""

from __future__ import annotations

import http.client
import re
from typing import Any, List, Optional

from urllib3.response import HTTPResponse

__all__ = ["ChunkedBody", "Chunks"]

# As http.client has it.
_MAX_LINE = 65536

_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?\r?\n")

# From the end of a chunk's content to the beginning of the next one's, as nearly all servers write it.
_BETWEEN = re.compile(rb"\r\n([0-9a-fA-F]{1,15})\r\n")

_EMPTY_LINES = (b"\r\n", b"\n")


class Chunks:
    """Tells chunks apart, sans I/O. Once ``ended`` is set, nothing more belongs to the body."""

    def __init__(self) -> None:
        self.ended = False
        #: Whether the last chunk was read; what may follow it tells nothing of the content.
        self.complete = False
        #: Whether something came behind the end.
        self.surplus = False
        #: What breaks the rules of chunks behind all that was given; nothing more is read then.
        self.failure: Optional[http.client.HTTPException] = None
        # How much of a chunk's content is to come; at 0 the line that ends it; None between chunks.
        self._left: Optional[int] = None
        self._line = b""

    def feed(self, data: bytes) -> bytes:
        """The content that ``data`` brings."""
        if self._line:
            data, self._line = self._line + data, b""
        pieces: List[bytes] = []
        place = 0
        while place < len(data) and not (self.ended or self.failure):
            place = self._take_content(data, place, pieces) if self._left else self._take_line(data, place)
        self.surplus = self.surplus or place < len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_content(self, data: bytes, place: int, pieces: List[bytes]) -> int:
        """Take the contents of chunks as far as nothing unusual stands between them; the place behind them."""
        left = self._left
        while left:
            end = place + left
            pieces.append(data[place:end])
            between = _BETWEEN.match(data, end)
            if between is None:
                self._left = max(0, end - len(data))
                return min(end, len(data))
            left, place = int(between[1], 16), between.end()
        self._left, self.complete = None, True
        return place

    def _take_line(self, data: bytes, place: int) -> int:
        end = data.find(b"\n", place) + 1 or len(data)
        line = data[place:end]
        if len(line) > _MAX_LINE:
            self.failure = http.client.LineTooLong("chunk size")
        elif not line.endswith(b"\n"):
            self._line = line
        elif self.complete:
            self.ended = line in _EMPTY_LINES
        elif self._left == 0 and line == b"\r\n":
            self._left = None
        else:
            self._begin(line)
        return end

    def _begin(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line) if self._left is None else None
        if size is None:
            self.failure = http.client.IncompleteRead(b"")
        else:
            self._left = int(size[1], 16) or None
            self.complete = self._left is None


class ChunkedBody:
    """Reads such a body straight from the connection of an answer of which nothing was read yet."""

    def __init__(self, raw: HTTPResponse, answer: http.client.HTTPResponse) -> None:
        self._raw = raw
        self._answer = answer
        self._chunks = Chunks()
        #: Whether the last read took all that had arrived, so that nothing waits in a buffer.
        self.drained = False

    @classmethod
    def of(cls, raw: Any) -> Optional[ChunkedBody]:
        """The body of an answer of urllib3's; None if it comes otherwise, or is encoded, or is no real answer."""
        answer = getattr(raw, "_original_response", None)
        if not isinstance(raw, HTTPResponse) or raw.headers.get("content-encoding"):
            return None
        if not isinstance(answer, http.client.HTTPResponse) or answer.chunked is not True:
            return None
        return None if answer.fp is None or answer.chunk_left is not None else cls(raw, answer)

    def read(self, size: int) -> bytes:
        """What has arrived, up to ``size`` bytes, as soon as there is anything; ``b""`` at the end.

        Raises what http.client and the connection raise.
        """
        chunks, content = self._chunks, b""
        while not (content or chunks.ended):
            if chunks.failure is not None:
                raise chunks.failure
            # Gone once the answer was closed.
            connection: Any = self._answer.fp
            data = connection.read1(size) if connection is not None else b""
            content = chunks.feed(data)
            self.drained = len(data) < size and chunks.failure is None
            if not data:
                if not chunks.complete:
                    raise http.client.IncompleteRead(b"")
                chunks.ended = chunks.surplus = True
            if chunks.ended:
                self._give_back()
        return content

    def _give_back(self) -> None:
        """Let another call have the connection; but close it if nobody can say what comes next there."""
        if self._chunks.surplus:
            self._raw.close()
        self._answer.close()
        self._raw.release_conn()
