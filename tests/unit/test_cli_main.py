"""The ``lgsync`` command: its help, its exit codes, and one line for whatever goes wrong."""

from __future__ import annotations

import sys
from typing import Any, Callable, NamedTuple

import pytest

from lgsync import errors
from lgsync._version import version
from lgsync.cli import demo
from lgsync.cli.main import main


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def lgsync(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(*argv: str) -> Ended:
        try:
            code: Any = main(list(argv))
        except SystemExit as exc:
            code = exc.code
        return Ended(code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def demo_raises(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def prepare(error: BaseException) -> None:
        def run(_args: Any) -> int:
            raise error

        monkeypatch.setattr(demo, "run", run)

    return prepare


def test_help_names_the_commands_and_gives_an_example(lgsync):
    ended = lgsync("--help")
    assert ended.code == 0
    assert "demo " in ended.out
    assert "example:\n  lgsync demo\n" in ended.out


def test_help_of_the_demo_explains_every_option_and_ends_with_examples(lgsync):
    out = lgsync("demo", "--help").out
    for option in ("transport", "raw", "interrupt", "url", "assistant", "api-key", "message", "no-color"):
        assert f"--{option}" in out
    assert "LGSYNC_SERVER_PYTHON" in out
    assert out.rstrip().splitlines()[-1].startswith("  lgsync demo --url")
    assert max(len(line) for line in out.splitlines()) <= 80


def test_version_is_that_of_the_package(lgsync):
    assert lgsync("--version") == Ended(0, f"lgsync {version()}\n", "")


@pytest.mark.parametrize("argv", [(), ("nope",), ("demo", "--nope"), ("demo", "--transport", "pigeon")])
def test_what_is_not_understood_shows_the_help_and_exits_with_2(lgsync, argv):
    ended = lgsync(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert "usage: lgsync" in ended.err


@pytest.mark.parametrize("option", ["--assistant", "--api-key"])
def test_an_option_for_ones_own_server_needs_its_url(lgsync, option):
    ended = lgsync("demo", option, "x")
    assert ended.code == 2
    assert ended.err == f"lgsync: {option} is for a server of yours: give its address with --url too\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RunError("the run failed"), 4),
        (errors.ConnectionFailed("no connection", url="http://h"), 5),
        (errors.ConnectionLost("lost", url="http://h"), 5),
        (errors.StreamLost("lost"), 5),
        (errors.ResponseError("no API", url="http://h", status=200), 5),
        (errors.InternalServerError("broken", url="http://h", status_code=500), 5),
        (errors.NotFoundError("no such assistant", url="http://h", status_code=404), 2),
        (errors.ConfigurationError("wrong url"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(lgsync, demo_raises, error, code):
    demo_raises(error)
    ended = lgsync("demo")
    assert ended == Ended(code, "", f"lgsync: {error if str(error) else 'interrupted'}\n")


def test_an_error_of_several_lines_is_told_on_one(lgsync, demo_raises):
    demo_raises(errors.RunError("the run\n\nfailed"))
    assert lgsync("demo").err == "lgsync: the run failed\n"


def test_a_missing_server_is_told_with_the_command_that_installs_it(lgsync, monkeypatch):
    monkeypatch.delenv("LGSYNC_SERVER_PYTHON", raising=False)
    monkeypatch.setattr(demo, "find_spec", lambda _name: None)
    ended = lgsync("demo")
    assert (ended.code, ended.out) == (2, "")
    assert "pip install 'lgsync[demo]'" in ended.err


def test_a_python_too_old_for_the_server_is_told_what_it_needs(lgsync, monkeypatch):
    monkeypatch.delenv("LGSYNC_SERVER_PYTHON", raising=False)
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    ended = lgsync("demo")
    assert (ended.code, ended.out) == (2, "")
    assert "Python 3.11 or later, and this is 3.9" in ended.err


def test_a_server_python_that_cannot_be_run_is_named(lgsync, monkeypatch):
    monkeypatch.setenv("LGSYNC_SERVER_PYTHON", "/nowhere/python")
    ended = lgsync("demo")
    assert ended.code == 2
    assert "LGSYNC_SERVER_PYTHON is '/nowhere/python'" in ended.err


def test_a_missing_rich_is_told_with_the_command_that_installs_it(lgsync, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    ended = lgsync("demo", "--url", "http://localhost:1")
    assert (ended.code, ended.out) == (2, "")
    assert "rich, which is not installed: pip install 'lgsync[demo]'" in ended.err


def test_without_a_terminal_rich_is_not_needed(lgsync, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    ended = lgsync("demo", "--url", "not a url")
    assert "not a url" in ended.err
    assert "rich" not in ended.err
