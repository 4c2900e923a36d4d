"""What the user says, as text."""

from __future__ import annotations

from typing import Callable

from ..errors import ConfigurationError

__all__ = ["typed"]


def typed(read: Callable[[], str], place: str = "Standard input") -> str:
    """What ``read()`` gives; raises ConfigurationError if its bytes are no text, and EOFError where that does."""
    try:
        text = read()
        # Python may have kept such bytes as what no text can hold.
        text.encode("utf-8")
    except UnicodeError as exc:
        encoding = getattr(exc, "encoding", "utf-8")
        raise ConfigurationError(f"{place} is no text in {encoding}: convert it, for instance with iconv") from exc
    return text
