"""Runs over a WebSocket: the thread event protocol, spoken upward as the run-stream API."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
import time
import weakref
from collections import deque
from typing import Any, Deque, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..errors import APIStatusError, ConnectionLost, ConnectionTimeout, LgsyncError, NotFoundError
from ..parts import StreamPart
from ..paths import segment
from ..rest import Rest
from ..transport import Capabilities, PartSource, RunJoin, RunStart, Timeout, TransportConfig, refuse
from .commands import check_start, is_answer, protocol_error, respond_params, start_params
from .connection import Connection, Target, open_connection
from .http import HTTPTransport
from .protocol import CHANNELS, Translator, root_event, run_of

__all__ = ["WebSocketSource", "WebSocketTransport"]

DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_MODES = frozenset(["values", "messages", "messages-tuple", "updates"])

_OPTIONS = frozenset(
    [
        "assistant_id",
        "input",
        "command",
        "config",
        "metadata",
        "multitask_strategy",
        "langsmith_tracer",
        "stream_mode",
        "stream_subgraphs",
        "stream_resumable",
        "if_not_exists",
        "checkpoint_id",
        "durability",
        "on_disconnect",
    ]
)

_ANOTHER_MODE = "Graphs compiled with a transformer for it can send it: WebSocketTransport(config, extra_modes=…)."

_HINTS = {
    "context": 'Or pass config={"configurable": …}, which the graph gets as its context too.',
    "custom": _ANOTHER_MODE,
    "tasks": _ANOTHER_MODE,
    "checkpoints": _ANOTHER_MODE,
}

_UNFINISHED = ("pending", "running")

# Signs of life that may fail to come before the connection counts as lost.
_PATIENCE = 4

# While a run that is over is waited for: how long the wire must be quiet, and the longest pause between two questions.
_QUIET_SECONDS = 0.1
_LONGEST_PAUSE = 2.0

_EXCEPTION = re.compile(r"(?P<name>[A-Za-z_][\w.]*)\((?P<quote>['\"])(?P<message>.*)(?P=quote),?\)$", re.DOTALL)


class WebSocketTransport(HTTPTransport):
    """Streams runs over ``/threads/{id}/stream/events``, and starts them with ``POST /threads/{id}/commands``.

    ``max_message_bytes`` bounds one frame. ``extra_modes`` are stream modes that the server's graphs send because they
    were compiled with a transformer for them: "custom", "tasks", "checkpoints". After ``probe_seconds`` of silence the
    run's status is asked: a run that was rolled back, or whose thread was deleted, ends without a word.
    """

    name = "websocket"

    def __init__(
        self,
        config: TransportConfig,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        extra_modes: Iterable[str] = (),
        probe_seconds: float = 5.0,
    ) -> None:
        super().__init__(config)
        self.max_message_bytes = max_message_bytes
        self.extra_modes = tuple(extra_modes)
        self.probe_seconds = probe_seconds
        self._rest = Rest(self)
        # By process id: a child made by fork leaves its parent's sockets alone.
        self._sources: Dict[int, weakref.WeakSet[WebSocketSource]] = {}

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            stream_modes=_MODES | set(self.extra_modes),
            default_modes=("messages-tuple", "updates"),
            run_options=_OPTIONS,
            stateless_runs=False,
            hints=_HINTS,
        )

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        source = self._join(start) if isinstance(start, RunJoin) else self._start(start)
        self._sources.setdefault(os.getpid(), weakref.WeakSet()).add(source)
        return source

    def close(self) -> None:
        super().close()
        for source in list(self._sources.get(os.getpid(), ())):
            source.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        build = functools.partial(
            type(self),
            max_message_bytes=self.max_message_bytes,
            extra_modes=self.extra_modes,
            probe_seconds=self.probe_seconds,
        )
        return build, (self.config,)

    def _start(self, start: RunStart) -> WebSocketSource:
        check_start(start, self.name)
        run = _Run(self._rest, str(start.thread_id), start.headers, start.params, start.timeout)
        method, params = self._command(run, start.payload)
        source = WebSocketSource(
            run, self._connect(run), start.modes, bool(start.payload.get("stream_subgraphs")), self.probe_seconds
        )
        with _closed_on_error(source):
            source.subscribe()
            # Sent over HTTP: a socket shows the run none of the caller's headers, checks an interrupt's namespace
            # that the thread does not tell, and after a cancelled run takes any new input for an answer. The events
            # wait for it either way, and JavaScript servers confirm a subscription only when a run starts.
            source.follow(run.command(method, params))
        return source

    def _command(self, run: _Run, payload: Mapping[str, Any]) -> Tuple[str, Dict[str, Any]]:
        if is_answer(payload):
            return "input.respond", respond_params(payload, run.interrupts())
        thread = run.thread(create=payload.get("if_not_exists") == "create")
        waiting = thread.get("interrupts") or {}
        pending = [interrupt for entries in waiting.values() for interrupt in entries]
        return "run.start", start_params(payload, pending)

    def _join(self, join: RunJoin) -> WebSocketSource:
        if join.cancel_on_disconnect:
            refuse("cancel_on_disconnect=True", self.name, hint="Its runs outlive the connection; cancel them instead.")
        run = _Run(self._rest, join.thread_id, join.headers, join.params, join.timeout)
        run.run_id = join.run_id
        status = run.status()
        if status is None:
            raise run.not_found()
        modes = join.modes or self.capabilities.default_modes
        connection = self._connect(run)
        source = WebSocketSource(run, connection, modes, join.stream_subgraphs, self.probe_seconds)
        with _closed_on_error(source):
            source.subscribe()
            source.resume(join.position, finished=status not in _UNFINISHED)
        return source

    def _connect(self, run: _Run) -> Connection:
        session = self._process().session
        url = self.url_of(f"{run.path}/stream/events")
        target = Target.of(session, url, self._headers({}, run.headers), run.params)
        timeout = run.timeout or self.config.timeout
        return open_connection(target, timeout=timeout, max_message_bytes=self.max_message_bytes)


class _Run:
    """The REST side of one run: what its events do not tell."""

    def __init__(
        self,
        rest: Rest,
        thread_id: str,
        headers: Mapping[str, str],
        params: Mapping[str, Any],
        timeout: Optional[Timeout],
    ) -> None:
        self.thread_id = thread_id
        self.run_id: Optional[str] = None
        self.headers = headers
        self.params = params
        self.timeout = timeout
        self.path = f"/threads/{segment(thread_id, 'thread_id')}"
        self._rest = rest

    @property
    def read_timeout(self) -> Optional[float]:
        """How long a server that does not even answer may be silent."""
        config: TransportConfig = self._rest.transport.config  # type: ignore[attr-defined]
        return (self.timeout or config.timeout).read

    def thread(self, *, create: bool) -> Dict[str, Any]:
        """The thread; made first if it is not there and ``create`` says so."""
        try:
            return self._data("GET", self.path)
        except NotFoundError:
            if not create:
                raise
        # A socket to a thread that is not there stays silent, or is closed at once.
        return self._data("POST", "/threads", json={"thread_id": self.thread_id, "if_exists": "do_nothing"})

    def state(self) -> Dict[str, Any]:
        """The thread's state."""
        return self._data("GET", f"{self.path}/state")

    def interrupts(self) -> List[Dict[str, Any]]:
        """What the thread waits for; its state knows that before the thread itself does."""
        return _interrupts_in(self.state())

    def status(self) -> Optional[str]:
        """The run's status; None if there is no such run."""
        try:
            run = self._data("GET", f"{self.path}/runs/{segment(self.run_id, 'run_id')}")
        except NotFoundError:
            return None
        return str(run.get("status"))

    def command(self, method: str, params: Mapping[str, Any]) -> str:
        """Send a command that starts a run; returns the run's id."""
        body = {"id": 1, "method": method, "params": params}
        answer = self._data("POST", f"{self.path}/commands", json=body)
        if answer.get("type") == "error":
            raise protocol_error(answer, method=method, url=self._rest.transport.url_of(self.path))  # type: ignore[attr-defined]
        result = answer.get("result")
        run_id = result.get("run_id") if isinstance(result, dict) else None
        return str(run_id or self._resumed_run(params))

    def not_found(self) -> APIStatusError:
        """The error for a run that is not there."""
        try:
            self._data("GET", f"{self.path}/runs/{segment(self.run_id, 'run_id')}")
        except NotFoundError as exc:
            return exc
        raise AssertionError("the run is there after all")

    def _resumed_run(self, params: Mapping[str, Any]) -> str:
        """An answer's reply names no run: it is the newest one that was started with these very answers."""
        given = {each["interrupt_id"]: each["response"] for each in params["responses"]}
        runs = self._rest.call(
            "GET", f"{self.path}/runs", params={**self.params, "limit": 10}, headers=self.headers, timeout=self.timeout
        )
        same = [run for run in runs if ((run.get("kwargs") or {}).get("command") or {}).get("resume") == given]
        return str((same or runs)[0]["run_id"])

    def _data(self, method: str, path: str, *, json: Any = None) -> Dict[str, Any]:
        data = self._rest.call(method, path, json=json, params=self.params, headers=self.headers, timeout=self.timeout)
        return data if isinstance(data, dict) else {}


