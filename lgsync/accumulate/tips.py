"""Where a message grows: the text inside a block, or inside a call, that one piece after another is appended to.

Most elements are like the one before them but for their piece. Such a one is told at a glance here, and need not be
merged key by key; what it does is what :func:`~lgsync.accumulate.merge.merge_element` would do.

Half of what a piece of a block or a call costs is spent here: see :mod:`lgsync.accumulate.fold` for the budget.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from .history import Series, Table, Text
from .merge import SAME_IF_EQUAL, target_of

__all__ = ["Tip", "tip_for"]

_ABOUT = {"type", "index", "id"}
_NEVER = {*_ABOUT, *SAME_IF_EQUAL}


class Tip:
    """The text of one key of one element; elements that fit bring nothing but a piece of it."""

    __slots__ = ("_like", "_text", "key", "name", "place", "table")

    def __init__(self, place: int, table: Table, key: str, text: Text, element: Mapping[str, Any]) -> None:
        self.place = place
        self.table = table
        self.key = key
        self._text = text
        #: Under what the pieces are told, if they are.
        self.name: Optional[str] = None
        self._like = {**element, key: None}

    def fits(self, element: Mapping[str, Any]) -> bool:
        """Whether an element is like the one that this was found for, but for its piece."""
        piece = element.get(self.key)
        if not piece or not isinstance(piece, str) or type(element.get("index")) is not type(self._like["index"]):
            return False
        return {**element, self.key: None} == self._like

    def take(self, version: int, element: Mapping[str, Any]) -> str:
        """Append the piece that an element brings which fits; gives the piece."""
        piece: str = element[self.key]
        self._text.append(version, piece)
        return piece


def tip_for(series: Series, element: Mapping[str, Any]) -> Optional[Tip]:
    """What an element appends to, if all that it does is to append one piece to an element that is there; else None."""
    place = target_of(series, element)
    if place is None:
        return None
    pieces = [key for key, value in element.items() if value is not None and key not in _ABOUT]
    key = pieces[0] if len(pieces) == 1 else "type"
    table = series[place].node()
    cell, piece = table.cell(key), element.get(key)
    if key in _NEVER or not isinstance(piece, str) or not piece or cell is None:
        return None
    if not isinstance(cell.value, (str, Text)):
        return None
    changes = any(name != key and not _is_no_news(table, name, value) for name, value in element.items())
    return None if changes else Tip(place, table, key, cell.node(), element)


def _is_no_news(table: Table, name: str, value: Any) -> bool:
    """Whether merging this into the table changes nothing."""
    if name == "type":
        return isinstance(value, str) and value != "non_standard"
    if value is None:
        return table.cell(name) is not None
    known = table.now(name)
    if name == "index":
        # The element was found by it, so it is equal, but 1, 1.0 and True are, too.
        return type(known) is type(value)
    return isinstance(value, str) and known == value
