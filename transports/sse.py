"""Runs and threads over HTTP and server-sent events: the run-stream API as it is."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import re
import time
from collections import deque
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Tuple, Union

from urllib3.response import HTTPResponse

from ..answers import refuse_unless_ok, strange_answer
from ..closing import Closing
from ..errors import (
    APIStatusError,
    ConnectionLost,
    EventTooLarge,
    LgsyncError,
    PositionLost,
    ResponseError,
    status_error,
)
from ..parts import StreamPart
from ..paths import ids_in, run_path, runs_path, thread_path
from ..transport import (
    RUN_STARTS,
    Capabilities,
    PartSource,
    Quiet,
    Response,
    RunJoin,
    RunStart,
    ThreadJoin,
    TransportConfig,
)
from .enveloped import Enveloped, is_envelope
from .framing import DEFAULT_MAX_EVENT_BYTES, Framer
from .http import ByteStream, HTTPTransport, dated
from .overlap import MISSING, REPEATED, UNSURE, Overlap

__all__ = ["SSESource", "SSETransport", "open_thread"]

_CAPABILITIES = Capabilities(
    stream_modes=frozenset(
        ["values", "messages", "messages-tuple", "updates", "events", "tasks", "checkpoints", "debug", "custom"],
    ),
    default_modes=("messages-tuple", "updates"),
)

# As much of a refusal as is read, and of an answer that is no stream.
_MAX_ERROR_BYTES = 1024 * 1024

# What servers send live but do not keep for joins; see ``stream_resumable``.
_NOT_KEPT = frozenset(["messages/metadata", "messages/partial", "messages/complete", "error", "feedback"])

# Of a thread's stream, these neither.
_NOT_KEPT_OF_THREADS = _NOT_KEPT | {"state_update"}

# How far the clock of a Date header may be ahead of the one that gives the ids, as far as that can do no harm.
_OTHER_CLOCK = 30.0

# Servers work the Date header out once a second, or much later when they are busy; and some clocks are a bit ahead.
_OLD_DATE = 30.0
_EARLY_DATE = 2.0
# Where no other join can be made to be sure, and a part in doubt is dropped: no older than servers mostly are.
_OLD_DATE_AT_MOST = 4.0

# Pauses before a join is made again to be sure: the first outlasts the millisecond in doubt, by whatever clock.
_TO_BE_SURE = (0.003, 0.01, 0.05, 0.2, 0.5)

_STATUS = re.compile(r"(?P<status>[45]\d\d): (?P<detail>.*)", re.DOTALL)


class SSETransport(HTTPTransport):
    """Streams runs with ``POST /threads/{id}/runs/stream`` (or ``/runs/stream``), and joins them with ``GET``.

    ``max_event_bytes`` bounds the memory that one event may take.
    """

    name = "sse"

    def __init__(self, config: TransportConfig, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        super().__init__(config)
        self.max_event_bytes = max_event_bytes
        # What a session of the user's own waits for is not known.
        self.cuttable = config.session is None

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        if isinstance(start, RunJoin):
            return JoinedSource(self._join(start), self.max_event_bytes, start, self._join)
        stream = self._start(start)
        source = SSESource(stream, self.max_event_bytes)
        thread_id, source.run_id = ids_in(stream.headers)
        source.thread_id = thread_id or start.thread_id
        return source

    def open_thread(self, join: ThreadJoin) -> PartSource:
        return open_thread(self, join, self.max_event_bytes)

    def __reduce__(self) -> Tuple[Any, ...]:
        return functools.partial(type(self), max_event_bytes=self.max_event_bytes), (self.config,)

    def _start(self, start: RunStart) -> ByteStream:
        call = {"params": start.params, "json": start.payload, "headers": start.headers}
        return _open(self, "POST", f"{runs_path(start.thread_id)}/stream", start, **call)

    def _join(self, join: RunJoin) -> ByteStream:
        # Built from the ids: the Location that the server gives lacks the path prefix of the API.
        path = f"{run_path(join.thread_id, join.run_id)}/stream"
        call = {"params": {**_join_params(join), **join.params}, "headers": _from_position(join)}
        return _open(self, "GET", path, join, **call)


def open_thread(transport: HTTPTransport, join: ThreadJoin, max_event_bytes: int) -> PartSource:
    """Stream a thread (``GET /threads/{thread_id}/stream``), over whatever transport has HTTP."""
    path = f"{thread_path(join.thread_id)}/stream"
    params = {"stream_modes": ",".join(join.modes), **join.params}
    stream = _open(transport, "GET", path, join, params=params, headers=_from_position(join))
    return ThreadSource(stream, max_event_bytes, join)


def _open(
    transport: HTTPTransport, method: str, path: str, start: Union[RunStart, RunJoin, ThreadJoin], **call: Any
) -> ByteStream:
    stream = transport.open_stream(method, path, timeout=start.timeout, **call)
    if 200 <= stream.status < 300 and _content_type(stream.headers).startswith("text/event-stream"):
        if _is_readable(stream.headers):
            return stream
        raise _unreadable(stream, method)
    raise _no_stream(stream, method)


def _from_position(join: Union[RunJoin, ThreadJoin]) -> Dict[str, Union[str, bytes]]:
    """The headers of a join."""
    headers: Dict[str, Union[str, bytes]] = dict(join.headers)
    if join.position is not None:
        # Ids are UTF-8, while requests would write Latin-1, and takes no blanks at the start.
        headers["Last-Event-ID"] = join.position.strip().encode("utf-8")
    return headers


class SSESource(PartSource):
    """The parts of one event stream. It cannot say how a run ended: a stream ends alike however its run did."""

    not_kept = _NOT_KEPT

    def __init__(self, stream: ByteStream, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        self.last_activity = stream.last_activity
        self._stream = stream
        self._framer = Framer(max_event_bytes)
        self._ready: Deque[StreamPart] = deque()
        self._closed = False
        self._ended = False
        self._something_came = False
        # When a part, or a beat, was there last.
        self._quiet_since = stream.last_activity

    def __next__(self) -> StreamPart:
        while not self._closed:
            if self._ready:
                part = self._ready.popleft()
                if part.id is not None:
                    self.position = part.id
                return part
            if self._ended:
                break
            self._read()
        raise StopIteration

    def at_hand(self) -> List[StreamPart]:
        if self._closed:
            return []
        parts, self._ready = list(self._ready), deque()
        self.position = next((part.id for part in reversed(parts) if part.id is not None), self.position)
        return parts

    def close(self) -> None:
        self._closed = True
        self._stream.close()

    def _read(self) -> None:
        self._note_position()
        try:
            if self._framer.overflow:
                raise self._too_large()
            patience = None if self.patience is None else self.patience(self)
            self._raise_if_quiet(patience)
            data = self._stream.read(patience)
            if not data:
                self._end()
                return
        except LgsyncError:
            self.close()
            raise
        self.last_activity = self._stream.last_activity
        parts = self._framer.feed(data)
        if parts:
            self._quiet_since = self.last_activity
        if parts and not self._something_came:
            self._something_came = True
            self._raise_if_refused(parts[0])
        self._take(parts)
        self.heartbeats, self.retry = self._framer.heartbeats, self._framer.retry

    def _raise_if_quiet(self, patience: Optional[float]) -> None:
        """Wait for a beat, if somebody wants it: only the read itself can run out of patience."""
        if self.beat_seconds is None:
            return
        left = max(0.0, self._quiet_since + self.beat_seconds - time.monotonic())
        if patience is not None and patience <= left:
            return
        ready = self._stream.ready_within(left)
        if ready or (ready is None and left):
            return
        self._quiet_since = time.monotonic()
        raise Quiet

    def _take(self, parts: List[StreamPart]) -> None:
        self._ready.extend(parts)

    def _raise_if_refused(self, part: StreamPart) -> None:
        """A refusal may come as the stream's first event."""
        refusal = _refusal_in(part)
        if refusal is not None:
            self.close()
            status, detail = refusal
            raise self._refused(status, self._stream.secrets.hidden_in_text(detail))

    def _refused(self, status: int, detail: str) -> APIStatusError:
        error = status_error(status, method="POST", url=self._stream.url, body={"detail": detail})
        return error.saying("The run was started all the same; only its stream is refused.")

    def _note_position(self) -> None:
        """Once all parts are given, what came after the last of them counts too: a bare id, or one that clears it."""
        if self._framer.last_id is not None:
            self.position = self._framer.last_id or None

    def _end(self) -> None:
        self._ended = True
        self._stream.close()
        if self._framer.truncated and not self._closed:
            raise ConnectionLost(
                f"The stream of {self._stream.url} ended inside an event, which is dropped", url=self._stream.url
            )

    def _too_large(self) -> EventTooLarge:
        limit = self._framer.max_event_bytes
        return EventTooLarge(
            f"{self._stream.url} sent an event of more than {limit} bytes; "
            "build the transport with a larger max_event_bytes if that is meant to be",
            url=self._stream.url,
            status=self._stream.status,
            content_type=_content_type(self._stream.headers),
        )