class _Resume(NamedTuple):
    """The event to go on after, and how many of its parts were delivered (None: all)."""

    event_id: str
    parts: Optional[int]

    @classmethod
    def of(cls, position: str) -> _Resume:
        event_id, mark, count = position.rpartition("#")
        return cls(event_id, int(count) + 1) if mark and count.isdigit() else cls(position, None)


class WebSocketSource(PartSource):
    """The parts of one run over one socket, from its root ``running`` event to its end."""

    def __init__(
        self, run: _Run, connection: Connection, modes: Iterable[str], stream_subgraphs: bool, probe_seconds: float
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
        self._over = False
        self._closed = False
        self._pause = _QUIET_SECONDS
        self._signs = _SignsOfLife(run, connection)
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

    def resume(self, position: Optional[str], *, finished: bool) -> None:
        """Give the parts of the run that come after ``position``, from the start ("-1"), or (None) from now on."""
        self.follow(str(self._run.run_id))
        self.position = position
        self._may_be_gone = finished
        if position is None:
            self._muted_until = time.monotonic() + self._probe_seconds
        elif position not in ("-1", "0", "-", "0-0"):
            self._resume = _Resume.of(position)

    def __next__(self) -> StreamPart:
        while not self._closed:
            if self._ready:
                part = self._ready.popleft()
                self.position = part.id or self.position
                return part
            if self._over:
                break
            self._advance()
        raise StopIteration

    def close(self) -> None:
        self._closed = True
        self._connection.close()

    def _advance(self) -> None:
        try:
            frame = self._connection.receive(self._timeout())
            if frame is not None:
                self.last_activity = self._connection.last_activity
                self._take(frame)
            elif self._connection.ended:
                self._end(None)
            elif not self._closed:
                self._silence()
        except LgsyncError:
            self._connection.close()
            if not self._closed:
                raise
        self.exact = self._translator.exact

    def _timeout(self) -> float:
        if self._translator.ended == "interrupted":
            return self._pause
        if self._may_be_gone or self._muted_until is not None:
            return min(self._probe_seconds, 1.0 if self._may_be_gone else _QUIET_SECONDS)
        return self._probe_seconds

    # ------------------------------------------------------------------ frames

    def _take(self, frame: Dict[str, Any]) -> None:
        kind = frame.get("type")
        if kind == "error":
            raise protocol_error(frame, method="subscription.subscribe", url=self._connection.url)
        if kind == "event":
            self._early.append(frame)
        elif frame.get("id") in self._unconfirmed:
            del self._unconfirmed[frame["id"]]
        # Each subscription replays on its own; together they are in order again by their number.
        if not self._unconfirmed:
            early, self._early = self._early, []
            for event in early if len(early) == 1 else _in_order(early):
                self._handle(event)

    def _handle(self, event: Dict[str, Any]) -> None:
        if self._over:
            return
        root, run_id = root_event(event), run_of(event)
        if not self._started:
            if not self._begins(root, run_id):
                return
        elif root == "running" and run_id != self.run_id:
            # The next run has begun, so this one is over, whether or not its end was said.
            self._conclude(self._run.status())
            return
        self._started = True
        self._may_be_gone = False
        self._deliver(self._translator.feed(event), event)
        if self._translator.ended == "completed":
            self._finish("success")
        elif self._translator.ended == "failed":
            self._fail(self._translator.failure)

    def _begins(self, root: Optional[str], run_id: Optional[str]) -> bool:
        """Whether the events of this run begin here; those of earlier runs come first."""
        if run_id is None:
            # Servers that name no run in their ids; and a run whose beginning is no longer kept may still go on.
            return root == "running"
        if run_id != self.run_id:
            return False
        if root != "running" and self._resume is None and self._muted_until is None:
            raise self._lost("the server no longer has the beginning of the run")
        return True

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
        elif status is None or (status not in _UNFINISHED and self._said_all(status)):
            self._conclude(status)

    def _said_all(self, status: str) -> bool:
        """Whether nothing more of the finished run is on its way."""
        return self._may_be_gone or (self._signs.answered and self._signs.seen_finished(status))

    def _settle(self, status: Optional[str]) -> None:
        """After an interrupt: what else the run says comes until its status says that it is over, and then a little."""
        if status in _UNFINISHED:
            self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        elif status is None or self._said_all(status):
            self._conclude(status)
        else:
            self._pause = _QUIET_SECONDS

    # ------------------------------------------------------------------ the end

    def _conclude(self, status: Optional[str]) -> None:
        """End as the run's status says."""
        if status is None or status == "interrupted":
            self._finish("cancelled")
        elif status in _UNFINISHED:
            raise self._lost(f"another run has begun while it was {status}")
        elif status == "success":
            waiting = self._waiting()
            paused = bool(waiting) or self._translator.ended == "interrupted"
            self._finish("interrupted" if paused else "success", waiting)
        else:
            self._fail(None)

    def _waiting(self) -> List[Dict[str, Any]]:
        """What this run made the thread wait for."""
        state = self._state()
        latest = (state.get("metadata") or {}).get("run_id")
        return _interrupts_in(state) if latest in (None, self.run_id) else []

    def _finish(self, outcome: Optional[str], waiting: Iterable[Mapping[str, Any]] = ()) -> None:
        if self._resume is not None:
            raise self._lost("the server no longer has the position to go on from")
        if self._started:
            self._ready.extend(self._translator.finish(waiting))
        self._end(outcome)

    def _fail(self, message: Optional[str]) -> None:
        name, kept = _failure_in(self._state())
        data = {"error": name, "message": kept if message is None else message}
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
        return ConnectionLost(
            f"The stream of run {self.run_id} over {self._connection.url} was lost: {why}", url=self._connection.url
        )


class _SignsOfLife:
    """What tells a quiet run from a dead connection: the run's status over HTTP, and pongs on the socket itself.

    ``count`` and ``last`` (time.monotonic()) are of the signs that came; ``answered`` says that the last ping was.
    """

    def __init__(self, run: _Run, connection: Connection) -> None:
        self.count = 0
        self.last = connection.last_activity
        self.answered = False
        self._run = run
        self._connection = connection
        self._pong: Optional[threading.Event] = None
        self._missed = 0
        self._finished: Optional[str] = None

    def ask(self) -> Optional[str]:
        """The run's status. Raises ConnectionTimeout once neither status nor pong comes for too long."""
        self.last = max(self.last, self._connection.last_activity)
        self.answered = self._pong is not None and self._pong.is_set()
        silent = self._pong is not None and not self.answered
        self._pong = self._connection.ping() if not silent else self._pong
        try:
            status = self._run.status()
        except LgsyncError as exc:
            self._miss(f"its status cannot be asked either ({exc})", exc)
            return "running"
        if silent:
            self._miss("it does not answer pings", None)
        else:
            self._missed = 0
            self.count += 1
            self.last = time.monotonic()
        return status

    def seen_finished(self, status: Optional[str]) -> bool:
        """Whether this is the second time that the run is seen finished: by now all it said has arrived."""
        before, self._finished = self._finished, status
        return before == status

    def _miss(self, why: str, cause: Optional[LgsyncError]) -> None:
        self._missed += 1
        limit, silence = self._run.read_timeout, time.monotonic() - self.last
        if self._missed < _PATIENCE and (limit is None or silence < limit):
            return
        url = self._connection.url
        raise ConnectionTimeout(f"{url} has been silent for {silence:.0f} s, and {why}", url=url) from cause


@contextlib.contextmanager
def _closed_on_error(source: WebSocketSource) -> Any:
    try:
        yield
    except BaseException:
        source.close()
        raise


def _in_order(events: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Events by their number, each once; as they came if they have none."""
    if not all(isinstance(event.get("seq"), int) for event in events):
        return events
    return [event for _, event in sorted({event["seq"]: event for event in events}.items())]


def _interrupts_in(state: Mapping[str, Any]) -> List[Dict[str, Any]]:
    found = [interrupt for task in state.get("tasks") or () for interrupt in task.get("interrupts") or ()]
    return [interrupt for interrupt in found if isinstance(interrupt, dict)]


def _failure_in(state: Mapping[str, Any]) -> Tuple[Optional[str], str]:
    """The class and the text of what failed, from the repr that the failed task keeps."""
    for task in state.get("tasks") or ():
        text = str(task.get("error") or "")
        found = _EXCEPTION.match(text)
        if found:
            return found["name"], found["message"]
        if text:
            name = re.match(r"[A-Za-z_][\w.]*(?=\()", text)
            return (name[0] if name else None), text
    return None, "the run failed"
