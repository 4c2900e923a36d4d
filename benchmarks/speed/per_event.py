"""What an event costs a client, beside what it costs others."""

from __future__ import annotations

from typing import List, Sequence

from .findings import Finding, at_most, microseconds, ratios
from .race import (
    EVENTS_SSE,
    EVENTS_WS,
    FLOOR,
    FOLDED,
    MESSAGES,
    MESSAGES_WS,
    PARTS,
    PARTS_OFFICIAL,
    SSECLIENT,
    Way,
    race,
)

__all__ = ["fold", "messages", "raw_parts", "websocket"]

_CHUNKS = 5000
_CALL_CHUNKS = 4000


def raw_parts(url: str, quick: bool) -> List[Finding]:
    ways = [PARTS, PARTS_OFFICIAL, FLOOR, SSECLIENT]
    ours, official, floor, _ = costs = race(url, ways, "text", _CHUNKS, 3 if quick else 11)
    return [
        at_most("CPU per event, raw parts, SSE / langgraph-sdk's", 0.8, ratios(ours, official), _told(ways, costs)),
        at_most("the same / floor", 1.6, ratios(ours, floor)),
    ]


def messages(url: str, quick: bool) -> List[Finding]:
    ways = [MESSAGES, PARTS_OFFICIAL]
    costs = race(url, ways, "text", _CHUNKS, 3 if quick else 11)
    what = "CPU per event, `messages()` with each delta / langgraph-sdk's raw parts"
    return [at_most(what, 1.0, ratios(*costs), _told(ways, costs))]


def fold(url: str, quick: bool) -> List[Finding]:
    ways = [MESSAGES, FOLDED]
    text = race(url, ways, "text", _CHUNKS, 3 if quick else 7)
    call = race(url, ways, "call", _CALL_CHUNKS // 4 if quick else _CALL_CHUNKS, 1 if quick else 3)
    what = "CPU per event, `messages()` / langgraph-sdk + langchain-core's fold"
    length = "1,000" if quick else "4,000"
    return [
        at_most(f"{what}, text", 0.4, ratios(*text), _told(ways, text)),
        at_most(f"{what}, tool call of {length} chunks", 0.02, ratios(*call), _told(ways, call)),
    ]


def websocket(url: str, quick: bool) -> List[Finding]:
    ways = [MESSAGES_WS, EVENTS_WS, EVENTS_SSE]
    costs = race(url, ways, "text", _CHUNKS, 3 if quick else 11)
    what = "WebSocket: CPU per delta, `messages()` / langgraph-sdk's raw events of `threads.stream`"
    return [at_most(what, 1.0, ratios(costs[0], costs[1]), _told(ways, costs))]


def _told(ways: Sequence[Way], costs: Sequence[Sequence[float]]) -> str:
    return microseconds([way.name for way in ways], costs)