class JoinedSource(SSESource):
    """The parts of a join. A run of the event protocol comes enveloped."""

    def __init__(
        self,
        stream: ByteStream,
        max_event_bytes: int,
        join: RunJoin,
        reopen: Callable[[RunJoin], ByteStream],
    ) -> None:
        super().__init__(stream, max_event_bytes)
        self._asks_again = not (join.cancel_on_disconnect or _loses_by_joins(join.modes))
        window = _window(stream, _OLD_DATE if self._asks_again else _OLD_DATE_AT_MOST)
        self._overlap = None if join.position is None else Overlap(*window)
        self._times_unsure = 0
        self.thread_id, self.run_id, self.position = join.thread_id, join.run_id, join.position
        self._join = join
        self._reopen = reopen
        self._enveloped: Optional[Enveloped] = None
        self._held: Optional[ByteStream] = None
        self._closing = Closing()

    def close(self) -> None:
        self._closing.set()
        super().close()
        if self._held is not None:
            self._held.close()

    def _take(self, parts: List[StreamPart]) -> None:
        for number, part in enumerate(parts):
            if self._enveloped is None and is_envelope(part):
                self._enveloped = Enveloped(self._join)
                # These are numbered, and told apart by that; and what they are made into is made from what is kept.
                self._overlap, self.not_kept = None, frozenset()
                if self._join.position not in RUN_STARTS:
                    self._replay(since=part.data["seq"])
                    break
            if self._enveloped is not None:
                self._ready.extend(self._enveloped.feed(part))
                continue
            verdict = self._judge(part)
            if verdict is UNSURE:
                self._ask_again(parts[number:])
                break
            if verdict is not REPEATED:
                self._ready.append(part)
        if self._enveloped is not None:
            self.exact = self._enveloped.exact

    def _judge(self, part: StreamPart) -> Optional[str]:
        if self._overlap is None or part.kind in self.not_kept:
            return None
        verdict = self._overlap.judge(part)
        if verdict is MISSING:
            raise self._lost_meanwhile()
        if verdict is UNSURE and not self._asks_again:
            return REPEATED
        return verdict

    def _ask_again(self, unread: List[StreamPart]) -> None:
        """Join again, from before the millisecond in which it cannot be told what was sent twice."""
        assert self._overlap is not None
        time.sleep(_TO_BE_SURE[min(self._times_unsure, len(_TO_BE_SURE) - 1)])
        self._times_unsure += 1
        overlap = self._overlap
        self._read_on(overlap.before or self._join.position)
        self._overlap = overlap.asked_again(unread, *_window(self._stream, _OLD_DATE))

    def _replay(self, since: int) -> None:
        """Read the run from its start: its messages cannot be told from their middle, nor what was there before."""
        assert self._enveloped is not None
        self._enveloped.since = since
        self._read_on("-1")

    def _read_on(self, position: Optional[str]) -> None:
        """Go on with another join, from ``position``."""
        join = dataclasses.replace(self._join, position=position)
        stream = self._closing.call(lambda: self._reopen(join), ByteStream.close)
        if stream is None:
            return
        before, self._stream = self._stream, stream
        heartbeats = self._framer.heartbeats
        self._framer = Framer(self._framer.max_event_bytes)
        self._framer.heartbeats = heartbeats
        self._something_came = False
        if self._join.cancel_on_disconnect:
            # Closing it would be taken for leaving.
            self._held = before
        else:
            before.close()
        if self._closed:
            self.close()

    def _note_position(self) -> None:
        if self._enveloped is None or self._enveloped.since is None:
            super()._note_position()

    def _end(self) -> None:
        super()._end()
        if self._held is not None:
            self._held.close()
        if self._overlap is not None and self._overlap.skips and not self._closed:
            raise self._lost_meanwhile()
        if self._enveloped is not None and self._enveloped.since is not None and not self._closed:
            raise PositionLost(f"{self._stream.url} no longer has the position to go on from", url=self._stream.url)
        # A filter may have left out all that there was.
        self.exact = self.exact and self._something_came

    def _lost_meanwhile(self) -> ConnectionLost:
        self.close()
        return ConnectionLost(f"{self._stream.url} no longer has what it gave a moment ago", url=self._stream.url)

    def finish(self) -> List[StreamPart]:
        return [] if self._enveloped is None else self._enveloped.finish()

    def _refused(self, status: int, detail: str) -> APIStatusError:
        return status_error(status, method="GET", url=self._stream.url, body={"detail": detail})


