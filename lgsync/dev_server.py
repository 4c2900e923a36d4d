"""A LangGraph dev server of one's own: started, waited for, stopped.

It is ``langgraph dev`` with the graphs asked for, on a loopback port, in a temporary folder and a session of its own.
It asks for no key, calls no other host, and does not outlive the process that started it::

    with DevServer({"agent": "./my_agent.py:graph"}) as server:
        client = Client(server.url)
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from .errors import ConfigurationError, ConnectionFailed

__all__ = ["DevServer"]

_HOST = "127.0.0.1"
_LOG_NAME = "server.log"
_LOG_TAIL = 4000
_POLL = 0.05
_STOP_GRACE = 5.0
_UNUSABLE = 78
_TAKEN = "another program uses it"

# Standard input is a pipe whose other end is the parent's: its end says that the parent has gone, however it went.
_LAUNCHER = f"""
import os, signal, sys, threading, time
def unusable(reason):
    sys.stderr.write(reason)
    sys.stderr.flush()
    os._exit({_UNUSABLE})
if sys.version_info < (3, 11):
    unusable("The LangGraph dev server needs Python 3.11 or later, and this is %s (%s). "
             "Pass python= the path of a later one." % (sys.version.split()[0], sys.executable))
from importlib.util import find_spec
if not (find_spec("langgraph_cli") and find_spec("langgraph_api")):
    unusable("The LangGraph dev server is not installed for %s. "
             "Install it there: pip install 'lgsync[demo]'" % sys.executable)
