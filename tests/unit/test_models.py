from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from typing import Any, Dict, List, cast

import pytest
from pydantic import BaseModel, TypeAdapter

from lgsync.models import (
    Assistant,
    AssistantsSearchResponse,
    Checkpoint,
    Cron,
    Run,
    SearchItemsResponse,
    Thread,
    ThreadState,
)

THREAD: Dict[str, Any] = {
    "thread_id": "t1",
    "created_at": "2026-01-02T03:04:05Z",
    "status": "idle",
    "interrupts": {"task": [{"value": {"q": "ok?"}, "id": "i1"}]},
    "values": None,
    "new_field": {"a": 1},
}


def thread(**fields: Any) -> Thread:
    return Thread.model_validate({**THREAD, **fields})


def test_attributes_are_typed() -> None:
    one = thread()
    assert one.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert one.interrupts["task"][0].value == {"q": "ok?"}


def test_as_a_dictionary_it_is_what_was_sent() -> None:
    one = thread()
    assert dict(one) == THREAD
    assert {**one} == THREAD
    assert list(one) == list(THREAD)
    assert len(one) == len(THREAD)
    assert one["created_at"] == "2026-01-02T03:04:05Z"
    assert one.get("created_at") == "2026-01-02T03:04:05Z"
    assert json.loads(json.dumps(dict(one))) == THREAD


def test_a_nested_answer_is_a_plain_dictionary_there() -> None:
    assert thread()["interrupts"]["task"][0] == {"value": {"q": "ok?"}, "id": "i1"}


def test_it_equals_a_dictionary_of_what_was_sent() -> None:
    assert thread() == THREAD
    assert thread() == thread()
    assert thread() != thread(status="busy")


def test_what_was_not_sent_is_not_in_the_dictionary() -> None:
    one = thread()
    assert "metadata" not in one
    assert one.get("metadata", "default") == "default"
    assert one.metadata is None
    with pytest.raises(KeyError):
        one["metadata"]


def test_what_was_sent_as_null_is_in_the_dictionary() -> None:
    one = thread(interrupts=None)
    assert one["interrupts"] is None
    assert one.interrupts == {}


def test_fields_that_no_model_knows_are_kept() -> None:
    one = thread()
    assert one["new_field"] == {"a": 1}
    assert one.new_field == {"a": 1}  # type: ignore[attr-defined]


def test_a_status_that_is_not_known_yet_is_taken() -> None:
    assert thread(status="dreaming").status == "dreaming"


def test_a_task_whose_interrupts_are_null_waits_for_nothing() -> None:
    assert thread(interrupts={"task": None}).interrupts == {"task": []}


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        thread().status = "busy"


def test_both_faces_survive_pickling() -> None:
    one = pickle.loads(pickle.dumps(thread()))
    assert one == THREAD
    assert one.created_at == thread().created_at


def test_a_model_made_by_hand_is_a_dictionary_of_what_it_was_made_of() -> None:
    assert dict(Checkpoint(checkpoint_id="c", thread_id="t")) == {"checkpoint_id": "c", "thread_id": "t"}


def test_a_required_field_that_is_null_is_missing() -> None:
    with pytest.raises(ValueError, match="run_id"):
        Run.model_validate({"run_id": None})


def test_the_tasks_of_a_state_are_models_and_dictionaries() -> None:
    state: ThreadState = ThreadState.model_validate({"values": {"n": 1}, "tasks": [{"id": "t", "path": ["a", 0]}]})
    assert state.tasks[0].path == ["a", 0]
    assert state["tasks"] == [{"id": "t", "path": ["a", 0]}]
    assert state["values"] == state.values == {"n": 1}


def test_what_was_sent_can_be_gone_through_as_a_dictionary_is() -> None:
    assert list(thread().items()) == list(THREAD.items())
    assert thread().keys() == THREAD.keys()
    assert thread().keys() - {"values"} == set(THREAD) - {"values"}


def test_a_field_named_items_is_a_field() -> None:
    page = SearchItemsResponse.model_validate({"items": [{"key": "k", "value": {}}]})
    assert [dict(one.items()) for one in page.items] == [{"key": "k", "value": {}}]
    assert list(page) == ["items"]


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05", "2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00"])
def test_timestamps_are_aware(text: str) -> None:
    one = thread(created_at=text)
    assert one.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert one["created_at"] == text


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("metadata", []),
        ("created_at", "yesterday"),
        ("created_at", {}),
        ("interrupts", ["i1"]),
        ("interrupts", {"task": ["i1"]}),
        ("config", "none"),
        ("status", 7),
    ],
)
def test_a_field_that_does_not_fit_is_as_it_was_sent(name: str, odd: Any) -> None:
    one = thread(**{name: odd, "updated_at": "2026-01-02T03:04:05Z"})
    assert getattr(one, name) == one[name] == odd
    assert one.thread_id == "t1"
    assert one.updated_at == thread().created_at
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_page_with_an_odd_row_is_a_page() -> None:
    rows = TypeAdapter(List[Thread]).validate_python([THREAD, {**THREAD, "metadata": [], "created_at": ""}, THREAD])
    assert [row.metadata for row in rows] == [None, [], None]


def test_an_odd_answer_within_one_leaves_the_rest_as_it_is() -> None:
    state = cast(Any, ThreadState).model_validate({"values": {}, "tasks": [{"id": "t", "path": 3, "name": "n"}]})
    assert (state.tasks[0].path, state.tasks[0].name) == (3, "n")


@pytest.mark.parametrize("model", [Thread, Run, Assistant, Cron])
@pytest.mark.parametrize("odd", [None, 7, ["t1"]])
def test_an_id_must_be_there_and_be_text(model: Any, odd: Any) -> None:
    name = f"{model.__name__.lower()}_id"
    with pytest.raises(ValueError, match=name):
        model.model_validate({name: odd, "metadata": []})
    with pytest.raises(ValueError, match=name):
        model.model_validate({})


def test_the_values_of_a_state_must_fit_a_model_of_ones_own() -> None:
    class Mine(BaseModel):
        n: int

    with pytest.raises(ValueError, match=r"1 validation error[\s\S]*values\.n"):
        ThreadState[Mine].model_validate({"values": {"n": "x"}, "metadata": []})
    state = ThreadState[Mine].model_validate({"values": {"n": 1}, "metadata": []})
    assert (state.values.n, state.metadata) == (1, [])


@pytest.mark.parametrize("page", [{"items": 3}, {"items": [3]}])
def test_what_is_no_page_is_none(page: Dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="items"):
        SearchItemsResponse.model_validate(page)
    with pytest.raises(ValueError, match="assistant_id"):
        AssistantsSearchResponse.model_validate({"assistants": [{}]})


def test_it_joins_dictionaries_on_either_side() -> None:
    assert thread() | {"extra": 1} == {**THREAD, "extra": 1}
    assert {"extra": 1} | thread() == {"extra": 1, **THREAD}


def test_json_is_written_of_it_wherever_it_stands() -> None:
    assert json.loads(json.dumps({"threads": [thread()]}, default=dict)) == {"threads": [THREAD]}
