"""A process that does what it is asked for, one thing after the other, and whose CPU time is that of one client."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Type

__all__ = ["MissingPeer", "Worker"]

#: Seconds after which what is asked has hung.
LIMIT = 120.0

#: What is measured against, where it is installed.
PEERS = ("gevent", "langchain_core", "langgraph_sdk")

_ROOT = Path(__file__).resolve().parents[2]
_FOREIGN = ("LANGGRAPH_", "LANGSMITH_", "LANGCHAIN_")
_GREEN = "from gevent import monkey; monkey.patch_all(); "
# The checkout comes last on the path: its lgsync/ would hide an installed package.
_CHILD = "import sys; sys.path.append(sys.argv[1]); from benchmarks.speed.worker import main; main(sys.argv[2])"


class MissingPeer(Exception):
    """What is to be measured against is not installed."""


class Worker:
    """A process that answers for ``benchmarks.<module>``; with ``green``, on greenlets (gevent's) from its start.

    Use it as a context manager. It starts when first asked.
    """

    def __init__(self, module: str, *, green: bool = False) -> None:
        self._module = module
        self._green = green
        self._process: Optional[subprocess.Popen[str]] = None

    def ask(self, function: str, **arguments: Any) -> Any:
        """What that function of the module answers; raises RuntimeError if it fails, MissingPeer if it cannot load."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        guard = threading.Timer(LIMIT, process.kill)
        guard.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps([function, arguments]), file=process.stdin, flush=True)
            line = process.stdout.readline()
        finally:
            guard.cancel()
        answer = json.loads(line) if line else {"failed": f"no answer within {LIMIT:g} s, or its process ended"}
        if "missing" in answer:
            raise MissingPeer(answer["missing"])
        if "failed" in answer:
            raise RuntimeError(f"{self._module}.{function}({arguments}): {answer['failed']}")
        return answer["value"]

    def _start(self) -> subprocess.Popen[str]:
        if self._green and importlib.util.find_spec("gevent") is None:
            raise MissingPeer("gevent")
        code = (_GREEN if self._green else "") + _CHILD
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(_ROOT), self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tempfile.gettempdir(),
            env={name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def main(name: str) -> None:
    """Answer the questions that come on standard input, one a line."""
    # What a client prints must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        function, arguments = json.loads(line)
        try:
            answer = {"value": getattr(import_module(f"benchmarks.{name}"), function)(**arguments)}
        except Exception as exc:  # noqa: BLE001 - told to whoever asked
            answer = (
                {"missing": str(getattr(exc, "name", ""))} if _of_a_peer(exc) else {"failed": traceback.format_exc()}
            )
        print(json.dumps(answer), file=answers, flush=True)


def _of_a_peer(error: Exception) -> bool:
    """Whether a module is not there that need not be there."""
    return isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in PEERS
