"""Tells OpenTelemetry of calls and of streamed runs; needs the extra ``otel``, and is imported only if that is wanted.

Spans of calls follow OpenTelemetry's conventions for HTTP clients. ``traceparent`` is written by the global propagator.
"""

from __future__ import annotations

import time
import traceback
from types import TracebackType
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Type
from urllib.parse import urlsplit

from ._version import version
from .errors import APIStatusError, ConfigurationError
from .request_log import without_secrets
from .tracing import CallSpan, RunSpan, Tracing

try:
    from opentelemetry import context, propagate, trace
except ImportError as exc:
    raise ConfigurationError("tracing=… needs OpenTelemetry: pip install 'lgsync[otel]'") from exc

__all__ = ["OpenTelemetry"]

# What a segment of a path is by the one before it, unless it is one of the API's own words.
_PLACEHOLDERS = {
    "assistants": "{assistant_id}",
    "crons": "{cron_id}",
    "runs": "{run_id}",
    "state": "{checkpoint_id}",
    "subgraphs": "{namespace}",
    "threads": "{thread_id}",
}
_RESOURCES = [["assistants"], ["info"], ["ok"], ["runs"], ["store"], ["threads"]]
_WORDS = frozenset(["batch", "cancel", "checkpoint", "count", "crons", "prune", "search", "stream", "wait"])

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class _Calls(Tracing):
    """Begins spans of calls within a context; None is the current one."""

    def __init__(self, tracer: trace.Tracer, within: Optional[context.Context] = None) -> None:
        self._tracer = tracer
        self._within = within

    def call(self, method: str, path: str) -> CallSpan:
        template = _template(path)
        attributes = {"http.request.method": method}
        if template is None:
            return self.span(method, attributes)
        return self.span(f"{method} {template}", {**attributes, "url.template": template})

    def span(self, name: str, attributes: Mapping[str, str]) -> CallSpan:
        """The span of a call of any kind."""
        span = self._tracer.start_span(name, self._within, kind=trace.SpanKind.CLIENT, attributes=attributes)
        return _Call(span, self._within)


class OpenTelemetry(_Calls):
    """Begins spans. ``provider`` is a TracerProvider, or None for the global one, which may be set later, too."""

    def __init__(self, provider: Any = None) -> None:
        if not (provider is None or callable(getattr(provider, "get_tracer", None))):
            raise ConfigurationError(f"tracing must be True, False or a TracerProvider, not {provider!r}")
        super().__init__(trace.get_tracer("lgsync", version(), provider))

    def run(self, *, joins: bool, thread_id: Optional[str], assistant_id: Optional[str]) -> RunSpan:
        known = _named(thread_id=thread_id, assistant_id=assistant_id)
        name = "join run" if joins else "stream run"
        return _Run(self._tracer, self._tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes=known))


