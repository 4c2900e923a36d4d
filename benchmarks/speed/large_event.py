"""Whether one large event costs in proportion to its size."""

from __future__ import annotations

from typing import Callable, List, Tuple

from .findings import Finding, Spread, at_most
from .worker import Worker

__all__ = ["large_event"]

_MIB = 1 << 20
_LARGE, _QUICKLY_LARGE = 8, 2


def large_event(url: str, quick: bool) -> List[Finding]:
    size = _QUICKLY_LARGE if quick else _LARGE
    rounds = 3 if quick else 9

    def reading(size: int) -> float:
        """In a process that has read no large event before: glibc takes memory of up to 32 MB anew from what it keeps
        of the last one, and larger memory from the system each time, which costs more than all that is done with it."""
        with Worker("speed.ours") as worker:
            worker.ask("parts", url=url, tape="state", chunks=1)
            return float(worker.ask("parts", url=url, tape="state", chunks=size))

    def decoding(size: int) -> float:
        with Worker("speed.bare") as worker:
            return float(worker.ask("decoding", size=size))

    cpu, seen = _grown(reading, size * _MIB, rounds)
    _, alone = _grown(decoding, size * _MIB, 3)
    what = f"one event of {4 * size} MB in reads of 8 KB / one of {size} MB, each the first of its process, CPU"
    warm = str(_grown_in_one_process(url, size * _MIB, rounds))
    return [
        at_most(what, 4.4, seen, f"{cpu[1]:.2f} s and {cpu[0]:.3f} s; its JSON alone, ready in memory, {alone}"),
        Finding("the same in one process, one after the other", "", warm, None),
    ]


def _grown_in_one_process(url: str, size: int, rounds: int) -> Spread:
    with Worker("speed.ours") as worker:
        return _grown(lambda size: float(worker.ask("parts", url=url, tape="state", chunks=size)), size, rounds)[1]


def _grown(cost: Callable[[int], float], size: int, rounds: int) -> Tuple[List[float], Spread]:
    """The medians of what this size and four times as much cost, and the ratios."""
    cost(1)
    pairs = [(cost(size), cost(4 * size)) for _ in range(rounds)]
    medians = [Spread.of([pair[number] for pair in pairs]).median for number in (0, 1)]
    return medians, Spread.of([many / few for few, many in pairs])
