"""A run's stream as the body of a WSGI response, for Flask, Django, Bottle and whatever else takes an iterable.

::

    def app(environ, start_response):
        run = client.runs.stream(thread_id, "agent", input=question_in(environ))
        start_response("200 OK", sse_headers())
        return sse_response_body(run)

No thread is started for a response, and none is needed: threads and greenlets both serve. What the events hold, says
:func:`sse_response_body`.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from . import codec
from .accumulate import Message
from .client import Client
from .cursor import Cursor
from .errors import ConfigurationError, LgsyncError, RunError
from .run_stream import Relayed, RunStream

__all__ = [
    "NotResumable",
    "ResponseBody",
    "message_event",
    "resume",
    "sse_headers",
    "sse_response_body",
    "text_headers",
    "text_response_body",
]

logger = logging.getLogger("lgsync")

#: The id of the last event: a browser that asks for what comes after it is told that nothing does.
_END = "end"

_BEAT = b":\n\n"

# Longer than any of ours by far, and shorter than what a server lets pass.
_MAX_ID = 4096

# No-transform also keeps proxies from compressing, which would hold events back.
_UNBUFFERED = [("Cache-Control", "no-cache, no-transform"), ("X-Accel-Buffering", "no")]


def sse_headers() -> List[Tuple[str, str]]:
    """The headers of a response that :func:`sse_response_body` makes; they keep proxies from holding it back."""
    return [("Content-Type", "text/event-stream; charset=utf-8"), *_UNBUFFERED]


def text_headers() -> List[Tuple[str, str]]:
    """The headers of a response that :func:`text_response_body` makes."""
    # Some browsers hold back the beginning of a text whose type they still guess.
    return [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"), *_UNBUFFERED]


class ResponseBody:
    """An iterable of bytes, as WSGI wants it. The server calls ``close()``, also when the browser is gone.

    If that happens before the end, ``gone`` is called with the run.
    """

    def __init__(
        self,
        run: RunStream[Any],
        gone: Callable[[RunStream[Any]], object],
        pieces: Callable[[Callable[[], None]], Iterator[bytes]],
    ) -> None:
        self._run = run
        self._gone = gone
        self._over = False
        # Whoever makes them says when the last one comes: a browser may leave as soon as it has that.
        self._pieces = pieces(self._end)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Free the connection to the LangGraph server; idempotent."""
        over, self._over = self._over, True
        if over or self._run.outcome is not None:
            self._run.close()
        else:
            self._gone(self._run)

    def _end(self) -> None:
        self._over = True


def message_event(message: Message) -> Dict[str, Any]:
    """What a browser is told of a change of a message: see :func:`sse_response_body`."""
    delta = message.delta
    event: Dict[str, Any] = {"id": message.id, "type": message.type, "status": message.status}
    added = {"text": delta.text, "reasoning": delta.reasoning, "tool_args": dict(delta.tool_args)}
    event["delta"] = {name: value for name, value in added.items() if value}
    if message.namespace:
        event["namespace"] = list(message.namespace)
    if message.name is not None:
        event["name"] = message.name
    if message.status == "streaming" and not delta.replaced:
        return event
    event.update(text=message.text, reasoning=message.reasoning, tool_calls=message.tool_calls)
    if message.tool_call_id is not None:
        event["tool_call_id"] = message.tool_call_id
    if message.status != "streaming":
        event["message"] = message.to_dict()
    return event


def sse_response_body(
    run: RunStream[Any],
    *,
    views: Sequence[str] = ("messages",),
    show: Callable[[Message], Optional[Mapping[str, Any]]] = message_event,
    gone: Callable[[RunStream[Any]], object] = RunStream.close,
    heartbeat: float = 1.5,
    retry: float = 1.0,
    explain: Optional[Callable[[Exception], str]] = None,
) -> ResponseBody:
    """The run as server-sent events, which a browser's ``EventSource`` reads. Send it with :func:`sse_headers`.

    Each event's data is one line of JSON:

    - an event without a name: what one part of the run brought, by view: ``{"messages": [...]}``, and the other
      ``views`` that were asked for, such as "custom". A message is ``{"id", "type", "status", "delta": {"text",
      "reasoning", "tool_args"}}``, its delta without what is empty; ``tool_args`` are by call id, and ``tool_names``
      stands beside them when a call is first seen. ``text``, ``reasoning`` and ``tool_calls`` are there when the
      message is no longer "streaming", or was replaced: they are the whole then, and take the place of what was
      gathered. A message that is complete has itself, as the state holds it, as ``message``.
    - ``interrupt``: ``{"interrupts": [{"id", "value"}]}``, before the end of a run that waits for an answer.
    - ``failure``: ``{"error", "message", "thread_id", "run_id"}``, once, before the end of a run or a stream that
      failed. ("error" is the name of what EventSource itself says when its connection breaks.) It names the class of
      the error and nothing that the error says, unless ``explain`` puts that into words; the log has it all.
    - ``end``: ``{"outcome", "thread_id", "run_id", "usage"}``, always, as the last one: close the EventSource then, or
      it connects anew. ``outcome`` is None if it is not known how the run ended.

    ``show`` makes of a message what is told of it; None leaves the change out. An event's id is a cursor: see
    :func:`resume`. The browser waits ``retry`` seconds before it connects anew.

    If the browser leaves before the end, ``gone`` is called with the run: ``RunStream.close`` cancels it, unless it was
    started with ``on_close="continue"``; ``RunStream.detach`` leaves it going. A server notices that when it writes, so
    a comment is sent whenever nothing else was for ``heartbeat`` seconds; the second one in vain fails.
    """
    relayed = run.relay(*views, beat=heartbeat)
    shown, explained = _Shown(show), explain or _said_to_strangers
    return ResponseBody(run, gone, lambda ends: _events(run, relayed, shown, retry, explained, ends))


