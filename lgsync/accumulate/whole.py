"""One message that came whole: as a message event, a cumulative snapshot, or out of the state."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from .blocks import agrees, message_type, reasoning_of, text_of
from .history import owned

__all__ = ["Whole", "sent_message"]


def sent_message(value: Any) -> Any:
    """The message inside what a server sent for one.

    A server that shows one id whole twice adds the two up to a prompt template; the last of its messages counts.
    """
    if isinstance(value, dict) and "type" not in value and isinstance(value.get("messages"), list):
        return value["messages"][-1] if value["messages"] else None
    return value


class Whole:
    """A message as one dict, never changed. It is read like a :class:`~lgsync.accumulate.fold.Fold`."""

    __slots__ = ("_message",)

    version = 0
    conflicts: Tuple[str, ...] = ()
    last = False

    def __init__(self, message: Mapping[str, Any]) -> None:
        self._message: Dict[str, Any] = owned(dict(message))

    def overlaid(self, message: Mapping[str, Any]) -> Whole:
        """This message as ``message`` has it; what that leaves out stays, unless it is of another type."""
        if message_type(message) != message_type(self._message):
            return Whole(message)
        return Whole({**self._message, **message})

    def text(self, _version: int) -> str:
        return text_of(self._message.get("content"))

    def reasoning(self, _version: int) -> str:
        return reasoning_of(self._message.get("content"), self._message.get("additional_kwargs"))

    def value(self, key: str, _version: int, _final: bool) -> Any:
        if key == "type":
            return message_type(self._message)
        value = self._message.get(key)
        if key == "content":
            return "" if value is None else value
        if key in ("tool_calls", "invalid_tool_calls"):
            calls = [call for call in value if isinstance(call, dict)] if isinstance(value, list) else []
            return [{**call, "type": call.get("type") or key[:-1]} for call in calls]
        if key in ("additional_kwargs", "response_metadata"):
            return value if isinstance(value, dict) else {}
        return value

    def to_dict(self, version: int, final: bool) -> Dict[str, Any]:
        message = dict(self._message)
        if message.get("type") is None:
            # A plain dict says its role where the state will say its type.
            message.pop("role", None)
        message["type"] = message_type(self._message)
        message["content"] = self.value("content", version, final)
        return message

    def as_chunk(self) -> Dict[str, Any]:
        return self._message

    def agrees(self, message: Mapping[str, Any]) -> bool:
        return agrees(self._message, message)
