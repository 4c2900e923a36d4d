"""Waiting for a run without streaming it, again and again if the connection breaks: asking changes nothing."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Callable, Mapping, NamedTuple

from .cancelling import cancel_run, cancelled_on_leaving, time_to_leave
from .cursor import Cursor
from .deadline import Deadline
from .errors import ConnectionLost, DeadlineExceeded, LgsyncError, StreamLost, ended
from .paths import run_path, thread_path
from .recovery import Recovery
from .rest import Rest
from .transport import Timeout

__all__ = ["RunWait"]

#: A question that breaks off only after so long had been taken.
_HELD_SECONDS = 1.0


class RunWait(NamedTuple):
    """A run to wait for. ``cancels`` says whether it is cancelled when its caller gives up waiting."""

    rest: Rest
    thread_id: str
    run_id: str
    recovery: Recovery
    timeout: Timeout
    headers: Mapping[str, str]
    params: Mapping[str, Any]
    cancels: bool

    def __repr__(self) -> str:
        """Tools that log the variables of a failure show these: the headers by name alone, as the query."""
        return (
            f"RunWait(thread_id={self.thread_id!r}, run_id={self.run_id!r}, timeout={self.timeout!r}, "
            f"headers={sorted(self.headers)!r}, params={sorted(self.params)!r}, cancels={self.cancels!r})"
        )

    def values(self, begun: Callable[[], None] = lambda: None) -> Any:
        """Call ``begun``, and give what ``GET /threads/{thread_id}/runs/{run_id}/join`` gives at the run's end.

        For a run that paused: the state's values, and what it waits for as ``__interrupt__``. Raises DeadlineExceeded,
        StreamLost if the server stays away, and the server's own error if it refuses.
        """
        try:
            begun()
            values = self._ask(f"{self._path}/join")
            if _is_event(values):
                # Of the event protocol's runs, who waits live gets the last event, with one of several interrupts.
                values = self._ask(f"{self._path}/join")
            if isinstance(values, dict) and set(values) == {"__interrupt__"}:
                # A server that is asked after the pause, or of several interrupts, leaves the values out.
                state = self._ask(f"{thread_path(self.thread_id)}/state")
                values = {**(state.get("values") or {}), **values}
            return values
        except BaseException as exc:
            # A connection that is lost is not a caller who leaves.
            if self.cancels and (isinstance(exc, DeadlineExceeded) or not isinstance(exc, LgsyncError)):
                self._cancel()
            raise

    def exceeded(self, deadline: Deadline) -> DeadlineExceeded:
        """The run was waited for as long as was allowed."""
        return deadline.exceeded(
            "Waiting for the run",
            thread_id=self.thread_id,
            run_id=self.run_id,
            cursor=self._cursor,
            advice="the run is asked to end" if self.cancels else "the run goes on",
        )

    def lost(self, why: str, *, tried: float = 0.0) -> StreamLost:
        """The run could not be asked after for so many seconds."""
        return StreamLost(
            f"Run {self.run_id} on thread {self.thread_id} could not be waited for: {ended(why)} "
            f"It was asked for {tried:.0f} s, and may still go on: wait again with client.runs.join.",
            thread_id=self.thread_id,
            run_id=self.run_id,
            cursor=self._cursor,
        )

    @property
    def _path(self) -> str:
        return run_path(self.thread_id, self.run_id)

    @property
    def _cursor(self) -> str:
        return str(Cursor(self.thread_id, self.run_id, transport=self.rest.transport.name))

    def _ask(self, path: str) -> Any:
        while True:
            timeout = self.recovery.deadline.within(self.timeout)
            asked = time.monotonic()
            try:
                return self.rest.call("GET", path, headers=self.headers, params=self.params, timeout=timeout)
            except LgsyncError as exc:
                if type(exc) is ConnectionLost and time.monotonic() - asked > _HELD_SECONDS:
                    # The server had taken the question, and was waiting with us.
                    self.recovery.policy.alive()
                self.recovery.pause(exc, self)

    def _cancel(self) -> None:
        cancel = partial(cancel_run, self.rest, self._path, "interrupt", params=self.params, headers=self.headers)
        cancelled_on_leaving(partial(cancel, timeout=time_to_leave(self.recovery.deadline)), self.run_id)


def _is_event(values: Any) -> bool:
    """Whether values came as an event of the protocol; a graph's own may look like one only in part."""
    return (
        isinstance(values, dict)
        and (values.get("type"), values.get("method")) == ("event", "values")
        and isinstance(values.get("seq"), int)
        and isinstance(values.get("params"), dict)
    )
