"""A streamed run by its name: in paths, in cursors, and in the errors of its stream, which say how to go on."""

from __future__ import annotations

from typing import Any, Optional, Union

from .cursor import Cursor, Place
from .deadline import Deadline
from .errors import DeadlineExceeded, DecodeError, LgsyncError, RunError, StreamLost, ended, not_json, run_error
from .parts import StreamPart
from .paths import run_path, thread_path
from .policy import Policy
from .transport import RunJoin, RunStart

__all__ = ["STATE_ADVICE", "NamedRun", "may_have_started"]

_ADVICE = (
    " If the run goes on, client.runs.resume(error.cursor) streams it from here; client.threads.get_state(thread_id) "
    "tells what has come of it."
)
_DEADLINE_ADVICE = (
    'the run is asked to end, unless on_close="continue"; client.runs.resume(error.cursor) goes on from here'
)
#: For a run of which nothing more will come.
STATE_ADVICE = " client.threads.get_state(thread_id) tells what has come of it."


class NamedRun:
    """A run that is streamed, as far as it is known by now; ``policy`` knows where its stream stands.

    ``temporary`` is the thread that the server made for a run without one, once the run said so.
    """

    def __init__(self, start: Union[RunStart, RunJoin], transport: str, policy: Policy) -> None:
        self.thread_id = start.thread_id
        self.run_id = start.run_id if isinstance(start, RunJoin) else None
        self.temporary: Optional[str] = None
        self._start = start
        self._transport = transport
        self._policy = policy

    @property
    def can_be_joined(self) -> bool:
        """Whether it is known by its thread and its id, which joins and questions take."""
        return self.thread_id is not None and self.run_id is not None

    @property
    def path(self) -> str:
        if self.thread_id is None:
            return f"/runs/{self.run_id}"
        return run_path(self.thread_id, self.run_id)

    @property
    def thread_path(self) -> str:
        return thread_path(self.thread_id)

    def cursor(self, place: Place, messages_key: str) -> Optional[Cursor]:
        """The cursor of a place in this run; None for a run that cannot be joined."""
        if self.thread_id is None or self.run_id is None:
            return None
        start = self._start
        narrowed = isinstance(start, RunJoin) and start.narrowed
        return Cursor(
            self.thread_id,
            self.run_id,
            place,
            self._transport,
            start.modes,
            narrowed,
            start.stream_subgraphs,
            messages_key,
        )

    # -- errors --------------------------------------------------------------------------------------------------------

    def failed(self, failure: Any) -> RunError:
        """The run failed with what an ``error`` part tells."""
        return run_error(failure, thread_id=self.thread_id, run_id=self.run_id)

    def exceeded(self, deadline: Deadline) -> DeadlineExceeded:
        return deadline.exceeded(
            "The run's stream",
            thread_id=self.thread_id,
            run_id=self.run_id,
            cursor=self._cursor_text(),
            advice=_DEADLINE_ADVICE,
        )

    def lost(self, why: str, advice: Optional[str] = None, *, tried: float = 0.0) -> StreamLost:
        """The stream does not go on. ``tried`` is for how many seconds that was tried; ``advice`` what to do now."""
        if advice is None:
            advice = "" if self.thread_id is None else _ADVICE
        in_vain = f" and could not be taken up again within {tried:.0f} s" if tried else ""
        return StreamLost(
            f"The stream of run {self.run_id} on thread {self.thread_id} was lost{in_vain}: {ended(why)}{advice}",
            thread_id=self.thread_id,
            run_id=self.run_id,
            cursor=self._cursor_text(),
        )

    def missing(self, why: str, place: Optional[Place] = None) -> StreamLost:
        """Parts are gone, behind which the stream goes on; ``place`` is there if it does not stand there any more."""
        return StreamLost(
            f"Parts of the stream of run {self.run_id} on thread {self.thread_id} are missing here: {why}. Iterate "
            "again to go on after them; messages() and the thread's state will be whole.",
            thread_id=self.thread_id,
            run_id=self.run_id,
            cursor=self._cursor_text(place),
        )

    def not_json(self, part: StreamPart) -> DecodeError:
        """A part of a kind that is always JSON is none."""
        whose = f"run {self.run_id} on thread {self.thread_id}"
        return not_json(part.event, part.data, whose, f"{self.path}/stream")

    def unsettled(self, error: LgsyncError) -> StreamLost:
        """The run's end is known, but not what it came to."""
        if isinstance(error, StreamLost):
            return error
        lost = self.lost(f"its state could not be read: {error}")
        lost.__cause__ = error
        return lost

    def _cursor_text(self, place: Optional[Place] = None) -> Optional[str]:
        cursor = self.cursor(place or self._policy.place, "messages")
        return None if cursor is None else str(cursor)


def may_have_started(error: LgsyncError, thread_id: Optional[str]) -> LgsyncError:
    """The error of a request that starts a run, and whose answer was lost: it says what nobody can know."""
    look = f"look with client.runs.list({thread_id!r}) before you start another" if thread_id else "nobody can tell"
    return error.saying(f"A run may have begun all the same: {look}")
