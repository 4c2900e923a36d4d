"""Delivery: from a transport's parts to the run's parts, and to how the run ended. One policy for every transport.

A clean end of the wire is only a hint: a finished run, a paused one, a cancelled one and a cut proxy look alike. So
unless an ``error`` part or the wire itself told, the run's status is asked, and a run that has not ended is an error,
never an end.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from .errors import ConnectionLost, LgsyncError, NotFoundError, RunError, StreamLost, run_error
from .parts import StreamPart
from .paths import segment
from .rest import Rest
from .thread_state import UNFINISHED, failure_in, interrupts_in
from .transport import PartSource

__all__ = ["Delivery"]


class Delivery:
    """The parts of one run. ``next_part`` gives None at the end; then ``outcome`` is known.

    ``outcome`` is "success", "interrupted", "cancelled", "error", or None as long as it is not known (a stream that
    its owner closed never learns it).
    """

    def __init__(self, source: PartSource, rest: Rest, modes: Tuple[str, ...]) -> None:
        self._source = source
        self._rest = rest
        # A join that names no modes learns from what it sees.
        self._shows_state = bool({"updates", "values"} & set(modes))
        self._interrupts: Dict[str, Mapping[str, Any]] = {}
        self._paused = False
        self._closed = False
        self._state: Optional[Dict[str, Any]] = None
        self.thread_id = source.thread_id
        self.run_id = source.run_id
        self.failure: Optional[RunError] = None
        self.outcome: Optional[str] = None

    @property
    def position(self) -> Optional[str]:
        """Where the stream stands, for a join to go on from."""
        return self._source.position

    @property
    def interrupts(self) -> List[Mapping[str, Any]]:
        """What the run waits for, as the server sent it, in order of arrival."""
        return list(self._interrupts.values())

    def next_part(self) -> Optional[StreamPart]:
        """The next part; None at the end. Raises StreamLost if the wire ended before the run did."""
        try:
            part = next(self._source, None)
        except ConnectionLost as exc:
            if self._closed:
                return None
            raise self._lost(str(exc)) from exc
        if part is None:
            self._settle_outcome()
        else:
            self._note(part)
        return part

    def close(self, outcome: Optional[str] = None) -> None:
        """Stop reading, from any thread; a blocked reader gets the end. ``outcome`` is what the owner made of it."""
        self._closed = True
        if self.outcome is None:
            self.outcome = outcome
        self._source.close()

    def cancel(self, action: str) -> bool:
        """Cancel the run on the server; False if there was nothing left to cancel."""
        if self.thread_id is None or self.run_id is None:
            return True
        params = {"action": action, "wait": "0"}
        try:
            self._rest.accepted("POST", f"{self._run_path()}/cancel", params=params)
        except NotFoundError:
            return False
        return True

    @property
    def needs_state(self) -> bool:
        """Whether what the stream showed may differ from what the thread now holds."""
        return self.thread_id is not None and not (self._shows_state and self._source.exact)

    def state(self) -> Dict[str, Any]:
        """The thread's state after the run (``GET /threads/{thread_id}/state``), fetched once."""
        if self._state is None:
            state = self._rest.call("GET", f"/threads/{segment(self.thread_id, 'thread_id')}/state")
            self._state = state if isinstance(state, dict) else {}
        return self._state

    def _note(self, part: StreamPart) -> None:
        kind = part.kind
        if kind in ("updates", "values"):
            self._shows_state = True
        if kind == "metadata" and self.run_id is None and isinstance(part.data, dict):
            self.run_id = part.data.get("run_id")
        elif kind in ("updates", "values") and isinstance(part.data, dict) and "__interrupt__" in part.data:
            self._paused = True
            self._note_interrupts(part.data["__interrupt__"])
        elif kind == "error":
            self.outcome = "error"
            self.failure = self._run_error(part.data)

    def _note_interrupts(self, interrupts: Any) -> None:
        for interrupt in interrupts if isinstance(interrupts, list) else ():
            if isinstance(interrupt, dict):
                self._interrupts[str(interrupt.get("id"))] = interrupt

    def _settle_outcome(self) -> None:
        if self._closed or self.outcome is not None:
            return
        outcome = self._source.outcome or self._ask_outcome()
        if outcome in ("success", "interrupted") and self.needs_state:
            outcome = self._look_for_a_pause(outcome)
        self.outcome = outcome

    def _ask_outcome(self) -> str:
        if self.thread_id is None or self.run_id is None:
            return "interrupted" if self._paused else "success"
        try:
            run = self._rest.call("GET", self._run_path())
        except NotFoundError:
            return "cancelled"  # A run that was rolled back is gone.
        except LgsyncError as exc:
            raise self._lost(f"how the run ended could not be asked: {exc}") from exc
        status = run.get("status") if isinstance(run, dict) else None
        if status in UNFINISHED:
            raise self._lost(f"the connection ended while the run was still {status}")
        return self._outcome_of(status)

    def _outcome_of(self, status: Any) -> str:
        if status == "success":
            return "interrupted" if self._paused else "success"
        if status == "interrupted":
            return "cancelled"
        self.failure = self._failure_from_state(status)
        return "error"

    def _look_for_a_pause(self, outcome: str) -> str:
        """Streams of messages alone do not show interrupts: the thread's tasks do."""
        state = self._state_or_lost()
        self._note_interrupts(interrupts_in(state))
        return "interrupted" if self._interrupts or state.get("next") else outcome

    def _failure_from_state(self, status: Any) -> RunError:
        error, message = failure_in(self._state_or_lost())
        return self._run_error({"error": error, "message": message or f"its status is {status!r}"})

    def _state_or_lost(self) -> Dict[str, Any]:
        try:
            return self.state()
        except LgsyncError as exc:
            raise self._lost(f"the thread's state could not be read: {exc}") from exc

    def _run_error(self, failure: Any) -> RunError:
        return run_error(failure, thread_id=self.thread_id, run_id=self.run_id)

    def _lost(self, why: str) -> StreamLost:
        return StreamLost(
            f"The stream of run {self.run_id} on thread {self.thread_id} was lost: {why}. The run may still go on: "
            "join it with client.runs.join_stream(thread_id, run_id), or read its state when it is done.",
            thread_id=self.thread_id,
            run_id=self.run_id,
            position=self.position,
        )

    def _run_path(self) -> str:
        return f"/threads/{segment(self.thread_id, 'thread_id')}/runs/{segment(self.run_id, 'run_id')}"
