"""Which request suffers which fault, and what a proxy saw: shared between its thread and the test."""

from __future__ import annotations

import itertools
import re
import threading
from typing import Callable, Iterator, List, NamedTuple, Pattern, Tuple, Union

from ..errors import ConfigurationError
from .faults import Fault, Pass

__all__ = ["Match", "Record", "Request", "is_stream"]

_STREAM = re.compile(r"/(runs/stream|runs/[^/]+/stream|threads/[^/]+/stream|stream/events)/?\Z")


class Request(NamedTuple):
    """A request as the client sent it; ``target`` is the path with its query. ``str()`` gives "POST /runs/stream"."""

    method: str
    target: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


#: What chooses requests: text that occurs in "METHOD target", a pattern that is found there, or a function.
Match = Union[str, Pattern[str], Callable[[Request], bool]]


def is_stream(request: Request) -> bool:
    """Whether this request opens a stream of a run or a thread, be it server-sent events or a WebSocket."""
    return request.method != "OPTIONS" and _STREAM.search(request.path) is not None


class Record:
    """The scripts, and what has happened. Every member may be used from every thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.requests: List[Request] = []
        self.happened: List[Fault] = []
        self.connections = 0
        self.open_connections = 0
        self._scripts: List[Tuple[Callable[[Request], bool], Iterator[Fault]]] = []

    def add_script(self, faults: Tuple[Fault, ...], match: Match, repeat: bool) -> None:
        for fault in faults:
            if not isinstance(fault, Fault):
                raise ConfigurationError(f"{fault!r} is no fault; a script is made of those in lgsync.testing")
        script = (_matcher(match), itertools.cycle(faults) if repeat else iter(faults))
        with self.changed:
            self._scripts.append(script)

    def clear(self) -> None:
        with self.changed:
            self._scripts.clear()

    def fault_for(self, request: Request) -> Fault:
        """Note the request, and take its fault from the first script that matches it and has one left."""
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
            for matches, faults in self._scripts:
                fault = next(faults, None) if matches(request) else None
                if fault is not None:
                    return fault
        return Pass()

    def note(self, fault: Fault) -> None:
        """A fault takes effect."""
        with self.changed:
            self.happened.append(fault)
            self.changed.notify_all()

    def connected(self) -> None:
        with self.changed:
            self.connections += 1
            self.open_connections += 1
            self.changed.notify_all()

    def disconnected(self) -> None:
        with self.changed:
            self.open_connections -= 1
            self.changed.notify_all()


def _matcher(match: Match) -> Callable[[Request], bool]:
    if isinstance(match, str):
        text = match
        return lambda request: text in str(request)
    if callable(match):
        return match
    return lambda request: match.search(str(request)) is not None
