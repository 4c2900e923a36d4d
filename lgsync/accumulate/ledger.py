"""The book of all messages of a run: which are known, which were told, which are open, and how each change is told."""

from __future__ import annotations

from typing import Any, ContextManager, Dict, List, Mapping, Optional, Set, Tuple, Union

from .blocks import agrees, message_type
from .delta import EMPTY, Delta, text_difference
from .fold import Fold, is_chunk, is_empty
from .gap import Gap
from .history import owned
from .message import UNGUARDED, Head, Message
from .track import Track, has_own_end
from .whole import Whole

__all__ = ["Ledger"]

# A message of the thread's history changes: its words are not new, yet nobody has heard them from this run.
_UNHEARD = Delta(replaced=True)


class Ledger:
    """Every change of a message goes through here, so that each message ends exactly once."""

    def __init__(self, guard: ContextManager[Any] = UNGUARDED) -> None:
        #: Held whenever a snapshot that was given out is worked out.
        self.guard = guard
        self.ignored = 0
        #: By id. Two ids lead to one track where the state said that they are one message.
        self.tracks: Dict[str, Track] = {}
        #: Messages without an id, until the state gives them one.
        self.nameless: List[Track] = []
        #: The last place where parts are gone for good.
        self.gap: Optional[Gap] = None
        #: Messages of which only chunks behind the gap are known, which may not be their first. Not told so far.
        self.headless: Dict[str, Head] = {}
        self._told: List[Track] = []
        self._open: Dict[Track, None] = {}
        self._by_task: Dict[Any, List[Track]] = {}

    @property
    def told(self) -> List[Track]:
        """The tracks of which something was told, by first appearance."""
        return list(self._told)

    @property
    def open(self) -> List[Track]:
        """The tracks that are streaming."""
        return list(self._open)

    def known(self, id_: Optional[str]) -> Optional[Track]:
        """The track of an id of which more is known than empty chunks."""
        track = self.tracks.get(id_) if id_ else None
        return track if track is not None and (track.status is not None or track.in_history) else None

    def add(self, id_: str, head: Head, state: Union[Fold, Whole]) -> Track:
        """The track of a message that a message event is the first to tell of."""
        track = self.tracks[id_] = Track(head, state, self.guard)
        track.gap = self.gap
        return track

    def has_hole(self, track: Track) -> bool:
        """Whether parts of this message may be gone since it was streamed, or sent whole."""
        return track.gap is not self.gap

    def may_end_by_another_id(self, task: Any) -> Optional[Track]:
        """The one message of a task that the last chunk under an id of langchain-core's can be of; None if unsure.

        It may as well be of one that is not told, because its head may be gone.
        """
        here = [track for track in self._open if track.head.task == task and not track.has_own_end()]
        if len(here) != 1 or self.has_hole(here[0]):
            return None
        untold = any(head.task == task and not has_own_end(head.id) for head in self.headless.values())
        return None if untold else here[0]

    def agrees(self, track: Track, message: Mapping[str, Any]) -> bool:
        """Whether this says all that is known of the message; of a torn one, nothing counts that it leaves out."""
        known = track.as_dict()
        if self._is_torn(track) and any(known[key] and key not in message for key in known):
            return False
        return agrees(known, message)

    def _is_torn(self, track: Track) -> bool:
        return self.has_hole(track) and track.status in ("streaming", "incomplete")

    def is_finished(self, track: Track) -> bool:
        """Whether the provider said that it stopped, and nothing that it said is missing."""
        return track.looks_finished() and not self.has_hole(track)

    def unusable(self) -> List[Message]:
        """Count a part, or a message in it, that cannot be used."""
        self.ignored += 1
        return []

    def show(self, track: Track, head: Head) -> None:
        """From now on this message belongs to the run, at the place the event names."""
        track.head = head._replace(metadata=owned(dict(head.metadata)))
        track.gap = self.gap
        self._by_task.setdefault(head.task, []).append(track)

    def tell(self, track: Track, status: str, source: str, delta: Delta = EMPTY) -> Message:
        if track.revision == 0:
            self._told.append(track)
        if status == "streaming":
            self._open[track] = None
        else:
            self._open.pop(track, None)
        return track.tell(status, source, delta)

    def tell_first(self, track: Track, status: str, source: str) -> Message:
        """All words are the delta of a message that nobody has heard of."""
        return self.tell(track, status, source, text_difference(("", ""), track.words()))

    def tell_nameless(self, message: Dict[str, Any], head: Head) -> List[Message]:
        """A message without an id is told once, by itself."""
        state: Any = Fold() if is_chunk(message) else Whole(message)
        if isinstance(state, Fold):
            state.add(message)
        track = Track(head, state, self.guard)
        self.show(track, head)
        self.nameless.append(track)
        return [self.tell_first(track, "complete", "whole")]

    def end(self, track: Track, well: bool) -> Message:
        source = track.latest.source if track.latest else "chunk"
        return self.tell(track, "complete" if well else "incomplete", source)

    def begin_anew(self) -> None:
        """All that comes now has begun now."""
        self.headless.clear()
        if self.gap is not None:
            self.gap.begin_anew()

    def end_all(self) -> List[Message]:
        """Nothing that is open will go on."""
        return [self.end(track, False) for track in self.open]

    def remove(self, track: Track, source: str) -> List[Message]:
        if track.status == "removed":
            return []
        delta = _UNHEARD if track.in_history else EMPTY
        ended = [self.end(track, False)] if track.status == "streaming" else []
        return [*ended, self.tell(track, "removed", source, delta)]

    def confirm(self, track: Track, source: str) -> List[Message]:
        """The state, or a whole message, says of this message what is known."""
        if track.status == "streaming":
            return [self.tell(track, "complete", source)]
        if track.status in ("incomplete", "removed"):
            return [self.tell(track, "revised", source)]
        return []

    def replace(self, track: Track, message: Mapping[str, Any], status: str, source: str) -> Message:
        """Someone who knows better says what this message is."""
        history_changes = track.in_history and status == "revised"
        heard = track.heard()
        track.overlay(message, keep=not self._is_torn(track))
        delta = _UNHEARD if history_changes else text_difference(heard, track.words())
        return self.tell(track, status, source, delta)

    def other_half(self, track: Track, message: Mapping[str, Any], elsewhere: Set[Optional[str]]) -> Optional[Track]:
        """The rest of a message whose chunks came under two ids, if the state says that these are one message.

        ``message`` is what the state has under the one id, ``elsewhere`` are the ids it has besides.
        """
        if track.status is None:
            return None
        mine = track.state.as_chunk()
        for other in self._by_task.get(track.head.task, ()):
            if other is track or other.status == "removed" or other.head.id is None or other.head.id in elsewhere:
                continue
            rest = other.state.as_chunk()
            if is_empty(mine) or is_empty(rest) or message_type(mine) != message_type(rest):
                continue
            if any(_make_up(halves, message) for halves in ((mine, rest), (rest, mine))):
                return other
        return None


def _make_up(halves: Tuple[Mapping[str, Any], Mapping[str, Any]], message: Mapping[str, Any]) -> bool:
    both = Fold()
    for half in halves:
        both.add(half)
    return agrees(both.to_dict(both.version, True), {**message, "id": None})
