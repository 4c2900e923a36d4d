"""From message snapshots to what is new to show: one message at a time, each token once.

No terminal and no clock here: :class:`Narrator` is fed what ``run.messages()`` yields and returns pieces, which a
screen of :mod:`lgsync.cli.render` puts where the user can see them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple, Union

__all__ = ["Called", "Calling", "Ended", "Narrator", "Note", "Piece", "Returned", "Said", "call_text", "clean"]

#: Statuses after which a message says no more.
FINISHED = ("complete", "incomplete", "revised", "removed")

# A server's text must not steer the user's terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Said(NamedTuple):
    """More text: ``kind`` is "text", "reasoning", or the type of another speaker ("human", "system" …)."""

    kind: str
    text: str


class Calling(NamedTuple):
    """The tool calls of a message as far as they have come, one line each; the last may end in the middle."""

    lines: Tuple[str, ...]


class Called(NamedTuple):
    """A tool call that is whole. ``problem`` says what is wrong with it, if anything is."""

    name: str
    args: Any
    problem: str = ""


class Returned(NamedTuple):
    """What a tool answered."""

    name: str
    text: str
    failed: bool = False


class Note(NamedTuple):
    """A remark of ours on the message above, not part of it."""

    text: str


class Ended(NamedTuple):
    """The message that was being told is over; what comes next belongs to another."""


Piece = Union[Said, Calling, Called, Returned, Note, Ended]


def clean(text: str) -> str:
    """``text`` without control characters; line breaks and tabs stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def call_text(name: str, args: Any, *, growing: bool = False) -> str:
    """A tool call as one line of Python; while ``growing`` without what may still move at its end.

    >>> call_text("search", {"query": "weather in", "k": 3})
    'search(query="weather in", k=3)'
    >>> call_text("search", {"query": "weather in"}, growing=True)
    'search(query="weather in'
    """
    if isinstance(args, Mapping):
        inner = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in args.items())
    else:
        inner = str(args)
    return clean(f"{name}(" + (inner.rstrip('"]}') if growing else f"{inner})"))


class Narrator:
    """Turns snapshots of messages into pieces to show.

    Messages that stream side by side are told one after the other: while one is being told, the others wait, and
    nothing of them is lost. ``output_tokens`` sums what the models reported.
    """

    def __init__(self) -> None:
        self._fed = 0
        self.output_tokens = 0
        self._waiting: Dict[str, Any] = {}
        self._current = ""
        self._told: Dict[str, str] = {}
        self._ended: Dict[str, str] = {}

    def feed(self, message: Any) -> List[Piece]:
        """The pieces that this snapshot adds; maybe none, maybe those of messages that waited for it to end."""
        self._fed += 1
        key = message.id or f"unnamed-{self._fed}"
        if key in self._ended:
            return self._afterwards(key, message)
        self._waiting[key] = message
        pieces: List[Piece] = []
        self._current = self._current or key
        while self._current:
            pieces += self._tell(self._current, self._waiting[self._current])
            if self._current not in self._ended:
                break
            self._current = next(iter(self._waiting), "")
        return pieces

    def close(self) -> List[Piece]:
        """The pieces of messages that wait still; for when the stream ends before they did."""
        pieces: List[Piece] = []
        for key, message in self._waiting.items():
            pieces += [*self._tell_growth(key, message), Ended()]
        self._waiting.clear()
        self._current = ""
        return pieces

    def _tell(self, key: str, message: Any) -> List[Piece]:
        if message.status not in FINISHED:
            return self._tell_growth(key, message)
        del self._waiting[key]
        self._ended[key] = message.text
        self.output_tokens += int((message.usage or {}).get("output_tokens") or 0)
        if message.type == "remove" or message.status == "removed":
            return []
        if message.type == "tool":
            return [Returned(clean(message.name or "tool"), clean(message.text), message.tool_status == "error")]
        cut_short = [Note("cut short")] if message.status == "incomplete" else []
        return [*self._growth(key, message), *_calls(message), *cut_short, Ended()]

    def _tell_growth(self, key: str, message: Any) -> List[Piece]:
        if message.type == "tool":
            return []
        return [*self._growth(key, message), *_calling(message.tool_calls, growing=True)]

    def _growth(self, key: str, message: Any) -> List[Piece]:
        speaker = "text" if message.type == "ai" else message.type
        pieces: List[Piece] = []
        for kind, text in (("reasoning", message.reasoning), (speaker, message.text)):
            told = self._told.get(kind + key, "")
            if text == told:
                continue
            if not text.startswith(told):
                pieces.append(Note("said differently"))
                told = ""
            pieces.append(Said(kind, clean(text[len(told) :])))
            self._told[kind + key] = text
        return pieces

    def _afterwards(self, key: str, message: Any) -> List[Piece]:
        before, self._ended[key] = self._ended[key], message.text
        if message.status == "removed":
            return [Note(f"the message {_quote(before)} was removed")] if before else []
        if message.text == before:
            return []
        return [Note(f"the message {_quote(before)} was revised"), Said("text", clean(message.text)), Ended()]


def _quote(text: str) -> str:
    short = " ".join(clean(text).split())
    return f"“{short[:40].rstrip()}…”" if len(short) > 40 else f"“{short}”"


def _calling(calls: Any, *, growing: bool) -> List[Piece]:
    last = len(calls) - 1
    lines = [
        call_text(call["name"] or "", call["args"], growing=growing and at == last) for at, call in enumerate(calls)
    ]
    return [Calling(tuple(lines))] if lines else []


def _calls(message: Any) -> List[Piece]:
    whole = [Called(clean(call["name"] or ""), call["args"]) for call in message.tool_calls]
    broken = [
        Called(clean(call["name"] or ""), call["args"], clean(call.get("error") or "its arguments are not valid JSON"))
        for call in message.invalid_tool_calls or ()
    ]
    return [*_calling(message.tool_calls, growing=False), *whole, *broken]
