"""The threads and runs of a scripted server: what they hold, and what each run's stream has said so far. No sockets."""

from __future__ import annotations

import contextlib
import copy
import threading
import time
import uuid
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..parts import StreamPart
from .steps import Script, Step, Wait

__all__ = ["Broken", "ScriptedRun", "ScriptedThread", "Sent", "now"]

# What servers show live, and not to who joins later.
_NOT_KEPT = ("messages/", "error", "feedback")

_POLL = 0.02


class Sent(NamedTuple):
    """One event of a run's stream."""

    id: str
    event: str
    data: Any

    @property
    def kept(self) -> bool:
        """Whether a later join shows it again."""
        return not self.event.startswith(_NOT_KEPT)


class Broken(Exception):
    """The script breaks the connections that show the run."""


class _Over(Exception):
    """The run has ended, within a step."""


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(timezone.utc).isoformat()


class ScriptedThread:
    """A thread: its state, its history, and its runs. ``lock`` guards all of that, and is notified of changes."""

    def __init__(self, thread_id: str, metadata: Optional[Mapping[str, Any]] = None) -> None:
        self.thread_id = thread_id
        self.metadata = dict(metadata or {})
        self.created_at = self.updated_at = now()
        self.values: Dict[str, Any] = {}
        self.interrupts: Dict[str, List[Dict[str, Any]]] = {}
        self.failure: Optional[str] = None
        self.waits_at: Optional[str] = None
        self.runs: List[ScriptedRun] = []
        self.history: List[Dict[str, Any]] = []
        self.lock = threading.Condition(threading.RLock())

    @property
    def status(self) -> str:
        """What the API calls it."""
        if any(not run.over for run in self.runs):
            return "busy"
        return "interrupted" if self.interrupts else "error" if self.failure else "idle"

    def shown(self) -> Dict[str, Any]:
        """The thread as the API shows it."""
        with self.lock:
            return {
                "thread_id": self.thread_id,
                "created_at": self.created_at,
                "updated_at": self.updated_at,
                "metadata": dict(self.metadata),
                "status": self.status,
                "config": {},
                "values": copy.deepcopy(self.values) or None,
                "interrupts": copy.deepcopy(self.interrupts),
            }

    def state(self) -> Dict[str, Any]:
        """The thread's latest state."""
        with self.lock:
            return copy.deepcopy(self.history[0]) if self.history else self._snapshot({}, "input", None)

    def merge(self, values: Mapping[str, Any]) -> None:
        """Messages are added, or replace those with their ids; other values are set."""
        for name, value in values.items():
            if name == "messages":
                given = value if isinstance(value, list) else [value]
                held = {message["id"]: message for message in self.values.get("messages", [])}
                held.update((each["id"], each) for each in map(_as_message, given))
                self.values["messages"] = list(held.values())
            else:
                self.values[name] = value

    def remember(self, source: str, run_id: Optional[str]) -> None:
        """Keep the state as it is now."""
        self.updated_at = now()
        self.history.insert(0, self._snapshot(self.values, source, run_id))

    def refresh(self) -> None:
        """What the latest state waits for has changed."""
        if self.history:
            latest = self.history[0]
            latest.update(self._waiting())

    def _snapshot(self, values: Mapping[str, Any], source: str, run_id: Optional[str]) -> Dict[str, Any]:
        place = {"thread_id": self.thread_id, "checkpoint_ns": "", "checkpoint_id": str(uuid.uuid4())}
        metadata: Dict[str, Any] = {"source": source, "step": len(self.history) - 1, "thread_id": self.thread_id}
        if run_id is not None:
            metadata["run_id"] = run_id
        return {
            "values": copy.deepcopy(dict(values)),
            **self._waiting(),
            "metadata": metadata,
            "created_at": now(),
            "checkpoint": place,
            "parent_checkpoint": self.history[0]["checkpoint"] if self.history else None,
        }

    def _waiting(self) -> Dict[str, Any]:
        waiting = [each for interrupts in self.interrupts.values() for each in interrupts]
        node = self.waits_at or "agent"
        tasks = [
            {"id": task, "name": node, "error": None, "interrupts": interrupts, "checkpoint": None, "state": None}
            for task, interrupts in self.interrupts.items()
        ]
        if self.failure:
            tasks = [{"id": str(uuid.uuid4()), "name": node, "error": self.failure, "interrupts": []}]
        return copy.deepcopy({"next": [node] if tasks else [], "tasks": tasks, "interrupts": waiting})


