"""Whether an event costs more the more came before it: in CPU time, and in lines run and functions called."""

from __future__ import annotations

from typing import Any, List, Tuple

from .findings import Finding, Spread, at_most
from .worker import Worker

__all__ = ["counted", "growth", "timed"]

_TAPES = ("text", "blocks", "call")
_LIMIT = 1.15
#: So short that nearly all it costs is what every run costs.
_EMPTY = 10
_FEW, _MANY = 2_000, 50_000
#: A short run is soon over: it is read so many times to be measured well.
_REPEATED = 3


def growth(url: str, quick: bool) -> List[Finding]:
    return counted(url) if quick else [*timed(url, rounds=5), *counted(url)]


def timed(url: str, rounds: int) -> List[Finding]:
    return [_timed(url, tape, rounds) for tape in _TAPES]


def _timed(url: str, tape: str, rounds: int) -> Finding:
    """CPU per event, less what a run costs that has next to none."""
    pairs: List[Tuple[float, float]] = []
    with Worker("speed.ours") as worker:

        def cost(chunks: int, times: int = 1) -> float:
            return sum(worker.ask("messages", url=url, tape=tape, chunks=chunks) for _ in range(times)) / times

        cost(_FEW)
        for _ in range(rounds):
            empty, few, many = cost(_EMPTY, _REPEATED), cost(_FEW, _REPEATED), cost(_MANY)
            pairs.append(((few - empty) / (_FEW - _EMPTY), (many - empty) / (_MANY - _EMPTY)))
    seen = Spread.of([many / few for few, many in pairs])
    beside = f"{Spread.of([many * 1e6 for _, many in pairs])} µs"
    return at_most(
        f"growth, `messages()` with deltas, {tape}: CPU per event at 50,000 / at 2,000", _LIMIT, seen, beside
    )


def counted(url: str, few: int = 300) -> List[Finding]:
    """The same, in work that does not depend on the machine, at ``few`` chunks and at ten times as many."""
    asked = [*((tape, {}) for tape in _TAPES), ("text", {"transport": "websocket"})]
    return [_counted(url, tape, few, arguments) for tape, arguments in asked]


def _counted(url: str, tape: str, few: int, arguments: Any) -> Finding:
    with Worker("speed.ours") as worker:
        worker.ask("messages", url=url, tape=tape, chunks=_EMPTY, **arguments)
        runs = (_EMPTY, few, 10 * few)
        empty, at_few, at_many = (worker.ask("work", url=url, tape=tape, chunks=n, **arguments) for n in runs)
    before, after = (at_few - empty) / (few - _EMPTY), (at_many - empty) / (10 * few - _EMPTY)
    over = f", {arguments['transport']}" if arguments else ""
    what = f"growth, `messages()` with deltas, {tape}{over}: lines run and calls made, at {10 * few:,} / at {few:,}"
    return at_most(what, _LIMIT, Spread.of([after / before]), f"{after:.0f} per event", counted=True)
