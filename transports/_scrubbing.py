"""What a recording must not hold: the keys of requests, wherever they are quoted, and what is named like a secret."""

from __future__ import annotations

import re
import threading
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from ..recording import line_of
from ..request_log import looks_secret, without_secrets
from ..transport import TransportConfig
from ._hiding import Secrets

__all__ = ["HIDDEN", "Scrubber"]

#: What stands in place of a secret.
HIDDEN = "***"

# Fields of JSON that hold secrets by their names. A "token" is one in a request, and a piece of text in an answer; a
# "key" names an item of the store.
_NAMES = (
    r"(?:api[_-]?keys?|authorization|cookies?|passw(?:or)?d|passphrase|secrets?|secret[_-]?key|private[_-]?key"
    r"|credentials?|jwt|(?:access|refresh|id|auth|bearer|session|csrf)[_-]?token)"
)
_FIELD = re.compile(rf"{_NAMES}$", re.IGNORECASE)
_FIELD_OF_REQUEST = re.compile(rf"(?:{_NAMES}|(?:^|[_-])token|[a-z]Token)$", re.IGNORECASE)

_QUERY = re.compile(r"(?P<name>[?&;#][^\s\"'<>=?&;#]{1,64}=)(?P<value>[^\s\"'<>&#;]+)")
_USER = re.compile(r"(?<=://)[^\s/\"'<>@]{1,256}@")

# Whether a line may hold any of this: it costs little, and nearly all lines hold nothing.
_SUSPECT = re.compile(
    rf'{_NAMES}"\s*:|token"\s*:|[?&;#][^\s"=?&;#]{{1,64}}=|://[^\s/"@]{{1,256}}@'.encode(), re.IGNORECASE
)


class Scrubber:
    """Knows the secrets of one client's requests, and takes them, and what is named like one, out of lines."""

    def __init__(self, config: TransportConfig) -> None:
        self._lock = threading.Lock()
        self._known: Dict[str, Tuple[str, str]] = {}
        self._pattern: Optional[re.Pattern[bytes]] = None
        self.learn(config.headers)
        self._learn_session(config.session)

    def learn(self, headers: Optional[Mapping[str, Any]]) -> None:
        """These headers go with a request: what is secret of them must not be seen again."""
        if headers:
            text = {name: v.decode("latin-1") if isinstance(v, bytes) else str(v) for name, v in headers.items()}
            self._add({f"{name}\n{value}": (name, value) for name, value in text.items()})

    def request(self, request: Any) -> Any:
        """A request without what its fields' names say is secret; that is not to be seen in any answer either."""
        found: Dict[str, Any] = {}
        cleaned = _without_named(request, _FIELD_OF_REQUEST, found)
        if isinstance(cleaned, dict):
            cleaned = self._request_line(cleaned, found)
        self._add({f"secret\n{value}": ("secret", value) for value in found})
        return self._hidden(cleaned)

    def answer(self, line: Dict[str, Any]) -> Dict[str, Any]:
        """Another line, or what was answered, without secrets."""
        written = line_of(line)
        if _SUSPECT.search(written) is None and (self._pattern is None or self._pattern.search(written) is None):
            return line
        cleaned: Dict[str, Any] = self._hidden(_without_named(line, _FIELD, {}))
        return cleaned

    def _request_line(self, request: Dict[str, Any], found: Dict[str, Any]) -> Dict[str, Any]:
        """A query's values, and a path that has a query of its own."""
        path, params = request.get("path"), request.get("params")
        if isinstance(path, str) and "?" in path:
            request = {**request, "path": without_secrets(path)}
        if isinstance(params, dict):
            secret = {name: value for name, value in params.items() if looks_secret(name)}
            found.update({str(value): None for value in secret.values()})
            request = {**request, "params": {**params, **dict.fromkeys(secret, HIDDEN)}}
        return request

    def _learn_session(self, session: Any) -> None:
        if session is None:
            return
        self.learn(session.headers)
        values = [str(cookie.value) for cookie in session.cookies]
        if isinstance(session.auth, tuple):
            values.append(str(session.auth[1]))
        self._add({f"secret\n{value}": ("secret", value) for value in values})

    def _add(self, pairs: Mapping[str, Tuple[str, str]]) -> None:
        with self._lock:
            if pairs.keys() <= self._known.keys():
                return
            self._known.update(pairs)
            patterns = {Secrets(dict([pair])).pattern() for pair in self._known.values()}
            # One may begin as another does.
            finds = sorted(filter(None, patterns), key=len, reverse=True)
            self._pattern = re.compile(b"|".join(finds)) if finds else None

    def _hidden(self, thing: Any) -> Any:
        if isinstance(thing, str):
            return self._hidden_text(thing)
        if isinstance(thing, dict):
            return {self._hidden_text(name): self._hidden(value) for name, value in thing.items()}
        if isinstance(thing, list):
            return [self._hidden(each) for each in thing]
        return thing

    def _hidden_text(self, text: str) -> str:
        if self._pattern is not None:
            text = self.body(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
        if "://" in text:
            text = _USER.sub(f"{HIDDEN}@", text)
        return _QUERY.sub(_hidden_in_query, text) if "=" in text else text

    def body(self, data: bytes) -> bytes:
        """A body that is no text."""
        return data if self._pattern is None else self._pattern.sub(HIDDEN.encode(), data)


def _hidden_in_query(found: re.Match[str]) -> str:
    return found["name"] + HIDDEN if looks_secret(found["name"]) else found[0]


def _without_named(thing: Any, names: re.Pattern[str], found: Dict[str, Any]) -> Any:
    """The same with ``***`` for each text in a field of such a name; what stood there is put into ``found``."""
    if isinstance(thing, dict):
        return {
            name: _blotted(value, found) if names.search(name) else _without_named(value, names, found)
            for name, value in thing.items()
        }
    if isinstance(thing, list):
        return [_without_named(each, names, found) for each in thing]
    return thing


def _blotted(thing: Any, found: Dict[str, Any]) -> Any:
    if isinstance(thing, dict):
        return {name: _blotted(value, found) for name, value in thing.items()}
    if isinstance(thing, list):
        return [_blotted(each, found) for each in thing]
    if thing is None or isinstance(thing, bool) or thing == "":
        return thing
    found.update(dict.fromkeys(_texts(thing)))
    return HIDDEN


def _texts(thing: Any) -> Iterator[str]:
    text = str(thing)
    yield text
    scheme, blank, rest = text.partition(" ")
    if blank and scheme.lower() in ("bearer", "basic"):
        yield rest