def text_response_body(
    run: RunStream[Any], *, gone: Callable[[RunStream[Any]], object] = RunStream.close
) -> ResponseBody:
    """The text of the run's AI messages as it grows, in UTF-8. Send it with :func:`text_headers`.

    There is no room in it for heartbeats, errors or ids: a browser that leaves is noticed with the next piece of text,
    and a run that fails breaks the response off.
    """
    text = run.text()
    return ResponseBody(run, gone, lambda ends: _encoded(text, ends))


class NotResumable(LgsyncError):
    """A ``Last-Event-ID`` cannot be gone on from: answer with ``status`` (such as "400 Bad Request") and this text.

    "204 No Content" says that all was told: that keeps an EventSource from connecting again.
    """

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def status_code(self) -> int:
        """The number of the status."""
        return int(self.status[:3])


def resume(
    client: Client, environ: Mapping[str, Any], *, thread_id: Optional[str], **options: Any
) -> Optional[RunStream[Any]]:
    """Go on where a browser's ``Last-Event-ID`` stands, on any worker; None if the request has none.

    ``environ`` is the request's. ``thread_id`` is the thread that this user may see (from the session, say; None if
    there is none): an id is what a stranger sent, and any that names another thread is refused. ``options`` are those
    of ``client.runs.resume``.

    Raises NotResumable, whose ``status`` is 204 after the last event, 400 for an id that is none of this client's, and
    403 for another thread's; and what ``client.runs.resume`` raises.
    """
    # What servers put there are bytes, read as Latin-1; an id of ours is ASCII.
    text = environ.get("HTTP_LAST_EVENT_ID", "")
    if not text:
        return None
    if text == _END:
        raise NotResumable("The stream had ended", "204 No Content")
    try:
        cursor = Cursor.parse(text if len(text) <= _MAX_ID else "")
    except ConfigurationError as exc:
        raise NotResumable("The Last-Event-ID is none that was given here", "400 Bad Request") from exc
    if cursor.thread_id != thread_id:
        raise NotResumable("The Last-Event-ID is of another conversation", "403 Forbidden")
    try:
        return client.runs.resume(cursor, **options)
    except ConfigurationError as exc:
        if cursor.transport == client.transport.name:
            raise
        raise NotResumable("The Last-Event-ID was given over another transport", "400 Bad Request") from exc


# -- events ------------------------------------------------------------------------------------------------------------


class _Shown:
    """What is told of messages: the name of a tool that is called, once."""

    def __init__(self, show: Callable[[Message], Optional[Mapping[str, Any]]]) -> None:
        self._show = show
        self._named: Set[Tuple[Optional[str], str]] = set()

    def __call__(self, item: Any) -> Any:
        if isinstance(item, Exception):
            return {"error": type(item).__name__}
        return self._message(item) if isinstance(item, Message) else item

    def _message(self, message: Message) -> Optional[Mapping[str, Any]]:
        told = self._show(message)
        new = {call for call in message.delta.tool_args if (message.id, call) not in self._named}
        if told is None or not new:
            return told
        self._named.update((message.id, call) for call in new)
        calls = [*message.tool_calls, *message.invalid_tool_calls]
        return {**told, "tool_names": {call["id"]: call["name"] for call in calls if call.get("id") in new}}


def _events(
    run: RunStream[Any],
    relayed: Iterable[Relayed],
    shown: _Shown,
    retry: float,
    explain: Callable[[Exception], str],
    ends: Callable[[], None],
) -> Iterator[bytes]:
    # Sent at once: it opens the EventSource, and moves proxies that wait for a first byte.
    yield b"retry: %d\n\n" % round(retry * 1000)
    failure: Optional[Exception] = None
    try:
        for items, cursor in relayed:
            told: Dict[str, List[Any]] = {}
            for name, item in items:
                one = shown(item)
                if one is not None or not isinstance(item, Message):
                    told.setdefault(name, []).append(one)
            yield _event(told, id_=str(cursor or "")) if told else _BEAT
    except Exception as exc:  # noqa: BLE001 (told, logged, and raised again unless it is of the run or its stream)
        failure = exc
    ends()
    yield b"".join(_ending(run, failure, explain))
    if failure is not None and not isinstance(failure, LgsyncError):
        raise failure


def _ending(run: RunStream[Any], failure: Optional[Exception], explain: Callable[[Exception], str]) -> Iterator[bytes]:
    ids = {"thread_id": run.thread_id, "run_id": run.run_id}
    if failure is not None:
        logger.warning("The stream of run %s on thread %s failed: %s", run.run_id, run.thread_id, failure)
        yield _event({"error": type(failure).__name__, "message": explain(failure), **ids}, name="failure")
    elif run.outcome == "interrupted":
        asked = [{"id": interrupt.id, "value": interrupt.value} for interrupt in run.interrupts]
        yield _event({"interrupts": asked}, name="interrupt")
    yield _event({"outcome": run.outcome, **ids, "usage": run.usage}, name="end", id_=_END)


def _encoded(text: Iterable[str], ends: Callable[[], None]) -> Iterator[bytes]:
    for piece in text:
        yield piece.encode("utf-8", "replace")
    ends()


def _said_to_strangers(error: Exception) -> str:
    if isinstance(error, RunError):
        return "The run failed."
    return "The answer could not be streamed to its end."


def _event(data: Any, *, name: str = "", id_: str = "") -> bytes:
    fields = [("event", name.encode()), ("id", id_.encode("ascii")), ("data", codec.encode(data))]
    return b"".join(b"%s: %s\n" % (field.encode(), value) for field, value in fields if value) + b"\n"
