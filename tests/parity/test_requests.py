"""For every method both clients send the same request: method, path, query, headers and body."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import inspect
import warnings
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple
from uuid import UUID

import langgraph_sdk
import pytest
from echo_server import EchoServer, Sent, Stream, sent
from langchain_core.messages import HumanMessage
from official import method_of, methods, named_on_the_page, signature
from pydantic import BaseModel
from rawserver import Request

import lgsync

THREAD = "11111111-1111-4111-8111-111111111111"
RUN = "22222222-2222-4222-8222-222222222222"
ASSISTANT = "33333333-3333-4333-8333-333333333333"
CRON = "44444444-4444-4444-8444-444444444444"
TIME = "2026-01-02T03:04:05+00:00"

THREAD_RECORD = {"thread_id": THREAD, "created_at": TIME, "status": "idle", "metadata": {}, "values": None}
RUN_RECORD = {"run_id": RUN, "thread_id": THREAD, "assistant_id": ASSISTANT, "status": "success", "created_at": TIME}
ASSISTANT_RECORD = {"assistant_id": ASSISTANT, "graph_id": "agent", "version": 1, "created_at": TIME}
CRON_RECORD = {"cron_id": CRON, "schedule": "* * * * *", "payload": {}, "created_at": TIME}
ITEM = {"namespace": ["a", "b"], "key": "k", "value": {"n": 1}, "created_at": TIME, "updated_at": TIME}
STATE = {"values": {"n": 1}, "next": [], "tasks": [], "checkpoint": {"checkpoint_id": "c"}}
CHECKPOINT = {"thread_id": THREAD, "checkpoint_ns": "", "checkpoint_id": "c", "checkpoint_map": {}}
VALUES = {"messages": [], "n": 1}

EVENTS = [("metadata", {"run_id": RUN}, "1-0"), ("values", VALUES, "2-0")]

OWN = {"headers": {"X-Call": "mine"}, "params": {"extra": "1"}}


class Call(NamedTuple):
    """A method with its arguments, and what the server answers to it."""

    name: str
    args: Tuple[Any, ...]
    options: Mapping[str, Any]
    answer: Any

    def made(self, client: Any) -> Any:
        found = method_of(client, self.name)(*self.args, **self.options)
        if not hasattr(found, "__next__"):
            return found
        if self.name == "threads.join_stream":
            # It has no end.
            with contextlib.closing(found):
                return [next(found)]
        return list(found)


def call(name: str, /, *args: Any, answer: Any = None, **options: Any) -> Call:
    return Call(name, args, options, answer)


def _ignore(told: Any) -> None:
    """Hears which run was created."""


_RUN_OPTIONS: Dict[str, Any] = {
    "input": {"messages": [{"role": "user", "content": "hi"}], "nothing": None},
    "metadata": {"team": "a"},
    "config": {"tags": ["t"], "recursion_limit": 5, "configurable": {"city": "sf"}},
    "context": {"tenant": "a"},
    "checkpoint": CHECKPOINT,
    "checkpoint_id": "c",
    "checkpoint_during": False,
    "interrupt_before": ["one"],
    "interrupt_after": "*",
    "webhook": "http://example.invalid/hook",
    "on_completion": "keep",
    "multitask_strategy": "enqueue",
    "if_not_exists": "create",
    "after_seconds": 3,
    "langsmith_tracing": {"project_name": "p", "example_id": "e"},
    "on_run_created": _ignore,
    "durability": "sync",
    "strict_resume": True,
    **OWN,
}
_STREAM_OPTIONS = {"stream_mode": ["values", "updates"], "stream_subgraphs": True, "stream_resumable": True}
_CRON_OPTIONS: Dict[str, Any] = {
    "schedule": "0 9 * * *",
    "input": {"n": 1},
    "metadata": {"team": "a"},
    "config": {"configurable": {"city": "sf"}},
    "context": {"tenant": "a"},
    "interrupt_before": ["one"],
    "interrupt_after": "*",
    "webhook": "http://example.invalid/hook",
    "end_time": datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    "enabled": False,
    "timezone": timezone.utc,
    "stream_mode": ["values", "updates"],
    "stream_subgraphs": True,
    "stream_resumable": False,
    "durability": "exit",
    **OWN,
}
_BATCH = [
    {"assistant_id": "agent", "input": {"n": 1}, "thread_id": None},
    {"assistant_id": "agent", "thread_id": THREAD, "metadata": {"a": 1}, "stream_mode": "values"},
]

CALLS: List[Call] = [
    # -- assistants
    call("assistants.get", ASSISTANT, answer=ASSISTANT_RECORD),
    call("assistants.get", "a/../b c", answer=ASSISTANT_RECORD, **OWN),
    call("assistants.get_graph", ASSISTANT, answer={"nodes": [], "edges": []}),
    call("assistants.get_graph", ASSISTANT, xray=True, answer={"nodes": [], "edges": []}),
    call("assistants.get_graph", ASSISTANT, xray=2, answer={"nodes": [], "edges": []}, **OWN),
    call("assistants.get_schemas", ASSISTANT, answer={"graph_id": "agent"}),
    call("assistants.get_schemas", ASSISTANT, answer={"graph_id": "agent"}, **OWN),
    call("assistants.get_subgraphs", ASSISTANT, answer={}),
    call("assistants.get_subgraphs", ASSISTANT, "a|b/c", True, answer={}, **OWN),
    call("assistants.create", "agent", answer=ASSISTANT_RECORD),
    call(
        "assistants.create",
        "agent",
        {"configurable": {"a": 1}},
        context={"tenant": "a"},
        metadata={"team": "a"},
        assistant_id=ASSISTANT,
        if_exists="do_nothing",
        name="mine",
        description="what it does",
        answer=ASSISTANT_RECORD,
        **OWN,
    ),
    call("assistants.update", ASSISTANT, answer=ASSISTANT_RECORD),
    call("assistants.update", ASSISTANT, config={}, context={}, answer=ASSISTANT_RECORD),
    call(
        "assistants.update",
        ASSISTANT,
        graph_id="agent",
        config={"configurable": {"a": 1}},
        context={"tenant": "a"},
        metadata={"team": "a"},
        name="mine",
        description="what it does",
        answer=ASSISTANT_RECORD,
        **OWN,
    ),
    call("assistants.delete", ASSISTANT),
    call("assistants.delete", ASSISTANT, delete_threads=True, **OWN),
    call("assistants.search", answer=[ASSISTANT_RECORD]),
    call("assistants.search", response_format="object", answer=[ASSISTANT_RECORD]),
    call(
        "assistants.search",
        metadata={"team": "a"},
        graph_id="agent",
        name="mine",
        limit=3,
        offset=4,
        sort_by="name",
        sort_order="asc",
        select=["assistant_id"],
        response_format="array",
        answer=[ASSISTANT_RECORD],
        **OWN,
    ),
    call("assistants.count", answer=3),
    call("assistants.count", metadata={"team": "a"}, graph_id="agent", name="mine", answer=3, **OWN),
    call("assistants.get_versions", ASSISTANT, answer=[ASSISTANT_RECORD]),
    call("assistants.get_versions", ASSISTANT, {"team": "a"}, 3, 4, answer=[ASSISTANT_RECORD], **OWN),
    call("assistants.set_latest", ASSISTANT, 2, answer=ASSISTANT_RECORD),
    call("assistants.set_latest", ASSISTANT, version=2, answer=ASSISTANT_RECORD, **OWN),
    # -- threads
    call("threads.get", THREAD, answer=THREAD_RECORD),
    call("threads.get", UUID(THREAD), answer=THREAD_RECORD),
    call("threads.get", THREAD, include=["ttl", "more"], answer=THREAD_RECORD, **OWN),
    call("threads.create", answer=THREAD_RECORD),
    call("threads.create", thread_id=UUID(THREAD), answer=THREAD_RECORD),
    call("threads.create", ttl=60, answer=THREAD_RECORD),
    call("threads.create", ttl=0, answer=THREAD_RECORD),
    call("threads.create", metadata={}, supersteps=[], answer=THREAD_RECORD),
    call(
        "threads.create",
        metadata={"team": "a"},
        thread_id=THREAD,
        if_exists="do_nothing",
        supersteps=[{"updates": [{"values": {"n": 1}, "as_node": "one"}]}],
        graph_id="agent",
        ttl={"ttl": 5, "strategy": "keep_latest"},
        answer=THREAD_RECORD,
        **OWN,
    ),
    call("threads.update", THREAD, metadata={}, answer=THREAD_RECORD),
    call("threads.update", THREAD, metadata={"team": "a"}, ttl=60, return_minimal=True, **OWN),
    call("threads.update", THREAD, metadata={"team": "a"}, ttl={"ttl": 5}, answer=THREAD_RECORD),
    call("threads.delete", THREAD),
    call("threads.delete", "..", **OWN),
    call("threads.search", answer=[THREAD_RECORD]),
    call("threads.search", metadata={}, values={}, ids=[], select=[], extract={}, answer=[THREAD_RECORD]),
    call(
        "threads.search",
        metadata={"team": "a"},
        values={"n": 1},
        ids=[THREAD],
        status="idle",
        limit=3,
        offset=4,
        sort_by="created_at",
        sort_order="desc",
        select=["thread_id"],
        extract={"n": "values.n"},
        answer=[THREAD_RECORD],
        **OWN,
    ),
    call("threads.count", answer=3),
    call("threads.count", metadata={"team": "a"}, values={"n": 1}, status="busy", answer=3, **OWN),
    call("threads.copy", THREAD, answer=THREAD_RECORD),
    call("threads.copy", THREAD, answer=THREAD_RECORD, **OWN),
    call("threads.prune", [THREAD], answer={"pruned_count": 1}),
    call("threads.prune", [THREAD], strategy="keep_latest", answer={"pruned_count": 1}, **OWN),
    call("threads.get_state", THREAD, answer=STATE),
    call("threads.get_state", THREAD, subgraphs=True, select=["values", "next"], answer=STATE, **OWN),
    call("threads.get_state", THREAD, None, "c/1", answer=STATE),
    call("threads.get_state", THREAD, checkpoint_id="c", subgraphs=True, select=["values"], answer=STATE, **OWN),
    call("threads.get_state", THREAD, CHECKPOINT, answer=STATE),
    call("threads.get_state", THREAD, CHECKPOINT, subgraphs=True, select=["values"], answer=STATE, **OWN),
    call("threads.update_state", THREAD, {"n": 1}, answer={"checkpoint": CHECKPOINT}),
    call("threads.update_state", THREAD, None, answer={"checkpoint": CHECKPOINT}),
    call(
        "threads.update_state",
        THREAD,
        [{"n": 1}],
        as_node="one",
        checkpoint=CHECKPOINT,
        checkpoint_id="c",
        answer={"checkpoint": CHECKPOINT},
        **OWN,
    ),
    call("threads.get_history", THREAD, answer=[STATE]),
    call("threads.get_history", THREAD, before="c", answer=[STATE]),
    call(
        "threads.get_history",
        THREAD,
        limit=3,
        before=CHECKPOINT,
        metadata={"source": "loop"},
        checkpoint=CHECKPOINT,
        select=["values"],
        answer=[STATE],
        **OWN,
    ),
    call("threads.join_stream", THREAD),
    call("threads.join_stream", THREAD, stream_mode=["lifecycle", "state_update"], last_event_id="1-0", **OWN),
    # -- runs
    call("runs.stream", THREAD, "agent"),
    call("runs.stream", None, "agent", input={"n": 1}),
    call("runs.stream", THREAD, "agent", command={"resume": {"yes": True}, "update": None, "goto": None}),
    call("runs.stream", THREAD, "agent", command={"resume": None}),
    call(
        "runs.stream",
        THREAD,
        "agent",
        feedback_keys=["score"],
        on_disconnect="continue",
        version="v2",
        **{**_RUN_OPTIONS, **_STREAM_OPTIONS},
    ),
    call("runs.create", THREAD, "agent", answer=RUN_RECORD),
    call("runs.create", None, "agent", input={"n": 1}, answer=RUN_RECORD),
    call("runs.create", THREAD, "agent", command={"resume": 1}, stream_mode="updates", answer=RUN_RECORD),
    call("runs.create", THREAD, "agent", answer=RUN_RECORD, **{**_RUN_OPTIONS, **_STREAM_OPTIONS}),
    call("runs.create_batch", [{"assistant_id": "agent"}], answer=[RUN_RECORD]),
    call("runs.create_batch", _BATCH, answer=[RUN_RECORD, RUN_RECORD], **OWN),
    call("runs.wait", THREAD, "agent", answer=VALUES),
    call("runs.wait", None, "agent", input={"n": 1}, answer=VALUES),
    call("runs.wait", THREAD, "agent", command={"resume": 1}, answer=VALUES),
    call("runs.wait", THREAD, "agent", on_disconnect="cancel", raise_error=False, answer=VALUES, **_RUN_OPTIONS),
    call("runs.list", THREAD, answer=[RUN_RECORD]),
    call("runs.list", THREAD, limit=3, offset=4, status="success", select=["run_id"], answer=[RUN_RECORD], **OWN),
    call("runs.get", THREAD, RUN, answer=RUN_RECORD),
    call("runs.get", THREAD, RUN, answer=RUN_RECORD, **OWN),
    call("runs.cancel", THREAD, RUN, answer={}),
    call("runs.cancel", THREAD, RUN, wait=True, action="rollback", answer={}, **OWN),
    call("runs.cancel_many", status="all"),
    call("runs.cancel_many", thread_id=THREAD, run_ids=[RUN], status="pending", action="rollback", **OWN),
    call("runs.join", THREAD, RUN, answer=VALUES),
    call("runs.join", THREAD, RUN, answer=VALUES, **OWN),
    call("runs.join_stream", THREAD, RUN),
    call(
        "runs.join_stream",
        THREAD,
        RUN,
        cancel_on_disconnect=True,
        stream_mode=["values", "updates"],
        last_event_id="1-0",
        **OWN,
    ),
    call("runs.delete", THREAD, RUN),
    call("runs.delete", THREAD, RUN, **OWN),
    # -- crons
    call("crons.create", "agent", schedule="0 9 * * *", answer=CRON_RECORD),
    call(
        "crons.create",
        "agent",
        on_run_completed="keep",
        multitask_strategy="enqueue",
        checkpoint_during=True,
        answer=CRON_RECORD,
        **_CRON_OPTIONS,
    ),
    call("crons.create_for_thread", THREAD, "agent", schedule="0 9 * * *", answer=CRON_RECORD),
    call(
        "crons.create_for_thread",
        THREAD,
        "agent",
        multitask_strategy="enqueue",
        checkpoint_during=True,
        answer=CRON_RECORD,
        **_CRON_OPTIONS,
    ),
    call("crons.delete", CRON),
    call("crons.delete", CRON, **OWN),
    call("crons.update", CRON, answer=CRON_RECORD),
    call("crons.update", CRON, end_time=None, timezone="Europe/Berlin", answer=CRON_RECORD),
    call("crons.update", CRON, on_run_completed="delete", answer=CRON_RECORD, **_CRON_OPTIONS),
    call("crons.search", answer=[CRON_RECORD]),
    call("crons.search", metadata={}, select=[], answer=[CRON_RECORD]),
    call(
        "crons.search",
        assistant_id=ASSISTANT,
        thread_id=THREAD,
        enabled=False,
        metadata={"team": "a"},
        limit=3,
        offset=4,
        sort_by="next_run_date",
        sort_order="asc",
        select=["cron_id"],
        answer=[CRON_RECORD],
        **OWN,
    ),
    call("crons.count", answer=3),
    call("crons.count", metadata={}, answer=3),
    call("crons.count", assistant_id=ASSISTANT, thread_id=THREAD, metadata={"team": "a"}, answer=3, **OWN),
    # -- store
    call("store.put_item", ["a", "b"], "k", {"n": 1}),
    call("store.put_item", ["a", "b"], "k", {"n": 1}, False, 5, *OWN.values()),
    call("store.put_item", ("a",), key="k", value={}, index=["n"], ttl=5, **OWN),
    call("store.get_item", ["a", "b"], "k", answer=ITEM),
    call("store.get_item", ["a", "b"], key="k", refresh_ttl=False, answer=ITEM, **OWN),
    call("store.delete_item", ["a", "b"], "k"),
    call("store.delete_item", ["a", "b"], "k", *OWN.values()),
    call("store.search_items", ["a"], answer={"items": [ITEM]}),
    call("store.search_items", ["a"], {"n": 1}, 3, 4, "what", True, *OWN.values(), answer={"items": [ITEM]}),
    call(
        "store.search_items",
        ["a"],
        filter={"n": 1},
        limit=3,
        offset=4,
        query="what",
        refresh_ttl=False,
        answer={"items": []},
        **OWN,
    ),
    call("store.list_namespaces", answer={"namespaces": [["a", "b"]]}),
    call("store.list_namespaces", ["a"], ["b"], 2, 3, 4, answer={"namespaces": [["a", "b"]]}, **OWN),
    # -- routes of a server's own
    call("http.get", "/own", answer={"a": 1}),
    call("http.get", "/own/route", params={"a": [1, True], "b": None}, headers={"X-Call": "mine"}, answer=[1]),
    call("http.post", "/own", json=None, answer={"a": 1}),
    call("http.post", "/own", json={"a": None}, answer={"a": 1}, **OWN),
    call("http.put", "/own", json={"a": 1}, answer={"a": 1}, **OWN),
    call("http.patch", "/own", json={"a": 1}, answer={"a": 1}, **OWN),
    call("http.delete", "/own"),
    call("http.delete", "/own", json={"a": 1}, **OWN),
]

_MODES = "a single mode is sent as a list of one, as several are"
_RESUMABLE = "true unless the caller says otherwise: the server keeps the run's parts to be joined again"
_ENDING = "asked after a clean end, so that what a server or a proxy cut off is not taken for the end"

#: All that differs, and why. What is no longer so fails the tests.
DIFFERENCES: Dict[str, Dict[str, str]] = {
    "runs.stream": {
        "body stream_mode": _MODES,
        "body stream_resumable": _RESUMABLE,
        "body command": "an answer of None is sent; the official client drops it, and the run asks again",
        "more GET /threads/{thread_id}/runs/{run_id}/stream": _ENDING,
    },
    "runs.create": {"body stream_mode": _MODES, "body stream_resumable": _RESUMABLE},
    "runs.wait": {
        "POST /threads/{thread_id}/runs instead of POST /threads/{thread_id}/runs/wait": (
            "the run is started by one request, so that what waits for it can be asked again and starts nothing twice"
        ),
        "more GET /threads/{thread_id}/runs/{run_id}/join": "see above",
    },
    "runs.join_stream": {
        "header last-event-id": "without last_event_id the run is shown from its beginning, as far as it was kept",
        "query stream_mode": "several modes go as one JSON list, of which servers read all; none is left out",
        "query stream_subgraphs": "what subgraphs say is shown, if the run was started with stream_subgraphs",
        "query cancel_on_disconnect": "sent if it is true",
        "more GET /threads/{thread_id}/state": "tells how a run ended whose stream did not begin with its beginning",
    },
    "threads.join_stream": {
        "query stream_mode": "servers read stream_modes: what the official client sends, they do not look at",
        "query stream_modes": "see above",
        "more GET /threads/{thread_id}/runs": "tells whether the thread is there: the stream itself would not",
    },
    "threads.get_history": {
        "body before": "the checkpoint's id stands in both places where one or another server looks for it",
    },
    "http.get": {"query b": "a parameter of None is left out"},
}

#: REST calls say that they take JSON; the official client's say that they take anything.
_ACCEPT = "header accept"

_STREAMS = {"runs.stream", "runs.join_stream", "threads.join_stream"}


@pytest.mark.parametrize("name", sorted({each.name for each in CALLS}))
def test_both_clients_send_the_same(name: str) -> None:
    found: Set[str] = set()
    for each in CALLS:
        if each.name == name:
            found |= set(_differences(_sent_by(langgraph_sdk, each), _sent_by(lgsync, each)))
    assert found - {_ACCEPT} == set(DIFFERENCES.get(name, {}))
    assert (_ACCEPT in found) == (name not in _STREAMS)


def test_every_method_and_every_parameter_is_called(official: Any) -> None:
    passed: Set[str] = set()
    for each in CALLS:
        method = method_of(official, each.name)
        bound = inspect.signature(method).bind(*each.args, **each.options)
        passed |= {f"{each.name}({parameter})" for parameter in bound.arguments}
    every = {f"{name}({parameter})" for name, method in methods(official).items() for parameter in signature(method)}
    # httpx's own, and methods that are absent here.
    absent = ("threads.stream(", "http.stream(", "http.request_reconnect(")
    assert {one for one in every - passed if not one.startswith(absent) and not one.endswith("(on_response)")} == set()


def test_the_page_about_moving_names_each_difference() -> None:
    named = named_on_the_page()
    for method, differences in DIFFERENCES.items():
        for difference in differences:
            word = difference.split(" ")[1] if difference.split(" ")[0] in ("body", "query") else method
            assert word in named, f"{method}: {difference}"
            assert method in named


@pytest.fixture
def official() -> Iterator[Any]:
    with langgraph_sdk.get_sync_client(url="http://server", api_key=None) as client:
        yield client


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Place:
    city: str
    since: datetime


class Person(BaseModel):
    name: str
    born: Optional[date] = None
    places: List[Place] = []


_WHEN = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)

INPUTS: Dict[str, Any] = {
    "aware-datetime": _WHEN,
    "naive-datetime": _WHEN.replace(tzinfo=None),
    "other-zone": _WHEN.astimezone(timezone(timedelta(hours=2))),
    "date": _WHEN.date(),
    "time": _WHEN.time(),
    "uuid": UUID(THREAD),
    "set": {1},
    "frozenset": frozenset(["a"]),
    "tuple": (1, (2, None)),
    "enum": Color.RED,
    "dataclass": Place("sf", _WHEN),
    "model": Person(name="Ada", born=date(1815, 12, 10), places=[Place("London", _WHEN)]),
    "message": HumanMessage("hi", id="m1"),
    "number-keys": {1: "a", 2: {3: "b"}},
    "text": "é\u2028\x00😀",
    "numbers": [0, -1, 2**53, 1.5, 1e300, True],
}


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs_are_written_alike(kind: str) -> None:
    each = call("runs.create", THREAD, "agent", input={"a": [INPUTS[kind]]}, answer=RUN_RECORD)
    theirs, mine = (_sent_by(package, each)[0].body["input"] for package in (langgraph_sdk, lgsync))
    assert mine == theirs


def test_a_number_that_json_has_not_is_refused_which_the_official_client_sends_as_null() -> None:
    each = call("runs.create", THREAD, "agent", input=[float("nan")], answer=RUN_RECORD)
    assert _sent_by(langgraph_sdk, each)[0].body["input"] == [None]
    with pytest.raises(lgsync.ConfigurationError):
        _sent_by(lgsync, each)


def test_a_decimal_is_sent_as_text_which_the_official_client_refuses() -> None:
    each = call("runs.create", THREAD, "agent", input=[Decimal("1.50")], answer=RUN_RECORD)
    with pytest.raises(TypeError):
        _sent_by(langgraph_sdk, each)
    assert _sent_by(lgsync, each)[0].body["input"] == ["1.50"]


@pytest.mark.parametrize("base", ["/", "/api", "/api/v1/"])
@pytest.mark.parametrize("name", ["threads.get", "runs.stream"])
def test_the_path_of_the_url_comes_before_all_others(base: str, name: str) -> None:
    each = next(each for each in CALLS if each.name == name)
    theirs, mine = (_sent_by(package, each, base)[0] for package in (langgraph_sdk, lgsync))
    assert mine.path == theirs.path
    assert mine.path.startswith(base)


_KEYS = ("LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")


@pytest.mark.parametrize("settings", [{}, {"api_key": None}, {"api_key": "given"}, {"api_key": ""}], ids=str)
@pytest.mark.parametrize("variables", [(), _KEYS, _KEYS[1:], _KEYS[2:]], ids=len)
def test_the_key_is_the_same(settings: Any, variables: Tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variables:
        monkeypatch.setenv(variable, f' "{variable}" ')
    each = call("threads.get", THREAD, answer=THREAD_RECORD)
    keys = []
    for package in (langgraph_sdk, lgsync):
        with EchoServer(lambda request: _answer(each, request)) as server:
            with package.get_sync_client(url=server.url, **settings) as client:
                each.made(client)
        keys.append(server.requests[0].headers.get("x-api-key"))
    assert keys[0] == keys[1]


def test_headers_and_parameters_of_a_call_win_in_the_same_way() -> None:
    own = {"headers": {"X-Client": "call", "Prefer": "x"}, "params": {"limit": 99, "extra": ["a", "b"]}}
    for name, args in (("threads.get", (THREAD,)), ("runs.list", (THREAD,)), ("threads.search", ())):
        each = call(name, *args, answer=[] if name != "threads.get" else THREAD_RECORD, **own)
        theirs, mine = (_sent_by(package, each) for package in (langgraph_sdk, lgsync))
        assert set(_differences(theirs, mine)) == {_ACCEPT}


def _sent_by(package: Any, each: Call, base: str = "", **settings: Any) -> List[Sent]:
    settings = {"api_key": "key", "headers": {"X-Client": "ours"}, **settings}
    with EchoServer(lambda request: _answer(each, request)) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with package.get_sync_client(url=server.url + base, **settings) as client:
            each.made(client)
    return [sent(request) for request in server.requests]


def _answer(each: Call, request: Request) -> Any:
    """What a server would answer, as far as either client asks for more than the call's own answer."""
    record = f"/threads/{THREAD}/runs/{RUN}"
    if request.headers.get("accept") == "text/event-stream":
        seen = request.headers.get("last-event-id", "")
        events = [event for event in EVENTS if event[2] > seen]
        at = {"Content-Location": record, "Location": f"{record}/stream"}
        return Stream(events, at if each.name.startswith("runs.") else {})
    if each.name in ("runs.stream", "runs.join_stream", "runs.wait"):
        if request.path in (record, f"/threads/{THREAD}/runs"):
            return RUN_RECORD
        if request.path == f"/threads/{THREAD}/state":
            return STATE
    return each.answer


