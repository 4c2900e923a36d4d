"""What REST tells of a run on a thread, and what its events leave out: status, state, and how it is started."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Container, Dict, List, Mapping, Optional

from .. import codec
from ..closing import Closing
from ..errors import (
    ClientClosed,
    ConflictError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    NotFoundError,
    ResponseError,
)
from ..paths import run_path, thread_path
from ..rest import Rest
from ..thread_state import interrupts_in
from ..transport import Timeout
from .commands import protocol_error
from .http import HTTPTransport

__all__ = ["RunCalls"]


_BRIEF_SECONDS = 10.0

# How long the run of an answer may take to be listed, and the pauses between two looks.
_LISTED_WITHIN = 5.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.4


class RunCalls:
    """The REST side of one run: what its events do not tell.

    ``timeout.total`` bounds all that is asked until the run is ``streaming``, taken together and from now on.
    """

    def __init__(
        self,
        transport: HTTPTransport,
        thread_id: str,
        headers: Mapping[str, str],
        params: Mapping[str, Any],
        timeout: Optional[Timeout],
    ) -> None:
        self.thread_id = thread_id
        self.run_id: Optional[str] = None
        self.headers = headers
        self.params = params
        self.path = thread_path(thread_id)
        self.timeout = timeout or transport.config.timeout
        self._end = None if self.timeout.total is None else time.monotonic() + self.timeout.total
        #: For questions about a run that is being read: who closes its source may have to wait for their answer.
        self.brief = Timeout(*(min(seconds or _BRIEF_SECONDS, _BRIEF_SECONDS) for seconds in self.timeout[:2]))
        #: Set when the run's stream is closed; from when it is ``streaming``, that frees who waits for an answer, too.
        self.closing = Closing()
        self.streaming = False
        self._transport = transport
        self._rest = Rest(transport)

    def left(self, timeout: Optional[Timeout] = None) -> Timeout:
        """``timeout``, or that of the run, made no longer than what is left; raises ConnectionTimeout if nothing is."""
        timeout = timeout or self.timeout
        if self._end is None or self.streaming:
            return timeout
        left = self._end - time.monotonic()
        if left <= 0:
            url = self._transport.url_of(self.path)
            raise ConnectionTimeout(
                f"{url}: the stream was not open within {self.timeout.total or 0:g} s; allow it a larger deadline",
                url=url,
            )
        return Timeout(*(left if seconds is None else min(seconds, left) for seconds in timeout))

    def thread(self, *, create: bool) -> Dict[str, Any]:
        """The thread; made first if it is not there and ``create`` says so."""
        try:
            return self._data("GET", self.path)
        except NotFoundError as exc:
            if not create:
                raise
            missing = exc
        try:
            # A socket to a thread that is not there stays silent, or is closed at once.
            return self._data("POST", "/threads", json={"thread_id": self.thread_id, "if_exists": "do_nothing"})
        except ConflictError as exc:
            # It is there, but somebody else's.
            raise missing from exc

    def state(self, *, timeout: Optional[Timeout] = None) -> Dict[str, Any]:
        """The thread's state, asked for briefly unless ``timeout`` says otherwise."""
        return self._data("GET", f"{self.path}/state", timeout=timeout or self.brief)

    def pending(self, *, create: bool) -> List[Dict[str, Any]]:
        """What the thread itself says it waits for; it is made first if it is not there and ``create`` says so."""
        waiting = self.thread(create=create).get("interrupts")
        entries = waiting.values() if isinstance(waiting, dict) else ()
        return [interrupt for each in entries for interrupt in _dicts(each)]

    def interrupts(self) -> List[Dict[str, Any]]:
        """What the thread waits for; its state knows that before the thread itself does."""
        return interrupts_in(self.state(timeout=self.timeout))

    def run(self, run_id: Optional[str] = None, *, timeout: Optional[Timeout] = None) -> Dict[str, Any]:
        """The run itself, or another one of its thread; raises NotFoundError if there is none."""
        return self._data("GET", run_path(self.thread_id, run_id or self.run_id), timeout=timeout)

    def status(self, *, timeout: Optional[Timeout] = None) -> Optional[str]:
        """The run's status, asked for briefly unless ``timeout`` says otherwise; None if the run is gone."""
        try:
            return str(self.run(timeout=timeout or self.brief).get("status"))
        except NotFoundError:
            return None

    def created(self, run_id: Optional[str] = None) -> Optional[float]:
        """When this run was created, or another one of its thread, in milliseconds of the server's clock."""
        try:
            text = str(self.run(run_id, timeout=self.brief).get("created_at") or "")
        except NotFoundError:
            return None
        try:
            return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000
        except ValueError:
            return None

    def command(self, method: str, params: Mapping[str, Any]) -> str:
        """Send a command that starts a run; returns the run's id. Raises ResponseError if no run comes of it."""
        # An answer's reply names no run. The same answer may have been given before, so new runs must be told from old.
        before = {str(run.get("run_id")) for run in self._runs()} if "responses" in params else set()
        body = {"id": 1, "method": method, "params": params}
        answer = self._data("POST", f"{self.path}/commands", json=body)
        url = self._transport.url_of(f"{self.path}/commands")
        if answer.get("type") == "error":
            raise protocol_error(answer, request="POST", url=url, command=method)
        result = answer.get("result")
        run_id = result.get("run_id") if isinstance(result, dict) else None
        if run_id is None:
            try:
                run_id = self._resumed_run(params, before)
            except ConnectionFailed as exc:
                # The command has arrived, and must not be taken for one that may be sent again.
                raise ConnectionLost(str(exc), url=exc.url) from exc.__cause__
        if run_id is None:
            raise ResponseError(
                f"{url} took {method}, but no run of thread {self.thread_id} shows that it was started by it. Look at "
                "client.runs.list(thread_id), and join the run if it is there.",
                url=url,
                status=200,
            )
        return str(run_id)

    def _resumed_run(self, params: Mapping[str, Any], before: Container[Any]) -> Optional[str]:
        """The new run that was started with these very answers; it may be listed only after a while."""
        given = {each["interrupt_id"]: each["response"] for each in params.get("responses", ())}
        # As they look once they were sent: a tuple is a list there.
        sent = codec.decode(codec.encode(given))
        deadline, pause = time.monotonic() + _LISTED_WITHIN, _FIRST_PAUSE
        while True:
            for run in self._runs():
                if str(run.get("run_id")) not in before and _resumed_with(run) == sent:
                    return str(run.get("run_id"))
            if time.monotonic() >= deadline:
                return None
            # A transport that is closed meanwhile refuses the next question.
            time.sleep(min(pause, self.left().total or pause))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _runs(self) -> List[Dict[str, Any]]:
        return _dicts(self._call("GET", f"{self.path}/runs", params={"limit": 20}))

    def _data(self, method: str, path: str, *, json: Any = None, timeout: Optional[Timeout] = None) -> Dict[str, Any]:
        data = self._call(method, path, json=json, timeout=timeout)
        return data if isinstance(data, dict) else {}

    def _call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: Optional[Timeout] = None,
    ) -> Any:
        def ask() -> Any:
            query = {**self.params, **(params or {})}
            return self._rest.call(
                method, path, json=json, params=query, headers=self.headers, timeout=self.left(timeout)
            )

        if not self.streaming:
            return ask()
        answer = self.closing.call(lambda: [ask()])
        if answer is None:
            raise ClientClosed(f"The stream of run {self.run_id} was closed")
        return answer[0]


def _resumed_with(run: Mapping[str, Any]) -> Any:
    kwargs = run.get("kwargs")
    command = kwargs.get("command") if isinstance(kwargs, dict) else None
    return command.get("resume") if isinstance(command, dict) else None


def _dicts(value: Any) -> List[Dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
