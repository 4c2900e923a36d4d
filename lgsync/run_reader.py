"""The reading side of a streamed run: parts in, batches of parts and changed messages out; and how it is left."""

from __future__ import annotations

import functools
import logging
import os
from collections import deque
from threading import RLock
from typing import Any, Deque, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from .accumulate import Message, MessageAccumulator
from .cancelling import cancelled_on_leaving
from .cursor import Cursor, Place
from .delivery import Beat, Delivery, Gap, Item, Placed
from .errors import ClientClosed, DeadlineExceeded, LgsyncError
from .kept_data import KeptData
from .parts import StreamPart, kind_of
from .tracing import RunSpan

__all__ = ["ALWAYS_SHOWN", "Batch", "BeatBatch", "End", "Raw", "RunReader"]

logger = logging.getLogger("lgsync")

#: Kinds that are shown whatever modes were asked for.
ALWAYS_SHOWN = frozenset({"metadata", "error", "feedback", "end"})


class End(NamedTuple):
    """The end of the stream; ``values`` is the thread's state, if it was needed to settle what the wire left open.

    ``known`` are the ids of messages that were there before the run, if that had to be found out.
    """

    values: Any = None
    settles: bool = False
    known: Optional[Set[str]] = None


class Batch(NamedTuple):
    """One part, and the messages it changed; no part at the end, and where parts are gone, which ``gap`` says.

    ``mark`` is the number of the batch, and where the stream stood before it.
    """

    part: Optional[StreamPart]
    changes: List[Message]
    gap: Optional[LgsyncError]
    mark: Tuple[int, Place]


class BeatBatch(Batch):
    """Nothing came for a while."""


#: What is read: an item of the stream, or its end; and where the stream stands behind it.
Raw = Tuple[Union[Item, End], Place]


