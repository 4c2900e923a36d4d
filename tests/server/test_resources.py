"""Threads, runs and assistants against a real server, and what it refuses."""

from __future__ import annotations

from typing import Any, Dict, Iterator

import pytest
from witness import GREETING

from lgsync import (
    Client,
    ConfigurationError,
    LgsyncError,
    NotFoundError,
    RunError,
    UnprocessableEntityError,
    UnsupportedByTransport,
)

MISSING = "00000000-0000-0000-0000-000000000000"

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as one:
        yield one


def test_a_thread_is_created_found_and_deleted(client: Client) -> None:
    thread = client.threads.create(metadata={"team": "a"})
    assert client.threads.get(thread.thread_id).metadata == {"team": "a"}
    assert thread["status"] == "idle"
    client.threads.delete(thread.thread_id)
    with pytest.raises(NotFoundError, match=thread.thread_id):
        client.threads.get(thread.thread_id)


def test_a_threads_state_can_be_updated_and_its_history_read(client: Client) -> None:
    thread_id = client.threads.create(graph_id="agent").thread_id
    said = {"messages": [{"role": "user", "content": "first", "id": "h1"}]}
    answer = client.threads.update_state(thread_id, said, as_node="__start__")
    assert answer["checkpoint"]["thread_id"] == thread_id
    state = client.threads.get_state(thread_id)
    assert [message["content"] for message in state.values["messages"]] == ["first"]
    assert state.checkpoint is not None
    past = client.threads.get_history(thread_id)
    assert past[0].values == state.values
    assert client.threads.get_state(thread_id, checkpoint_id=state.checkpoint.checkpoint_id).values == state.values
    assert client.threads.get_state(thread_id, state.checkpoint).values == state.values


