"""What the methods that start a run send: the same fields from each, under the API's names, and nothing unset."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport

from lgsync import Client, NotFoundError
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