def _differences(official: List[Sent], ours: List[Sent]) -> Iterator[str]:
    """How two clients' requests differ: the one that is the call itself part by part, of others what they are for."""
    theirs, mine = official[0], _counterpart(official[0], ours)
    if (theirs.method, theirs.path) != (mine.method, mine.path):
        yield f"{_place(mine)} instead of {_place(theirs)}"
    yield from (f"query {name}" for name in _unlike(_by_name(theirs.query), _by_name(mine.query)))
    yield from (f"header {name}" for name in _unlike(theirs.headers, mine.headers))
    if isinstance(theirs.body, dict) and isinstance(mine.body, dict):
        yield from (f"body {name}" for name in _unlike(theirs.body, mine.body))
    elif theirs.body != mine.body:
        yield "body"
    if len({sum(each.method != "GET" for each in requests) for requests in (official, ours)}) > 1:
        yield "more that may change something"
    asked, asks = ({_place(each) for each in requests} for requests in (official, ours))
    yield from (f"more {place}" for place in asks - asked - {_place(mine)})
    yield from (f"no {place}" for place in asked - asks - {_place(theirs)})


def _counterpart(request: Sent, others: List[Sent]) -> Sent:
    """The first that is for the same; from a position, a stream may be opened twice."""
    position, place = request.headers.get("last-event-id"), _place(request)
    same = (each for each in others if each.headers.get("last-event-id") == position and _place(each) == place)
    return next(same, others[0])


def _place(request: Sent) -> str:
    return f"{request.method} {request.path.replace(THREAD, '{thread_id}').replace(RUN, '{run_id}')}"


def _by_name(query: List[Tuple[str, str]]) -> Dict[str, List[str]]:
    values: Dict[str, List[str]] = defaultdict(list)
    for name, value in query:
        values[name].append(value)
    return values


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> List[str]:
    absent = object()
    return [name for name in {**one, **other} if one.get(name, absent) != other.get(name, absent)]
