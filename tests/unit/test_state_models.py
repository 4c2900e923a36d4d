"""A run's state, read as a model of the caller's."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any, Dict

import pytest
from pydantic import BaseModel
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, run_answers, state
from typing_extensions import TypedDict

from lgsync import Client, RunError, StateMismatch, StreamPart
from lgsync.errors import ConfigurationError


class Typed(BaseModel):
    count: int


@dataclasses.dataclass
class Plain:
    count: int


class Keyed(TypedDict):
    count: int


def client(values: Dict[str, Any], *steps: StreamPart) -> Client:
    """One whose run streams these parts, and leaves the thread with these values."""
    answers = run_answers(thread_state={**state(), "values": values})
    answers[f"POST /threads/{THREAD}/runs"] = (200, {"run_id": RUN})
    answers[f"GET /threads/{THREAD}/runs/{RUN}/join"] = (200, values)
    answers["POST /runs/wait"] = (200, values)
    return Client(transport=ScriptedTransport(ScriptedSource(steps), answers))


@pytest.mark.parametrize(
    ("model", "whole"),
    [(Typed, Typed(count=1)), (Plain, Plain(count=1)), (Keyed, {"count": 1}), (Dict[str, int], {"count": 1})],
)
def test_the_result_is_read_as_a_model(model: Any, whole: Any) -> None:
    assert client({"count": 1}).runs.stream(THREAD, "agent").result(model) == whole


def test_without_a_model_the_result_is_as_it_was_sent() -> None:
    assert client({"count": "1"}).runs.stream(THREAD, "agent").result() == {"count": "1"}


def test_each_state_of_the_stream_is_read_as_a_model() -> None:
    run = client({}, *(StreamPart("values", {"count": n}) for n in (1, 2))).runs.stream(
        THREAD, "agent", stream_mode="values"
    )
    assert list(run.values(Typed)) == [Typed(count=1), Typed(count=2)]


def test_a_wait_gives_the_model() -> None:
    one = client({"count": 3})
    assert one.runs.wait(THREAD, "agent", model=Typed) == Typed(count=3)
    assert one.runs.join(THREAD, RUN, model=Typed) == Typed(count=3)
    assert one.runs.wait(None, "agent", model=Typed) == Typed(count=3)


def test_a_state_that_does_not_fit_is_an_error_that_says_where() -> None:
    run = client({"count": "many"}).runs.stream(THREAD, "agent")
    with pytest.raises(StateMismatch, match=f"run {RUN} on thread {THREAD} is no Typed.*count") as caught:
        run.result(Typed)
    assert run.result() == {"count": "many"}
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_class_that_cannot_be_a_model_is_refused() -> None:
    class Strange:
        pass

    with pytest.raises(ConfigurationError, match="cannot serve as a model"):
        client({"count": 1}).runs.stream(THREAD, "agent").result(Strange)


def test_a_failed_run_is_no_state() -> None:
    one = client({"__error__": {"error": "ValueError", "message": "boom"}})
    with pytest.raises(RunError, match="boom"):
        one.runs.wait(THREAD, "agent", model=Typed)
    failure: Any = one.runs.wait(THREAD, "agent", model=Typed, raise_error=False)
    assert failure["__error__"]["message"] == "boom"
