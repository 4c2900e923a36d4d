"""What the body of an answer says, in words for a person: the server's own, or those of a web page in its place."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, List

__all__ = ["field_of", "is_page", "shown", "text_of", "words_of"]

#: How much of a strange body is shown.
SNIPPET_CHARS = 200

# So much of a page is looked at, and so many of a list of mistakes are named.
_PAGE_CHARS = 65536
_MISTAKES = 5

# How deep the words may be wrapped: {"error": {"detail": {"message": …}}}.
_WRAPPINGS = 4

# Where words are, first of all where zod has its list: what else is beside that says less.
_WORD_KEYS = ("issues", "message", "detail", "error", "title", "errors")

_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def text_of(body: bytes, content_type: str) -> str:
    """The text of a body, in the character set that its type names; what is none comes out as U+FFFD."""
    named = _CHARSET.search(content_type)
    try:
        return body.decode(named[1] if named else "utf-8", "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def is_page(text: str) -> bool:
    """Whether a body is HTML, or XML, which the API never answers with."""
    return text[:100].lstrip("\ufeff \t\r\n").startswith("<")


def shown(text: str, content_type: str) -> str:
    """A strange body in a few words, without any markup."""
    if not text.strip():
        return "an empty body"
    kind = content_type or "a body of no type"
    if is_page(text):
        words = _words_of_page(text)[:SNIPPET_CHARS]
        return f"{kind}, a web page that says {words!r}" if words else f"{kind}, a web page without a word"
    return f"{kind}: {text[:SNIPPET_CHARS]!r}"


def words_of(body: Any) -> str:
    """What the body of a refusal says: a decoded one, or its text if it is no JSON; "" if it says nothing.

    ``message``, ``detail``, ``error`` and ``title`` are looked for in that order, within each other too; a list of
    mistakes, as FastAPI and zod make them, becomes one sentence that names the place of each.
    """
    if isinstance(body, str) and is_page(body):
        return _words_of_page(body)
    return _words(body, _WRAPPINGS)


def field_of(body: Any, name: str) -> Any:
    """A field of a refusal beside its words, such as ``code``; it may be wrapped as the words may be."""
    for each in (body, *(body.get(key) for key in ("error", "detail"))) if isinstance(body, dict) else ():
        if isinstance(each, dict) and each.get(name) is not None:
            return each[name]
    return None


def _words(said: Any, wrappings: int) -> str:
    if isinstance(said, str):
        return _words_of_text(said.strip(), wrappings)
    if not said or wrappings == 0:
        return str(said) if said else ""
    if isinstance(said, list):
        return _listed([_mistake(each, wrappings) for each in said])
    if isinstance(said, dict):
        for key in _WORD_KEYS:
            words = _words(said.get(key), wrappings - 1)
            if words:
                return words
        if any(isinstance(said.get(key), str) for key in _WORD_KEYS):
            return ""
    return str(said)


def _words_of_text(text: str, wrappings: int) -> str:
    # The message of a ZodError is its list of mistakes, written as JSON.
    if wrappings and text.startswith("[") and text.endswith("]"):
        try:
            mistakes = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if mistakes and all(isinstance(each, dict) for each in mistakes):
            return _words(mistakes, wrappings - 1)
    return text


def _listed(mistakes: List[str]) -> str:
    more = len(mistakes) - _MISTAKES
    return "; ".join(mistakes[:_MISTAKES]) + (f"; and {more} more" if more > 0 else "")


def _mistake(mistake: Any, wrappings: int) -> str:
    if not isinstance(mistake, dict):
        return _words(mistake, wrappings - 1)
    fields: Dict[str, Any] = {"message": mistake.get("msg"), **mistake}
    place = _place(mistake.get("loc") or mistake.get("path") or ())
    words = _words(fields["message"], wrappings - 1) or str(mistake)
    return f"{place}: {words}" if place else words


def _place(steps: Any) -> str:
    if not isinstance(steps, (list, tuple)):
        return str(steps)
    return "".join(_steps(steps)).lstrip(".")


def _steps(steps: Iterable[Any]) -> Iterable[str]:
    for step in steps:
        yield f"[{step}]" if isinstance(step, int) else f".{step}"


def _words_of_page(page: str) -> str:
    """The title of a page, or else its text."""
    from html import unescape

    page = page[:_PAGE_CHARS]
    words = _within(page, "title") or _within(page, "body") or page
    return " ".join(unescape(_TAG.sub(" ", words)).split())


def _within(page: str, element: str) -> str:
    """What stands in the first such element; it may lack its end. No expression: a hostile page would take it ages."""
    lower = page.lower()
    begin = lower.find(f"<{element}")
    opened = lower.find(">", begin)
    if begin < 0 or opened < 0:
        return ""
    end = lower.find(f"</{element}", opened)
    return page[opened + 1 : end if end >= 0 else None].strip()
