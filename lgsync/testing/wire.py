"""HTTP/1.1 and WebSocket on the wire, as far as a proxy must understand them: where heads, bodies and frames end.

Nothing here does I/O, and nothing refuses: what cannot be understood is passed on as it is, up to the end of the
connection.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional

__all__ = ["Body", "Chunked", "Frames", "Head", "Piece", "Sized", "request_body", "response_body", "take_head"]

#: A head longer than this is taken for something else.
_HEAD_LIMIT = 262_144


class Head:
    """The first line and the headers of a request or a response; names in lower case."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.words: List[str] = first.split(" ", 2)
        self.headers: Dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()

    @property
    def status(self) -> int:
        """The status of a response; 0 if it has none."""
        word = self.words[1] if len(self.words) > 1 else ""
        return int(word) if word.isdigit() else 0

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def length(self) -> Optional[int]:
        value = self.headers.get("content-length", "")
        return int(value) if value.isdigit() else None

    def without(self, *names: str) -> bytes:
        """The head as it came, but for these headers."""
        lines = self.raw.split(b"\r\n")
        return b"\r\n".join(
            line for line in lines if line.partition(b":")[0].strip().lower().decode("latin-1") not in names
        )


def take_head(received: bytearray) -> Optional[Head]:
    """Cut the head off what was received; None as long as it is not complete. Raises ValueError if it is no head."""
    end = received.find(b"\r\n\r\n", 0, _HEAD_LIMIT)
    if end < 0:
        if len(received) >= _HEAD_LIMIT:
            raise ValueError("no end of the head")
        return None
    head = Head(bytes(received[: end + 4]))
    if not any(word.startswith("HTTP/") for word in head.words):
        raise ValueError("no HTTP")
    del received[: end + 4]
    return head


class Piece(NamedTuple):
    """Bytes as they came. ``counted``: places count them; ``content``: they are content rather than framing."""

    raw: bytes
    counted: bool
    content: bool
    ends_message: bool = False


class Body:
    """A body that ends with the connection: the base of those that end by themselves.

    ``ended`` and ``whole`` are as they stand after the last piece. ``whole``: no chunk or frame is open, so that
    ``clean_end`` may follow. ``rest`` is what came behind the end.
    """

    ended = False
    whole = True
    rest = b""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Cut what came into pieces; nothing is kept back."""
        yield Piece(data, True, True)

    def clean_end(self, code: int) -> bytes:  # noqa: ARG002
        """What ends this body before its time as if it were complete."""
        return b""


class Sized(Body):
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = not length

    def feed(self, data: bytes) -> Iterator[Piece]:
        mine, self.rest = data[: self._left], data[self._left :]
        self._left -= len(mine)
        self.ended = not self._left
        yield Piece(mine, True, True)


class Chunked(Body):
    """A body in chunks."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._state = "size"

    def feed(self, data: bytes) -> Iterator[Piece]:
        at = 0
        while at < len(data) and not self.ended:
            start, content = at, self._state in ("content", "broken")
            at = self._content(data, at) if content else self._framing(data, at)
            self.whole = self._state == "size" and not self._line
            yield Piece(data[start:at], content, content)
        self.rest = data[at:]

    def _content(self, data: bytes, at: int) -> int:
        if self._state == "broken":
            return len(data)
        end = min(len(data), at + self._left)
        self._left -= end - at
        if not self._left:
            self._state = "behind"
        return end

    def _framing(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        self._line += data[at : end or len(data)]
        if end:
            line, self._line = self._line.strip(), b""
            self._framed(line)
        return end or len(data)

    def _framed(self, line: bytes) -> None:
        if self._state == "size":
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError:
                self._state = "broken"
            else:
                self._state = "content" if self._left else "trailers"
        elif self._state == "behind":
            self._state = "size"
        elif not line:
            self.ended = True

    def clean_end(self, code: int) -> bytes:  # noqa: ARG002
        return b"0\r\n\r\n"


class Frames(Body):
    """What a WebSocket sends after its handshake."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._is_data = False
        self._ends_message = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        at = 0
        while at < len(data):
            start, content = at, bool(self._left)
            if content:
                at = min(len(data), at + self._left)
                self._left -= at - start
            else:
                at = self._head(data, at)
            self.whole = not self._left and not self._header
            yield Piece(data[start:at], True, content and self._is_data, self.whole and self._ends_message)

    def _head(self, data: bytes, at: int) -> int:
        """Read on in a frame's header; ``_header`` is empty again once it is complete."""
        while True:
            missing = _header_size(self._header) - len(self._header)
            if not missing:
                break
            taken = data[at : at + missing]
            self._header += taken
            at += len(taken)
            if len(taken) < missing:
                return at
        header, self._header = self._header, b""
        self._left = _payload_size(header)
        self._is_data = header[0] & 0x0F < 8
        self._ends_message = self._is_data and header[0] >= 0x80
        return at

    def clean_end(self, code: int) -> bytes:
        return b"\x88\x02" + code.to_bytes(2, "big")


def _header_size(header: bytes) -> int:
    if len(header) < 2:
        return 2
    masked, length = header[1] & 0x80, header[1] & 0x7F
    return 2 + {126: 2, 127: 8}.get(length, 0) + (4 if masked else 0)


def _payload_size(header: bytes) -> int:
    length = header[1] & 0x7F
    if length < 126:
        return length
    return int.from_bytes(header[2:4] if length == 126 else header[2:10], "big")


def request_body(head: Head) -> Body:
    """The body that follows this head of a request."""
    return Chunked() if head.chunked else Sized(head.length or 0)


def response_body(head: Head, method: str) -> Body:
    """The body that follows this head of a response to ``method``."""
    if head.status == 101:
        return Frames()
    if method == "HEAD" or head.status in (204, 304):
        return Sized(0)
    if head.chunked:
        return Chunked()
    return Body() if head.length is None else Sized(head.length)
