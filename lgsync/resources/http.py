"""Calls that no other resource makes: routes that a server has besides the API's."""

from __future__ import annotations

from typing import Any, Mapping, Optional
from urllib.parse import unquote

from ..answers import data_of
from ..errors import ConfigurationError
from ..paths import shown_url
from ..rest import Rest
from ._options import TimeoutValue, call_options

__all__ = ["HTTPClient"]


class HTTPClient:
    """``client.http``: calls of a server's own routes, with the client's URL, key, headers and limits.

    ``path`` begins with a slash. What is special in it is quoted, but for ``?``, ``#`` and the steps ``.`` and ``..``,
    which are refused (ConfigurationError): a query goes into ``params``, which no error shows. ``json`` is what is
    sent, as for a run's input. Each method returns the decoded JSON, or None for an empty answer, and raises the errors
    of :mod:`lgsync.errors`. Only ``get`` may be made again if it fails.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def get(
        self,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """``GET path``."""
        return self._called("GET", path, None, params, headers, timeout, deadline)

    def post(
        self,
        path: str,
        *,
        json: Any = None,
        params: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """``POST path``."""
        return self._called("POST", path, json, params, headers, timeout, deadline)

    def put(
        self,
        path: str,
        *,
        json: Any = None,
        params: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """``PUT path``."""
        return self._called("PUT", path, json, params, headers, timeout, deadline)

    def patch(
        self,
        path: str,
        *,
        json: Any = None,
        params: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """``PATCH path``."""
        return self._called("PATCH", path, json, params, headers, timeout, deadline)

    def delete(
        self,
        path: str,
        *,
        json: Any = None,
        params: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Any:
        """``DELETE path``."""
        return self._called("DELETE", path, json, params, headers, timeout, deadline)

    def _called(
        self,
        method: str,
        path: str,
        json: Any,
        params: Optional[Mapping[str, Any]],
        headers: Optional[Mapping[str, str]],
        timeout: TimeoutValue,
        deadline: Optional[float],
    ) -> Any:
        _check(path)
        answer = self._rest.answer(method, path, **call_options(headers, params, timeout, deadline, json=json))
        return data_of(answer, method) if answer.body.strip() else None


def _check(path: Any) -> None:
    shown = shown_url(path) if isinstance(path, str) else path
    if not isinstance(path, str) or not path.startswith("/"):
        raise ConfigurationError(f"path must begin with a slash, such as '/my/route'; not {shown!r}")
    if "?" in path.partition("#")[0]:
        raise ConfigurationError(
            f"path {shown!r} is followed by a query: pass that as params=…, or quote a question mark as %3F"
        )
    if "#" in path:
        raise ConfigurationError(
            f"path {shown!r} is followed by a fragment, which no server is sent: leave it out, or quote a # as %23"
        )
    # Quoted dots, too, are followed by some servers and proxies.
    if any(unquote(step) in (".", "..") for step in path.split("/")):
        raise ConfigurationError(
            f"path {path!r} holds a step '.' or '..', which leads elsewhere: write where it is to lead"
        )
