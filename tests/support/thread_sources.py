"""Threads that play a script: a transport whose thread streams are scripted sources."""

from __future__ import annotations

import time
from typing import Any, List, Mapping, Optional, Union

from scripted import THREAD, ScriptedSource, ScriptedTransport, Step

from lgsync.parts import StreamPart
from lgsync.transport import PartSource, ThreadJoin

__all__ = ["ThreadScript", "ThreadTransport", "part"]


def part(part_id: Optional[str], data: Any = None, event: str = "updates") -> StreamPart:
    """A part whose data is its id, unless told otherwise."""
    return StreamPart(event, part_id if data is None else data, part_id)


class ThreadScript(ScriptedSource):
    """One connection. ``beat`` is a step: a heartbeat after ``seconds`` of silence."""

    not_kept = frozenset(["state_update"])

    def __init__(self, *steps: Step, position: Optional[str] = None) -> None:
        super().__init__(steps)
        self.position = position

    def beat(self, seconds: float = 5.0) -> None:
        self.heartbeats += 1
        self.last_activity += seconds
        self.look()

    def look(self) -> Optional[float]:
        """What a source asks before each wait."""
        return None if self.patience is None else self.patience(self)


class ThreadTransport(ScriptedTransport):
    """Each connection to the thread is the next of these sources, or what keeps it from being made; then the last."""

    def __init__(self, *sources: Union[PartSource, BaseException], answers: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(answers={f"GET /threads/{THREAD}/runs": (200, []), **(answers or {})})
        self.thread_sources = sources
        self.joins: List[ThreadJoin] = []

    def open_thread(self, join: ThreadJoin) -> PartSource:
        self.joins.append(join)
        source = self.thread_sources[min(len(self.joins), len(self.thread_sources)) - 1]
        if isinstance(source, BaseException):
            raise source
        source.last_activity = time.monotonic()
        return source

    def close(self) -> None:
        for source in self.thread_sources:
            if isinstance(source, PartSource):
                source.close()
