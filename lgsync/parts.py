"""The vocabulary of a run stream: what every transport speaks upward, whatever it speaks on its wire.

Event names are those of ``POST /threads/{thread_id}/runs/stream``: ``metadata``, ``values``, ``updates``, ``custom``,
``tasks``, ``checkpoints``, ``debug``, ``events``, ``messages`` (``[chunk, metadata]`` tuples), ``messages/metadata``,
``messages/partial``, ``messages/complete``, ``error``, ``feedback``; each may carry a ``|namespace`` suffix.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Optional, Tuple

from .schema import StreamPartV2

__all__ = ["StreamPart", "Undecoded", "as_v2", "kind_of"]


@functools.lru_cache(maxsize=1024)
def kind_of(event: str) -> str:
    """The name of an event before the first bar; asked several times for each part."""
    return event.partition("|")[0]


class Undecoded(str):
    """The raw text of an event whose data was not JSON; it stands where the decoded data would."""

    __slots__ = ()


class StreamPart(NamedTuple):
    """One event of a run stream, with the same three fields as the official client's part.

    ``event`` is the full name (``"updates|child:5f0c…"``), ``data`` the decoded JSON (or :class:`Undecoded`),
    ``id`` the position the server gave this event, if it gave one.
    """

    event: str
    data: Any = None
    id: Optional[str] = None

    @property
    def kind(self) -> str:
        """The event name before the first bar: ``"updates|child:5f0c…"`` is of kind ``"updates"``."""
        return kind_of(self.event)

    @property
    def namespace(self) -> Tuple[str, ...]:
        """The path of subgraphs after the bar, outermost first; empty for the root graph."""
        _, bar, rest = self.event.partition("|")
        return tuple(rest.split("|")) if bar else ()


def as_v2(part: StreamPart) -> Optional[StreamPartV2]:
    """The part as a dictionary of version 2 of the format; None for ``end``, which that has not."""
    kind, data = part.kind, part.data
    if kind == "end":
        return None
    interrupts = []
    if kind == "values" and isinstance(data, dict) and "__interrupt__" in data:
        interrupts = data["__interrupt__"]
        # Others see the same data.
        data = {name: value for name, value in data.items() if name != "__interrupt__"}
    return {"type": kind, "ns": list(part.namespace), "data": data, "interrupts": interrupts}
