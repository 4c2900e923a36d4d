"""What the accumulator knows of one message id, over all its changes."""

from __future__ import annotations

from typing import Any, ContextManager, Dict, Mapping, Optional, Tuple, Union

from .delta import EMPTY, Delta
from .fold import Fold
from .gap import Gap
from .message import UNGUARDED, Head, Message, Telling
from .whole import Whole

__all__ = ["Track", "has_own_end", "head_of", "namespace_of", "usable_id"]

#: Ids that langchain-core gives. A call that has such an id gets its last chunk under that same id.
_RUN_ID_PREFIX = "lc_run-"


class Track:
    """One message: its state now, and the last change that was told of it.

    ``status`` is None as long as nothing was told: the id is known from the thread's history, or only by empty chunks.
    """

    __slots__ = ("flow", "gap", "guard", "head", "latest", "marks_end", "revision", "stale", "state", "status")

    def __init__(self, head: Head, state: Union[Fold, Whole], guard: ContextManager[Any] = UNGUARDED) -> None:
        self.guard = guard
        self.head = head
        self.state = state
        self.status: Optional[str] = None
        self.revision = 0
        self.latest: Optional[Message] = None
        #: What its next usual chunk is told with; None unless the last change was a chunk that left it streaming.
        self.flow: Optional[Telling] = None
        #: The last gap before it was streamed, or sent whole: every part of it since then has come.
        self.gap: Optional[Gap] = None
        #: Whether the server marks the last chunk, so that its absence means something.
        self.marks_end = False
        #: Whether what was streamed belongs to an attempt that was given up.
        self.stale = False

    @property
    def in_history(self) -> bool:
        """Whether it is known from the state alone and was never told."""
        return self.status is None and isinstance(self.state, Whole)

    def tell(self, status: str, source: str, delta: Delta = EMPTY) -> Message:
        """The next change of this message."""
        self.status = status
        self.revision += 1
        telling = Telling(self.head, self.state, status, source, self.state.conflicts, self.guard)
        self.flow = telling if status == "streaming" and source == "chunk" else None
        self.latest = Message(telling, self.state.version, self.revision, delta)
        return self.latest

    def take_usual(self, chunk: Mapping[str, Any]) -> Optional[Message]:
        """The change that a usual chunk makes, where the last one was made by a chunk; None if it may be another."""
        flow = self.flow
        state = None if flow is None else flow.state
        delta = state.add_usual(chunk) if isinstance(state, Fold) else None
        if flow is None or state is None or delta is None:
            return None
        self.revision += 1
        message = self.latest = Message(flow, state.version, self.revision, delta)
        return message

    def snapshot(self) -> Message:
        """The last change, or the message as history has it."""
        if self.latest is None:
            self.latest = Message(Telling(self.head, self.state, guard=self.guard), self.state.version)
        return self.latest

    def rename(self, id_: str) -> None:
        """The state has given an id to a message that had none; what was told stays told."""
        self.head = self.head._replace(id=id_)
        if self.latest is not None:
            told = self.latest
            telling = Telling(self.head, self.state, told.status, told.source, guard=self.guard)
            self.latest = Message(telling, self.state.version, told.revision)

    def words(self) -> Tuple[str, str]:
        """The text and the reasoning as they are now."""
        return self.state.text(self.state.version), self.state.reasoning(self.state.version)

    def heard(self) -> Tuple[str, str]:
        """The text and the reasoning that a reader of the changes has by now."""
        return ("", "") if self.status is None else self.words()

    def as_dict(self) -> Dict[str, Any]:
        return {**self.state.to_dict(self.state.version, True), "id": self.head.id}

    def overlay(self, message: Mapping[str, Any], *, keep: bool = True) -> None:
        """Take over what a snapshot says; what it leaves out stays, if ``keep``."""
        if not keep:
            self.state = Whole(message)
            return
        if isinstance(self.state, Fold):
            self.state = Whole(self.as_dict())
        self.state = self.state.overlaid(message)

    def growing(self) -> Fold:
        """The state as something that chunks can be added to."""
        if isinstance(self.state, Fold):
            return self.state
        fold = Fold()
        fold.add(self.state.as_chunk())
        self.state = fold
        return fold

    def looks_finished(self) -> bool:
        """Whether the provider said that it stopped."""
        metadata = self.state.value("response_metadata", self.state.version, False)
        return bool(metadata.get("finish_reason") or metadata.get("stop_reason"))

    def has_own_end(self) -> bool:
        return has_own_end(self.head.id)

    def was_cut(self) -> bool:
        """Whether it must have ended if it ended well, and did not."""
        return self.marks_end and self.has_own_end() and not self.state.last and not self.looks_finished()


def has_own_end(id_: Optional[str]) -> bool:
    """Whether the last chunk of such a message comes under its own id, not under one that langchain-core makes up."""
    return bool(id_) and str(id_).startswith(_RUN_ID_PREFIX)


def usable_id(message: Mapping[str, Any]) -> Optional[str]:
    """The id of a message; None if it has none worth the name."""
    id_ = message.get("id")
    return id_ if isinstance(id_, str) and id_ else None


def head_of(id_: Optional[str], suffix: Tuple[str, ...], metadata: Any) -> Head:
    """What an event says around a message: the namespace from the event's name, else from its metadata."""
    about = metadata if isinstance(metadata, dict) else {}
    task = _task_of(about)
    node = about.get("langgraph_node")
    node = node if isinstance(node, str) else None
    namespace = namespace_of(suffix, about)
    return Head(id_, namespace, node, {**about}, (namespace, node) if task is None else task)


def namespace_of(suffix: Tuple[str, ...], metadata: Mapping[str, Any]) -> Tuple[str, ...]:
    """The graph that an event comes from."""
    path = (_task_of(metadata) or "").split("|")
    return suffix or tuple(path[: -_own_segments(metadata.get("langgraph_path"))])


def _task_of(metadata: Mapping[str, Any]) -> Optional[str]:
    task = metadata.get("langgraph_checkpoint_ns") or metadata.get("checkpoint_ns")
    return task if isinstance(task, str) else None


def _own_segments(path: Any) -> int:
    """How many segments at the end of a checkpoint namespace are the task's own.

    A call of a ``@task`` runs in its caller's graph, but nests its segment under the caller's.
    """
    count = 1
    while isinstance(path, list) and len(path) == 4 and path[0] == "__pregel_push" and path[3] is True:
        count += 1
        path = path[1]
    return count
