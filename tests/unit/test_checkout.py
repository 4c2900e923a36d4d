"""A program that lies in a checkout finds the checkout's lgsync/ before the installed one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# An editable install would find the transports where they are.
PROGRAM = f"""
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
sys.path.insert(0, {str(ROOT)!r})
from lgsync import Client, ConfigurationError
try:
    Client("http://localhost:9")
except ConfigurationError as error:
    print(error)
"""


def test_a_program_in_the_checkout_is_told_why_there_are_no_transports() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert "pip install --editable" in ran.stdout, ran.stderr
