"""The ``lgsync`` command: runs the subcommand and turns what it raises into one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, List, Optional

from ..errors import LgsyncError
from .advice import words_of
from .codes import BROKEN_PIPE, CTRL_C, DONE, USAGE, WRONG, of_error
from .extras import INSTALL
from .telling import Invocation, log_told, tell, tell_error

if TYPE_CHECKING:
    import click

__all__ = ["main"]

_COMPLETION = "_LGSYNC_COMPLETE"


def main(argv: Optional[List[str]] = None) -> int:
    """Run ``lgsync`` with ``argv`` (default: the process's own) and return its exit code."""
    _open_what_is_closed()
    _write_what_can_be_written()
    if find_spec("click") is None:
        return _say(f"the command line needs click, which is not installed: {INSTALL}", USAGE)
    from click.shell_completion import shell_complete

    from .app import lgsync

    asked = os.environ.get(_COMPLETION)
    if asked:
        return shell_complete(lgsync, {}, "lgsync", _COMPLETION, asked)
    words = list(sys.argv[1:] if argv is None else argv)
    invocation = Invocation()
    with log_told(invocation):
        return _run(lgsync, words, invocation)


def _open_what_is_closed() -> None:
    """As a shell's ``<&-`` and ``>&-`` leave it: no input comes, and what is written is not wanted."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Also so that no socket gets its number, and is read or written to in its place.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (for as long as there is a process)


def _write_what_can_be_written() -> None:
    """A character that the output's encoding lacks must not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(lgsync: click.Group, words: List[str], invocation: Invocation) -> int:
    import click

    try:
        with lgsync.make_context("lgsync", words, obj=invocation) as context:
            if not words:
                print(lgsync.get_help(context), file=sys.stderr)
                return USAGE
            code = lgsync.invoke(context)
        sys.stdout.flush()
        return code or DONE
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        return _misused(exc)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", CTRL_C)
    except BrokenPipeError:
        # Whoever read us has enough. What is still buffered would fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (LgsyncError, OSError) as exc:
        return _failed(exc, words_of(exc), of_error(exc) if isinstance(exc, LgsyncError) else WRONG, invocation)
    except Exception as exc:  # noqa: BLE001 (told, with the way to its traceback; a user is shown none unasked)
        told = f"this is an error of lgsync itself ({type(exc).__name__}: {exc}); --debug shows where"
        return _failed(exc, told, WRONG, invocation)


def _failed(error: Exception, text: str, code: int, invocation: Invocation) -> int:
    tell_error(error, text, invocation)
    return code


def _misused(error: click.ClickException) -> int:
    """A mistake is answered with the usage, what is wrong, and where the help is."""
    context = getattr(error, "ctx", None)
    if context is None:
        return _say(error.format_message(), USAGE)
    print(context.get_usage(), file=sys.stderr)
    text = error.format_message().rstrip(".")
    print(f"{context.command_path}: {text}; see {context.command_path} --help", file=sys.stderr)
    return USAGE


def _say(text: str, code: int) -> int:
    tell(text)
    return code
