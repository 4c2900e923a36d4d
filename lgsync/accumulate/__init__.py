"""Messages accumulated from the parts of a run."""

from __future__ import annotations

from .accumulator import MessageAccumulator
from .delta import Delta
from .merge import add_usage
from .message import Message

__all__ = ["Delta", "Message", "MessageAccumulator", "add_usage"]
