"""How langgraph-sdk's blocking client reads tapes, and what that costs; each function is asked in a worker."""

from __future__ import annotations

import functools
import time
from typing import Any, Dict, Iterator, List

from langgraph_sdk import get_sync_client

from .costs import cpu_of, percentile

_MODES = ["messages-tuple", "updates"]
_FIRST = 20


@functools.cache
def _client(url: str) -> Any:
    return get_sync_client(url=url)


class _Reading:
    """One run of a tape, on a thread that was made beforehand."""

    def __init__(self, url: str, tape: str, chunks: int, **pace: Any) -> None:
        self._client = _client(url)
        self._thread = self._client.threads.create()["thread_id"]
        self._input = {"tape": tape, "chunks": chunks, **pace}
        self._chunks = chunks

    def stream(self) -> Iterator[Any]:
        """The run's parts; kept for joins, so that the server sends each with an id, as it does to the others."""
        options: Any = {"stream_mode": _MODES, "stream_resumable": True}
        parts: Iterator[Any] = self._client.runs.stream(self._thread, "agent", input=self._input, **options)
        return parts

    def parts(self) -> None:
        """Read all raw parts, and accumulate nothing."""
        seen = 0
        for part in self.stream():
            seen += part.event == "messages"
        assert seen >= self._chunks, f"{seen} of {self._chunks} chunks came"

    def folded(self) -> None:
        """Put the message together, as langchain-core lets one do it."""
        from langchain_core.messages import AIMessageChunk

        whole: Any = None
        for part in self.stream():
            if part.event == "messages":
                piece = AIMessageChunk(**part.data[0])
                whole = piece if whole is None else whole + piece
        assert whole.content or whole.tool_calls

    def events(self, transport: str) -> None:
        """Read all raw events of the thread's session."""
        seen = 0
        session = self._client.threads.stream(self._thread, assistant_id="agent", transport=transport)
        with session:
            session.run.start(input=self._input)
            for event in session.events:
                seen += event["method"] == "messages"
        assert seen >= self._chunks, f"{seen} of {self._chunks} chunks came"


def parts(url: str, tape: str, chunks: int) -> float:
    return cpu_of(_Reading(url, tape, chunks).parts)


def folded(url: str, tape: str, chunks: int) -> float:
    return cpu_of(_Reading(url, tape, chunks).folded)


def events(url: str, tape: str, chunks: int, transport: str) -> float:
    reading = _Reading(url, tape, chunks)
    return cpu_of(lambda: reading.events(transport))


def latency(url: str, chunks: int, pause: float) -> Dict[str, float]:
    """Milliseconds from the server's sending a token to its being in the loop."""
    took: List[float] = []
    for part in _Reading(url, "clock", chunks, pause=pause).stream():
        now = time.monotonic_ns()
        if part.event == "messages" and part.data[0]["content"]:
            took.append((now - int(part.data[0]["content"])) / 1e6)
    return {"p50": percentile(took[_FIRST:], 0.5), "p99": percentile(took[_FIRST:], 0.99)}
