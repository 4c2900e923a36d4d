from __future__ import annotations

import itertools
from typing import Any, Dict, List, Tuple

import pytest
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport

from lgsync.client import Client
from lgsync.cursor import Cursor
from lgsync.errors import (
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    DeadlineExceeded,
    NotFoundError,
    ResponseError,
    RunError,
    StreamLost,
    UnsupportedByTransport,
    WrongType,
)
from lgsync.transport import Capabilities, RunJoin, RunStart

RECORD = {
    "thread_id": THREAD,
    "run_id": RUN,
    "assistant_id": "a",
    "status": "success",
    "created_at": "2026-01-02T03:04:05Z",
}


def client(answers: Any = None) -> Tuple[Client, ScriptedTransport]:
    transport = ScriptedTransport(ScriptedSource([]), answers)
    return Client(transport=transport), transport


def sent(method: str, path: str, answer: Any, call: Any) -> Any:
    """The body or query that ``call(client)`` sends to ``method path``, which answers ``answer``."""
    one, transport = client({f"{method} {path}": (200, answer)})
    call(one)
    (request,) = transport.requests
    return request[2]


def started(**options: Any) -> Dict[str, Any]:
    """The body of the run that ``runs.stream`` starts with these options."""
    one, transport = client()
    one.runs.stream(THREAD, "agent", **options)
    (start,) = transport.started
    assert isinstance(start, RunStart)
    return dict(start.payload)


# -- models -----------------------------------------------------------------------------------------------------


def test_a_thread_answers_as_an_object_and_as_a_dictionary() -> None:
    one, _ = client({"POST /threads": (200, {**RECORD, "new_field": 1})})
    thread = one.threads.create()
    assert thread.thread_id == thread["thread_id"] == thread.get("thread_id") == THREAD
    assert "new_field" in thread
    assert thread["new_field"] == 1
    assert dict(thread)["thread_id"] == THREAD
    assert thread.get("nothing", "default") == "default"
    with pytest.raises(KeyError):
        thread["nothing"]


def test_timestamps_are_aware_datetimes() -> None:
    one, _ = client({"POST /threads": (200, RECORD)})
    created = one.threads.create().created_at
    assert created is not None
    assert created.tzinfo is not None


def test_an_answer_that_is_no_thread_is_a_response_error() -> None:
    one, _ = client({"POST /threads": (200, {"hello": "world"})})
    with pytest.raises(ResponseError, match="POST http://server/threads.*thread_id"):
        one.threads.create()


def test_null_lists_are_empty_and_fields_that_were_not_sent_are_not_in_the_model() -> None:
    sent_state = {"values": {}, "next": None, "tasks": [{"id": "1", "interrupts": None}]}
    one, _ = client({f"GET /threads/{THREAD}/state": (200, sent_state)})
    state = one.threads.get_state(THREAD)
    assert (state.next, state.tasks[0].interrupts, state.metadata) == ([], [], None)
    assert "values" in state
    assert "metadata" not in state
    assert set(dict(state)) == {"values", "next", "tasks"}


def test_a_thread_whose_task_waits_for_nothing_can_be_read() -> None:
    one, _ = client({"POST /threads": (200, {**RECORD, "interrupts": {"task": None}})})
    assert one.threads.create().interrupts == {"task": []}


# -- threads ----------------------------------------------------------------------------------------------------


def test_creating_a_thread_sends_only_what_was_given() -> None:
    assert sent("POST", "/threads", RECORD, lambda c: c.threads.create()) == {}


def test_a_threads_graph_goes_into_its_metadata_and_its_ttl_becomes_a_strategy() -> None:
    body = sent("POST", "/threads", RECORD, lambda c: c.threads.create(graph_id="g", metadata={"a": 1}, ttl=60))
    assert body == {"metadata": {"a": 1, "graph_id": "g"}, "ttl": {"ttl": 60, "strategy": "delete"}}


