"""A run of the thread event protocol, as a join of the run-stream API shows it: envelopes in, the run's parts out.

Servers send such a run's events under the names of stream modes, whole but for their ids, with snapshots that are not
slimmed and with interrupts beside them. No I/O here.
"""

from __future__ import annotations

from typing import List, Optional

from ..parts import StreamPart
from ..transport import RunJoin
from .protocol import Translator

__all__ = ["Enveloped", "is_envelope"]

# What a join that names no modes shows; snapshots are shown whatever it names.
_ALL_MODES = ("messages-tuple", "updates", "custom", "tasks", "checkpoints")


def is_envelope(part: StreamPart) -> bool:
    """Whether the part's data is an event of the protocol; a graph's own data may look like one only in part."""
    data = part.data
    return (
        isinstance(data, dict)
        and data.get("type") == "event"
        and data.get("method") == part.kind
        and isinstance(data.get("seq"), int)
        and isinstance(data.get("params"), dict)
        and isinstance(data["params"].get("namespace"), list)
    )


class Enveloped:
    """Turns what a join brings into parts. All parts of an event bear its id.

    What an event means depends on all before it, so a run is fed from its start; ``since`` is the number of the first
    event whose parts are wanted. ``exact`` is False if what came lacks something that the thread's state has.
    """

    def __init__(self, join: RunJoin) -> None:
        self.since: Optional[int] = None
        # Without snapshots nothing tells of messages that were not streamed.
        self._complete = not join.modes or "values" in join.modes
        self._join = join
        self._last = -1
        self._translator = self._new_translator()

    @property
    def exact(self) -> bool:
        return self._complete and self._translator.exact

    def feed(self, part: StreamPart) -> List[StreamPart]:
        """The parts that one event of the stream comes to."""
        if not is_envelope(part):
            if part.kind == "metadata":
                # Another attempt of the run counts from 1 again.
                self._last, self._translator = -1, self._new_translator()
            return [part] if self.since is None else []
        number = part.data["seq"]
        if number <= self._last:
            # Where the replay meets what is live, servers may send an event twice.
            return []
        self._last = number
        parts = [each._replace(id=part.id) for each in self._translator.feed(part.data)]
        if self.since is not None and number < self.since:
            return []
        self.since = None
        return parts

    def finish(self) -> List[StreamPart]:
        """The stream is over: what can still be said for certain."""
        return [each._replace(id=None) for each in self._translator.finish()]

    def _new_translator(self) -> Translator:
        join = self._join
        return Translator(
            join.modes or _ALL_MODES,
            stream_subgraphs=join.stream_subgraphs,
            thread_id=join.thread_id,
            run_id=join.run_id,
        )
