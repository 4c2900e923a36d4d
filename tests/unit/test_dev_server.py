from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest
import requests
from command_line import HEARS_CTRL_C
from fake_langgraph import fake_python, graph_file

from lgsync import dev_server
from lgsync.dev_server import DevServer
from lgsync.errors import ConfigurationError, ConnectionFailed

pytestmark = pytest.mark.usefixtures("no_leaks")

LONG = 20.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose ``temp`` subfolder is where temporary folders are made."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    yield tmp_path
    assert list((tmp_path / "temp").iterdir()) == [], "a server's folder was left behind"


def build(folder: Path, **options: Any) -> DevServer:
    return DevServer(graph_file(folder), **{"python": fake_python(folder), **options})


def shown(server: DevServer, what: str) -> Any:
    return requests.get(f"{server.url}/{what}", timeout=LONG).json()


class Lifeline:
    """Ends when every process that the server started, itself included, is gone."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lifeline"
        os.mkfifo(self.path)
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.path.read_bytes()
        self._ended.set()

    @property
    def is_cut(self) -> bool:
        self._reader.join(LONG)
        return self._ended.is_set()


def test_a_started_server_answers_at_its_url(folder: Path) -> None:
    with build(folder) as server:
        assert shown(server, "ok") == {"ok": True}
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.pid is not None
        assert f"fake server {server.pid}" in server.log_text()


def test_graph_files_are_given_as_absolute_paths_and_their_folders_are_importable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = fake_python(folder)
    graph_file(folder)
    monkeypatch.chdir(folder)

    with DevServer({"agent": "my_graph.py:graph"}, python=python) as server:
        written = shown(server, "langgraph.json")

    assert written == {"dependencies": [str(folder)], "graphs": {"agent": f"{folder}/my_graph.py:graph"}}


def test_a_graph_of_an_installed_module_is_passed_on_as_it_is(folder: Path) -> None:
    with DevServer({"agent": "my_package.agents:graph"}, python=fake_python(folder)) as server:
        written = shown(server, "langgraph.json")

    assert written == {"dependencies": ["."], "graphs": {"agent": "my_package.agents:graph"}}


def test_config_adds_to_langgraph_json(folder: Path) -> None:
    with build(folder, config={"http": {"disable_mcp": True}}) as server:
        assert shown(server, "langgraph.json")["http"] == {"disable_mcp": True}


def test_no_key_or_setting_of_the_machine_reaches_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "secret")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
    monkeypatch.setenv("LANGGRAPH_AUTH", "{}")

    with build(folder, env={"EXTRA": "given"}) as server:
        environment = shown(server, "environment")

    foreign = {name: value for name, value in environment.items() if name.startswith(("LANG", "EXTRA"))}
    foreign.pop("LANG", None)
    assert foreign == {
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
        "EXTRA": "given",
    }


def test_a_proxy_does_not_stand_between_it_and_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    with build(folder) as server:
        assert server.pid is not None


def test_stop_ends_the_server_and_all_it_started(folder: Path) -> None:
    lifeline = Lifeline(folder)
    server = build(folder, env={"FAKE_FIFO": str(lifeline.path)}).start()

    server.stop()

    assert lifeline.is_cut
    assert server.pid is None


def test_stop_may_be_called_again_and_before_a_start(folder: Path) -> None:
    server = build(folder)
    server.stop()
    server.start()

    server.stop()
    server.stop()

    assert server.pid is None


def test_a_server_that_does_not_hear_sigterm_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev_server, "_STOP_GRACE", 0.05)
    lifeline = Lifeline(folder)
    server = build(folder, env={"FAKE_DEAF": "1", "FAKE_FIFO": str(lifeline.path)}).start()

    server.stop()

    assert lifeline.is_cut


def test_the_log_can_be_read_after_stop(folder: Path) -> None:
    with build(folder) as server:
        pid = server.pid

    assert f"fake server {pid}" in server.log_text()


def test_start_leaves_a_server_that_runs_as_it_is(folder: Path) -> None:
    with build(folder) as server:
        pid = server.pid
        server.start()

        assert server.pid == pid


def test_a_killed_server_restarts_on_its_port_and_in_its_folder(folder: Path) -> None:
    with build(folder) as server:
        url = server.url
        server.kill()
        assert server.pid is None

        server.restart()

        assert server.url == url
        assert shown(server, "starts") == 2


def test_a_forked_child_does_not_stop_its_parents_server(folder: Path) -> None:
    with build(folder) as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0)
        os.waitpid(child, 0)

        assert shown(server, "ok") == {"ok": True}


STARTER = """
import os, sys, tempfile
from lgsync.dev_server import DevServer
tempfile.tempdir = {temp!r}
server = DevServer({graphs!r}, python={python!r}, env={env!r}).start()
print("started", flush=True)
{then}
"""


def run_starter(folder: Path, lifeline: Lifeline, then: str) -> subprocess.CompletedProcess[str]:
    script = STARTER.format(
        temp=str(folder / "temp"),
        graphs=graph_file(folder),
        python=fake_python(folder),
        env={"FAKE_FIFO": str(lifeline.path)},
        then=then,
    )
    command = [sys.executable, "-c", HEARS_CTRL_C + script]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LONG, cwd=folder)


def test_the_end_of_the_interpreter_ends_the_server(folder: Path) -> None:
    lifeline = Lifeline(folder)

    ended = run_starter(folder, lifeline, then="")

    assert (ended.returncode, ended.stdout) == (0, "started\n")
    assert lifeline.is_cut


def test_ctrl_c_ends_the_server(folder: Path) -> None:
    lifeline = Lifeline(folder)

    ended = run_starter(folder, lifeline, then="import signal; signal.raise_signal(signal.SIGINT)")

    assert (ended.returncode, ended.stdout) == (-signal.SIGINT, "started\n")
    assert lifeline.is_cut


def test_a_killed_parent_takes_the_server_with_it(tmp_path: Path) -> None:
    (tmp_path / "temp").mkdir()
    lifeline = Lifeline(tmp_path)

    ended = run_starter(tmp_path, lifeline, then="import signal; os.kill(os.getpid(), signal.SIGKILL)")

    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "started\n")
    assert lifeline.is_cut


def test_a_server_that_ends_at_once_is_told_with_its_status_and_its_log(folder: Path) -> None:
    server = build(folder, env={"FAKE_STATUS": "7"})

    with pytest.raises(
        ConnectionFailed, match=r"ended with status 7 before it answered .*/ok[\s\S]*fake server"
    ) as told:
        server.start()

    assert told.value.url == server.url


def test_a_server_that_stays_silent_is_given_up_and_ended(folder: Path) -> None:
    lifeline = Lifeline(folder)
    server = build(folder, env={"FAKE_SILENT": "1", "FAKE_FIFO": str(lifeline.path)}, ready_timeout=0.5)

    with pytest.raises(ConnectionFailed, match=r"did not answer .*/ok within 0.5 s; pass a longer ready_timeout"):
        server.start()

    assert lifeline.is_cut
    assert server.pid is None


def test_ctrl_c_while_waiting_leaves_no_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(port: int) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(dev_server, "_answers", interrupted)
    lifeline = Lifeline(folder)
    server = build(folder, env={"FAKE_SILENT": "1", "FAKE_FIFO": str(lifeline.path)})

    with pytest.raises(KeyboardInterrupt):
        server.start()

    # Whether it had come to open its end or not, no writer is left: ours, opened and closed, ends the FIFO.
    os.close(os.open(lifeline.path, os.O_RDWR | os.O_NONBLOCK))
    assert server.pid is None


def test_a_python_that_is_too_old_is_told_so(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"needs Python 3.11 or later, and this is .* Pass python="):
        build(folder, python=fake_python(folder / "old", version=(3, 10))).start()


def test_a_python_without_the_server_is_told_what_to_install(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"not installed for .*: pip install 'lgsync\[demo\]'"):
        build(folder, python=fake_python(folder / "bare", installed=False)).start()


def test_an_interpreter_that_does_not_exist_is_told_so(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'/no/such/python' cannot be run: No such file.* Pass python="):
        build(folder, python="/no/such/python").start()


def test_a_taken_port_is_refused(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1 cannot be had: another"):
            build(folder, port=port).start()


def test_a_port_that_is_no_port_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Port 99999 of .* cannot be had: it is no port"):
        build(folder, port=99999).start()


def test_a_port_that_is_not_allowed_is_not_called_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    with pytest.raises(ConfigurationError, match="Port 80 of .* cannot be had: Permission denied. Choose another port"):
        build(folder, port=80).start()


def test_a_server_that_went_to_another_port_is_not_taken_for_ready(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Between the look at the port and its use another process can take it; then that one answers.
    monkeypatch.setattr(dev_server, "_answers", lambda port: True)
    monkeypatch.setattr(DevServer, "log_text", lambda self: "Port 1 is already in use, using port 2 instead.")

    with pytest.raises(ConfigurationError, match="cannot be had"):
        build(folder).start()


@pytest.mark.parametrize("where", ["my_graph.py", ":graph", "my_graph.py:"])
def test_a_graph_must_name_a_file_and_an_attribute(where: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Graph 'agent' must be given as 'path/to/file.py:attribute'"):
        DevServer({"agent": where})


def test_a_graph_file_must_exist() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Graph 'agent' is to be found in .*/nowhere.py, and there is no such"
    ):
        DevServer({"agent": "nowhere.py:graph"})


def test_there_must_be_a_graph() -> None:
    with pytest.raises(ConfigurationError, match="at least one graph"):
        DevServer({})


def test_its_repr_tells_where_and_whether_it_runs(folder: Path) -> None:
    server = build(folder)

    with server:
        assert repr(server) == f"<DevServer {server.url} ['agent'] pid {server.pid}>"
    assert repr(server) == f"<DevServer {server.url} ['agent'] stopped>"
