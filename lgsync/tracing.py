"""What can be told to a tracer: each call, and each run that is streamed. These tell nobody.

:mod:`lgsync.otel` tells OpenTelemetry. What is imported here is imported by everyone.
"""

from __future__ import annotations

from types import TracebackType
from typing import Mapping, Optional, Type

__all__ = ["CallSpan", "RunSpan", "Tracing"]

_NOTHING: Mapping[str, str] = {}


class CallSpan:
    """One call, all its attempts taken together; a context manager, left with what the call came to."""

    #: To be sent with every request of the call.
    headers: Mapping[str, str] = _NOTHING

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


class RunSpan:
    """One streamed run, from the request that starts or joins it to the end of its stream. Told by any thread."""

    #: To be sent with every request made for the run.
    headers: Mapping[str, str] = _NOTHING
    #: Whether it is still to be told of the first token.
    awaits_token: bool = False

    def known(self, thread_id: Optional[str], run_id: Optional[str]) -> None:
        """The ids, as soon as they are known."""

    def first_part(self) -> None:
        """The first part has come."""

    def first_token(self) -> None:
        """The first text of an AI message has come."""

    def ended(self, outcome: Optional[str], error: Optional[BaseException] = None) -> None:
        """The stream is over; ``outcome`` is None if it was left before its run had ended. The first word counts."""


class Tracing:
    """Begins spans. This one's tell nobody."""

    def call(self, method: str, path: str) -> CallSpan:  # noqa: ARG002 (what tells somebody needs it)
        """A call begins."""
        return _CALL

    def run(self, *, joins: bool, thread_id: Optional[str], assistant_id: Optional[str]) -> RunSpan:  # noqa: ARG002
        """A run's stream is about to be opened: the run starts by that, or is joined."""
        return _RUN


_CALL = CallSpan()
_RUN = RunSpan()
