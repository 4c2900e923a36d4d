"""The official client and this one at the same server: what one makes the other reads, and both read the same."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple
from uuid import uuid4

import pytest
from official import method_of
from sameness import like, plain
from witness import GREETING

from lgsync import get_sync_client

MISSING = "00000000-0000-4000-8000-000000000000"
NEVER = "0 0 1 1 *"


class Pair(NamedTuple):
    """Both clients; ``first`` is who makes things."""

    official: Any
    ours: Any
    first: Any

    @property
    def second(self) -> Any:
        return self.ours if self.first is self.official else self.official

    def read(self, name: str, /, *args: Any, **options: Any) -> Any:
        """What both get; it must be the very same."""
        theirs, mine = (method_of(client, name)(*args, **options) for client in (self.official, self.ours))
        assert plain(mine) == plain(theirs)
        return plain(mine)

    def each(self, work: Callable[[Any], Any]) -> Any:
        """What each gets by work of its own, done at the same time; it must be alike."""
        with ThreadPoolExecutor(2) as both:
            theirs, mine = both.map(work, (self.official, self.ours))
        assert like(mine) == like(theirs)
        return plain(mine)


@pytest.fixture(params=["official", "ours"])
def pair(server_url: str, request: pytest.FixtureRequest) -> Iterator[Pair]:
    import langgraph_sdk

    with ExitStack() as clients:
        official, ours = (
            clients.enter_context(get(url=server_url)) for get in (langgraph_sdk.get_sync_client, get_sync_client)
        )
        yield Pair(official, ours, official if request.param == "official" else ours)


@pytest.fixture
def thread_id(pair: Pair) -> Iterator[str]:
    made = pair.first.threads.create(metadata={"made_by": "a test"})["thread_id"]
    yield made
    pair.ours.threads.delete(made)


# -- assistants --------------------------------------------------------------------------------------------------------


@pytest.fixture
def assistant_id(pair: Pair) -> Iterator[str]:
    made = pair.first.assistants.create(
        "echo",
        {"configurable": {"city": "sf"}, "tags": ["t"]},
        metadata={"team": str(uuid4())},
        name="mine",
        description="what it does",
    )["assistant_id"]
    yield made
    pair.ours.assistants.delete(made)


def test_an_assistant_is_the_same_to_both(pair: Pair, assistant_id: str) -> None:
    assistant = pair.read("assistants.get", assistant_id)
    assert assistant["name"] == "mine"
    filters = {"metadata": assistant["metadata"], "graph_id": "echo", "name": "mine"}
    assert pair.read("assistants.search", **filters, sort_by="name", sort_order="asc") == [assistant]
    assert pair.read("assistants.search", **filters, select=["name"]) == [{"name": "mine"}]
    assert pair.read("assistants.search", **filters, limit=1, offset=1) == []
    assert pair.read("assistants.count", **filters) == 1


def test_a_page_of_assistants_tells_where_the_next_begins(pair: Pair) -> None:
    page = pair.read("assistants.search", limit=2, response_format="object", sort_by="assistant_id")
    assert (len(page["assistants"]), page["next"]) == (2, "2")
    last = pair.read("assistants.search", limit=1000, response_format="object", sort_by="assistant_id")
    assert last["next"] is None


def test_the_versions_of_an_assistant_are_the_same_to_both(pair: Pair, assistant_id: str) -> None:
    made = plain(pair.second.assistants.update(assistant_id, name="other", metadata={"more": 1}))
    assert pair.read("assistants.get", assistant_id) == made
    assert [each["version"] for each in pair.read("assistants.get_versions", assistant_id)] == [2, 1]
    assert pair.read("assistants.get_versions", assistant_id, {"more": 1}, 5, 0)[0]["version"] == 2
    assert pair.first.assistants.set_latest(assistant_id, 1)["name"] == "mine"
    assert pair.read("assistants.get", assistant_id)["version"] == 1


def test_what_a_graph_is_made_of_is_the_same_to_both(pair: Pair) -> None:
    (assistant,) = pair.ours.assistants.search(graph_id="sub", metadata={"created_by": "system"})
    place = assistant["assistant_id"]
    assert pair.read("assistants.get_graph", place)["nodes"]
    for xray in (False, True, 1):
        pair.read("assistants.get_graph", place, xray=xray)
    assert pair.read("assistants.get_schemas", place)["state_schema"]
    names = list(pair.read("assistants.get_subgraphs", place))
    pair.read("assistants.get_subgraphs", place, recurse=True)
    pair.read("assistants.get_subgraphs", place, names[0], True)


def test_a_deleted_assistant_is_gone_for_both(pair: Pair) -> None:
    made = pair.first.assistants.create("echo", assistant_id=str(uuid4()), if_exists="raise")
    place = made["assistant_id"]
    again = pair.second.assistants.create("echo", assistant_id=place, if_exists="do_nothing")
    assert plain(again) == plain(made)
    assert pair.second.assistants.delete(place, delete_threads=True) is None
    assert gone(pair, "assistants.get", place) == "NotFoundError"


# -- threads -----------------------------------------------------------------------------------------------------------


def test_a_thread_is_the_same_to_both(pair: Pair) -> None:
    made = plain(pair.first.threads.create(metadata={"a": 1}, thread_id=str(uuid4()), graph_id="agent", ttl=60))
    place = made["thread_id"]
    assert plain(pair.second.threads.create(thread_id=place, if_exists="do_nothing")) == made
    assert pair.read("threads.get", place) == made
    assert pair.read("threads.get", place, include=["ttl"])["thread_id"] == place
    changed = pair.second.threads.update(place, metadata={"b": 2}, ttl=30)
    assert pair.read("threads.get", place) == plain(changed)
    assert pair.first.threads.update(place, metadata={"c": 3}, return_minimal=True) is None
    assert pair.read("threads.get", place)["metadata"] == {"a": 1, "b": 2, "c": 3, "graph_id": "agent"}
    assert pair.first.threads.delete(place) is None
    assert gone(pair, "threads.get", place) == "NotFoundError"


def test_threads_are_found_by_both(pair: Pair) -> None:
    mark = {"mark": str(uuid4())}
    ids = [pair.first.threads.create(metadata=mark, graph_id="agent")["thread_id"] for _ in range(3)]
    found = pair.read("threads.search", metadata=mark, sort_by="created_at", sort_order="asc")
    assert [each["thread_id"] for each in found] == ids
    assert len(pair.read("threads.search", metadata=mark, limit=2, offset=2, status="idle")) == 1
    assert pair.read("threads.search", ids=ids[:1], select=["thread_id"]) == [{"thread_id": ids[0]}]
    extract = {"mark": "metadata.mark"}
    assert pair.read("threads.search", ids=ids[:1], extract=extract)[0]["extracted"] == mark
    assert pair.read("threads.count", metadata=mark, status="idle") == 3
    assert pair.each(lambda client: client.threads.prune([ids.pop()])) == {"pruned_count": 1}
    assert pair.read("threads.count", metadata=mark) == 1
    pair.ours.threads.prune(ids)


def test_a_threads_state_is_the_same_to_both(pair: Pair) -> None:
    place = pair.first.threads.create(graph_id="agent")["thread_id"]
    for number, client in enumerate((pair.first, pair.second)):
        said = {"messages": [{"role": "user", "content": f"said {number}", "id": f"m{number}"}]}
        written = client.threads.update_state(place, said, as_node="__start__")
        assert written["checkpoint"]["thread_id"] == place
    state = pair.read("threads.get_state", place)
    assert [message["content"] for message in state["values"]["messages"]] == ["said 0", "said 1"]
    assert pair.read("threads.get_state", place, subgraphs=True) == state
    checkpoint = state["checkpoint"]
    assert pair.read("threads.get_state", place, checkpoint_id=checkpoint["checkpoint_id"])["values"] == state["values"]
    assert pair.read("threads.get_state", place, checkpoint, subgraphs=True)["values"] == state["values"]
    assert pair.read("threads.get_state", place, select=["next"])["next"] == state["next"]
    (newest, _) = pair.read("threads.get_history", place)
    assert newest["values"] == state["values"]
    assert pair.read("threads.get_history", place, limit=1) == [newest]
    assert pair.read("threads.get_history", place, metadata={"source": "update"}, select=["next"])
    pair.ours.threads.delete(place)


@pytest.mark.parametrize("pair", ["official"], indirect=True)
def test_the_history_before_a_checkpoint_is_given_where_the_official_client_is_refused(pair: Pair) -> None:
    place = pair.first.threads.create(graph_id="agent")["thread_id"]
    for _ in range(2):
        pair.first.threads.update_state(place, GREETING, as_node="__start__")
    newest, *older = pair.ours.threads.get_history(place)
    for before in (newest["checkpoint"], newest["checkpoint"]["checkpoint_id"]):
        with pytest.raises(Exception, match="500|not of type"):
            pair.official.threads.get_history(place, before=before)
        assert pair.ours.threads.get_history(place, before=before) == older
    pair.ours.threads.delete(place)


def test_a_copied_thread_is_the_same_to_both(pair: Pair) -> None:
    steps = [{"updates": [{"values": GREETING, "as_node": "__start__"}]}]
    place = pair.first.threads.create(graph_id="agent", supersteps=steps)["thread_id"]
    copied = pair.each(lambda client: client.threads.copy(place))
    assert pair.read("threads.get_state", copied["thread_id"])["values"]["messages"][0]["content"] == "hello"
    pair.ours.threads.prune([place, copied["thread_id"]])


def test_the_stream_of_a_thread_is_the_same_to_both(pair: Pair, thread_id: str) -> None:
    run = pair.first.runs.create(thread_id, "agent", input=GREETING, stream_resumable=True)
    values = pair.first.runs.join(thread_id, run["run_id"])

    def read(client: Any) -> List[Any]:
        parts = client.threads.join_stream(thread_id, last_event_id="-")
        try:
            # It goes on for as long as the thread is there.
            shown = itertools.takewhile(lambda part: part.data != values, parts)
            return [tuple(part) for part in shown]
        finally:
            parts.close()

    assert len(pair.each(read)) > 2


# -- runs --------------------------------------------------------------------------------------------------------------

STREAMS: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "values": ("agent", {}),
    "updates": ("agent", {"stream_mode": "updates"}),
    "messages": ("agent", {"stream_mode": "messages"}),
    "messages-tuple": ("agent", {"stream_mode": "messages-tuple"}),
    "tasks": ("agent", {"stream_mode": "tasks"}),
    "checkpoints": ("agent", {"stream_mode": "checkpoints"}),
    "debug": ("agent", {"stream_mode": "debug"}),
    "events": ("echo", {"stream_mode": "events"}),
    "custom": ("custom", {"stream_mode": ["custom", "values"]}),
    "subgraphs": ("sub", {"stream_mode": ["values", "updates", "messages-tuple"], "stream_subgraphs": True}),
    "interrupt": ("hitl", {"stream_mode": ["values", "updates"]}),
    "before-a-node": ("agent", {"stream_mode": ["values", "updates"], "interrupt_before": ["tools"]}),
    "failure": ("nodeerr", {"stream_mode": ["values", "updates"]}),
    "version-2": ("hitl", {"version": "v2"}),
    "context": ("echo", {"context": {"tenant": "a"}, "config": {"tags": ["t"], "recursion_limit": 7}}),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("pair", ["official"], indirect=True)
def test_the_parts_of_a_run_are_the_same_to_both(pair: Pair, stream: str) -> None:
    graph, options = STREAMS[stream]

    def parts(client: Any) -> List[Any]:
        thread_id = client.threads.create()["thread_id"]
        shown = list(client.runs.stream(thread_id, graph, input=GREETING, **options))
        client.threads.delete(thread_id)
        return [one if isinstance(one, dict) else (one.event, one.data) for one in shown]

    assert len(pair.each(parts)) > 1


@pytest.mark.parametrize("pair", ["official"], indirect=True)
def test_a_run_without_a_thread_is_the_same_to_both(pair: Pair) -> None:
    parts = pair.each(lambda c: [(part.event, part.data) for part in c.runs.stream(None, "agent", input=GREETING)])
    waited = pair.each(lambda c: c.runs.wait(None, "agent", input=GREETING))
    assert len(waited["messages"]) == len(parts[-1][1]["messages"]) == 4
    pair.each(lambda c: [_started(run) for run in [c.runs.create(None, "agent", input=GREETING)]])


def test_a_run_is_the_same_to_both(pair: Pair, thread_id: str) -> None:
    made = pair.first.runs.create(
        thread_id, "agent", input=GREETING, metadata={"a": 1}, stream_resumable=True, stream_mode=["values", "updates"]
    )
    place = thread_id, made["run_id"]
    values = pair.read("runs.join", *place)
    assert len(values["messages"]) == 4
    run = pair.read("runs.get", *place)
    assert (run["status"], _started(run)) == ("success", _started(made))
    assert pair.read("runs.list", thread_id, status="success") == [run]
    assert pair.read("runs.list", thread_id, limit=1, offset=1) == []
    assert pair.read("runs.list", thread_id, select=["run_id"]) == [{"run_id": run["run_id"]}]

    def joined(client: Any) -> List[Any]:
        return [tuple(part) for part in client.runs.join_stream(*place, stream_mode="values", last_event_id="-1")]

    assert pair.each(joined)[-1][1] == values
    assert pair.second.runs.delete(*place) is None
    assert gone(pair, "runs.get", *place) == "NotFoundError"


def _started(run: Any) -> Dict[str, Any]:
    """What is known of a run from its beginning to its end."""
    return {name: run[name] for name in ("run_id", "thread_id", "assistant_id", "metadata", "created_at")}


def test_runs_started_together_are_the_same_to_both(pair: Pair) -> None:
    def batch(client: Any) -> List[Any]:
        payload = {"assistant_id": "agent", "input": GREETING, "on_completion": "keep", "context": None}
        runs = client.runs.create_batch([payload, payload])
        values = [client.runs.join(run["thread_id"], run["run_id"]) for run in runs]
        client.threads.prune([run["thread_id"] for run in runs])
        return [[_started(run) for run in runs], values]

    pair.each(batch)


@pytest.mark.parametrize("pair", ["official"], indirect=True)
@pytest.mark.parametrize("graph", ["agent", "hitl", "echo"])
def test_what_waiting_returns_is_the_same_to_both(pair: Pair, graph: str) -> None:
    told: Dict[int, List[Any]] = {}

    def waited(client: Any) -> Any:
        thread_id = client.threads.create()["thread_id"]
        told[id(client)] = []
        values = client.runs.wait(thread_id, graph, input=GREETING, on_run_created=told[id(client)].append)
        client.threads.delete(thread_id)
        return values

    pair.each(waited)
    theirs, mine = (told[id(client)] for client in (pair.official, pair.ours))
    assert like(mine) == like(theirs)
    assert len(mine) == 1


@pytest.mark.parametrize("pair", ["official"], indirect=True)
def test_several_interrupts_are_told_with_the_values_that_the_official_client_leaves_out(pair: Pair) -> None:
    def waited(client: Any) -> Any:
        thread_id = client.threads.create()["thread_id"]
        values = client.runs.wait(thread_id, "hitl2", input=GREETING)
        client.threads.delete(thread_id)
        return values

    theirs, mine = waited(pair.official), waited(pair.ours)
    assert list(theirs) == ["__interrupt__"]
    assert sorted(mine) == ["__interrupt__", "messages"]
    assert like(mine["__interrupt__"]) == like(theirs["__interrupt__"])


def test_an_interrupt_of_ones_run_is_answered_by_the_other(pair: Pair, thread_id: str) -> None:
    paused = pair.first.runs.wait(thread_id, "hitl", input=GREETING)
    assert paused["__interrupt__"][0]["value"] == {"q": "ok?"}
    (waiting,) = next(iter(pair.read("threads.get", thread_id)["interrupts"].values()))
    values = pair.second.runs.wait(thread_id, "hitl", command={"resume": {waiting["id"]: "yes"}})
    assert "human said yes" in [message["content"] for message in values["messages"]]


def test_a_failed_wait_returns_the_same_failure_to_both(pair: Pair) -> None:
    def failed(client: Any) -> Any:
        thread_id = client.threads.create()["thread_id"]
        waited = client.runs.wait(thread_id, "nodeerr", input=GREETING, raise_error=False)
        (run,) = client.runs.list(thread_id)
        joined = client.runs.join(thread_id, run["run_id"])
        client.threads.delete(thread_id)
        return [waited, joined]

    assert [values["__error__"]["error"] for values in pair.each(failed)] == ["ValueError", "ValueError"]


def test_a_run_is_cancelled_alike_by_both(pair: Pair) -> None:
    silence = {"configurable": {"seconds": 60}}

    def cancelled(client: Any) -> Any:
        thread_id = client.threads.create()["thread_id"]
        first, second = (client.runs.create(thread_id, "silent", input=GREETING, config=silence) for _ in range(2))
        # What is answered in so many words means nothing: None, or an empty object.
        assert not client.runs.cancel_many(thread_id=thread_id, run_ids=[second["run_id"]])
        assert not client.runs.cancel(thread_id, first["run_id"], wait=True)
        third = client.runs.create(thread_id, "silent", input=GREETING, config=silence)
        assert not client.runs.cancel(thread_id, third["run_id"], wait=True, action="rollback")
        statuses = [client.runs.get(thread_id, run["run_id"])["status"] for run in (first, second, third)]
        client.threads.delete(thread_id)
        return statuses

    assert pair.each(cancelled) == ["interrupted"] * 3


# -- crons -------------------------------------------------------------------------------------------------------------


def test_a_cron_is_the_same_to_both(pair: Pair, thread_id: str) -> None:
    from datetime import datetime, timezone

    mark = {"mark": str(uuid4())}
    until = datetime(2100, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    options: Dict[str, Any] = {"schedule": NEVER, "input": GREETING, "metadata": mark, "end_time": until}
    loose = pair.first.crons.create("agent", **options, enabled=False, timezone=timezone.utc)
    bound = pair.second.crons.create_for_thread(thread_id, "agent", **options)
    found = pair.read("crons.search", metadata=mark, sort_by="created_at", sort_order="asc")
    assert [cron["cron_id"] for cron in found] == [loose["cron_id"], bound["cron_id"]]
    assert pair.read("crons.search", metadata=mark, thread_id=thread_id, limit=5, offset=0) == found[1:]
    assert pair.read("crons.search", metadata=mark, enabled=False, select=["cron_id"])
    assert pair.read("crons.count", metadata=mark) == 2
    changed = plain(pair.second.crons.update(loose["cron_id"], schedule="0 0 2 1 *", enabled=True))
    assert (changed["schedule"], changed["end_time"][:10]) == ("0 0 2 1 *", "2100-01-02")
    assert pair.first.crons.update(loose["cron_id"], end_time=None)["end_time"] is None
    for client, cron in ((pair.first, loose), (pair.second, bound)):
        assert client.crons.delete(cron["cron_id"]) is None
    assert pair.read("crons.count", metadata=mark) == 0


def test_a_created_cron_is_answered_alike_to_both(pair: Pair) -> None:
    def made(client: Any) -> Any:
        cron = client.crons.create("agent", schedule=NEVER, input=GREETING, on_run_completed="keep")
        client.crons.delete(cron["cron_id"])
        return cron

    pair.each(made)


# -- store -------------------------------------------------------------------------------------------------------------


def test_a_document_is_the_same_to_both(pair: Pair) -> None:
    space = ["lgsync", uuid4().hex]
    assert pair.first.store.put_item(space, "k", {"n": 1, "city": "sf"}, False) is None
    pair.second.store.put_item([*space, "deep"], key="l", value={"n": 2}, index=None, ttl=60)
    item = pair.read("store.get_item", space, "k")
    assert item["value"] == {"n": 1, "city": "sf"}
    assert pair.read("store.get_item", space, key="k", refresh_ttl=False) == item
    found = pair.read("store.search_items", space, filter={"n": 1}, limit=5, offset=0)["items"]
    assert [each["key"] for each in found] == ["k"]
    assert len(pair.read("store.search_items", space)["items"]) == 2
    spaces = pair.read("store.list_namespaces", space, limit=10, offset=0)["namespaces"]
    assert sorted(spaces) == [space, [*space, "deep"]]
    assert pair.read("store.list_namespaces", prefix=space, suffix=["deep"], max_depth=3)["namespaces"]
    assert pair.second.store.delete_item(space, key="k") is None
    assert pair.first.store.delete_item([*space, "deep"], "l") is None
    assert pair.read("store.search_items", space)["items"] == []
    assert pair.read("store.get_item", space, "k") is None


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_routes_of_the_servers_own_are_the_same_to_both(pair: Pair) -> None:
    assert pair.read("http.get", "/info")["version"]
    assert pair.read("http.get", "/ok", params={"check_db": 0})["ok"] is True
    assert pair.read("http.post", "/threads/count", json={"metadata": {"none": str(uuid4())}}) == 0


REFUSED: Dict[str, Tuple[str, Tuple[Any, ...], Dict[str, Any]]] = {
    "missing-thread": ("threads.get", (MISSING,), {}),
    "missing-run": ("runs.get", (MISSING, MISSING), {}),
    "missing-assistant": ("assistants.get", (MISSING,), {}),
    "missing-cron": ("crons.delete", (MISSING,), {}),
    "not-a-uuid": ("threads.get", ("not-a-uuid",), {}),
    "unknown-graph": ("assistants.create", ("no-such-graph",), {}),
    "bad-schedule": ("crons.create", ("agent",), {"schedule": "never"}),
    "run-on-missing-thread": ("runs.create", (MISSING, "agent"), {}),
    "dot-in-a-namespace": ("store.put_item", (["a.b"], "k", {}), {}),
}


@pytest.mark.parametrize("refused", REFUSED)
@pytest.mark.parametrize("pair", ["official"], indirect=True)
def test_what_is_refused_to_one_is_refused_to_the_other(pair: Pair, refused: str) -> None:
    name, args, options = REFUSED[refused]
    assert gone(pair, name, *args, **options)


def gone(pair: Pair, name: str, *args: Any, **options: Any) -> str:
    """The name of the error that both raise."""
    theirs, mine = (gone_for(client, name, *args, **options) for client in (pair.official, pair.ours))
    assert mine == theirs
    return mine


def gone_for(client: Any, name: str, *args: Any, **options: Any) -> str:
    """The name of the error that a client raises, as the official client has it."""
    with pytest.raises(Exception) as caught:
        method_of(client, name)(*args, **options)
    kind = type(caught.value)
    return "ValueError" if issubclass(kind, ValueError) else kind.__name__
