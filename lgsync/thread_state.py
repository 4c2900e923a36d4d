"""What a thread's state says of its latest run: what it waits for, and why it failed.

Follows ``GET /threads/{thread_id}/state``, whose ``tasks`` are those that are next: waiting, failed or cancelled ones.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Tuple

__all__ = ["UNFINISHED", "failed_task", "failure_in", "interrupts_in"]

#: The statuses of a run that has not ended.
UNFINISHED = ("pending", "running")

_EXCEPTION = re.compile(r"(?P<name>[A-Za-z_][\w.]*)\((?P<quote>['\"])(?P<message>.*)(?P=quote),?\)$", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w.]*(?=\()")


def interrupts_in(state: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What the thread waits for: ``{"id", "value"}`` each, those of subgraphs too."""
    lists = [task.get("interrupts") for task in _tasks(state)]
    found = [interrupt for each in lists if isinstance(each, list) for interrupt in each]
    return [interrupt for interrupt in found if isinstance(interrupt, dict)]


def failure_in(state: Mapping[str, Any]) -> Tuple[Optional[str], str]:
    """The class and the text of what failed, from the repr that the failed task keeps; None and "" if none tells."""
    task = failed_task(state)
    if task is None:
        return None, ""
    text = str(task["error"])
    found = _EXCEPTION.match(text)
    if found:
        return found["name"], found["message"]
    name = _NAME.match(text)
    return (name[0] if name else None), text


def failed_task(state: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """The first task that failed, which has an ``error``; None if there is none."""
    return next((task for task in _tasks(state) if task.get("error")), None)


def _tasks(state: Mapping[str, Any]) -> List[Dict[str, Any]]:
    tasks = state.get("tasks")
    return [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