def follow_parent():
    while os.read(0, 1):
        pass
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGTERM)
        time.sleep({_STOP_GRACE})
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
threading.Thread(target=follow_parent, name="follow-parent", daemon=True).start()
from langgraph_cli.cli import cli
sys.argv[0] = "langgraph"
cli()
"""


class DevServer:
    """A LangGraph dev server that serves ``graphs`` and lives as long as its ``with`` block, at most as this process.

    ``graphs`` maps a graph's name to where it is defined: ``"path/to/file.py:attribute"`` (relative to the current
    folder) or ``"package.module:attribute"``. ``python`` is the interpreter that has ``langgraph-cli[inmem]``
    installed. ``port`` of None takes a free one. ``jobs`` runs go on at the same time. ``env`` is added to the
    server's environment, from which keys and settings for LangGraph and LangSmith were removed. ``config`` is added to
    its ``langgraph.json`` (paths in it must be absolute). The server must answer within ``ready_timeout`` seconds.

    Raises ConfigurationError if ``graphs``, ``python`` or ``port`` cannot be used. Every method may be called from any
    thread.
    """

    def __init__(
        self,
        graphs: Mapping[str, str],
        *,
        python: str = sys.executable,
        port: Optional[int] = None,
        jobs: int = 10,
        env: Optional[Mapping[str, str]] = None,
        config: Optional[Mapping[str, Any]] = None,
        ready_timeout: float = 60.0,
    ) -> None:
        self._graphs = {name: _located(name, where) for name, where in graphs.items()}
        if not self._graphs:
            raise ConfigurationError("DevServer needs at least one graph: {'agent': './agent.py:graph'}")
        self._python = python
        self._jobs = jobs
        self._environment = _environment(env or {})
        self._config = dict(config or {})
        self._ready_timeout = ready_timeout
        self._lock = threading.RLock()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._folder: Optional[Path] = None
        self._last_log = ""
        self._owner = os.getpid()
        self.port: int = _free_port() if port is None else port

    @property
    def url(self) -> str:
        """The base URL, for ``Client(server.url)``."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> Optional[int]:
        """The server's process id (and that of its process group); None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> DevServer:
        """Start the server and return once ``GET /ok`` answers; a server that runs is left as it is.

        Raises ConfigurationError if it cannot run here (not installed, Python too old, port taken), ConnectionFailed
        if it ended or stayed silent; both with the end of its log.
        """
        with self._lock:
            if self.pid is not None:
                return self
            _require_free(self.port)
            try:
                self._spawn()
                self._wait_until_ready()
            except BaseException:
                self.stop()
                raise
            return self

    def stop(self) -> None:
        """End the server (SIGTERM, after a few seconds SIGKILL) and remove its folder; again does nothing."""
        if os.getpid() != self._owner:
            return  # a forked child runs the parent's exit handlers too, and the server is not its own
        with self._lock:
            self._end(signal.SIGTERM)
            self._last_log = self.log_text()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
            atexit.unregister(self.stop)

    def kill(self) -> None:
        """End the server at once (SIGKILL), as a crash would; its folder stays for ``restart()``."""
        with self._lock:
            self._end(signal.SIGKILL)

    def restart(self) -> DevServer:
        """Stop the server if it runs and start it again on the same port, with what it kept in its folder."""
        with self._lock:
            self._end(signal.SIGTERM)
            return self.start()

    def log_text(self) -> str:
        """What the server has written so far; after ``stop()``, what it had written."""
        folder = self._folder
        if folder is None:
            return self._last_log
        try:
            return (folder / _LOG_NAME).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return self._last_log

    def __enter__(self) -> DevServer:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self.pid is None else f"pid {self.pid}"
        return f"<DevServer {self.url} {sorted(self._graphs)} {state}>"

    def _spawn(self) -> None:
        folder = self._folder = self._folder or Path(tempfile.mkdtemp(prefix="lgsync-dev-"))
        atexit.register(self.stop)
        (folder / "langgraph.json").write_text(json.dumps(self._langgraph_json()), encoding="utf-8")
        with open(folder / _LOG_NAME, "ab") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the interpreter is the caller's choice
                    self._command(),
                    cwd=folder,
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as exc:
                raise ConfigurationError(
                    f"The dev server's interpreter {self._python!r} cannot be run: {exc.strerror}. "
                    "Pass python= the path of a Python that has langgraph-cli[inmem]."
                ) from exc

    def _command(self) -> List[str]:
        options = ["--no-browser", "--no-reload", "--host", _HOST, "--port", str(self.port)]
        return [self._python, "-c", _LAUNCHER, "dev", *options, "--n-jobs-per-worker", str(self._jobs)]

    def _langgraph_json(self) -> Dict[str, Any]:
        # The folders of the graphs are put on the server's sys.path, so that a graph can import its neighbours.
        files = [Path(where.rpartition(":")[0]) for where in self._graphs.values()]
        folders = sorted({str(file.parent) for file in files if file.is_absolute()})
        return {"dependencies": folders or ["."], "graphs": self._graphs, **self._config}

    def _wait_until_ready(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + self._ready_timeout
        while not _answers(self.port):
            if process.poll() is not None:
                raise self._early_end(process.returncode)
            if time.monotonic() > deadline:
                raise ConnectionFailed(
                    f"The dev server did not answer {self.url}/ok within {self._ready_timeout:g} s; "
                    f"pass a longer ready_timeout, or see the end of its log:\n{self._log_tail()}",
                    url=self.url,
                )
            time.sleep(_POLL)
        if "already in use, using port" in self.log_text():
            raise _no_port(self.port, _TAKEN)

    def _early_end(self, status: int) -> Exception:
        if status == _UNUSABLE:
            return ConfigurationError(self._log_tail())
        return ConnectionFailed(
            f"The dev server ended with status {status} before it answered {self.url}/ok; "
            f"see the end of its log:\n{self._log_tail()}",
            url=self.url,
        )

    def _log_tail(self) -> str:
        return self.log_text()[-_LOG_TAIL:].strip() or "(the log is empty)"

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process, how)
        try:
            process.wait(_STOP_GRACE)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        _signal_group(process, signal.SIGKILL)  # what it may have left of its group
        assert process.stdin is not None
        process.stdin.close()


def _located(name: str, where: str) -> str:
    path, colon, attribute = where.rpartition(":")
    if not (path and colon and attribute):
        raise ConfigurationError(f"Graph {name!r} must be given as 'path/to/file.py:attribute', not {where!r}")
    if not path.endswith(".py"):
        return where
    file = Path(path).resolve()
    if not file.is_file():
        raise ConfigurationError(f"Graph {name!r} is to be found in {file}, and there is no such file")
    return f"{file}:{attribute}"


def _environment(extra: Mapping[str, str]) -> Dict[str, str]:
    foreign = ("LANGGRAPH_", "LANGSMITH_", "LANGCHAIN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    quiet = {
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
        "LOG_COLOR": "false",
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **quiet, **extra}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _require_free(port: int) -> None:
    # The server itself would silently take another port.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OverflowError as exc:
            raise _no_port(port, "it is no port, which goes up to 65535") from exc
        except OSError as exc:
            taken = exc.errno == errno.EADDRINUSE
            raise _no_port(port, _TAKEN if taken else str(exc.strerror)) from exc


def _no_port(port: int, why: str) -> ConfigurationError:
    return ConfigurationError(f"Port {port} of {_HOST} cannot be had: {why}. Choose another port")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=5.0)
    try:
        connection.request("GET", "/ok")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _signal_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    # On Windows there are no process groups to signal; the server has no children there either.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, how)
        else:
            process.terminate()
