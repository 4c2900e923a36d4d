"""JSON of ``[message, metadata]`` where the metadata is, byte for byte, that of an event before: it is read once.

Servers repeat some 850 bytes of metadata around each token. Here the end of such a text is remembered, from the comma
between the two, and of a text that ends alike only what is before it is parsed. That gives the same as to parse it all:
where ``[message]`` is a list of one, and ``{…}`` an object, ``[message,{…}]`` is the list of these two.

Budget: 2.5 µs for an event of 1 KB, whose JSON as a whole would take more (``python -m benchmarks --only layers``).
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Tuple

from pydantic_core import from_json

from ..codec import decode

__all__ = ["RepeatedTail"]

# As many models may speak at once; of more, some are read anew each time.
_MOST_TAILS = 8

# Of longer texts nothing is remembered: they are not tokens.
_MOST_BYTES = 65536

# Commas that may be the one between the two; metadata that holds lists of objects has others behind it.
_MOST_COMMAS = 4


class _Tail(NamedTuple):
    """``text`` is the end of an event from the comma on.

    ``nested`` are those values of the metadata that could be changed, each with what makes another of it.
    """

    text: bytes
    metadata: Dict[str, Any]
    nested: List[Tuple[str, Any, Callable[[Any], Any]]]


class RepeatedTail:
    """Decodes one stream's tuples. What it gives is the caller's: no two results share anything that can be changed."""

    def __init__(self) -> None:
        self._tails: Deque[_Tail] = deque(maxlen=_MOST_TAILS)

    def decode(self, data: bytes) -> Any:
        """What :func:`lgsync.codec.decode` gives; raises what that raises."""
        for number, tail in enumerate(self._tails):
            text, metadata, nested = tail
            if data.endswith(text):
                decoded = _before(data, len(data) - len(text))
                if decoded is not None:
                    metadata = metadata.copy()
                    for key, value, another in nested:
                        metadata[key] = another(value)
                    decoded.append(metadata)
                    if number:
                        del self._tails[number]
                        self._tails.appendleft(tail)
                    return decoded
        try:
            decoded = from_json(data)
        except ValueError:
            return decode(data)
        if type(decoded) is list and len(decoded) == 2 and type(decoded[1]) is dict and len(data) <= _MOST_BYTES:
            self._remember(data, decoded[1])
        return decoded

    def _remember(self, data: bytes, metadata: Dict[str, Any]) -> None:
        comma = len(data)
        for _ in range(_MOST_COMMAS):
            comma = data.rfind(b",{", 0, comma)
            if comma < 0:
                return
            if _before(data, comma) is not None:
                metadata = _copied(metadata)
                nested = [(key, value, _copier(value)) for key, value in metadata.items() if _is_nested(value)]
                self._tails.appendleft(_Tail(data[comma:], metadata, nested))
                return


def _before(data: bytes, comma: int) -> Optional[List[Any]]:
    """A list of what is before this comma, if that is one thing in a list."""
    try:
        decoded = from_json(data[:comma] + b"]")
    except ValueError:
        return None
    return decoded if type(decoded) is list and len(decoded) == 1 else None


def _is_nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _copier(value: Any) -> Callable[[Any], Any]:
    """What copies a value, with all in it that can be changed."""
    inner = value.values() if isinstance(value, dict) else value
    return _copied if any(map(_is_nested, inner)) else type(value).copy


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(each) for each in value]
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return value
