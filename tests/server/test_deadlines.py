"""A deadline ends what it was given for, however the time is spent, and says where to go on."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterator, List

import pytest
from langgraph_server import Gate
from witness import GREETING

from lgsync import Client, DeadlineExceeded
from lgsync.models import Run
from lgsync.testing import Delay, FaultProxy, HalfOpen, Stall, Status, Throttle

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])
both_closings = pytest.mark.parametrize(
    ("on_close", "cancelled", "status"), [("cancel", 1, "interrupted"), ("continue", 0, "success")]
)

WHOLE = "".join(f"s{number} " for number in range(10))


@pytest.fixture
def proxy(server_url: str, fault_proxy: Callable[[str], FaultProxy]) -> FaultProxy:
    return fault_proxy(server_url)


@pytest.fixture
def client(proxy: FaultProxy, transport: str) -> Iterator[Client]:
    with Client(proxy.url, transport=transport) as one:
        yield one


def cancels(proxy: FaultProxy) -> int:
    return sum(request.path.endswith("/cancel") for request in proxy.requests)


def settled(client: Client, thread_id: str) -> Run:
    """The thread's only run, once it has stopped."""
    (run,) = client.runs.list(thread_id)
    with client.runs.join_stream(thread_id, run.run_id) as stream:
        stream.wait()
    return client.runs.get(thread_id, run.run_id)


@both_transports
@both_closings
def test_a_stream_ends_in_the_middle(
    client: Client, proxy: FaultProxy, gate: Gate, on_close: str, cancelled: int, status: str
) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    options: Any = {"input": GREETING, "config": gate.config, "on_close": on_close}
    seen: List[str] = []
    with client.runs.stream(thread_id, "slow", deadline=4, **options) as run:
        with pytest.raises(DeadlineExceeded, match="4 s") as caught:
            seen.extend(run.text())
    gate.open()

    assert seen == ["s0 "]
    assert (caught.value.thread_id, caught.value.run_id) == (thread_id, run.run_id)
    assert settled(client, thread_id).status == status
    assert cancels(proxy) == cancelled


@both_transports
def test_the_cursor_of_a_deadline_leads_to_the_rest(client: Client, gate: Gate) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    options: Any = {"input": GREETING, "config": gate.config, "on_close": "continue"}
    with client.runs.stream(thread_id, "slow", **options) as run:
        first = next(run.text())
    with client.runs.join_stream(thread_id, deadline=3) as joined:
        text = joined.text()
        assert next(text) == first
        with pytest.raises(DeadlineExceeded) as caught:
            next(text)
    gate.open()
    assert caught.value.cursor is not None
    with client.runs.resume(caught.value.cursor) as rest:
        assert "".join([first, *rest.text()]) == WHOLE


@both_transports
@pytest.mark.parametrize(
    "fault", [HalfOpen(), Stall(), Status(503, {"Retry-After": "30"})], ids=["half-open", "stalled", "away"]
)
def test_a_stream_ends_while_it_is_taken_up_again(client: Client, proxy: FaultProxy, gate: Gate, fault: Any) -> None:
    thread_id = client.threads.create().thread_id
    gate.allow(1)
    options: Any = {"input": GREETING, "config": gate.config, "on_close": "continue"}
    with client.runs.stream(thread_id, "slow", **options) as run:
        next(run.text())
    with client.runs.join_stream(thread_id, deadline=3) as joined:
        text = joined.text()
        next(text)
        proxy.script(fault, match="GET ", repeat=True)
        proxy.cut_all()
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            next(text)
        assert time.monotonic() - began < 6
    proxy.close()


@pytest.mark.parametrize("transport", ["sse"])
@both_closings
def test_a_wait_ends(client: Client, proxy: FaultProxy, gate: Gate, on_close: str, cancelled: int, status: str) -> None:
    thread_id = client.threads.create().thread_id
    with pytest.raises(DeadlineExceeded, match="Waiting for the run was not over within its deadline of 2 s") as caught:
        client.runs.wait(thread_id, "slow", input=GREETING, config=gate.config, on_close=on_close, deadline=2)
    gate.open()

    ended = settled(client, thread_id)
    assert (caught.value.thread_id, caught.value.run_id) == (thread_id, ended.run_id)
    assert ended.status == status
    assert cancels(proxy) == cancelled
    assert caught.value.cursor is not None
    with client.runs.resume(caught.value.cursor) as run:
        assert run.wait() == ("success" if on_close == "continue" else "cancelled")


@pytest.mark.parametrize("transport", ["sse"])
@pytest.mark.parametrize(
    "slow", [Delay(20), Stall(), Throttle(bytes_per_second=20)], ids=["late", "stalled", "trickling"]
)
def test_a_call_that_is_answered_slowly_ends(client: Client, proxy: FaultProxy, slow: Any) -> None:
    thread_id = client.threads.create(metadata={"text": "x" * 500}).thread_id
    proxy.script(slow, match="GET /threads/")
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=f"GET /threads/{thread_id} was not over within its deadline of 0.5 s"):
        client.threads.get(thread_id, deadline=0.5)
    assert time.monotonic() - began < 5
    proxy.close()


@both_transports
def test_a_deadline_of_the_client_holds_for_each_of_its_calls(
    proxy: FaultProxy, server_url: str, gate: Gate, transport: str
) -> None:
    with Client(proxy.url, transport=transport, deadline=2) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config) as run:
            with pytest.raises(DeadlineExceeded):
                run.wait()
        assert cancels(proxy) == 1
        assert client.threads.get(thread_id).thread_id == thread_id


@both_transports
def test_a_stream_that_ends_in_time_knows_of_no_deadline(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    with client.runs.stream(thread_id, "agent", input=GREETING, deadline=60) as run:
        assert run.wait() == "success"
