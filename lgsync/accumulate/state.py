"""What the thread's state says of its messages: ``values`` of a step, ``updates`` of a task, the state at the end."""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Collection, Deque, Dict, List, Mapping, Optional, Set, Tuple, Union

from .blocks import message_type, text_of
from .ledger import Ledger
from .message import Head, Message
from .mirror import Mirror, Removal
from .track import Track, usable_id
from .whole import Whole, sent_message

__all__ = ["StateReader"]

Namespace = Tuple[str, ...]
_ROOT: Namespace = ()

#: Messages without an id that the state may by now have given one, by what they say.
_Pool = Dict[Tuple[str, str], Deque[Track]]


class StateReader:
    """Reads ``values``, ``updates`` and the final state, and keeps the mirror of the thread's list by them."""

    def __init__(self, ledger: Ledger, mirror: Mirror, messages_key: str) -> None:
        self._ledger = ledger
        self._mirror = mirror
        self._key = messages_key
        self._seeded: Set[Namespace] = set()
        # Taken for older than the run, while what would have told otherwise may be gone.
        self._presumed: Set[str] = set()

    def expect_history(self) -> None:
        """What ``values`` say next is what was there before the run, or before this attempt of it."""
        self._seeded.clear()

    def on_values(self, data: Any, namespace: Namespace) -> List[Message]:
        if not isinstance(data, dict):
            return self._ledger.unusable()
        if self._ledger.gap is not None:
            self._ledger.gap.see_state(namespace, data)
        messages = self._messages_in(data)
        if messages is None:
            return []
        first = namespace not in self._seeded
        self._seeded.add(namespace)
        if first:
            self._presume_history(messages)
        return self._take_list(messages, namespace, lambda _: first, "snapshot")

    def settle(self, values: Any, known: Optional[Collection[str]]) -> List[Message]:
        if not isinstance(values, dict):
            return self._ledger.unusable()
        self._seeded.add(_ROOT)

        def is_history(id_: Optional[str]) -> bool:
            return id_ is None or known is None or id_ in known

        messages = self._messages_in(values) or []
        if known is not None:
            self._presume_no_longer(messages, known)
        changes = self._take_list(messages, _ROOT, is_history, "state")
        left = [track for track in self._ledger.open if track.head.namespace == _ROOT]
        return changes + [self._ledger.end(track, self._ledger.is_finished(track)) for track in left]

    def on_updates(self, data: Any, namespace: Namespace) -> List[Message]:
        if not isinstance(data, dict):
            return self._ledger.unusable()
        changes: List[Message] = []
        for node, writes in data.items():
            if node != "__interrupt__":
                changes += self._take_writes(node, writes if isinstance(writes, list) else [writes], namespace)
        return changes

    def _messages_in(self, values: Mapping[str, Any]) -> Optional[List[Dict[str, Any]]]:
        """The messages of a state, or of a node's write; None if it says nothing of them."""
        messages = values.get(self._key)
        if isinstance(messages, dict):
            messages = [messages]
        if not isinstance(messages, list):
            return None
        return [message for message in map(sent_message, messages) if isinstance(message, dict)]

    # -- lists of messages ---------------------------------------------------------------------------------------------

    def _take_list(
        self,
        messages: List[Dict[str, Any]],
        namespace: Namespace,
        is_history: Callable[[Optional[str]], bool],
        source: str,
    ) -> List[Message]:
        """All messages of a state: what is not among them is not in the state."""
        changes: List[Message] = []
        listed: List[Track] = []
        ids = {usable_id(message) for message in messages}
        pool = self._nameless_pool()
        for message in messages:
            known = self._ledger.known(usable_id(message))
            if known is not None:
                changes += self._take_known(known, message, ids, source)
                listed.append(known)
                continue
            track, is_new = self._take_new(message, namespace, pool)
            listed.append(track)
            of_this_run = track.head.id in self._ledger.headless
            if is_new and (of_this_run or not is_history(track.head.id)):
                changes.append(self._ledger.tell_first(track, "complete", source))
        if namespace == _ROOT:
            changes += self._remove_gone(self._mirror.replace(listed))
        return changes

    def _take_known(self, track: Track, message: Dict[str, Any], ids: Set[Optional[str]], source: str) -> List[Message]:
        if self._ledger.agrees(track, message):
            return self._ledger.confirm(track, source)
        elsewhere = ids | {other.head.id for other in self._mirror.tracks}
        other = self._ledger.other_half(track, message, elsewhere)
        status = "complete" if track.status == "streaming" else "revised"
        changes = [self._ledger.replace(track, message, status, "state")]
        if other is not None:
            changes += self._ledger.remove(other, "state")
            self._ledger.tracks[other.head.id or ""] = track
        return changes

    def _take_new(self, message: Dict[str, Any], namespace: Namespace, pool: _Pool) -> Tuple[Track, bool]:
        """The track of a message seen for the first time, and whether it is not one that was told without its id."""
        id_ = usable_id(message)
        same = pool.get(_likeness(message))
        if same:
            return self._name(same.popleft(), id_, message), False
        head = self._ledger.headless.get(id_ or "", Head(id_, namespace))
        track = Track(head, Whole(message), self._ledger.guard)
        if id_ is None:
            self._ledger.nameless.append(track)
        else:
            self._ledger.tracks[id_] = track
        return track, True

    def _nameless_pool(self) -> _Pool:
        pool: _Pool = {}
        for track in self._ledger.nameless:
            pool.setdefault(_likeness(track.as_dict()), deque()).append(track)
        return pool

    def _name(self, track: Track, id_: Optional[str], message: Dict[str, Any]) -> Track:
        """The state has given an id to a message that a node wrote without one."""
        if id_ is not None:
            self._ledger.nameless.remove(track)
            self._ledger.tracks[id_] = track
            track.overlay(message)
            track.rename(id_)
        return track

    def _remove_gone(self, tracks: List[Track]) -> List[Message]:
        """These left the thread's list; a nameless one, or a removal that stood in it, is no message to tell of."""
        named = [track for track in tracks if self._ledger.tracks.get(track.head.id or "") is track]
        return [change for track in named for change in self._ledger.remove(track, "state")]

    # -- behind a gap --------------------------------------------------------------------------------------------------

    def _presume_history(self, messages: List[Dict[str, Any]]) -> None:
        """If parts are gone, a state that shows a message for the first time may show one of this run."""
        if self._ledger.gap is not None:
            ids = map(usable_id, messages)
            self._presumed.update(id_ for id_ in ids if id_ is not None and self._ledger.known(id_) is None)

    def _presume_no_longer(self, messages: List[Dict[str, Any]], known: Collection[str]) -> None:
        """Which messages are older than the run is known now: the others are new, and nobody has heard of them."""
        for id_ in self._presumed.intersection(id_ for id_ in map(usable_id, messages) if id_ not in known):
            track = self._ledger.known(id_)
            if track is not None and track.in_history:
                del self._ledger.tracks[id_]
        self._presumed.clear()

    # -- writes of tasks -----------------------------------------------------------------------------------------------

    def _take_writes(self, node: str, writes: List[Any], namespace: Namespace) -> List[Message]:
        """What one task wrote. It is over with that."""
        changes: List[Message] = []
        written = [self._messages_in(write) or [] for write in writes if isinstance(write, dict)]
        ids = {usable_id(message) for messages in written for message in messages}
        for messages in written:
            changes += self._take_write(messages, namespace, ids)
        return changes + self._end_task(node, namespace, ids)

    def _take_write(
        self, messages: List[Dict[str, Any]], namespace: Namespace, ids: Set[Optional[str]]
    ) -> List[Message]:
        changes: List[Message] = []
        entries: List[Union[Track, Removal]] = []
        older = self._older_than_the_run(messages, namespace)
        self._presume_history([message for message in messages if usable_id(message) in older])
        for message in messages:
            id_ = usable_id(message)
            known = self._ledger.known(id_)
            if id_ is not None and message_type(message) == "remove":
                entries.append(Removal(id_, Track(Head(id_), Whole(message))))
            elif known is not None:
                entries.append(known)
                changes += self._take_known(known, message, ids, "snapshot")
            else:
                track, _ = self._take_new(message, namespace, {})
                entries.append(track)
                if id_ not in older:
                    changes.append(self._ledger.tell_first(track, "complete", "snapshot"))
        if namespace == _ROOT:
            changes += self._remove_gone(self._mirror.write(entries))
        return changes

    def _older_than_the_run(self, messages: List[Dict[str, Any]], namespace: Namespace) -> Set[str]:
        """Ids in a write that are not this run's doing: a subgraph hands back its whole list, with its input in front.

        A list of messages grows at its end, so what stands before a message of this run was there before it. Where the
        parts that would tell which are of this run may be gone, only the last one is sure to be.
        """
        unknown: List[str] = []
        for message in messages:
            id_ = usable_id(message)
            track = self._ledger.known(id_)
            if id_ in self._ledger.headless or (track is not None and track.status is not None):
                return set(unknown)
            if id_ is not None and track is None:
                unknown.append(id_)
        gap = self._ledger.gap
        certain = gap is None or namespace in self._seeded or gap.has_passed(namespace)
        return set() if certain else set(unknown[:-1])

    def _end_task(self, node: str, namespace: Namespace, ids: Set[Optional[str]]) -> List[Message]:
        """A task has written: what it streamed, left open and did not write will not go on."""
        writers = [self._ledger.tracks.get(id_ or "") for id_ in ids]
        tasks = {track.head.task for track in writers if track is not None and track.head.node}
        open_ = self._ledger.open
        here = [track for track in open_ if track.head.namespace == namespace and track.head.node == node]
        if len({track.head.task for track in here}) == 1 and not _is_sent(here[0].head.metadata):
            tasks.add(here[0].head.task)
        left = [track for track in open_ if track.head.task in tasks and track.head.id not in ids]
        return [self._ledger.end(track, self._ledger.is_finished(track)) for track in left]


def _likeness(message: Mapping[str, Any]) -> Tuple[str, str]:
    return message_type(message), text_of(message.get("content"))


def _is_sent(metadata: Mapping[str, Any]) -> bool:
    """Whether the task is one of several that ``Send`` may have made of a node at once."""
    path = metadata.get("langgraph_path")
    return isinstance(path, list) and bool(path) and path[0] == "__pregel_push"
