"""The transports that come with lgsync; each is imported when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recording import RecordingTransport
    from .replay import ReplayTransport
    from .sse import SSETransport
    from .websocket import WebSocketTransport

__all__ = ["RecordingTransport", "ReplayTransport", "SSETransport", "WebSocketTransport"]

_HOMES = {
    "RecordingTransport": "recording",
    "ReplayTransport": "replay",
    "SSETransport": "sse",
    "WebSocketTransport": "websocket",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
