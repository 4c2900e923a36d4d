"""A program that lies in a checkout finds the checkout's lgsync/ before the installed one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# An editable install would find the transports where they are.
PROGRAM = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
sys.path.insert(0, {checkout!r})
import lgsync
assert lgsync.__file__.startswith({checkout!r})
try:
    print(lgsync.Client("http://localhost:9").transport.name)
except lgsync.ConfigurationError as error:
    print(error)
"""


def what_is_said_in(checkout: Path) -> str:
    program = PROGRAM.format(checkout=str(checkout))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=checkout)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_a_program_in_the_checkout_finds_the_transports() -> None:
    assert what_is_said_in(ROOT) == "sse"


def test_where_links_cannot_be_checked_out_it_is_told_why_there_are_no_transports(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "lgsync", tmp_path / "lgsync", ignore=shutil.ignore_patterns("transports", "__pycache__"))
    assert "pip install --editable" in what_is_said_in(tmp_path)
