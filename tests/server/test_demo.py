"""``lgsync demo`` as a user meets it: a process, its output, its exit code, and nothing left behind."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from typing import List

import pytest
from command_line import alive, on_terminal, run_lgsync, started

from lgsync import Client

transports = pytest.mark.parametrize("transport", ["sse", "websocket"])

AGENT = [
    "you: What is the weather in San Francisco?",
    "reasoning: They ask about the weather in San Francisco. I cannot look out of the window, but I have a tool.",
    'call: get_weather(city="San Francisco", unit="fahrenheit", detail="temperature, sky and wind")',
    'get_weather returned: {"temperature_f": 57, "sky": "partly cloudy", "wind": "west, 8 mph"}',
    "reasoning: The tool has answered. Now I put its numbers into a sentence or two.",
    "It is 57 °F and partly cloudy in San Francisco, with a light breeze from the west. A jacket will do.",
]
ASK = [
    'call: send_email(to="team@example.com", subject="Release", body="Version 1.0 is out. Thank you!")',
    "The run is paused and asks:",
    "Shall I send this e-mail?",
]


@pytest.fixture
def agent(demo_url: str) -> List[str]:
    return ["demo", "--url", demo_url, "--message", "What is the weather in San Francisco?"]


@pytest.fixture
def ask(demo_url: str) -> List[str]:
    return ["demo", "--url", demo_url, "--assistant", "ask", "--message", "Tell the team", "--interrupt"]


def in_order(lines: List[str], out: str) -> bool:
    found = [line for line in out.splitlines() if line in lines]
    return found == lines


def test_the_demo_starts_a_server_shows_a_run_and_leaves_nothing_running() -> None:
    with started("demo") as command:
        command.see("reasoning: They")
        (server,) = command.children
        assert command.end() == 0
    assert in_order(AGENT, command.seen)
    assert re.search(r"^success · 10\d tokens · the first after \d\.\d s · \d\.\d s$", command.seen, re.MULTILINE)
    assert not alive(server)
    port = re.search(r"server http://127\.0\.0\.1:(\d+) · transport sse · assistant agent", command.seen)
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port.group(1))))
    assert command.errors == ""


@transports
def test_both_transports_tell_the_same(agent: List[str], transport: str) -> None:
    ended = run_lgsync(*agent, "--transport", transport)
    assert (ended.code, ended.err) == (0, "")
    assert in_order(AGENT, ended.out)
    assert "\nsuccess · " in ended.out
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", ended.out)


@transports
def test_raw_prints_parts_as_the_guide_does_and_nothing_else(agent: List[str], transport: str) -> None:
    ended = run_lgsync(*agent, "--transport", transport, "--raw")
    assert ended.code == 0
    blocks = ended.out.split("\n\n\n")
    assert blocks.pop() == ""
    parts = [block.split("\n") for block in blocks]
    names = [re.fullmatch(r"Receiving new event of type: (.*)\.\.\.", head)[1] for head, _ in parts]  # type: ignore[index]
    assert set(names) == {"metadata", "messages/metadata", "messages/partial", "messages/complete"}
    whole = [json.loads(data)[0] for name, (_, data) in zip(names, parts) if name == "messages/complete"]
    assert next(message["type"] for message in whole) == "tool"
    last = [json.loads(data)[0] for name, (_, data) in zip(names, parts) if name == "messages/partial"][-1]
    assert "A jacket will do." in json.dumps(last["content"])


@transports
def test_an_answer_resumes_the_paused_run(ask: List[str], transport: str) -> None:
    ended = run_lgsync(*ask, "--transport", transport, stdin="yes, please\n")
    assert (ended.code, ended.err) == (0, "")
    assert in_order(
        [*ASK, "your answer: yes, please", "send_email returned: yes, please", "You answered: “yes, please”."],
        ended.out,
    )
    assert "So the e-mail is on its way." in ended.out
    assert "\nsuccess · " in ended.out


def test_an_answer_that_is_a_json_object_is_sent_as_one(ask: List[str]) -> None:
    assert 'send_email returned: {"type": "approve"}' in run_lgsync(*ask, stdin='{"type":"approve"}\n').out


def test_the_run_of_raw_parts_can_be_answered_too(ask: List[str]) -> None:
    ended = run_lgsync(*ask, "--raw", stdin="no\n")
    assert ended.code == 0
    assert "So I have thrown the draft away." in ended.out
    assert "Shall I send this e-mail?" in ended.err


@transports
def test_without_an_answer_the_thread_stays_paused(ask: List[str], transport: str) -> None:
    ended = run_lgsync(*ask, "--transport", transport, stdin="\n")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"No answer: thread [0-9a-f-]{36} stays paused", ended.out)
    assert "\ninterrupted · " in ended.out


@transports
def test_on_a_terminal_calls_and_results_are_framed_and_the_answer_is_typed(ask: List[str], transport: str) -> None:
    with on_terminal(*ask, "--transport", transport) as command:
        command.see("your answer: ")
        command.type("yes\r")
        assert command.end() == 0
    screen = command.seen
    assert "> Tell the team\n" in screen
    assert "→ send_email(" in screen
    for frame in ("╭─ tool call ─", "╭─ the run is paused and asks ─", "╭─ send_email returned ─"):
        assert screen.count(frame) == 1
    assert "So the e-mail is on its way." in screen
    assert "✓ success" in screen


@transports
def test_the_python_that_is_printed_runs(agent: List[str], demo_url: str, transport: str) -> None:
    out = run_lgsync(*agent, "--transport", transport).out
    program = "\n".join(line[2:] for line in out.partition("The same from Python:\n")[2].splitlines() if line)
    assert demo_url in program
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert "A jacket will do." in ran.stdout.decode()
    assert ran.stderr == b""


def test_the_python_that_is_printed_resumes_where_the_demo_did(ask: List[str]) -> None:
    out = run_lgsync(*ask, stdin="yes\n").out
    program = "\n".join(line[2:] for line in out.partition("The same from Python:\n")[2].splitlines() if line)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert "So the e-mail is on its way." in ran.stdout.decode()


@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
@pytest.mark.parametrize("moment", ["Starting a LangGraph server", "reasoning: They"])
def test_ctrl_c_ends_the_demo_and_its_server(moment: str, group: bool) -> None:
    with started("demo") as command:
        command.see(moment)
        while not command.children:  # the server is being started
            pass
        (server,) = command.children
        command.signal(signal.SIGINT, group=group)
        assert command.end() == 130
    assert not alive(server)
    assert command.errors == "lgsync: interrupted\n"


def test_a_server_that_is_kept_goes_on_until_ctrl_c() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with started("demo", "--keep", "--port", str(port)) as command:
        command.see("The server goes on at")
        (server,) = command.children
        with Client(f"http://127.0.0.1:{port}") as client:
            assert {one.graph_id for one in client.assistants.search()} == {"agent", "ask"}
        command.signal(signal.SIGINT)
        assert command.end() == 0
    assert not alive(server)


def test_being_terminated_ends_the_server_too() -> None:
    with started("demo", "--transport", "websocket") as command:
        command.see("reasoning: They")
        (server,) = command.children
        command.signal(signal.SIGTERM)
        assert command.end() == 128 + signal.SIGTERM
    assert not alive(server)
    assert command.errors == ""


@pytest.mark.parametrize("moment", ["An e-mail", "your answer: "])
def test_ctrl_c_typed_on_a_terminal_ends_the_demo(ask: List[str], moment: str) -> None:
    with on_terminal(*ask) as command:
        command.see(moment)
        command.type("\x03")
        assert command.end() == 130
    assert command.seen.endswith("lgsync: interrupted\n")
    assert "Traceback" not in command.seen


def test_a_reader_that_has_enough_ends_the_demo_quietly(agent: List[str]) -> None:
    with started(*agent) as command:
        command.see("reasoning: They")
        command.stop_reading()
        assert command.end() == 141
        assert command.errors == ""


@transports
def test_a_url_where_nothing_listens_is_one_line_and_exit_code_5(transport: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        ended = run_lgsync("demo", "--url", url, "--transport", transport)
    assert ended.code == 5
    assert re.fullmatch(rf"lgsync: [^\n]*{re.escape(url)}[^\n]*\n", ended.err)


@transports
def test_an_assistant_that_is_not_there_is_one_line_and_exit_code_2(demo_url: str, transport: str) -> None:
    ended = run_lgsync("demo", "--url", demo_url, "--assistant", "nobody", "--transport", transport)
    assert ended.code == 2
    assert re.fullmatch(r"lgsync: [^\n]*nobody[^\n]*\n", ended.err)


@transports
def test_a_run_that_fails_shows_what_it_said_then_one_line_and_exit_code_4(server_url: str, transport: str) -> None:
    ended = run_lgsync("demo", "--url", server_url, "--assistant", "err", "--transport", transport)
    assert ended.code == 4
    assert "(cut short)" in ended.out
    assert re.fullmatch(r"lgsync: [^\n]+\n", ended.err)


def test_a_server_of_ones_own_is_asked_as_it_is(server_url: str) -> None:
    ended = run_lgsync("demo", "--url", server_url)
    assert ended.code == 0
    assert in_order(
        [
            f"server {server_url} · transport sse · assistant agent",
            "you: what's the weather in sf",
            'call: search(query="weather in city0")',
            "search returned: It is 54F and partly cloudy in weather in city0",
            "tok0 tok1 tok2 tok3 tok4 tok5 ",
        ],
        ended.out,
    )
