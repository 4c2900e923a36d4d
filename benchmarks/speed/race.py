"""Several ways to read one tape, taken in turn, each in a process of its own."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List, Mapping, NamedTuple

from .worker import Worker

__all__ = ["EVENTS_SSE", "EVENTS_WS", "FLOOR", "FOLDED", "MESSAGES", "MESSAGES_WS", "PARTS", "PARTS_OFFICIAL"]
__all__ += ["SSECLIENT", "Way", "race"]

_WARM_UP = 50
_WEBSOCKET = {"transport": "websocket"}


class Way(NamedTuple):
    """A function that reads a tape, in one of the modules that workers load, and its name in the table."""

    name: str
    module: str
    function: str
    arguments: Mapping[str, Any] = {}


PARTS = Way("lgsync", "speed.ours", "parts")
MESSAGES = Way("lgsync", "speed.ours", "messages")
MESSAGES_WS = Way("lgsync", "speed.ours", "messages", _WEBSOCKET)
PARTS_OFFICIAL = Way("langgraph-sdk", "speed.official", "parts")
FOLDED = Way("langgraph-sdk + langchain-core", "speed.official", "folded")
EVENTS_SSE = Way("langgraph-sdk, SSE", "speed.official", "events", {"transport": "sse"})
EVENTS_WS = Way("langgraph-sdk", "speed.official", "events", _WEBSOCKET)
FLOOR = Way("floor", "speed.bare", "floor")
SSECLIENT = Way("sseclient-py alone", "speed.bare", "sseclient_alone")


def race(url: str, ways: List[Way], tape: str, chunks: int, rounds: int) -> List[List[float]]:
    """For each way, the CPU microseconds that a chunk took in each round. Every other round goes the other way about.

    Raises MissingPeer if one of them is not installed.
    """
    took: Dict[int, List[float]] = {number: [] for number in range(len(ways))}
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(way.module)) for way in ways]

        def read(number: int, length: int) -> float:
            way = ways[number]
            cpu = workers[number].ask(way.function, url=url, tape=tape, chunks=length, **way.arguments)
            return float(cpu) * 1e6 / length

        for number in took:
            read(number, _WARM_UP)
        for turn in range(rounds):
            for number in list(took) if turn % 2 else reversed(took):
                took[number].append(read(number, chunks))
    return list(took.values())
