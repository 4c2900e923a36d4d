"""REST calls: a transport's answer becomes data, or one typed error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple, Optional, Type, TypedDict, TypeVar

from .answers import data_of, refuse_unless_ok
from .deadline import Deadline
from .errors import ConnectionFailed, ConnectionTimeout, LgsyncError, WrongType
from .parsing import parse
from .plain import checked_mapping
from .request_log import tell_of_pause
from .retry import NEVER, Retry
from .tracing import Tracing
from .transport import Response, Timeout, Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["CallOptions", "CallSettings", "Rest", "named_headers"]

M = TypeVar("M")
T = TypeVar("T")

_NO_HEADERS: Mapping[str, str] = {}


class CallOptions(TypedDict, total=False):
    """What one call may carry beside its method and path: see :meth:`lgsync.transport.Transport.request`.

    ``reads`` says of a POST that it changes nothing.
    """

    params: Optional[Mapping[str, Any]]
    json: Any
    headers: Optional[Mapping[str, str]]
    timeout: Optional[Timeout]
    deadline: Optional[float]
    reads: bool


class CallSettings(NamedTuple):
    """What the calls of a client have in common; a call's own options win. A ``timeout`` of None is the transport's."""

    headers: Mapping[str, str] = _NO_HEADERS
    timeout: Optional[Timeout] = None
    deadline: Optional[float] = None
    retry: Retry = NEVER
    tracing: Tracing = Tracing()

    def __repr__(self) -> str:
        """Tools that log the variables of a failure show these: the headers by name alone."""
        return (
            f"CallSettings(headers={sorted(self.headers)!r}, timeout={self.timeout!r}, deadline={self.deadline!r}, "
            f"retry={self.retry!r}, tracing={self.tracing!r})"
        )


_NOTHING_SET = CallSettings()


class Rest:
    """Calls of one client over its transport."""

    def __init__(self, transport: Transport, settings: CallSettings = _NOTHING_SET) -> None:
        self.transport = transport
        self.settings = settings

    @property
    def timeout(self) -> Timeout:
        """What a call waits that names no timeout of its own."""
        return self.settings.timeout or self.transport.timeout

    def deadline(self, own: Optional[float]) -> Deadline:
        """The end of a call that begins now and may have a deadline of its ``own``."""
        return Deadline(self.settings.deadline if own is None else own)

    def once(self, tracing: Optional[Tracing] = None) -> Rest:
        """The same, but each call tried once and without an end, for who looks after that, and told to ``tracing``."""
        mine = self.settings
        return Rest(self.transport, CallSettings(mine.headers, mine.timeout, tracing=tracing or mine.tracing))

    def headers(self, own: Optional[Mapping[str, str]]) -> Mapping[str, str]:
        """The headers of a call that may have some of its ``own``."""
        return _merged(self.settings.headers, named_headers(own) if own else _NO_HEADERS)

    def call(self, method: str, path: str, **options: Unpack[CallOptions]) -> Any:
        """Make one call; returns the decoded JSON, or None for 204.

        Raises APIStatusError for a refusal, ResponseError for an answer that is not this API's, DeadlineExceeded, and
        whatever :meth:`Transport.request` raises.
        """
        return data_of(self.answer(method, path, **options), method)

    def accepted(self, method: str, path: str, **options: Unpack[CallOptions]) -> None:
        """Make one call whose answer has no content of interest (a delete, a cancel)."""
        self.answer(method, path, **options)

    def model(
        self, model: Type[M], method: str, path: str, *, partial: bool = False, **options: Unpack[CallOptions]
    ) -> M:
        """Make one call and read its answer as ``model``; ``partial`` if only some of its fields were asked for."""
        response = self.answer(method, path, **options)
        return parse(model, data_of(response, method), method, response, partial=partial)

    def answer(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[Timeout] = None,
        deadline: Optional[float] = None,
        reads: bool = False,
    ) -> Response:
        """Make one call; returns its answer, whose status is 2xx."""
        end = self.deadline(deadline)
        with self.settings.tracing.call(method, path) as span:
            fields = _merged(self.headers(headers), span.headers)

            def ask() -> Response:
                span.attempted()
                limits = end.within(timeout or self.timeout)
                response = self.transport.request(
                    method, path, params=params, json=json, headers=fields, timeout=limits
                )
                span.answered(response.status, response.url)
                refuse_unless_ok(response, method)
                return response

            try:
                return self.tried(ask, end, method, reads=reads)
            except (ConnectionFailed, ConnectionTimeout) as exc:
                # Whichever of the waits it was that the deadline cut short.
                if end.passed:
                    raise end.exceeded(f"{method} {path}") from exc
                raise

    def tried(self, work: Callable[[], T], end: Deadline, method: str, *, reads: bool = False) -> T:
        """What ``work`` returns, tried again where :class:`Retry` allows that, as long as ``end`` does."""
        attempts = 0
        while True:
            try:
                return work()
            except LgsyncError as exc:
                attempts += 1
                pause = self.settings.retry.pause(exc, attempts, method=method, reads=reads)
                left = end.remaining()
                if pause is None or (left is not None and left <= pause):
                    raise
                tell_of_pause(pause, exc)
            time.sleep(pause)


def named_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """``headers``, if they are a mapping of names; raises WrongType otherwise."""
    for name in checked_mapping("headers", headers):
        if not isinstance(name, str):
            raise WrongType(f"The name of a header must be text, not {type(name).__name__}")
    return headers


def _merged(headers: Mapping[str, str], more: Mapping[str, str]) -> Mapping[str, str]:
    """Both, ``more`` winning; names do not depend on case."""
    if not more:
        return headers
    named = {name.lower() for name in more}
    return {**{name: value for name, value in headers.items() if name.lower() not in named}, **more}
