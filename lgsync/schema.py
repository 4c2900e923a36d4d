"""The choices and the shapes that the API's calls take, under the names that the official client gives them.

The choices are what a type checker and an editor offer. What the API answers is in :mod:`lgsync.models`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence, TypedDict, Union

__all__ = [
    "All",
    "AssistantSortBy",
    "BulkCancelRunsStatus",
    "CancelAction",
    "Command",
    "Config",
    "CronSortBy",
    "DisconnectMode",
    "Durability",
    "IfNotExists",
    "Json",
    "LangSmithTracing",
    "MultitaskStrategy",
    "OnCompletionBehavior",
    "OnConflictBehavior",
    "PruneStrategy",
    "RunCreate",
    "RunCreateMetadata",
    "RunOptions",
    "RunStatus",
    "SortOrder",
    "StreamMode",
    "StreamPartV2",
    "StreamVersion",
    "ThreadSortBy",
    "ThreadStatus",
    "ThreadStreamMode",
]

#: What a run streams; see the ``stream_mode`` of :meth:`lgsync.resources.runs.RunsClient.stream`.
StreamMode = Literal[
    "values",
    "messages",
    "messages-tuple",
    "updates",
    "events",
    "tasks",
    "checkpoints",
    "debug",
    "custom",
    "tools",
    "lifecycle",
]
#: What a thread's stream shows: all that its runs say, their starts and ends, or updates of its state.
ThreadStreamMode = Literal["run_modes", "lifecycle", "state_update"]
#: "v1": parts as tuples; "v2": parts as dictionaries.
StreamVersion = Literal["v1", "v2"]

RunStatus = Literal["pending", "running", "error", "success", "timeout", "interrupted"]
ThreadStatus = Literal["idle", "busy", "interrupted", "error"]

#: What becomes of a run on a busy thread: refused, begun in place of the other (which is kept or undone), or queued.
MultitaskStrategy = Literal["reject", "interrupt", "rollback", "enqueue"]
#: What becomes of a run when the connection that started it ends.
DisconnectMode = Literal["cancel", "continue"]
#: What becomes of the thread that a run without one was given.
OnCompletionBehavior = Literal["delete", "keep"]
#: What becomes of a request to create what is there already.
OnConflictBehavior = Literal["raise", "do_nothing"]
#: What becomes of a run on a thread that is not there.
IfNotExists = Literal["create", "reject"]
#: When checkpoints are written: before the next step, while it runs, or at the end.
Durability = Literal["sync", "async", "exit"]
#: Whether a cancelled run's work is kept ("interrupt"), or undone and the run deleted ("rollback").
CancelAction = Literal["interrupt", "rollback"]
#: Which runs are cancelled together.
BulkCancelRunsStatus = Literal["pending", "running", "all"]
#: Whether threads are deleted, or only their old checkpoints.
PruneStrategy = Literal["delete", "keep_latest"]
#: Every node.
All = Literal["*"]

SortOrder = Literal["asc", "desc"]
AssistantSortBy = Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"]
ThreadSortBy = Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"]
CronSortBy = Literal["cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time"]

#: A JSON object.
Json = Mapping[str, Any]


class Config(TypedDict, total=False):
    """How a graph is run: ``configurable`` holds the graph's own settings."""

    tags: List[str]
    recursion_limit: int
    configurable: Dict[str, Any]


class Command(TypedDict, total=False):
    """What a run does in place of taking an input: ``resume`` answers interrupts, and may be None."""

    goto: Any
    update: Any
    resume: Any


class LangSmithTracing(TypedDict, total=False):
    """Where LangSmith keeps the run's trace."""

    project_name: str
    example_id: str


class RunCreateMetadata(TypedDict):
    """What is known of a run as soon as the server has taken it."""

    run_id: str
    thread_id: Optional[str]


class RunOptions(TypedDict, total=False):
    """What a run may be started with, beside its thread and its assistant."""

    input: Any
    command: Union[Command, Json, None]
    metadata: Optional[Json]
    config: Union[Config, Json, None]
    context: Any
    checkpoint_id: Optional[str]
    checkpoint_during: Optional[bool]
    interrupt_before: Union[All, Sequence[str], None]
    interrupt_after: Union[All, Sequence[str], None]
    webhook: Optional[str]
    on_completion: Optional[OnCompletionBehavior]
    multitask_strategy: Optional[MultitaskStrategy]
    if_not_exists: Optional[IfNotExists]
    after_seconds: Optional[float]
    durability: Optional[Durability]


class RunCreate(RunOptions, total=False):
    """One run of a batch (``POST /runs/batch``); ``assistant_id`` is needed."""

    thread_id: Optional[str]
    assistant_id: str
    stream_mode: Union[StreamMode, Sequence[StreamMode], None]
    stream_subgraphs: bool
    stream_resumable: bool


class StreamPartV2(TypedDict):
    """A part as ``version="v2"`` gives it: its kind, the path of subgraphs it comes from, and its data.

    ``interrupts`` are those of a ``values`` part, which are taken out of its data.
    """

    type: str
    ns: List[str]
    data: Any
    interrupts: List[Dict[str, Any]]
