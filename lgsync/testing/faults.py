"""The faults that a :class:`~lgsync.testing.FaultProxy` can be told to make, and where in a response they strike."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from http import HTTPStatus
from typing import Mapping, Optional, Union

from ..errors import ConfigurationError

__all__ = [
    "Corrupt",
    "Cut",
    "Delay",
    "Fault",
    "HalfOpen",
    "Pass",
    "PlacedFault",
    "Refuse",
    "Stall",
    "Status",
    "Throttle",
    "check_how",
]

_ENDS = ("fin", "eof", "rst")


@dataclass(frozen=True, repr=False)
class Fault:
    """What happens to one request and its response."""

    def __repr__(self) -> str:
        given = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value, unset in given if value != unset)})"
        )


@dataclass(frozen=True, repr=False)
class PlacedFault(Fault):
    """A fault with a place in the response; name at most one of the three.

    ``after_events``: right after that many events. On HTTP an event is a block that carries ``data`` and ends with a
    blank line, so comments do not count; on a WebSocket it is a message, so pings do not.
    ``after_bytes``: after that many bytes of the body (its chunked framing does not count), or of what a WebSocket
    sends after its handshake (frame headers do count).
    ``after_text``: right after these bytes of the content have gone by for the first time.
    ``offset`` moves the place on by that many bytes.

    Place 0 is right behind the head. Without a place the fault strikes when the server has begun to answer, and
    before anything of it is passed on, the head included.
    """

    after_events: Optional[int] = None
    after_bytes: Optional[int] = None
    after_text: Optional[bytes] = None
    offset: int = 0

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.after_events, self.after_bytes, self.after_text)) > 1:
            raise ConfigurationError(
                f"{self!r} has more than one place; keep one of after_events, after_bytes, after_text"
            )
        if min(self.after_events or 0, self.after_bytes or 0, self.offset) < 0:
            raise ConfigurationError(f"{self!r}: a place is counted from 0")
        if self.after_text == b"":
            raise ConfigurationError(f"{self!r}: an empty text is nowhere; use after_bytes=0")
        if self.offset and not self.placed:
            raise ConfigurationError(f"{self!r}: offset needs a place to start from")

    @property
    def placed(self) -> bool:
        """Whether it strikes behind the head."""
        return not (self.after_events is None and self.after_bytes is None and self.after_text is None)


@dataclass(frozen=True, repr=False)
class _Lasting:
    seconds: Optional[float] = None


@dataclass(frozen=True, repr=False)
class Pass(Fault):
    """No fault: ``proxy.script(Pass(), Cut(after_events=2))`` breaks the second stream."""


@dataclass(frozen=True, repr=False)
class Cut(PlacedFault):
    """The connection breaks: ``Cut(after_events=3)``, ``Cut(after_bytes=200, how="rst")``.

    ``how="fin"`` closes the socket, whatever is missing: a chunked body lacks its end, a WebSocket its close frame.
    ``how="eof"`` ends the response as if it were complete: with the last chunk, or with a close frame that carries
    ``code`` (a WebSocket's place then moves on to the end of its frame); a body with a Content-Length stays short.
    ``how="rst"`` resets the connection. The server's side of the connection is closed as well.

    A place by events, and any clean end, falls behind a whole chunk, so that the client can read all that came before.
    Other places may fall inside a chunk or a frame.
    """

    how: str = "fin"
    code: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_how(self.how)


@dataclass(frozen=True, repr=False)
class Stall(PlacedFault, _Lasting):
    """Nothing more comes, heartbeats included, but the connection stays open: ``Stall(after_events=2)``.

    After ``seconds`` (None: never) all that was withheld goes on. What the client sends still reaches the server, and
    a client that leaves is noticed.
    """


@dataclass(frozen=True, repr=False)
class HalfOpen(PlacedFault, _Lasting):
    """As if the network were unplugged: ``HalfOpen(after_events=2)``.

    A :class:`Stall` during which nothing of the client is read either, not even that it leaves.
    """


@dataclass(frozen=True, repr=False)
class Delay(Fault):
    """The first byte of the response comes ``seconds`` late: ``Delay(0.5)``."""

    seconds: float


@dataclass(frozen=True, repr=False)
class Throttle(Fault):
    """The response comes at most this fast: ``Throttle(bytes_per_second=2000)``."""

    bytes_per_second: int

    def __post_init__(self) -> None:
        if self.bytes_per_second < 1:
            raise ConfigurationError(f"{self!r}: at least one byte per second; use Stall for none")


@dataclass(frozen=True, repr=False)
class Refuse(PlacedFault, _Lasting):
    """The server is down for ``seconds`` (None: until ``accept_again()``): ``Refuse(2, after_events=3)``.

    The connection is reset, and new ones are refused; those that are open live on. Without a place the request never
    reaches the server, so ``Refuse(0)`` just loses one request.
    """


@dataclass(frozen=True, repr=False)
class Status(Fault):
    """The proxy answers instead of the server, which never sees the request: ``Status(503, {"Retry-After": "1"})``.

    ``body`` defaults to an HTML page, as gateways send it; so ``Status(200)`` is a page where data was expected.
    """

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Union[str, bytes, None] = None

    def response(self) -> bytes:
        """Head and body, as they are sent."""
        reason = HTTPStatus(self.code).phrase if self.code in set(HTTPStatus) else "Status"
        body = f"<html><body><h1>{self.code} {reason}</h1></body></html>" if self.body is None else self.body
        content = body.encode() if isinstance(body, str) else body
        given = {name.lower() for name in self.headers}
        defaults = {"Content-Type": "text/html", "Content-Length": str(len(content)), "Connection": "close"}
        lines = {**{name: value for name, value in defaults.items() if name.lower() not in given}, **self.headers}
        sent = [f"HTTP/1.1 {self.code} {reason}", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
        return "\r\n".join(sent).encode("latin-1") + content


@dataclass(frozen=True, repr=False)
class Corrupt(PlacedFault):
    """The byte behind the place is changed: ``Corrupt(after_bytes=100)``, ``Corrupt(after_text=b'"content":')``.

    It is combined with ``xor`` by exclusive or; the default makes ASCII invalid UTF-8.
    """

    xor: int = 0xFF

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.xor < 256:
            raise ConfigurationError(f"{self!r}: xor must change one byte, so it lies from 1 to 255")
        if not self.placed:
            raise ConfigurationError(f"{self!r} has no place; use after_bytes=0 for the first byte of the body")


def check_how(how: str) -> None:
    """Raise ConfigurationError unless ``how`` names a way to end a connection."""
    if how not in _ENDS:
        raise ConfigurationError(f"how={how!r} is no way to end a connection; use one of {', '.join(_ENDS)}")
