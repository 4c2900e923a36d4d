"""What was seen of each bar, and the table of all."""

from __future__ import annotations

import statistics
from typing import Iterable, List, NamedTuple, Optional, Sequence

__all__ = ["Finding", "Spread", "at_most", "microseconds", "ratios", "table", "verdict"]


class Spread(NamedTuple):
    """The median of several measurements, and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def __str__(self) -> str:
        alone = self.low == self.high
        return _short(self.median) + ("" if alone else f" ({_short(self.low)} to {_short(self.high)})")


class Finding(NamedTuple):
    """One bar: what it is of, and what was seen.

    ``met`` is None where there is no bar, or where nothing could be measured. ``counted`` says that what was seen does
    not depend on how fast the machine is.
    """

    what: str
    bar: str
    seen: str
    met: Optional[bool]
    counted: bool = False


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of pairs that were measured one right after the other."""
    return Spread.of([one / other for one, other in zip(ours, theirs)])


def at_most(
    what: str, limit: float, seen: Spread, beside: str = "", unit: str = "", *, counted: bool = False
) -> Finding:
    """A bar that is not to be exceeded; ``beside`` is what else is worth telling."""
    told = f"{seen}{unit}" + (f"; {beside}" if beside else "")
    return Finding(what, f"≤ {limit:g}{unit}", told, seen.median <= limit, counted)


def table(findings: Iterable[Finding]) -> str:
    """The findings as a Markdown table."""
    head = ["| what | bar | seen: median (quartiles) | met |", "|---|---|---|---|"]
    body = [f"| {one.what} | {one.bar} | {one.seen} | {verdict(one)} |" for one in findings]
    return "\n".join([*head, *body])


def verdict(finding: Finding) -> str:
    return "" if finding.met is None else "yes" if finding.met else "**no**"


def microseconds(names: Iterable[str], costs: Iterable[Sequence[float]]) -> str:
    """What each took, in words."""
    told: List[str] = [f"{name} {_short(statistics.median(cost))} µs" for name, cost in zip(names, costs)]
    return ", ".join(told)


def _short(value: float) -> str:
    """Three digits that count."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"
