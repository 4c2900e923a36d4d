"""One connection of a client, and its twin to the server: requests go over, responses come back with their faults."""

from __future__ import annotations

import socket
from typing import Callable, Iterator, List, Optional, Tuple

from .faults import Cut, Delay, Fault, HalfOpen, PlacedFault, Refuse, Stall, Status
from .loop import READ, Loop, Timer
from .peer import Peer
from .script import Record, Request
from .shaping import Shaper, Step
from .wire import Body, Frames, Head, request_body, response_body, take_head

__all__ = ["Address", "Link"]

#: As much is kept for a side that does not read; then the other side is not read either.
_BUFFER = 262_144
#: Seconds that a client has to close its end, after which it is closed for it.
_LINGER = 5.0

#: As ``socket.getaddrinfo`` gives it: family and address.
Address = Tuple[int, Tuple[object, ...]]


class _Exchange:
    """A request that is being answered."""

    def __init__(self, request: Request, head: Head, fault: Fault) -> None:
        self.request = request
        self.fault = fault
        self.body = request_body(head)
        self.answered = False
        self.shaper: Optional[Shaper] = None


class Link:
    """Lives in the loop's thread; ``refuse`` closes the proxy's port for some seconds, ``forget`` drops this link."""

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop,
        record: Record,
        addresses: List[Address],
        refuse: Callable[[Optional[float]], None],
        forget: Callable[[Link], None],
    ) -> None:
        self._loop = loop
        self._record = record
        self._addresses = list(addresses)
        self._refuse = refuse
        self._forget = forget
        self._client = Peer(sock, loop, self._client_ready)
        self._server: Optional[Peer] = None
        self._asked = bytearray()
        self._answered = bytearray()
        self._exchange: Optional[_Exchange] = None
        self._tunnel = False
        self._steps: Optional[Iterator[Step]] = None
        self._timer: Optional[Timer] = None
        self._deaf = False
        self._ending: Optional[str] = None
        self._closed = False
        self._settle()

    # -- what the loop and the proxy call

    def cut(self, how: str, code: int) -> bool:
        """End the connection now, wherever it stands, with "rst" even before what is unsent; False if it had ended."""
        if self._ending is not None:
            return False
        if how == "rst":
            self._client.unsent.clear()
        self._end(how, code)
        self._settle()
        return True

    def close(self) -> None:
        """Close both sides."""
        if not self._closed:
            self._close()

    def _client_ready(self, events: int) -> None:
        data = self._client.receive() if events & READ else None
        if data == b"":
            self._close()
            return
        if data and self._ending is None:
            self._asked += data
        self._settle()

    def _server_ready(self, events: int) -> None:
        server = self._server
        if server is None:
            return
        if not server.connected:
            self._try_server(server)
        elif events & READ:
            data = server.receive()
            if data:
                self._steps = self._response(data)
            elif data is not None:
                self._server_left(server)
        self._settle()

    def _resume(self) -> None:
        self._timer = None
        self._deaf = False
        self._settle()

    # -- from the client to the server

    def _pass_requests(self) -> None:
        while self._asked and self._ending is None:
            if self._tunnel:
                self._to_server(bytes(self._asked))
                self._asked.clear()
            elif self._exchange is None:
                if not self._take_request():
                    return
            elif not self._pass_body(self._exchange):
                return

    def _take_request(self) -> bool:
        try:
            head = take_head(self._asked)
        except ValueError:
            self._tunnel = True
            return True
        if head is None:
            return False
        request = Request(head.words[0], head.words[1] if len(head.words) > 1 else "")
        fault = self._record.fault_for(request)
        self._exchange = _Exchange(request, head, fault)
        if isinstance(fault, Refuse) and not fault.placed:
            self._strike(fault)
        elif not isinstance(fault, Status):
            self._to_server(_readable(head, fault))
        self._request_may_be_complete(self._exchange)
        return True

    def _pass_body(self, exchange: _Exchange) -> bool:
        """False if what has come belongs to the next request, which has to wait."""
        if exchange.body.ended:
            return False
        raw = b"".join(piece.raw for piece in exchange.body.feed(bytes(self._asked)))
        self._asked[:] = exchange.body.rest
        if not isinstance(exchange.fault, Status):
            self._to_server(raw)
        self._request_may_be_complete(exchange)
        return True

    def _request_may_be_complete(self, exchange: _Exchange) -> None:
        if not exchange.body.ended:
            return
        if isinstance(exchange.fault, Status):
            self._record.note(exchange.fault)
            self._client.unsent += exchange.fault.response()
            self._end("fin", 0)
        elif exchange.answered:
            self._exchange = None

    def _to_server(self, data: bytes) -> None:
        if self._server is None:
            self._connect()
        assert self._server is not None
        self._server.unsent += data

    # -- the connection to the server

    def _connect(self) -> None:
        family, address = self._addresses.pop(0)
        sock = socket.socket(family, socket.SOCK_STREAM)
        peer = Peer(sock, self._loop, self._server_ready, connected=False)
        if self._server is not None:
            peer.unsent = self._server.unsent
        self._server = peer
        sock.connect_ex(address)  # how it went shows when it can be written to

    def _try_server(self, server: Peer) -> None:
        """Go on with the connection; if there is none, try the next address, and after the last reset the client."""
        if server.finish_connecting():
            return
        server.close()
        if self._addresses:
            self._connect()
        else:
            self._server = None
            self._end("rst", 0)

    def _server_left(self, server: Peer) -> None:
        self._client.unsent += self._answered
        self._end("rst" if server.was_reset else "fin", 0)

    # -- from the server to the client

    def _response(self, data: bytes) -> Iterator[Step]:
        exchange = self._exchange
        if exchange is None or exchange.answered:
            # Nobody asked for it, so there is nothing to understand.
            yield data
            return
        if exchange.shaper is None:
            self._answered += data
            yield from self._response_head(exchange)
            if exchange.shaper is None:
                return
            data = bytes(self._answered)
            self._answered.clear()
        yield from self._response_body(exchange, exchange.shaper, data)

    def _response_head(self, exchange: _Exchange) -> Iterator[Step]:
        """Pass the heads on that have come; the last one tells how its body goes, and begins it."""
        try:
            head = take_head(self._answered)
            while head is not None and 100 <= head.status < 200 and head.status != 101:
                yield head.raw
                head = take_head(self._answered)
        except ValueError:
            yield from self._begin(exchange, Body(), b"")
        else:
            if head is not None:
                yield from self._begin(exchange, response_body(head, exchange.request.method), head.raw)

    def _begin(self, exchange: _Exchange, body: Body, head: bytes) -> Iterator[Step]:
        fault = exchange.fault
        if isinstance(fault, Delay) or (isinstance(fault, PlacedFault) and not fault.placed):
            yield fault
        self._tunnel = isinstance(body, Frames)
        exchange.shaper = Shaper(fault, body)
        yield head
        yield from exchange.shaper.start()

    def _response_body(self, exchange: _Exchange, shaper: Shaper, data: bytes) -> Iterator[Step]:
        if data:
            yield from shaper.feed(data)
        if shaper.body.ended:
            exchange.answered = True
            self._request_may_be_complete(exchange)
            if shaper.body.rest:
                yield shaper.body.rest

    # -- faults

    def _advance(self) -> None:
        """Do the next steps, up to one that takes its time."""
        while self._steps is not None and self._may_advance():
            step = next(self._steps, None)
            if step is None:
                self._steps = None
            elif isinstance(step, bytes):
                self._client.unsent += step
            elif isinstance(step, Fault):
                self._strike(step)
            else:
                self._timer = self._loop.later(step, self._resume)

    def _may_advance(self) -> bool:
        return self._steps is not None and self._timer is None and len(self._client.unsent) < _BUFFER

    def _strike(self, fault: Fault) -> None:
        if isinstance(fault, Cut):
            self._end(fault.how, fault.code)
        elif isinstance(fault, Refuse):
            self._refuse(fault.seconds)
            self._end("rst", 0)
        elif isinstance(fault, (Stall, HalfOpen, Delay)):
            self._deaf = isinstance(fault, HalfOpen)
            self._hold(fault.seconds)
        self._record.note(fault)

    def _hold(self, seconds: Optional[float]) -> None:
        # A timer that nobody starts holds for good.
        self._timer = self._loop.later(seconds, self._resume) if seconds is not None else Timer(self._resume)

    def _end(self, how: str, code: int) -> None:
        """No more comes from the server; what the client was sent so far it still gets."""
        self._ending = how
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deaf = False
        self._steps = None
        if how == "eof" and self._exchange is not None and self._exchange.shaper is not None:
            self._client.unsent += self._exchange.shaper.clean_end(code)
        if self._server is not None:
            self._server.close()
            self._server = None

    # -- both sides

    def _settle(self) -> None:
        """Do what can be done now, and wait for the rest."""
        while not self._closed and self._work():
            pass
        if not self._closed:
            self._watch()

    def _work(self) -> bool:
        """Whether there is more to do at once."""
        self._pass_requests()
        self._advance()
        # A response that has just ended may have kept the next request waiting.
        self._pass_requests()
        if self._server is not None and self._server.connected and not self._server.flush():
            # It may have answered before it stopped to listen.
            self._server.unsent.clear()
        if not self._client.flush():
            self._close()
        elif self._ending is not None and not self._client.unsent and self._timer is None:
            self._finish(self._ending)
        return self._may_advance()

    def _finish(self, how: str) -> None:
        if how == "rst":
            self._close(reset=True)
            return
        # Closed with something unread, or before the client's last words come, the socket would send a reset.
        self._client.end_sending()
        self._timer = self._loop.later(_LINGER, self._close)

    def _watch(self) -> None:
        backlog = len(self._asked) + (len(self._server.unsent) if self._server is not None else 0)
        self._client.watch(READ if backlog < _BUFFER and not self._deaf else 0)
        if self._server is not None:
            idle = self._steps is None and len(self._client.unsent) < _BUFFER
            self._server.watch(READ if idle and not self._deaf and self._server.connected else 0)

    def _close(self, *, reset: bool = False) -> None:
        self._closed = True
        self._steps = None
        if self._timer is not None:
            self._timer.cancel()
        self._client.close(reset=reset)
        if self._server is not None:
            self._server.close()
        self._forget(self)


def _readable(head: Head, fault: Fault) -> bytes:
    """The request's head; where events or text are looked for, it asks for nothing compressed."""
    if isinstance(fault, PlacedFault) and fault.after_text is not None:
        return head.without("accept-encoding", "sec-websocket-extensions")
    if isinstance(fault, PlacedFault) and fault.after_events is not None:
        return head.without("accept-encoding")
    return head.raw
