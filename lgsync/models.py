"""What the REST API answers, as pydantic models.

Every model keeps fields that it does not know. ``thread["thread_id"]``, ``.get("…")``, ``in`` and ``dict(thread)`` see
the fields that the server sent, as the plain dictionaries of the official client do, but timestamps are datetimes.
As attributes all fields can be read: absent or null ones are None, or empty.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Dict, List, Optional, Tuple

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

__all__ = ["Assistant", "Checkpoint", "Interrupt", "Model", "Run", "Thread", "ThreadState", "ThreadTask"]


class Model(BaseModel):
    """The base: unknown fields are kept, and the fields that were sent answer to ``[]`` as well."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _empty_for_null(cls, data: Any) -> Any:
        """A list that is null is an empty one."""
        if not isinstance(data, dict):
            return data
        return {
            name: cls.model_fields[name].get_default(call_default_factory=True)
            if value is None and name in cls.model_fields
            else value
            for name, value in data.items()
        }

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self.model_fields_set

    def get(self, key: str, default: Any = None) -> Any:
        """The field, or ``default`` if the server did not send it."""
        return getattr(self, key) if key in self else default

    def keys(self) -> Tuple[str, ...]:
        """The names of the fields that the server sent; makes ``dict(model)`` work."""
        names = (*type(self).model_fields, *(self.model_extra or {}))
        return tuple(name for name in names if name in self)


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
    interrupts: Dict[str, List[Interrupt]] = {}
    error: Any = None

    @field_validator("interrupts", mode="before")
    @classmethod
    def _none_waits(cls, interrupts: Any) -> Any:
        """A task whose list is null waits for nothing."""
        return (
            {task: waiting or [] for task, waiting in interrupts.items()}
            if isinstance(interrupts, dict)
            else interrupts
        )


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
