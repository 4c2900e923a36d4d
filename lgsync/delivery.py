"""Delivery: from a transport's connections to the run's parts, each once, and to how the run ended.

One for every transport. What to do is decided by :mod:`lgsync.policy`; this does it. A clean end of the wire is only a
hint: a finished run, a paused one, a cancelled one and a cut proxy look alike. So unless an ``error`` part or the wire
itself told, the run's status is asked, and a run that has not ended is joined again; one that has is looked at once
more, for what it said after the cut. Only joins and questions are repeated, never the request that started the run.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from enum import Enum
from typing import Any, Deque, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from .cancelling import cancel_run, time_to_leave
from .closing import Closing
from .cursor import Place
from .deadline import Deadline
from .errors import ConfigurationError, ConnectionLost, LgsyncError, NotFoundError, RunError, StreamLost
from .named_run import NamedRun
from .parts import StreamPart, Undecoded, kind_of
from .policy import EARLIER, GAP, SKIP, Policy
from .recovery import ATTEMPT, Recovery
from .rest import Rest
from .run_connections import RunConnections
from .run_questions import RunQuestions
from .thread_state import interrupts_in
from .transport import PartSource, Quiet, RunJoin, RunStart, Timeout

__all__ = ["Beat", "Delivery", "Earlier", "Gap", "Placed"]

#: How often a run that is over is joined for what it may have said last.
_LOOKS = 3

#: Kinds whose data is always JSON.
_JSON_KINDS = frozenset(
    [
        *("metadata", "values", "updates", "custom", "tasks", "checkpoints", "debug", "events"),
        *("messages", "messages/metadata", "messages/partial", "messages/complete"),
    ]
)


class Gap(NamedTuple):
    """Some parts are gone for good; ``error`` says which and why. What comes after them follows."""

    error: LgsyncError


class Earlier(NamedTuple):
    """A part from before the place where the stream was to begin: for what must know all parts."""

    part: StreamPart


class Beat(Enum):
    """Nothing came for a while: see :meth:`Delivery.beat`."""

    BEAT = "beat"


Item = Union[StreamPart, Gap, Earlier, Beat]

#: An item, and where the stream stands behind it.
Placed = Tuple[Item, Place]


class Delivery:
    """The parts of one run. ``next_part`` gives None at the end; then ``outcome`` is known.

    ``outcome`` is "success", "interrupted", "cancelled", "error", or None as long as it is not known (a stream that
    its owner closed never learns it). ``begins_midway`` says that what the run said before is not among its parts.
    ``run`` names it, and ``questions`` asks the server about it.
    """

    def __init__(
        self,
        rest: Rest,
        start: Union[RunStart, RunJoin],
        policy: Policy,
        deadline: Deadline,
        *,
        begins_midway: bool = False,
    ) -> None:
        """Opens the stream. Raises what :meth:`lgsync.transport.Transport.open_run` raises, and DeadlineExceeded."""
        self.run = NamedRun(start, rest.transport.name, policy)
        self.begins_midway = begins_midway
        self.failure: Optional[RunError] = None
        self.outcome: Optional[str] = None
        #: What a tracer is told of this run.
        self.span = rest.settings.tracing.run(
            joins=isinstance(start, RunJoin), thread_id=start.thread_id, assistant_id=_assistant_of(start)
        )
        # The deadline of this stream bounds all that is asked for it, and the policy says what is tried again.
        self._rest = rest.once(self.span.calls)
        self._start = dataclasses.replace(start, headers={**rest.headers(start.headers), **self.span.headers})
        self._policy = policy
        self._bounded = deadline.seconds is not None
        self._beat: Optional[float] = None
        self._closing = Closing()
        self._recovery = Recovery(policy, deadline, self._closing)
        self._connections = RunConnections(rest, self.run, self._start, self.span, self._recovery)
        self.questions = RunQuestions(self._rest, self.run, self._start, self._recovery)
        self._ready: Deque[Item] = deque()
        # Parts that were taken from the connection, and not looked at yet.
        self._taken: Deque[StreamPart] = deque()
        self._ended: Optional[str] = None
        # How the run ended, as its status says: known before it is known that all it said was read.
        self._found: Optional[str] = None
        # Nothing but the state can tell whether that was read; and whether what was read showed all that it held.
        self._unproven, self._whole = False, False
        # A run that was not kept for joining begins somewhere in the middle, without saying so.
        self._misses_its_start = isinstance(start, RunJoin)
        # A join that names no modes learns from what it sees.
        self._shows_state = bool({"updates", "values"} & set(start.modes))
        self._exact = True
        self._heard = False
        self._drops = 0
        self._interrupts: Dict[str, Mapping[str, Any]] = {}
        self._paused = False
        self._at: Optional[Place] = None
        try:
            self._source = self._connections.first()
        except BaseException as exc:
            self.span.ended(None, exc)
            raise
        self.span.known(self.run.thread_id, self.run.run_id)
        # The server makes a thread for a run without one; its messages name that.
        self._seeks_thread = self.run.thread_id is None

    @property
    def place(self) -> Place:
        """Where the stream stands: after all that :meth:`next_part` gave."""
        return self._at or self._policy.place

    @property
    def interrupts(self) -> List[Mapping[str, Any]]:
        """What the run waits for, as the server sent it, in order of arrival."""
        return list(self._interrupts.values())

    # -- parts ---------------------------------------------------------------------------------------------------------

    def next_part(self) -> Optional[Item]:
        """The next part; None at the end, and as soon as the stream is closed.

        Raises StreamLost if the stream cannot be taken up again in time, the server's own error if it refuses that for
        good, and DeadlineExceeded.
        """
        try:
            while not self._closing.is_set():
                if self._ready:
                    self._at = None
                    return self._ready.popleft()
                if self._ended is not None:
                    self._settle(self._ended)
                    return None
                if self._bounded:
                    # A slow loop finds parts ready at any time.
                    self._recovery.check(self.run)
                part = self._received()
                if part is not None:
                    return part
        except LgsyncError:
            # Whoever closes cuts off what was just asked.
            if not self._closing.is_set():
                raise
        return None

    def beat(self, seconds: float) -> None:
        """From now on, give a Beat whenever so many seconds brought no part, if the transport can tell."""
        self._beat = seconds if self._beat is None else min(self._beat, seconds)
        self._source.beat_seconds = self._beat

    def _read_from(self, source: PartSource) -> None:
        """Make ``source`` the one that is read, with the beats that were asked for."""
        self._source = source
        # They may be asked for at any step of this: of this source from here on, before that of the one before it.
        while source.beat_seconds != self._beat:
            source.beat_seconds = self._beat

    def at_hand(self) -> List[Placed]:
        """What has come by now, behind what :meth:`next_part` gave; a gap is the last of it.

        Nothing if there is a deadline, which a slow loop is to hear of in time.
        """
        items: List[Placed] = []
        if self._bounded or self._ready:
            return items
        taken = self._taken
        taken.extend(self._source.at_hand())
        while taken and not self._ready:
            item = self._judged(taken.popleft())
            if item is not None:
                items.append((item, self.place))
                if type(item) is Gap:
                    break
        return items

    def _received(self) -> Optional[Item]:
        """The next part of this connection, if it is to be given; None if something else is to be done."""
        if self._taken:
            return self._judged(self._taken.popleft())
        try:
            part = next(self._source, None)
        except LgsyncError as exc:
            self._take_up_again(exc)
            return None
        except Quiet:
            return Beat.BEAT
        if part is None:
            self._end_of_wire()
            return None
        self._heard = True
        return self._judged(part)

    def _judged(self, part: StreamPart) -> Optional[Item]:
        """What is to be given for a part that came; None if it was given before."""
        kind = kind_of(part.event)
        verdict = self._policy.received(part.id, kind not in self._source.not_kept)
        if verdict is SKIP:
            return None
        self._note(part, kind)
        if verdict is EARLIER:
            return Earlier(part)
        if type(part.data) is Undecoded and kind in _JSON_KINDS:
            return self._gap(self.run.not_json(part))
        if verdict is GAP:
            self._ready.append(part)
            self._at = self._policy.gap_at
            return self._gap(self.run.missing("the server no longer has what came next", self._at))
        return part

    def _gap(self, error: LgsyncError) -> Gap:
        self._exact = False
        return Gap(error)

    def _end_of_wire(self) -> None:
        """The connection ended cleanly. If the run has ended too, and all that it said was read, so has the stream."""
        if self._closing.is_set():
            return
        outcome = "error" if self.failure else self._source.outcome or self._found or self._ask_outcome()
        if self._closing.is_set():
            return
        if outcome is None:
            url = self.run.path
            self._take_up_again(ConnectionLost("the connection ended while the run was still going on", url=url))
            return
        if self._may_have_said_more(outcome) and self._look_again(outcome):
            return
        self._ready.extend(self._source.finish())
        if self._policy.owes and outcome != "cancelled":
            # Of a run that is over, a server may soon forget what it said: looking again for more shows no loss.
            self._unproven = self._found is not None
            if not self._unproven:
                self._ready.append(self._gap(self.run.missing("the server no longer has all of what the run said")))
        self._ended = outcome

    def _may_have_said_more(self, outcome: str) -> bool:
        """Whether the connection may have been cut, though cleanly, before all was read; it looks alike."""
        told = self.failure is not None or self._source.outcome is not None or self._source.conclusive
        return not (told or outcome == "cancelled" or self._found is not None or self._policy.owes)

    def _look_again(self, outcome: str) -> bool:
        """Join once more, for what the run may have said after the end of the wire; False if that cannot be had."""
        self._found, self._whole = outcome, self._shows_all
        self._exact = self._exact and self._source.exact
        join = self._policy.rejoining()
        source = None
        if not join.gap and self.run.thread_id is not None:
            source = self._joined_once_more(join.position)
        self._unproven = source is None
        if source is not None:
            self._go_on(source, False)
        return source is not None

    def _joined_once_more(self, position: Optional[str]) -> Optional[PartSource]:
        """The join, tried a few times: the run is over, and its state is there; None if it cannot be had."""
        for _ in range(_LOOKS):
            try:
                return self._connections.joined(position)
            except LgsyncError as exc:
                if self._recovery.paused(exc, self.run) is not None or self._closing.is_set():
                    break
        return None

    def _note(self, part: StreamPart, kind: str) -> None:
        if kind == "messages":
            if self._seeks_thread:
                self.run.temporary = _thread_of(part.data)
                self._seeks_thread = self.run.temporary is None
            return
        if kind == "metadata":
            self._misses_its_start = False
        if kind in ("updates", "values"):
            self._shows_state = True
        if kind == "metadata" and self.run.run_id is None and isinstance(part.data, dict):
            self.run.run_id = part.data.get("run_id")
            self.span.known(self.run.thread_id, self.run.run_id)
        elif kind in ("updates", "values") and isinstance(part.data, dict) and "__interrupt__" in part.data:
            self._paused = True
            self._note_interrupts(part.data["__interrupt__"])
        elif kind == "error":
            self.failure = self.run.failed(part.data)

    def _note_interrupts(self, interrupts: Any) -> None:
        for interrupt in interrupts if isinstance(interrupts, list) else ():
            if isinstance(interrupt, dict):
                self._interrupts[str(interrupt.get("id"))] = interrupt

    # -- connections ---------------------------------------------------------------------------------------------------

    def _take_up_again(self, error: LgsyncError) -> None:
        """Join the run again, however often it takes, as long as the policy and the deadline allow it."""
        self._exact = self._exact and self._source.exact
        # A server that knows nothing of a run may say so only once its stream is open.
        known = self._drops > 0 or self._found is not None or (isinstance(self._start, RunStart) and self._heard)
        self._drops += 1
        self._source.close()
        if self.failure is not None:
            self._ended = "error"
            return
        if known and isinstance(error, NotFoundError):
            self._find_out_why_gone(error)
            return
        if not self.run.can_be_joined:
            self._recovery.check(self.run, error)
            raise self.run.lost(f"{error}. A run without a thread cannot be joined again") from error
        retry = (self._source.retry or 0) / 1000
        while not self._recovery.pause(error, self.run, retry):
            join = self._policy.rejoining()
            try:
                source = self._connections.joined(join.position)
            except NotFoundError as exc:
                self._find_out_why_gone(exc)
                return
            except LgsyncError as exc:
                if self._beat is not None:
                    # Between two attempts, too, whoever asked for it is given a beat.
                    self._read_from(_Away(self._source, exc))
                    self._ready.append(Beat.BEAT)
                    return
                error = exc
                continue
            if source is not None:
                self._go_on(source, join.gap or self._loses_by_cuts)
            return

    def _go_on(self, source: PartSource, gap: bool) -> None:
        self._read_from(source)
        if gap:
            why = "such parts are not kept, and what the run said meanwhile is gone"
            self._ready.append(self._gap(self.run.missing(why)))
        if self._closing.is_set():
            source.close()

    @property
    def _loses_by_cuts(self) -> bool:
        """Whether parts were asked for that the server never keeps."""
        modes = self._start.modes
        return "messages" in modes and "messages-tuple" not in modes and "messages/partial" in self._source.not_kept

    def _find_out_why_gone(self, error: NotFoundError) -> None:
        outcome = self._found or self._ask_outcome()
        if outcome is None:
            raise error
        if self._found is None and outcome != "cancelled":
            self._ready.append(self._gap(self.run.missing("the server no longer has what the run said")))
        self._ended = outcome

    def close(self, outcome: Optional[str] = None) -> None:
        """Stop reading, from any thread; a blocked reader gets the end. ``outcome`` is what the owner made of it."""
        if self.outcome is None:
            self.outcome = outcome
        self._closing.set()
        self._source.close()

    # -- the run -------------------------------------------------------------------------------------------------------

    def cancel(self, action: str, timeout: Timeout = ATTEMPT) -> bool:
        """Cancel the run on the server; False if there was nothing left to cancel. Never repeated."""
        if not self.run.can_be_joined:
            raise ConfigurationError(
                'A run without a thread can only be cancelled by leaving its stream: start it with on_close="cancel"'
            )
        start = self._start
        return cancel_run(
            self._rest, self.run.path, action, params=start.params, headers=start.headers, timeout=timeout
        )

    def cancel_on_leaving(self) -> bool:
        """Cancel the run within a few seconds; one without a thread, the server cancels when the connection ends."""
        return self.run.thread_id is None or self.cancel("interrupt", time_to_leave(self._recovery.deadline))

    @property
    def needs_state(self) -> bool:
        """Whether what the stream showed may differ from what the thread now holds."""
        return self.run.thread_id is not None and (self._unproven or not self._shows_all)

    @property
    def cut_short(self) -> Optional[StreamLost]:
        """The error to tell if the state shows that the run said more than was read; None if it may just add to it."""
        told = self._unproven and self._whole
        return self.run.missing("the connection ended before all that the run said was read") if told else None

    @property
    def _shows_all(self) -> bool:
        return self._shows_state and self._exact and self._source.exact and not self._misses_its_start

    # -- the end -------------------------------------------------------------------------------------------------------

    def _settle(self, outcome: str) -> None:
        if outcome in ("success", "interrupted") and self.needs_state:
            outcome = self._look_for_a_pause(outcome)
        if not self._closing.is_set():
            self._policy.settled()
            self.questions.settled(failed=outcome == "error")
            self.outcome = outcome

    def _ask_outcome(self) -> Optional[str]:
        """How the run ended; None if it has not ended."""
        ending = self.questions.ending(was_cut=self._drops > 0)
        if ending is None:
            return None
        self.failure = ending.failure
        return "interrupted" if ending.outcome == "success" and self._paused else ending.outcome

    def _look_for_a_pause(self, outcome: str) -> str:
        """Streams of messages alone do not show interrupts: the thread's tasks do."""
        state = self.questions.state()
        self._note_interrupts(interrupts_in(state))
        return "interrupted" if self._interrupts or state.get("next") else outcome


class _Away(PartSource):
    """In place of a connection that could not be made: what kept it from that, to be tried again."""

    def __init__(self, before: PartSource, error: LgsyncError) -> None:
        self.not_kept, self.exact, self.retry = before.not_kept, before.exact, before.retry
        self._error = error

    def __next__(self) -> StreamPart:
        raise self._error

    def close(self) -> None:
        """There is nothing to free."""


def _assistant_of(start: Union[RunStart, RunJoin]) -> Optional[str]:
    return None if isinstance(start, RunJoin) else start.payload.get("assistant_id")


def _thread_of(message_tuple: Any) -> Optional[str]:
    """The thread that a message's metadata names."""
    metadata = message_tuple[1] if isinstance(message_tuple, list) and len(message_tuple) == 2 else None
    thread_id = metadata.get("thread_id") if isinstance(metadata, dict) else None
    return thread_id if isinstance(thread_id, str) else None
