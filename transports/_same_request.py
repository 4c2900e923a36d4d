"""Whether a request is the one that was recorded, though ids that a client makes up differ each time."""

from __future__ import annotations

import re
from typing import Any, Dict, FrozenSet, Iterable, Iterator, Mapping, Optional, Set, Tuple

__all__ = ["Ids", "differences"]

_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![0-9a-zA-Z])[0-9a-f]{32}(?![0-9a-zA-Z])",
    re.IGNORECASE,
)

_HIDDEN = "***"


def differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """The paths, as in ``json.items[2].name``, of all texts and numbers in which two things of one form differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        # The names may differ too, but have kept their order.
        for theirs, (name, mine) in zip(one.values(), other.items()):
            yield from differences(theirs, mine, f"{at}.{name}" if at else name)
    elif isinstance(one, list) and isinstance(other, list):
        for place, (theirs, mine) in enumerate(zip(one, other)):
            yield from differences(theirs, mine, f"{at}[{place}]")
    elif one != other:
        yield at


class Ids:
    """Which id of this replay stands for which of the recording.

    ``told`` are the texts of the recording in their order, and for each whether a client said it. An id that a client
    said first was made up by it; another one may take its place, and does so from then on, in answers too.
    """

    def __init__(self, told: Iterable[Tuple[bool, str]]) -> None:
        self._known: Set[str] = set()
        self._made_up: Set[str] = set()
        #: From those of the replay to those of the recording, and back.
        self._recorded: Dict[str, str] = {}
        self._mine: Dict[str, str] = {}
        for by_client, text in told:
            found = set(_ID.findall(text))
            if by_client:
                self._made_up |= found - self._known
            self._known |= found

    def difference(self, recorded: Any, asked: Any, hidden: Iterable[str] = ()) -> Optional[str]:
        """Where the two differ, as a path; None if they are the same, which binds the ids that are new in them.

        At the paths ``hidden``, each ``***`` of what was recorded stands for any text.
        """
        new: Dict[str, str] = {}
        where = self._difference(recorded, asked, new, frozenset(hidden), "")
        if where is None:
            self._recorded.update(new)
            self._mine.update((theirs, mine) for mine, theirs in new.items())
        return where

    def recorded(self, thing: Any) -> Any:
        """The same with the ids of the recording."""
        return _replaced(thing, self._recorded)

    def mine(self, thing: Any) -> Any:
        """The same with the ids of this replay."""
        return _replaced(thing, self._mine)

    def _difference(
        self, recorded: Any, asked: Any, new: Dict[str, str], hidden: FrozenSet[str], at: str
    ) -> Optional[str]:
        if isinstance(recorded, dict) and isinstance(asked, dict):
            for name in [*recorded, *(name for name in asked if name not in recorded)]:
                place = f"{at}.{name}" if at else name
                if not (name in recorded and name in asked):
                    return place
                where = self._difference(recorded[name], asked[name], new, hidden, place)
                if where is not None:
                    return where
            return None
        if isinstance(recorded, list) and isinstance(asked, list):
            for number, (theirs, mine) in enumerate(zip(recorded, asked)):
                where = self._difference(theirs, mine, new, hidden, f"{at}[{number}]")
                if where is not None:
                    return where
            return None if len(recorded) == len(asked) else f"{at}[{min(len(recorded), len(asked))}]"
        if isinstance(recorded, str) and isinstance(asked, str):
            if at in hidden and _fits(recorded, asked):
                return None
            return None if self._same_text(recorded, asked, new) else at
        same = recorded == asked and isinstance(recorded, bool) == isinstance(asked, bool)
        return None if same else at

    def _same_text(self, recorded: str, asked: str, new: Dict[str, str]) -> bool:
        if recorded == asked:
            return True
        theirs, mine = _ID.findall(recorded), _ID.findall(asked)
        if not theirs or _ID.split(recorded) != _ID.split(asked):
            return False
        return all(self._bound(one, other, new) for one, other in zip(theirs, mine))

    def _bound(self, recorded: str, asked: str, new: Dict[str, str]) -> bool:
        bound = self._recorded.get(asked) or new.get(asked)
        if bound is not None or asked in self._known:
            return recorded == (bound or asked)
        if recorded not in self._made_up or recorded in self._mine or recorded in new.values():
            return False
        new[asked] = recorded
        return True


def _fits(recorded: str, asked: str) -> bool:
    """Whether this may have been asked before something secret was taken out of it."""
    pattern = ".*".join(map(re.escape, recorded.split(_HIDDEN)))
    return re.fullmatch(pattern, asked, re.DOTALL) is not None


def _replaced(thing: Any, ids: Mapping[str, str]) -> Any:
    if not ids:
        return thing
    if isinstance(thing, str):
        return _ID.sub(lambda found: ids.get(found[0], found[0]), thing)
    if isinstance(thing, dict):
        return {_replaced(name, ids): _replaced(value, ids) for name, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return type(thing)(_replaced(each, ids) for each in thing)
    return thing
