"""A client from ``get_sync_client`` does what programs written for the official one expect."""

from __future__ import annotations

from typing import Any, Iterator, List

import pytest
from langgraph_server import Gate
from witness import GREETING

from lgsync import Client, RunError, get_sync_client

VALUES = {"metadata", "values"}


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with get_sync_client(url=server_url) as one:
        yield one


@pytest.fixture
def thread_id(client: Client) -> Iterator[str]:
    thread = client.threads.create()
    yield thread["thread_id"]
    client.threads.delete(thread["thread_id"])


def the_run(client: Client, thread_id: str) -> Any:
    (run,) = client.runs.list(thread_id)
    return run


def test_a_loop_over_a_run_shows_its_values(client: Client, thread_id: str) -> None:
    seen: List[Any] = []
    for part in client.runs.stream(thread_id, "agent", input=GREETING):
        seen.append((part.event, part.data))
    assert {event for event, _ in seen} == VALUES
    assert seen[-1][1] == client.threads.get_state(thread_id)["values"]


def test_a_part_is_a_tuple_of_event_data_and_id(client: Client, thread_id: str) -> None:
    event, data, position = next(iter(client.runs.stream(thread_id, "agent", input=GREETING)))
    assert (event, set(data), isinstance(position, str)) == ("metadata", {"run_id", "attempt"}, True)


def test_a_failed_run_ends_with_an_error_part_and_no_exception(client: Client, thread_id: str) -> None:
    *_, last = client.runs.stream(thread_id, "err", input=GREETING)
    assert (last.event, last.data["error"]) == ("error", "ValueError")
    assert the_run(client, thread_id)["status"] == "error"


def test_a_failed_run_of_version_2_ends_with_an_error_part_too(client: Client, thread_id: str) -> None:
    *_, last = client.runs.stream(thread_id, "err", input=GREETING, version="v2")
    assert (last["type"], last["data"]["error"]) == ("error", "ValueError")


def test_waiting_for_a_run_that_fails_raises_unless_told_otherwise(client: Client, thread_id: str) -> None:
    with pytest.raises(RunError, match="ValueError: model blew up"):
        client.runs.wait(thread_id, "err", input=GREETING)
    answer = client.runs.wait(thread_id, "err", input=GREETING, raise_error=False)
    assert answer["__error__"]["error"] == "ValueError"


def test_joining_a_run_that_fails_returns_the_failure_unless_told_otherwise(client: Client, thread_id: str) -> None:
    run_id = client.runs.create(thread_id, "err", input=GREETING)["run_id"]
    assert client.runs.join(thread_id, run_id)["__error__"]["error"] == "ValueError"
    with pytest.raises(RunError, match="ValueError: model blew up"):
        client.runs.join(thread_id, run_id, raise_error=True)


def test_break_leaves_the_run_going(client: Client, thread_id: str, gate: Gate) -> None:
    for _ in client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config):
        break
    gate.open()
    run_id = the_run(client, thread_id)["run_id"]
    assert client.runs.join(thread_id, run_id)["messages"][-1]["type"] == "ai"
    assert client.runs.get(thread_id, run_id)["status"] == "success"


def test_leaving_a_with_block_leaves_the_run_going(client: Client, thread_id: str, gate: Gate) -> None:
    with client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config):
        pass
    gate.open()
    run_id = the_run(client, thread_id)["run_id"]
    client.runs.join(thread_id, run_id)
    assert client.runs.get(thread_id, run_id)["status"] == "success"


def test_a_created_run_shows_its_values_when_it_is_joined(client: Client, thread_id: str) -> None:
    run = client.runs.create(thread_id, "agent", input=GREETING)
    assert {part.event for part in client.runs.join_stream(thread_id, run["run_id"])} == VALUES


def test_a_pause_is_in_the_values_of_version_2(client: Client, thread_id: str) -> None:
    *_, last = client.runs.stream(thread_id, "hitl", input=GREETING, version="v2")
    assert [waiting["value"] for waiting in last["interrupts"]] == [{"q": "ok?"}]
    assert "__interrupt__" not in last["data"]


def test_a_run_without_a_thread_is_streamed_and_waited_for(client: Client) -> None:
    *_, last = client.runs.stream(None, "agent", input=GREETING)
    assert len(last.data["messages"]) == 4
    assert len(client.runs.wait(None, "agent", input=GREETING)["messages"]) == 4


def test_results_are_read_as_dictionaries(client: Client, thread_id: str) -> None:
    thread = client.threads.get(thread_id)
    assert thread["thread_id"] == thread.get("thread_id") == dict(thread)["thread_id"] == thread_id
    assert "thread_id" in thread
    assert "no_such_field" not in thread
    assert isinstance(thread["created_at"], str)
    assert sorted(thread) == sorted(thread.keys())


def test_messages_can_be_had_too(client: Client, thread_id: str) -> None:
    with client.runs.stream(thread_id, "agent", input=GREETING) as run:
        assert run.final_text() == "tok0 tok1 tok2 tok3 tok4 tok5 "
