"""Which screen suits the output that there is."""

from __future__ import annotations

import os
import sys

from ..errors import ConfigurationError
from .extras import INSTALL
from .render import Screen, TerminalScreen

__all__ = ["is_terminal", "screen_for"]


def is_terminal() -> bool:
    """Whether standard output is a terminal that can do more than print."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def screen_for(*, beside: bool = False, plain: bool = False, markdown: bool = True, color: bool = True) -> Screen:
    """The screen for standard output; ``beside`` it, on standard error, where that is for data alone.

    ``plain`` writes text as it is, ``markdown`` says that text is in that language. Raises ConfigurationError if rich
    is needed and not installed.
    """
    if beside:
        return Screen(sys.stderr, sys.stdin)
    if plain or not is_terminal():
        return Screen(sys.stdout, sys.stdin)
    try:
        from rich.console import Console

        from .markdown import MarkdownScreen
    except ImportError as exc:
        raise ConfigurationError(f"A terminal is drawn on with rich, which is not installed: {INSTALL}") from exc
    console = Console(no_color=None if color else True, highlight=False)
    return (MarkdownScreen if markdown else TerminalScreen)(console, sys.stdin)
