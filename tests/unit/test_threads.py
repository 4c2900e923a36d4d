"""What the calls of threads send, and what they make of the answers."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from typing import Any, Callable, Dict, List, Mapping, cast

import pytest
from one_call import Sent, answering, requests_of, sent
from pydantic import BaseModel
from scripted import THREAD, ScriptedTransport
from thread_server import ThreadServer
from typing_extensions import TypedDict

from lgsync.client import Client
from lgsync.errors import ConfigurationError, NotFoundError, StateMismatch
from lgsync.models import ThreadState
from lgsync.transport import RunStart

RECORD = {"thread_id": THREAD, "status": "idle", "created_at": "2026-01-02T03:04:05Z"}
CHECKPOINT = {"thread_id": THREAD, "checkpoint_ns": "", "checkpoint_id": "c1"}
STATE: Dict[str, Any] = {"values": {"topic": "rain", "count": 2}, "next": ["a"], "checkpoint": CHECKPOINT}

Call = Callable[[Client], Any]


# -- threads -----------------------------------------------------------------------------------------------------------


def test_what_says_nothing_is_not_sent_when_a_thread_is_created() -> None:
    asked = sent(lambda c: c.threads.create(metadata={}, supersteps=[]), RECORD)
    assert (asked.method, asked.path, asked.body) == ("POST", "/threads", {})


def test_a_thread_can_have_an_id_of_the_callers() -> None:
    given = uuid.UUID(int=7)
    asked = sent(lambda c: c.threads.create(thread_id=cast(str, given), if_exists="do_nothing"), RECORD)
    assert asked.body == {"thread_id": str(given), "if_exists": "do_nothing"}


def test_an_empty_id_does_not_become_one_of_the_servers_choice() -> None:
    client = answering(RECORD)
    with pytest.raises(ConfigurationError, match="thread_id is empty"):
        client.threads.create(thread_id="")
    assert requests_of(client) == []


@pytest.mark.parametrize(
    ("ttl", "in_body"),
    [
        (60, {"ttl": 60, "strategy": "delete"}),
        (0, {"ttl": 0, "strategy": "delete"}),
        (1.5, {"ttl": 1.5, "strategy": "delete"}),
        ({"ttl": 60, "strategy": "keep_latest"}, {"ttl": 60, "strategy": "keep_latest"}),
    ],
)
def test_a_time_to_live_in_minutes_deletes_and_a_mapping_is_sent_as_it_is(ttl: Any, in_body: Any) -> None:
    assert sent(lambda c: c.threads.create(ttl=ttl), RECORD).body == {"ttl": in_body}
    updated = sent(lambda c: c.threads.update(THREAD, metadata={}, ttl=ttl), RECORD)
    assert updated.body == {"metadata": {}, "ttl": in_body}


def test_supersteps_are_sent_with_a_null_for_what_they_leave_out() -> None:
    steps: List[Mapping[str, Any]] = [
        {"updates": [{"values": {"n": 1}, "as_node": "a", "note": "dropped"}, {"command": {"goto": "b"}}]},
    ]
    assert sent(lambda c: c.threads.create(supersteps=steps), RECORD).body == {
        "supersteps": [
            {
                "updates": [
                    {"values": {"n": 1}, "command": None, "as_node": "a"},
                    {"values": None, "command": {"goto": "b"}},
                ]
            }
        ]
    }


def test_an_update_that_asks_for_no_answer_prefers_that_and_returns_none() -> None:
    client, headers = listening(lambda: (204, None))
    result = client.threads.update(THREAD, metadata={"a": 1}, return_minimal=True, headers={"X-Call": "mine"})
    assert result is None
    assert headers == [{"X-Call": "mine", "Prefer": "return=minimal"}]


def test_an_update_returns_the_thread_and_prefers_nothing() -> None:
    client, headers = listening(lambda: (200, RECORD))
    assert client.threads.update(THREAD, metadata={"a": 1}).status == "idle"
    assert headers == [{}]


def listening(answer: Callable[[], Any]) -> Any:
    """A client, and the headers of what it sends."""
    transport = ScriptedTransport(answers={f"PATCH /threads/{THREAD}": answer})
    headers: List[Dict[str, str]] = []
    request = transport.request

    def listen(*args: Any, **options: Any) -> Any:
        headers.append(dict(options["headers"]))
        return request(*args, **options)

    transport.request = listen  # type: ignore[method-assign]
    return Client(transport=transport), headers


def test_a_thread_is_got_with_what_is_asked_for_besides() -> None:
    assert sent(lambda c: c.threads.get(THREAD), RECORD).query is None
    assert sent(lambda c: c.threads.get(THREAD, include=["ttl", "more"]), RECORD).query == {"include": "ttl,more"}


def test_a_search_sends_the_filters_that_say_something() -> None:
    everything: Dict[str, Any] = {
        "metadata": {"team": "a"},
        "values": {"n": 1},
        "ids": [THREAD],
        "status": "busy",
        "limit": 3,
        "offset": 6,
        "sort_by": "updated_at",
        "sort_order": "asc",
        "select": ["thread_id", "status"],
        "extract": {"last": "values.messages[-1]"},
    }
    assert sent(lambda c: c.threads.search(**everything), []).body == everything
    nothing = sent(lambda c: c.threads.search(metadata={}, values={}, ids=[], select=[], extract={}), [])
    assert (nothing.path, nothing.body) == ("/threads/search", {"limit": 10, "offset": 0})


def test_threads_of_which_only_some_fields_were_asked_for_have_no_id() -> None:
    (thread,) = answering([{"status": "busy"}]).threads.search(select=["status"])
    assert (thread.status, dict(thread)) == ("busy", {"status": "busy"})


def test_a_single_name_may_stand_for_a_list_of_one() -> None:
    assert sent(lambda c: c.threads.search(ids=THREAD, select="status"), []).body == {
        "limit": 10,
        "offset": 0,
        "ids": [THREAD],
        "select": ["status"],
    }
    assert sent(lambda c: c.threads.prune(THREAD), {"pruned_count": 1}).body == {"thread_ids": [THREAD]}


def test_a_count_is_a_number() -> None:
    client = answering(3)
    assert client.threads.count(metadata={}, status="idle") == 3
    assert requests_of(client) == [Sent("POST", "/threads/count", None, {"status": "idle"})]


def test_a_copy_is_the_new_thread() -> None:
    client = answering({**RECORD, "thread_id": "new"})
    assert client.threads.copy(THREAD).thread_id == "new"
    assert requests_of(client) == [Sent("POST", f"/threads/{THREAD}/copy", None, None)]


def test_pruning_says_how_many_and_names_a_strategy_that_is_not_the_usual_one() -> None:
    pruned = {"pruned_count": 2}
    client = answering(pruned)
    assert client.threads.prune([THREAD, "b"]).pruned_count == 2
    assert requests_of(client) == [Sent("POST", "/threads/prune", None, {"thread_ids": [THREAD, "b"]})]
    kept = sent(lambda c: c.threads.prune([THREAD], strategy="keep_latest"), pruned)
    assert kept.body == {"thread_ids": [THREAD], "strategy": "keep_latest"}


def test_a_wrong_strategy_prunes_nothing() -> None:
    client = answering({"pruned_count": 1})
    with pytest.raises(ConfigurationError, match="strategy must be one of delete, keep_latest"):
        client.threads.prune([THREAD], strategy=cast(Any, "all"))
    assert requests_of(client) == []


def test_a_threads_storage_is_told_in_bytes() -> None:
    storage = answering({"thread_id": THREAD, "total_bytes": 9, "checkpoints": {"count": 1, "bytes": 9}})
    assert storage.threads.get_storage(THREAD).total_bytes == 9
    assert requests_of(storage)[0].path == f"/threads/{THREAD}/storage"


# -- states ------------------------------------------------------------------------------------------------------------


def test_the_latest_state_is_asked_for_with_what_is_selected() -> None:
    path = f"/threads/{THREAD}/state"
    assert sent(lambda c: c.threads.get_state(THREAD), STATE) == Sent("GET", path, {"subgraphs": False}, None)
    selected = sent(lambda c: c.threads.get_state(THREAD, subgraphs=True, select=["next", "values.topic"]), STATE)
    assert selected.query == {"subgraphs": True, "select": ["next", "values.topic"]}
    assert sent(lambda c: c.threads.get_state(THREAD, {}), STATE).path == path


def test_the_state_of_a_checkpoint_is_asked_for_by_its_id_or_by_all_of_it() -> None:
    by_id = sent(lambda c: c.threads.get_state(THREAD, checkpoint_id="c/1"), STATE)
    assert (by_id.method, by_id.path) == ("GET", f"/threads/{THREAD}/state/c%2F1")
    whole = sent(lambda c: c.threads.get_state(THREAD, CHECKPOINT, "c2", select=["next"]), STATE)
    assert whole == Sent(
        "POST",
        f"/threads/{THREAD}/state/checkpoint",
        None,
        {"checkpoint": CHECKPOINT, "subgraphs": False, "select": ["next"]},
    )


def test_the_checkpoint_of_an_answer_is_sent_without_what_it_lacks() -> None:
    state = answering({**STATE, "checkpoint": {**CHECKPOINT, "checkpoint_map": None}}).threads.get_state(THREAD)
    asked = sent(lambda c: c.threads.get_state(THREAD, state.checkpoint), STATE)
    assert asked.body["checkpoint"] == CHECKPOINT


def test_a_state_is_written_as_a_node_would_and_the_answer_names_its_checkpoint() -> None:
    client = answering({"checkpoint": CHECKPOINT})
    answer = client.threads.update_state(THREAD, {"n": 1}, as_node="a", checkpoint=CHECKPOINT, checkpoint_id="c1")
    assert answer.checkpoint is not None
    assert answer.checkpoint.checkpoint_id == answer["checkpoint"]["checkpoint_id"] == "c1"
    body = {"values": {"n": 1}, "as_node": "a", "checkpoint": CHECKPOINT, "checkpoint_id": "c1"}
    assert requests_of(client) == [Sent("POST", f"/threads/{THREAD}/state", None, body)]


@pytest.mark.parametrize(
    ("before", "in_body"),
    [
        ("c1", {"checkpoint_id": "c1", "configurable": {"checkpoint_id": "c1"}}),
        (CHECKPOINT, {**CHECKPOINT, "configurable": CHECKPOINT}),
        ({"configurable": CHECKPOINT}, {"configurable": CHECKPOINT}),
    ],
    ids=["id", "checkpoint", "config"],
)
def test_the_history_before_a_checkpoint_names_it_where_any_server_looks(before: Any, in_body: Any) -> None:
    asked = sent(lambda c: c.threads.get_history(THREAD, before=before), [])
    assert asked == Sent("POST", f"/threads/{THREAD}/history", None, {"limit": 10, "before": in_body})


def test_a_history_is_asked_for_with_what_was_given() -> None:
    given: Dict[str, Any] = {"limit": 3, "metadata": {"source": "input"}, "checkpoint": CHECKPOINT, "select": ["next"]}
    assert sent(lambda c: c.threads.get_history(THREAD, **given), []).body == given
    assert sent(lambda c: c.threads.get_history(THREAD, before="", metadata={}, select=[]), []).body == {"limit": 10}


# -- models of the caller's --------------------------------------------------------------------------------------------


class Weather(BaseModel):
    topic: str
    count: int


@dataclasses.dataclass
class WeatherData:
    topic: str
    count: int


class WeatherDict(TypedDict):
    topic: str
    count: int


def test_a_states_values_are_read_as_the_callers_model() -> None:
    client = answering(STATE)
    assert client.threads.get_state(THREAD, model=Weather).values == Weather(topic="rain", count=2)
    assert client.threads.get_state(THREAD, model=WeatherData).values == WeatherData("rain", 2)
    assert client.threads.get_state(THREAD, model=WeatherDict).values["count"] == 2


def test_a_state_with_a_model_still_is_the_json_that_was_sent() -> None:
    state = answering(STATE).threads.get_state(THREAD, model=Weather)
    assert isinstance(state, ThreadState)
    assert state["values"] == {"topic": "rain", "count": 2}
    assert state.next == ["a"]


@pytest.mark.parametrize("values", [{"topic": "rain"}, {}, None, []], ids=["partly", "empty", "null", "list"])
def test_a_state_that_does_not_fit_says_where(values: Any) -> None:
    with pytest.raises(StateMismatch, match=f"The state of thread {THREAD} at checkpoint c1 is no Weather"):
        answering({**STATE, "values": values}).threads.get_state(THREAD, model=Weather)


def test_each_state_of_a_history_is_read_as_the_callers_model() -> None:
    other = {**STATE, "values": {"topic": "sun", "count": 1}}
    states = answering([STATE, other]).threads.get_history(THREAD, model=Weather)
    assert [state.values.topic for state in states] == ["rain", "sun"]
    with pytest.raises(StateMismatch, match="Weather"):
        answering([STATE, {"values": {}}]).threads.get_history(THREAD, model=Weather)


# -- all of them -------------------------------------------------------------------------------------------------------


def paged(asked: Sent) -> List[Dict[str, Any]]:
    """A server of 25 threads."""
    offset, limit = asked.body["offset"], asked.body["limit"]
    return [{"thread_id": str(number)} for number in range(25)][offset : offset + limit]


def test_all_threads_come_page_by_page_in_an_order_that_does_not_change() -> None:
    client = answering(paged)
    threads = client.threads.iter(status="idle", page_size=10)
    assert requests_of(client) == []
    assert [thread.thread_id for thread in threads] == [str(number) for number in range(25)]
    bodies = [asked.body for asked in requests_of(client)]
    assert [(body["limit"], body["offset"]) for body in bodies] == [(10, 0), (10, 10), (10, 20)]
    assert {(body["status"], body["sort_by"]) for body in bodies} == {("idle", "created_at")}


def test_no_more_threads_are_asked_for_than_are_wanted() -> None:
    client = answering(paged)
    assert len(list(client.threads.iter(limit=12, page_size=10))) == 12
    assert [asked.body["limit"] for asked in requests_of(client)] == [10, 2]


def test_what_threads_are_told_apart_by_is_selected_too() -> None:
    client = answering(paged)
    list(client.threads.iter(select=["status"], limit=1))
    assert set(requests_of(client)[0].body["select"]) == {"thread_id", "status"}


class Growing:
    """A server whose thread gets a new state with each question about its history."""

    def __init__(self, states: int) -> None:
        self.states = states

    def __call__(self, asked: Sent) -> List[Dict[str, Any]]:
        before = asked.body.get("before")
        newest = self.states if before is None else int(before["configurable"]["checkpoint_id"])
        self.states += 1
        found = range(newest - 1, -1, -1)[: asked.body["limit"]]
        return [{"values": {"topic": "rain", "count": n}, "checkpoint": {"checkpoint_id": str(n)}} for n in found]


@pytest.mark.parametrize(("states", "pages"), [(0, 1), (3, 1), (4, 2), (10, 3)])
def test_all_past_states_come_once_while_new_ones_are_made(states: int, pages: int) -> None:
    client = answering(Growing(states))
    told = [state.values["count"] for state in client.threads.iter_history(THREAD, page_size=4)]
    assert told == list(range(states))[::-1]
    assert len(requests_of(client)) == pages


def test_a_history_is_read_up_to_a_limit_from_before_a_checkpoint_as_a_model() -> None:
    client = answering(Growing(10))
    states = client.threads.iter_history(THREAD, before="8", limit=5, page_size=3, model=Weather)
    assert [state.values.count for state in states] == [7, 6, 5, 4, 3]
    assert [asked.body["limit"] for asked in requests_of(client)] == [3, 2]


def test_what_the_next_page_begins_after_is_selected_too() -> None:
    client = answering(Growing(1))
    list(client.threads.iter_history(THREAD, select=["values"]))
    assert set(requests_of(client)[0].body["select"]) == {"values", "checkpoint"}


@pytest.mark.parametrize("options", [{"limit": -1}, {"page_size": 0}], ids=["limit", "page_size"])
@pytest.mark.parametrize("name", ["iter", "iter_history"])
def test_pages_that_make_no_sense_are_refused_at_once(name: str, options: Dict[str, int]) -> None:
    client = answering([])
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        getattr(client.threads, name)(*([THREAD] if name == "iter_history" else []), **options)
    assert requests_of(client) == []


# -- calls that are made again -----------------------------------------------------------------------------------------

READS: Dict[str, Call] = {
    "get": lambda c: c.threads.get(THREAD),
    "search": lambda c: c.threads.search(),
    "count": lambda c: c.threads.count(),
    "get_state": lambda c: c.threads.get_state(THREAD, CHECKPOINT),
    "get_history": lambda c: c.threads.get_history(THREAD),
    "get_storage": lambda c: c.threads.get_storage(THREAD),
}
EFFECTS: Dict[str, Call] = {
    "create": lambda c: c.threads.create(),
    "update": lambda c: c.threads.update(THREAD, metadata={}),
    "delete": lambda c: c.threads.delete(THREAD),
    "copy": lambda c: c.threads.copy(THREAD),
    "prune": lambda c: c.threads.prune([THREAD]),
    "update_state": lambda c: c.threads.update_state(THREAD, None),
}


@pytest.mark.parametrize("name", [*READS, *EFFECTS])
def test_only_what_changes_nothing_is_made_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgsync.rest.time.sleep", lambda seconds: None)
    client = answering(None, 503)
    trying = Client(transport=client.transport, retries=2)
    with pytest.raises(Exception, match="503"):
        {**READS, **EFFECTS}[name](trying)
    assert len(requests_of(client)) == (3 if name in READS else 1)


# -- ids ---------------------------------------------------------------------------------------------------------------

BY_ID: Dict[str, Callable[[Client, Any], Any]] = {
    "get": lambda c, thread_id: c.threads.get(thread_id),
    "update": lambda c, thread_id: c.threads.update(thread_id, metadata={}),
    "delete": lambda c, thread_id: c.threads.delete(thread_id),
    "copy": lambda c, thread_id: c.threads.copy(thread_id),
    "get_storage": lambda c, thread_id: c.threads.get_storage(thread_id),
    "get_state": lambda c, thread_id: c.threads.get_state(thread_id),
    "get_state of an id": lambda c, thread_id: c.threads.get_state(THREAD, checkpoint_id=thread_id),
    "get_state of a checkpoint": lambda c, thread_id: c.threads.get_state(thread_id, CHECKPOINT),
    "update_state": lambda c, thread_id: c.threads.update_state(thread_id, None),
    "get_history": lambda c, thread_id: c.threads.get_history(thread_id),
    "iter_history": lambda c, thread_id: list(c.threads.iter_history(thread_id)),
}

by_id = pytest.mark.parametrize("name", BY_ID)


@by_id
@pytest.mark.parametrize(
    ("thread_id", "quoted"),
    [
        ("thread_123", "thread_123"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (42, "42"),
        ("agent.v1", "agent.v1"),
        ("foo/bar", "foo%2Fbar"),
        ("../assistants/x", "..%2Fassistants%2Fx"),
        ("..", "%2E%2E"),
    ],
)
def test_an_id_stays_in_its_place_whatever_it_holds(name: str, thread_id: Any, quoted: str) -> None:
    client = answering(None, 404)
    with pytest.raises(NotFoundError):
        BY_ID[name](client, thread_id)
    base = f"/threads/{THREAD}/state/" if "of an id" in name else "/threads/"
    path = requests_of(client)[0].path
    assert path == base + quoted or path.startswith(f"{base}{quoted}/")


@pytest.mark.parametrize("name", [name for name in BY_ID if name != "get_state of an id"])
@pytest.mark.parametrize(("thread_id", "error"), [(None, TypeError), (b"x", TypeError), ("", ValueError)])
def test_what_is_no_id_is_refused_before_anything_is_sent(name: str, thread_id: Any, error: type) -> None:
    client = answering(None)
    with pytest.raises(error, match="thread_id"):
        BY_ID[name](client, thread_id)
    assert requests_of(client) == []


@pytest.mark.parametrize("name", ["search", "prune"])
@pytest.mark.parametrize(("thread_id", "error"), [(None, TypeError), ("", ValueError)])
def test_what_is_no_id_is_refused_in_a_list_too(name: str, thread_id: Any, error: type) -> None:
    client = answering(None)
    calls: Dict[str, Call] = {
        "search": lambda c: c.threads.search(ids=[thread_id]),
        "prune": lambda c: c.threads.prune([thread_id]),
    }
    with pytest.raises(error):
        calls[name](client)
    assert requests_of(client) == []


@pytest.mark.parametrize(("thread_id", "quoted"), [("../assistants/x", "..%2Fassistants%2Fx"), ("..", "%2E%2E")])
def test_an_id_stays_in_its_place_in_commands_and_sockets_too(thread_id: str, quoted: str) -> None:
    with ThreadServer() as server:
        base = f"/threads/{quoted}"
        server.answers = {key.replace(server.base, base): answer for key, answer in server.answers.items()}
        with contextlib.closing(server.transport()) as transport:
            transport.open_run(RunStart(thread_id, {**server.start().payload}))
        paths = [asked.path for asked in server.asked]
    assert {f"{base}/commands", f"{base}/stream/events"} <= set(paths)
    assert all(path == base or path.startswith(f"{base}/") for path in paths)