class _Within(CallSpan):
    """Makes a context the current one, so that whoever traces or logs the requests themselves finds it there."""

    def __init__(self, within: context.Context, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._context = within
        self._attempts = 0

    def attempted(self) -> None:
        self._attempts += 1

    @property
    def resent(self) -> Dict[str, int]:
        """As an attribute: how often it was tried again."""
        return {"http.request.resend_count": self._attempts - 1} if self._attempts > 1 else {}

    def __enter__(self) -> CallSpan:
        self._token = context.attach(self._context)
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        context.detach(self._token)


class _Call(_Within):
    """A call with a span of its own."""

    def __init__(self, span: trace.Span, within: Optional[context.Context]) -> None:
        own = trace.set_span_in_context(span, within)
        super().__init__(own, _injected(own))
        self._span = span
        self._attributes: Dict[str, Any] = {}

    def attempted(self) -> None:
        super().attempted()
        self._attributes = {}

    def answered(self, status: int, url: str) -> None:
        self._attributes = {"http.response.status_code": status, **_place(url)}

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        super().__exit__(exc_type, exc, traceback)
        try:
            self._span.set_attributes({**self._attributes, **self.resent})
            if exc is not None:
                _tell_of_error(self._span, exc)
        finally:
            self._span.end()


class _Moment(NamedTuple):
    """When something came for the first time: in nanoseconds since the epoch, and in seconds since the run's span."""

    at: int
    after: float


class _Run(RunSpan):
    """Keeps what it is told, and tells it at the end: a signal handler that leaves may have interrupted any of this."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._context = trace.set_span_in_context(span)
        self.headers = _injected(self._context)
        self.calls = self._calls = _Calls(tracer, self._context)
        self.awaits = True
        self._begun = time.perf_counter()
        self._opening = _Within(self._context, self.headers)
        self._ids: Dict[str, str] = {}
        self._moments: Dict[str, _Moment] = {}
        # Whoever takes it out is the one to end it.
        self._open: List[trace.Span] = [span]

    def opening(self, *, again: bool = False) -> CallSpan:
        return self._calls.span("rejoin run", self._ids) if again else self._opening

    def known(self, thread_id: Optional[str], run_id: Optional[str]) -> None:
        self._ids = _named(thread_id=thread_id, run_id=run_id)

    def first_part(self) -> None:
        self._note("first_part")

    def first_token(self) -> None:
        self._note("first_token")
        self.awaits = False

    def _note(self, what: str) -> None:
        if what not in self._moments:
            self._moments[what] = _Moment(time.time_ns(), time.perf_counter() - self._begun)

    def ended(self, outcome: Optional[str], error: Optional[BaseException] = None, *, left_early: bool = False) -> None:
        self.awaits = False
        try:
            span = self._open.pop()
        except IndexError:
            return
        try:
            self._tell(span, outcome)
            if isinstance(error, Exception):
                _tell_of_error(span, error)
            elif left_early or outcome is None:
                span.set_attribute("lgsync.left_early", True)
        finally:
            span.end()

    def _tell(self, span: trace.Span, outcome: Optional[str]) -> None:
        span.set_attributes({**self._ids, **_named(outcome=outcome), **self._opening.resent})
        for what, moment in list(self._moments.items()):
            span.set_attribute(f"lgsync.time_to_{what}", moment.after)
            span.add_event(what, timestamp=moment.at)


def _named(**known: Optional[str]) -> Dict[str, str]:
    """Attributes of this package's own, of what is known."""
    return {f"lgsync.{name}": str(value) for name, value in known.items() if value is not None}


def _injected(within: context.Context) -> Mapping[str, str]:
    headers: Dict[str, str] = {}
    propagate.inject(headers, within)
    return headers


def _template(path: str) -> Optional[str]:
    """A path of the API with names in place of its ids, of which there are few; None for a path of someone else's."""
    segments = path.partition("?")[0].split("/")
    if segments[1:2] not in _RESOURCES:
        return None
    pairs = zip(["", *segments], segments)
    return "/".join(name if name in _WORDS else _PLACEHOLDERS.get(before, name) for before, name in pairs)


def _place(url: str) -> Dict[str, Any]:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    place = {"url.full": without_secrets(url), "server.address": parts.hostname, "server.port": port}
    return {name: value for name, value in place.items() if value is not None}


def _tell_of_error(span: trace.Span, error: BaseException) -> None:
    if not span.is_recording():
        return
    url = getattr(error, "url", None) or getattr(error.__cause__, "url", None)
    if isinstance(url, str) and "://" in url:
        span.set_attributes(_place(url))
    kind = type(error)
    if isinstance(error, APIStatusError):
        span.set_attributes({"http.response.status_code": error.status_code, "error.type": str(error.status_code)})
    else:
        span.set_attribute("error.type", f"{kind.__module__}.{kind.__qualname__}")
    # Without its causes: the words of other libraries may repeat a URL with all of its query.
    trail = "".join(traceback.format_exception(kind, error, error.__traceback__, chain=False))
    span.record_exception(error, {"exception.stacktrace": trail})
    span.set_status(trace.Status(trace.StatusCode.ERROR, str(error)))
