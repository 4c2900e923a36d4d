"""Where a thread's stream stands, and which parts a join from there shows again. No I/O, no clock.

A join goes on after an id. But some servers give all parts of one millisecond the same id, and may send those of two
runs in another order than that of their ids. So a stream is taken up from before the last few ids, and of these as many
parts are left out as were given.
"""

from __future__ import annotations

import re
from typing import Dict, Optional, Tuple

__all__ = ["ThreadPlace", "order_of"]

# How many ids a stream goes back.
_REMEMBERED = 8

_ID = re.compile(r"(\d+)(?:-(\d+))?")

# The highest number that an id of one millisecond may have.
_LAST_OF_ITS_MILLISECOND = 2**64 - 1


class ThreadPlace:
    """``latest`` is the id of the last part that was received; at first it is ``position``, where the stream begins."""

    def __init__(self, position: Optional[str] = None) -> None:
        self.latest = position
        #: How many parts were given of each of the last ids.
        self._given: Dict[str, int] = {}
        #: How many of these the present connection is still to show again.
        self._due: Dict[str, int] = {}

    def received(self, part_id: Optional[str], kept: bool = True) -> bool:
        """Whether a part comes for the first time. ``kept`` is False if the server does not keep it for later joins."""
        if part_id is None:
            return True
        if kept and self._due.get(part_id):
            self._due[part_id] -= 1
            return False
        self.latest = part_id
        self._given[part_id] = self._given.get(part_id, 0) + kept
        if len(self._given) > _REMEMBERED:
            del self._given[next(iter(self._given))]
        return True

    def rejoining(self, otherwise: Optional[str] = None) -> Optional[str]:
        """The position to join from; ``otherwise`` is that of a connection, if none has brought anything yet."""
        self.latest = self.latest or otherwise
        orders = [order_of(part_id) for part_id in self._given]
        known = [order for order in orders if order is not None]
        exact = len(known) == len(orders) > 0
        self._due = dict(self._given) if exact else {}
        return _before(min(known)) if exact else self.latest


def order_of(part_id: Optional[str]) -> Optional[Tuple[int, int]]:
    """The milliseconds and the number of an id, which tell what came first; None if it is of another form."""
    found = _ID.fullmatch(part_id or "")
    return None if found is None else (int(found[1]), int(found[2] or 0))


def _before(order: Tuple[int, int]) -> str:
    """The position right before an id, which begins with its milliseconds."""
    milliseconds, number = order
    if number:
        return f"{milliseconds}-{number - 1}"
    return f"{max(0, milliseconds - 1)}-{_LAST_OF_ITS_MILLISECOND}"
