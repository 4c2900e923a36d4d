"""What Python values are in JSON, and what is to be said of one that is nothing there."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import os
from collections.abc import Awaitable, Generator, Iterator, Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Type, TypeVar, Union, cast
from uuid import UUID

from pydantic_core import to_jsonable_python

from .errors import ConfigurationError, WrongType

__all__ = ["GREATEST", "LEAST", "Unfit", "checked_mapping", "plain", "rebuilt"]

M = TypeVar("M")

# What JSON has; every other value is taken a step towards these.
_SCALARS = (str, int, float, type(None))

# Servers read no deeper; nothing that a person builds comes near.
_DEEPEST = 1000

#: Beyond these, servers read a float, whose digits are others.
LEAST, GREATEST = -(2**63), 2**64 - 1

# A path shows so many of its first and last steps.
_FIRST_STEPS, _LAST_STEPS = 9, 3
_KEY_CHARS = 40


class Unfit(TypeError):
    """A value has no form in JSON: ``what`` it is, and the ``advice`` that helps."""

    def __init__(self, what: str, advice: str, kind: Type[ConfigurationError] = ConfigurationError) -> None:
        super().__init__(what, advice)
        self.what = what
        self.advice = advice
        self.kind = kind

    def at(self, path: str) -> ConfigurationError:
        """The error to raise, which names the place of the value."""
        return self.kind(f"{path or 'The request body'}: {self.what}; {self.advice}")


def plain(value: Any) -> Any:
    """A step from ``value``, which JSON does not have, towards what it has; raises Unfit if there is none.

    Models, dataclasses (fields that begin with an underscore left out) and objects with ``to_dict()`` or ``dict()``
    become what they hold, mappings dicts, arrays and sequences lists, sets lists in order (in their own if their
    members cannot be compared), enums their value, dates and times their ISO form, and UUIDs, Decimals, durations,
    paths, addresses and URLs the text that pydantic writes for them.
    """
    return _step_of(type(value))(value)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=1024)
def _step_of(kind: Type[Any]) -> Callable[[Any], Any]:
    """How values of that type are taken a step further. Kept, as it takes longer to find than to do."""
    if issubclass(kind, (type, bytes, bytearray, memoryview)):
        return _refuse
    if issubclass(kind, Enum):
        return operator.attrgetter("value")
    if issubclass(kind, (datetime, date, time)):
        return lambda value: _of_time(value).isoformat()
    if hasattr(kind, "tolist"):
        return _list_of_array
    # Before model_dump(): the results of this package are models, and mappings of just what was sent.
    if issubclass(kind, Mapping) or (hasattr(kind, "keys") and hasattr(kind, "__getitem__")):
        return dict
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")]
        return lambda value: {name: getattr(value, name) for name in names}
    for method in ("model_dump", "to_dict", "dict"):
        if callable(getattr(kind, method, None)):
            return operator.methodcaller(method)
    if issubclass(kind, Set):
        return _in_order
    return list if issubclass(kind, Sequence) else _text


def _refuse(value: Any) -> Any:
    raise _unfit(value)


def _list_of_array(array: Any) -> Any:
    """An array's items, or the one of a scalar; times as such, which numpy may count in nanoseconds."""
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    if kind == "M":
        array = _of_time(array).astype("datetime64[us]")
    return (_of_time(array) if kind == "m" else array).tolist()


def _of_time(value: Any) -> Any:
    """The same, unless it is one of pandas' or numpy's that stand for no time, or holds one; these differ from all."""
    differs = value != value
    if differs.any() if hasattr(differs, "any") else differs:
        raise Unfit("NaT is no time", "pass None instead, or leave it out")
    return value


def _in_order(members: Set[Any]) -> List[Any]:
    try:
        return sorted(members)
    except TypeError:
        return list(members)


