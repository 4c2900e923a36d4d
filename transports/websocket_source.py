"""The parts of one run, as they come over one socket: where they begin, what is silence, and how it all ends."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import weakref
from collections import deque
from typing import Any, Deque, Dict, Iterable, List, Mapping, NamedTuple, Optional

from ..errors import ConnectionLost, ConnectionTimeout, EventTooLarge, LgsyncError, NotFoundError, PositionLost
from ..parts import StreamPart
from ..thread_state import UNFINISHED, failure_in, interrupts_in
from ..transport import RUN_STARTS, PartSource, Quiet, Timeout
from .commands import protocol_error
from .connection import Connection
from .protocol import CHANNELS, Translator, root_event, run_of
from .run_calls import RunCalls

__all__ = ["WebSocketSource"]

# Signs of life that may fail to come before the connection counts as lost.
_PATIENCE = 4

# While a run that is over is waited for: how long the wire must be quiet, and the longest pause between two questions.
_QUIET_SECONDS = 0.1
_LONGEST_PAUSE = 2.0

# How long a run that is over without a word is given to have its last words arrive.
_AFTERWARDS_SECONDS = 0.5

# The last of the growing pauses in which a run whose successor has begun may still be called running.
_SETTLING_SECONDS = 10.0

# How many parts are taken before their turn: of twice as many, Python's collector looks for cycles each time, in vain.
_MOST_AT_HAND = 32


class WebSocketSource(PartSource):
    """The parts of one run over one socket, from its root ``running`` event to its end."""

    def __init__(
        self, run: RunCalls, connection: Connection, modes: Iterable[str], stream_subgraphs: bool, probe_seconds: float
    ) -> None:
        self.thread_id = run.thread_id
        self._run = run
        self._connection = connection
        self._modes = tuple(modes)
        self._subgraphs = stream_subgraphs
        self._probe_seconds = probe_seconds
        self._ready: Deque[StreamPart] = deque()
        self._unconfirmed: Dict[int, bool] = {}
        self._early: List[Dict[str, Any]] = []
        self._translator = Translator(self._modes, stream_subgraphs=stream_subgraphs, thread_id=run.thread_id)
        self._resume: Optional[_Resume] = None
        self._muted_until: Optional[float] = None
        self._may_be_gone = False
        self._started = False
        # Whether each event is just to be translated: the run goes on, nothing is owed, and nothing is to be left out.
        self._flowing = False
        self._over = False
        # A frame that was looked at before its turn, and what was met in looking further.
        self._held: Optional[Dict[str, Any]] = None
        self._failure: Optional[LgsyncError] = None
        self._closing = run.closing
        self._pause = _QUIET_SECONDS
        # How long there was silence before the last beat, and when a part, or a beat, was there last.
        self._waited, self._quiet_since = 0.0, connection.last_activity
        self._signs = _SignsOfLife(run, connection, probe_seconds)
        self.last_activity = connection.last_activity
        # Not a method of this object: that would keep it alive.
        self._finalizer = weakref.finalize(self, connection.close)

    def subscribe(self) -> None:
        """Ask for what the modes need. Snapshots of subgraphs are large: without stream_subgraphs only their messages
        and interrupts are asked for, in a second subscription, since a filter counts for all of one."""
        everywhere = ["lifecycle", "input"]
        if {"messages", "messages-tuple"} & set(self._modes):
            everywhere.append("messages")
        shown = sorted({"values", *(CHANNELS[mode] for mode in self._modes if mode in CHANNELS)})
        if self._subgraphs:
            wanted: List[Dict[str, Any]] = [{"channels": [*shown, *everywhere]}]
        else:
            wanted = [{"channels": shown, "namespaces": [[]], "depth": 0}, {"channels": everywhere}]
        for number, params in enumerate(wanted, 1):
            self._unconfirmed[number] = True
            self._connection.send({"id": number, "method": "subscription.subscribe", "params": params})

    def follow(self, run_id: str) -> None:
        """Give the parts of this run, which was just started."""
        self.run_id = self._run.run_id = self._translator.run_id = run_id
        self._run.streaming = True

    def resume(self, position: Optional[str], *, finished: bool) -> None:
        """Give the parts of the run that come after ``position``, from the start ("-1"), or (None) from now on."""
        self.follow(str(self._run.run_id))
        self.position = position
        self._may_be_gone = finished
        if position is None:
            self._muted_until = time.monotonic() + self._probe_seconds
        elif position not in RUN_STARTS:
            self._resume = _Resume.of(position)

    def __next__(self) -> StreamPart:
        while not self._closing.is_set():
            if self._ready:
                part = self._ready.popleft()
                self.position = part.id or self.position
                return part
            if self._over:
                break
            flowed = self._advance()
            if flowed is not None:
                self.position = flowed.id or self.position
                return flowed
            if not (self._ready or self._over or self._closing.is_set() or self._next_beat()):
                # Nothing has come, or all the time what is no part.
                self._quiet_since = time.monotonic()
                raise Quiet
        raise StopIteration

    def at_hand(self) -> List[StreamPart]:
        parts: List[StreamPart] = []
        if not self._flowing or self._ready or self._closing.is_set():
            return parts
        try:
            frame = self._next_frame()
            while frame is not None and len(parts) < _MOST_AT_HAND:
                part = self._flowed(frame)
                if part is None:
                    break
                parts.append(part)
                frame = self._connection.take()
            self._held = frame
        except LgsyncError as exc:
            self._failure = exc
        if parts:
            self.last_activity = self._quiet_since = self._connection.last_activity
            self.position = parts[-1].id or self.position
        return parts

    def close(self) -> None:
        self._closing.set()
        self._connection.close()

    def _next_frame(self) -> Optional[Dict[str, Any]]:
        """The next frame that has come; None if there is none yet."""
        if self._failure is not None:
            raise self._failure
        held, self._held = self._held, None
        return self._connection.take() if held is None else held

    def _flowed(self, frame: Dict[str, Any]) -> Optional[StreamPart]:
        """The part that a frame is which goes on with a message; None if it may be another."""
        return self._translator.continued(frame) if self._flowing and frame.get("type") == "event" else None

    def _advance(self) -> Optional[StreamPart]:
        """Take the next frame: a part comes of it, or whatever makes ``_ready`` longer, or nothing."""
        try:
            frame = self._next_frame()
            if frame is None:
                frame = self._waited_for()
            if frame is not None:
                self.last_activity = self._connection.last_activity
                part = self._flowed(frame)
                if part is not None:
                    self._quiet_since = self.last_activity
                    return part
                self._take(frame)
        except LgsyncError:
            self._connection.close()
            self._over = True
            if not self._closing.is_set():
                raise
        if self._ready:
            self._quiet_since = self.last_activity
        # What never began here, or came on half of the subscriptions, was not all that the run said.
        heard = self._started and not self._unconfirmed
        self.exact = self._translator.exact and (heard or not self._over)
        return None

    def _waited_for(self) -> Optional[Dict[str, Any]]:
        """The next frame, however long it takes to come; None if something else is to be done."""
        wait = max(0.0, self._timeout() - self._waited)
        patience = None if self.patience is None else self.patience(self)
        longest = wait if patience is None else min(wait, patience)
        due = self._next_beat()
        frame = self._connection.receive(min(longest, due))
        if frame is not None:
            self._waited = 0.0
            return frame
        if self._connection.ended:
            self._end(None)
        elif self._closing.is_set():
            pass
        elif due < longest:
            self._waited += due
        elif patience is not None and patience <= wait:
            raise ConnectionTimeout(
                f"{self._connection.url} sent nothing for as long as was to be waited", url=self._connection.url
            )
        else:
            self._waited = 0.0
            self._silence()
        return None

    def _next_beat(self) -> float:
        """In how many seconds one is due."""
        if self.beat_seconds is None:
            return math.inf
        return max(0.0, self._quiet_since + self.beat_seconds - time.monotonic())

    def _timeout(self) -> float:
        if self._translator.ended == "interrupted":
            return self._pause
        if self._may_be_gone or self._muted_until is not None:
            return min(self._probe_seconds, 1.0 if self._may_be_gone else _QUIET_SECONDS)
        return min(self._probe_seconds, _AFTERWARDS_SECONDS) if self._signs.over else self._probe_seconds

    # ------------------------------------------------------------------ frames

    def _take(self, frame: Dict[str, Any]) -> None:
        kind = frame.get("type")
        if kind == "error":
            url = self._connection.url
            raise protocol_error(frame, request="GET", url=url, command="subscription.subscribe")
        if kind == "event":
            self._early.append(frame)
            if self._unconfirmed and self._connection.received > self._connection.max_event_bytes:
                raise self._too_early()
        elif isinstance(frame.get("id"), int):
            self._unconfirmed.pop(frame["id"], None)
        # Each subscription replays on its own; together they are in order again by their number.
        if not self._unconfirmed:
            self._hear()

    def _too_early(self) -> EventTooLarge:
        connection = self._connection
        return EventTooLarge(
            f"{connection.url} sent more than {connection.max_event_bytes} bytes and confirmed no subscription yet; "
            "build the transport with a larger max_event_bytes if so much of the thread may have to be replayed",
            url=connection.url,
            status=101,
        )

    def _hear(self) -> None:
        early, self._early = self._early, []
        for event in early if len(early) == 1 else _in_order(early):
            self._handle(event)
        skipping = self._resume is not None or self._muted_until is not None
        self._flowing = self._started and not (skipping or self._unconfirmed or self._over)

    def _handle(self, event: Dict[str, Any]) -> None:
        if self._over:
            return
        root = root_event(event)
        if not self._started:
            run_id = run_of(event)
            if not self._begins(event, root, run_id):
                if root == "running" and self._may_be_gone and self._is_later(run_id, event):
                    self._superseded()
                return
        elif root == "running" and run_of(event) != self.run_id:
            self._superseded()
            return
        self._started = True
        self._may_be_gone = False
        self._deliver(self._translator.feed(event), event)
        if self._translator.ended == "completed":
            self._finish("success")
        elif self._translator.ended == "failed":
            self._fail(self._translator.failure)

    def _begins(self, event: Mapping[str, Any], root: Optional[str], run_id: Optional[str]) -> bool:
        """Whether the events of this run begin here; those of earlier runs come first."""
        if run_id is None:
            return root == "running" and self._is_young(event)
        if run_id != self.run_id:
            return False
        if root != "running" and self._resume is None and self._muted_until is None:
            raise self._gone("the server no longer has the beginning of the run")
        return True

    def _is_later(self, run_id: Optional[str], event: Mapping[str, Any]) -> bool:
        """Whether a run that begins here was started after this one; its event may bear the time of its replay."""
        if run_id is None:
            return self._is_young(event)
        theirs, ours = self._run.created(run_id), self._run.created()
        return theirs is not None and ours is not None and theirs > ours

    def _is_young(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is of this run by its age: some servers name the run in no event."""
        params = event.get("params")
        stamp = params.get("timestamp") if isinstance(params, dict) else None
        created = self._run.created() if isinstance(stamp, (int, float)) else None
        return created is None or stamp is None or stamp >= created

    def _deliver(self, parts: List[StreamPart], event: Mapping[str, Any]) -> None:
        if self._resume is not None:
            if str(event.get("event_id", event.get("seq"))) != self._resume.event_id:
                return
            skipped = len(parts) if self._resume.parts is None else self._resume.parts
            self._resume = None
            parts = parts[skipped:]
        if self._muted_until is None:
            self._ready.extend(parts)

    # ------------------------------------------------------------------ silence

    def _silence(self) -> None:
        if self._muted_until is not None:
            # What was said before the joining has been replayed.
            self._muted_until = None
            return
        status = self._signs.ask()
        self.heartbeats, self.last_activity = self._signs.count, self._signs.last
        if self._translator.ended == "interrupted":
            self._settle(status)
        elif status not in UNFINISHED and self._said_all():
            # No confirmation will come any more.
            self._hear()
            if not self._over:
                self._conclude(status)

    def _said_all(self) -> bool:
        """Whether nothing more is on its way from a run that is over: it was so before the last pong, too."""
        return self._may_be_gone or (self._signs.answered and self._signs.over_before)

    def _settle(self, status: Optional[str]) -> None:
        """After an interrupt: what else the run says comes until its status says that it is over, and then a little."""
        if status in UNFINISHED:
            self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        elif self._said_all():
            self._conclude(status)
        else:
            self._pause = _QUIET_SECONDS

    # ------------------------------------------------------------------ the end

    def _superseded(self) -> None:
        """The next run has begun, so this one is over, whether or not its end was said; its status follows shortly."""
        pause = _QUIET_SECONDS
        status = self._run.status()
        while status in UNFINISHED and pause < _SETTLING_SECONDS and not self._closing.wait(pause):
            pause *= 2
            status = self._run.status()
        if not self._closing.is_set():
            self._conclude(status)

    def _conclude(self, status: Optional[str]) -> None:
        """End as the run's status says."""
        if status is None or status == "interrupted":
            self._finish("cancelled")
        elif status in UNFINISHED:
            raise self._lost(f"another run has begun while it was {status}")
        elif status == "success":
            if self._unconfirmed and not self._started:
                raise self._lost("the server never confirmed the subscription, and nothing of the run came")
            waiting = self._waiting()
            paused = bool(waiting) or self._translator.ended == "interrupted"
            self._finish("interrupted" if paused else "success", waiting)
        else:
            self._fail(None)

    def _waiting(self) -> List[Dict[str, Any]]:
        """What this run made the thread wait for."""
        state = self._state()
        metadata = state.get("metadata")
        latest = metadata.get("run_id") if isinstance(metadata, dict) else None
        return interrupts_in(state) if latest in (None, self.run_id) else []

    def _finish(self, outcome: Optional[str], waiting: Iterable[Mapping[str, Any]] = ()) -> None:
        if self._resume is not None:
            raise self._gone("the server no longer has the position to go on from")
        if self._started:
            self._ready.extend(self._translator.finish(waiting))
        self._end(outcome)

    def _fail(self, message: Optional[str]) -> None:
        name, kept = failure_in(self._state())
        data = {"error": name, "message": message or kept or "the run failed"}
        parts = self._translator.finish() if self._started else []
        self._ready.extend([*parts, *self._translator.numbered([StreamPart("error", data)], last=False)])
        self._end("error")

    def _end(self, outcome: Optional[str]) -> None:
        self.outcome = outcome
        self._over = True
        self._connection.close()

    def _state(self) -> Dict[str, Any]:
        with contextlib.suppress(NotFoundError):
            return self._run.state()
        return {}

    def _lost(self, why: str) -> ConnectionLost:
        return ConnectionLost(self._told(why), url=self._connection.url)

    def _gone(self, why: str) -> PositionLost:
        return PositionLost(self._told(why), url=self._connection.url)

    def _told(self, why: str) -> str:
        return f"The stream of run {self.run_id} over {self._connection.url} was lost: {why}"


