"""The content of a streamed message: ``merge_content`` of langchain-core, and what each chunk said by it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from .blocks import spoken_key
from .delta import Delta, delta_of
from .history import Cell, Series, Table, Text, owned
from .merge import Journal, merge_element, target_of
from .tips import Tip, tip_for

__all__ = ["Content", "Said"]

_TEXT, _REASONING = "text", "reasoning"


class Said:
    """Collects what one chunk appended, and whether that was at the end of what had been said before."""

    __slots__ = ("_reasoning", "_text", "args")

    def __init__(self) -> None:
        # None once something was said elsewhere than at the end.
        self._text: Optional[str] = ""
        self._reasoning: Optional[str] = ""
        self.args: Dict[str, str] = {}

    def say(self, channel: str, piece: str, *, at_end: bool = True) -> None:
        if channel == _TEXT:
            self._text = None if self._text is None or not at_end else self._text + piece
        else:
            self._reasoning = None if self._reasoning is None or not at_end else self._reasoning + piece

    @property
    def reasoned(self) -> bool:
        return bool(self._reasoning)

    def delta(self) -> Delta:
        replaced = self._text is None or self._reasoning is None
        return delta_of(self._text or "", self._reasoning or "", self.args, replaced)


class Content:
    """A string, or a list of blocks, that chunks are added to."""

    __slots__ = ("_cell", "_last", "_tip", "string")

    def __init__(self, value: Any, journal: Journal, said: Said) -> None:
        #: The content, as long as it is a string.
        self.string: Optional[Text] = None
        self._tip: Optional[Tip] = None
        # Where the last words of each channel are: words before them are no mere extension.
        self._last = {_TEXT: -1, _REASONING: -1}
        if isinstance(value, list):
            series = Series(journal.version)
            self._cell = Cell(journal.version, series)
            for item in value:
                self._append(series, item, journal, said)
        else:
            self.string = Text(journal.version, "")
            self._cell = Cell(journal.version, self.string)
            self.add(value, journal, said)

    @property
    def series(self) -> Optional[Series]:
        """The blocks, if the content is a list by now."""
        return self._cell.value if isinstance(self._cell.value, Series) else None

    def at(self, version: int) -> Any:
        return self._cell.at(version)

    def words(self, channel: str, version: int) -> str:
        """The text, or the reasoning, as it was at a version."""
        value = self._cell.held(version)
        if isinstance(value, Text):
            return value.at(version) if channel == _TEXT else ""
        return "".join(_words_in(cell, channel, version) for cell in value.cells(version))

    def tip(self, block: Mapping[str, Any]) -> Optional[Tip]:
        """What a block appends to, if that is all it does and no words stand behind those that it may append."""
        if self._tip is not None and self._tip.fits(block):
            return self._tip
        tip = None if self.series is None else tip_for(self.series, block)
        if tip is not None and tip.key == spoken_key(tip.table.now("type")):
            tip.name = _TEXT if tip.key == _TEXT else _REASONING
            if tip.place < self._last[tip.name]:
                return None
            self._last[tip.name] = tip.place
        self._tip = tip
        return tip

    def add(self, value: Any, journal: Journal, said: Said) -> None:
        self._tip = None
        series = self.series
        if isinstance(value, str):
            if series is None:
                self._extend(self._cell.value, value, journal, said)
            else:
                self._add_string(series, value, journal, said)
        elif isinstance(value, list):
            if series is None:
                self._become_list(self._cell.value, value, journal, said)
            else:
                self._add_blocks(series, value, journal, said)
        elif value is not None:
            journal.conflict("content", "", value)

    def _extend(self, text: Text, value: str, journal: Journal, said: Said) -> None:
        if value:
            text.append(journal.version, value)
            journal.changed = True
            said.say(_TEXT, value)

    def _become_list(self, text: Text, items: List[Any], journal: Journal, said: Said) -> None:
        series = Series(journal.version)
        series.append(journal.version, text)
        if text.length:
            self._last[_TEXT] = 0
        self._cell.put(journal.version, series)
        self.string = None
        # langchain-core does not merge the items among themselves here.
        for item in items:
            self._append(series, item, journal, said)

    def _add_string(self, series: Series, value: str, journal: Journal, said: Said) -> None:
        # An empty list swallows text: the state has lost it as well.
        if not value or not len(series):
            return
        last = len(series) - 1
        if isinstance(series[last].value, (str, Text)):
            self._extend(series[last].node(), value, journal, said)
            self._last[_TEXT] = last
        else:
            self._append(series, value, journal, said)

    def _add_blocks(self, series: Series, blocks: List[Any], journal: Journal, said: Said) -> None:
        for block in blocks:
            place = target_of(series, block)
            if place is None:
                self._append(series, block, journal, said)
            else:
                self._merge(series, place, block, journal, said)

    def _append(self, series: Series, item: Any, journal: Journal, said: Said) -> None:
        place = series.append(journal.version, owned(item))
        channel, words = _spoken(item)
        if words:
            self._say(place, channel, words, said)
        # A string or block of nothing but empty text is no news.
        if words or channel != _TEXT or (isinstance(item, dict) and set(item) - {"type", "index", "text"}):
            journal.changed = True

    def _merge(self, series: Series, place: int, block: Dict[str, Any], journal: Journal, said: Said) -> None:
        table = series[place].node()
        key = spoken_key(table.now("type"))
        before = table.length(key) if key else 0
        merge_element(series, place, block, journal, f"content[{place}]")
        if key and table.length(key) > before:
            self._say(place, _TEXT if key == _TEXT else _REASONING, block[key], said)

    def _say(self, place: int, channel: str, piece: str, said: Said) -> None:
        said.say(channel, piece, at_end=place >= self._last[channel])
        self._last[channel] = max(place, self._last[channel])


def _spoken(item: Any) -> Tuple[str, str]:
    """The channel of a block and its words; empty strings if it is not one for saying something."""
    if isinstance(item, str):
        return _TEXT, item
    kind = item.get("type") if isinstance(item, dict) else None
    key = spoken_key(kind)
    words = item.get(key) if key else None
    if not isinstance(words, str):
        return "", ""
    return (_TEXT if key == _TEXT else _REASONING), words


def _words_in(cell: Cell, channel: str, version: int) -> str:
    item = cell.held(version)
    if isinstance(item, Text):
        return item.at(version) if channel == _TEXT else ""
    if isinstance(item, Table):
        key = spoken_key(item.get("type", version))
        item = {"type": item.get("type", version), key: item.get(key, version)} if key else None
    said, words = _spoken(item)
    return words if said == channel else ""
