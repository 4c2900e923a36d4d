"""What a recording must not hold: the keys of requests, wherever they are quoted, and what is named like a secret."""

from __future__ import annotations

import re
import threading
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple

from ..recording import line_of
from ..request_log import without_secrets
from ..secret_names import ENDINGS, is_secret_in_answer, is_secret_in_request, looks_secret
from ..transport import TransportConfig
from ._hiding import Secrets

__all__ = ["HIDDEN", "Scrubber"]

#: What stands in place of a secret.
HIDDEN = "***"

# Elsewhere a query's "key" is one that opens something.
_STORE, _STORE_PARAMS = "/store/items", ("key",)

_QUERY = re.compile(r"(?P<name>[?&;#][^\s\"'<>=?&;#]{1,64}=)(?P<value>[^\s\"'<>&#;]+)")
_USER = re.compile(r"(?<=://)[^\s/\"'<>@]{1,256}@")

# What a database is told: nothing but names and values, between blanks or ";".
_PAIR = re.compile(
    r"(?P<name>(?<![^\s;])(?:(?:user|data|initial|integrated) )?[\w.-]{1,64}\s*=\s*)"
    r"(?P<value>'(?:[^'\\]|\\.)*'|[^\s;]+)",
    re.IGNORECASE,
)
_PAIRS_END = re.compile(r"[\s;]*")

# How a field that is secret in an answer ends on a line; nearly all lines have none.
_ENDINGS = tuple(f'{word}":'.encode() for word in ENDINGS)


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
        cleaned = _without_pairs(_without_named(request, is_secret_in_request, found), found)
        if isinstance(cleaned, dict):
            cleaned = self._request_line(cleaned, found)
        self._add({f"secret\n{value}": ("secret", value) for value in found})
        return self._hidden(cleaned)

    def line(self, line: Dict[str, Any]) -> bytes:
        """A line of the file, without secrets."""
        written = line_of(line)
        if not (_is_suspect(written) or (self._pattern is not None and self._pattern.search(written))):
            return written
        return line_of(self._hidden(_without_named(line, is_secret_in_answer, {})))

    def _request_line(self, request: Dict[str, Any], found: Dict[str, Any]) -> Dict[str, Any]:
        """A query's values, and a path that has a query of its own."""
        path, params = request.get("path"), request.get("params")
        if isinstance(path, str) and "?" in path:
            request = {**request, "path": without_secrets(path)}
        if isinstance(params, dict):
            plain = _STORE_PARAMS if path == _STORE else ()
            secret = {name: value for name, value in params.items() if looks_secret(name) and name not in plain}
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


def _is_suspect(written: bytes) -> bool:
    """Whether a line may hold something that is named like a secret, or a URL that may."""
    if b"=" in written or b"://" in written:
        return True
    lowered = written.lower()
    return any(ending in lowered for ending in _ENDINGS)


def _hidden_in_query(found: re.Match[str]) -> str:
    return found["name"] + HIDDEN if looks_secret(found["name"]) else found[0]


def _without_named(thing: Any, is_secret: Callable[[str], bool], found: Dict[str, Any]) -> Any:
    """The same with ``***`` for each text in a field of such a name; what stood there is put into ``found``."""
    if isinstance(thing, dict):
        return {
            name: _blotted(value, found) if is_secret(name) else _without_named(value, is_secret, found)
            for name, value in thing.items()
        }
    if isinstance(thing, list):
        return [_without_named(each, is_secret, found) for each in thing]
    return thing


def _without_pairs(thing: Any, found: Dict[str, Any]) -> Any:
    """The same with ``***`` for the password in each text that tells how to reach a database."""
    if isinstance(thing, dict):
        return {name: _without_pairs(value, found) for name, value in thing.items()}
    if isinstance(thing, list):
        return [_without_pairs(each, found) for each in thing]
    if not isinstance(thing, str) or "=" not in thing or _PAIRS_END.fullmatch(_PAIR.sub("", thing)) is None:
        return thing

    def hidden(pair: re.Match[str]) -> str:
        if not looks_secret(pair["name"]):
            return pair[0]
        found[pair["value"].strip("'")] = None
        return pair["name"] + HIDDEN

    return _PAIR.sub(hidden, thing)


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
