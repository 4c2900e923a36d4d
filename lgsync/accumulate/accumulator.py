"""From the parts of a run to its messages: each as soon as it changes, whole when it is complete.

The rules, in the order in which they decide:

* The thread's state is the truth. ``values`` replaces what is known of its messages, ``updates`` is applied as the
  server applies it; what a snapshot leaves out it does not deny.
* A stream of chunks is folded as langchain-core folds it, so that it ends as what the state will say.
* A message is complete when its last chunk, its whole, or the state shows it; or when the run ends well and nothing
  speaks against it. It is incomplete when the run, the attempt or its task ended without any of these.
* Nothing is guessed from text. Texts are compared only with the state: to see that a message which a provider split
  over two ids is one, and that a message written without an id is the one which has an id there.
"""

from __future__ import annotations

from typing import Any, Callable, Collection, ContextManager, Dict, List, Optional, Tuple

from ..errors import ConfigurationError
from .fold import Fold
from .gap import Gap
from .ledger import Ledger
from .message import UNGUARDED, Message
from .mirror import Mirror
from .state import StateReader
from .streamed import StreamReader
from .track import Track

__all__ = ["MessageAccumulator"]

_ENDED_WELL = ("success", "interrupted")
_OUTCOMES = (*_ENDED_WELL, "cancelled", "error", "unknown")

#: Events that are no concern of messages.
_OTHER_KINDS = {"custom", "tasks", "checkpoints", "debug", "events", "feedback", "error", "end"}

#: Takes an event's data and namespace.
_Handler = Callable[[Any, Tuple[str, ...]], List[Message]]


class MessageAccumulator:
    """Accumulates the messages of a run from its parts, whoever received them.

    It does no I/O, knows no clock and never raises for what a server sent. ``messages_key`` is the key of the graph's
    state that holds the messages.

    It is not for several threads at once. If messages that it gave are to be read by other threads while it is fed,
    hold a re-entrant lock around each call and give it as ``guard``: reading a message takes it too.

    The first ``values`` of a run (of each namespace) is taken for what was there before: its messages enter
    :attr:`messages`, but are not told as changes. Whoever knows the thread's state beforehand can feed it so.

    Whoever knows that parts were lost says so with :meth:`gap`, so that no text with a hole is told for the text. What
    was lost comes back with :meth:`settle`.
    """

    def __init__(self, *, messages_key: str = "messages", guard: ContextManager[Any] = UNGUARDED) -> None:
        self._key = messages_key
        self._guard = guard
        self.reset()

    def reset(self) -> None:
        """Forget everything, as before a replay from the start."""
        self._ledger = Ledger(self._guard)
        self._mirror = Mirror()
        self._state = StateReader(self._ledger, self._mirror, self._key)
        stream = StreamReader(self._ledger, self._mirror)
        self._attempt: Optional[Tuple[Any, Any]] = None
        self._handlers: Dict[str, _Handler] = {
            "messages": stream.on_tuple,
            "messages/metadata": stream.on_announcement,
            "messages/partial": stream.on_partial,
            "messages/complete": stream.on_complete,
            "values": self._state.on_values,
            "updates": self._state.on_updates,
            "metadata": self._on_metadata,
        }
        self._turn_to("metadata")

    def gap(self) -> None:
        """Some parts between the last one fed and the next one are gone for good.

        A message that was open is told no further by its chunks, and neither its last chunk nor the run's good end
        completes it: only a cumulative snapshot, the whole message, or the state (``updates``, ``values``,
        :meth:`settle`) goes on with it. A message that shows first behind the gap is told as it is streamed if it is
        certain that it began there; else it is told as a whole, by the same.
        """
        self._ledger.gap = Gap()

    @property
    def ignored(self) -> int:
        """How many parts, or messages in them, could not be used: unknown events, or data not of the event's shape."""
        return self._ledger.ignored

    @property
    def messages(self) -> List[Message]:
        """The thread's list of messages (root graph), as far as ``values``, ``updates`` and ``settle`` told it."""
        return [track.snapshot() for track in self._mirror.tracks]

    @property
    def run_messages(self) -> List[Message]:
        """Every message that was told as a change, at its latest, by first appearance; of all namespaces."""
        return [track.snapshot() for track in self._ledger.told]

    def feed(self, part: Any) -> List[Message]:
        """Take one part; gives the messages it changed.

        ``part`` is a :class:`~lgsync.parts.StreamPart`, one of the official client's, or any ``(event, data)`` or
        ``(event, data, id)`` tuple, with decoded JSON as data.
        """
        if not isinstance(part, (tuple, list)) or len(part) < 2 or not isinstance(part[0], str):
            return self._ledger.unusable()
        if part[0] != self._name:
            self._turn_to(part[0])
        try:
            return self._handler(part[1], self._namespace)
        except RecursionError:
            # Nested deeper than this interpreter can walk: such a part cannot be used.
            return self._ledger.unusable()

    def _turn_to(self, name: str) -> None:
        """From now on events have this name; they mostly come in rows."""
        kind, bar, path = name.partition("|")
        unknown = self._pass_over if kind in _OTHER_KINDS else self._cannot_use
        self._name = name
        self._handler = self._handlers.get(kind, unknown)
        self._namespace = tuple(path.split("|")) if bar else ()

    def _pass_over(self, _data: Any, _namespace: Tuple[str, ...]) -> List[Message]:
        return []

    def _cannot_use(self, _data: Any, _namespace: Tuple[str, ...]) -> List[Message]:
        return self._ledger.unusable()

    def settle(self, values: Any, *, known: Optional[Collection[str]] = None) -> List[Message]:
        """Take the thread's state (its ``values``) as the last word; gives the messages that this changes.

        Open messages that are in it are complete, different ones are replaced, those gone are removed; what is left
        open of the root graph ends, and well only if its provider said that it had stopped. A message never seen before
        may be history: it is told only if ``known``, the ids that were in the thread before the run, is given and lacks
        it. After a :meth:`gap` that goes for messages as well that were taken for history since.
        """
        return self._state.settle(values, known)

    def close(self, outcome: str) -> List[Message]:
        """The run is over; gives the messages that this ends.

        ``outcome`` is "success" or "interrupted", which complete what is open unless it must have been cut off, or
        "cancelled", "error" or "unknown", which leave it incomplete. Raises ConfigurationError for any other.
        """
        if outcome not in _OUTCOMES:
            raise ConfigurationError(f"outcome must be one of {', '.join(_OUTCOMES)}, not {outcome!r}")
        well = outcome in _ENDED_WELL
        return [self._ledger.end(track, well and not self._was_cut(track)) for track in self._ledger.open]

    def _was_cut(self, track: Track) -> bool:
        return track.was_cut() or self._ledger.has_hole(track)

    def _on_metadata(self, data: Any, _namespace: Tuple[str, ...]) -> List[Message]:
        """A run, or an attempt of it, begins: what the one before left open will not go on."""
        if not isinstance(data, dict):
            return self._ledger.unusable()
        run, attempt = data.get("run_id"), data.get("attempt")
        if attempt is None or (run, attempt) == self._attempt:
            return []
        before, self._attempt = self._attempt, (run, attempt)
        if before is None:
            return []
        self._state.expect_history()
        self._ledger.begin_anew()
        if before[0] == run:
            for track in self._ledger.tracks.values():
                track.stale = isinstance(track.state, Fold)
                track.gap = self._ledger.gap if track.stale else track.gap
        return self._ledger.end_all()
