"""What can be told to a tracer: each call, and each run that is streamed. These tell nobody.

:mod:`lgsync.otel` tells OpenTelemetry. What is imported here is imported by everyone.
"""

from __future__ import annotations

from types import TracebackType
from typing import Mapping, Optional, Type

__all__ = ["CallSpan", "RunSpan", "Tracing"]

_NO_HEADERS: Mapping[str, str] = {}


class CallSpan:
    """One call, all its attempts taken together; a context manager, left with what the call came to."""

    #: To be sent with every request of the call.
    headers: Mapping[str, str] = _NO_HEADERS

    def attempted(self) -> None:
        """An attempt is about to be made, the first or another one."""

    def answered(self, status: int, url: str) -> None:
        """An answer has come, whatever its status; there may be several, where a call is made again."""

    def __enter__(self) -> CallSpan:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """The call is over."""


class Tracing:
    """Begins spans. This one's tell nobody."""

    def call(self, method: str, path: str) -> CallSpan:  # noqa: ARG002 (what tells somebody needs it)
        """A call begins."""
        return _CALL

    def run(self, *, joins: bool, thread_id: Optional[str], assistant_id: Optional[str]) -> RunSpan:  # noqa: ARG002
        """A run's stream is about to be opened: the run starts by that, or is joined."""
        return _RUN


_CALL = CallSpan()


class RunSpan:
    """One streamed run, from the request that starts or joins it to the end of its stream. Told by any thread."""

    #: To be sent with every request made for the run.
    headers: Mapping[str, str] = _NO_HEADERS
    #: Tells of the calls that are made for the run.
    calls: Tracing = Tracing()
    #: Whether it is still to be told of the first part, or of the first token.
    awaits: bool = False

    def opening(self, *, again: bool = False) -> CallSpan:  # noqa: ARG002
        """Its stream is about to be opened, for the first time or, after a cut, ``again``."""
        return _CALL

    def known(self, thread_id: Optional[str], run_id: Optional[str]) -> None:
        """The ids, as soon as they are known."""

    def first_part(self) -> None:
        """A part has come; the first word counts."""

    def first_token(self) -> None:
        """Text of an AI message has come; the first word counts."""

    def ended(self, outcome: Optional[str], error: Optional[BaseException] = None, *, left_early: bool = False) -> None:
        """The stream is over; the first word counts. ``left_early`` says that its owner left before the run's end."""


_RUN = RunSpan()
