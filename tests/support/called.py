"""The ``lgsync`` command, called within the test's own process: for what needs no process of its own."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import pytest

__all__ = ["Ended", "Lgsync"]


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Lgsync:
    """Runs ``lgsync(*argv, stdin="…")`` to its end."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *argv: str, stdin: str = "") -> Ended:
        from lgsync.cli.main import main

        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        try:
            code: Any = main(list(argv))
        except SystemExit as exc:
            code = exc.code
        return Ended(code or 0, *self._capsys.readouterr())
