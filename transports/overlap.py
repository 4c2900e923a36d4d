"""Where the replay of a join meets what is live, Python's in-memory server sends some parts twice. No I/O here.

It listens for what is live before it looks up what it has stored, and then gives the one after the other; so what came
in between is in both. All of that is at the end of the replay, and at the start of what is live::

    stored:  1 2 3 4 5        live:  4 5 6 7        sent:  1 2 3 4 5 4 5 6 7

The ids are the server's milliseconds and a number (``1795357704667-0``); several parts may have the same id.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from ..parts import StreamPart

__all__ = ["Overlap"]

_ID = re.compile(r"(\d+)(?:-(\d+))?")

Order = Tuple[int, int]


class Overlap:
    """Tells which parts of one join came before, in this same join.

    ``since`` is a time, in milliseconds of the server's clock, before which nothing was live: what is older came from
    the replay, so that it is not told from its twins by anything but its place. An id that is smaller than the one
    before shows where the replay ended. If all that was sent twice bears the last id of the replay, only the parts
    themselves can show it; they are compared within ``since`` and ``until``, until the first that is found.
    """

    def __init__(self, since: float, until: float) -> None:
        self._since = since
        self._until = until
        self._latest: Order = (-1, -1)
        #: Of the latest id.
        self._group: List[StreamPart] = []
        #: How many parts came under each id that may be sent twice.
        self._counts: Dict[Order, int] = {}
        self._again: List[StreamPart] = []
        self._dropping = False
        self._over = False

    def is_repeated(self, part: StreamPart) -> bool:
        """Whether this part came before; to be asked once for each part, in order."""
        order = _order(part.id)
        if order is None or self._over:
            return False
        if order > self._latest:
            self._over = self._dropping or bool(self._again)
            self._latest, self._group = order, [part]
            if order[0] >= self._since:
                self._counts[order] = 1
            return False
        if self._dropping:
            return self._is_dropped(order)
        if order < self._latest:
            self._dropping = order in self._counts
            return self._dropping
        return self._is_twin_sent_twice(order, part)

    def _is_dropped(self, order: Order) -> bool:
        """Of the last id of the replay, as many came twice as were in it; those after them are new."""
        if order < self._latest:
            return True
        if self._counts.get(order, 0) > 0:
            self._counts[order] -= 1
            return True
        self._over = True
        return False

    def _is_twin_sent_twice(self, order: Order, part: StreamPart) -> bool:
        if self._again:
            self._over = self._again[0] != part or len(self._again) == 1
            return self._again.pop(0) == part
        if self._since <= order[0] <= self._until:
            for place in range(len(self._group) - 1, -1, -1):
                if self._group[place] == part:
                    self._again = self._group[place + 1 :]
                    self._over = not self._again
                    return True
        self._group.append(part)
        if order in self._counts:
            self._counts[order] += 1
        return False


def _order(id_: Any) -> Optional[Order]:
    found = _ID.fullmatch(id_) if isinstance(id_, str) else None
    return None if found is None else (int(found[1]), int(found[2] or 0))
