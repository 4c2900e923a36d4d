"""What a recording holds of its streams: each as it was, and all that was said in one run, for joins from any place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..parts import StreamPart
from ..recording import Ended, Entry, Given, LastParts, Opened, Sign
from ..transport import RUN_STARTS, RunJoin, RunStart, ThreadJoin

__all__ = ["Reel", "RunLog", "Step", "key_of", "logs_of", "reels_of"]

_NOTHING: Mapping[str, Any] = {}

_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")

# What comes whatever modes were asked for.
_ALWAYS = frozenset(["metadata", "error", "end", "feedback"])


class Step(NamedTuple):
    """What happened next on a stream, after so many seconds: a part, a sign of life, or the end.

    ``place`` is that of the part among all that its run said.
    """

    pause: float
    part: Optional[StreamPart] = None
    source: Mapping[str, Any] = _NOTHING
    end: Optional[Ended] = None
    place: int = -1


@dataclass
class Reel:
    """One stream as it was recorded. ``last`` is what it told when its run had ended."""

    opened: Opened
    steps: List[Step] = field(default_factory=list)
    last: Tuple[StreamPart, ...] = ()
    used: bool = False

    @property
    def end(self) -> Optional[Step]:
        """Its end; None if the recording was broken off before."""
        return next((step for step in self.steps if step.end is not None), None)


def reels_of(entries: Iterable[Entry]) -> List[Reel]:
    """The streams, in the order in which they were opened."""
    reels: Dict[str, Reel] = {}
    times: Dict[str, float] = {}
    for entry in entries:
        if isinstance(entry, Opened):
            reels[entry.stream] = Reel(entry)
            times[entry.stream] = entry.t + entry.seconds
        elif isinstance(entry, (Given, Sign, Ended, LastParts)) and entry.stream in reels:
            reel = reels[entry.stream]
            if isinstance(entry, LastParts):
                reel.last = entry.parts
                continue
            pause = max(0.0, entry.t - times[entry.stream])
            times[entry.stream] = entry.t
            part = entry.part if isinstance(entry, Given) else None
            reel.steps.append(Step(pause, part, entry.source, entry if isinstance(entry, Ended) else None))
    return list(reels.values())


def key_of(request: Union[RunJoin, ThreadJoin]) -> Tuple[str, ...]:
    """What a join is about: a run, or a thread."""
    return (request.thread_id, request.run_id) if isinstance(request, RunJoin) else (request.thread_id,)


def logs_of(reels: Iterable[Reel]) -> Dict[Tuple[str, ...], RunLog]:
    """For each run, and for each thread that was streamed, all that it said; gives the reels' steps their places."""
    logs: Dict[Tuple[str, ...], RunLog] = {}
    for reel in reels:
        request, source = reel.opened.request, reel.opened.source
        if reel.opened.error is not None:
            continue
        if isinstance(request, RunStart):
            key: Tuple[str, ...] = (str(source.get("thread_id")), str(source.get("run_id")))
        else:
            key = key_of(request)
        logs.setdefault(key, RunLog()).add(reel)
    return logs


class RunLog:
    """All that a run said, in order, whichever of its streams showed it. ``shown`` is how much of it was given so far.

    As on a server, a join gets what came after a position, without the kinds of parts that are not kept, and then what
    is still to come.
    """

    def __init__(self) -> None:
        self.shown = 0
        self._reels: List[Reel] = []
        self._steps: List[Step] = []

    def add(self, reel: Reel) -> None:
        """One more stream of this run."""
        request = reel.opened.request
        position = None if isinstance(request, RunStart) else request.position
        begin = (self._after(position) or 0) if position is not None else 0
        for number, step in enumerate(reel.steps):
            if step.part is None:
                continue
            place = self._find(step.part, begin)
            if place == len(self._steps):
                self._steps.append(step)
            reel.steps[number] = step._replace(place=place)
            begin = place + 1
        self._reels.append(reel)

    def joined(self, join: Union[RunJoin, ThreadJoin]) -> Optional[Reel]:
        """The stream of a join that was not recorded as such; None if its position is not known."""
        first = self._reels[0].opened
        begin = self.shown if join.position is None else self._after(join.position)
        if begin is None:
            return None
        not_kept: FrozenSet[str] = first.source.get("not_kept", frozenset())
        numbered = [step._replace(place=place) for place, step in enumerate(self._steps)]
        missed = [step._replace(pause=0.0) for step in numbered[begin : self.shown] if _kind(step) not in not_kept]
        steps = [*missed, *numbered[max(begin, self.shown) :]]
        if isinstance(join, RunJoin) and join.narrowed and join.modes:
            steps = [step for step in steps if _is_of(join.modes, step)]
        ending = self._ending()
        source = {name: value for name, value in first.source.items() if name not in ("position", "heartbeats")}
        opened = Opened(first.t, first.stream, join, first.seconds, {**source, "position": join.position})
        return Reel(opened, steps + ([ending.end] if ending.end else []), ending.last)

    def _ending(self) -> Reel:
        """The stream that shows how the run ended."""
        at_end = [reel for reel in self._reels if _reaches(reel) == len(self._steps)]
        clean = [reel for reel in at_end if reel.end and reel.end.end and reel.end.end.how == "clean"]
        return [*self._reels, *at_end, *clean][-1]

    def _find(self, part: StreamPart, begin: int) -> int:
        for place in range(begin, len(self._steps)):
            if self._steps[place].part == part:
                return place
        return len(self._steps)

    def _after(self, position: str) -> Optional[int]:
        """The place after a position; None if there is none such."""
        if position in RUN_STARTS:
            return 0
        ids = [None if step.part is None else step.part.id for step in self._steps]
        for place in range(len(ids) - 1, -1, -1):
            if ids[place] == position:
                return place + 1
        # A thread's stream can begin at a time, at which nothing was said.
        wanted = _numbers(position)
        if wanted is None:
            return None
        return next((place for place, each in enumerate(ids) if each and (_numbers(each) or wanted) > wanted), None)


def _reaches(reel: Reel) -> int:
    return max((step.place + 1 for step in reel.steps), default=0)


def _kind(step: Step) -> str:
    return "" if step.part is None else step.part.kind


def _is_of(modes: Iterable[str], step: Step) -> bool:
    kind = _kind(step)
    if kind in _ALWAYS or kind in modes:
        return kind != "messages" or "messages-tuple" in modes
    return ("messages-tuple" if kind == "messages" else kind.partition("/")[0]) in modes


def _numbers(position: str) -> Optional[Tuple[int, ...]]:
    found = _NUMBERS.fullmatch(position)
    return None if found is None else tuple(int(each or 0) for each in found.groups())
