"""Runs the ``lgsync`` command as a user does: as a process, on a pipe or on a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from langgraph_server import server_python

# A suite that runs in the background ignores Ctrl-C, and what it starts would inherit that.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
_MAIN = HEARS_CTRL_C + "from lgsync.cli.main import main; raise SystemExit(main())"
# A session's leader gets the first terminal that it opens as its own: only then does Ctrl-C reach it.
_ON_TERMINAL = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR)); " + _MAIN


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def run_lgsync(*argv: str, stdin: str = "") -> Ended:
    """Run the command to its end."""
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, *argv],
        input=stdin.encode(),
        capture_output=True,
        env=_environment(),
        timeout=100,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


class Command:
    """The command while it runs, in a process group of its own.

    ``seen`` is what was read of its output, ``errors`` (after ``end()``, and not on a terminal) its standard error.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: int, keyboard: int) -> None:
        self._process = process
        self._output = output
        self._keyboard = keyboard
        self.seen = ""
        self.errors = ""

    @property
    def children(self) -> List[int]:
        """The ids of the processes that it has started."""
        found = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def see(self, text: str) -> None:
        """Read until ``text`` has been written, styles left out."""
        while text not in self.seen:
            assert self._read(), f"{text!r} was not written, but:\n{self.seen}"

    def type(self, keys: str) -> None:
        """Type on its terminal, or into its standard input."""
        os.write(self._keyboard, keys.encode())

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the process alone, or to its whole group as a terminal does."""
        (os.killpg if group else os.kill)(self._process.pid, number)

    def stop_reading(self) -> None:
        """Close the reading end of its output."""
        os.close(self._output)
        self._output = -1

    def end(self) -> int:
        """Read the rest, and return the exit code."""
        while self._output != -1 and self._read():
            pass
        code = self._process.wait(30)
        if self._process.stderr is not None:
            self.errors = self._process.stderr.read().decode()
        return code

    def _read(self) -> bool:
        try:
            data = os.read(self._output, 65536)
        except OSError:  # how a terminal says that its other end is closed
            return False
        self.seen += without_styles(data.decode(errors="replace"))
        return bool(data)


@contextlib.contextmanager
def started(*argv: str) -> Iterator[Command]:
    """The command on pipes."""
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _MAIN, *argv],
        stdin=subprocess.PIPE,
        stdout=write,
        stderr=subprocess.PIPE,
        env=_environment(),
        start_new_session=True,
    ) as process:
        os.close(write)
        assert process.stdin is not None
        with _held(process, read):
            yield Command(process, read, process.stdin.fileno())


@contextlib.contextmanager
def on_terminal(*argv: str, columns: int = 80) -> Iterator[Command]:
    """The command on a terminal of that many columns, which is its controlling terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", _ON_TERMINAL, *argv],
        stdin=its,
        stdout=its,
        stderr=its,
        env=_environment({"TERM": "xterm-256color"}),
        start_new_session=True,
    ) as process:
        os.close(its)
        with _held(process, ours):
            yield Command(process, ours, ours)


@contextlib.contextmanager
def _held(process: subprocess.Popen[bytes], output: int) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        with contextlib.suppress(OSError):
            os.close(output)


def without_styles(text: str) -> str:
    """``text`` without escape sequences, and with the line ends that a program writes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")


def alive(pid: int) -> bool:
    """Whether there is a process of that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _environment(extra: Optional[Dict[str, str]] = None) -> Dict[str, Any]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **(extra or {})}
    # What a test runner says of its own terminal.
    for name in ("COLUMNS", "LINES"):
        environment.pop(name, None)
    # Most commands start no server, and run where none is installed.
    with contextlib.suppress(LookupError):
        environment["LGSYNC_SERVER_PYTHON"] = server_python()
    return environment