def test_a_missing_thread_is_a_not_found_error() -> None:
    one, _ = client()
    with pytest.raises(NotFoundError, match=THREAD):
        one.threads.get(THREAD)


def test_an_empty_thread_id_is_refused_before_anything_is_sent() -> None:
    one, transport = client()
    with pytest.raises(ConfigurationError, match="thread_id"):
        one.threads.delete("")
    assert transport.requests == []


def test_ids_are_quoted_so_that_they_stay_under_their_resource() -> None:
    one, transport = client()
    with pytest.raises(NotFoundError):
        one.threads.get("../assistants/x")
    assert transport.requests[0][1] == "/threads/..%2Fassistants%2Fx"


def test_the_state_of_a_checkpoint_is_asked_for_in_a_body() -> None:
    checkpoint = {"checkpoint_id": "c", "checkpoint_ns": ""}
    path = f"/threads/{THREAD}/state/checkpoint"
    body = sent("POST", path, {"values": {}}, lambda c: c.threads.get_state(THREAD, checkpoint))
    assert body == {"checkpoint": checkpoint, "subgraphs": False}


def test_an_update_of_the_state_may_be_none() -> None:
    path = f"/threads/{THREAD}/state"
    body = sent("POST", path, {"checkpoint": {}}, lambda c: c.threads.update_state(THREAD, None, as_node="n"))
    assert body == {"values": None, "as_node": "n"}


def test_the_history_is_a_list_of_states() -> None:
    one, _ = client({f"POST /threads/{THREAD}/history": (200, [{"values": {"n": 1}, "next": ["a"]}])})
    (past,) = one.threads.get_history(THREAD)
    assert past.values == {"n": 1}
    assert past.next == ["a"]


# -- assistants -------------------------------------------------------------------------------------------------


def test_a_search_for_assistants_sends_its_filters() -> None:
    body = sent("POST", "/assistants/search", [], lambda c: c.assistants.search(graph_id="agent"))
    assert body == {"graph_id": "agent", "limit": 10, "offset": 0}


# -- runs -------------------------------------------------------------------------------------------------------


def test_a_stream_asks_for_what_messages_need_unless_told_otherwise() -> None:
    assert started()["stream_mode"] == ["messages-tuple", "updates"]
    assert started(stream_mode="values")["stream_mode"] == ["values"]
    assert started(stream_mode=["values", "custom"])["stream_mode"] == ["values", "custom"]


def test_a_run_is_resumable_unless_told_otherwise() -> None:
    assert started()["stream_resumable"] is True
    assert started(stream_resumable=False)["stream_resumable"] is False


def test_unset_fields_are_left_out_and_a_resume_with_none_is_kept() -> None:
    assert started(command={"resume": None}) == {
        "assistant_id": "agent",
        "command": {"resume": None},
        "stream_mode": ["messages-tuple", "updates"],
        "stream_subgraphs": False,
        "stream_resumable": True,
    }


def test_tracing_goes_under_the_servers_own_name() -> None:
    assert started(langsmith_tracing={"project_name": "p"})["langsmith_tracer"] == {"project_name": "p"}


def test_a_run_without_a_thread_is_cancelled_by_the_server_when_it_is_left() -> None:
    one, transport = client()
    one.runs.stream(None, "agent")
    one.runs.stream(None, "agent", on_close="continue")
    first, second = transport.started
    assert isinstance(first, RunStart)
    assert isinstance(second, RunStart)
    assert first.thread_id is None
    assert first.payload["on_disconnect"] == "cancel"
    assert "on_disconnect" not in second.payload


@pytest.mark.parametrize(
    "options", [{"stream_mode": "message"}, {"stream_mode": []}, {"on_close": "stop"}], ids=["mode", "none", "on_close"]
)
def test_a_wrong_choice_is_refused_with_the_choices_there_are(options: Dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="values|cancel"):
        started(**options)


