"""The ``lgsync`` command: its help, its exit codes, and one line for whatever goes wrong."""

from __future__ import annotations

import io
import logging
import re
import socket
import subprocess
import sys
from typing import Any, Callable, Optional

import pytest
from small_server import THREAD, SmallServer, as_json

from lgsync import errors
from lgsync._version import version
from lgsync.cli import demo
from lgsync.cli.render import Screen

GROUPS = ["threads", "runs", "assistants"]
ALL = [
    *("demo", "chat", "stream", "join", "graph", "record", "replay", "doctor", "completion"),
    *GROUPS,
    *(f"{group} {verb}" for group in GROUPS for verb in ("ls", "show", "rm")),
]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def demo_raises(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def prepare(error: BaseException) -> None:
        def run(*_args: Any) -> int:
            raise error

        monkeypatch.setattr(demo, "run", run)

    return prepare


def test_help_names_the_commands_and_gives_an_example(lgsync):
    ended = lgsync("--help")
    assert ended.code == 0
    for name in ALL:
        assert f"\n  {name.split()[0]} " in ended.out
    assert "Examples:\n    lgsync demo\n" in ended.out


@pytest.mark.parametrize("name", ALL)
def test_help_of_every_command_fits_a_terminal_and_ends_with_an_example(lgsync, name):
    ended = lgsync(*name.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"\n  Examples?:\n(    \S.*\n)+$", ended.out)
    assert max(len(line) for line in ended.out.splitlines()) <= 80


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("completion", *GROUPS)])
def test_every_command_has_the_common_options(lgsync, name):
    out = lgsync(*name.split(), "--help").out
    for option in ("--url", "--api-key", "--transport", "--timeout", "--json", "--no-color", "--debug"):
        assert f"\n  {option} " in out


def test_help_of_lgsync_imports_no_command():
    show = "import sys; from lgsync.cli.main import main; main(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", show], stdout=subprocess.PIPE, check=True)
    modules = done.stdout.decode().splitlines()[-1]
    for module in ("lgsync.cli.demo", "lgsync.cli.chat", "lgsync.models", "rich"):
        assert f"'{module}'" not in modules


def test_without_click_one_line_says_how_to_install_it(lgsync, monkeypatch):
    monkeypatch.setitem(sys.modules, "click", None)
    ended = lgsync("--help")
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(r"lgsync: [^\n]*click, which is not installed: pip install 'lgsync\[cli\]'[^\n]*\n", ended.err)


def test_a_demo_that_is_refused_leaves_no_thread(lgsync):
    refused = as_json({"detail": "Assistant 'nobody' not found"}, 404)
    routes = {("POST", "/threads"): as_json({"thread_id": THREAD}), ("POST", "/runs/stream"): refused}
    with SmallServer({**routes, ("DELETE", ""): as_json({})}) as server:
        ended = lgsync("demo", "--url", server.url, "--assistant", "nobody")
        (made,) = [asked.body["thread_id"] for asked in server.asked if asked.path == "/threads"]
        assert server.paths("DELETE") == [f"/threads/{made}"]
    assert ended.code == 2
    assert "'nobody'" in ended.err


def test_help_of_the_demo_explains_every_option_and_ends_with_examples(lgsync):
    out = lgsync("demo", "--help").out
    for option in ("transport", "raw", "interrupt", "url", "assistant", "api-key", "message", "no-color"):
        assert f"--{option}" in out
    assert "LGSYNC_SERVER_PYTHON" in out
    assert out.rstrip().splitlines()[-1].startswith("    lgsync demo --url")


def test_version_is_that_of_the_package(lgsync):
    assert lgsync("--version") == (0, f"lgsync {version()}\n", "")


