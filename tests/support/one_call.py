"""One call of a client: the request that it sends, and what it makes of an answer."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, NamedTuple, Optional

from scripted import ScriptedTransport, answered

from lgsync.client import Client
from lgsync.transport import Response


class Sent(NamedTuple):
    """A request. ``query`` and ``body`` are None where there is none."""

    method: str
    path: str
    query: Optional[Mapping[str, Any]]
    body: Any


class Answering(ScriptedTransport):
    """Answers every call alike, or by a function of the request, whose result may be a whole Response."""

    def __init__(self, answer: Any, status: int, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.sent: List[Sent] = []
        self._answer, self._status, self._headers = answer, status, headers

    def request(self, method: str, path: str, **call: Any) -> Response:
        self.sent.append(Sent(method, path, call["params"], call["json"]))
        answer = self._answer(self.sent[-1]) if callable(self._answer) else self._answer
        return answer if isinstance(answer, Response) else answered(path, self._status, answer, **self._headers)


def answering(answer: Any, status: int = 200, **headers: str) -> Client:
    """A client whose calls are all answered so; a function is asked for the answer to each request."""
    return Client(transport=Answering(answer, status, headers))


def requests_of(client: Client) -> List[Sent]:
    """What an ``answering`` client has sent."""
    assert isinstance(client.transport, Answering)
    return client.transport.sent


def sent(call: Callable[[Client], Any], answer: Any = None, status: int = 200) -> Sent:
    """The one request that ``call`` sends, which is answered so."""
    client = answering(answer, status)
    call(client)
    (request,) = requests_of(client)
    return request
