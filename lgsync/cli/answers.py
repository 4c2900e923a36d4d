"""What a paused run is answered, as the user says it at the prompt."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Dict, List, Optional

from .render import Screen, question_text

__all__ = ["answers_to", "value_of"]


def answers_to(screen: Screen, interrupts: List[Any]) -> Optional[Any]:
    """Ask for each interrupt; what comes is as ``command={"resume": …}`` takes it. None if there is no answer."""
    answers: Dict[str, Any] = {}
    for interrupt in interrupts:
        text = screen.ask(question_text(interrupt.value))
        if text is None:
            return None
        answers[interrupt.id] = value_of(text)
    return next(iter(answers.values())) if len(interrupts) == 1 else answers


def value_of(text: str) -> Any:
    """The object or list that ``text`` is in JSON, else the text itself."""
    # Many graphs wait for an object, such as {"decisions": [{"type": "approve"}]}.
    if text[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text
