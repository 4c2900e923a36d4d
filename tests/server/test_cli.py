"""The command line against a real server: on pipes and on a terminal, and what it leaves behind."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List

import pytest
from called import Lgsync
from command_line import on_terminal, started
from langgraph_server import server_python
from rawserver import until

import lgsync.cli as cli
from lgsync import Client
from lgsync.dev_server import DevServer
from lgsync.testing import FaultProxy, Stall

transports = pytest.mark.parametrize("transport", ["sse", "websocket"])

QUESTION = "What is the weather in San Francisco?"


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    """A server of the demo's graphs, slow enough to be interrupted."""
    file = Path(cli.__file__).with_name("demo_graph.py")
    graphs = {name: f"{file}:{name}" for name in ("agent", "ask")}
    with DevServer(graphs, python=server_python(), env={"LGSYNC_DEMO_SECONDS_PER_TOKEN": "0.02"}) as server:
        yield server.url


def events(out: str) -> List[Any]:
    return [json.loads(line) for line in out.splitlines()]


def the_thread(seen: str) -> str:
    return seen.partition("on thread ")[2].partition(" ")[0]


@transports
def test_a_run_is_told_as_json_lines(lgsync: Lgsync, server_url: str, transport: str) -> None:
    ended = lgsync("stream", "agent", "hello", "--url", server_url, "--transport", transport)
    assert (ended.code, ended.err) == (0, "")
    told = events(ended.out)
    assert "".join(event.get("text", "") for event in told) == "tok0 tok1 tok2 tok3 tok4 tok5 "
    assert [event["message"]["type"] for event in told if event["event"] == "message"] == ["ai", "tool", "ai"]
    assert (told[0]["event"], told[-1]["outcome"]) == ("run", "success")


@transports
def test_exit_codes_tell_a_paused_run_and_a_failed_one(lgsync: Lgsync, server_url: str, transport: str) -> None:
    to = ("--url", server_url, "--transport", transport)
    paused = lgsync("stream", "hitl", "hello", *to)
    assert paused.code == 3
    assert "ok?" in paused.err
    thread_id = events(paused.out)[0]["thread_id"]
    resumed = lgsync("stream", "hitl", "--thread", thread_id, "--resume", "yes", *to, "--format", "text")
    assert (resumed.code, resumed.out) == (0, "final0 final1 final2 \n")
    failed = lgsync("stream", "err", "hello", *to)
    assert (failed.code, "model blew up half way" in failed.err) == (4, True)


@transports
def test_a_failure_is_told_with_its_node_and_what_the_server_kept_back(
    lgsync: Lgsync, server_url: str, demo_url: str, transport: str
) -> None:
    failed = lgsync("stream", "err", "hello", "--url", server_url, "--transport", transport)
    assert failed.err.endswith("failed: ValueError: model blew up half way. It was raised in node 'bad'\n")
    # An agent that looks at the last message, and a run without any.
    failed = lgsync("stream", "agent", "{}", "--url", demo_url, "--transport", transport)
    assert failed.code == 4
    assert "The server's log has the traceback. In node 'agent' it raised IndexError('list index" in failed.err
    assert events(failed.out)[-1]["message"] in failed.err


@transports
def test_parts_are_the_events_of_the_guide(lgsync: Lgsync, server_url: str, transport: str) -> None:
    ended = lgsync("stream", "agent", "hi", "--url", server_url, "--transport", transport, "--format", "parts")
    blocks = ended.out.split("\n\n")
    assert blocks.pop() == ""
    names = [block.split("\n")[0] for block in blocks]
    assert names[0] == "Receiving event of type: metadata..."
    assert "Receiving event of type: messages/partial..." in names
    assert "Receiving event of type: messages/complete..." in names
    assert all(json.loads(block.split("\n")[1]) is not None for block in blocks)


def test_a_reader_that_has_enough_ends_it_quietly_and_cancels_the_run(demo_url: str) -> None:
    with started("stream", "agent", QUESTION, "--url", demo_url) as command:
        command.see('"event": "delta"')
        command.stop_reading()
        assert command.end() == 141
        assert command.errors == ""
    thread_id = events(command.seen[: command.seen.index("\n")])[0]["thread_id"]
    with Client(demo_url) as client:
        (run,) = client.runs.list(thread_id)
        until(lambda: client.runs.get(thread_id, run.run_id).status == "interrupted")


