"""Leaving a run, in every way there is: what the server then does with it, and what stays open here."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any, Callable, Iterator, List

import pytest
from command_line import HEARS_CTRL_C
from langgraph_server import Gate
from witness import GREETING

from lgsync import Client, StreamLost
from lgsync.models import Run
from lgsync.testing import Fault, FaultProxy, Stall, Status

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


WHOLE = "".join(f"s{number} " for number in range(10))


@pytest.fixture
def client(server_url: str, transport: str) -> Iterator[Client]:
    with Client(server_url, transport=transport) as one:
        yield one


@pytest.fixture
def proxy(server_url: str, fault_proxy: Callable[[str], FaultProxy]) -> FaultProxy:
    return fault_proxy(server_url)


def cancels(proxy: FaultProxy) -> int:
    """How often a run was cancelled through the proxy."""
    return sum(request.path.endswith("/cancel") for request in proxy.requests)


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


@contextlib.contextmanager
def looping(url: str, transport: str, thread_id: str, gate: Gate) -> Iterator[subprocess.Popen[bytes]]:
    """A program with a bare loop over a run, which has printed its first token."""
    arguments = [url, transport, thread_id, gate.config["configurable"]["gate"]]
    # Away from the checkout, whose lgsync/ would hide the installed one.
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + LOOP, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tempfile.gettempdir(),
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline()
        yield program


@both_transports
def test_ctrl_c_in_a_bare_loop_cancels_the_run(client: Client, transport: str, server_url: str, gate: Gate) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with looping(server_url, transport, thread_id, gate) as program:
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=10)
    assert b"KeyboardInterrupt" in said
    assert settled(client, thread_id).status == "interrupted"


@both_transports
@pytest.mark.parametrize(
    "fault", [Status(503, {"Retry-After": "30"}), Stall()], ids=["waiting-before-it-joins", "joining"]
)
def test_ctrl_c_while_the_stream_is_taken_up_again_ends_at_once_and_cancels_once(
    client: Client, transport: str, proxy: FaultProxy, gate: Gate, fault: Fault
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with looping(proxy.url, transport, thread_id, gate) as program:
        proxy.script(fault, match="GET ", repeat=True)
        proxy.cut_all("rst")
        proxy.wait_until(lambda: fault in proxy.happened)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=3)
    assert b"KeyboardInterrupt" in said
    assert cancels(proxy) == 1
    assert settled(client, thread_id).status == "interrupted"


@both_transports
@pytest.mark.parametrize("how", ["fin", "eof", "rst"])
def test_a_cut_is_not_leaving(client: Client, transport: str, proxy: FaultProxy, gate: Gate, how: str) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with Client(proxy.url, transport=transport) as cut:
        with cut.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
            text = run.text()
            first = next(text)
            proxy.cut_all(how)
            gate.open()
            assert "".join([first, *text]) == WHOLE
    assert len(proxy.streams) > 1
    assert cancels(proxy) == 0
    assert settled(client, thread_id).status == "success"


@both_transports
def test_whoever_leaves_because_the_stream_was_lost_leaves_the_run_going(
    client: Client, transport: str, proxy: FaultProxy, gate: Gate
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with Client(proxy.url, transport=transport, reconnect=0) as cut:
        with pytest.raises(StreamLost) as lost:
            with cut.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
                text = run.text()
                first = next(text)
                proxy.cut_all("rst")
                next(text)
    gate.open()
    assert cancels(proxy) == 0
    assert lost.value.cursor is not None
    with client.runs.resume(lost.value.cursor) as rest:
        assert "".join([first, *rest.text()]) == WHOLE
    assert settled(client, thread_id).status == "success"


@pytest.mark.parametrize("transport", ["sse"])
def test_whoever_leaves_where_parts_are_gone_leaves_the_run_going(
    client: Client, transport: str, proxy: FaultProxy, gate: Gate
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with Client(proxy.url, transport=transport) as cut:
        options: Any = {"input": GREETING, "config": gate.config, "stream_resumable": False}
        with pytest.raises(StreamLost):
            with cut.runs.stream(thread_id, "slow", **options) as run:
                for part in run:
                    if part.kind == "messages":
                        proxy.cut_all("rst")
    gate.open()
    assert cancels(proxy) == 0
    assert settled(client, thread_id).status == "success"


@both_transports
def test_a_run_that_was_left_is_cancelled_once_however_often_it_is_left(
    client: Client, transport: str, proxy: FaultProxy, gate: Gate
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with Client(proxy.url, transport=transport) as one:
        with one.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
            next(run.text())
            run.cancel()
            run.close()
            run.cancel("rollback")
        del run
    assert cancels(proxy) == 1
    assert settled(client, thread_id).status == "interrupted"


@both_transports
@pytest.mark.parametrize("leave", ["close", "__exit__", "__del__", "detach"])
def test_a_run_that_may_go_on_is_never_cancelled(
    client: Client, transport: str, proxy: FaultProxy, gate: Gate, leave: str
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with Client(proxy.url, transport=transport) as one:
        on_close = "cancel" if leave == "detach" else "continue"
        run = one.runs.stream(thread_id, "slow", input=GREETING, config=gate.config, on_close=on_close)
        next(run.text())
        getattr(run, leave)(*([None] * 3 if leave == "__exit__" else []))
        proxy.wait_until(lambda: proxy.streams != [] and proxy.open_connections <= 2)
    gate.open()
    assert settled(client, thread_id).status == "success"
    assert cancels(proxy) == 0


@both_transports
def test_letting_go_of_a_detached_or_resumed_stream_cancels_nothing(
    client: Client, transport: str, proxy: FaultProxy, gate: Gate
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with Client(proxy.url, transport=transport) as one:
        run = one.runs.stream(thread_id, "slow", input=GREETING, config=gate.config)
        next(run.text())
        cursor = run.detach()
        del run
        with one.runs.resume(cursor):
            pass
        one.runs.resume(cursor)
        gate.open()
        assert settled(one, thread_id).status == "success"
    assert cancels(proxy) == 0


@both_transports
def test_a_resumed_stream_cancels_its_run_if_it_is_told_to(client: Client, gate: Gate) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    run = client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config)
    next(run.text())
    with client.runs.resume(run.detach(), on_close="cancel") as rest:
        pass
    assert rest.outcome == "cancelled"
    assert settled(client, thread_id).status == "interrupted"


@both_transports
def test_a_run_that_is_rolled_back_while_its_connection_is_cut_ends_as_cancelled(
    client: Client, transport: str, proxy: FaultProxy, gate: Gate
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    with Client(proxy.url, transport=transport) as cut:
        with cut.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
            text = run.text()
            next(text)
            assert run.run_id is not None
            proxy.refuse()
            proxy.cut_all("rst")
            client.runs.cancel(thread_id, run.run_id, action="rollback", wait=True)
            proxy.accept_again()
            assert list(text) == []
            assert run.outcome == "cancelled"


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
