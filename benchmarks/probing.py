"""Asking a client one question in a process of its own, and never waiting for ever for the answer."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional

__all__ = ["Attempt", "Gate", "at_once", "attempt", "collect", "held", "lines", "poll", "run_probe", "shortened"]

ROOT = Path(__file__).resolve().parents[1]
#: What a whole probe may take; the steps in it that may hang have shorter limits of their own.
PROBE_LIMIT = 60.0

# The checkout comes last on the path: its lgsync/ would hide an installed package.
_CHILD = """
import os, sys
sys.path.append(sys.argv[1])
from importlib import import_module
answer = getattr(import_module("benchmarks." + sys.argv[2]), sys.argv[3])(sys.argv[4])
sys.stdout.write("\\0" + answer)
sys.stdout.flush()
os._exit(0)
"""


def run_probe(module: str, name: str, url: str, folder: str) -> str:
    """What the probe of that name says of its client, against the server at ``url``; its files go into ``folder``."""
    command = [sys.executable, "-W", "ignore", "-c", _CHILD, str(ROOT), module, name, url]
    try:
        done = subprocess.run(
            command, cwd=folder, env={**_quiet(), "TMPDIR": folder}, capture_output=True, text=True, timeout=PROBE_LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_LIMIT:g} s"
    if done.returncode:
        raise RuntimeError(f"The probe {module}.{name} failed:\n{done.stderr}")
    return done.stdout.rpartition("\0")[2]


def _quiet() -> Dict[str, str]:
    foreign = ("LANGGRAPH_", "LANGSMITH_", "LANGCHAIN_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


class Attempt:
    """How a call went: ``seconds`` it took, and its ``value``, its ``error``, or neither if it did not return."""

    def __init__(self, limit: float) -> None:
        self._ended = threading.Event()
        self._began = time.monotonic()
        self.limit = limit
        self.seconds = limit
        self.ended_at = self._began + limit
        self.value: Any = None
        self.error: Optional[BaseException] = None

    def make(self, call: Callable[[], Any]) -> None:
        try:
            self.value = call()
        except Exception as exc:  # noqa: BLE001 - which one it is, is the fact that is sought
            self.error = exc
        self.ended_at = time.monotonic()
        self.seconds = self.ended_at - self._began
        self._ended.set()

    def wait(self) -> Attempt:
        self._ended.wait(self.limit)
        return self

    @property
    def returned(self) -> bool:
        return self._ended.is_set()

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if not self.returned:
            return f"had not returned after {self.limit:g} s"
        return f"raised `{type(self.error).__name__}`" if self.error is not None else "ended without an error"


def attempt(call: Callable[[], Any], limit: float, *, wait: bool = True) -> Attempt:
    """Make a call in a thread of its own and wait for it, at most ``limit`` seconds."""
    made = Attempt(limit)
    threading.Thread(target=made.make, args=(call,), daemon=True).start()
    return made.wait() if wait else made


def at_once(*calls: Callable[[], str]) -> List[str]:
    """Make several calls at the same time; their answers, in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def collect(items: Iterable[Any], into: List[Any]) -> None:
    """Put each item into a list as it comes, for another thread to see."""
    for item in items:
        into.append(item)


def poll(happened: Callable[[], Any], limit: float) -> bool:
    """Wait, at most ``limit`` seconds, for what no event tells."""
    deadline = time.monotonic() + limit
    while not happened() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return bool(happened())


class Gate:
    """Holds a run's model after its first ``tokens`` tokens; ``config`` goes into the run's configuration."""

    def __init__(self, tokens: int, of: int) -> None:
        self._file = Path(tempfile.mkstemp(prefix="lgsync-gate-")[1])
        self._file.write_text(str(tokens))
        self._lock = threading.Lock()
        self.config = {"configurable": {"gate": str(self._file), "tokens": of, "delay": 0}}

    def open(self) -> None:
        """Let the model go on; from any thread, any number of times."""
        with self._lock:
            # Replaced in one step: the server must never read half a number.
            written = self._file.with_suffix(".new")
            written.write_text("1000000")
            written.replace(self._file)


@contextlib.contextmanager
def held(tokens: int, of: int) -> Iterator[Gate]:
    """A gate, open at the end so that no run is left waiting."""
    gate = Gate(tokens, of)
    try:
        yield gate
    finally:
        gate.open()


def shortened(error: Optional[BaseException], *, at: int = 90) -> str:
    """The first line of an error's text, at most so long."""
    text = (str(error).splitlines() or [""])[0]
    return text if len(text) <= at else text[: at - 1].rstrip() + "…"


def lines(*said: str) -> str:
    """Several answers in one cell of a table."""
    kept: List[str] = [one for one in said if one]
    return "<br>".join(kept)
