"""What the server is asked of a run while it is streamed: how it ended, what its thread holds, and held before."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Mapping, NamedTuple, Optional, Set, Union

from .errors import ClientClosed, LgsyncError, NotFoundError, RunError
from .named_run import STATE_ADVICE, NamedRun
from .paths import run_path
from .recovery import ATTEMPT, Recovery
from .rest import Rest
from .thread_state import UNFINISHED, failure_in
from .transport import RunJoin, RunStart, Timeout

__all__ = ["RunQuestions"]


class Ending(NamedTuple):
    """How a run ended, and what it failed with if it did."""

    outcome: str
    failure: Optional[RunError] = None


class RunQuestions:
    """The questions about one run: each is asked again while the server is away, for asking changes nothing.

    ``rest`` tries a call once. All raise what a call raises, StreamLost if the server stays away, DeadlineExceeded, and
    ClientClosed as soon as the stream is closed.
    """

    def __init__(self, rest: Rest, run: NamedRun, start: Union[RunStart, RunJoin], recovery: Recovery) -> None:
        self._rest = rest
        self._run = run
        self._start = start
        self._recovery = recovery
        self._persists = True
        self._state: Optional[Dict[str, Any]] = None

    def settled(self, *, failed: bool) -> None:
        """The run's end is known: what is still asked is bound by no deadline, and of a run that failed, asked once."""
        self._recovery.lift_deadline()
        self._persists = not failed

    # -- how it ended --------------------------------------------------------------------------------------------------

    def ending(self, *, was_cut: bool) -> Optional[Ending]:
        """How the run ended, by its status; None if it has not. ``was_cut`` says that a connection to it broke."""
        if not self._run.can_be_joined:
            return self._ending_without_thread()
        try:
            run = self._ask("GET", self._run.path)
        except NotFoundError as exc:
            return self._ending_of_missing(exc)
        status = run.get("status") if isinstance(run, dict) else None
        if status in UNFINISHED:
            return None
        if status == "success":
            return Ending("success")
        if status == "interrupted":
            if was_cut and self._dies_by_cuts:
                why = "the server cancelled the run when the connection broke, as it had been asked to"
                raise self._run.lost(why, STATE_ADVICE)
            return Ending("cancelled")
        error, message = failure_in(self.state())
        return Ending("error", self._run.failed({"error": error, "message": message or f"its status is {status!r}"}))

    def _ending_without_thread(self) -> Ending:
        """The thread that the server makes for such a run is named by its messages alone, and gone after its end."""
        if self._run.temporary is not None and self._run.run_id is not None:
            path = run_path(self._run.temporary, self._run.run_id)
            with contextlib.suppress(NotFoundError):
                run = self._ask("GET", path)
                if isinstance(run, dict) and run.get("status") in (*UNFINISHED, "interrupted"):
                    raise self._run.lost("the connection ended before the run did")
        return Ending("success")

    def _ending_of_missing(self, error: NotFoundError) -> Ending:
        """A run that was rolled back is gone; a thread that is gone, is lost, and so is what a restart forgot."""
        try:
            self._ask("GET", self._run.thread_path)
        except NotFoundError:
            raise self._run.lost("the server no longer knows its thread", "") from error
        if self._recovery.policy.was_away:
            raise self._run.lost("the server was away, and no longer knows the run", STATE_ADVICE) from error
        return Ending("cancelled")

    @property
    def _dies_by_cuts(self) -> bool:
        start = self._start
        if isinstance(start, RunJoin):
            return start.cancel_on_disconnect
        return start.payload.get("on_disconnect") == "cancel"

    # -- its thread ----------------------------------------------------------------------------------------------------

    def state(self) -> Dict[str, Any]:
        """The thread's state after the run (``GET /threads/{thread_id}/state``), fetched once.

        If another run has come since, it is the last state of this one (``POST /threads/{thread_id}/history``).
        """
        if self._state is None:
            answer = self._ask("GET", f"{self._run.thread_path}/state")
            state: Dict[str, Any] = answer if isinstance(answer, dict) else {}
            if _run_of(state) not in (None, self._run.run_id):
                state = self._last_of({"run_id": self._run.run_id}) or state
            self._state = state
        return self._state

    def ids_before(self, messages_key: str) -> Optional[Set[str]]:
        """The ids of the messages that the thread held when the run began, its input among them; None if unknown."""
        start = self._last_of({"run_id": self._run.run_id, "source": "input"})
        if start is None:
            return None
        step = (start.get("metadata") or {}).get("step")
        merged = self._last_of({"run_id": self._run.run_id, "step": step + 1}) if isinstance(step, int) else None
        messages = ((merged or start).get("values") or {}).get(messages_key)
        known = messages if isinstance(messages, list) else []
        return {str(message.get("id")) for message in known if isinstance(message, dict)}

    def _last_of(self, metadata: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """The thread's latest checkpoint with this metadata."""
        found = self._ask("POST", f"{self._run.thread_path}/history", {"limit": 1, "metadata": metadata})
        return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, json: Any = None) -> Any:
        closing = self._recovery.closing
        if closing.is_set():
            # What is asked after the end is no longer a part of the stream.
            return self._call(method, path, json, ATTEMPT)
        while True:
            try:
                answer = closing.call(
                    lambda: [self._call(method, path, json, self._recovery.limits())],
                    cuttable=self._rest.transport.cuttable,
                )
            except LgsyncError as exc:
                if not self._persists:
                    raise
                self._recovery.pause(exc, self._run)
                continue
            if answer is None:
                raise ClientClosed(f"The stream of run {self._run.run_id} was closed")
            return answer[0]

    def _call(self, method: str, path: str, json: Any, timeout: Timeout) -> Any:
        start = self._start
        answer = self._rest.call(method, path, json=json, params=start.params, headers=start.headers, timeout=timeout)
        return {} if answer is None else answer


def _run_of(state: Any) -> Optional[str]:
    """The run that made this state; None if it does not say (an update by hand, say)."""
    metadata = state.get("metadata") if isinstance(state, dict) else None
    run_id = metadata.get("run_id") if isinstance(metadata, dict) else None
    return run_id if isinstance(run_id, str) else None
