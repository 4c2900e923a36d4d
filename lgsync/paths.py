"""Paths of the API, built from ids."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Optional
from urllib.parse import quote, unquote
from uuid import UUID

from .errors import ConfigurationError, WrongType

__all__ = ["RunIds", "ids_in", "join_url", "run_path", "runs_path", "segment", "shown_url", "thread_path"]

_USER = re.compile(r"^([^/?#]*//)[^/?#]*@")

_RUN_PATH = re.compile(r"(?:/threads/(?P<thread>[^/?]+))?/runs/(?P<run>[^/?]+)")


class RunIds(NamedTuple):
    """The ids of a run and of its thread, as far as they are told."""

    thread_id: Optional[str]
    run_id: Optional[str]


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


def thread_path(thread_id: Optional[str]) -> str:
    """The path of a thread."""
    return f"/threads/{segment(thread_id, 'thread_id')}"


def runs_path(thread_id: Optional[str]) -> str:
    """The path of a thread's runs, or of those without one."""
    return "/runs" if thread_id is None else f"{thread_path(thread_id)}/runs"


def run_path(thread_id: Optional[str], run_id: Optional[str]) -> str:
    """The path of one run on a thread."""
    return f"{thread_path(thread_id)}/runs/{segment(run_id, 'run_id')}"


def join_url(base: str, path: str) -> str:
    """``path`` (beginning with a slash) below the API's ``base`` URL, whose own path prefix is kept."""
    return base.rstrip("/") + path


def shown_url(url: str) -> str:
    """A URL, or what was to be one, for a message: without user, password, query and fragment."""
    return _USER.sub(r"\1", url.partition("?")[0].partition("#")[0])


def ids_in(headers: Mapping[str, str]) -> RunIds:
    """The ids in an answer's headers; every server sends Content-Location, the JavaScript one no Location."""
    found = _RUN_PATH.search(headers.get("content-location") or headers.get("location") or "")
    if found is None:
        return RunIds(None, None)
    thread = found["thread"]
    return RunIds(unquote(thread) if thread else None, unquote(found["run"]))
