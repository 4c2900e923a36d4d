"""The ``lgsync`` command, called within the test's own process."""

from __future__ import annotations

import io
from typing import Any, Callable, NamedTuple

import pytest

from lgsync.cli.main import main


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def lgsync(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run ``lgsync(*argv, stdin="…")`` to its end."""
    for name in ("LANGGRAPH_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv: str, stdin: str = "") -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        try:
            code: Any = main(list(argv))
        except SystemExit as exc:
            code = exc.code
        return Ended(code or 0, *capsys.readouterr())

    return run
