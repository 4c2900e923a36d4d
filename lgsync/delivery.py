"""Delivery: from a transport's parts to the run's parts, and to how the run ended. One policy for every transport.

A clean end of the wire is only a hint: a finished run, a paused one, a cancelled one and a cut proxy look alike. So
unless an ``error`` part or the wire itself told, the run's status is asked, and a run that has not ended is an error,
never an end.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from .errors import (
    ClientClosed,
    ConfigurationError,
    ConnectionLost,
    LgsyncError,
    NotFoundError,
    ResponseError,
    RunError,
    StreamLost,
    run_error,
)
from .parts import StreamPart
from .paths import segment
from .rest import Rest
from .thread_state import UNFINISHED, failure_in, interrupts_in
from .transport import PartSource, Timeout

__all__ = ["Delivery"]

#: How long a question about the run may take at its end: a reader that is freed must not wait much longer.
_ASKING = Timeout(5.0, 10.0)
#: How long leaving may take.
_LEAVING = Timeout(3.0, 5.0)


class Delivery:
    """The parts of one run. ``next_part`` gives None at the end; then ``outcome`` is known.

    ``outcome`` is "success", "interrupted", "cancelled", "error", or None as long as it is not known (a stream that
    its owner closed never learns it).
    """

    def __init__(self, source: PartSource, rest: Rest, modes: Tuple[str, ...], *, joined: bool = False) -> None:
        self._source = source
        self._rest = rest
        # A run that was not kept for joining begins somewhere in the middle, without saying so.
        self._misses_its_start = joined
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
        except (ConnectionLost, ResponseError) as exc:
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

    def cancel(self, action: str, timeout: Timeout = _ASKING) -> bool:
        """Cancel the run on the server; False if there was nothing left to cancel."""
        if self.thread_id is None or self.run_id is None:
            raise ConfigurationError(
                'A run without a thread can only be cancelled by leaving its stream: start it with on_close="cancel"'
            )
        try:
            params = {"action": action, "wait": "0"}
            self._rest.accepted("POST", f"{self._run_path()}/cancel", params=params, timeout=timeout)
        except NotFoundError:
            return False
        return True

    def cancel_on_leaving(self) -> bool:
        """Cancel the run within a few seconds; one without a thread, the server cancels when the connection ends."""
        return self.thread_id is None or self.cancel("interrupt", _LEAVING)

    @property
    def needs_state(self) -> bool:
        """Whether what the stream showed may differ from what the thread now holds."""
        shown = self._shows_state and self._source.exact and not self._misses_its_start
        return self.thread_id is not None and not shown

    def state(self) -> Dict[str, Any]:
        """The thread's state after the run (``GET /threads/{thread_id}/state``), fetched once.

        If another run has come since, it is the last state of this one (``POST /threads/{thread_id}/history``).
        """
        if self._state is None:
            answer = self._ask("GET", f"{self._thread_path()}/state")
            state: Dict[str, Any] = answer if isinstance(answer, dict) else {}
            if _run_of(state) not in (None, self.run_id):
                state = self._last_of({"run_id": self.run_id}) or state
            self._state = state
        return self._state

    def ids_before(self, messages_key: str) -> Optional[Set[str]]:
        """The ids of the messages that the thread held when the run began, its input among them; None if unknown."""
        start = self._last_of({"run_id": self.run_id, "source": "input"})
        if start is None:
            return None
        step = (start.get("metadata") or {}).get("step")
        merged = self._last_of({"run_id": self.run_id, "step": step + 1}) if isinstance(step, int) else None
        messages = ((merged or start).get("values") or {}).get(messages_key)
        known = messages if isinstance(messages, list) else []
        return {str(message.get("id")) for message in known if isinstance(message, dict)}

    def _last_of(self, metadata: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """The thread's latest checkpoint with this metadata."""
        found = self._ask("POST", f"{self._thread_path()}/history", json={"limit": 1, "metadata": metadata})
        return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None

    def _ask(self, method: str, path: str, json: Any = None) -> Any:
        answer = self._rest.call(method, path, json=json, timeout=_ASKING)
        return {} if answer is None else answer

    def _note(self, part: StreamPart) -> None:
        kind = part.kind
        if kind == "metadata":
            self._misses_its_start = False
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
        try:
            outcome = self._source.outcome or self._ask_outcome()
            if outcome in ("success", "interrupted") and self.needs_state:
                outcome = self._look_for_a_pause(outcome)
        except ClientClosed:
            raise
        except LgsyncError as exc:
            if self._closed:
                return
            raise exc if isinstance(exc, StreamLost) else self._lost(f"its end could not be asked for: {exc}") from exc
        if not self._closed:
            self.outcome = outcome

    def _ask_outcome(self) -> str:
        if self.thread_id is None or self.run_id is None:
            return "interrupted" if self._paused else "success"
        try:
            run = self._ask("GET", self._run_path())
        except NotFoundError:
            return "cancelled"  # A run that was rolled back is gone.
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
        state = self.state()
        self._note_interrupts(interrupts_in(state))
        return "interrupted" if self._interrupts or state.get("next") else outcome

    def _failure_from_state(self, status: Any) -> RunError:
        error, message = failure_in(self.state())
        return self._run_error({"error": error, "message": message or f"its status is {status!r}"})

    def _run_error(self, failure: Any) -> RunError:
        return run_error(failure, thread_id=self.thread_id, run_id=self.run_id)

    def _lost(self, why: str) -> StreamLost:
        return StreamLost(
            f"The stream of run {self.run_id} on thread {self.thread_id} was lost: {why}. The run may still go on: "
            "join it with client.runs.join_stream(thread_id, run_id, last_event_id=error.position), "
            "or read the thread's state later.",
            thread_id=self.thread_id,
            run_id=self.run_id,
            position=self.position,
        )

    def _thread_path(self) -> str:
        return f"/threads/{segment(self.thread_id, 'thread_id')}"

    def _run_path(self) -> str:
        return f"{self._thread_path()}/runs/{segment(self.run_id, 'run_id')}"


def _run_of(state: Any) -> Optional[str]:
    """The run that made this state; None if it does not say (an update by hand, say)."""
    metadata = state.get("metadata") if isinstance(state, dict) else None
    run_id = metadata.get("run_id") if isinstance(metadata, dict) else None
    return run_id if isinstance(run_id, str) else None