def test_a_run_is_created_found_listed_joined_and_waited_for(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    run = client.runs.create(thread_id, "agent", input=GREETING)
    with client.runs.join_stream(thread_id, run.run_id) as stream:
        assert stream.final_text()
    assert client.runs.get(thread_id, run.run_id).status == "success"
    assert [one.run_id for one in client.runs.list(thread_id)] == [run.run_id]
    values = client.runs.wait(thread_id, "agent", input=GREETING)
    assert len(values["messages"]) == 8


def test_waiting_for_a_run_that_fails_raises(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    with pytest.raises(RunError, match="ValueError"):
        client.runs.wait(thread_id, "err", input=GREETING)


def test_assistants_are_found_by_their_graph(client: Client) -> None:
    (assistant,) = client.assistants.search(graph_id="agent")
    assert client.assistants.get(assistant.assistant_id).graph_id == "agent"


def test_cancelling_a_finished_run_is_a_not_found_error(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    with client.runs.stream(thread_id, "agent", input=GREETING) as run:
        run.wait()
    assert run.run_id is not None
    with pytest.raises(NotFoundError):
        client.runs.cancel(thread_id, run.run_id)


def test_a_run_without_a_thread_streams_its_messages(client: Client) -> None:
    modes = ["messages-tuple", "values"]
    with client.runs.stream(None, "agent", input=GREETING, stream_mode=modes) as run:
        assert run.final_text() == "tok0 tok1 tok2 tok3 tok4 tok5 "
        assert [m["type"] for m in run.result()["messages"]] == ["human", "ai", "tool", "ai"]
    assert run.outcome == "success"


def test_an_interrupt_before_a_node_is_an_interrupted_outcome(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    with client.runs.stream(thread_id, "agent", input=GREETING, interrupt_before=["tools"]) as run:
        run.wait()
    assert (run.outcome, run.interrupts) == ("interrupted", [])


@both_transports
def test_an_unknown_graph_is_refused_with_the_names_there_are(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one:
        thread_id = one.threads.create().thread_id
        with pytest.raises(UnprocessableEntityError, match="(?s)no-such-graph.*agent"):
            one.runs.stream(thread_id, "no-such-graph", input=GREETING)


@both_transports
def test_a_missing_thread_is_a_not_found_error(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one, pytest.raises(NotFoundError):
        one.runs.stream(MISSING, "agent", input=GREETING)


@both_transports
def test_a_missing_thread_is_created_if_asked_for(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one:
        options: Any = {"input": GREETING, "if_not_exists": "create"}
        with one.runs.stream("00000000-0000-4000-8000-00000000000a", "agent", **options) as run:
            assert run.final_text()
        one.threads.delete("00000000-0000-4000-8000-00000000000a")


@both_transports
def test_a_thread_id_that_is_no_uuid_is_refused_by_the_server(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one, pytest.raises(LgsyncError, match="UUID"):
        one.runs.stream("not-a-uuid", "agent", input=GREETING)


@pytest.mark.parametrize(
    "options",
    [
        {"stream_mode": "custom"},
        {"stream_mode": ["values", "debug"]},
        {"context": {"a": 1}},
        {"interrupt_before": "*"},
        {"webhook": "http://example.invalid"},
        {"stream_resumable": False},
        {"on_disconnect": "cancel"},
        {"durability": "sync"},
        {"command": {"goto": "agent"}},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_the_websocket_cannot_carry_is_refused_and_no_run_begins(server_url: str, options: Dict[str, Any]) -> None:
    with Client(server_url, transport="websocket") as one:
        thread_id = one.threads.create().thread_id
        with pytest.raises(UnsupportedByTransport, match='transport="sse"') as caught:
            one.runs.stream(thread_id, "agent", **({} if "command" in options else {"input": GREETING}), **options)
        assert next(iter(options)).split("_")[0] in caught.value.option
        assert one.runs.list(thread_id) == []


def test_over_websocket_an_input_is_not_taken_for_the_answer_to_an_interrupt(server_url: str) -> None:
    with Client(server_url, transport="websocket") as one:
        thread_id = one.threads.create().thread_id
        with one.runs.stream(thread_id, "hitl", input=GREETING) as run:
            run.wait()
        with pytest.raises(ConfigurationError, match="resume"):
            one.runs.stream(thread_id, "hitl", input=GREETING)


@both_transports
def test_an_interrupt_can_be_answered_with_none(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one:
        thread_id = one.threads.create().thread_id
        with one.runs.stream(thread_id, "hitl", input=GREETING) as run:
            assert run.wait() == "interrupted"
        # By its id: the server takes a bare null for no answer at all.
        answers = {run.interrupts[0].id: None}
        with one.runs.stream(thread_id, "hitl", command={"resume": answers}) as run:
            assert "human said None" in [m.text for m in run.messages(completed=True)]


@both_transports
def test_config_and_metadata_reach_the_run(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one:
        thread_id = one.threads.create().thread_id
        options: Any = {"config": {"configurable": {"city": "sf"}}, "metadata": {"team": "a"}}
        with one.runs.stream(thread_id, "echo", input=GREETING, **options) as run:
            seen = run.result()
    assert "sf" in str(seen)


@both_transports
def test_the_final_list_is_the_threads_and_the_result_its_state(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one:
        thread_id = one.threads.create().thread_id
        with one.runs.stream(thread_id, "agent", input=GREETING) as run:
            listed = [(m.id, m.type) for m in run.final_messages()]
            result = run.result()
        stored = one.threads.get_state(thread_id).values
    assert listed == [(m["id"], m["type"]) for m in stored["messages"]]
    assert result == stored


@pytest.mark.parametrize("thread", ["paused", "over"])
def test_a_strict_answer_to_an_interrupt_that_is_not_pending_fails_or_is_ignored_as_the_server_says(
    client: Client, thread: str
) -> None:
    thread_id = client.threads.create().thread_id
    client.runs.wait(thread_id, "hitl", input=GREETING)
    asked = client.threads.get_state(thread_id).interrupts
    if thread == "over":
        client.runs.wait(thread_id, "hitl", command={"resume": {asked[0].id: "yes"}}, strict_resume=True)
    before = client.threads.get_state(thread_id)
    with client.runs.stream(thread_id, "hitl", command={"resume": {"0" * 32: "no"}}, strict_resume=True) as run:
        if client.info().flags.get("strict_resume"):
            with pytest.raises(RunError, match="UnknownInterruptError"):
                run.wait()
        else:
            assert run.wait() == ("interrupted" if thread == "paused" else "success")
    after = client.threads.get_state(thread_id)
    assert (after.values, after.interrupts) == (before.values, before.interrupts)
    assert (thread == "paused") == bool(after.interrupts)