class RunReader:
    """Reads one run for its handle, and knows nothing of the handle, so that letting go of it is noticed at once.

    ``read`` and ``digest`` are a fan-out's. ``leave`` frees the connection and cancels the run if ``on_close`` says
    so. A process made by fork has no part in a run of its parent's, and leaves nothing.
    """

    def __init__(
        self,
        delivery: Delivery,
        modes: Tuple[str, ...],
        on_close: str,
        messages_key: str,
        raise_error: bool = True,
    ) -> None:
        self.delivery = delivery
        self.modes = modes
        #: Held while a part is digested, and while a message that was given out is read.
        self.lock = RLock()
        self.accumulator = MessageAccumulator(messages_key=messages_key, guard=self.lock)
        self.kept = KeptData()
        self.begun = False
        self.over = False
        self.left = False
        self.settled = False
        #: Where parts are gone; and whether nothing was read since the last of these.
        self.gaps: List[LgsyncError] = []
        self.at_gap = False
        #: After the last batch.
        self.place = delivery.place
        self._batches = 0
        # What came along with the item that was read last: whoever leaves drops it.
        self._at_hand: Deque[Placed] = deque()
        self._on_close = on_close
        self._raise_error = raise_error
        self._messages_key = messages_key
        self._failure: Optional[LgsyncError] = None
        # Re-entrant, for a signal handler may cancel what is being cancelled. Leaving never waits for it.
        self._cancelling = RLock()
        # Whoever takes this out is the one to ask the server to cancel.
        self._uncancelled = [True]
        self._process = os.getpid()
        if delivery.begins_midway:
            self.accumulator.gap()

    def asked(self, mode: str) -> bool:
        """Whether the run was asked for this mode; a join that names none asks for all."""
        return _is_asked(self.modes, mode)

    def shows(self, part: StreamPart) -> bool:
        """Whether a part is of a mode that was asked for; transports may bring more, for the accumulator."""
        return _is_shown(self.modes, part.event)

    def read(self) -> Optional[Raw]:
        """The next item; then the end, once; then None, or what ended the stream is raised."""
        self.begun = True
        self.at_gap = False
        if self.over:
            failure = self._failure or (self.delivery.failure if self._raise_error else None)
            if failure is not None:
                raise failure
            return None
        try:
            item = self.delivery.next_part()
        except DeadlineExceeded as exc:
            self._failure = exc
            self.leave()
            item = None
        except LgsyncError as exc:
            self._failure = exc
            item = None
        except KeyboardInterrupt:
            # An interpreter that goes on keeps the traceback, and with it the handle: nobody would ever leave it.
            self.leave()
            raise
        if item is not None:
            placed = item, self.delivery.place
            self._at_hand = deque(self.delivery.at_hand())
            return placed
        self.over = True
        try:
            return self._end(), self.place
        finally:
            # Whoever leaves has the last word: the run may be cancelled by that.
            if not self.left:
                self.delivery.span.ended(self.delivery.outcome, self._failure or self.delivery.failure)

    def at_hand(self) -> Optional[Raw]:
        """The next item, if it came along with one that was read; whoever has left gets none."""
        if not self._at_hand or self.left:
            return None
        self.at_gap = False
        return self._at_hand.popleft()

    def digest(self, raw: Raw) -> Batch:
        """What an item, or the end, changes."""
        self._batches += 1
        mark = self._batches, self.place
        item, place = raw
        batch = self._digested(item, mark)
        if self.delivery.span.awaits:
            _tell_of_first(self.delivery.span, batch)
        # Last of all: an interrupt before this leaves the part to be given again.
        self.place = place
        return batch

    def _digested(self, item: Union[Item, End], mark: Tuple[int, Place]) -> Batch:
        if isinstance(item, StreamPart):
            if _is_kept(self.modes, item.event):
                self.kept.keep(item)
            # One is made for each part: without the constructor of its class, in half the time.
            return tuple.__new__(Batch, (item, self.accumulator.feed(item), None, mark))
        if isinstance(item, End):
            return self._ended(item, mark)
        if isinstance(item, Gap):
            self.gaps.append(item.error)
            self.at_gap = True
            self.accumulator.gap()
            return Batch(None, [], item.error, mark)
        if isinstance(item, Beat):
            return BeatBatch(None, [], None, mark)
        # What was before the place is fed as well, and not shown.
        return self._digested(item.part, mark)._replace(part=None, changes=[])

    def _ended(self, end: End, mark: Tuple[int, Place]) -> Batch:
        changes = self.settle(end.values, end.known) if end.settles else []
        gap = self.delivery.cut_short if any(map(_is_news, changes)) else None
        self.gaps += [] if gap is None else [gap]
        outcome = "unknown" if self._failure else self.delivery.outcome or "unknown"
        return Batch(None, changes + self.accumulator.close(outcome), gap, mark)

    def cursor(self, unread: Sequence[Tuple[int, Place]]) -> Optional[Cursor]:
        """Where the stream stands if batches of these numbers, before which it stood there, were not taken yet.

        To be called with the lock held.
        """
        place = min(unread)[1] if unread else self.place
        return self.delivery.run.cursor(place, self._messages_key)

    def settle(self, values: Any, known: Optional[Set[str]] = None) -> List[Message]:
        """Take the thread's state as the last word on its messages."""
        self.settled = True
        return self.accumulator.settle(values, known=known)

    def closing(self) -> Optional[Raw]:
        """The end of a stream that nobody reads while it is left."""
        if self.over:
            return None
        self.over = True
        return End(), self.place

    def cancel(self, action: str) -> bool:
        """Cancel the run and free the connection; False if there was nothing left to cancel. Raises LgsyncError."""
        with self._cancelling:
            if self.left:
                return True
            if not self._may_cancel():
                return False
            try:
                done = self._cancels_by_leaving() or self.delivery.cancel(action)
            except BaseException:
                self._uncancelled.append(True)
                raise
            if not done:
                self._uncancelled.append(True)
                return False
            self.left = True
            self.delivery.close("cancelled")
            self.delivery.span.ended("cancelled")
            return True

    def leave(self, *, detaching: bool = False) -> None:
        """Free the connection, then cancel the run if it has not ended and is not to go on; once.

        Waits for nobody else who leaves or cancels: it may be a signal handler that interrupted just that.
        Whoever leaves because parts were lost does not cancel it: a cut is never leaving.
        """
        if self._process != os.getpid():
            return
        if self.left:
            return
        self.left = True
        delivery = self.delivery
        unfinished = not self.over and delivery.outcome is None and delivery.failure is None
        delivery.close()
        goes_on = detaching or self.at_gap or self._on_close != "cancel"
        try:
            if (
                unfinished
                and not goes_on
                and self._may_cancel()
                and cancelled_on_leaving(delivery.cancel_on_leaving, delivery.run.run_id)
            ):
                delivery.outcome = "cancelled"
        finally:
            delivery.span.ended(delivery.outcome, self._failure, left_early=unfinished)

    def _may_cancel(self) -> bool:
        """Whether the caller is the one to ask; in one step, for threads and signal handlers alike."""
        try:
            return self._uncancelled.pop()
        except IndexError:
            return False

    def _cancels_by_leaving(self) -> bool:
        """A run without a thread, which the server cancels when its connection ends."""
        return self.delivery.run.thread_id is None and self._on_close == "cancel"

    def _end(self) -> End:
        """The thread's state settles what the wire could not show; a stream that was left asks for nothing more."""
        delivery = self.delivery
        if self.left or delivery.outcome is None or not delivery.needs_state:
            return End()
        try:
            values = delivery.questions.state().get("values")
            known = delivery.questions.ids_before(self._messages_key) if self._may_have_missed_some(values) else None
            return End(values, settles=True, known=known)
        except ClientClosed:
            return End()
        except LgsyncError as exc:
            if delivery.outcome != "error":
                self._failure = delivery.run.unsettled(exc)
            logger.warning("The state of thread %s could not be read after its run: %s", delivery.run.thread_id, exc)
            return End()

    def _may_have_missed_some(self, values: Any) -> bool:
        """Whether the state holds messages that were not told and may be the run's: those behind its first one."""
        listed = values.get(self._messages_key) if isinstance(values, dict) else None
        ids = [message.get("id") for message in listed or () if isinstance(message, dict)]
        told = {message.id for message in self.accumulator.run_messages}
        first = next((place for place, id_ in enumerate(ids) if id_ in told), 0)
        return any(id_ not in told for id_ in ids[first:])


# Of each event's name these are asked once.


def _is_asked(modes: Tuple[str, ...], mode: str) -> bool:
    return not modes or mode in modes


@functools.lru_cache(maxsize=1024)
def _is_shown(modes: Tuple[str, ...], event: str) -> bool:
    kind = kind_of(event)
    if kind == "messages":
        return _is_asked(modes, "messages-tuple") or _is_asked(modes, "messages")
    return kind in ALWAYS_SHOWN or _is_asked(modes, kind.partition("/")[0])


@functools.lru_cache(maxsize=1024)
def _is_kept(modes: Tuple[str, ...], event: str) -> bool:
    kind = kind_of(event)
    return not kind.startswith("messages") and kind not in ALWAYS_SHOWN and _is_asked(modes, kind)


def _tell_of_first(span: RunSpan, batch: Batch) -> None:
    if batch.part is not None:
        span.first_part()
    if any(message.type == "ai" and message.delta.text for message in batch.changes):
        span.first_token()


def _is_news(message: Message) -> bool:
    """Whether the state told something of a message that the stream had not."""
    return message.source == "state" and (bool(message.delta.text) or message.status == "complete")
