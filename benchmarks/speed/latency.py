"""How much later than a bare socket a loop has a token."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List

from .findings import Finding, Spread, at_most
from .worker import MissingPeer, Worker

__all__ = ["latency"]

_PAUSE = 0.002


def latency(url: str, quick: bool) -> List[Finding]:
    chunks, rounds = (300, 2) if quick else (1000, 5)
    sse: List[Dict[str, float]] = []
    websocket: List[Dict[str, float]] = []
    official: List[Dict[str, float]] = []
    bare: List[Dict[str, float]] = []
    with Worker("speed.ours") as ours, Worker("speed.bare") as floor, Worker("speed.official") as theirs:

        def taken(worker: Worker, **arguments: Any) -> Dict[str, float]:
            took: Dict[str, float] = worker.ask("latency", url=url, chunks=chunks, pause=_PAUSE, **arguments)
            return took

        for _ in range(rounds):
            sse.append(taken(ours))
            bare.append(taken(floor))
            websocket.append(taken(ours, transport="websocket"))
            with contextlib.suppress(MissingPeer):
                official.append(taken(theirs))
    return [
        at_most(
            f"latency of a token over that of a bare socket, {name}, {share}",
            limit,
            _over(measured, bare, share),
            _beside(share, bare, official),
            " ms",
        )
        for name, measured in (("SSE", sse), ("WebSocket", websocket))
        for share, limit in (("p50", 0.3), ("p99", 2.0))
    ]


def _over(measured: List[Dict[str, float]], bare: List[Dict[str, float]], share: str) -> Spread:
    return Spread.of([one[share] - other[share] for one, other in zip(measured, bare)])


def _beside(share: str, bare: List[Dict[str, float]], official: List[Dict[str, float]]) -> str:
    told = f"socket {Spread.of([each[share] for each in bare]).median:.2f} ms"
    return f"{told}, langgraph-sdk +{_over(official, bare, share).median:.2f} ms" if official else told
