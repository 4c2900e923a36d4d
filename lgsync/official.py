"""The way in for programs that were written for the official client's ``get_sync_client``."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Union

from .client import FROM_ENVIRONMENT, Client
from .errors import ConfigurationError
from .run_defaults import RunDefaults
from .transport import Timeout

__all__ = ["get_sync_client"]

_URL = "http://localhost:8123"

_DEFAULTS = RunDefaults(stream_mode="values", on_close="continue", raise_error=False)


def get_sync_client(
    *,
    url: Optional[str] = None,
    api_key: Optional[str] = FROM_ENVIRONMENT,
    headers: Optional[Mapping[str, str]] = None,
    timeout: Union[float, Sequence[Optional[float]], Any, None] = None,
) -> Client:
    """A :class:`Client` that takes the official client's arguments, and has its defaults.

    ``url`` is http://localhost:8123 if left out. ``timeout`` is in seconds: a number; a tuple of connect, read, write
    and pool; or an ``httpx.Timeout`` (only the first two are used). None is 5 s to connect and 300 s to read.

    Runs stream their ``values``, go on if their stream is left, and end with an ``error`` part if they fail, without an
    exception. Everything else is :class:`Client`'s. Raises ConfigurationError for a bad argument.
    """
    return Client(
        _URL if url is None else url,
        api_key=api_key if api_key or api_key is FROM_ENVIRONMENT else None,
        headers=headers,
        timeout=Timeout() if timeout is None else _timeout(timeout),
        run_defaults=_DEFAULTS,
    )


def _timeout(timeout: Any) -> Timeout:
    if hasattr(timeout, "connect") and hasattr(timeout, "read"):
        return Timeout.of((timeout.connect, timeout.read))
    if isinstance(timeout, (tuple, list)):
        if not 2 <= len(timeout) <= 4:
            raise ConfigurationError(f"timeout must be seconds, or (connect, read, write, pool); not {timeout!r}")
        return Timeout.of((timeout[0], timeout[1]))
    return Timeout.of(timeout)
