from __future__ import annotations

import threading
from typing import Any, Iterator, List

import pytest
from rawserver import PATIENCE

from lgsync import Client, ConfigurationError, ConflictError, InternalServerError, NotFoundError, RunError
from lgsync.testing import ScriptedServer, calls_tool, cuts, error, interrupt, part, says, sets, wait

pytestmark = pytest.mark.usefixtures("no_leaks")

HELLO = {"messages": [{"role": "user", "content": "hi"}]}
EVERY = ["values", "updates", "messages-tuple", "custom"]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(heartbeat=0.2) as one:
        yield one


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.url) as one:
        yield one


@pytest.fixture
def thread_id(client: Client) -> str:
    return client.threads.create().thread_id


def messages(client: Client, thread_id: str, **options: Any) -> List[Any]:
    with client.runs.stream(thread_id, "agent", input=HELLO, **options) as run:
        return [(message.type, message.text, message.status) for message in run.messages(completed=True)]


def test_tokens_come_one_by_one_and_end_as_a_message(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(says("Hel", "lo", " world"))
    with client.runs.stream(thread_id, "agent", input=HELLO) as run:
        pieces = list(run.text())

    assert pieces == ["Hel", "lo", " world"]
    assert run.final_text() == "Hello world"
    assert run.outcome == "success"


@pytest.mark.parametrize("mode", ["messages", "messages-tuple", "values", "updates", EVERY, None])
def test_every_mode_tells_the_same_messages(server: ScriptedServer, client: Client, thread_id: str, mode: Any) -> None:
    server.script(says("Let me ", "look"), calls_tool("search", {"query": "sf"}, result="54F"), says("It is ", "54F"))
    with client.runs.stream(thread_id, "agent", input=HELLO, stream_mode=mode) as run:
        told = [(each.type, each.text) for each in run.final_messages() if each.type != "human"]

    assert told == [("ai", "Let me look"), ("ai", ""), ("tool", "54F"), ("ai", "It is 54F")]


def test_a_tool_call_is_streamed_and_answered(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(calls_tool("search", {"query": "sf"}, result="54F", id="call_1"))
    with client.runs.stream(thread_id, "agent", input=HELLO) as run:
        call, answer = run.messages(completed=True)

    assert [(each["name"], each["args"], each["id"]) for each in call.tool_calls] == [
        ("search", {"query": "sf"}, "call_1")
    ]
    assert answer.to_dict()["tool_call_id"] == "call_1"


def test_the_thread_holds_what_was_asked_and_said(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(says("one"), sets(topic="weather"))
    server.script(says("two"))
    messages(client, thread_id)
    messages(client, thread_id)
    state = client.threads.get_state(thread_id)

    assert [each["content"] for each in state.values["messages"]] == ["hi", "one", "hi", "two"]
    assert state.values["topic"] == "weather"
    assert server.state(thread_id) == state.values
    assert [run.status for run in client.runs.list(thread_id)] == ["success", "success"]
    assert len(client.threads.get_history(thread_id)) > 2


def test_raw_parts_come_as_they_are(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(part("custom", {"progress": 1}), part("updates|child:1", {"node": {}}), part("custom", None))
    with client.runs.stream(thread_id, "agent", input=HELLO, stream_mode=EVERY) as run:
        parts = [(each.event, each.data) for each in run]

    wanted = [("custom", {"progress": 1}), ("updates|child:1", {"node": {}}), ("custom", None)]
    assert [each for each in parts if each in wanted] == wanted


def test_a_run_waits_for_the_test(server: ScriptedServer, client: Client, thread_id: str) -> None:
    go_on = threading.Event()
    server.script(says("first"), wait(go_on), says("second"))
    with client.runs.stream(thread_id, "agent", input=HELLO) as run:
        pieces = run.text()
        assert next(pieces) == "first"
        assert client.threads.get(thread_id).status == "busy"
        go_on.set()
        assert list(pieces) == ["second"]


def test_a_wait_that_nobody_ends_fails_the_run(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(wait(threading.Event(), timeout=0.05))

    with pytest.raises(RunError, match="the script waited for 0.05 s, and nobody set the event"):
        messages(client, thread_id)


def test_an_error_fails_the_run_after_what_it_said(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(says("so far"), error("ValueError", "no such city"), says("never"))
    got: List[str] = []
    with pytest.raises(RunError, match="ValueError: no such city"), client.runs.stream(thread_id, "agent") as run:
        got.extend(run.text())

    assert got == ["so far"]
    assert client.runs.list(thread_id)[0].status == "error"
    assert client.threads.get(thread_id).status == "error"


@pytest.mark.parametrize("mode", [None, "messages-tuple", "values"])
def test_an_interrupt_is_asked_and_answered(server: ScriptedServer, client: Client, thread_id: str, mode: Any) -> None:
    server.script(says("May I?"), interrupt({"question": "sure?"}))
    server.script(says("Done"))
    with client.runs.stream(thread_id, "agent", input=HELLO, stream_mode=mode) as run:
        list(run)
    asked = [each.value for each in run.interrupts]
    paused = client.threads.get(thread_id).status
    with client.runs.stream(thread_id, "agent", command={"resume": "yes"}) as run:
        answer = run.final_text()

    assert (asked, paused, answer) == ([{"question": "sure?"}], "interrupted", "Done")
    assert server.requests[-1].json is None
    assert [each.json["command"] for each in server.requests if each.json and "command" in each.json] == [
        {"resume": "yes"}
    ]


@pytest.mark.parametrize("place", range(4))
def test_a_broken_connection_loses_and_doubles_nothing(
    server: ScriptedServer, client: Client, thread_id: str, place: int
) -> None:
    steps: List[Any] = [says("a", "b"), says("c"), says("d", "e", "f")]
    steps.insert(place, cuts())
    server.script(*steps)

    assert [text for kind, text, _ in messages(client, thread_id) if kind == "ai"] == ["ab", "c", "def"]
    assert [str(each) for each in server.requests].count(f"POST /threads/{thread_id}/runs/stream") == 1


def test_a_stop_cancels_the_run(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(says("working"), wait(threading.Event()), says("never"))
    with client.runs.stream(thread_id, "agent", input=HELLO) as run:
        pieces = run.text()
        next(pieces)
        run.cancel()
        assert list(pieces) == []

    assert run.outcome == "cancelled"
    assert client.threads.get(thread_id).status == "idle"


def test_leaving_early_cancels_the_run(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(says("working"), wait(threading.Event()))
    with client.runs.stream(thread_id, "agent", input=HELLO) as run:
        next(iter(run.text()))
    server.wait_until(lambda: any(each.path.endswith("/cancel") for each in server.requests))

    assert client.runs.join(thread_id, str(run.run_id)) is not None
    assert server.runs[0]["status"] == "interrupted"


def test_a_run_that_is_left_going_can_be_resumed(server: ScriptedServer, client: Client, thread_id: str) -> None:
    go_on = threading.Event()
    server.script(says("first"), wait(go_on), says("second"))
    with client.runs.stream(thread_id, "agent", input=HELLO, on_close="continue") as run:
        next(iter(run.text()))
        cursor = run.detach()
    go_on.set()

    with client.runs.resume(cursor, replay=False) as run:
        assert "".join(run.text()).endswith("second")


def test_heartbeats_show_that_a_quiet_run_lives(server: ScriptedServer, client: Client, thread_id: str) -> None:
    go_on = threading.Event()
    server.heartbeat = 0.02
    server.script(wait(go_on), says("done"))
    seen = threading.Timer(0.3, go_on.set)
    seen.start()
    with client.runs.stream(thread_id, "agent", input=HELLO, timeout=0.2) as run:
        assert run.final_text() == "done"
    seen.join(PATIENCE)


def test_a_run_without_a_thread_is_played_too(server: ScriptedServer, client: Client) -> None:
    server.script(says("hello"))
    with client.runs.stream(None, "agent", input=HELLO) as run:
        assert run.final_text() == "hello"


def test_waiting_gives_the_state(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(says("hello"))
    server.script(error("ValueError", "boom"))

    assert client.runs.wait(thread_id, "agent", input=HELLO)["messages"][-1]["content"] == "hello"
    with pytest.raises(RunError, match="boom"):
        client.runs.wait(thread_id, "agent", input=HELLO)


def test_a_run_in_the_background_can_be_joined(server: ScriptedServer, client: Client, thread_id: str) -> None:
    server.script(says("hello"))
    run = client.runs.create(thread_id, "agent", input=HELLO, stream_mode=["messages-tuple", "updates"])

    with client.runs.join_stream(thread_id, run.run_id, last_event_id="-1") as stream:
        assert stream.final_text() == "hello"


def test_runs_on_a_busy_thread_are_queued_or_refused(server: ScriptedServer, client: Client, thread_id: str) -> None:
    go_on = threading.Event()
    server.script(wait(go_on), says("one"))
    server.script(says("two"))
    first = client.runs.create(thread_id, "agent", input=HELLO)
    with pytest.raises(ConflictError):
        client.runs.create(thread_id, "agent", input=HELLO, multitask_strategy="reject")
    second = client.runs.create(thread_id, "agent", input=HELLO, multitask_strategy="enqueue")
    go_on.set()

    client.runs.join(thread_id, first.run_id)
    state = client.runs.join(thread_id, second.run_id)
    assert [each["content"] for each in state["messages"]] == ["hi", "one", "hi", "two"]


def test_a_script_is_for_one_run_and_a_repeated_one_for_the_rest(
    server: ScriptedServer, client: Client, thread_id: str
) -> None:
    server.script(says("always"), repeat=True)
    server.script(says("once"))

    assert [messages(client, thread_id)[-1][1] for _ in range(3)] == ["once", "always", "always"]


def test_a_run_without_a_script_is_refused(server: ScriptedServer, client: Client, thread_id: str) -> None:
    with pytest.raises(InternalServerError, match="No script is left for POST .*/runs/stream: call server.script"):
        messages(client, thread_id)


def test_a_step_that_is_none_is_refused_at_once(server: ScriptedServer) -> None:
    with pytest.raises(ConfigurationError, match="'hello' is no step; a script is made of says"):
        server.script("hello")  # type: ignore[arg-type]


def test_what_it_does_not_know_is_not_found(client: Client) -> None:
    with pytest.raises(NotFoundError, match="A scripted server does not know GET /custom"):
        client.http.get("/custom")
    with pytest.raises(NotFoundError, match="Thread with ID nowhere not found"):
        client.threads.get("nowhere")


def test_requests_are_kept(server: ScriptedServer, client: Client) -> None:
    client.threads.create(metadata={"user": "a"})
    request = server.requests[-1]

    assert (str(request), request.json["metadata"]) == ("POST /threads", {"user": "a"})
    assert request.headers["user-agent"].startswith("lgsync/")


def test_threads_can_be_there_before(server: ScriptedServer, client: Client) -> None:
    thread_id = server.add_thread(messages=["hi", ("ai", "hello")], topic="weather")
    found = client.threads.search()

    assert [each.thread_id for each in found] == [thread_id]
    state = client.threads.get_state(thread_id).values
    assert [(each["type"], each["content"]) for each in state["messages"]] == [("human", "hi"), ("ai", "hello")]
    client.threads.delete(thread_id)
    assert client.threads.search() == []


def test_closing_ends_runs_that_wait() -> None:
    server = ScriptedServer().start()
    server.script(wait(threading.Event()))
    with Client(server.url, reconnect=0) as client:
        client.runs.create(client.threads.create().thread_id, "agent")
        server.close()

    server.close()
    assert [run["status"] for run in server.runs] == ["interrupted"]


def test_two_run_at_the_same_time(server: ScriptedServer, client: Client) -> None:
    both = threading.Barrier(2)
    server.script(says("a", "b"), says("c"), repeat=True)
    texts: List[str] = []

    def one() -> None:
        thread_id = client.threads.create().thread_id
        both.wait(PATIENCE)
        with client.runs.stream(thread_id, "agent", input=HELLO) as run:
            texts.append("".join(run.text()))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert texts == ["abc", "abc"]
