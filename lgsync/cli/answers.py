"""What a paused run is answered, as the user says it at the prompt."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Callable, Dict, List, Optional

from .render import Screen, question_text

__all__ = ["Instead", "answers_to", "value_of"]


class Instead(Exception):
    """In place of an answer there was ``text``, which means something else."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def answers_to(
    screen: Screen,
    interrupts: List[Any],
    *,
    hint: str = "",
    is_command: Callable[[str], bool] = lambda _: False,
) -> Optional[Any]:
    """Ask for each interrupt; what comes is as ``command={"resume": …}`` takes it. None if there is no answer.

    Raises Instead for what is a command.
    """
    answers: Dict[str, Any] = {}
    for interrupt in interrupts:
        text = screen.ask(question_text(interrupt.value), hint=hint)
        if text is None:
            return None
        if is_command(text):
            raise Instead(text)
        answers[interrupt.id] = value_of(text)
    return next(iter(answers.values())) if len(interrupts) == 1 else answers


def value_of(text: str) -> Any:
    """The object or list that ``text`` is in JSON, else the text itself."""
    # Many graphs wait for an object, such as {"decisions": [{"type": "approve"}]}.
    if text[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text
