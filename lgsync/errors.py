"""Every error this package raises.

::

    LgsyncError
    ├── ConfigurationError         a wrong argument or setting; nothing was sent (also a ValueError)
    │   ├── WrongType              an argument of a wrong type (also a TypeError)
    │   ├── UnsupportedByTransport the chosen transport cannot carry an option; nothing was sent
    │   └── NotRecorded            a recording that is replayed does not hold what was asked for
    ├── ClientClosed               the client, or the stream, was closed before (also a RuntimeError)
    ├── ConnectionFailed           no connection could be made: nothing reached the server
    ├── ConnectionLost             the connection broke, or fell silent, after the request was sent
    │   ├── ConnectionTimeout      ... because no byte came within the time allowed (also a TimeoutError)
    │   └── PositionLost           ... and the server no longer has what came next
    ├── DeadlineExceeded           a deadline set by the caller has passed (also a TimeoutError)
    ├── ResponseError              an answer that the API does not give: not JSON, not an event stream, a stray redirect
    │   ├── DecodeError            ... an event whose data is not JSON; its raw text is kept
    │   └── EventTooLarge          ... an event larger than the transport's limit
    ├── APIStatusError             the server said no: the HTTP status, and a class for each usual one
    │   ├── BadRequestError 400 · AuthenticationError 401 · PermissionDeniedError 403 · NotFoundError 404
    │   └── ConflictError 409 · UnprocessableEntityError 422 · RateLimitError 429 · InternalServerError 5xx
    ├── RunError                   the run itself failed
    ├── StateMismatch              a state does not fit the model that was given for it (also a ValueError)
    └── StreamLost                 parts of the stream are gone, or it could not be taken up again; the run may go on

Each says what failed, for which URL, thread or run, and what to do. Each can be pickled. None shows a key.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple, Type, TypeVar

from .bodies import field_of, is_page, words_of

__all__ = [
    "APIStatusError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosed",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailed",
    "ConnectionLost",
    "ConnectionTimeout",
    "DeadlineExceeded",
    "DecodeError",
    "EventTooLarge",
    "InternalServerError",
    "LgsyncError",
    "NotFoundError",
    "NotRecorded",
    "PermissionDeniedError",
    "PositionLost",
    "RateLimitError",
    "ResponseError",
    "RunError",
    "StateMismatch",
    "StreamLost",
    "UnprocessableEntityError",
    "UnsupportedByTransport",
    "WrongType",
]


E = TypeVar("E", bound="LgsyncError")


def ended(sentence: str) -> str:
    """The sentence with its full stop, if it has none."""
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def rebuilt(cls: Type[E], message: str, fields: Dict[str, Any]) -> E:
    """An error of that class, with these attributes: from a pickle, or a recording."""
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    error.__dict__.update(fields)
    return error


class LgsyncError(Exception):
    """The root of every error of this package. ``str(error)`` is the message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """What failed, where, and what to do."""
        return str(self)

    def saying(self: E, more: str) -> E:
        """The same error with a further sentence."""
        return rebuilt(type(self), f"{ended(str(self))} {more}", self.__dict__)

    def __reduce__(self) -> Tuple[Any, ...]:
        return rebuilt, (type(self), str(self), dict(self.__dict__))


class ConfigurationError(LgsyncError, ValueError):
    """An argument or a setting is wrong; nothing was sent."""


class WrongType(ConfigurationError, TypeError):
    """An argument has a type that makes no sense there; nothing was sent."""


