"""What an error says, with the advice that it gives to programs put as a command or an option."""

from __future__ import annotations

import re
import shlex
from typing import Any

from ..errors import APIStatusError, ended

__all__ = ["words_of"]

_RESUME = re.compile(r"If the run goes on, client\.runs\.resume\(error\.cursor\).*")

_ASSISTANTS = re.compile(r"If '.*' is a graph, client\.assistants\.search\(graph_id='.*'\) finds its assistants")

_OPTIONS = {
    "raise timeout=…": "raise --timeout",
    "Choose another port": "Choose another one with --port",
    "pass api_key=... or set": "give --api-key, or set",
}


def words_of(error: BaseException) -> str:
    """The message of ``error``, for somebody at a shell."""
    if _is_about_a_thread(error):
        return f"{ended(str(error))} lgsync threads ls lists the threads"
    text = _RESUME.sub(lambda _: _join(error), str(error))
    text = _ASSISTANTS.sub("lgsync assistants ls lists the graphs and assistants", text)
    for python, option in _OPTIONS.items():
        text = text.replace(python, option)
    return text


def _is_about_a_thread(error: BaseException) -> bool:
    refused = isinstance(error, APIStatusError) and error.status_code in (400, 404, 422) and "/threads/" in error.url
    # Some servers only say that it is no UUID.
    return refused and re.search(r"\bthread\b|hexadecimal UUID", str(error), re.IGNORECASE) is not None


def _join(error: Any) -> str:
    return f"If the run goes on: lgsync join {shlex.quote(error.thread_id)} {shlex.quote(error.run_id)}"
