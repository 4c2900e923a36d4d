"""Leaving a run, in every way there is: what the server then does with it, and what stays open here."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any, Iterator, List

import pytest
from command_line import HEARS_CTRL_C
from langgraph_server import Gate
from witness import GREETING

from lgsync import Client
from lgsync.models import Run

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


@pytest.fixture
def client(server_url: str, transport: str) -> Iterator[Client]:
    with Client(server_url, transport=transport) as one:
        yield one


def settled(client: Client, thread_id: str) -> Run:
    """The thread's only run, once it has stopped."""
    (run,) = client.runs.list(thread_id)
    with client.runs.join_stream(thread_id, run.run_id) as stream:
        stream.wait()
    return client.runs.get(thread_id, run.run_id)


@both_transports
def test_tokens_arrive_while_their_model_is_still_speaking(client: Client, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(1)
    with client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config) as run:
        text = run.text()
        first = next(text)
        (record,) = client.runs.list(thread.thread_id)
        assert record.status == "running"
        gate.open()
        assert "".join([first, *text]) == run.final_text()


@both_transports
def test_leaving_the_block_early_cancels_the_run(client: Client, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(1)
    with client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config) as run:
        next(run.text())
    assert run.outcome == "cancelled"
    assert settled(client, thread.thread_id).status == "interrupted"


@both_transports
def test_breaking_out_of_a_bare_loop_cancels_the_run(client: Client, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(1)
    for _piece in client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config).text():
        break
    assert settled(client, thread.thread_id).status == "interrupted"


@both_transports
def test_a_run_that_may_go_on_is_finished_after_it_was_left(client: Client, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(1)
    options: Any = {"input": GREETING, "config": gate.config, "on_close": "continue"}
    with client.runs.stream(thread.thread_id, "slow", **options) as run:
        next(run.text())
    gate.open()
    assert settled(client, thread.thread_id).status == "success"


@both_transports
def test_a_run_that_was_left_can_be_joined_and_shows_all_of_its_text(client: Client, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(1)
    options: Any = {"input": GREETING, "config": gate.config, "on_close": "continue"}
    with client.runs.stream(thread.thread_id, "slow", **options) as run:
        first = next(run.text())
    gate.open()
    assert run.run_id is not None
    with client.runs.join_stream(thread.thread_id, run.run_id) as joined:
        text = "".join(joined.text())
    assert text.startswith(first)
    assert text == joined.final_text()
    assert joined.outcome == "success"


@both_transports
@pytest.mark.parametrize("action", ["interrupt", "rollback"])
def test_cancel_from_another_thread_frees_a_blocked_reader(client: Client, gate: Gate, action: str) -> None:
    thread = client.threads.create()
    gate.allow(1)
    run = client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config)
    begun = threading.Event()
    seen: List[str] = []

    def read() -> None:
        for message in run.messages():
            seen.append(message.status)
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(20)
    run.cancel(action)
    reader.join(1)
    assert not reader.is_alive()
    assert seen[-1] == "incomplete"
    assert run.outcome == "cancelled"


@both_transports
@pytest.mark.parametrize("action", ["interrupt", "rollback"])
def test_a_run_cancelled_elsewhere_ends_the_loop_as_cancelled(client: Client, gate: Gate, action: str) -> None:
    thread = client.threads.create()
    gate.allow(1)
    with client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config) as run:
        text = run.text()
        next(text)
        assert run.run_id is not None
        client.runs.cancel(thread.thread_id, run.run_id, action=action)
        assert list(text) == []
        assert run.outcome == "cancelled"


@both_transports
def test_an_exception_in_the_loop_is_passed_on_and_the_run_cancelled(client: Client, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(1)
    with pytest.raises(ZeroDivisionError):
        with client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config) as run:
            for _piece in run.text():
                raise ZeroDivisionError
    assert settled(client, thread.thread_id).status == "interrupted"


@both_transports
def test_closing_the_client_ends_a_stream_that_is_blocked(client: Client, gate: Gate) -> None:
    thread = client.threads.create()
    gate.allow(1)
    run = client.runs.stream(thread.thread_id, "slow", input=GREETING, config=gate.config, on_close="continue")
    begun, over = threading.Event(), threading.Event()

    def read() -> None:
        try:
            for _piece in run.text():
                begun.set()
        finally:
            over.set()

    reader = threading.Thread(target=read, name="reader")
    reader.start()
    assert begun.wait(20)
    run.close()
    client.close()
    assert over.wait(2)
    reader.join(2)


LOOP = """
import sys
from lgsync import Client

url, transport, thread_id, gate = sys.argv[1:]
options = {"input": {"messages": [{"role": "user", "content": "hello"}]}, "config": {"configurable": {"gate": gate}}}
for piece in Client(url, transport=transport).runs.stream(thread_id, "slow", **options).text():
    print(piece, flush=True)
"""


@both_transports
def test_ctrl_c_in_a_bare_loop_cancels_the_run(client: Client, transport: str, server_url: str, gate: Gate) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    arguments = [server_url, transport, thread_id, gate.config["configurable"]["gate"]]
    # Away from the checkout, whose lgsync/ would hide the installed one.
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + LOOP, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tempfile.gettempdir(),
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline()
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=10)
    assert b"KeyboardInterrupt" in said
    assert settled(client, thread_id).status == "interrupted"


def test_a_run_started_over_websocket_can_be_joined_over_sse(server_url: str, gate: Gate) -> None:
    with Client(server_url, transport="websocket") as first, Client(server_url) as second:
        thread_id = first.threads.create().thread_id
        gate.allow(1)
        options: Any = {"input": GREETING, "config": gate.config, "on_close": "continue"}
        with first.runs.stream(thread_id, "slow", **options) as run:
            next(run.text())
        gate.open()
        assert run.run_id is not None
        with second.runs.join_stream(thread_id, run.run_id) as joined:
            assert "".join(joined.text()) == joined.final_text() != ""


@both_transports
def test_joining_a_run_that_was_not_kept_shows_its_messages_when_it_is_over(server_url: str, transport: str) -> None:
    with Client(server_url) as first, Client(server_url, transport=transport) as second:
        thread_id = first.threads.create().thread_id
        for _ in range(2):
            with first.runs.stream(thread_id, "agent", input=GREETING, stream_resumable=False) as run:
                run.wait()
        assert run.run_id is not None
        with second.runs.join_stream(thread_id, run.run_id) as joined:
            assert [m.type for m in joined.messages(completed=True)] == ["ai", "tool", "ai"]
            assert joined.final_text() == run.final_text()


@both_transports
def test_the_interrupt_of_a_run_that_came_later_is_not_this_ones(server_url: str, transport: str, gate: Gate) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        gate.allow(1)
        options: Any = {"input": GREETING, "config": gate.config, "stream_mode": "messages"}
        with client.runs.stream(thread_id, "slow", **options) as run:
            next(run.text())
            later = client.runs.create(thread_id, "hitl", input=GREETING)
            gate.open()
            with client.runs.join_stream(thread_id, later.run_id) as other:
                assert other.wait() == "interrupted"
            assert run.wait() == "success"
            assert run.interrupts == []
