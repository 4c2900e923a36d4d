"""The ``lgsync`` command: finds the subcommand and turns what it raises into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from typing import List, Optional

from .._version import version
from ..errors import APIStatusError, ConfigurationError, LgsyncError, RunError
from . import demo

__all__ = ["main"]

USAGE, FAILED_RUN, NO_CONNECTION, INTERRUPTED, BROKEN_PIPE = 2, 4, 5, 130, 141

EPILOG = """\
exit codes:
  0 done, 2 wrong usage or something is not installed, 4 the run failed,
  5 no connection to the server, 130 ended by Ctrl-C

example:
  lgsync demo
"""


def main(argv: Optional[List[str]] = None) -> int:
    """Run ``lgsync`` with ``argv`` (default: the process's own) and return its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read us has enough. What is still buffered would fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except LgsyncError as exc:
        return _say(" ".join(str(exc).split()), _exit_code(exc))


class _Parser(argparse.ArgumentParser):
    """Answers a mistake with the usage, what is wrong, and where the help is."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    description = "The blocking client for LangGraph servers."
    parser = _Parser(prog="lgsync", description=description, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("--version", action="version", version=f"lgsync {version()}")
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands")
    for name, module in {"demo": demo}.items():
        summary = module.SUMMARY
        command = commands.add_parser(
            name, help=summary, description=module.DESCRIPTION, epilog=module.EPILOG, formatter_class=layout
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _exit_code(error: LgsyncError) -> int:
    if isinstance(error, RunError):
        return FAILED_RUN
    refused = isinstance(error, APIStatusError) and error.status_code < 500
    return USAGE if refused or isinstance(error, ConfigurationError) else NO_CONNECTION


def _say(text: str, code: int) -> int:
    print(f"lgsync: {text}", file=sys.stderr)
    return code