@pytest.mark.parametrize("argv", [(), ("nope",), ("demo", "--nope"), ("demo", "--transport", "pigeon")])
def test_what_is_not_understood_shows_the_help_and_exits_with_2(lgsync, argv):
    ended = lgsync(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: lgsync" in ended.err


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
    assert ended == (code, "", f"lgsync: {error if str(error) else 'interrupted'}\n")


def test_debug_shows_the_traceback_and_no_other_way_does(lgsync, demo_raises):
    demo_raises(errors.RunError("the run failed"))
    assert "Traceback" not in lgsync("demo").err
    shown = lgsync("demo", "--debug").err
    assert "Traceback" in shown
    assert shown.endswith("lgsync: the run failed\n")


def test_a_fault_of_lgsync_itself_is_one_line_too(lgsync, demo_raises):
    demo_raises(KeyError("thing"))
    ended = lgsync("demo")
    assert ended.code == 1
    assert re.fullmatch(r"lgsync: this is an error of lgsync itself \(KeyError: 'thing'\); --debug [^\n]*\n", ended.err)


def test_control_characters_in_an_error_do_not_reach_the_terminal(lgsync, demo_raises):
    demo_raises(errors.RunError("the \x1b[31mrun\x9b31m failed"))
    assert lgsync("demo").err == "lgsync: the [31mrun31m failed\n"


def test_control_characters_in_a_traceback_do_not_reach_the_terminal(lgsync, demo_raises):
    demo_raises(errors.RunError("the \x1b[31mrun\x9b31m failed"))
    err = lgsync("demo", "--debug").err
    assert "Traceback" in err
    assert not CONTROL.search(err)


@pytest.mark.parametrize("options", [(), ("--debug",)])
def test_control_characters_in_the_log_do_not_reach_the_terminal(lgsync, monkeypatch, options):
    def run(*_args: Any) -> int:
        logging.getLogger("lgsync.run_reader").warning("the server says: %s", "\x1b]0;title\x07\x9b31m")
        return 0

    monkeypatch.setattr(demo, "run", run)
    err = lgsync("demo", *options).err
    assert err.endswith("the server says: ]0;title31m\n")
    assert not CONTROL.search(err)


def test_a_warning_is_one_line_that_names_the_command(lgsync, monkeypatch):
    monkeypatch.setattr(demo, "run", lambda *_: logging.getLogger("lgsync.wsgi").warning("two\nlines") or 0)
    assert lgsync("demo").err == "lgsync: two lines\n"
    assert logging.getLogger("lgsync").handlers == []


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
    assert "rich, which is not installed: pip install 'lgsync[cli]'" in ended.err


def test_without_a_terminal_rich_is_not_needed(lgsync, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    ended = lgsync("demo", "--url", "not a url")
    assert "not a url" in ended.err
    assert "rich" not in ended.err


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e400", "-1", "0", "3e6", "soon"])
@pytest.mark.parametrize("option", ["--timeout", "--wait"])
def test_seconds_that_cannot_be_waited_for_are_refused(lgsync, option, seconds):
    ended = lgsync("doctor", option, seconds)
    assert (ended.code, ended.out) == (2, "")
    assert f"Invalid value for '{option}'" in ended.err


def test_a_url_that_cannot_be_read_is_told(lgsync):
    ended = lgsync("threads", "ls", "--url", "http://[::1")
    assert (ended.code, ended.out) == (2, "")
    assert "http://[::1" in ended.err
    assert lgsync("doctor", "--url", "http://[::1").code == 1


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        ("stream agent - <&-", 2, "Standard input was empty"),
        ("threads rm x <&-", 2, "say --yes"),
        ("chat agent --url http://[::1 <&-", 2, "http://[::1"),
        ("--help >&-", 0, ""),
        ("completion bash >&-", 0, ""),
        ("stream agent - 2>&-", 2, ""),
    ],
)
def test_what_is_closed_is_as_if_it_were_empty(typed, code, told):
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m lgsync {typed}', sys.executable],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr.decode()
    assert "error of lgsync itself" not in done.stderr.decode()


class DyingServer:
    """A demo's server that is killed once it is asked for the second time whether it lives."""

    url = "http://localhost:2024"

    def __init__(self, *lives: Optional[int]) -> None:
        self._lives = iter(lives)

    @property
    def pid(self) -> Optional[int]:
        return next(self._lives, None)


def test_a_kept_server_that_has_ended_is_told(monkeypatch):
    monkeypatch.setattr(demo, "_LOOK_SECONDS", 0.01)
    out = io.StringIO()
    server: Any = DyingServer(17, 17)
    with pytest.raises(errors.ConnectionFailed, match="The server has ended"):
        demo._keep(Screen(out, io.StringIO()), server)
    assert "until Ctrl-C" in out.getvalue()


def test_a_port_that_is_taken_names_the_option(lgsync, monkeypatch):
    monkeypatch.setenv("LGSYNC_SERVER_PYTHON", sys.executable)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = lgsync("demo", "--keep", "--port", port)
    assert ended.code == 2
    assert f"Port {port} " in ended.err
    assert ended.err.endswith("another program uses it. Choose another one with --port\n")


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none_is_wrong_usage(lgsync, port):
    ended = lgsync("demo", "--keep", "--port", port)
    assert (ended.code, ended.out) == (2, "")
    assert "Invalid value for '--port'" in ended.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["strem", "agent"], "there is no command 'strem'; did you mean stream?"),
        (["threads", "ls", "--url", ""], "'--url': it is empty"),
        (["threads", "ls", "--transport", "replay"], "lgsync replay shows a recording"),
        (["record", "agent", "hi", "-o", ""], "--output is empty: name a file"),
        (["record", "agent", "hi", "--force", "-o", "."], ". is a directory: name a file"),
    ],
)
def test_a_mistake_is_answered_with_what_is_right(lgsync, argv, says):
    ended = lgsync(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


def test_transports_that_need_more_than_a_name_are_not_offered(lgsync):
    err = lgsync("threads", "ls", "--transport", "pigeon").err
    assert "there are: sse, websocket;" in err


@pytest.mark.parametrize("argv", [("stream", "agent", "hi", "--thread", "nope"), ("join", "nope")])
@pytest.mark.parametrize(
    ("status", "detail"), [(404, "Thread or assistant not found."), (422, "Invalid thread ID: must be a UUID")]
)
def test_a_thread_that_is_not_there_is_told_with_the_command_that_lists_them(lgsync, argv, status, detail):
    refused = as_json({"detail": detail}, status)
    with SmallServer({("POST", "/stream"): refused, ("GET", "/runs"): refused}) as server:
        ended = lgsync(*argv, "--url", server.url)
    assert ended.code == 2
    assert ended.err.endswith("lgsync threads ls lists the threads\n")


def test_a_graph_that_is_not_there_is_not_taken_for_a_thread(lgsync):
    refused = as_json({"detail": "Invalid assistant: 'x'. Must be a valid assistant UUID"}, 422)
    with SmallServer({("POST", "/stream"): refused}) as server:
        assert "threads ls" not in lgsync("stream", "x", "hi", "--thread", "t", "--url", server.url).err
