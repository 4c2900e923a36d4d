"""What is told on standard error: a line of the command's own, a traceback, the log. None of it steers the terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from dataclasses import dataclass
from typing import Iterator

from .narrate import clean

__all__ = ["Invocation", "log_told", "tell", "tell_error"]


@dataclass
class Invocation:
    """What the whole command line is about, whichever command it names."""

    debug: bool = False


def tell(text: str) -> None:
    """One line, whatever ``text`` holds."""
    print(_line(text), file=sys.stderr)


def tell_error(error: BaseException, text: str, invocation: Invocation) -> None:
    """``text`` in one line; before it the traceback of ``error``, if that was asked for."""
    if invocation.debug:
        told = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        print(clean(told), end="", file=sys.stderr)
    tell(text)


@contextlib.contextmanager
def log_told(invocation: Invocation) -> Iterator[None]:
    """For as long as the block lasts, tell the log of lgsync: warnings, and with ``--debug`` all of it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(invocation))
    handler.addFilter(lambda record: invocation.debug or record.levelno >= logging.WARNING)
    log = logging.getLogger("lgsync")
    before = log.level
    # What is told of an outage is made of these.
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


class _Formatter(logging.Formatter):
    def __init__(self, invocation: Invocation) -> None:
        super().__init__("%(asctime)s %(name)s %(message)s")
        self._invocation = invocation

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record)) if self._invocation.debug else _line(record.getMessage())


def _line(text: str) -> str:
    return f"lgsync: {' '.join(clean(text).split())}"