def _text(value: Any) -> str:
    if isinstance(value, Decimal) and not value.is_finite():
        raise _not_a_number(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if type(value).__module__ == "ipaddress":
        # Not known to the first releases of pydantic 2.
        return str(value)
    # These two would be taken: one is used up by it, the other comes out as asterisks.
    if not isinstance(value, Iterator) and not hasattr(value, "get_secret_value"):
        try:
            text = to_jsonable_python(value)
        except ValueError as exc:
            raise _unfit(value) from exc
        if isinstance(text, str):
            return text
    raise _unfit(value)


def _unfit(value: Any) -> Unfit:
    name = type(value).__name__
    # Within pydantic's models iterators are of its own kind.
    iterator = isinstance(value, Iterator) and not isinstance(value, Generator) and not hasattr(value, "read")
    cannot = f"{'an iterator' if iterator else _a(name)} cannot be written as JSON"
    if isinstance(value, type):
        return Unfit(f"the class {value.__name__} cannot be written as JSON", "pass an instance of it", WrongType)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Unfit(f"{name} cannot be written as JSON", "decode() them to text, or base64 them", WrongType)
    if hasattr(value, "get_secret_value"):
        return Unfit(f"{_a(name)} is kept secret", "pass its get_secret_value() if it is meant to be sent", WrongType)
    if hasattr(value, "read"):
        return Unfit(cannot, "read() it, and pass what it holds", WrongType)
    if isinstance(value, Iterator):
        return Unfit(cannot, "make a list() of it", WrongType)
    if isinstance(value, Awaitable):
        return Unfit(cannot, "await it, and pass its result", WrongType)
    if callable(value):
        return Unfit(cannot, "call it and pass its result, or pass its name", WrongType)
    return Unfit(cannot, "pass a dict, a dataclass or a pydantic model, or its text", WrongType)


def _a(name: str) -> str:
    if name == "bytes":
        return name
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _not_a_number(value: Any) -> Unfit:
    return Unfit(f"{value} is no number in JSON", "pass None or text instead, or leave it out")


class _Place(NamedTuple):
    """Where a value stands: ``step`` leads to it from the place ``within`` which it stands; "" to the same place."""

    within: Optional[_Place]
    step: str
    depth: int

    def inner(self, step: str) -> _Place:
        return _Place(self, step, self.depth + 1)

    @property
    def path(self) -> str:
        steps: List[str] = []
        place: Optional[_Place] = self
        while place is not None:
            steps += [place.step] if place.step else []
            place = place.within
        steps.reverse()
        if len(steps) > _FIRST_STEPS + _LAST_STEPS:
            steps[_FIRST_STEPS:-_LAST_STEPS] = ["…"]
        return "".join(steps).lstrip(".")


class _Leaving(NamedTuple):
    """All within a container was seen; ``failure`` is what is wrong with the container itself."""

    of: Any
    place: _Place
    failure: Optional[Unfit]


class _Entering(NamedTuple):
    """A value is to be seen; its plain form goes into ``target[slot]``."""

    value: Any
    place: _Place
    target: Any
    slot: Any


def rebuilt(value: Any) -> Any:
    """``value`` made of what JSON has alone, the keys of its dicts being text.

    Raises ConfigurationError, or WrongType, for what has no form there; it names the path to it. It takes its own
    stack, so that it can say of a value too that it is nested too deeply.
    """
    result: List[Any] = [None]
    waiting: List[Union[_Entering, _Leaving]] = [_Entering(value, _Place(None, "", 0), result, 0)]
    inside: Dict[int, _Place] = {}
    while waiting:
        item = waiting.pop()
        try:
            if isinstance(item, _Leaving):
                del inside[id(item.of)]
                if item.failure is not None:
                    raise item.failure
            elif isinstance(item.value, _SCALARS):
                item.target[item.slot] = _checked(item.value)
            else:
                waiting.extend(_entered(item, inside))
        except Unfit as unfit:
            raise unfit.at(item.place.path) from unfit.__cause__
    return result[0]


def _entered(item: _Entering, inside: Dict[int, _Place]) -> List[Union[_Entering, _Leaving]]:
    """What is to be seen next, the last first: the items of a container, or what a value is a step further."""
    value, place = item.value, item.place
    if id(value) in inside:
        again = inside[id(value)].path or "the whole"
        raise Unfit(f"it holds {again} again, in a circle", "pass an id in this place, or leave it out")
    if place.depth > _DEEPEST:
        raise Unfit(f"it is nested more than {_DEEPEST} levels deep", "make it flatter, or pass it as text")
    inside[id(value)] = place
    if isinstance(value, dict):
        named = _by_name(value)
        made: Any = dict.fromkeys(named)
        within = [_Entering(each, place.inner(_step(name)), made, name) for name, each in named.items()]
    elif isinstance(value, (list, tuple)):
        made = [None] * len(value)
        within = [_Entering(each, place.inner(f"[{index}]"), made, index) for index, each in enumerate(value)]
    else:
        further, failure = _further(value)
        return [_Leaving(value, place, failure), _Entering(further, place.inner(""), item.target, item.slot)]
    item.target[item.slot] = made
    within.reverse()
    return [_Leaving(value, place, None), *within]


def _further(value: Any) -> Tuple[Any, Optional[Unfit]]:
    """``value`` a step further. A model that cannot dump itself is looked into for what is in its way."""
    try:
        return plain(value), None
    except Unfit:
        raise
    except (TypeError, ValueError, RecursionError) as exc:
        failure = Unfit(f"{_a(type(value).__name__)} cannot be written as JSON", f"it says: {exc}")
        failure.__cause__ = exc
        return dict(getattr(value, "__dict__", {})), failure


def _checked(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise Unfit(
                f"the text holds {value[exc.start]!a} at {exc.start}, half of a character (a lone surrogate)",
                'mend it, for instance with text.encode("utf-8", "replace").decode()',
            ) from exc
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _not_a_number(value)
    elif value is not None and not LEAST <= value <= GREATEST:
        raise Unfit("an integer of more than 64 bits would reach the graph as a float", "pass it as text")
    return value


def _by_name(mapping: Dict[Any, Any]) -> Dict[str, Any]:
    """The same items under the text of their keys."""
    named: Dict[str, Any] = {}
    for key, value in mapping.items():
        name = _name(key)
        if name in named:
            raise Unfit(f"two of its keys are {_short(name)} in JSON", "keep one of them")
        named[name] = value
    return named


def _name(key: Any) -> str:
    """The text of a key: what stands in JSON for its value."""
    if isinstance(key, str):
        return cast(str, _checked(key))
    if isinstance(key, Enum):
        return _name(key.value)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return float.__repr__(_checked(key)).replace("e-0", "e-")
    if isinstance(key, (datetime, date, time, UUID)) or hasattr(type(key), "tolist"):
        return _name(plain(key) if not isinstance(key, UUID) else str(key))
    raise Unfit(
        f"{_a(type(key).__name__)} cannot be a key in JSON", "use text, a number, a date, a UUID or an enum", WrongType
    )


def _step(name: str) -> str:
    return f".{name}" if name.isidentifier() else f"[{_short(name)}]"


def _short(name: str) -> str:
    text = repr(name)
    return text if len(text) <= _KEY_CHARS else f"{text[:_KEY_CHARS]}…"


def checked_mapping(name: str, value: M, hint: str = "") -> M:
    """The argument ``name``, if it is a mapping; raises WrongType otherwise."""
    if not isinstance(value, Mapping):
        raise WrongType(f"{name} must be a mapping such as a dict, not {type(value).__name__}{hint}")
    return value
