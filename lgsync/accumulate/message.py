"""What a user holds: one message, as it was after one change."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ContextManager, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from .delta import EMPTY, Delta, appended, text_difference
from .fold import Fold
from .history import owned
from .whole import Whole

__all__ = ["UNGUARDED", "Head", "Message", "Telling"]

#: For messages that are read only by whoever feeds their accumulator.
UNGUARDED: ContextManager[Any] = nullcontext()


class Head(NamedTuple):
    """What is the same in every snapshot of one message. ``task`` names the task of the run that showed it."""

    id: Optional[str]
    namespace: Tuple[str, ...] = ()
    node: Optional[str] = None
    metadata: Mapping[str, Any] = {}
    task: Any = None


class Telling(NamedTuple):
    """What is the same in all snapshots of one message in a row that tell the same kind of change."""

    head: Head
    state: Union[Fold, Whole]
    status: str = "complete"
    source: str = "state"
    conflicts: Tuple[str, ...] = ()
    guard: ContextManager[Any] = UNGUARDED


class Message:
    """A message as it was after one change: a snapshot that nothing later changes.

    Everything is worked out when first read, so a message that nobody reads costs nothing. What is read belongs to the
    reader: changing a list or dict that came out of a message changes no message.

    Two messages are equal if everything that can be read from them is; the hash is that of id and revision.
    """

    __slots__ = ("_cache", "_delta", "_revision", "_telling", "_version")

    # One is made for each piece of a stream: what they share is in the telling, and a delta of mere text is a string.
    def __init__(self, telling: Telling, version: int, revision: int = 0, delta: Union[str, Delta] = EMPTY) -> None:
        self._telling = telling
        self._version = version
        self._revision = revision
        self._delta = delta
        self._cache: Optional[Dict[str, Any]] = None

    @property
    def id(self) -> Optional[str]:
        """The id the server gave it; None only if it gave none."""
        return self._telling.head.id

    @property
    def type(self) -> str:
        """``ai``, ``human``, ``tool``, ``system``, ``function``, ``remove`` …, never with the Chunk suffix."""
        return str(self._read("type"))

    @property
    def text(self) -> str:
        """The text of the content: the string itself, or its text blocks joined."""
        return str(self._cached("text", self._text))

    @property
    def reasoning(self) -> str:
        """What the model thought: reasoning and thinking blocks joined, and ``reasoning_content`` if there is one."""
        return str(self._cached("reasoning", self._reasoning))

    @property
    def content(self) -> Union[str, List[Any]]:
        """The content as the state holds it: a string, or a list of strings and blocks."""
        content: Union[str, List[Any]] = self._read("content")
        return content

    @property
    def tool_calls(self) -> List[Dict[str, Any]]:
        """Calls of tools, ``{"name", "args", "id", "type"}``; ``args`` is a dict that grows while it arrives."""
        return self._calls("tool_calls")

    @property
    def invalid_tool_calls(self) -> List[Dict[str, Any]]:
        """Calls whose arguments are no JSON object; ``args`` is their text."""
        return self._calls("invalid_tool_calls")

    @property
    def usage(self) -> Optional[Dict[str, Any]]:
        """Token counts, ``{"input_tokens", "output_tokens", "total_tokens", …}``, or None."""
        usage = self._read("usage_metadata")
        return usage if isinstance(usage, dict) else None

    @property
    def additional_kwargs(self) -> Dict[str, Any]:
        """What the provider sent besides."""
        kwargs: Dict[str, Any] = self._read("additional_kwargs")
        return kwargs

    @property
    def response_metadata(self) -> Dict[str, Any]:
        """What the provider said about its answer: ``finish_reason``, ``model_name`` …"""
        metadata: Dict[str, Any] = self._read("response_metadata")
        return metadata

    @property
    def name(self) -> Optional[str]:
        """The name of the one who speaks, or of the tool."""
        return _text_or_none(self._read("name"))

    @property
    def tool_call_id(self) -> Optional[str]:
        """Which call a tool message answers."""
        return _text_or_none(self._read("tool_call_id"))

    @property
    def tool_status(self) -> Optional[str]:
        """Of a tool message: ``success`` or ``error``. Not to be confused with ``status``."""
        return _text_or_none(self._read("status") or "success") if self.type == "tool" else None

    @property
    def artifact(self) -> Any:
        """What a tool kept back from the model."""
        return self._read("artifact")

    @property
    def status(self) -> str:
        """``streaming``, then once ``complete`` or ``incomplete``; after that ``revised`` or ``removed``."""
        return self._telling.status

    @property
    def delta(self) -> Delta:
        """What this change added."""
        delta = self._delta
        if isinstance(delta, str):
            delta = self._delta = appended(delta)
        return delta

    @property
    def namespace(self) -> Tuple[str, ...]:
        """The path of subgraphs it came from, outermost first; empty for the root graph."""
        return self._telling.head.namespace

    @property
    def node(self) -> Optional[str]:
        """The node that showed it, if the server said."""
        return self._telling.head.node

    @property
    def metadata(self) -> Dict[str, Any]:
        """What the server said about the run around it (``langgraph_step``, ``tags`` …), with its first event."""
        return dict(owned(self._telling.head.metadata))

    @property
    def revision(self) -> int:
        """How many changes this message has seen, this one included; 0 if this run did not touch it."""
        return self._revision

    @property
    def source(self) -> str:
        """Where this change came from.

        ``chunk``: a piece of a stream; ``whole``: a message sent whole; ``snapshot``: a cumulative snapshot, or the
        state saying the same as the stream, or something new; ``state``: the thread's state, against the stream.
        """
        return self._telling.source

    @property
    def conflicts(self) -> Tuple[str, ...]:
        """Pieces that did not fit together, in words; what came first was kept."""
        return self._telling.conflicts

    def to_dict(self) -> Dict[str, Any]:
        """The message as JSON values, with the keys it has in the thread's state.

        LangChain's ``convert_to_messages`` takes it, and so does a run's ``input``.
        """
        with self._telling.guard:
            message: Dict[str, Any] = owned(self._telling.state.to_dict(self._version, self._final))
        message["id"] = self.id
        return message

    def from_nothing(self) -> Message:
        """The same message with all of its text and reasoning as the delta, for whoever reads it for the first time."""
        delta = text_difference(("", ""), (self.text, self.reasoning))
        return Message(self._telling, self._version, self._revision, delta)

    @property
    def _final(self) -> bool:
        return self._telling.status in ("complete", "revised", "removed")

    def _text(self) -> str:
        return self._telling.state.text(self._version)

    def _reasoning(self) -> str:
        return self._telling.state.reasoning(self._version)

    def _read(self, key: str) -> Any:
        value = self._cached(key, lambda: self._telling.state.value(key, self._version, self._final))
        return value if isinstance(value, str) else owned(value)

    def _calls(self, key: str) -> List[Dict[str, Any]]:
        calls: List[Dict[str, Any]] = self._read(key)
        return calls

    def _cached(self, key: str, compute: Any) -> Any:
        if self._cache is not None and key in self._cache:
            return self._cache[key]
        # What is worked out here is shared with the accumulator, which another thread may be feeding.
        with self._telling.guard:
            value = compute()
            if self._cache is None:
                self._cache = {}
            return self._cache.setdefault(key, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self is other or self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.id, self._revision))

    def _key(self) -> Tuple[Any, ...]:
        about = (self.status, self.source, self.delta, self._revision, self.conflicts)
        return (self._telling.head[:3], self.metadata, about, self.to_dict())

    def __reduce__(self) -> Tuple[Any, ...]:
        head = self._telling.head._replace(metadata=self.metadata, task=None)
        about = (self.status, self.source, self.delta, self._revision, self.conflicts)
        return _rebuild, (tuple(head), self.to_dict(), about)

    def __repr__(self) -> str:
        text = self.text
        shown = text if len(text) <= 60 else text[:57] + "…"
        parts = [f"id={self.id!r}", f"text={shown!r}"]
        calls = [str(call.get("name")) for call in self.tool_calls]
        if calls:
            parts.append(f"tool_calls={calls!r}")
        if self.namespace:
            parts.append(f"namespace={self.namespace!r}")
        return f"<Message {self.type} {self._telling.status} {' '.join(parts)}>"


def _text_or_none(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


def _rebuild(head: Tuple[Any, ...], message: Dict[str, Any], about: Tuple[Any, ...]) -> Message:
    status, source, delta, revision, conflicts = about
    return Message(Telling(Head(*head), Whole(message), status, source, conflicts), 0, revision, delta)
