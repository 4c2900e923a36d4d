"""The messages that a thread holds: on the screen, and in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List

from ..accumulate import MessageAccumulator
from .narrate import Narrator, call_text
from .render import Screen

if TYPE_CHECKING:
    from ..accumulate import Message

__all__ = ["messages_in", "show_messages", "write_messages"]


def messages_in(values: Any) -> List[Message]:
    """The messages of a thread's state; none if it holds none."""
    accumulator = MessageAccumulator()
    accumulator.feed(("values", values if isinstance(values, dict) else {}))
    return accumulator.messages


def show_messages(screen: Screen, messages: List[Message]) -> None:
    """Show them as they looked when they came."""
    narrator = Narrator()
    for message in messages:
        if message.type == "human":
            screen.user(message.text)
            continue
        for piece in narrator.feed(message):
            screen.show(piece)
    screen.end()


def write_messages(path: Path, messages: List[Message], thread_id: str, *, anew: bool) -> None:
    """Write them as JSON if the file's name ends so, else as Markdown. An existing file is left, unless ``anew``."""
    if path.suffix == ".json":
        text = json.dumps([_plain(message) for message in messages], ensure_ascii=False, indent=2) + "\n"
    else:
        text = "\n\n".join([f"# Thread {thread_id}", *map(_markdown, messages)]) + "\n"
    with open(path, "x" if anew else "w", encoding="utf-8") as file:
        file.write(text)


def _plain(message: Message) -> Dict[str, Any]:
    return {name: value for name, value in message.to_dict().items() if value not in (None, [], {})}


def _markdown(message: Message) -> str:
    name = f" ({message.name})" if message.type == "tool" and message.name else ""
    calls = "\n".join(f"    {call_text(call['name'] or '', call['args'])}" for call in message.tool_calls)
    said = message.text if message.type != "tool" else "\n".join(f"    {line}" for line in message.text.splitlines())
    return "\n\n".join(part for part in (f"## {message.type}{name}", said.strip("\n"), calls) if part)
