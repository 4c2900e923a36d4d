"""What one change of a message added."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Dict, Mapping, NamedTuple, Tuple

__all__ = ["EMPTY", "Delta", "appended", "delta_of", "text_difference"]

_NO_ARGS: Mapping[str, str] = MappingProxyType({})


class Delta(NamedTuple):
    """What one change added to a message; false if it added no words (a finish, new metadata).

    ``text`` and ``reasoning`` are what was appended to the message's ``text`` and ``reasoning``. ``tool_args`` are
    the pieces of JSON text appended to the arguments of tool calls, by the call's id, or by its index as text as long
    as it has no id; only servers that send arguments piecewise (``messages-tuple``) let it be known.

    ``replaced`` says that the text or the reasoning is not what it was plus the delta: read the message anew. So
    ``own = message.text if delta.replaced else own + delta.text`` always holds the text.
    """

    text: str = ""
    reasoning: str = ""
    tool_args: Mapping[str, str] = _NO_ARGS
    replaced: bool = False

    def __bool__(self) -> bool:
        return bool(self.text or self.reasoning or self.tool_args or self.replaced)

    def __reduce__(self) -> Tuple[Any, ...]:
        # A read-only mapping cannot be pickled as it is.
        return delta_of, (self.text, self.reasoning, dict(self.tool_args), self.replaced)


EMPTY = Delta()


def delta_of(text: str, reasoning: str, tool_args: Dict[str, str], replaced: bool) -> Delta:
    """A delta of these parts, cheap where there is little to say."""
    if tool_args:
        return Delta(text, reasoning, MappingProxyType(tool_args), replaced)
    return Delta(text, reasoning, _NO_ARGS, replaced) if text or reasoning or replaced else EMPTY


def appended(text: str) -> Delta:
    """The delta of a piece of text alone, in half the time that the class takes to make it."""
    return tuple.__new__(Delta, (text, "", _NO_ARGS, False))


def text_difference(before: Tuple[str, str], after: Tuple[str, str]) -> Delta:
    """The delta between two (text, reasoning) pairs: what was appended, or that they were replaced."""
    added = [new[len(old) :] if new.startswith(old) else None for old, new in zip(before, after)]
    return delta_of(added[0] or "", added[1] or "", {}, None in added)