@pytest.mark.parametrize("name", ["config", "metadata", "command"])
def test_an_argument_that_must_be_a_mapping_is_refused_if_it_is_none(name: str) -> None:
    with pytest.raises(WrongType, match=name):
        started(**{name: "text"})


def test_input_and_command_at_once_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        started(input={}, command={"resume": "yes"})


def test_a_thread_given_for_its_id_is_refused_with_a_hint() -> None:
    one, transport = client({"POST /threads": (200, RECORD)})
    thread = one.threads.create()
    with pytest.raises(TypeError, match="pass its thread_id"):
        one.runs.stream(thread, "agent")  # type: ignore[arg-type]
    assert transport.started == []


def test_an_empty_assistant_id_is_refused() -> None:
    one, transport = client()
    with pytest.raises(ConfigurationError, match="assistant_id"):
        one.runs.stream(THREAD, "")
    assert transport.started == []


@pytest.mark.parametrize(
    ("options", "named"),
    [({"stream_mode": "custom"}, "custom"), ({"context": {"a": 1}}, "context")],
    ids=["mode", "option"],
)
def test_what_the_transport_cannot_carry_is_refused_before_anything_is_sent(
    options: Dict[str, Any], named: str
) -> None:
    one, transport = client()
    carried = frozenset(["assistant_id", "stream_mode", "stream_subgraphs", "stream_resumable"])
    transport.limits = Capabilities(
        stream_modes=frozenset(["values"]), default_modes=("values",), run_options=carried, hints={named: "Do this."}
    )
    with pytest.raises(UnsupportedByTransport, match=rf'{named}.*transport="sse".*Do this'):
        one.runs.stream(THREAD, "agent", **options)
    assert transport.started == []


def test_a_transport_that_needs_a_thread_refuses_a_run_without_one() -> None:
    one, transport = client()
    transport.limits = Capabilities(frozenset(["values"]), ("values",), stateless_runs=False)
    with pytest.raises(UnsupportedByTransport, match="thread_id"):
        one.runs.stream(None, "agent")


def test_joining_begins_at_the_start_unless_told_otherwise() -> None:
    one, transport = client()
    one.runs.join_stream(THREAD, RUN)
    one.runs.join_stream(THREAD, RUN, last_event_id="7-0", stream_mode="values")
    first, second = transport.started
    assert isinstance(first, RunJoin)
    assert isinstance(second, RunJoin)
    assert (first.position, first.modes) == ("-1", ())
    assert (second.position, second.modes) == ("7-0", ("values",))


FAILED = {"__error__": {"error": "ValueError", "message": "no such city"}}
AWAY = ConnectionFailed("refused", url="http://server")


def waited(*answers: Any, **more: Any) -> Tuple[Client, ScriptedTransport]:
    """A client whose server starts a run, and answers so when it is waited for."""
    turns = iter(answers)
    runs = f"/threads/{THREAD}/runs"
    started = {f"POST {runs}": (200, RECORD), f"GET {runs}/{RUN}/join": lambda: next(turns)}
    return client({**started, **more})


def test_waiting_returns_the_states_values() -> None:
    one, _ = waited((200, {"messages": []}))
    assert one.runs.wait(THREAD, "agent", input={}) == {"messages": []}


def test_waiting_for_a_run_that_fails_raises_a_run_error() -> None:
    one, _ = waited((200, FAILED))
    with pytest.raises(RunError, match="ValueError: no such city") as caught:
        one.runs.wait(THREAD, "agent")
    assert (caught.value.error, caught.value.thread_id, caught.value.run_id) == ("ValueError", THREAD, RUN)


def test_waiting_can_return_the_failure_instead() -> None:
    one, _ = waited((200, FAILED))
    assert one.runs.wait(THREAD, "agent", raise_error=False) == FAILED


