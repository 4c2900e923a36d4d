"""What the REST API answers, as pydantic models.

Every model keeps fields that it does not know, and answers ``thread["thread_id"]``, ``.get("…")`` and ``in`` as the
plain dictionaries of the official client do. Absent or null fields are None, or empty.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

from pydantic import BaseModel, ConfigDict

__all__ = ["Assistant", "Checkpoint", "Interrupt", "Model", "Run", "Thread", "ThreadState", "ThreadTask"]


class Model(BaseModel):
    """The base: unknown fields are kept, and fields answer to ``[]`` as well."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in type(self).model_fields or key in (self.model_extra or {})

    def get(self, key: str, default: Any = None) -> Any:
        """The field, or ``default`` if the model has none of that name."""
        return getattr(self, key) if key in self else default

    def keys(self) -> Tuple[str, ...]:
        """The names of all fields, known and extra; makes ``dict(model)`` work."""
        return (*type(self).model_fields, *(self.model_extra or {}))


class Interrupt(Model):
    """A pause of a run: ``value`` is what the graph passed to ``interrupt(...)``."""

    value: Any = None
    id: Optional[str] = None


class Checkpoint(Model):
    """A point in a thread's history."""

    thread_id: Optional[str] = None
    checkpoint_ns: Optional[str] = None
    checkpoint_id: Optional[str] = None
    checkpoint_map: Optional[Dict[str, Any]] = None


class Thread(Model):
    """A thread: ``status`` is "idle", "busy", "interrupted" or "error"; ``values`` its latest state.

    ``interrupts`` maps task ids to what is waiting for an answer.
    """

    thread_id: str
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    metadata: Optional[Dict[str, Any]] = None
    status: Optional[str] = None
    config: Optional[Dict[str, Any]] = None
    values: Any = None
    interrupts: Optional[Dict[str, List[Interrupt]]] = None
    error: Any = None


class ThreadTask(Model):
    """A task that is next in a thread: a node that waits, failed or was interrupted."""

    id: Optional[str] = None
    name: Optional[str] = None
    error: Any = None
    interrupts: List[Interrupt] = []
    checkpoint: Optional[Checkpoint] = None
    state: Any = None
    result: Any = None


class ThreadState(Model):
    """A thread's state at one checkpoint: ``values``, the nodes that are ``next``, and their ``tasks``."""

    values: Any = None
    next: List[str] = []
    tasks: List[ThreadTask] = []
    metadata: Optional[Dict[str, Any]] = None
    created_at: Optional[datetime] = None
    checkpoint: Optional[Checkpoint] = None
    parent_checkpoint: Optional[Checkpoint] = None
    interrupts: List[Interrupt] = []


class Run(Model):
    """A run: ``status`` is "pending", "running", "success", "error", "timeout" or "interrupted" (cancelled)."""

    run_id: str
    thread_id: Optional[str] = None
    assistant_id: Optional[str] = None
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    status: Optional[str] = None
    metadata: Optional[Dict[str, Any]] = None
    multitask_strategy: Optional[str] = None
    kwargs: Optional[Dict[str, Any]] = None


class Assistant(Model):
    """A graph with a configuration."""

    assistant_id: str
    graph_id: Optional[str] = None
    name: Optional[str] = None
    description: Optional[str] = None
    config: Optional[Dict[str, Any]] = None
    context: Optional[Dict[str, Any]] = None
    metadata: Optional[Dict[str, Any]] = None
    version: Optional[int] = None
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
