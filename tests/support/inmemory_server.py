"""A model of the run streams of Python's in-memory server, its clock in the hands of the test. No wire, no time.

What it has of the real one: ids are milliseconds, so that parts of one millisecond have the same; a join begins to
listen to what is live, later looks up what is stored after a position, and gives the one after the other, the first of
what is live being in both; parts that are not kept are live only.
"""

from __future__ import annotations

import json
from collections import deque
from email.utils import formatdate
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Union

from scripted import ScriptedTransport

from lgsync.errors import ConnectionLost, LgsyncError
from lgsync.parts import StreamPart
from lgsync.transport import PartSource, RunJoin, RunStart
from lgsync.transports._hiding import Secrets
from lgsync.transports.sse import JoinedSource, SSESource

__all__ = ["EPOCH", "NothingYet", "Published", "Server", "Wire"]

#: When the model's clock begins, in milliseconds.
EPOCH = 1_795_357_704_321.0

URL = "http://server"
# More of one server are a loop without end.
_MOST_JOINS = 5000


class NothingYet(BaseException):
    """A reader would block here: the server has nothing to say, and the connection stands."""


class Published(NamedTuple):
    part: StreamPart
    kept: bool


class Server(ScriptedTransport):
    """One run on one server, and a transport to it.

    ``pass_time(milliseconds)`` is called wherever time passes, and may publish; ``refusals`` are what the next joins
    come to; ``when_idle`` is called by a reader that would block, and may make that unnecessary.
    """

    name = "sse"

    def __init__(self, ids: Optional[Callable[[float], str]] = None) -> None:
        super().__init__(
            answers={
                "GET /threads/t/runs/r": lambda: (200, {"run_id": "r", "status": self.status}),
                "GET /threads/t/state": lambda: (200, self.state),
                "POST /threads/t/history": (200, []),
                "POST /threads/t/runs/r/cancel": (200, {}),
            }
        )
        self.now = EPOCH
        self.tape: List[Published] = []
        self.stored: List[Published] = []
        self.wires: List[Wire] = []
        self.refusals: Deque[LgsyncError] = deque()
        self.status = "running"
        self.state: Dict[str, Any] = {"values": {}, "next": [], "tasks": []}
        self.pass_time: Callable[[float], None] = self._pass
        #: How many milliseconds a join takes until it listens, and then until it has looked up what is stored.
        self.delays: Callable[[], Any] = lambda: (0.0, 0.0)
        self.when_idle: Callable[[], None] = lambda: None
        #: How far the Date header is behind, in milliseconds.
        self.late = 0.0
        self._id = ids or (lambda now: f"{int(now)}-0")

    def _pass(self, milliseconds: float) -> None:
        self.now += milliseconds

    def publish(self, data: Any, event: str = "custom", *, kept: bool = True) -> StreamPart:
        """The run says something, now."""
        one = Published(StreamPart(event, data, self._id(self.now)), kept)
        self.tape.append(one)
        if kept:
            self.stored.append(one)
        for wire in self.wires:
            wire.hear(one)
        return one.part

    def finish(self, status: str = "success") -> None:
        """The run ends, and with it every connection."""
        self.status = status
        for wire in self.wires:
            wire.end(None)

    def restart(self, arrived: int) -> None:
        """What was stored is gone, and every connection broken, after so many more frames."""
        self.stored.clear()
        for wire in self.wires:
            wire.cut(arrived, ConnectionLost("reset by peer", url=URL))

    # -- as a transport ------------------------------------------------------------------------------------------------

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        source: PartSource
        if isinstance(start, RunJoin):
            source = JoinedSource(self.connect(start), 2**26, start, self.connect)  # type: ignore[arg-type]
        else:
            self.started.append(start)
            source = SSESource(self._connected(None), 2**26)  # type: ignore[arg-type]
        source.thread_id, source.run_id = "t", "r"
        return source

    def connect(self, join: RunJoin) -> Wire:
        """One connection of a join; raises the next of the refusals."""
        self.started.append(join)
        assert len(self.started) < _MOST_JOINS, "joined again and again, without end"
        if self.refusals:
            raise self.refusals.popleft()
        return self._connected(join.position)

    def _connected(self, position: Optional[str]) -> Wire:
        date = formatdate((self.now - self.late) / 1000, usegmt=True)
        until_listening, until_looked_up = self.delays()
        self.pass_time(until_listening)
        wire = Wire(self, date)
        self.wires.append(wire)
        self.pass_time(until_looked_up)
        wire.replay([] if position is None else [one for one in self.stored if str(one.part.id) > position])
        if self.status != "running":
            wire.end(None)
        return wire

    def close(self) -> None:
        for wire in self.wires:
            wire.close()


class Wire:
    """One connection to the model: a stream of bytes, as a transport reads them."""

    status = 200
    url = URL

    def __init__(self, server: Server, date: str) -> None:
        self.headers = {"content-type": "text/event-stream", "date": date}
        self.secrets = Secrets({})
        self.last_activity = server.now / 1000
        self.closed = False
        #: How many parts a read brings at most.
        self.most = 1
        self._server = server
        self._frames: Deque[bytes] = deque()
        self._ended = False
        self._ending: Optional[LgsyncError] = None

    def hear(self, one: Published) -> None:
        if not (self._ended or self.closed):
            self._frames.append(_frame(one.part))

    def replay(self, stored: List[Published]) -> None:
        """What is stored comes before all that was heard meanwhile."""
        self._frames.extendleft([_frame(one.part) for one in reversed(stored)])

    def beat(self) -> None:
        self.hear_raw(b": heartbeat\r\n\r\n")

    def hear_raw(self, frame: bytes) -> None:
        if not (self._ended or self.closed):
            self._frames.append(frame)

    def end(self, ending: Optional[LgsyncError]) -> None:
        """All that was sent still arrives, and then this, or a clean end."""
        if not self._ended:
            self._ended, self._ending = True, ending

    def cut(self, arrived: int, ending: Optional[LgsyncError]) -> None:
        """Only so many of the frames that are on their way still arrive."""
        while len(self._frames) > arrived:
            self._frames.pop()
        self._ended, self._ending = True, ending

    def read(self, patience: Optional[float] = None) -> bytes:
        if not (self._frames or self._ended or self.closed):
            self._server.when_idle()
        if self.closed:
            return b""
        if self._frames:
            self.last_activity = self._server.now / 1000
            return b"".join(self._frames.popleft() for _ in range(min(self.most, len(self._frames))))
        if not self._ended:
            raise NothingYet
        if self._ending is not None:
            raise self._ending
        return b""

    def close(self) -> None:
        self.closed = True
        if self in self._server.wires:
            self._server.wires.remove(self)


def _frame(part: StreamPart) -> bytes:
    return f"event: {part.event}\r\ndata: {json.dumps(part.data)}\r\nid: {part.id}\r\n\r\n".encode()
