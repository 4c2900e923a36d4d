"""Runs the blocks of a page, in a process of its own: ``python run_page.py STEPS.json``, in an empty folder.

A step is what :class:`pages.Block` says of a block that runs: ``kind``, ``page``, ``line``, ``code``, ``title`` and
``prints``. The first one that fails, or prints something else than its page says, ends the process with code 1.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

_SECONDS = 60

#: Exit codes of ``lgsync`` that are no failure of a page: done, something found wrong, paused.
_TOLD = (0, 1, 3)

_names: Dict[str, Any] = {"__name__": "__main__"}
_given: List[str] = []


def run_python(step: Dict[str, Any]) -> str:
    """Run the code as pasted; a traceback names the page and its lines."""
    code = compile("\n" * (step["line"] - 1) + step["code"], step["page"], "exec")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(code, _names)
    return said.getvalue()


def keep(step: Dict[str, Any]) -> str:
    """Run what a reader is expected to have; the tests of the page have it too."""
    _given.append(step["code"])
    return run_python(step)


def run_tests(step: Dict[str, Any]) -> str:
    """Run the tests in the block, which is a file of its own."""
    file = Path(step["title"] or f"test_line_{step['line']}.py")
    file.write_text("\n\n".join([*_given, step["code"]]), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    if "(recording)" in step["code"]:
        _output([*command, "--lgsync-record"])
    return _output(command)


def write_file(step: Dict[str, Any]) -> str:
    """Put the block where its title says."""
    Path(step["title"]).write_text(step["code"], encoding="utf-8")
    return ""


def run_shell(step: Dict[str, Any]) -> str:
    """Run the commands in one shell that ends at the first failure."""
    return _output(["bash", "-euo", "pipefail", "-c", step["code"]])


def run_console(step: Dict[str, Any]) -> str:
    """Run each command, and compare what it prints, errors too, with what is shown behind it."""
    for shown in re.split(r"^\$ ", step["code"], flags=re.MULTILINE)[1:]:
        command, _, prints = shown.partition("\n")
        ran = subprocess.run(
            ["bash", "-uo", "pipefail", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=_SECONDS,
        )
        if ran.returncode not in _TOLD:
            raise AssertionError(f"{command} ended with code {ran.returncode}; it had printed:\n{ran.stdout}")
        if prints.strip() and not fits(prints, ran.stdout):
            raise AssertionError(f"the page says that {command} prints\n{prints}\nbut it printed\n{ran.stdout}")
    return ""


def _output(command: List[str]) -> str:
    ran = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", timeout=_SECONDS)
    if ran.returncode != 0:
        raise AssertionError(f"{command[0]} ended with code {ran.returncode}; it had printed:\n{ran.stdout}")
    return ran.stdout


_WAYS: Dict[str, Callable[[Dict[str, Any]], str]] = {
    "python": run_python,
    "given": keep,
    "pytest": run_tests,
    "file": write_file,
    "bash": run_shell,
    "console": run_console,
}


def fits(shown: str, said: str) -> bool:
    """Whether a page's text shows what was said; an ellipsis stands for anything."""
    pattern = ".*?".join(re.escape(piece) for piece in shown.strip().split("…"))
    return re.fullmatch(pattern, said.strip(), re.DOTALL) is not None


def run(steps: List[Dict[str, Any]]) -> Optional[str]:
    """Run the steps; returns what is wrong, if something is."""
    for step in steps:
        place = f"{step['page']}:{step['line']}"
        try:
            said = _WAYS[step["kind"]](step)
        except Exception:
            return f"{place}: this block failed\n{traceback.format_exc()}"
        if step["prints"] is not None and not fits(step["prints"], said):
            return f"{place}: the page says that this prints\n{step['prints']}\nbut it printed\n{said}"
    return None


if __name__ == "__main__":
    sys.exit(run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
