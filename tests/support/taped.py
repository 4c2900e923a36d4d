"""What a client sees of its transport, live and replayed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, List, Optional, Tuple

from lgsync.errors import LgsyncError
from lgsync.parts import StreamPart
from lgsync.transport import PartSource, Timeout, Transport, TransportConfig
from lgsync.transports import RecordingTransport, ReplayTransport

__all__ = ["CONFIG", "opened", "played", "recording", "replaying", "seen"]

CONFIG = TransportConfig("http://server", timeout=Timeout(5.0, 5.0))


def recording(inner: Any, path: Path, **options: Any) -> RecordingTransport:
    return RecordingTransport(CONFIG, inner=inner, path=path, **options)


def replaying(path: Path, **options: Any) -> ReplayTransport:
    return ReplayTransport(CONFIG, path=path, **options)


def played(path: Path, **options: Any) -> Any:
    """The transport of a Client that plays the recording."""
    return partial(ReplayTransport, path=path, **options)


def seen(source: PartSource) -> Tuple[List[StreamPart], Any, Optional[Tuple[type, str, Any]]]:
    """The parts of a source, what is known of it at its end, and the error it ends with."""
    parts: List[StreamPart] = []
    failure = None
    try:
        for part in source:
            parts.append(part)
    except LgsyncError as exc:
        failure = (type(exc), str(exc), vars(exc))
    told = (source.thread_id, source.run_id, source.position, source.heartbeats, source.retry, source.outcome)
    return parts, (*told, source.conclusive, source.exact, source.not_kept, source.finish()), failure


def opened(transport: Transport, start: Any) -> Any:
    """What opening a stream comes to: what is seen of it, or the error."""
    try:
        source = transport.open_run(start)
    except LgsyncError as exc:
        return type(exc), str(exc), vars(exc)
    return seen(source)
