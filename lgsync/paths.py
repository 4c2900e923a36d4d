"""Paths of the API, built from ids."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

from .errors import ConfigurationError, WrongType

__all__ = ["join_url", "segment"]


def segment(value: Any, what: str) -> str:
    """``value`` as one segment of a path, percent-encoded so that it cannot leave its place; ``what`` names it.

    Everything but letters, digits and ``-._~`` is encoded, and the dots too of an id that is made of dots alone,
    which servers and proxies would read as "this folder" or "the one above". UUIDs and integers are taken as text.
    Raises WrongType (a TypeError too) for anything else, ConfigurationError for an empty id.
    """
    if isinstance(value, bool) or not isinstance(value, (str, UUID, int)):
        hint = f"; pass its {what}" if hasattr(value, what) else ""
        raise WrongType(f"{what} must be an id (text or a UUID), not {type(value).__name__}{hint}")
    text = str(value)
    if not text:
        raise ConfigurationError(f"{what} is empty; nothing was sent")
    try:
        quoted = quote(text, safe="")
    except UnicodeEncodeError as exc:
        raise ConfigurationError(f"{what} {text!r} is not valid text: {exc.reason}") from exc
    return quoted.replace(".", "%2E") if not text.strip(".") else quoted


def join_url(base: str, path: str) -> str:
    """``path`` (beginning with a slash) below the API's ``base`` URL, whose own path prefix is kept."""
    return base.rstrip("/") + path
