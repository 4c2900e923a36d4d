"""What the message events of a run say: chunks, whole messages, cumulative snapshots."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .blocks import message_type
from .delta import text_difference
from .fold import Fold, is_chunk, is_empty
from .history import owned
from .ledger import Ledger
from .message import Head, Message
from .mirror import Mirror, Removal
from .track import Track, head_of, namespace_of, usable_id
from .whole import Whole, sent_message

__all__ = ["StreamReader"]

Namespace = Tuple[str, ...]


class StreamReader:
    """Reads ``messages``, ``messages/metadata``, ``messages/partial`` and ``messages/complete``."""

    def __init__(self, ledger: Ledger, mirror: Mirror) -> None:
        self._ledger = ledger
        self._mirror = mirror
        self._announced: Dict[str, Any] = {}

    def on_tuple(self, data: Any, suffix: Namespace) -> List[Message]:
        ledger = self._ledger
        if ledger.gap is None and type(data) is list and len(data) == 2:
            chunk = data[0]
            # One more usual chunk of a message that is streaming. What that does, the other way would do as well.
            if type(chunk) is dict and "type" in chunk and type(chunk.get("id")) is str:
                track = ledger.tracks.get(chunk["id"])
                usual = None if track is None else track.take_usual(chunk)
                if usual is not None:
                    return [usual]
        return self._take_tuple(data, suffix)

    def _take_tuple(self, data: Any, suffix: Namespace) -> List[Message]:
        if not isinstance(data, (list, tuple)) or len(data) != 2:
            return self._ledger.unusable()
        message, metadata = sent_message(data[0]), data[1]
        if not isinstance(message, dict):
            return self._ledger.unusable()
        chunk, gap = is_chunk(message), self._ledger.gap
        if gap is not None:
            about = metadata if isinstance(metadata, dict) else {}
            began_behind = gap.hear(namespace_of(suffix, about), about.get("langgraph_step"), chunk=chunk)
            if chunk and self._lacks_words(message, metadata, suffix, began_behind):
                return []
        if chunk:
            return self._take_chunk(message, metadata, suffix)
        return self._take_whole(message, metadata, suffix, "complete", "whole")

    def on_announcement(self, data: Any, _suffix: Namespace) -> List[Message]:
        if not isinstance(data, dict):
            return self._ledger.unusable()
        for id_, about in data.items():
            self._announced[id_] = about.get("metadata") if isinstance(about, dict) else None
        return []

    def on_partial(self, data: Any, suffix: Namespace) -> List[Message]:
        return self._take_wholes(data, suffix, "streaming", "snapshot")

    def on_complete(self, data: Any, suffix: Namespace) -> List[Message]:
        return self._take_wholes(data, suffix, "complete", "whole")

    # -- behind a gap --------------------------------------------------------------------------------------------------

    def _lacks_words(self, chunk: Dict[str, Any], metadata: Any, suffix: Namespace, began_behind: bool) -> bool:
        """Whether chunks of this message may be gone: then it is told no further until it is known as a whole."""
        ledger, id_ = self._ledger, usable_id(chunk)
        if id_ is None:
            return False
        if id_ in ledger.headless:
            return True
        track = ledger.tracks.get(id_)
        lacks = not began_behind if track is None or track.in_history else ledger.has_hole(track)
        if lacks and (track is None or track.status is None):
            head = head_of(id_, suffix, metadata)
            ledger.headless[id_] = head._replace(metadata=owned(head.metadata))
        return lacks

    # -- chunks --------------------------------------------------------------------------------------------------------

    def _take_chunk(self, chunk: Dict[str, Any], metadata: Any, suffix: Namespace) -> List[Message]:
        id_ = usable_id(chunk)
        if id_ is None:
            return [] if is_empty(chunk) else self._ledger.tell_nameless(chunk, head_of(None, suffix, metadata))
        track = self._ledger.tracks.get(id_)
        if track is None or track.status is None:
            return self._take_first_chunk(id_, track, chunk, head_of(id_, suffix, metadata))
        if track.status == "streaming" and isinstance(track.state, Fold):
            delta, changed = track.state.add(chunk)
            if track.state.last:
                return [self._ledger.tell(track, "complete", "chunk", delta)]
            return [track.tell("streaming", "chunk", delta)] if changed else []
        return self._take_late_chunk(track, chunk)

    def _take_first_chunk(self, id_: str, track: Optional[Track], chunk: Dict[str, Any], head: Head) -> List[Message]:
        says_nothing = is_empty(chunk)
        if track is None:
            track = self._ledger.add(id_, head, Fold())
        elif track.in_history:
            if says_nothing:
                return self._end_by_last_of_another_id(chunk, head)
            track.state = Fold()
        fold = track.growing()
        delta, _ = fold.add(chunk)
        if says_nothing:
            return self._end_by_last_of_another_id(chunk, head)
        track.marks_end = "chunk_position" in chunk
        self._ledger.show(track, head)
        return [self._ledger.tell(track, "complete" if fold.last else "streaming", "chunk", delta)]

    def _end_by_last_of_another_id(self, chunk: Dict[str, Any], head: Head) -> List[Message]:
        """The last chunk of a call comes under an id of langchain-core's even if all others had the provider's."""
        if chunk.get("chunk_position") != "last":
            return []
        track = self._ledger.may_end_by_another_id(head.task)
        return [] if track is None else [self._ledger.tell(track, "complete", "chunk")]

    def _take_late_chunk(self, track: Track, chunk: Dict[str, Any]) -> List[Message]:
        """A chunk of a message that had ended, or that was known from a snapshot."""
        if track.stale:
            return self._take_chunk_of_new_attempt(track, chunk)
        delta, changed = track.growing().add(chunk)
        if track.status == "streaming":
            status = "complete" if track.state.last else "streaming"
            return [self._ledger.tell(track, status, "chunk", delta)] if changed or track.state.last else []
        return [self._ledger.tell(track, "revised", "chunk", delta)] if changed else []

    def _take_chunk_of_new_attempt(self, track: Track, chunk: Dict[str, Any]) -> List[Message]:
        """What an attempt that was given up had streamed under this id is void."""
        if is_empty(chunk):
            return []
        heard = track.heard()
        track.stale, track.state = False, Fold()
        delta, _ = track.growing().add(chunk)
        anew = text_difference(heard, track.words())._replace(tool_args=delta.tool_args)
        return [self._ledger.tell(track, "revised", "chunk", anew)]

    # -- whole messages and snapshots ----------------------------------------------------------------------------------

    def _take_wholes(self, data: Any, suffix: Namespace, status: str, source: str) -> List[Message]:
        """Python servers send one message in such an event, JavaScript ones may send many."""
        changes: List[Message] = []
        for value in data if isinstance(data, list) else [data]:
            message = sent_message(value)
            if isinstance(message, dict):
                metadata = self._announced.get(usable_id(message) or "")
                changes += self._take_whole(message, metadata, suffix, status, source)
            else:
                self._ledger.unusable()
        return changes

    def _take_whole(
        self, message: Dict[str, Any], metadata: Any, suffix: Namespace, status: str, source: str
    ) -> List[Message]:
        id_ = usable_id(message)
        head = head_of(id_, suffix, metadata)
        if message_type(message) == "remove":
            return self._take_removal(id_, head)
        if id_ is None:
            return self._ledger.tell_nameless(message, head)
        track = self._ledger.known(id_)
        if track is not None:
            return self._take_snapshot(track, message, head, status, source)
        if status == "streaming" and is_empty(message):
            return []
        track = self._ledger.add(id_, head, Whole(message))
        self._ledger.show(track, head)
        return [self._ledger.tell_first(track, status, source)]

    def _take_snapshot(
        self, track: Track, message: Dict[str, Any], head: Head, status: str, source: str
    ) -> List[Message]:
        """An event that says all of a message known already: it replaces, and never adds to it."""
        if self._ledger.agrees(track, message):
            track.gap = self._ledger.gap
            # The empty chunk that ends a call repeats the snapshot of the one before it.
            repeated_end = track.status == "streaming" and track.looks_finished()
            return self._ledger.confirm(track, source) if status == "complete" or repeated_end else []
        told_before = track.status is not None
        if not told_before:
            self._ledger.show(track, head)
        goes_on = track.status == "streaming" or (not told_before and status == "streaming")
        change = self._ledger.replace(track, message, status if goes_on else "revised", source)
        track.gap = self._ledger.gap
        return [change]

    def _take_removal(self, id_: Optional[str], head: Head) -> List[Message]:
        """A removal that a node returned. One of everything is left to the state, which knows what came back."""
        track = self._ledger.tracks.get(id_ or "")
        if track is None:
            return []
        if track in self._mirror and not head.namespace:
            self._mirror.write([Removal(track.head.id or "", track)])
        elif track in self._mirror or track.head.namespace != head.namespace:
            return []
        return self._ledger.remove(track, "whole")