class _Resume(NamedTuple):
    """The event to go on after, and how many of its parts were delivered (None: all)."""

    event_id: str
    parts: Optional[int]

    @classmethod
    def of(cls, position: str) -> _Resume:
        event_id, mark, count = position.rpartition("#")
        # A server's own id may end like this too, but not in as many digits.
        counted = mark and count.isascii() and count.isdigit() and len(count) < 10
        return cls(event_id, int(count) + 1) if counted else cls(position, None)


class _SignsOfLife:
    """What tells a quiet run from a dead connection: the run's status over HTTP, and pongs on the socket itself.

    ``count`` and ``last`` (time.monotonic()) are of the signs that came; ``answered`` says that the last ping was;
    ``over`` that the run has ended or is gone, ``over_before`` that this was so one question earlier.
    """

    def __init__(self, run: RunCalls, connection: Connection, seconds: float) -> None:
        self.count = 0
        self.last = connection.last_activity
        self.answered = False
        self._run = run
        self._connection = connection
        self._pong: Optional[threading.Event] = None
        self._timeout = Timeout(*(min(seconds, limit or seconds) for limit in run.brief[:2]))
        self._missed = 0
        self.over = False
        self.over_before = False

    def ask(self) -> Optional[str]:
        """The run's status. Raises ConnectionTimeout once neither status nor pong comes for too long."""
        self.last = max(self.last, self._connection.last_activity)
        self.answered = self._pong is not None and self._pong.is_set()
        silent = self._pong is not None and not self.answered
        self._pong = self._connection.ping() if not silent else self._pong
        try:
            # Not the caller's timeout: who closes the source must not wait that long for this answer.
            status = self._run.status(timeout=self._timeout)
        except LgsyncError as exc:
            self._miss(f"its status cannot be asked either ({exc})", exc)
            return "running"
        if silent:
            self._miss("it does not answer pings", None)
        else:
            self._missed = 0
            self.count += 1
            self.last = time.monotonic()
        self.over_before, self.over = self.over, status not in UNFINISHED
        return status

    def _miss(self, why: str, cause: Optional[LgsyncError]) -> None:
        self._missed += 1
        limit, silence = self._run.timeout.read, time.monotonic() - self.last
        if self._missed < _PATIENCE and (limit is None or silence < limit):
            return
        url = self._connection.url
        raise ConnectionTimeout(f"{url} has been silent for {silence:.0f} s, and {why}", url=url) from cause


def _in_order(events: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Events by their number, each once; as they came if they have none."""
    if not all(isinstance(event.get("seq"), int) for event in events):
        return events
    return [event for _, event in sorted({event["seq"]: event for event in events}.items())]
