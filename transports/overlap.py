"""Where the replay of a join meets what is live, Python's in-memory server sends some parts twice. No I/O here.

It listens for what is live before it looks up what it has stored, and then gives the one after the other; so what came
in between is in both. All of that is at the end of the replay, and at the start of what is live::

    stored:  1 2 3 4 5        live:  4 5 6 7        sent:  1 2 3 4 5 4 5 6 7

The ids are the server's milliseconds and a number (``1795357704667-0``); several parts may have the same id. A smaller
id than the one before shows where the replay has ended, and then it is known what comes again: all up to the replay's
last id, and of that one as many as were in the replay.

If all that comes again bears the last id of the replay, no id shows it. Then nothing that came can tell a part that is
sent again from its twin, which a node sent in the same millisecond. But by then that millisecond is over, and a join
made now has all of it in its replay, each part once. So whoever is unsure asks again.

That is done ten times at the most, or a run that goes on sending twins would be joined for ever. After them a part that
is in doubt counts as new: no twin is lost, but where the last of these joins itself met with a live part, and no id
shows it, that part comes twice.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections import deque
from typing import Any, Deque, Iterable, Optional, Tuple

from ..parts import StreamPart

__all__ = ["MISSING", "NEW", "REPEATED", "UNSURE", "Overlap"]

#: What a part is: it came for the first time, or it came before; that can only be told by another join; or another
#: one is missing, which came before and was to come again first.
NEW, REPEATED, UNSURE, MISSING = "new", "repeated", "unsure", "missing"

_ID = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")

# No server sends more than that within a millisecond.
_MOST_OF_ONE_ID = 256

# How often one stream is joined again to be sure.
_MOST_QUESTIONS = 10

Order = Tuple[int, int]

_NONE: Order = (-1, -1)


class Overlap:
    """Tells which parts of one join came before, in this same join.

    ``since`` and ``until`` are milliseconds of the server's clock, between which the join was made: only what was sent
    then can leave one UNSURE. Takes constant time for a part, and 8 bytes of memory for each id.
    """

    def __init__(self, since: float, until: float, given: Order = _NONE, skip: int = 0, asked: int = 0) -> None:
        self._since = since
        self._until = until
        #: How many parts come first that another join gave, and the id of them all.
        self._skip = skip
        self._given = given
        self._asked = asked
        self._latest = _NONE
        self._latest_id: Optional[str] = None
        #: The id before the latest one.
        self.before: Optional[str] = None
        #: How many parts came under the latest id, and the last ones of these.
        self._count = 0
        self._group: Deque[StreamPart] = deque(maxlen=_MOST_OF_ONE_ID)
        self._ids = array("Q")
        self._live = False
        self._over = False

    def judge(self, part: StreamPart) -> str:
        """What this part is; to be asked once for each part that the server keeps, in order, until one is UNSURE."""
        order = _order(part.id)
        if order is None or self._over:
            return MISSING if self._skip else NEW
        if self._skip:
            return self._skipped(order, part)
        if order > self._latest:
            self._over = self._live
            self._begin(order, part)
            return NEW
        if self._live or order < self._latest:
            return self._judge_live(order)
        if self._asked < _MOST_QUESTIONS and self._since <= order[0] <= self._until and part in self._group:
            return UNSURE
        self._add(part)
        return NEW

    def asked_again(self, unread: Iterable[StreamPart], since: float, until: float) -> Overlap:
        """The overlap of another join, made from the id ``before`` a while after the last of ``unread`` had come.

        These begin with the part that was UNSURE; ``since`` and ``until`` are the new join's.
        """
        latest = max([self._latest, *(_order(part.id) or _NONE for part in unread)])
        return Overlap(max(since, latest[0] + 1), until, self._latest, self._count, self._asked + 1)

    @property
    def skips(self) -> bool:
        """Whether parts are still to come that another join gave."""
        return self._skip > 0

    def _begin(self, order: Order, part: StreamPart) -> None:
        self.before, self._latest_id = self._latest_id, part.id
        self._latest, self._count = order, 0
        self._group.clear()
        self._ids.append(order[0])
        self._add(part)

    def _add(self, part: StreamPart) -> None:
        self._count += 1
        self._group.append(part)

    def _skipped(self, order: Order, part: StreamPart) -> str:
        if order != self._given:
            return MISSING
        if order == self._latest:
            self._add(part)
        else:
            self._begin(order, part)
        self._skip -= 1
        return REPEATED

    def _judge_live(self, order: Order) -> str:
        """Of the last id of the replay, as many come again as were in it; those after them are new."""
        if order < self._latest:
            # A clock that was set back gives smaller ids too, but hardly one that was seen.
            self._live = self._live or self._has_seen(order)
            return REPEATED if self._live else NEW
        if self._count > 0:
            self._count -= 1
            return REPEATED
        self._over = True
        return NEW

    def _has_seen(self, order: Order) -> bool:
        place = bisect_left(self._ids, order[0])
        return place < len(self._ids) and self._ids[place] == order[0]


def _order(id_: Any) -> Optional[Order]:
    found = _ID.fullmatch(id_) if isinstance(id_, str) else None
    return None if found is None else (int(found[1]), int(found[2] or 0))
