"""How lgsync reads tapes, and what that costs; each function is asked in a worker that has loaded nothing else."""

from __future__ import annotations

import functools
import math
import os
import threading
import time
from typing import Any, Dict, List
from uuid import uuid4

from lgsync import Client, RunStream

from .costs import cpu_of, lines_and_calls_of, peak_growth_of, percentile
from .tapes import chunks_of

#: Events whose latency does not count, for then the client still loads what it needs.
_FIRST = 20
_GLANCE = 0.05


@functools.cache
def _client(url: str, transport: str) -> Client:
    return Client(url, transport=transport)


class _Reading:
    """One run of a tape, on a thread that was made beforehand."""

    def __init__(self, url: str, tape: str, chunks: int, transport: str = "sse", **pace: Any) -> None:
        self._client = _client(url, transport)
        self._thread = self._client.threads.create().thread_id
        self._input = {"tape": tape, "chunks": chunks, **pace}
        self._mode = "values" if tape == "state" else None
        self._event = "values" if tape == "state" else "messages"
        self._size = 0 if tape == "state" else sum(map(len, chunks_of(tape, chunks)))
        self._chunks = 1 if tape == "state" else chunks

    def run(self) -> RunStream:
        return self._client.runs.stream(self._thread, "agent", input=self._input, stream_mode=self._mode)

    def parts(self) -> None:
        """Read all raw parts."""
        seen = 0
        for part in self.run():
            seen += part.event == self._event
        assert seen >= self._chunks, f"{seen} of {self._chunks} chunks came"

    def messages(self, pause: float = 0.0) -> None:
        """Read the delta of each change of a message; ``pause`` so many seconds at the tenth part of the way."""
        size, wait_at = 0, self._size / 10 if pause else math.inf
        for message in self.run().messages():
            delta = message.delta
            size += len(delta.text)
            if delta.tool_args:
                size += sum(map(len, delta.tool_args.values()))
            if size > wait_at:
                wait_at = math.inf
                time.sleep(pause)
        assert size == self._size, f"{size} of {self._size} characters came"


def parts(url: str, tape: str, chunks: int, transport: str = "sse") -> float:
    return cpu_of(_Reading(url, tape, chunks, transport).parts)


def messages(url: str, tape: str, chunks: int, transport: str = "sse") -> float:
    return cpu_of(_Reading(url, tape, chunks, transport).messages)


def work(url: str, tape: str, chunks: int, transport: str = "sse") -> int:
    return lines_and_calls_of(_Reading(url, tape, chunks, transport).messages)


def memory(url: str, chunks: int, transport: str, pause: float) -> Dict[str, float]:
    """By how many MiB this process, which did nothing before, grows: by a short run, which loads all that is used; and
    by a long one after it."""
    loading = peak_growth_of(lambda: _Reading(url, "text", 10, transport).messages())
    return {
        "loading": loading,
        "reading": peak_growth_of(lambda: _Reading(url, "text", chunks, transport).messages(pause)),
    }


def latency(url: str, chunks: int, pause: float, transport: str = "sse") -> Dict[str, float]:
    """Milliseconds from the server's sending a token to its being in the loop."""
    took: List[float] = []
    for message in _Reading(url, "clock", chunks, transport, pause=pause).run().messages():
        now, text = time.monotonic_ns(), message.delta.text
        if text and message.status == "streaming":
            took.append((now - int(text)) / 1e6)
    return {"p50": percentile(took[_FIRST:], 0.5), "p99": percentile(took[_FIRST:], 0.99)}


def one_by_one(url: str, streams: int, chunks: int) -> float:
    """The CPU seconds of so many runs, read one after the other."""
    readings = [_Reading(url, "text", chunks) for _ in range(streams)]
    return cpu_of(lambda: [reading.parts() for reading in readings])


def crowd(url: str, streams: int, chunks: int) -> Dict[str, float]:
    """The CPU seconds of so many runs that are open at once, each read in a thread of its own; and what else runs."""
    pace = {"crowd": str(uuid4()), "together": streams}
    readings = [_Reading(url, "text", chunks, **pace) for _ in range(streams)]
    done: List[int] = []
    most, before = 0, _threads()

    def read(reading: _Reading) -> None:
        reading.parts()
        done.append(1)

    def read_all() -> None:
        nonlocal most
        readers = [threading.Thread(target=read, args=(reading,)) for reading in readings]
        for reader in readers:
            reader.start()
        while any(reader.is_alive() for reader in readers):
            most = max(most, _threads())
            time.sleep(_GLANCE)

    cpu = cpu_of(read_all)
    return {"cpu": cpu, "complete": len(done), "threads": most - before}


def _threads() -> int:
    """The threads of the system that this process has."""
    return len(os.listdir("/proc/self/task"))