def test_a_wait_whose_connection_breaks_is_taken_up_again_and_starts_nothing_twice() -> None:
    one, transport = waited(ConnectionLost("reset", url="http://server"), AWAY, (200, {"done": True}))
    assert one.runs.wait(THREAD, "agent") == {"done": True}
    assert len(transport.calls("POST ")) == 1


def test_a_wait_that_breaks_off_now_and_then_goes_on_for_as_long_as_the_server_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count(0, 40)
    monkeypatch.setattr("lgsync.run_wait.time.monotonic", lambda: next(clock))
    cuts = [ConnectionLost("idle", url="http://server") for _ in range(5)]
    one, _ = waited(*cuts, (200, {"done": True}))
    monkeypatch.setattr("lgsync.run_wait.time.sleep", lambda seconds: None)
    assert one.runs.wait(THREAD, "agent") == {"done": True}


def test_a_calls_own_deadline_counts_instead_of_the_clients() -> None:
    answers = {f"GET /threads/{THREAD}/runs/{RUN}/join": (200, {"done": True})}
    transport = ScriptedTransport(answers=answers)
    limits: List[Any] = []
    plain = transport.request

    def request(*args: Any, **options: Any) -> Any:
        limits.append(options["timeout"])
        return plain(*args, **options)

    transport.request = request  # type: ignore[method-assign]
    Client(transport=transport, deadline=2).runs.join(THREAD, RUN, deadline=20)
    assert [round(limit.total) for limit in limits] == [20]


@pytest.mark.parametrize("answer", [None, [], {}, "text"])
def test_a_run_that_is_started_without_being_named_is_a_strange_answer(answer: Any) -> None:
    one, _ = client({f"POST /threads/{THREAD}/runs": (200, answer)})
    with pytest.raises(ResponseError):
        one.runs.wait(THREAD, "agent")


def test_a_wait_for_a_server_that_stays_away_ends_with_the_run_named() -> None:
    transport = ScriptedTransport(answers={f"GET /threads/{THREAD}/runs/{RUN}/join": AWAY})
    with pytest.raises(StreamLost, match="could not be waited for") as caught:
        Client(transport=transport, reconnect=0.2).runs.join(THREAD, RUN)
    assert caught.value.run_id == RUN


def test_a_pause_shows_the_values_beside_what_is_waited_for() -> None:
    waiting = [{"id": "i1", "value": "ok?"}, {"id": "i2", "value": "sure?"}]
    state = (200, {"values": {"messages": []}, "next": ["ask"], "tasks": []})
    one, _ = waited((200, {"__interrupt__": waiting}), **{f"GET /threads/{THREAD}/state": state})
    assert one.runs.wait(THREAD, "agent") == {"messages": [], "__interrupt__": waiting}


@pytest.mark.parametrize("on_close", ["cancel", "continue"])
def test_a_wait_that_is_interrupted_cancels_its_run_unless_told_otherwise(on_close: str) -> None:
    cancel = f"POST /threads/{THREAD}/runs/{RUN}/cancel"
    one, transport = waited(KeyboardInterrupt(), **{cancel: (202, None)})
    with pytest.raises(KeyboardInterrupt):
        one.runs.wait(THREAD, "agent", on_close=on_close)
    assert len(transport.calls(cancel)) == (on_close == "cancel")


def test_a_wait_beyond_its_deadline_names_the_run_and_cancels_it() -> None:
    cancel = f"POST /threads/{THREAD}/runs/{RUN}/cancel"
    late = itertools.repeat(AWAY)
    one, transport = waited(*itertools.islice(late, 50), **{cancel: (202, None)})
    with pytest.raises(DeadlineExceeded) as caught:
        one.runs.wait(THREAD, "agent", deadline=0.2)
    assert (caught.value.thread_id, caught.value.run_id) == (THREAD, RUN)
    assert len(transport.calls(cancel)) == 1


def test_a_run_without_a_thread_is_waited_for_by_the_request_that_starts_it() -> None:
    one, transport = client({"POST /runs/wait": (200, {"done": True})})
    assert one.runs.wait(None, "agent") == {"done": True}
    assert len(transport.requests) == 1


