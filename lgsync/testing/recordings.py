"""One recording of a test's: made against a server when that is asked for, replayed without any network otherwise."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Callable, List, Mapping, Optional

from ..client import Client
from ..errors import ConfigurationError
from ..transport import Transport, TransportConfig, TransportFactory
from ..transports.recording import RecordingTransport
from ..transports.replay import ReplayTransport

__all__ = ["Recording", "path_of"]


class Recording:
    """What the fixture ``recording`` gives. ``path`` is the file, ``recorded`` says whether it is being made.

    ``find_url`` gives the URL of the server to record against, where the test names none.
    """

    def __init__(self, path: Path, *, recorded: bool, find_url: Callable[[], Optional[str]]) -> None:
        self.path = path
        self.recorded = recorded
        self._find_url = find_url
        self._begun = False
        self._first: Optional[ReplayTransport] = None
        self._clients: List[Client] = []

    def client(self, url: Optional[str] = None, *, transport: Any = "sse", **options: Any) -> Client:
        """A client whose every call is recorded, or answered from the recording; closed at the end of the test.

        ``url``, ``transport`` and the other options are those of :class:`lgsync.Client`. On replay the server of
        ``url`` is not asked, and what matters is the transport that was recorded.
        """
        if self.recorded:
            url = url or self._find_url()
        client = Client(url, transport=self.transport(transport), **options)
        self._clients.append(client)
        return client

    def transport(self, inner: Any = "sse", **replay: Any) -> TransportFactory:
        """The same for an app that builds its client itself: ``Client(url, transport=recording("name").transport())``.

        ``inner`` is the transport that is recorded. Other options are for
        :class:`~lgsync.testing.ReplayTransport`: ``speed``, ``cut_after``.
        """
        return self._recording(inner) if self.recorded else self._replaying(replay)

    def _replaying(self, options: Mapping[str, Any]) -> TransportFactory:
        def replaying(config: TransportConfig) -> Transport:
            # What one client of a test has asked for, no other one asked for.
            built = ReplayTransport(config, path=self.path, beside=self._first, **options)
            self._first = self._first or built
            return built

        return replaying

    def _recording(self, inner: Any) -> TransportFactory:
        def recording(config: TransportConfig) -> Transport:
            # Further clients of one test go on with its file.
            append, self._begun = self._begun, True
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return RecordingTransport(config, path=self.path, inner=inner, append=append)

        return recording

    def close(self) -> None:
        """Close its clients."""
        for client in self._clients:
            client.close()

    def __repr__(self) -> str:
        return f"<Recording {self.path}, {'being made' if self.recorded else 'replayed'}>"


def path_of(name: str, folder: Path) -> Path:
    """The file of the recording of that name, of a test in ``folder``."""
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name or "\0" in name:
        raise ConfigurationError(f"A recording is named like a file, without its ending ('answer'), not {name!r}")
    return folder / "recordings" / f"{name}.jsonl"
