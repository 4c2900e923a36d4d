"""Runs recorded from a real server, frame by frame, with the thread's state after them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

__all__ = ["final_messages", "names", "parts"]

_ROOT = Path(__file__).parents[1] / "data" / "captures"


def names(mode: str = "") -> List[str]:
    """Every recorded run, ``graph/v1-mode``, whose mode begins so."""
    return sorted(str(path.relative_to(_ROOT).with_suffix("")) for path in _ROOT.glob(f"*/v1-{mode}*.sse"))


def parts(name: str) -> List[Tuple[str, Any, Optional[str]]]:
    """The events of a recorded run."""
    return list(_frames((_ROOT / f"{name}.sse").read_bytes()))


def final_messages(name: str) -> List[Dict[str, Any]]:
    """The messages of the thread after the run."""
    recorded = json.loads((_ROOT / f"{name}.json").read_text(encoding="utf-8"))
    state = recorded["thread_state"]["values"] or {}
    messages: List[Dict[str, Any]] = state.get("messages", [])
    return messages


def _frames(recorded: bytes) -> Iterator[Tuple[str, Any, Optional[str]]]:
    for frame in recorded.split(b"\r\n\r\n"):
        fields = dict(line.split(b": ", 1) for line in frame.split(b"\r\n") if b": " in line)
        if b"event" in fields:
            position = fields.get(b"id")
            yield fields[b"event"].decode(), json.loads(fields[b"data"]), position.decode() if position else None
