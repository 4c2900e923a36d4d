"""How the pieces of a value become one: the merge rules of langchain-core, on values that remember their versions.

They are those of ``langchain_core.utils._merge`` (``merge_dicts`` and ``merge_lists``) and of ``add_usage``, with one
difference: where langchain-core raises for values that do not fit, what came first stays and the conflict is noted.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .history import Cell, Series, Table, Text, owned

__all__ = ["SAME_IF_EQUAL", "Journal", "add_usage", "merge_element", "merge_into", "merge_list", "target_of"]

#: Keys whose strings are not added up if they are equal.
SAME_IF_EQUAL = {"id", "output_version", "model_provider"}
_LAST_WINS = {"index", "created", "timestamp"}
_MAX_DEPTH = 100


class Journal:
    """What one chunk did to the tree: the version it makes, whether anything changed, and what did not fit."""

    __slots__ = ("_conflicts", "changed", "version")

    def __init__(self) -> None:
        self.version = 0
        self.changed = False
        self._conflicts: Dict[str, str] = {}

    @property
    def conflicts(self) -> Tuple[str, ...]:
        return tuple(self._conflicts.values()) if self._conflicts else ()

    def conflict(self, place: str, kept: Any, other: Any) -> None:
        """Note that two values do not fit, once for each place: a provider that errs does so with every chunk."""
        if place not in self._conflicts:
            self.changed = True
            said = f"{_kind_name(other)} does not fit {_kind_name(kept)}; kept what came first"
            self._conflicts[place] = f"{place}: {said}"


def _kind(value: Any) -> type:
    if isinstance(value, Text):
        return str
    if isinstance(value, Table):
        return dict
    return list if isinstance(value, Series) else type(value)


def _kind_name(value: Any) -> str:
    kind = _kind(value)
    return f"{kind.__name__} {value!r}" if kind in (bool, int, float) else kind.__name__


def merge_into(table: Table, right: Mapping[str, Any], journal: Journal, place: str) -> None:
    """Merge a dict into a table, key by key."""
    for key, value in right.items():
        cell = table.cell(key)
        if cell is None:
            table.add(journal.version, key, owned(value))
            journal.changed = True
        elif value is None:
            continue
        elif cell.value is None:
            cell.put(journal.version, owned(value))
            journal.changed = True
        elif _kind(cell.value) is not type(value):
            journal.conflict(f"{place}.{key}", cell.value, value)
        else:
            _MERGE_BY_KIND.get(type(value), _merge_other)(cell, key, value, journal, place)


def _merge_text(cell: Cell, key: str, value: str, journal: Journal, _place: str) -> None:
    if not value:
        return
    if key == "index" or key in SAME_IF_EQUAL:
        now = cell.node().now()
        if (key == "index" and now.startswith("lc_")) or (key != "index" and now == value):
            return
    cell.node().append(journal.version, value)
    journal.changed = True


def _merge_dict(cell: Cell, key: str, value: Dict[str, Any], journal: Journal, place: str) -> None:
    merge_into(cell.node(), value, journal, f"{place}.{key}")


def _merge_list(cell: Cell, key: str, value: List[Any], journal: Journal, place: str) -> None:
    merge_list(cell.node(), value, journal, f"{place}.{key}")


def _merge_other(cell: Cell, key: str, value: Any, journal: Journal, place: str) -> None:
    if cell.value == value:
        return
    if type(value) is not int:
        journal.conflict(f"{place}.{key}", cell.value, value)
        return
    cell.put(journal.version, value if key in _LAST_WINS else cell.value + value)
    journal.changed = True


_MERGE_BY_KIND: Dict[type, Callable[[Cell, str, Any, Journal, str], None]] = {
    str: _merge_text,
    dict: _merge_dict,
    list: _merge_list,
}


def merge_list(series: Series, elements: Sequence[Any], journal: Journal, place: str) -> None:
    """Merge a list into a series: dicts that share an ``index`` become one, everything else is appended."""
    for element in elements:
        target = target_of(series, element)
        if target is None:
            series.append(journal.version, owned(element))
            journal.changed = True
        else:
            merge_element(series, target, element, journal, f"{place}[{target}]")


def target_of(series: Series, element: Any) -> Optional[int]:
    """Which element of the series this one belongs to, or None if it stands for itself."""
    if not isinstance(element, dict):
        return None
    index = element.get("index")
    if isinstance(index, int) or (isinstance(index, str) and index.startswith("lc_")):
        return series.target(index, element.get("id"))
    return None


def merge_element(series: Series, target: int, element: Mapping[str, Any], journal: Journal, place: str) -> None:
    """Merge a dict into the one at ``target``, whose type stays."""
    table = series[target].node()
    had = table.now("id")
    merge_into(table, _without_type(table, element, journal, place), journal, place)
    if not had and table.now("id"):
        series.named(target, element["index"], table.now("id"))


def _without_type(table: Table, element: Mapping[str, Any], journal: Journal, place: str) -> Mapping[str, Any]:
    kind = table.now("type")
    if not (kind and element.get("type") == "non_standard" and "value" in element):
        return {key: value for key, value in element.items() if key != "type"}
    value = element["value"]
    if not isinstance(value, dict):
        journal.conflict(f"{place}.value", {}, value)
        return {}
    inner = {key: item for key, item in value.items() if key != "type"}
    return {"value": inner, "index": element["index"]} if kind == "non_standard" else {"extras": inner}


def add_usage(
    left: Optional[Mapping[str, Any]], right: Optional[Mapping[str, Any]], journal: Optional[Journal] = None
) -> Optional[Dict[str, Any]]:
    """The sum of two token counts (``usage_metadata``), detail by detail; None only if both are."""
    if left is None and right is None:
        return None
    if not left and not right:
        return {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    if not (left and right):
        return dict(owned(left or right))
    return _sum(left, right, journal or Journal(), "usage_metadata")


def _sum(
    left: Mapping[str, Any], right: Mapping[str, Any], journal: Journal, place: str, depth: int = 0
) -> Dict[str, Any]:
    total = dict(left)
    for key, value in right.items():
        mine = left.get(key, {} if isinstance(value, dict) else 0)
        if isinstance(mine, int) and isinstance(value, int):
            total[key] = mine + value
        elif isinstance(mine, dict) and isinstance(value, dict) and depth < _MAX_DEPTH:
            total[key] = _sum(mine, value, journal, f"{place}.{key}", depth + 1)
        elif mine != value:
            journal.conflict(f"{place}.{key}", mine, value)
    return total
