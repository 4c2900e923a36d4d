"""A proxy between a client and a server that breaks connections as a script says."""

from __future__ import annotations

import socket
from typing import Callable, List, Optional, Set, TypeVar
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from .faults import Fault, check_how
from .link import Address, Link
from .loop import Loop
from .port import Port
from .script import Match, Record, Request, is_stream

__all__ = ["FaultProxy"]

T = TypeVar("T")


class FaultProxy:
    """A TCP proxy on loopback for tests: what comes through it breaks when, where and how the test says.

    ::

        with FaultProxy("http://localhost:2024") as proxy:
            proxy.script(Cut(after_events=3), Stall(after_bytes=200, seconds=1))
            client = Client(proxy.url)

    The first stream that the client opens is cut after its third event, the second stalls, all others pass untouched,
    and so do all requests that open no stream. Each connection of a client has a connection to the server of its own.

    ``url`` is that of a server that speaks plain HTTP. Nothing happens until ``start()`` or ``with``; ``close()``
    breaks every connection and leaves no thread and no socket behind. All members may be used from every thread.
    Raises ConfigurationError for a URL that is not of the form ``http://host:port``.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigurationError(f"a fault proxy needs the URL of a server that speaks plain HTTP, not {url!r}")
        self._host, self._server_port, self._path = parts.hostname, parts.port or 80, parts.path
        self._record = Record()
        self._addresses: List[Address] = []
        self._links: Set[Link] = set()
        self._loop: Optional[Loop] = None
        self._port: Optional[Port] = None

    def __repr__(self) -> str:
        at = f"at port {self._port.number}" if self._port is not None else "not started"
        return f"<FaultProxy {at}, to {self._host}:{self._server_port}>"

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> FaultProxy:
        """Open the port; a proxy is started once. Raises OSError if the server's name cannot be resolved."""
        if self._port is not None:
            raise ConfigurationError("this fault proxy was started before; make another")
        found = socket.getaddrinfo(self._host, self._server_port, type=socket.SOCK_STREAM)
        self._addresses = [(family, address) for family, _, _, _, address in found]
        loop = self._loop = Loop(f"lgsync-fault-proxy:{self._server_port}")
        port = self._port = Port(loop, lambda sock: self._accept(loop, port, sock))
        loop.call(port.open)
        return self

    def close(self) -> None:
        """Break every connection, give the port back and end the thread; closing twice is no error."""
        loop, self._loop = self._loop, None
        if loop is not None:
            try:
                loop.call(self._close_all)
            finally:
                loop.stop()

    # -- what is to happen

    def script(self, *faults: Fault, match: Match = is_stream, repeat: bool = False) -> None:
        """Give the next requests these faults, one each, in order; ``repeat`` begins again after the last.

        ``match`` chooses the requests that count, by default those that open a stream: text that occurs in
        "METHOD target", a pattern searched there, or a function of the :class:`Request`. Further scripts may be given
        at any time; a request takes its fault from the first one that matches it and is not used up::

            proxy.script(Cut(after_events=1), repeat=True)
            proxy.script(Status(503), match="GET /threads/")
        """
        self._record.add_script(faults, match, repeat)

    def clear(self) -> None:
        """Forget what is left of the scripts: from now on requests pass untouched."""
        self._record.clear()

    def cut_all(self, how: str = "fin", *, code: int = 1000) -> int:
        """End every open connection now, ``how`` as in :class:`Cut`; returns how many there were."""
        check_how(how)

        return self._call(lambda: sum([link.cut(how, code) for link in list(self._links)]))

    def refuse(self, seconds: Optional[float] = None) -> None:
        """Refuse new connections, for some seconds or until ``accept_again()``; those that are open live on."""
        self._call(lambda: self._opened_port().refuse(seconds))

    def accept_again(self) -> None:
        """Accept connections again."""
        self._call(lambda: self._opened_port().open())

    # -- what has happened

    @property
    def url(self) -> str:
        """What the client is given in place of the server's URL."""
        return f"http://127.0.0.1:{self._opened_port().number}{self._path}"

    @property
    def requests(self) -> List[Request]:
        """Every request that came, in order, whether or not it was passed on: pairs (method, target)."""
        with self._record.changed:
            return list(self._record.requests)

    @property
    def streams(self) -> List[Request]:
        """The requests that opened a stream, in order."""
        return [request for request in self.requests if is_stream(request)]

    @property
    def happened(self) -> List[Fault]:
        """The faults that took effect, in order: a place that was never reached is missing here."""
        with self._record.changed:
            return list(self._record.happened)

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._record.connections

    @property
    def open_connections(self) -> int:
        """How many of them the client has not closed yet."""
        return self._record.open_connections

    def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait for what the proxy sees: ``proxy.wait_until(lambda: len(proxy.streams) == 2)``.

        The condition is asked whenever that changes; it must only look. Raises TimeoutError, which tells what the proxy
        has seen, after ``timeout`` seconds.
        """
        with self._record.changed:
            if not self._record.changed.wait_for(condition, timeout):
                seen = f"{self.connections} connections ({self.open_connections} open), faults {self.happened}"
                asked = [str(request) for request in self.requests]
                raise TimeoutError(f"it did not happen within {timeout} s; the proxy saw {seen}, requests {asked}")

    # -- in the loop's thread

    def _accept(self, loop: Loop, port: Port, sock: socket.socket) -> None:
        self._record.connected()
        self._links.add(Link(sock, loop, self._record, self._addresses, port.refuse, self._forget))

    def _forget(self, link: Link) -> None:
        self._links.discard(link)
        self._record.disconnected()

    def _close_all(self) -> None:
        self._opened_port().close()
        for link in list(self._links):
            link.close()

    def _opened_port(self) -> Port:
        if self._port is None:
            raise ConfigurationError("the fault proxy has no port yet; use it in a with block, or start it")
        return self._port

    def _call(self, function: Callable[[], T]) -> T:
        if self._loop is None:
            raise ConfigurationError("the fault proxy is not running; use it in a with block, or start it")
        return self._loop.call(function)
