"""Whether one large event costs in proportion to its size."""

from __future__ import annotations

from typing import List

from .findings import Finding, Spread, at_most
from .worker import Worker

__all__ = ["large_event"]

_MIB = 1 << 20
_LARGE, _QUICKLY_LARGE = 8, 2


def large_event(url: str, quick: bool) -> List[Finding]:
    size = _QUICKLY_LARGE if quick else _LARGE
    pairs = []
    with Worker("speed.ours") as worker:

        def cost(size: int) -> float:
            return float(worker.ask("parts", url=url, tape="state", chunks=size * _MIB))

        cost(1)
        for _ in range(3 if quick else 5):
            pairs.append((cost(size), cost(4 * size)))
    small, large = (Spread.of([pair[number] for pair in pairs]).median for number in (0, 1))
    what = f"one event of {4 * size} MB in reads of 8 KB / one of {size} MB, CPU"
    seen = Spread.of([many / few for few, many in pairs])
    return [at_most(what, 4.4, seen, f"{large:.2f} s and {small:.2f} s")]
