"""The log of the logger ``lgsync``: one line at DEBUG for each HTTP request that is made, one at INFO for each pause
before something is tried again. Headers and bodies are never logged, nor are values in a query that look secret.
"""

from __future__ import annotations

import logging
import re
import time
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Type
from urllib.parse import unquote, unquote_plus, urlsplit

from .paths import ids_in
from .secret_names import looks_secret

__all__ = ["RequestLine", "request_line", "tell_of_pause", "without_secrets"]

logger = logging.getLogger("lgsync")

_RUN = re.compile(r"/runs/([^/?#]+)")

# What stands in a path where a run's id may stand, too.
_NO_RUNS = frozenset(["batch", "cancel", "crons", "stream", "wait"])

_NO_HEADERS: Mapping[str, str] = {}


class RequestLine:
    """One request, from before it is sent to the head of its answer; a context manager. This one tells nobody."""

    def sending(self, url: str) -> None:
        """The request is about to be sent; without this there was none, and there is no line."""

    def answered(self, status: int, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """The head of the answer is here."""

    def __enter__(self) -> RequestLine:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """The request is over."""


class _Told(RequestLine):
    def __init__(self, method: str) -> None:
        self._method = method
        self._url: Optional[str] = None
        self._begun = 0.0

    def sending(self, url: str) -> None:
        self._url = url
        self._begun = time.perf_counter()

    def answered(self, status: int, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        self._tell(str(status), headers, status=status)

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if exc_type is not None:
            self._tell(exc_type.__name__, _NO_HEADERS, error=exc_type.__name__)

    def _tell(self, outcome: str, headers: Mapping[str, str], **fields: Any) -> None:
        url, self._url = self._url, None
        if url is None:
            return
        milliseconds = round((time.perf_counter() - self._begun) * 1000, 1)
        run_id = _run_in(url, headers)
        shown = without_secrets(url)
        known: Dict[str, Any] = {"method": self._method, "url": shown, **fields, "milliseconds": milliseconds}
        text, values = "%s %s -> %s in %.1f ms", [self._method, shown, outcome, milliseconds]
        if run_id is not None:
            known["run_id"] = run_id
            text, values = f"{text}, run %s", [*values, run_id]
        logger.debug(text, *values, extra={"lgsync": known})


_UNTOLD = RequestLine()


def request_line(method: str) -> RequestLine:
    """The line of a request that is about to be made; where nobody listens, nothing is worked out for it."""
    return _Told(method) if logger.isEnabledFor(logging.DEBUG) else _UNTOLD


def tell_of_pause(seconds: float, error: BaseException, run_id: Optional[str] = None) -> None:
    """Something (a stream of that run, or a call) is tried again after so many seconds, because of ``error``."""
    extra: Dict[str, Any] = {"lgsync": {"pause": seconds, "run_id": run_id}}
    if run_id is None:
        logger.info("Trying again in %.2f s: %s", seconds, error, extra=extra)
    else:
        logger.info("Run %s: trying again in %.2f s: %s", run_id, seconds, error, extra=extra)


def without_secrets(url: str) -> str:
    """``url`` as it may be shown: without user and password, and ``***`` for each value whose name looks secret."""
    parts = urlsplit(url)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    return shown._replace(query="&".join(map(_shown, parts.query.split("&")))).geturl()


def _shown(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}{equals}***" if equals and looks_secret(unquote_plus(name)) else pair


def _run_in(url: str, headers: Mapping[str, str]) -> Optional[str]:
    """The run that a request is about: its answer tells it, or its own path."""
    told = ids_in(headers).run_id
    if told is None:
        found = _RUN.search(urlsplit(url).path)
        told = unquote(found[1]) if found else None
    return None if told in _NO_RUNS else told
