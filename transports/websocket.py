"""Runs over a WebSocket: the thread event protocol, spoken upward as the run-stream API."""

from __future__ import annotations

import contextlib
import functools
import os
import weakref
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple, Union

from .. import codec
from ..errors import ConfigurationError
from ..thread_state import UNFINISHED
from ..transport import Capabilities, PartSource, RunJoin, RunStart, ThreadJoin, TransportConfig, refuse
from .commands import check_start, is_answer, respond_params, start_params
from .connection import Connection, Target, open_connection
from .http import HTTPTransport
from .run_calls import RunCalls
from .sse import open_thread
from .websocket_source import WebSocketSource

__all__ = ["WebSocketTransport"]

DEFAULT_MAX_EVENT_BYTES = 64 * 1024 * 1024

_MODES = frozenset(["values", "messages", "messages-tuple"])

# Among these "updates" stands for interrupts, which the protocol does tell.
_DEFAULT_MODES = ("messages-tuple", "updates")

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
    "updates": f"Interrupts come without it, too. {_ANOTHER_MODE}",
    "tasks": _ANOTHER_MODE,
    "checkpoints": _ANOTHER_MODE,
}


class WebSocketTransport(HTTPTransport):
    """Streams runs over ``/threads/{id}/stream/events``, and starts them with ``POST /threads/{id}/commands``.

    ``max_event_bytes`` bounds the memory that one frame may take. ``extra_modes`` are stream modes that the server's
    graphs send because they were compiled with a transformer for them: "updates", "custom", "tasks", "checkpoints".
    After ``probe_seconds`` of silence the run's status is asked: a run that was rolled back, or whose thread was
    deleted, ends without a word.
    ``compression`` is "deflate", which saves nine bytes of ten, or None, which saves CPU; left at "auto", frames are
    compressed unless the server is on this machine.
    """

    name = "websocket"

    def __init__(
        self,
        config: TransportConfig,
        *,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
        extra_modes: Iterable[str] = (),
        probe_seconds: float = 5.0,
        compression: Optional[str] = "auto",
    ) -> None:
        if compression not in ("auto", "deflate", None):
            raise ConfigurationError(f'compression must be "auto", "deflate" or None, not {compression!r}')
        super().__init__(config)
        self.max_event_bytes = max_event_bytes
        self.extra_modes = tuple(extra_modes)
        self.probe_seconds = probe_seconds
        self.compression = compression
        # By process id: a child made by fork leaves its parent's sockets alone.
        self._sources: Dict[int, weakref.WeakSet[WebSocketSource]] = {}

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            stream_modes=_MODES | set(self.extra_modes),
            default_modes=_DEFAULT_MODES,
            run_options=_OPTIONS,
            stateless_runs=False,
            names_nodes=False,
            hints=_HINTS,
        )

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        source = self._join(start) if isinstance(start, RunJoin) else self._start(start)
        self._sources.setdefault(os.getpid(), weakref.WeakSet()).add(source)
        return source

    def open_thread(self, join: ThreadJoin) -> PartSource:
        # A socket shows a thread's latest run alone, and in another form. Like every call, this goes by HTTP.
        return open_thread(self, join, self.max_event_bytes)

    def close(self) -> None:
        super().close()
        for source in list(self._sources.get(os.getpid(), ())):
            source.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        build = functools.partial(
            type(self),
            max_event_bytes=self.max_event_bytes,
            extra_modes=self.extra_modes,
            probe_seconds=self.probe_seconds,
            compression=self.compression,
        )
        return build, (self.config,)

    def _start(self, start: RunStart) -> WebSocketSource:
        check_start(start, self.name)
        # Now, that nothing is sent of what cannot be, and that it is named as its caller named it.
        codec.encode(start.payload)
        run = RunCalls(self, str(start.thread_id), start.headers, start.params, start.timeout)
        method, params = self._command(run, start.payload)
        with self._connected(run, start.modes, bool(start.payload.get("stream_subgraphs"))) as source:
            source.subscribe()
            # Sent over HTTP: a socket shows the run none of the caller's headers, checks an interrupt's namespace
            # that the thread does not tell, and after a cancelled run takes any new input for an answer. The events
            # wait for it either way, and JavaScript servers confirm a subscription only when a run starts.
            source.follow(run.command(method, params))
        return source

    def _command(self, run: RunCalls, payload: Mapping[str, Any]) -> Tuple[str, Dict[str, Any]]:
        if is_answer(payload):
            return "input.respond", respond_params(payload, run.interrupts())
        pending = run.pending(create=payload.get("if_not_exists") == "create")
        return "run.start", start_params(payload, pending)

    def _join(self, join: RunJoin) -> WebSocketSource:
        if join.cancel_on_disconnect:
            refuse("cancel_on_disconnect=True", self.name, hint="Its runs outlive the connection; cancel them instead.")
        run = RunCalls(self, join.thread_id, join.headers, join.params, join.timeout)
        run.run_id = join.run_id
        status = run.run().get("status")
        modes = join.modes or (*_DEFAULT_MODES, *self.extra_modes)
        with self._connected(run, modes, join.stream_subgraphs) as source:
            source.subscribe()
            source.resume(join.position, finished=status not in UNFINISHED)
        return source

    @contextlib.contextmanager
    def _connected(self, run: RunCalls, modes: Iterable[str], stream_subgraphs: bool) -> Iterator[WebSocketSource]:
        """A source over a new connection, which is closed if anything fails meanwhile."""
        connection = self._connect(run)
        try:
            yield WebSocketSource(run, connection, modes, stream_subgraphs, self.probe_seconds)
        except BaseException:
            run.closing.set()
            connection.close()
            raise

    def _connect(self, run: RunCalls) -> Connection:
        session = self._process().session
        url = self.url_of(f"{run.path}/stream/events")
        target = Target.of(session, url, self._headers({}, run.headers), run.params)
        compression = (None if target.loopback else "deflate") if self.compression == "auto" else self.compression
        return open_connection(
            target, timeout=run.left(), max_event_bytes=self.max_event_bytes, compression=compression
        )
