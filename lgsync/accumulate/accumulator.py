"""From the parts of a run to its messages: each as soon as it changes, whole when it is complete.

The rules, in the order in which they decide:

* The thread's state is the truth. ``values`` replaces what is known of its messages, ``updates`` is applied as the
  server applies it; what a snapshot leaves out it does not deny.
* A stream of chunks is folded as langchain-core folds it, so that it ends as what the state will say.
* A message is complete when its last chunk, its whole, or the state shows it; or when the run ends well and nothing
  speaks against it. It is incomplete when the run, the attempt or its task ended without any of these.
* Nothing is guessed from text. The one comparison of texts, for a message that a provider split over two ids, asks
  the state for the answer.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Collection, Deque, Dict, Iterable, List, Mapping, Optional, Set, Tuple

from ..errors import ConfigurationError
from .blocks import agrees, message_type, text_of
from .delta import EMPTY, Delta, text_difference
from .fold import Fold, is_chunk, is_empty
from .message import Head, Message
from .mirror import Mirror, Removal
from .track import Track, head_of, usable_id
from .whole import Whole, sent_message

__all__ = ["MessageAccumulator"]

_ENDED_WELL = ("success", "interrupted")
_OUTCOMES = (*_ENDED_WELL, "cancelled", "error", "unknown")

#: Events that are no concern of messages.
_OTHER_KINDS = {"custom", "tasks", "checkpoints", "debug", "events", "feedback", "error", "end"}

_ROOT: Tuple[str, ...] = ()


class MessageAccumulator:
    """Accumulates the messages of a run from its parts, whoever received them.

    It does no I/O, knows no clock and never raises for what a server sent. It is not for several threads at once.
    ``messages_key`` is the key of the graph's state that holds the messages.

    The first ``values`` of a run (of each namespace) is taken for what was there before: its messages enter
    :attr:`messages`, but are not told as changes. Whoever knows the thread's state beforehand can feed it so.
    """

    def __init__(self, *, messages_key: str = "messages") -> None:
        self._key = messages_key
        self._handlers: Dict[str, Callable[[Any, Tuple[str, ...]], List[Message]]] = {
            "messages": self._on_tuple,
            "messages/metadata": self._on_announcement,
            "messages/partial": self._on_partial,
            "messages/complete": self._on_complete,
            "values": self._on_values,
            "updates": self._on_updates,
            "metadata": self._on_metadata,
        }
        self.reset()

    def reset(self) -> None:
        """Forget everything, as before a replay from the start."""
        #: How many parts could not be used: unknown events, or data not of the event's shape.
        self.ignored = 0
        self._tracks: Dict[str, Track] = {}
        self._nameless: List[Track] = []
        self._told: List[Track] = []
        self._open: Dict[Track, None] = {}
        self._by_task: Dict[Any, List[Track]] = {}
        self._announced: Dict[str, Any] = {}
        self._mirror = Mirror()
        self._seeded: Set[Tuple[str, ...]] = set()
        self._attempt: Optional[Tuple[Any, Any]] = None

    @property
    def messages(self) -> List[Message]:
        """The thread's list of messages (root graph), as far as ``values``, ``updates`` and ``settle`` told it."""
        return [track.snapshot() for track in self._mirror.tracks]

    @property
    def run_messages(self) -> List[Message]:
        """Every message that was told as a change, at its latest, by first appearance; of all namespaces."""
        return [track.snapshot() for track in self._told]

    def feed(self, part: Any) -> List[Message]:
        """Take one part; gives the messages it changed.

        ``part`` is a :class:`~lgsync.parts.StreamPart`, one of the official client's, or any ``(event, data)`` or
        ``(event, data, id)`` tuple, with decoded JSON as data.
        """
        if not isinstance(part, (tuple, list)) or len(part) < 2 or not isinstance(part[0], str):
            return self._unusable()
        kind, bar, path = part[0].partition("|")
        handler = self._handlers.get(kind)
        if handler is None:
            return [] if kind in _OTHER_KINDS else self._unusable()
        try:
            return handler(part[1], tuple(path.split("|")) if bar else _ROOT)
        except RecursionError:
            # Nested deeper than this interpreter can walk: such a part cannot be used.
            return self._unusable()

    def settle(self, values: Any, *, known: Optional[Collection[str]] = None) -> List[Message]:
        """Take the thread's state (its ``values``) as the last word; gives the messages that this changes.

        Open messages that are in it are complete, different ones are replaced, those gone are removed; what is left
        open of the root graph ends, and well only if its provider said that it had stopped. A message never seen before
        may be history: it is told only if ``known``, the ids that were in the thread before the run, is given and lacks
        it.
        """
        if not isinstance(values, dict):
            return self._unusable()
        messages = self._messages_in(values)
        self._seeded.add(_ROOT)

        def is_history(id_: Optional[str]) -> bool:
            return id_ is None or known is None or id_ in known

        changes = self._take_list(messages or [], _ROOT, is_history, settled=True)
        left = [track for track in self._open if track.head.namespace == _ROOT]
        return changes + [self._end(track, track.looks_finished()) for track in left]

    def close(self, outcome: str) -> List[Message]:
        """The run is over; gives the messages that this ends.

        ``outcome`` is "success" or "interrupted", which complete what is open unless it must have been cut off, or
        "cancelled", "error" or "unknown", which leave it incomplete. Raises ConfigurationError for any other.
        """
        if outcome not in _OUTCOMES:
            raise ConfigurationError(f"outcome must be one of {', '.join(_OUTCOMES)}, not {outcome!r}")
        return [self._end(track, outcome in _ENDED_WELL and not track.was_cut()) for track in list(self._open)]

    # -- what changes a message ------------------------------------------------------------------------------------

    def _tell(self, track: Track, status: str, source: str, delta: Delta = EMPTY) -> Message:
        if track.revision == 0:
            self._told.append(track)
        if status == "streaming":
            self._open[track] = None
        else:
            self._open.pop(track, None)
        return track.tell(status, source, delta)

    def _end(self, track: Track, well: bool) -> Message:
        source = track.latest.source if track.latest else "chunk"
        return self._tell(track, "complete" if well else "incomplete", source)

    def _remove(self, track: Track, source: str) -> List[Message]:
        if track.status == "removed":
            return []
        ended = [self._end(track, False)] if track.status == "streaming" else []
        return [*ended, self._tell(track, "removed", source)]

    def _remove_gone(self, tracks: List[Track]) -> List[Message]:
        """These left the thread's list; a nameless one, or a removal that stood in it, is no message to tell of."""
        named = [track for track in tracks if self._tracks.get(track.head.id or "") is track]
        return [change for track in named for change in self._remove(track, "state")]

    def _unusable(self) -> List[Message]:
        self.ignored += 1
        return []

    def _show(self, track: Track, head: Head) -> None:
        """From now on this message belongs to the run, at the place the event names."""
        track.head = head._replace(metadata=Whole(head.metadata).as_chunk())
        self._by_task.setdefault(head.task, []).append(track)

    # -- messages that arrive --------------------------------------------------------------------------------------

    def _on_tuple(self, data: Any, suffix: Tuple[str, ...]) -> List[Message]:
        if not isinstance(data, (list, tuple)) or len(data) != 2:
            return self._unusable()
        message, metadata = sent_message(data[0]), data[1]
        if not isinstance(message, dict):
            return self._unusable()
        if is_chunk(message):
            return self._take_chunk(message, metadata, suffix)
        return self._take_whole(message, metadata, suffix, "complete", "whole")

    def _take_chunk(self, chunk: Dict[str, Any], metadata: Any, suffix: Tuple[str, ...]) -> List[Message]:
        id_ = usable_id(chunk)
        if id_ is None:
            return [] if is_empty(chunk) else self._take_nameless(chunk, head_of(None, suffix, metadata), "whole")
        track = self._tracks.get(id_)
        if track is not None and track.status == "streaming" and isinstance(track.state, Fold):
            delta, changed = track.state.add(chunk)
            if track.state.last:
                return [self._tell(track, "complete", "chunk", delta)]
            return [track.tell("streaming", "chunk", delta)] if changed else []
        if track is None or track.status is None:
            return self._take_first_chunk(id_, track, chunk, head_of(id_, suffix, metadata))
        return self._take_late_chunk(track, chunk)

    def _take_first_chunk(self, id_: str, track: Optional[Track], chunk: Dict[str, Any], head: Head) -> List[Message]:
        says_nothing = is_empty(chunk)
        if track is None:
            track = self._tracks[id_] = Track(head, Fold())
        elif track.in_history:
            if says_nothing:
                return self._end_by_nameless_last(chunk, head)
            track.state = Fold()
            track.latest = None
        fold = track.growing()
        delta, _ = fold.add(chunk)
        if says_nothing:
            return self._end_by_nameless_last(chunk, head)
        track.marks_end = "chunk_position" in chunk
        self._show(track, head)
        return [self._tell(track, "complete" if fold.last else "streaming", "chunk", delta)]

    def _end_by_nameless_last(self, chunk: Dict[str, Any], head: Head) -> List[Message]:
        """The last chunk of a call comes under an id of langchain-core's even if all others had the provider's."""
        if chunk.get("chunk_position") != "last":
            return []
        candidates = [track for track in self._open if track.head.task == head.task and not track.has_own_end()]
        return [self._tell(candidates[0], "complete", "chunk")] if len(candidates) == 1 else []

    def _take_late_chunk(self, track: Track, chunk: Dict[str, Any]) -> List[Message]:
        if track.stale:
            before = track.words()
            track.stale, track.state = False, Fold()
            delta, changed = track.growing().add(chunk)
            delta = text_difference(before, track.words())._replace(tool_args=delta.tool_args)
        else:
            delta, changed = track.growing().add(chunk)
        if track.status == "streaming":
            status = "complete" if track.state.last else "streaming"
            return [self._tell(track, status, "chunk", delta)] if changed or track.state.last else []
        return [self._tell(track, "revised", "chunk", delta)] if changed else []

    def _take_nameless(self, message: Dict[str, Any], head: Head, source: str) -> List[Message]:
        """A message without an id is told once, by itself."""
        state = Fold()
        if is_chunk(message):
            state.add(message)
            track = Track(head, state)
        else:
            track = Track(head, Whole(message))
        self._show(track, head)
        self._nameless.append(track)
        return [self._tell(track, "complete", source, text_difference(("", ""), _words(track)))]

    def _on_announcement(self, data: Any, _suffix: Tuple[str, ...]) -> List[Message]:
        if not isinstance(data, dict):
            return self._unusable()
        for id_, about in data.items():
            self._announced[id_] = about.get("metadata") if isinstance(about, dict) else None
        return []

    def _on_partial(self, data: Any, suffix: Tuple[str, ...]) -> List[Message]:
        return self._take_wholes(data, suffix, "streaming", "snapshot")

    def _on_complete(self, data: Any, suffix: Tuple[str, ...]) -> List[Message]:
        return self._take_wholes(data, suffix, "complete", "whole")

    def _take_wholes(self, data: Any, suffix: Tuple[str, ...], status: str, source: str) -> List[Message]:
        """Python servers send one message in such an event, JavaScript ones may send many."""
        changes: List[Message] = []
        for value in data if isinstance(data, list) else [data]:
            message = sent_message(value)
            if isinstance(message, dict):
                metadata = self._announced.get(usable_id(message) or "")
                changes += self._take_whole(message, metadata, suffix, status, source)
            else:
                self._unusable()
        return changes

    def _take_whole(
        self, message: Dict[str, Any], metadata: Any, suffix: Tuple[str, ...], status: str, source: str
    ) -> List[Message]:
        id_ = usable_id(message)
        head = head_of(id_, suffix, metadata)
        if message_type(message) == "remove":
            return self._take_removal(id_, head)
        if id_ is None:
            return self._take_nameless(message, head, source)
        track = self._tracks.get(id_)
        if track is not None and (track.status is not None or track.in_history):
            return self._take_snapshot(track, message, head, status, source)
        if status == "streaming" and is_empty(message):
            return []
        track = self._tracks[id_] = Track(head, Whole(message))
        self._show(track, head)
        return [self._tell(track, status, source, text_difference(("", ""), _words(track)))]

    def _take_snapshot(
        self, track: Track, message: Dict[str, Any], head: Head, status: str, source: str
    ) -> List[Message]:
        """A message event that says all of a message known already: it replaces, and never adds to it."""
        if agrees(track.as_dict(), message):
            # The empty chunk that ends a call repeats the snapshot of the one before it.
            repeated_end = track.status == "streaming" and track.looks_finished()
            return self._confirm(track, source) if status == "complete" or repeated_end else []
        if track.status is None:
            self._show(track, head)
            track.latest = None
        started = track.status is None and status == "streaming"
        return [self._replace(track, message, status if started or track.status == "streaming" else "revised", source)]

    def _take_removal(self, id_: Optional[str], head: Head) -> List[Message]:
        """A removal that a node returned. One of everything is left to the state, which knows what came back."""
        track = self._tracks.get(id_ or "")
        if track is None or (track not in self._mirror and track.head.namespace != head.namespace):
            return []
        if head.namespace == _ROOT and track in self._mirror:
            self._mirror.write([Removal(track.head.id or "", track)])
        return self._remove(track, "whole")

    def _confirm(self, track: Track, source: str) -> List[Message]:
        """The state, or a whole message, says of this message what is known."""
        if track.status == "streaming":
            return [self._tell(track, "complete", source)]
        if track.status in ("incomplete", "removed"):
            return [self._tell(track, "revised", source)]
        return []

    def _replace(self, track: Track, message: Mapping[str, Any], status: str, source: str) -> Message:
        before = track.words()
        track.overlay(message)
        return self._tell(track, status, source, text_difference(before, _words(track)))

    # -- the state -------------------------------------------------------------------------------------------------

    def _messages_in(self, values: Mapping[str, Any]) -> Optional[List[Any]]:
        """The messages of a state, or of a node's write; None if it says nothing of them."""
        messages = values.get(self._key)
        if isinstance(messages, dict):
            messages = [messages]
        if not isinstance(messages, list):
            return None
        return [message for message in map(sent_message, messages) if isinstance(message, dict)]

    def _on_values(self, data: Any, namespace: Tuple[str, ...]) -> List[Message]:
        if not isinstance(data, dict):
            return self._unusable()
        messages = self._messages_in(data)
        if messages is None:
            return []
        first = namespace not in self._seeded
        self._seeded.add(namespace)
        return self._take_list(messages, namespace, lambda _: first)

    def _take_list(
        self,
        messages: Iterable[Dict[str, Any]],
        namespace: Tuple[str, ...],
        is_history: Callable[[Optional[str]], bool],
        *,
        settled: bool = False,
    ) -> List[Message]:
        """All messages of a state: what is not among them is not in the state."""
        changes: List[Message] = []
        listed: List[Track] = []
        messages = list(messages)
        ids = {usable_id(message) for message in messages}
        pool = self._nameless_pool()
        for message in messages:
            track, told = self._take_listed(message, namespace, pool, ids, is_history, settled=settled)
            listed.append(track)
            changes += told
        if namespace == _ROOT:
            changes += self._remove_gone(self._mirror.replace(listed))
        return changes

    def _nameless_pool(self) -> Dict[Tuple[str, str], Deque[Track]]:
        pool: Dict[Tuple[str, str], Deque[Track]] = {}
        for track in self._nameless:
            pool.setdefault(_likeness(track.as_dict()), deque()).append(track)
        return pool

    def _take_listed(
        self,
        message: Dict[str, Any],
        namespace: Tuple[str, ...],
        pool: Dict[Tuple[str, str], Deque[Track]],
        ids: Set[Optional[str]],
        is_history: Callable[[Optional[str]], bool],
        *,
        settled: bool,
    ) -> Tuple[Track, List[Message]]:
        """One message as the state has it."""
        id_ = usable_id(message)
        track = self._tracks.get(id_) if id_ else None
        if track is not None and (track.status is not None or track.in_history):
            return track, self._take_state(track, message, ids, settled=settled)
        same = pool.get(_likeness(message))
        if same:
            return self._name(same.popleft(), id_, message), []
        head = Head(id_, namespace)
        if not id_:
            track = Track(head, Whole(message))
            self._nameless.append(track)
        else:
            track = self._tracks[id_] = Track(head, Whole(message))
        if is_history(id_):
            return track, []
        source = "state" if settled else "snapshot"
        return track, [self._tell(track, "complete", source, text_difference(("", ""), _words(track)))]

    def _name(self, track: Track, id_: Optional[str], message: Dict[str, Any]) -> Track:
        """The state has given an id to a message that a node wrote without one."""
        if id_ is not None:
            self._nameless.remove(track)
            self._tracks[id_] = track
            track.overlay(message)
            track.rename(id_)
        return track

    def _take_state(
        self, track: Track, message: Dict[str, Any], ids: Set[Optional[str]], *, settled: bool
    ) -> List[Message]:
        if agrees(track.as_dict(), message):
            return self._confirm(track, "state" if settled else "snapshot")
        other = self._other_half(track, message, ids)
        status = "complete" if track.status == "streaming" else "revised"
        changes = [self._replace(track, message, status, "state")]
        if other is not None:
            changes += self._remove(other, "state")
            self._tracks[other.head.id or ""] = track
        return changes

    def _other_half(self, track: Track, message: Dict[str, Any], ids: Set[Optional[str]]) -> Optional[Track]:
        """The rest of a message whose chunks came under two ids, if the state says that these are one message."""
        if track.status is None:
            return None
        for other in self._by_task.get(track.head.task, ()):
            if other is track or other.status == "removed" or other in self._mirror or other.head.id in ids:
                continue
            for first, second in ((track, other), (other, track)):
                both = Fold()
                both.add(first.state.as_chunk())
                both.add(second.state.as_chunk())
                if agrees(both.to_dict(both.version, True), {**message, "id": None}):
                    return other
        return None

    def _on_updates(self, data: Any, namespace: Tuple[str, ...]) -> List[Message]:
        if not isinstance(data, dict):
            return self._unusable()
        changes: List[Message] = []
        for node, writes in data.items():
            if node != "__interrupt__":
                changes += self._take_writes(node, writes if isinstance(writes, list) else [writes], namespace)
        return changes

    def _take_writes(self, node: str, writes: List[Any], namespace: Tuple[str, ...]) -> List[Message]:
        """What one task wrote. It is over with that."""
        changes: List[Message] = []
        written = [self._messages_in(write) or [] for write in writes if isinstance(write, dict)]
        ids = {usable_id(message) for messages in written for message in messages}
        for messages in written:
            changes += self._take_write(messages, namespace, ids)
        return changes + self._end_task(node, namespace, ids)

    def _take_write(
        self, messages: List[Dict[str, Any]], namespace: Tuple[str, ...], ids: Set[Optional[str]]
    ) -> List[Message]:
        changes: List[Message] = []
        entries: List[Any] = []
        older = self._older_than_the_run(messages)
        for message in messages:
            id_ = usable_id(message)
            if id_ is not None and message_type(message) == "remove":
                entries.append(Removal(id_, Track(Head(id_), Whole(message))))
                continue
            track, told = self._take_listed(message, namespace, {}, ids, older.__contains__, settled=False)
            entries.append(track)
            changes += told
        if namespace == _ROOT:
            changes += self._remove_gone(self._mirror.write(entries))
        return changes

    def _older_than_the_run(self, messages: List[Dict[str, Any]]) -> Set[Optional[str]]:
        """Ids in a write that are not this run's doing: a subgraph gives back its whole list, with the input in front.

        A list of messages grows at its end, so what stands before a message of this run was there before it.
        """
        unknown: List[Optional[str]] = []
        older: Set[Optional[str]] = set()
        for message in messages:
            id_ = usable_id(message)
            track = self._tracks.get(id_) if id_ else None
            if track is not None and track.status is not None:
                older.update(unknown)
                break
            if id_ is not None:
                unknown.append(id_)
        return older

    # -- ends ------------------------------------------------------------------------------------------------------

    def _end_task(self, node: str, namespace: Tuple[str, ...], ids: Set[Optional[str]]) -> List[Message]:
        """A task has written: what it streamed, left open and did not write will not go on."""
        tasks = {track.head.task for track in (self._tracks.get(id_ or "") for id_ in ids) if track and track.head.node}
        here = [track for track in self._open if track.head.namespace == namespace and track.head.node == node]
        if len({track.head.task for track in here}) == 1 and not _is_sent(here[0].head.metadata):
            tasks.add(here[0].head.task)
        left = [track for track in self._open if track.head.task in tasks and track.head.id not in ids]
        return [self._end(track, track.looks_finished()) for track in left]

    def _on_metadata(self, data: Any, _namespace: Tuple[str, ...]) -> List[Message]:
        if not isinstance(data, dict):
            return self._unusable()
        run, attempt = data.get("run_id"), data.get("attempt")
        if attempt is None or (run, attempt) == self._attempt:
            return []
        before, self._attempt = self._attempt, (run, attempt)
        if before is None:
            return []
        self._seeded.clear()
        if before[0] == run:
            for track in self._tracks.values():
                track.stale = isinstance(track.state, Fold)
        return [self._end(track, False) for track in list(self._open)]


def _words(track: Track) -> Tuple[str, str]:
    return track.state.text(track.state.version), track.state.reasoning(track.state.version)


def _likeness(message: Mapping[str, Any]) -> Tuple[str, str]:
    return message_type(message), text_of(message.get("content"))


def _is_sent(metadata: Mapping[str, Any]) -> bool:
    """Whether the task is one of several that ``Send`` may have made of a node at once."""
    path = metadata.get("langgraph_path")
    return isinstance(path, list) and bool(path) and path[0] == "__pregel_push"
