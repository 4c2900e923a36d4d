"""The thread's list of messages, kept as the server keeps it (``langgraph.graph.message.add_messages``)."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Set, Union

from .track import Track

__all__ = ["REMOVE_ALL", "Mirror", "Removal"]

#: The id by which a removal means every message.
REMOVE_ALL = "__remove_all__"


class Removal:
    """A write that takes a message out of the list; ``track`` stands for the removal itself."""

    __slots__ = ("id", "track")

    def __init__(self, id_: str, track: Track) -> None:
        self.id = id_
        self.track = track


class Mirror:
    """The messages of the root graph, in the order of the thread's list."""

    def __init__(self) -> None:
        self._tracks: List[Track] = []
        self._members: Set[Track] = set()
        # Removals that stand in the list like messages, as what follows a removal of everything does.
        self._standing: Dict[Optional[str], Track] = {}

    @property
    def tracks(self) -> List[Track]:
        return list(self._tracks)

    def __contains__(self, track: object) -> bool:
        return track in self._members

    def replace(self, tracks: Sequence[Track]) -> List[Track]:
        """Become exactly that list; gives those that are gone."""
        before = self._tracks
        self._tracks = list(tracks)
        self._members = set(tracks)
        return [track for track in dict.fromkeys(before) if track not in self._members]

    def write(self, entries: Sequence[Union[Track, Removal]]) -> List[Track]:
        """Take one write of a node; gives those that it removed.

        A known message keeps its place, a new one goes to the end, a removal counts unless the same write brings the
        message back. After a removal of everything the rest of the write is the list, as it stands.
        """
        places = [place for place, entry in enumerate(entries) if _removes_all(entry)]
        if places:
            rest = entries[places[-1] + 1 :]
            self._standing = {entry.id: entry.track for entry in rest if isinstance(entry, Removal)}
            return self.replace([entry.track if isinstance(entry, Removal) else entry for entry in rest])
        removed: Set[str] = set()
        for entry in entries:
            if isinstance(entry, Removal):
                removed.add(entry.id)
                continue
            removed.discard(entry.head.id or "")
            if entry not in self._members:
                self._add(entry)
        if not removed:
            return []
        return self.replace([track for track in self._tracks if track.head.id not in removed])

    def _add(self, track: Track) -> None:
        self._members.add(track)
        standing = self._standing.pop(track.head.id, None)
        if standing in self._members:
            self._members.discard(standing)
            self._tracks[self._tracks.index(standing)] = track
        else:
            self._tracks.append(track)


def _removes_all(entry: Union[Track, Removal]) -> bool:
    return isinstance(entry, Removal) and entry.id == REMOVE_ALL
