"""JSON that is still arriving: what the text so far already says.

``PartialJSON`` reads a text that grows, and looks at each character once. ``repaired`` reads a text that will grow no
more and is no complete JSON; it gives exactly what ``langchain_core.utils.json.parse_partial_json`` gives, in linear
time where that one tries one cut after another.
"""

from __future__ import annotations

import json
import re
from typing import Any, List, Optional

__all__ = ["PartialJSON", "repaired"]

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_PLAIN = re.compile(r'[^"\\]+')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_LOW_SURROGATE_BEGUN = re.compile(r"\\?\Z|\\u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?\Z")
_NUMBER_TAIL = re.compile(r"[-+.0-9eE]*\Z")
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\]]', re.DOTALL)

_CLOSER = {"{": "}", "[": "]"}

# What may come next.
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _COLON, _COMMA_OR_END, _NOTHING = range(7)


class PartialJSON:
    """A reader of one growing text. Hand it the text so far each time: ``read(text)`` looks only at what is new.

    Keys and characters that were once there stay there while the text grows: a cut inside an escape, or between two
    surrogates, keeps what came before it.
    """

    __slots__ = ("_expect", "_in_key", "_in_string", "_kept", "_place", "_safe", "_stack", "_stuck", "_target")

    def __init__(self, target: Optional[List[str]] = None) -> None:
        self._place = 0  # up to here the text was looked at and will not be again
        self._safe = -1  # the last place where closing what is open gives JSON
        self._stack: List[str] = []
        self._expect = _VALUE
        self._in_string = False
        self._in_key = False
        self._stuck = False
        self._target = target  # closers: remember the last safe place at which just these were needed
        self._kept = -1

    @property
    def place(self) -> int:
        """How much of the text was looked at for good."""
        return self._place

    def read(self, text: str) -> Any:
        """The value so far; raises ValueError if there is none yet, or RecursionError if it is too deep."""
        self._advance(text)
        closers = "".join(reversed(self._stack))
        if self._in_string and not self._in_key:
            return json.loads(text[: self._place] + '"' + closers, strict=False)
        return json.loads(text[: max(self._safe, 0)] + closers, strict=False)

    def kept(self, text: str) -> int:
        """The last place at which exactly the wanted closers would end the text well, or -1."""
        self._advance(text)
        return self._kept

    def _advance(self, text: str) -> None:
        while not self._stuck and self._place < len(text):
            before = self._place, self._expect, self._in_string
            if self._in_string:
                self._string(text)
            else:
                self._token(text)
            if before == (self._place, self._expect, self._in_string):
                return

    def _mark(self, place: int) -> None:
        self._safe = place
        if self._stack == self._target:
            self._kept = place

    def _string(self, text: str) -> None:
        """Go on inside a string, up to its end or to what cannot be told yet."""
        run = _PLAIN.match(text, self._place)
        if run:
            self._place = run.end()
            # The other half may still come.
            if self._place == len(text) and "\ud800" <= text[-1] <= "\udbff":
                self._place -= 1
        elif text[self._place] == '"':
            self._place += 1
            self._in_string = False
            self._end_of_string()
        else:
            self._escape(text)

    def _escape(self, text: str) -> None:
        escape = _ESCAPE.match(text, self._place)
        if not escape:
            self._stuck = not _ESCAPE_BEGUN.match(text, self._place)
        elif not (_HIGH_SURROGATE.match(text, self._place) and _LOW_SURROGATE_BEGUN.match(text, escape.end())):
            self._place = escape.end()

    def _end_of_string(self) -> None:
        if self._in_key:
            self._in_key = False
            self._expect = _COLON
        else:
            self._end_of_value(self._place)

    def _end_of_value(self, place: int) -> None:
        self._place = place
        self._expect = _COMMA_OR_END if self._stack else _NOTHING
        self._mark(place)

    def _token(self, text: str) -> None:
        space = _SPACE.match(text, self._place)
        self._place = space.end() if space else self._place
        if self._place == len(text):
            return
        char = text[self._place]
        expect = self._expect
        if expect in (_VALUE, _VALUE_OR_END) and char not in "}]":
            self._value(text, char)
        elif char == '"' and expect in (_KEY, _KEY_OR_END):
            self._open_string(key=True)
        elif char == ":" and expect == _COLON:
            self._place += 1
            self._expect = _VALUE
        elif char == "," and expect == _COMMA_OR_END:
            self._place += 1
            self._expect = _KEY if self._stack[-1] == "}" else _VALUE
        elif expect in (_COMMA_OR_END, _VALUE_OR_END, _KEY_OR_END) and char == self._stack[-1]:
            self._stack.pop()
            self._end_of_value(self._place + 1)
        else:
            self._stuck = True

    def _open_string(self, *, key: bool) -> None:
        self._place += 1
        self._in_string = True
        self._in_key = key

    def _value(self, text: str, char: str) -> None:
        if char == '"':
            self._open_string(key=False)
        elif char in _CLOSER:
            self._place += 1
            self._stack.append(_CLOSER[char])
            self._expect = _KEY_OR_END if char == "{" else _VALUE_OR_END
            self._mark(self._place)
        else:
            self._scalar(text)

    def _scalar(self, text: str) -> None:
        for literal in _LITERALS:
            if text.startswith(literal, self._place):
                self._end_of_value(self._place + len(literal))
                return
        number = _NUMBER.match(text, self._place)
        if number:
            self._mark(number.end())
            # A number that touches the end may go on, as 1 does in 1.5.
            if not _NUMBER_TAIL.match(text, number.end()):
                self._end_of_value(number.end())
            return
        rest = text[self._place : self._place + len("-Infinity")]
        self._stuck = not any(literal.startswith(rest) for literal in _LITERALS)


def repaired(text: str) -> Any:
    """What a text that ended too early, or is broken, says; raises ValueError if it says nothing.

    None stands for a closing bracket that nothing opened. Otherwise: if closing what is open makes it JSON, that;
    else the longest beginning which those same closers make JSON.
    """
    closers: List[str] = []
    tail = ""
    for token in _STRING_OR_BRACKET.finditer(text):
        char = token.group()
        if char in _CLOSER:
            closers.append(_CLOSER[char])
        elif char in ("}", "]"):
            if not closers or closers.pop() != char:
                return None
        elif not token.group(1):
            tail = '"'
            # A backslash at the very end is the beginning of an escape.
            text = text[: token.end()]
    ending = "".join(reversed(closers))
    try:
        return json.loads(text + tail + ending, strict=False)
    except json.JSONDecodeError:
        kept = PartialJSON(closers).kept(text)
        return json.loads(text[: max(kept, 0)] + ending, strict=False)
