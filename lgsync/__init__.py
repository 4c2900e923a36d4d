"""lgsync: the blocking client for LangGraph servers.

::

    from lgsync import Client

    client = Client("http://localhost:2024")
    thread = client.threads.create()
    with client.runs.stream(thread.thread_id, "agent", input={"messages": [...]}) as run:
        for piece in run.text():
            print(piece, end="", flush=True)
"""

from __future__ import annotations

from .accumulate import Delta, Message, MessageAccumulator
from .client import Client
from .cursor import Cursor
from .errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ClientClosed,
    ConfigurationError,
    ConflictError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DeadlineExceeded,
    DecodeError,
    EventTooLarge,
    InternalServerError,
    LgsyncError,
    NotFoundError,
    NotRecorded,
    PermissionDeniedError,
    PositionLost,
    RateLimitError,
    ResponseError,
    RunError,
    StateMismatch,
    StreamLost,
    UnprocessableEntityError,
    UnsupportedByTransport,
    WrongType,
)
from .official import get_sync_client
from .parts import StreamPart, Undecoded
from .run_defaults import RunDefaults
from .run_stream import RunStream
from .thread_events import ThreadEvents

__all__ = [
    "APIStatusError",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ClientClosed",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailed",
    "ConnectionLost",
    "ConnectionTimeout",
    "Cursor",
    "DeadlineExceeded",
    "DecodeError",
    "Delta",
    "EventTooLarge",
    "InternalServerError",
    "LgsyncError",
    "Message",
    "MessageAccumulator",
    "NotFoundError",
    "NotRecorded",
    "PermissionDeniedError",
    "PositionLost",
    "RateLimitError",
    "ResponseError",
    "RunDefaults",
    "RunError",
    "RunStream",
    "StateMismatch",
    "StreamLost",
    "StreamPart",
    "ThreadEvents",
    "Undecoded",
    "UnprocessableEntityError",
    "UnsupportedByTransport",
    "WrongType",
    "get_sync_client",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from ._version import version

        return version()
    raise AttributeError(f"module 'lgsync' has no attribute {name!r}")
