"""Many streams at once in one process: in threads, and on greenlets."""

from __future__ import annotations

from typing import Any, Dict, List

from .findings import Finding, Spread, at_most
from .worker import Worker

__all__ = ["gevent", "threads"]

_LIMIT = 1.5
_CHUNKS = 200


def threads(url: str, quick: bool) -> List[Finding]:
    streams = 50 if quick else 200
    rounds = 1 if quick else 5
    with Worker("speed.ours") as worker, Worker("speed.bare") as bare:
        alone, crowds = _measured(worker, url, streams, rounds)
        # Threads that could all go on wake up every few milliseconds to ask for the interpreter, whatever they run.
        least = _dearer(streams, *_measured(bare, url, streams, rounds))
    most = max(crowd["threads"] for crowd in crowds) - streams
    return [
        *_findings(f"{streams} streams at once, each read in a thread", streams, alone, crowds, f", floor {least}"),
        Finding("the same: threads per stream, beside its reader", "0", f"{most / streams:.2f} at most", most <= 1),
    ]


def gevent(url: str, quick: bool) -> List[Finding]:
    streams = 100 if quick else 1000
    with Worker("speed.ours", green=True) as worker:
        alone, crowds = _measured(worker, url, streams, 1 if quick else 2)
    return _findings(f"{streams:,} streams at once, on gevent", streams, alone, crowds)


def _measured(worker: Worker, url: str, streams: int, rounds: int) -> Any:
    """What a stream costs if they come one by one, and what so many at once cost."""
    few = streams // 5
    worker.ask("one_by_one", url=url, streams=1, chunks=_CHUNKS)
    alone, crowds = [], []
    for _ in range(rounds):
        alone.append(worker.ask("one_by_one", url=url, streams=few, chunks=_CHUNKS) / few)
        crowds.append(worker.ask("crowd", url=url, streams=streams, chunks=_CHUNKS))
    return alone, crowds


def _dearer(streams: int, alone: List[float], crowds: List[Dict[str, float]]) -> Spread:
    return Spread.of([crowd["cpu"] / streams / one for one, crowd in zip(alone, crowds)])


def _findings(
    what: str, streams: int, alone: List[float], crowds: List[Dict[str, float]], beside: str = ""
) -> List[Finding]:
    complete = min(int(crowd["complete"]) for crowd in crowds)
    seen = _dearer(streams, alone, crowds)
    told = f"one {Spread.of(alone).median * 1e6 / _CHUNKS:.0f} µs{beside}"
    return [
        Finding(f"{what}: complete", str(streams), str(complete), complete == streams),
        at_most(f"the same: CPU per event / one after the other, {_CHUNKS} events each", _LIMIT, seen, told),
    ]
