"""How much memory a client needs at most: measured in a process of its own, while the test itself plays the server."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from typing import Iterator

from rawserver import PATIENCE

__all__ = ["MIB", "Reader", "flood", "reader_of"]

MIB = 1024 * 1024

_SCRIPT = """
import re, resource, sys
from lgsync.errors import LgsyncError
from lgsync.transport import RunStart, Timeout, TransportConfig, resolve

def peak():
    if sys.platform == "linux":
        # What getrusage() tells begins with the peak of the process that started this one.
        return int(re.search("VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def read():
    try:
        return next(source, None)
    except LgsyncError as exc:
        return type(exc).__name__

transport = resolve(sys.argv[1], TransportConfig(sys.argv[2], timeout=Timeout(20, 20)))
source = transport.open_run(RunStart(sys.argv[3], {"assistant_id": "agent", "stream_mode": ["values"]}))
before, first = peak(), read()
print(first if isinstance(first, str) else "a part", flush=True)
# Until the test closes its end, nothing is read.
sys.stdin.read()
print(peak() - before, flush=True)
source.close()
transport.close()
"""


class Reader:
    """A process that has opened a run, reads one part of it, and then nothing more until :meth:`growth` is asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def first(self) -> str:
        """``"a part"`` once one was read, or the name of the error that came instead."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def growth(self) -> int:
        """By how many bytes its memory grew at most, since before it read the first part."""
        out, _ = self._process.communicate(timeout=6 * PATIENCE)
        return int(out)


@contextlib.contextmanager
def reader_of(transport: str, url: str, thread_id: str) -> Iterator[Reader]:
    """Start such a process; it is stopped at the end in any case."""
    command = [sys.executable, "-c", _SCRIPT, transport, url, thread_id]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield Reader(process)
        finally:
            process.kill()


def flood(sock: socket.socket, data: bytes, times: int) -> int:
    """Send ``data`` so many times, or until the other side leaves or takes nothing for a second; gives what it took."""
    sent = 0
    for _ in range(times):
        rest = memoryview(data)
        while rest:
            try:
                if not select.select([], [sock], [], 1.0)[1]:
                    return sent
                taken = sock.send(rest, socket.MSG_DONTWAIT)
            except (OSError, ValueError):
                # The other side has left, and the socket may be closed by now.
                return sent
            sent, rest = sent + taken, rest[taken:]
    return sent