class UnsupportedByTransport(ConfigurationError):
    """The chosen transport cannot carry ``option``; nothing was sent.

    ``transport`` names the one in use, ``alternatives`` those that can carry it.
    """

    def __init__(self, message: str, *, option: str, transport: str, alternatives: Tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.option = option
        self.transport = transport
        self.alternatives = alternatives


class NotRecorded(ConfigurationError):
    """A recording is replayed, and what was asked for is not in it: the program asks for something else by now."""


class ClientClosed(LgsyncError, RuntimeError):
    """The client (or the stream) was closed, and then used."""


class ConnectionFailed(LgsyncError):
    """No connection could be made to ``url``: nothing reached the server, so trying again is safe.

    ``refused`` says that nobody listens there, as while a server starts.
    """

    def __init__(self, message: str, *, url: str, refused: bool = False) -> None:
        super().__init__(message)
        self.url = url
        self.refused = refused


class ConnectionLost(LgsyncError):
    """The connection to ``url`` broke after the request was sent; what the server did with it is not known."""

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(message)
        self.url = url


class ConnectionTimeout(ConnectionLost, TimeoutError):
    """No byte came from ``url`` for as long as the read timeout allows."""


class PositionLost(ConnectionLost):
    """The server no longer has the position that a stream was to go on from, or the beginning of the run."""


class DeadlineExceeded(LgsyncError, TimeoutError):
    """A deadline set by the caller has passed.

    ``cursor`` is the text to go on with (``client.runs.resume(cursor)``) if a run was being streamed, else None.
    """

    def __init__(
        self,
        message: str,
        *,
        thread_id: Optional[str] = None,
        run_id: Optional[str] = None,
        cursor: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.thread_id = thread_id
        self.run_id = run_id
        self.cursor = cursor


class ResponseError(LgsyncError):
    """``url`` answered with something that is not this API: ``status``, ``content_type`` and a ``snippet`` of it."""

    def __init__(self, message: str, *, url: str, status: int, content_type: str = "", snippet: str = "") -> None:
        super().__init__(message)
        self.url = url
        self.status = status
        self.content_type = content_type
        self.snippet = snippet


class DecodeError(ResponseError):
    """An event's data was not JSON. ``text`` is the data as it came, whole; ``snippet`` its beginning."""

    def __init__(self, message: str, *, url: str, status: int, text: str, content_type: str = "") -> None:
        super().__init__(message, url=url, status=status, content_type=content_type, snippet=text[:200])
        self.text = text


class EventTooLarge(ResponseError):
    """An event was larger than the transport allows, and was not read."""


class StateMismatch(LgsyncError, ValueError):
    """A graph's state does not fit the model that was given for it; the cause is pydantic's ValidationError."""


class APIStatusError(LgsyncError):
    """The server answered ``url`` with an error status.

    ``status_code`` is the HTTP status, ``detail`` the server's own words, ``body`` the decoded body (or its text),
    ``request_id`` the ``x-request-id`` header, ``retry_after`` the seconds that the server asks to wait before the next
    try; ``code``, ``param`` and ``type`` are set where the body carries them.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str,
        status_code: int,
        detail: str = "",
        body: Any = None,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.url = url
        self.status_code = status_code
        self.detail = detail
        self.body = body
        self.request_id = request_id
        self.retry_after = retry_after
        self.code: Optional[str] = _optional_text(field_of(body, "code"))
        self.param: Optional[str] = _optional_text(field_of(body, "param"))
        self.type: Optional[str] = _optional_text(field_of(body, "type"))


class BadRequestError(APIStatusError):
    """400."""


class AuthenticationError(APIStatusError):
    """401."""


class PermissionDeniedError(APIStatusError):
    """403."""


class NotFoundError(APIStatusError):
    """404."""


class ConflictError(APIStatusError):
    """409."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429."""


class InternalServerError(APIStatusError):
    """5xx."""


class RunError(LgsyncError):
    """The run failed on the server.

    ``error`` is the class name of what was raised there (None if the server did not say), ``detail`` its text.
    """

    def __init__(
        self,
        message: str,
        *,
        error: Optional[str] = None,
        detail: str = "",
        thread_id: Optional[str] = None,
        run_id: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.detail = detail
        self.thread_id = thread_id
        self.run_id = run_id


class StreamLost(LgsyncError):
    """The stream could not be taken up again, or some of its parts are gone for good. The run was not cancelled.

    ``cursor`` is the text to go on with, from after the last part that was given: ``client.runs.resume(cursor)``.
    It is None for a run that cannot be joined (one without a thread).
    """

    def __init__(
        self,
        message: str,
        *,
        thread_id: Optional[str] = None,
        run_id: Optional[str] = None,
        cursor: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.thread_id = thread_id
        self.run_id = run_id
        self.cursor = cursor


_BY_STATUS: Dict[int, Type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}

_ADVICE: Dict[int, str] = {
    401: "Check the API key: pass api_key=... or set LANGGRAPH_API_KEY.",
    403: "The key (or the lack of one) does not allow this: pass api_key=... or set LANGGRAPH_API_KEY.",
    404: "Check the id, and that the URL holds the API's path prefix if it has one.",
    409: "The thread is busy: wait for its run, cancel it, or choose another multitask_strategy.",
    429: "Too many requests: wait, then try again.",
    502: "The server, or a proxy before it, is down or overloaded: try again later.",
    503: "The server, or a proxy before it, is down or overloaded: try again later.",
    504: "The server, or a proxy before it, is down or overloaded: try again later.",
}

_FROM_A_PROXY = "That came as a web page: it seems that a proxy in between has answered, not the LangGraph server."
_FROM_ANOTHER_SERVER = (
    "That came as a web page, which no LangGraph server sends: check its host and port, and that the URL holds the "
    "API's path prefix if it has one. Or a proxy has answered."
)

# What web servers say to a path or a method that they do not know.
_UNKNOWN_THERE = (400, 404, 405, 500, 501)

_SAID_CHARS = 500

# What a server says of a failure whose words it does not pass on.
_KEPT_BACK = ("", "An internal error occurred")

_EXISTS = 'Choose another id, or pass if_exists="do_nothing" to take what is there, if it is yours.'


def _optional_text(value: Any) -> Optional[str]:
    return None if value is None else str(value)


def _advice(status: int, said: str) -> Optional[str]:
    if status == 409 and "already exists" in said:
        return _EXISTS
    if status == 404 and said not in ("", "Not Found"):
        # Who names what is missing has found the way there.
        return None
    return _ADVICE.get(status)


def _advice_on_a_page(status: int) -> Tuple[Optional[str], ...]:
    """By likelihood: a URL that leads to another web server, or a proxy before the right one."""
    return (_FROM_ANOTHER_SERVER,) if status in _UNKNOWN_THERE else (_FROM_A_PROXY, _advice(status, ""))


def status_error(
    status: int,
    *,
    method: str,
    url: str,
    body: Any,
    request_id: Optional[str] = None,
    retry_after: Optional[float] = None,
) -> APIStatusError:
    """The error of the class that stands for ``status``; ``body`` is decoded JSON, or the text if it was none."""
    cls = _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
    detail = words_of(body)
    said = detail if len(detail) <= _SAID_CHARS else f"{detail[:_SAID_CHARS]}…"
    message = f"{method} {url} failed with status {status}" + (f": {said}" if said else "")
    page = isinstance(body, str) and is_page(body)
    for advice in _advice_on_a_page(status) if page else (_advice(status, said),):
        if advice:
            message = f"{message.rstrip('.')}. {advice}"
    return cls(
        message, url=url, status_code=status, detail=detail, body=body, request_id=request_id, retry_after=retry_after
    )


def not_json(event: str, text: str, whose: str, url: str) -> DecodeError:
    """An event of a stream holds no JSON, though its kind always does; ``whose`` says of which stream."""
    return DecodeError(
        f"An event {event!r} of {whose} holds no JSON: {text[:200]!r}. Iterate again to go on after it.",
        url=url,
        status=200,
        text=str(text),
    )


def run_error(failure: Any, *, thread_id: Optional[str], run_id: Optional[str] = None) -> RunError:
    """The RunError for what the server says of a failed run: ``{"error": class name, "message": text}``."""
    fields: Mapping[str, Any] = failure if isinstance(failure, dict) else {"message": failure}
    error, detail = _optional_text(fields.get("error")), str(fields.get("message") or "")
    said = ": ".join(word for word in (error, detail) if word) or "the server did not say why"
    if detail in _KEPT_BACK:
        said += ". The server's log has the traceback"
    run = f"Run {run_id}" if run_id else "The run"
    return RunError(
        f"{run} on thread {thread_id} failed: {said}",
        error=error,
        detail=detail,
        thread_id=thread_id,
        run_id=run_id,
    )