class ThreadSource(SSESource):
    """What happens on a thread. As long as nothing came, its ``position`` is when it was heard last, by its Date."""

    not_kept = _NOT_KEPT_OF_THREADS

    def __init__(self, stream: ByteStream, max_event_bytes: int, join: ThreadJoin) -> None:
        super().__init__(stream, max_event_bytes)
        self.thread_id, self.position = join.thread_id, join.position
        self._opened = _date(stream) if join.position is None else None
        self._opened_at = stream.last_activity
        self._note_position()

    def _note_position(self) -> None:
        super()._note_position()
        if self._framer.last_id is None and self._opened is not None:
            # Whatever came before that was not there, or was not asked for.
            lived = self.last_activity - self._opened_at
            self.position = f"{int((self._opened + max(0.0, lived - _OTHER_CLOCK)) * 1000)}-0"

    def _raise_if_refused(self, part: StreamPart) -> None:
        # What a run came to has an id.
        if part.id is None:
            super()._raise_if_refused(part)

    def _refused(self, status: int, detail: str) -> APIStatusError:
        return status_error(status, method="GET", url=self._stream.url, body={"detail": detail})


def _refusal_in(part: StreamPart) -> Optional[Tuple[int, str]]:
    """The status and the text of a stream's refusal, which servers send as an event once the stream has begun."""
    data, text = part.data, None
    if part.kind == "error":
        if isinstance(data, dict) and data.get("error") == "HTTPException":
            text = data.get("message")
        elif isinstance(data, str):
            text = "404: Run not found" if str(data).startswith("Run not found") else data
    found = _STATUS.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else (int(found["status"]), found["detail"])


