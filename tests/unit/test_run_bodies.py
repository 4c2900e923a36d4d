"""What the methods that start a run send: the same fields from each, under the API's names, and nothing unset."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Tuple

import pytest
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport

from lgsync import Client, NotFoundError
from lgsync.errors import ConfigurationError, WrongType
from lgsync.transport import RunStart

RECORD = {"thread_id": THREAD, "run_id": RUN, "status": "pending"}

every_start = pytest.mark.parametrize("method", ["stream", "create", "wait", "create_batch"])
every_single_start = pytest.mark.parametrize("method", ["stream", "create", "wait"])


def started(method: str, thread_id: Any = THREAD, **options: Any) -> Tuple[str, Dict[str, Any]]:
    """The path of the request that starts a run, and its body."""
    runs = f"/threads/{THREAD}/runs" if thread_id else "/runs"
    answers = {
        f"POST {runs}": (200, RECORD),
        f"POST {runs}/wait": (200, {}),
        f"GET {runs}/{RUN}/join": (200, {}),
        "POST /runs/batch": (200, [RECORD]),
    }
    transport = ScriptedTransport(ScriptedSource([]), answers)
    client = Client(transport=transport)
    if method == "create_batch":
        client.runs.create_batch([{"assistant_id": "agent", "thread_id": thread_id, **options}])  # type: ignore[typeddict-item]
    else:
        getattr(client.runs, method)(thread_id, "agent", **options)
    for start in transport.started:
        assert isinstance(start, RunStart)
        return f"{runs}/stream", dict(start.payload)
    _, path, body = transport.requests[0]
    return path, body[0] if isinstance(body, list) else body


@every_start
def test_what_is_none_is_not_sent(method: str) -> None:
    unset = ["input", "command", "metadata", "config", "context", "checkpoint_id", "webhook", "durability"]
    _, body = started(method, **dict.fromkeys(unset))
    assert not set(body) & set(unset)
    assert None not in body.values()


@every_start
def test_none_inside_an_input_is_sent(method: str) -> None:
    assert started(method, input={"city": None})[1]["input"] == {"city": None}


@every_start
def test_an_answer_of_none_is_sent_and_the_rest_of_a_command_is_not(method: str) -> None:
    command = {"resume": None, "update": None, "goto": None}
    assert started(method, command=command)[1]["command"] == {"resume": None}
    assert started(method, command={"goto": "n", "update": None})[1]["command"] == {"goto": "n"}


@every_start
def test_what_is_false_zero_or_empty_is_sent(method: str) -> None:
    options: Dict[str, Any] = {"input": {}, "metadata": {}, "after_seconds": 0}
    _, body = started(method, **options)
    assert {name: body[name] for name in options} == options


@every_single_start
def test_a_run_without_a_thread_is_started_at_a_path_without_one(method: str) -> None:
    ends = {"stream": "/runs/stream", "create": "/runs", "wait": "/runs/wait"}
    assert started(method, None)[0] == ends[method]


@pytest.mark.parametrize(("method", "end"), [("stream", "/runs/stream"), ("create", "/runs"), ("wait", "/runs")])
def test_a_run_on_a_thread_is_started_below_that(method: str, end: str) -> None:
    assert started(method)[0] == f"/threads/{THREAD}{end}"


@every_single_start
@pytest.mark.parametrize("tracing", [{"project_name": "p"}, {"project_name": "p", "example_id": "e"}, {}])
def test_tracing_goes_as_it_is_under_the_servers_name(method: str, tracing: Dict[str, str]) -> None:
    _, body = started(method, langsmith_tracing=tracing)
    assert body["langsmith_tracer"] == tracing
    assert "langsmith_tracing" not in body


@every_single_start
def test_tracing_that_is_not_given_is_not_sent(method: str) -> None:
    assert not {"langsmith_tracer", "langsmith_tracing"} & set(started(method)[1])


@every_single_start
def test_checkpoint_during_is_still_sent_but_warned_of_where_it_is_written(method: str) -> None:
    transport = ScriptedTransport(
        ScriptedSource([]),
        {
            f"POST /threads/{THREAD}/runs": (200, RECORD),
            f"GET /threads/{THREAD}/runs/{RUN}/join": (200, {}),
        },
    )
    start = getattr(Client(transport=transport).runs, method)
    with pytest.warns(DeprecationWarning, match="durability") as warned:
        start(THREAD, "agent", checkpoint_during=False)
    assert [each.filename for each in warned] == [__file__]
    bodies: List[Any] = [start.payload for start in transport.started if isinstance(start, RunStart)]
    bodies += [body for _, _, body in transport.requests]
    assert bodies[0]["checkpoint_during"] is False


@every_single_start
def test_without_checkpoint_during_nobody_is_warned(method: str, recwarn: pytest.WarningsRecorder) -> None:
    started(method)
    assert list(recwarn) == []


def test_cancelling_a_finished_run_is_a_not_found_error() -> None:
    cancel = f"POST /threads/{THREAD}/runs/{RUN}/cancel"
    transport = ScriptedTransport(answers={cancel: (404, {"detail": f"Run {RUN} is not active"})})
    with pytest.raises(NotFoundError, match="is not active") as caught:
        Client(transport=transport).runs.cancel(THREAD, RUN)
    assert caught.value.status_code == 404


# -- what may stand for a mapping, and what may not -----------------------------------------------------------------


@dataclasses.dataclass
class Answer:
    """Like the Command of a graph's own library."""

    graph: Any = None
    update: Any = None
    resume: Any = None
    goto: Any = ()


def test_a_dataclass_is_a_command_of_the_fields_that_are_set() -> None:
    assert started("stream", command=Answer(resume="yes"))[1]["command"] == {"resume": "yes"}


@pytest.mark.parametrize("name", ["config", "metadata", "command"])
@pytest.mark.parametrize("value", ["text", b"bytes", 7, ["a"], dict], ids=repr)
def test_what_is_no_mapping_is_refused(name: str, value: Any) -> None:
    with pytest.raises(WrongType, match=f"{name} must be a mapping"):
        started("stream", **{name: value})


@pytest.mark.parametrize("assistant_id", [b"agent", 1.5, ["agent"]], ids=repr)
def test_an_assistant_is_named_by_text(assistant_id: Any) -> None:
    with pytest.raises(WrongType, match="assistant_id must be an id"):
        Client(transport=ScriptedTransport(ScriptedSource([]))).runs.stream(THREAD, assistant_id)


# -- batches --------------------------------------------------------------------------------------------------------


def batch_of(*payloads: Any) -> Any:
    transport = ScriptedTransport(answers={"POST /runs/batch": (200, [])})
    Client(transport=transport).runs.create_batch(list(payloads))
    return transport.requests[0][2]


def test_a_batch_sends_fields_that_are_not_known_here() -> None:
    sent = {"assistant_id": "agent", "thread_id": THREAD, "langsmith_tracer": {"project_name": "p"}, "new_field": 1}
    assert batch_of(sent) == [sent]


def test_a_batch_without_an_assistant_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="assistant_id must be"):
        batch_of({"input": {}})


@pytest.mark.parametrize("payloads", [{"assistant_id": "agent"}, ["agent"], "agent"], ids=repr)
def test_a_batch_is_a_list_of_mappings(payloads: Any) -> None:
    with pytest.raises(WrongType, match="payloads must be a list of mappings"):
        Client(transport=ScriptedTransport()).runs.create_batch(payloads)


def test_cancelling_nothing_in_particular_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Say which runs to cancel"):
        Client(transport=ScriptedTransport()).runs.cancel_many()
