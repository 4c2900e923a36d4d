"""A transport that plays a script: parts, pauses and failures, without any wire."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from lgsync.parts import StreamPart
from lgsync.transport import Capabilities, PartSource, Quiet, Response, RunJoin, RunStart, Timeout, Transport

THREAD = "11111111-1111-1111-1111-111111111111"
RUN = "22222222-2222-2222-2222-222222222222"
EVERY_MODE = frozenset(
    ["values", "messages", "messages-tuple", "updates", "events", "tasks", "checkpoints", "debug", "custom"]
)

Step = Union[StreamPart, BaseException, threading.Event, Callable[[], None]]


class ScriptedSource(PartSource):
    """Plays steps: a part is given, an exception raised, an Event waited for, a function called."""

    #: A transport need not.
    heeds_beats = True

    def __init__(
        self, steps: Iterable[Step], *, outcome: Optional[str] = None, exact: bool = True, conclusive: bool = True
    ) -> None:
        self.thread_id = THREAD
        self.run_id = RUN
        self._steps: Iterator[Step] = iter(steps)
        self._ending = outcome
        self.exact = exact
        self.conclusive = conclusive
        self.last_activity = time.monotonic()
        self.closed = threading.Event()
        self.waiting = threading.Event()
        self.given = 0
        #: Parts that have come by now, behind those that were read.
        self.come: List[StreamPart] = []

    def at_hand(self) -> List[StreamPart]:
        come, self.come = self.come, []
        return come

    def __next__(self) -> StreamPart:
        for step in self._steps:
            if self.closed.is_set():
                break
            if isinstance(step, StreamPart):
                self.given += 1
                self.position = step.id
                return step
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, threading.Event):
                self._wait_for(step)
            else:
                step()
        self.outcome = self._ending
        raise StopIteration

    def _wait_for(self, event: threading.Event) -> None:
        self.waiting.set()
        quiet_at = None if self.beat_seconds is None or not self.heeds_beats else time.monotonic() + self.beat_seconds
        while not event.wait(0.01):
            if self.closed.is_set():
                raise StopIteration
            if quiet_at is not None and time.monotonic() >= quiet_at:
                self._steps = itertools.chain([event], self._steps)
                raise Quiet

    def close(self) -> None:
        self.closed.set()


class ScriptedTransport(Transport):
    """Answers REST calls from ``answers`` (``"GET /path": (status, data)``) and streams from ScriptedSources."""

    name = "scripted"

    def __init__(
        self,
        source: Union[PartSource, Sequence[Union[PartSource, BaseException]], None] = None,
        answers: Optional[Mapping[str, Any]] = None,
    ) -> None:
        #: For each connection its source, or what keeps it from being made; the last one serves all that follow.
        self.sources = list(source) if isinstance(source, (list, tuple)) else [source]
        self.answers: Dict[str, Any] = dict(answers or {})
        self.requests: List[Tuple[str, str, Any]] = []
        #: Who made each request.
        self.callers: List[int] = []
        self.cancelled = threading.Event()
        self.started: List[Union[RunStart, RunJoin]] = []
        self.limits = Capabilities(stream_modes=EVERY_MODE, default_modes=("messages-tuple", "updates"))

    @property
    def capabilities(self) -> Capabilities:
        return self.limits

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[Timeout] = None,
    ) -> Response:
        self.requests.append((method, path, json if json is not None else dict(params or {})))
        self.callers.append(threading.get_ident())
        answer = self.answers.get(f"{method} {path}", (404, {"detail": "Not Found"}))
        if callable(answer):
            answer = answer()
        if path.endswith("/cancel"):
            self.cancelled.set()
        if isinstance(answer, BaseException):
            raise answer
        return answered(path, *answer)

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        self.started.append(start)
        source = self.sources[min(len(self.started), len(self.sources)) - 1]
        if isinstance(source, BaseException):
            raise source
        assert source is not None
        return source

    def close(self) -> None:
        for source in self.sources:
            if isinstance(source, PartSource):
                source.close()

    def calls(self, beginning: str) -> List[Tuple[str, str, Any]]:
        """The REST calls whose ``"METHOD /path"`` begins so."""
        return [call for call in self.requests if f"{call[0]} {call[1]}".startswith(beginning)]


def answered(path: str, status: int, data: Any = None, **headers: str) -> Response:
    body = b"" if status == 204 else json.dumps(data).encode()
    return Response(status, {"content-type": "application/json", **headers}, body, f"http://server{path}")


def chunk(text: str, *, id: str = "m1", last: bool = False, **fields: Any) -> StreamPart:  # noqa: A002
    """A ``messages`` part with a piece of an AI message."""
    message = {
        "content": text,
        "type": "AIMessageChunk",
        "id": id,
        "tool_call_chunks": [],
        "chunk_position": "last" if last else None,
        **fields,
    }
    return StreamPart("messages", [message, {"langgraph_node": "agent", "langgraph_checkpoint_ns": "agent:1"}])


def whole(kind: str, text: str, *, id: str) -> Dict[str, Any]:  # noqa: A002
    """A message as the state holds it."""
    return {"type": kind, "content": text, "id": id}


def update(*messages: Dict[str, Any], node: str = "agent") -> StreamPart:
    return StreamPart("updates", {node: {"messages": list(messages)}})


def interrupt(value: Any, *, id: str = "i1") -> StreamPart:  # noqa: A002
    return StreamPart("updates", {"__interrupt__": [{"value": value, "id": id}]})


def state(*messages: Dict[str, Any], next: Tuple[str, ...] = (), tasks: Tuple[Any, ...] = ()) -> Dict[str, Any]:  # noqa: A002
    return {"values": {"messages": list(messages)}, "next": list(next), "tasks": list(tasks)}


def run_answers(status: str = "success", thread_state: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """The REST answers that a run of that status has behind it."""
    return {
        f"GET /threads/{THREAD}/runs/{RUN}": (200, {"run_id": RUN, "thread_id": THREAD, "status": status}),
        f"GET /threads/{THREAD}/state": (200, thread_state or state()),
        f"POST /threads/{THREAD}/runs/{RUN}/cancel": (202, None),
    }