def _join_params(join: RunJoin) -> Dict[str, Any]:
    params: Dict[str, Any] = {}
    # Asked for by name, the server leaves out what belongs to no mode, such as an error.
    if join.modes and join.narrowed:
        params["stream_mode"] = join.modes[0] if len(join.modes) == 1 else json.dumps(list(join.modes))
    # Left out when false: some servers read any text, "false" too, as true.
    if join.stream_subgraphs:
        params["stream_subgraphs"] = True
    if join.cancel_on_disconnect:
        params["cancel_on_disconnect"] = True
    return params


def _window(stream: ByteStream, oldest: float) -> Tuple[float, float]:
    """Milliseconds of the server's clock between which a join was made, as far as its answer tells that clock."""
    told = _date(stream)
    if told is None:
        return 0.0, math.inf
    return (told - _EARLY_DATE) * 1000, (told + oldest) * 1000


def _date(stream: ByteStream) -> Optional[float]:
    """When the answer was given, in seconds by the server's clock; None if it does not tell."""
    try:
        return parsedate_to_datetime(stream.headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _loses_by_joins(modes: Tuple[str, ...]) -> bool:
    """Whether parts were asked for that another join would not have."""
    return "messages" in modes and "messages-tuple" not in modes


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").strip().lower()


def _is_readable(headers: Mapping[str, str]) -> bool:
    """Whether the body is encoded in no way, though that was asked, or in ways that are known here."""
    encodings = [each.strip().lower() for each in headers.get("content-encoding", "").split(",")]
    return set(encodings) <= {"", "identity", *HTTPResponse.CONTENT_DECODERS}


def _unreadable(stream: ByteStream, method: str) -> ResponseError:
    stream.close()
    encoding = stream.headers.get("content-encoding", "")
    return ResponseError(
        f"{method} {stream.url} answered with a stream encoded as {encoding!r}, though none was asked for and this "
        "one cannot be read here. Let the proxy in between pass on the request's Accept-Encoding: identity.",
        url=stream.url,
        status=stream.status,
        content_type=stream.headers.get("content-type", ""),
    )


def _no_stream(stream: ByteStream, method: str) -> ResponseError:
    """The error for an answer that is no event stream; raises APIStatusError itself if it is a refusal."""
    if not 200 <= stream.status < 300:
        body = stream.read_all(_MAX_ERROR_BYTES)
        refuse_unless_ok(Response(stream.status, dated(stream.headers), body, stream.url), method)
    with contextlib.closing(stream):
        # What has come is enough to show; more may never come.
        body = stream.secrets.hidden(stream.read())
    return strange_answer(Response(stream.status, stream.headers, body, stream.url), method, "an event stream")
