"""A loopback server that answers whatever its test says to each request, and keeps all of them.

::

    with EchoServer(lambda request: {"hello": request.path}) as server:
        requests.get(server.url + "/x")
    assert server.requests[0].target == "/x"
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple
from urllib.parse import parse_qsl

from rawserver import Connection, RawServer, Request

__all__ = ["Answer", "EchoServer", "Sent", "Stream", "sent"]

#: The headers by which requests may mean different things.
TELLING = (
    "accept",
    "authorization",
    "cache-control",
    "content-type",
    "last-event-id",
    "prefer",
    "x-api-key",
    "x-client",
    "x-call",
)


class Stream(NamedTuple):
    """Server-sent events, each a name, its data and an id, and the headers that go before them."""

    events: Sequence[Tuple[str, Any, str]]
    headers: Dict[str, str]


class Answer(NamedTuple):
    """An answer that is more than its JSON."""

    body: Any = None
    status: int = 200
    headers: Dict[str, str] = {}


class EchoServer(RawServer):
    """``answer`` makes a Stream, an Answer or any JSON of a request; None is an empty 204."""

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        super().__init__(self._script)
        self._answer = answer

    def _script(self, connection: Connection) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                _respond(connection, self._answer(connection.read_request()))


class Sent(NamedTuple):
    """What a request says, however it is written."""

    method: str
    path: str
    query: List[Tuple[str, str]]
    headers: Dict[str, str]
    body: Any


def sent(request: Request) -> Sent:
    """What ``request`` says: its path as it was sent, its query decoded, in order of names."""
    path, _, query = request.target.partition("?")
    return Sent(
        request.method,
        path,
        sorted(parse_qsl(query, keep_blank_values=True)),
        {name: value for name, value in request.headers.items() if name in TELLING},
        json.loads(request.body) if request.body else None,
    )


def _respond(connection: Connection, answer: Any) -> None:
    if isinstance(answer, Stream):
        connection.start_stream(answer.headers)
        for event, data, position in answer.events:
            connection.chunk(f"event: {event}\r\ndata: {json.dumps(data)}\r\nid: {position}\r\n\r\n".encode())
        connection.end()
        return
    if not isinstance(answer, Answer):
        answer = Answer(status=204) if answer is None else Answer(answer)
    connection.respond(answer.status, b"" if answer.body is None else answer.body, answer.headers)
