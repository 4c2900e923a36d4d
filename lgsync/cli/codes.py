"""The exit codes of every command, and which error comes to which."""

from __future__ import annotations

from ..errors import APIStatusError, ConfigurationError, RunError

__all__ = [
    "BROKEN_PIPE",
    "CTRL_C",
    "DONE",
    "FAILED_RUN",
    "NO_CONNECTION",
    "PAUSED",
    "USAGE",
    "WRONG",
    "of_error",
    "of_outcome",
]

DONE, WRONG, USAGE, PAUSED, FAILED_RUN, NO_CONNECTION, CTRL_C, BROKEN_PIPE = 0, 1, 2, 3, 4, 5, 130, 141


def of_error(error: Exception) -> int:
    """The exit code for an error of this package."""
    if isinstance(error, RunError):
        return FAILED_RUN
    refused = isinstance(error, APIStatusError) and error.status_code < 500
    return USAGE if refused or isinstance(error, ConfigurationError) else NO_CONNECTION


def of_outcome(outcome: object) -> int:
    """The exit code for how a run ended; one that was cancelled has not done what it was asked for."""
    return {"success": DONE, "interrupted": PAUSED}.get(str(outcome), FAILED_RUN)