class ScriptedRun:
    """One run: it plays its script in a thread of its own, whether or not anybody reads what it says."""

    def __init__(self, thread: ScriptedThread, payload: Mapping[str, Any], script: Sequence[Script]) -> None:
        self.run_id = str(uuid.uuid4())
        self.payload = payload
        self.status = "pending"
        self.created_at = now()
        self.sent: List[Sent] = []
        #: How often every connection was broken.
        self.breaks = 0
        self.rolled_back = False
        modes = payload.get("stream_mode") or ["values"]
        self.modes: Tuple[str, ...] = (modes,) if isinstance(modes, str) else tuple(modes)
        self.thread_id = thread.thread_id
        self._home = thread
        self._script = script
        self._cancelled = threading.Event()
        self._last_id = (0, 0)
        self._partial: Dict[str, bool] = {}
        self._player = threading.Thread(target=self._play, name=f"scripted-run-{self.run_id[:8]}", daemon=True)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status not in ("pending", "running")

    def start(self) -> None:
        """Play it, as soon as the runs before it are over."""
        self._player.start()

    def cancel(self) -> None:
        """End it between two steps, or within a wait."""
        self._cancelled.set()
        with self._home.lock:
            self._home.lock.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait for its end; whether that came."""
        self._player.join(seconds)
        return not self._player.is_alive()

    def shown(self) -> Dict[str, Any]:
        """The run as the API shows it."""
        return {
            "run_id": self.run_id,
            "thread_id": self._home.thread_id,
            "assistant_id": self.payload.get("assistant_id"),
            "created_at": self.created_at,
            "updated_at": now(),
            "status": self.status,
            "metadata": dict(self.payload.get("metadata") or {}),
            "multitask_strategy": self.payload.get("multitask_strategy") or "enqueue",
            "kwargs": {name: self.payload.get(name) for name in ("input", "command", "config")},
        }

    def events(self, begin: int, heartbeat: float) -> Iterator[Optional[Sent]]:
        """What it says from that place on, until it ends; None each time it said nothing for ``heartbeat`` seconds.

        Raises Broken where the script breaks the connection.
        """
        place, breaks = begin, self.breaks
        while True:
            new, broken, over = self._news(place, breaks, heartbeat)
            yield from new
            place += len(new)
            if broken:
                raise Broken
            if over and not new:
                return
            if not new:
                yield None

    def _news(self, place: int, breaks: int, seconds: float) -> Tuple[List[Sent], bool, bool]:
        """What was said from that place on, whether the connections were broken since, and whether it has ended."""
        with self._home.lock:
            self._home.lock.wait_for(lambda: place < len(self.sent) or self.over or self.breaks > breaks, seconds)
            return self.sent[place:], self.breaks > breaks, self.over

    def after(self, position: Optional[str]) -> Tuple[List[Sent], int]:
        """What a join from this position shows of what was said, and the place from which it goes on live."""
        with self._home.lock:
            live = len(self.sent)
            if position is None:
                return [], live
            wanted = _numbers(position)
            return [each for each in self.sent if each.kept and _numbers(each.id) > wanted], live

    # -- what its steps do ---------------------------------------------------------------------------------------------

    def tell(self, event: str, data: Any, mode: Optional[str] = None) -> None:
        if mode is not None and mode not in self.modes:
            return
        with self._home.lock:
            milliseconds = int(time.time() * 1000)
            last, number = self._last_id
            self._last_id = (milliseconds, 0) if milliseconds > last else (last, number + 1)
            self.sent.append(Sent("{}-{}".format(*self._last_id), event, copy.deepcopy(data)))
            self._home.lock.notify_all()

    def chunk(self, message: Mapping[str, Any], so_far: Mapping[str, Any], node: str) -> None:
        about: Dict[str, Any] = {"run_id": self.run_id, "thread_id": self._home.thread_id, "langgraph_node": node}
        about.update(langgraph_step=1, langgraph_checkpoint_ns=f"{node}:{self.run_id}")
        self.tell("messages", [message, about], "messages-tuple")
        message_id = str(message["id"])
        if message_id not in self._partial:
            self._partial[message_id] = True
            self.tell("messages/metadata", {message_id: {"metadata": about}}, "messages")
        whole = message.get("chunk_position", "last") == "last"
        self.tell("messages/complete" if whole else "messages/partial", [so_far], "messages")

    def update(self, node: str, values: Mapping[str, Any]) -> None:
        with self._home.lock:
            self._home.merge(values)
            self._home.remember("loop", self.run_id)
        self.tell("updates", {node: values}, "updates")
        self.tell("values", self._home.values, "values")

    def wait(self, event: threading.Event, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not event.wait(_POLL):
            if self._cancelled.is_set():
                return
            if time.monotonic() > end:
                self.fail("TimeoutError", f"the script waited for {seconds:g} s, and nobody set the event")

    def fail(self, name: str, message: str) -> None:
        with self._home.lock:
            self._home.failure = f"{name}({message!r})"
            self._home.refresh()
        self.tell("error", {"error": name, "message": message})
        self._end("error")

    def pause(self, interrupts: Sequence[Mapping[str, Any]], node: str) -> None:
        with self._home.lock:
            self._home.interrupts = {str(uuid.uuid4()): [dict(each)] for each in interrupts}
            self._home.waits_at = node
            self._home.refresh()
        self.tell("updates", {"__interrupt__": list(interrupts)}, "updates")
        self.tell("values", {**self._home.values, "__interrupt__": list(interrupts)}, "values")
        self._end("success")

    def cut(self) -> None:
        with self._home.lock:
            self.breaks += 1
            self._home.lock.notify_all()

    # -- its life ------------------------------------------------------------------------------------------------------

    def _play(self) -> None:
        with contextlib.suppress(_Over):
            self._begin()
            for step in self._script:
                if self._cancelled.is_set():
                    break
                self._play_step(step)
            self._end("interrupted" if self._cancelled.is_set() else "success")

    def _play_step(self, step: Script) -> None:
        try:
            if isinstance(step, StreamPart):
                self.tell(step.event, step.data)
            else:
                (step if isinstance(step, Step) else Wait(step)).play(self)
        except Exception as exc:
            if isinstance(exc, _Over):
                raise
            # Of a step of the test's own: whoever reads the run is told.
            self.fail(type(exc).__name__, f"a step of the script failed: {exc}")

    def _begin(self) -> None:
        home = self._home
        with home.lock:
            home.lock.wait_for(lambda: self._cancelled.is_set() or all(run.over for run in self._before()))
            if self._cancelled.is_set():
                self._end("interrupted")
            self.status = "running"
            home.interrupts, home.failure, home.waits_at = {}, None, None
            home.refresh()
            home.remember("input", self.run_id)
            given = self.payload.get("input")
            command = self.payload.get("command")
            home.merge(given if isinstance(given, dict) else {})
            home.merge(_update_in(command))
            home.remember("loop", self.run_id)
        self.tell("metadata", {"run_id": self.run_id, "attempt": 1})
        self.tell("values", home.values, "values")

    def _before(self) -> List[ScriptedRun]:
        return self._home.runs[: self._home.runs.index(self)]

    def _end(self, status: str) -> None:
        with self._home.lock:
            self.status = status
            if self.rolled_back:
                self._home.runs.remove(self)
            self._home.updated_at = now()
            self._home.lock.notify_all()
        raise _Over


def _as_message(message: Any) -> Dict[str, Any]:
    """A message as a graph's state holds it."""
    if isinstance(message, str):
        message = {"type": "human", "content": message}
    elif isinstance(message, (list, tuple)):
        message = {"type": message[0], "content": message[1]}
    given = dict(message)
    kind = given.pop("role", None) or given.get("type") or "human"
    given["type"] = {"user": "human", "assistant": "ai"}.get(kind, kind)
    given["id"] = given.get("id") or str(uuid.uuid4())
    return {"additional_kwargs": {}, "response_metadata": {}, "name": None, **given}


def _update_in(command: Any) -> Mapping[str, Any]:
    update = command.get("update") if isinstance(command, dict) else None
    return update if isinstance(update, dict) else {}


def _numbers(position: str) -> Tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return (int(milliseconds), int(number or 0)) if milliseconds.isdigit() and (number or "0").isdigit() else (-1, -1)
