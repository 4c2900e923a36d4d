"""What is measured, by the name that ``--only`` takes."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple

from .crowds import gevent, threads
from .findings import Finding
from .growth import growth
from .importing import imports
from .large_event import large_event
from .latency import latency
from .layers import layers
from .memory import memory
from .per_event import fold, messages, raw_parts, websocket
from .wire_bytes import wire_bytes

__all__ = ["ROWS", "Row"]


class Row(NamedTuple):
    """``measure`` is given the URL of the tapes' server, and whether it is to be quick."""

    measure: Callable[[str, bool], List[Finding]]
    quick: bool = True


ROWS: Dict[str, Row] = {
    "import": Row(imports),
    "raw-parts": Row(raw_parts),
    "messages": Row(messages),
    "fold": Row(fold),
    "growth": Row(growth),
    "websocket": Row(websocket),
    "wire-bytes": Row(wire_bytes, quick=False),
    "latency": Row(latency),
    "memory": Row(memory),
    "large-event": Row(large_event),
    "threads": Row(threads, quick=False),
    "gevent": Row(gevent, quick=False),
    "layers": Row(layers),
}
