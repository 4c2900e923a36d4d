"""Texts of a server's without what it must not be quoted with: the secrets of the very request that it answers."""

from __future__ import annotations

import base64
import contextlib
import re
from typing import Any, Iterator, Mapping

from ..secret_names import looks_secret

__all__ = ["Secrets"]

# A shorter value is found in words that quote nothing.
_SHORTEST = 8

_HIDDEN = b"***"

# How a character other than a letter or a digit is written where a text is quoted: as it is, or escaped as in JSON (or
# JSON in JSON), a URL or a page.
_ESCAPED = r"(?:\\*{0}|(?i:\\+u00{1:02x}|%{1:02x}|&#0*{1};|&#x0*{1:x};|&[a-z]+;))"


class Secrets:
    """The secrets among the headers of a request, to be hidden where its answer is shown."""

    def __init__(self, headers: Mapping[str, Any]) -> None:
        self._headers = headers

    def hidden(self, body: bytes) -> bytes:
        """``body``, the part of an answer that an error keeps, with ``***`` for each secret that it quotes."""
        pattern = self.pattern()
        return re.sub(pattern, _HIDDEN, body) if pattern else body

    def hidden_in_text(self, text: str) -> str:
        """The same, of a text."""
        return self.hidden(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def pattern(self) -> bytes:
        """What finds each of the secrets, in each of the ways it may be quoted; empty if there is none."""
        secrets = {each for each in self._values() if len(each) >= _SHORTEST}
        # One may begin as another does.
        return "|".join(map(_pattern, sorted(secrets, key=len, reverse=True))).encode("latin-1")

    def __repr__(self) -> str:
        return f"Secrets(headers={sorted(self._headers)!r})"

    def _values(self) -> Iterator[str]:
        for name, value in self._headers.items():
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            if name.lower() == "cookie":
                for pair in text.split(";"):
                    yield pair.partition("=")[2].strip(' "')
            elif name.lower() in ("authorization", "proxy-authorization"):
                yield from _credentials(text)
            elif looks_secret(name):
                yield text.strip()


def _credentials(value: str) -> Iterator[str]:
    """What authorizes, without the name of its scheme; of a user and a password that too."""
    scheme, blank, rest = value.strip().partition(" ")
    yield rest.strip() if blank else scheme
    if scheme.lower() == "basic":
        # Of what is no base64, nobody can make a password.
        with contextlib.suppress(ValueError):
            yield base64.b64decode(rest).decode("latin-1").partition(":")[2]


def _pattern(secret: str) -> str:
    return "".join(map(_written, secret))


def _written(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    as_utf_8 = character.encode("utf-8").decode("latin-1")
    return _ESCAPED.format(re.escape(character if character.isascii() else as_utf_8), ord(character))