@pytest.mark.skipif(not shutil.which("head"), reason="head is not installed")
def test_head_takes_the_first_lines(server_url: str) -> None:
    command = [sys.executable, "-m", "lgsync", "assistants", "ls", "--url", server_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        head = subprocess.run(["head", "-n", "1"], stdin=listing.stdout, capture_output=True, timeout=60)
        assert listing.stdout is not None
        listing.stdout.close()
        assert listing.stderr is not None
        assert listing.stderr.read() == b""
    assert head.stdout.count(b"\n") == 1


def test_a_run_that_goes_on_is_joined(lgsync: Lgsync, demo_url: str) -> None:
    with Client(demo_url) as client:
        thread_id = client.threads.create().thread_id
        hello = {"messages": [{"role": "user", "content": QUESTION}]}
        client.runs.create(
            thread_id, "agent", input=hello, stream_mode=["messages-tuple", "updates"], stream_resumable=True
        )
    ended = lgsync("join", thread_id, "--url", demo_url, "--format", "messages")
    assert (ended.code, ended.err) == (0, "")
    assert 'call: get_weather(city="San Francisco"' in ended.out
    assert "A jacket will do." in ended.out


def test_what_the_server_keeps_is_listed_shown_and_deleted(lgsync: Lgsync, server_url: str) -> None:
    to = ("--url", server_url)
    thread_id = events(lgsync("stream", "agent", "hello there", *to).out)[0]["thread_id"]
    assert thread_id in lgsync("threads", "ls", *to).out
    assert "you: hello there" in lgsync("threads", "show", thread_id, *to).out
    run_id, status = lgsync("runs", "ls", thread_id, *to).out.split("\t")[:2]
    assert status == "success"
    assert json.loads(lgsync("runs", "show", thread_id, run_id, *to, "--json").out)["run_id"] == run_id
    assert lgsync("runs", "rm", thread_id, run_id, "--yes", *to).out == f"deleted run {run_id}\n"
    assert lgsync("threads", "rm", thread_id, *to).code == 2
    assert lgsync("threads", "rm", thread_id, "--yes", *to).out == f"deleted thread {thread_id}\n"
    gone = lgsync("threads", "show", thread_id, *to)
    assert (gone.code, gone.out, gone.err.count("\n")) == (2, "", 1)
    assert "graph:       agent" in lgsync("assistants", "show", "agent", *to).out


def test_graphs_are_drawn_with_their_subgraphs_if_asked_for(lgsync: Lgsync, server_url: str) -> None:
    assert "│   child   │" in lgsync("graph", "sub", "--url", server_url).out
    assert "│ child:inner_llm │" in lgsync("graph", "sub", "--xray", "--url", server_url).out


@transports
def test_a_recorded_run_is_replayed_without_a_server(
    lgsync: Lgsync, server_url: str, tmp_path: Path, transport: str
) -> None:
    file = str(tmp_path / "run.jsonl")
    recorded = lgsync("record", "agent", "hello", "-o", file, "--url", server_url, "--transport", transport)
    replayed = lgsync("replay", file, "--speed", "max", "--url", "http://nobody.invalid")
    assert (recorded.code, replayed.code, replayed.err) == (0, 0, "")
    assert events(replayed.out) == events(recorded.out)


# -- chat on a terminal -----------------------------------------------------------------------------------------


@transports
def test_chat_streams_asks_at_the_prompt_and_goes_on(demo_url: str, transport: str) -> None:
    with on_terminal("chat", "ask", "--url", demo_url, "--transport", transport) as command:
        command.see("> ")
        command.type("Tell the team\r")
        command.see("your answer: ")
        command.type("yes\r")
        command.see("So the e-mail is on its way.")
        command.see("> ")
        command.type("/quit\r")
        assert command.end() == 0
    for frame in ("╭─ tool call ─", "╭─ the run is paused and asks ─", "╭─ send_email returned ─"):
        assert command.seen.count(frame) == 1


def test_ctrl_c_stops_the_answer_cancels_the_run_and_keeps_the_chat(demo_url: str) -> None:
    with on_terminal("chat", "agent", "--url", demo_url) as command:
        command.see("> ")
        command.type(f"{QUESTION}\r")
        command.see("They ask about")
        command.type("\x03")
        command.see("(stopped)")
        thread_id = the_thread(command.seen)
        with Client(demo_url) as client:
            (run,) = client.runs.list(thread_id)
            assert run.status == "interrupted"
        command.type("/retry\r")
        command.see("A jacket will do.")
        with Client(demo_url) as client:
            assert len(client.runs.list(thread_id)) == 2
        assert "Traceback" not in command.seen


def test_what_fails_is_told_and_the_chat_goes_on(server_url: str) -> None:
    with on_terminal("chat", "err", "--url", server_url, columns=300) as command:
        command.see("> ")
        command.type("go\r")
        command.see("model blew up half way. It was raised in node 'bad'")
        command.type("/nope\r")
        command.see("There is no /nope")
        command.type("/quit\r")
        assert command.end() == 0


# -- doctor -----------------------------------------------------------------------------------------------------


def test_doctor_finds_a_good_server_good(lgsync: Lgsync, server_url: str) -> None:
    ended = lgsync("doctor", "--url", server_url, "--graph", "agent")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[0] for line in ended.out.splitlines()] == ["ok"] * 11, ended.out
    assert "the thread event protocol is spoken" in ended.out
    assert "known: values, messages, messages-tuple, updates" in ended.out


def test_doctor_finds_a_proxy_that_keeps_streams_back(lgsync: Lgsync, server_url: str) -> None:
    with FaultProxy(server_url) as proxy:
        proxy.script(Stall(after_bytes=0), match=re.compile(r"GET /threads/[^/]+/stream\?"))
        ended = lgsync("doctor", "--url", proxy.url, "--wait", "6", "--json")
    found = {finding["check"]: finding["state"] for finding in events(ended.out)}
    assert (ended.code, found["heartbeats"]) == (1, "wrong")