def test_a_join_without_a_run_finds_the_one_at_work() -> None:
    path = f"/threads/{THREAD}/runs"
    one, transport = client({f"GET {path}": (200, [{**RECORD, "run_id": "newer"}, RECORD])})
    one.runs.join_stream(THREAD)
    assert [start.run_id for start in transport.started if isinstance(start, RunJoin)] == [RUN]
    assert transport.requests[0][2]["status"] == "running"


def test_a_join_without_a_run_says_that_none_is_at_work() -> None:
    one, transport = client({f"GET /threads/{THREAD}/runs": (200, [])})
    with pytest.raises(NotFoundError, match="No run is at work"):
        one.runs.join_stream(THREAD)
    assert [call[2]["status"] for call in transport.requests] == ["running", "pending"]


def test_a_cursor_of_another_transport_is_refused_before_anything_is_sent() -> None:
    one, transport = client()
    with pytest.raises(ConfigurationError, match='transport="sse"'):
        one.runs.resume(Cursor(THREAD, RUN, transport="sse"))
    assert transport.started == []


def test_runs_are_created_got_listed_and_cancelled_at_their_paths() -> None:
    runs = f"/threads/{THREAD}/runs"
    answers = {
        f"POST {runs}": (200, RECORD),
        f"GET {runs}/{RUN}": (200, RECORD),
        f"GET {runs}": (200, [RECORD]),
        f"POST {runs}/{RUN}/cancel": (202, None),
    }
    one, transport = client(answers)
    assert one.runs.create(THREAD, "agent").run_id == RUN
    assert one.runs.get(THREAD, RUN).status == "success"
    assert [run.run_id for run in one.runs.list(THREAD, status="success")] == [RUN]
    one.runs.cancel(THREAD, RUN, wait=True, action="rollback")
    assert transport.requests[2][2] == {"limit": 10, "offset": 0, "status": "success"}
    assert transport.requests[3][2] == {"wait": 1, "action": "rollback"}


def test_runs_of_which_only_some_fields_were_asked_for_have_no_others() -> None:
    one, _ = client({f"GET /threads/{THREAD}/runs": (200, [{"status": "success"}])})
    (run,) = one.runs.list(THREAD, select=["status"])
    assert (run.status, run.run_id) == ("success", None)
    assert dict(run) == {"status": "success"}


def test_an_iteration_over_some_fields_of_runs_asks_for_the_id_too() -> None:
    one, transport = client({f"GET /threads/{THREAD}/runs": (200, [{"run_id": RUN, "status": "success"}])})
    assert [run.run_id for run in one.runs.iter(THREAD, select=["status"])] == [RUN]
    assert transport.requests[0][2]["select"] == ["run_id", "status"]


def test_an_error_that_starting_a_run_meets_is_not_its_own_cause() -> None:
    one, _ = client({f"POST /threads/{THREAD}/runs": (404, {"detail": "no"})})
    with pytest.raises(NotFoundError) as caught:
        one.runs.create(THREAD, "agent")
    assert caught.value.__cause__ is None


def test_per_call_params_win_over_the_methods_own() -> None:
    query = sent("GET", f"/threads/{THREAD}/runs", [], lambda c: c.runs.list(THREAD, params={"limit": 99}))
    assert query["limit"] == 99


def test_a_page_of_html_is_a_response_error_that_shows_it() -> None:
    one, transport = client()
    page = transport.request("GET", "/x")._replace(status=200, headers={"content-type": "text/html"}, body=b"<h1>Hi")
    transport.request = lambda *_args, **_options: page  # type: ignore[method-assign]
    with pytest.raises(ResponseError, match="text/html, a web page that says 'Hi'") as caught:
        one.threads.get(THREAD)
    assert (caught.value.status, caught.value.content_type) == (200, "text/html")
