"""What the tests of the frameworks around need: the example app under gunicorn, and other servers of one's own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ContextManager, Iterator, List, NamedTuple, Optional, Set, Tuple

import requests

from lgsync import Client
from lgsync.testing import FaultProxy

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

_READY_SECONDS = 60.0


class Chat(NamedTuple):
    """The example, served by gunicorn. ``proxy`` stands between it and the LangGraph server."""

    url: str
    proxy: FaultProxy
    client: Client
    gated: str
    silent: str
    nasty: str

    def readers_of(self, run: Any) -> Set[str]:
        """The responses that show the run, as the app has noted them."""
        found = self.client.store.search_items(("chat_readers", run.thread_id, run.run_id))
        return {item.key for item in found.items}


NASTY = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script> "


@contextlib.contextmanager
def running(command: List[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process of one's own, ended by its id; what it writes goes to ``log``."""
    with open(log, "wb") as written:
        started = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, **options)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextlib.contextmanager
def process(command: List[str], ready: str, log: Path, **env: Optional[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The same, a server, once it answers ``ready``."""
    settings = {name: value for name, value in {**os.environ, **env}.items() if value is not None}
    with running(command, log, env=settings) as started:
        deadline = time.monotonic() + _READY_SECONDS
        while not _answers(ready):
            alive = started.poll() is None and time.monotonic() < deadline
            assert alive, log.read_text(errors="replace")
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(0.05)
        yield started


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).status_code < 500
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gunicorn(kind: str, log: Path, **env: Optional[str]) -> Tuple[str, ContextManager[subprocess.Popen[bytes]]]:
    """The example's URL, and its processes, to be entered."""
    port = str(free_port())
    command = [sys.executable, "-m", "gunicorn", "-c", str(EXAMPLES / "flask_chat" / "gunicorn.conf.py")]
    url = f"http://127.0.0.1:{port}"
    return url, process(command, url, log, PORT=port, CHAT_WORKERS=kind, **env)
