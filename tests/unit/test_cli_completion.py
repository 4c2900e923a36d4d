"""Shell completion: the scripts, in their shells where these are installed, and what they are given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rawserver import refused_port
from small_server import SmallServer, as_json


@pytest.fixture
def complete(lgsync, monkeypatch):
    """The words that a shell is given for what was typed, of which the last is to be completed."""

    def words(typed: str):
        monkeypatch.setenv("_LGSYNC_COMPLETE", "zsh_complete")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
        return lgsync().out.splitlines()[1::3]

    return words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_that_of_the_shell(lgsync, shell):
    ended = lgsync("completion", shell)
    assert ended.code == 0
    assert f"_LGSYNC_COMPLETE={shell}_complete" in ended.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_reads_its_script(lgsync, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = lgsync("completion", shell).out
    done = subprocess.run([shell, "-n"], input=script.encode(), capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_a_command(lgsync, tmp_path: Path) -> None:
    command = tmp_path / "lgsync"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lgsync "$@"\n')
    command.chmod(0o755)
    script = lgsync("completion", "bash").out
    asked = 'COMP_WORDS=(lgsync threads s); COMP_CWORD=2; _lgsync_completion lgsync; echo "${COMPREPLY[@]}"'
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{asked}"], capture_output=True, timeout=60, env=environment, cwd=tmp_path
    )
    assert done.stdout.decode().strip() == "show"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("lgsync th", ["threads"]),
        ("lgsync threads s", ["show"]),
        ("lgsync stream agent --form", ["--format"]),
        ("lgsync stream agent --format p", ["parts"]),
        ("lgsync stream agent --transport w", ["websocket"]),
        ("lgsync completion z", ["zsh"]),
    ],
)
def test_commands_options_and_choices_are_completed(complete, typed, words):
    assert complete(typed) == words


def test_graphs_are_those_of_the_server(complete, monkeypatch):
    held = [{"assistant_id": name, "graph_id": name} for name in ("agent", "ask", "other")]
    with SmallServer({("POST", "/assistants/search"): as_json(held)}) as server:
        assert complete(f"lgsync chat --url {server.url} a") == ["agent", "ask"]
        monkeypatch.setenv("LANGGRAPH_URL", server.url)
        assert complete("lgsync graph o") == ["other"]


def test_a_graph_whose_name_would_steer_the_terminal_is_not_offered(complete):
    held = [{"assistant_id": name, "graph_id": name} for name in ("agent", "a\x1b[2J", "a\x9b31m", "a\nb")]
    with SmallServer({("POST", "/assistants/search"): as_json(held)}) as server:
        assert complete(f"lgsync chat --url {server.url} a") == ["agent"]


def test_a_server_that_is_not_there_completes_nothing(complete):
    assert complete(f"lgsync chat --url http://127.0.0.1:{refused_port()} a") == []
