"""What reading a tape costs at least, and what it costs with sseclient-py alone; each function is asked in a worker."""

from __future__ import annotations

import functools
import json
import re
import socket
import threading
import time
from typing import Any, Dict, List
from urllib.parse import urlsplit
from uuid import uuid4

import requests
import sseclient
import urllib3
from pydantic_core import from_json

from .costs import cpu_of, percentile
from .tapes import run_events

_READ = 65536
_FIRST = 20


@functools.cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=512)


@functools.cache
def _session() -> requests.Session:
    return requests.Session()


def _place(url: str) -> str:
    return f"{url}/threads/{uuid4()}/runs/stream"


def _asked(tape: str, chunks: int, **pace: Any) -> Dict[str, Any]:
    modes = ["messages-tuple", "updates"]
    return {"input": {"tape": tape, "chunks": chunks, **pace}, "stream_mode": modes, "stream_resumable": True}


def floor(url: str, tape: str, chunks: int) -> float:
    """urllib3's read1, the bytes split at blank lines, their JSON decoded; nothing else."""
    return cpu_of(lambda: _read(url, tape, chunks))


def one_by_one(url: str, streams: int, chunks: int) -> float:
    """The floor of so many runs, read one after the other."""
    return cpu_of(lambda: [_read(url, "text", chunks) for _ in range(streams)])


def crowd(url: str, streams: int, chunks: int) -> Dict[str, float]:
    """The floor of so many runs that are open at once, each read in a thread of its own."""
    pace = {"crowd": str(uuid4()), "together": streams}
    done: List[int] = []

    def read() -> None:
        _read(url, "text", chunks, **pace)
        done.append(1)

    def read_all() -> None:
        readers = [threading.Thread(target=read) for _ in range(streams)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()

    return {"cpu": cpu_of(read_all), "complete": len(done)}


def _read(url: str, tape: str, chunks: int, **pace: Any) -> None:
    body, headers = json.dumps(_asked(tape, chunks, **pace)), {"content-type": "application/json"}
    answer = _pool().request("POST", _place(url), body=body, headers=headers, preload_content=False)
    seen, rest = 0, b""
    while True:
        data = answer.read1(_READ)
        if not data:
            break
        *frames, rest = (rest + data).split(b"\r\n\r\n")
        for frame in frames:
            from_json(frame.partition(b"data: ")[2].partition(b"\r\n")[0])
            seen += 1
    answer.release_conn()
    assert seen >= chunks, f"{seen} of {chunks} chunks came"


def decoding(size: int) -> float:
    """The JSON alone of a snapshot of this size, which is there already."""
    (event,) = (each for each in run_events("state", size) if each.name == "values")
    return cpu_of(lambda: from_json(event.data))


def sseclient_alone(url: str, tape: str, chunks: int) -> float:
    """sseclient-py over requests, and the standard library's JSON: what its README shows."""

    def read() -> None:
        seen = 0
        with _session().post(_place(url), json=_asked(tape, chunks), stream=True) as answer:
            for event in sseclient.SSEClient(answer).events():
                json.loads(event.data)
                seen += 1
        assert seen >= chunks, f"{seen} of {chunks} chunks came"

    return cpu_of(read)


def latency(url: str, chunks: int, pause: float) -> Dict[str, float]:
    """Milliseconds from the server's sending a token to a bare socket's having read it."""
    host = urlsplit(url)
    body = json.dumps(_asked("clock", chunks, pause=pause)).encode()
    head = f"POST /threads/{uuid4()}/runs/stream HTTP/1.1\r\nhost: {host.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
    took: List[float] = []
    with socket.create_connection((str(host.hostname), int(host.port or 80))) as connection:
        connection.sendall(head.encode() + body)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data = connection.recv(_READ)
            now = time.monotonic_ns()
            took += [(now - int(stamp)) / 1e6 for stamp in re.findall(rb'"content":"(\d{24})"', data)]
    return {"p50": percentile(took[_FIRST:], 0.5), "p99": percentile(took[_FIRST:], 0.99)}
