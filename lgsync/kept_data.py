"""What a view that is opened late can still show of the run's data."""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, Tuple

from .errors import ConfigurationError
from .parts import StreamPart
from .selection import Namespaces, namespace_filter

__all__ = ["KeptData"]

#: How many items of each stream mode are kept.
_LIMIT = 4096


class KeptData:
    """The data of each stream mode but those of messages, which the accumulator keeps.

    Each ``values`` is the whole state, so only the latest of the root graph is kept.
    """

    def __init__(self) -> None:
        self._items: Dict[str, Deque[Tuple[Tuple[str, ...], Any]]] = {}
        self._dropped: Dict[str, int] = {}

    def keep(self, part: StreamPart) -> None:
        """Keep the part's data, and let go of the oldest where there is too much."""
        kind, namespace = part.kind, part.namespace
        if kind == "values" and namespace:
            return
        items = self._items.setdefault(kind, deque(maxlen=1 if kind == "values" else _LIMIT))
        if kind != "values" and len(items) == _LIMIT:
            self._dropped[kind] = self._dropped.get(kind, 0) + 1
        items.append((namespace, part.data))

    def of(self, mode: str, namespaces: Namespaces = "root") -> List[Any]:
        """What is kept of a mode; raises ConfigurationError if its beginning is gone."""
        dropped = self._dropped.get(mode)
        if dropped:
            raise ConfigurationError(
                f"The first {dropped} items of {mode!r} are gone: open this view before the run is read"
            )
        within = namespace_filter(namespaces)
        return [data for namespace, data in self._items.get(mode, ()) if within(namespace)]
