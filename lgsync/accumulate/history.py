"""Values that remember every version of themselves, so that a snapshot costs nothing until it is read.

A streamed message is one tree of these. Each chunk is one version: it appends to the tree and never copies it. Reading
the tree *at* a version gives what the chunks up to that one had made, however many came since.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from itertools import accumulate
from typing import Any, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

__all__ = ["ABSENT", "Cell", "Series", "Table", "Text", "owned", "plain"]

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "ABSENT"})()

# Parts are joined once there are many of them, and one for so many characters of the text: each takes as much memory
# as 64 characters, so that bounds it, and to copy as many costs a part next to nothing.
_MANY_PARTS = 512
_CHARS_A_PART = 64

_NESTED = (dict, list, tuple)


def owned(value: Any) -> Any:
    """A copy of a JSON value that shares nothing mutable with it."""
    # The leaves are told apart before the call: most of a value is leaves.
    if isinstance(value, dict):
        return {key: owned(item) if isinstance(item, _NESTED) else item for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [owned(item) if isinstance(item, _NESTED) else item for item in value]
    return value


def plain(value: Any, version: int) -> Any:
    """The JSON value of a node (or of a bare value) at ``version``; the caller owns it."""
    if isinstance(value, (Text, Table, Series)):
        return value.at(version)
    return owned(value)


class Text:
    """A string that only grows. Appending costs the part; reading joins what is not joined yet."""

    __slots__ = ("_ends", "_joined", "_parts", "_versions", "length")

    def __init__(self, version: int, text: str) -> None:
        self._joined = text
        self._parts: List[str] = []
        self.length = len(text)
        # The version that each part came with, and up to where the text went with it; that is added up when it is read.
        self._versions = array("I", (version,))
        self._ends = array("Q", (self.length,))

    def append(self, version: int, part: str) -> None:
        self._parts.append(part)
        self._versions.append(version)
        self.length += len(part)
        if len(self._parts) > _MANY_PARTS and len(self._parts) * _CHARS_A_PART > self.length:
            self.now()

    def now(self) -> str:
        if self._parts:
            # The first of these sums is the end that is the last by now.
            self._ends[-1:] = array("Q", accumulate(map(len, self._parts), initial=len(self._joined)))
            self._joined = "".join((self._joined, *self._parts))
            self._parts.clear()
        return self._joined

    def at(self, version: int) -> str:
        text = self.now()
        if version >= self._versions[-1]:
            return text
        return text[: self._length_at(version)]

    def _length_at(self, version: int) -> int:
        place = bisect_right(self._versions, version)
        return self._ends[place - 1] if place else 0


class Cell:
    """One place in the tree, whose value can be replaced."""

    __slots__ = ("_earlier", "_since", "value")

    value: Any

    def __init__(self, version: int, value: Any) -> None:
        self.value = value
        self._since = version
        self._earlier: Optional[List[Tuple[int, Any]]] = None

    def put(self, version: int, value: Any) -> None:
        if version != self._since:
            self._earlier = self._earlier or []
            self._earlier.append((self._since, self.value))
            self._since = version
        self.value = value

    def node(self) -> Any:
        """The value, as something that can grow: bare strings, dicts and lists become nodes when first needed."""
        value = self.value
        if isinstance(value, str):
            self.value = Text(self._since, value)
        elif isinstance(value, dict):
            self.value = Table(self._since, value)
        elif isinstance(value, list):
            self.value = Series(self._since, value)
        return self.value

    def held(self, version: int) -> Any:
        """What stood here at ``version``: a node, a bare value, or ABSENT."""
        if version >= self._since:
            return self.value
        for since, value in reversed(self._earlier or ()):
            if version >= since:
                return value
        return ABSENT

    def at(self, version: int) -> Any:
        value = self.held(version)
        return value if value is ABSENT else plain(value, version)


class Table:
    """A dict whose keys only get more."""

    __slots__ = ("_cells",)

    def __init__(self, version: int, values: Mapping[str, Any]) -> None:
        self._cells: Dict[str, Cell] = {key: Cell(version, value) for key, value in values.items()}

    def cell(self, key: str) -> Optional[Cell]:
        return self._cells.get(key)

    def add(self, version: int, key: str, value: Any) -> None:
        self._cells[key] = Cell(version, value)

    def get(self, key: str, version: int) -> Any:
        """The plain value of ``key`` at ``version``, or None."""
        cell = self._cells.get(key)
        value = None if cell is None else cell.at(version)
        return None if value is ABSENT else value

    def now(self, key: str) -> Any:
        """The current value of ``key`` if it is a scalar or a string, else a node; None if there is none."""
        cell = self._cells.get(key)
        if cell is None:
            return None
        return cell.value.now() if isinstance(cell.value, Text) else cell.value

    def length(self, key: str) -> int:
        """How long the string of ``key`` is by now; 0 if there is none."""
        cell = self._cells.get(key)
        value = None if cell is None else cell.value
        if isinstance(value, Text):
            return value.length
        return len(value) if isinstance(value, str) else 0

    def at(self, version: int) -> Dict[str, Any]:
        pairs = ((key, cell.at(version)) for key, cell in self._cells.items())
        return {key: value for key, value in pairs if value is not ABSENT}


class Series:
    """A list that only grows, whose dicts can be found again by their ``index``."""

    __slots__ = ("_births", "_by_index", "_cells")

    def __init__(self, version: int, values: Sequence[Any] = ()) -> None:
        self._cells: List[Cell] = []
        self._births = array("Q")
        self._by_index: Dict[Any, _Targets] = {}
        for value in values:
            self.append(version, value)

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, place: int) -> Cell:
        return self._cells[place]

    def append(self, version: int, value: Any) -> int:
        place = len(self._cells)
        self._cells.append(Cell(version, value))
        self._births.append(version)
        self._register(place, value)
        return place

    def _register(self, place: int, value: Any) -> None:
        if isinstance(value, dict) and _hashable(value.get("index")) and "index" in value:
            self._by_index.setdefault(value["index"], _Targets()).add(place, value.get("id"))

    def target(self, index: Any, id_: Any) -> Optional[int]:
        """The place of the first dict of that index whose id does not contradict ``id_``."""
        targets = self._by_index.get(index)
        return None if targets is None else targets.first(id_)

    def named(self, place: int, index: Any, id_: Any) -> None:
        """The dict at ``place`` had no id and has got one."""
        self._by_index[index].name(place, id_)

    def reindex(self) -> None:
        """Some dicts were replaced: find out anew which index leads where."""
        self._by_index = {}
        for place, cell in enumerate(self._cells):
            value = cell.value
            if isinstance(value, Table):
                value = {key: value.now(key) for key in ("index", "id") if value.cell(key) is not None}
            self._register(place, value)

    def cells(self, version: int) -> Iterator[Cell]:
        for place in range(bisect_right(self._births, version)):
            yield self._cells[place]

    def at(self, version: int) -> List[Any]:
        return [cell.at(version) for cell in self.cells(version)]


class _Targets:
    """The places of the dicts that share one index, by id, so that finding one never means looking at all."""

    __slots__ = ("_by_id", "_first", "_nameless")

    def __init__(self) -> None:
        self._first: Optional[int] = None
        self._nameless: Deque[int] = deque()
        self._by_id: Dict[Any, int] = {}

    def add(self, place: int, id_: Any) -> None:
        if self._first is None:
            self._first = place
        if id_ is None or id_ == "":
            self._nameless.append(place)
        elif _hashable(id_):
            self._by_id.setdefault(id_, place)

    def first(self, id_: Any) -> Optional[int]:
        if id_ is None or id_ == "":
            return self._first
        places = [self._nameless[0]] if self._nameless else []
        if _hashable(id_) and id_ in self._by_id:
            places.append(self._by_id[id_])
        return min(places, default=None)

    def name(self, place: int, id_: Any) -> None:
        if self._nameless and self._nameless[0] == place:
            self._nameless.popleft()
            if _hashable(id_):
                self._by_id[id_] = min(place, self._by_id.get(id_, place))


def _hashable(value: Any) -> bool:
    return not isinstance(value, (dict, list, Table, Series))
