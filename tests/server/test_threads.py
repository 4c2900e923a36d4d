"""Threads on a real server: all their calls, and the stream of what happens on one."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from langgraph_server import Gate
from pydantic import BaseModel
from witness import GREETING

from lgsync import Client, NotFoundError, StateMismatch, StreamPart, UnprocessableEntityError
from lgsync.testing import FaultProxy
from lgsync.thread_events import ThreadEvents

MISSING = "00000000-0000-0000-0000-000000000000"

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as one:
        yield one


def said(text: str) -> Dict[str, Any]:
    return {"messages": [{"role": "user", "content": text, "id": text}]}


def thread_with(client: Client, *texts: str, **options: Any) -> str:
    """A thread whose state was written to so often."""
    thread_id = client.threads.create(graph_id="agent", **options).thread_id
    for text in texts:
        client.threads.update_state(thread_id, said(text), as_node="__start__")
    return thread_id


# -- calls -------------------------------------------------------------------------------------------------------------


def test_metadata_is_added_to_and_nothing_comes_back_where_nothing_is_wanted(client: Client) -> None:
    thread_id = thread_with(client, metadata={"team": "a"})
    assert client.threads.update(thread_id, metadata={"more": 1}, return_minimal=True) is None
    thread = client.threads.update(thread_id, metadata={"less": 2}, ttl=60)
    assert thread.metadata == {"graph_id": "agent", "team": "a", "more": 1, "less": 2}


def test_a_thread_that_is_there_is_returned_if_that_is_asked_for(client: Client) -> None:
    thread_id = client.threads.create(metadata={"first": True}).thread_id
    again = client.threads.create(thread_id=thread_id, if_exists="do_nothing")
    assert (again.thread_id, again.metadata) == (thread_id, {"first": True})


def test_threads_are_found_counted_and_all_of_them_iterated(client: Client) -> None:
    mark = {"mark": f"{random.random()}"}
    made = [client.threads.create(metadata=mark).thread_id for _ in range(5)]
    assert client.threads.count(metadata=mark) == 5
    assert {thread.thread_id for thread in client.threads.search(metadata=mark, status="idle", limit=3)} <= set(made)
    assert client.threads.search(metadata=mark, status="busy") == []
    listed = [thread.thread_id for thread in client.threads.iter(metadata=mark, page_size=2)]
    assert listed == made[::-1]
    assert len(list(client.threads.iter(metadata=mark, page_size=2, limit=3))) == 3


def test_a_search_gives_the_fields_that_were_selected_and_what_was_extracted(client: Client) -> None:
    thread_id = thread_with(client, "first", "second")
    (thread,) = client.threads.search(
        ids=[thread_id], select=["status"], extract={"last": "values.messages[-1].content"}
    )
    assert thread.extracted == {"last": "second"}
    assert set(thread) == {"status", "extracted"}


def test_a_copy_has_the_state_and_is_another_thread(client: Client) -> None:
    thread_id = thread_with(client, "first")
    copy = client.threads.copy(thread_id)
    assert copy.thread_id != thread_id
    assert client.threads.get_state(copy.thread_id).values == client.threads.get_state(thread_id).values


def test_supersteps_bring_a_state_along(client: Client) -> None:
    steps = [{"updates": [{"values": said("first"), "as_node": "__start__"}]}]
    thread_id = client.threads.create(graph_id="agent", supersteps=steps).thread_id
    assert client.threads.get_state(thread_id).values["messages"][0]["content"] == "first"


def test_threads_are_pruned_that_are_there(client: Client) -> None:
    kept, gone = thread_with(client), thread_with(client)
    assert client.threads.prune([gone, MISSING]).pruned_count == 1
    assert client.threads.get(kept).thread_id == kept
    with pytest.raises(NotFoundError):
        client.threads.get(gone)


def test_a_thread_takes_some_room(client: Client) -> None:
    thread_id = thread_with(client, "first")
    storage = client.threads.get_storage(thread_id)
    assert storage.thread_id == thread_id
    assert storage.total_bytes


class Talk(BaseModel):
    messages: List[Dict[str, Any]]


class Weather(BaseModel):
    degrees: int


def test_states_are_read_as_the_callers_model(client: Client) -> None:
    thread_id = thread_with(client, "first", "second")
    assert client.threads.get_state(thread_id, model=Talk).values.messages[0]["id"] == "first"
    history = client.threads.iter_history(thread_id, model=Talk, page_size=1)
    assert [len(state.values.messages) for state in history] == [2, 1]
    with pytest.raises(StateMismatch, match="degrees"):
        client.threads.get_state(thread_id, model=Weather)


def test_a_history_is_read_from_any_checkpoint_in_any_form_of_it(client: Client) -> None:
    thread_id = thread_with(client, "a", "b", "c", "d")
    states = client.threads.get_history(thread_id)
    for before in (states[1].checkpoint_id, states[1].checkpoint, states[1]["checkpoint"]):
        assert client.threads.get_history(thread_id, before=before) == states[2:]


def test_all_past_states_come_once_though_others_are_made_meanwhile(client: Client) -> None:
    thread_id = thread_with(client, "a", "b", "c", "d", "e")
    told = []
    for state in client.threads.iter_history(thread_id, page_size=2):
        told.append(state.values["messages"][-1]["id"])
        client.threads.update_state(thread_id, said(f"new {len(told)}"), as_node="__start__")
    assert told == ["e", "d", "c", "b", "a"]


# -- streams -----------------------------------------------------------------------------------------------------------


def is_end(part: StreamPart, run_id: Optional[str]) -> bool:
    return part.data == {"status": "run_done", "run_id": run_id}


def until_the_end(events: ThreadEvents, run_id: Optional[str]) -> List[StreamPart]:
    """What comes up to the end of that run."""
    parts = []
    for part in events:
        parts.append(part)
        if is_end(part, run_id):
            break
    return parts


@both_transports
def test_a_run_started_elsewhere_is_seen_from_its_start_to_its_end(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one, Client(server_url) as another:
        thread_id = another.threads.create().thread_id
        with one.threads.join_stream(thread_id) as events:
            run_id = another.runs.create(thread_id, "agent", input=GREETING, stream_mode=["updates", "values"]).run_id
            first, *others, last = until_the_end(events, run_id)
            assert events.position == last.id
    assert first.data == {"run_id": run_id, "attempt": 1}
    assert is_end(last, run_id)
    assert {part.kind for part in others} == {"updates", "values"}


def test_several_runs_are_seen_one_after_the_other(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    with client.threads.join_stream(thread_id, stream_mode="lifecycle") as events:
        runs = [client.runs.create(thread_id, "agent", input=GREETING).run_id for _ in range(2)]
        told = [(part.data.get("run_id"), part.data.get("status")) for part in itertools.islice(events, 4)]
    assert told == [(runs[0], None), (runs[0], "run_done"), (runs[1], None), (runs[1], "run_done")]


@both_transports
def test_an_update_of_the_state_is_shown_where_that_was_asked_for(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one:
        thread_id = thread_with(one)
        with one.threads.join_stream(thread_id, stream_mode=["lifecycle", "state_update"]) as events:
            shown = threading.Event()

            def update_until_shown() -> None:
                # The server answers before it listens, and keeps no such event.
                while not shown.is_set():
                    one.threads.update_state(thread_id, said("first"), as_node="__start__")
                    shown.wait(0.5)

            updating = threading.Thread(target=update_until_shown)
            updating.start()
            part = next(events)
            shown.set()
            updating.join()
    assert part.event == "state_update"
    assert part.data["state"]["values"]["messages"][0]["content"] == "first"


@both_transports
def test_a_thread_that_is_not_there_is_not_found_at_once(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one, pytest.raises(NotFoundError, match=MISSING):
        one.threads.join_stream(MISSING)


def test_a_position_that_is_none_is_refused_by_the_server(client: Client) -> None:
    with pytest.raises(UnprocessableEntityError, match="stream ID"):
        client.threads.join_stream(client.threads.create().thread_id, last_event_id="somewhere")


def test_what_was_kept_is_shown_from_the_start_and_from_any_position(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    run = client.runs.create(thread_id, "slow", input=GREETING, config={"configurable": {"tokens": 5}})
    client.runs.join(thread_id, run.run_id)
    with client.threads.join_stream(thread_id, last_event_id="-") as events:
        parts = until_the_end(events, run.run_id)
    assert parts[:-1] == list(client.runs.join_stream(thread_id, run.run_id))
    with client.threads.join_stream(thread_id, last_event_id=parts[2].id) as events:
        assert until_the_end(events, run.run_id) == parts[3:]


@both_transports
def test_closing_from_another_thread_frees_who_reads(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as one:
        events = one.threads.join_stream(one.threads.create().thread_id)
        ended = threading.Event()

        def read() -> None:
            for _ in events:
                pass
            ended.set()

        threading.Thread(target=read, name="reader").start()
        assert not ended.is_set()
        events.close()
        assert ended.wait(1)


@pytest.mark.parametrize(("transport", "how"), [("sse", "fin"), ("sse", "eof"), ("websocket", "rst")])
def test_a_stream_that_is_cut_goes_on_without_loss_and_without_doubling(
    server_url: str, fault_proxy: Callable[[str], FaultProxy], gate: Gate, transport: str, how: str
) -> None:
    proxy = fault_proxy(server_url)
    with Client(proxy.url, transport=transport) as one, Client(server_url) as another:
        thread_id = another.threads.create().thread_id
        gate.allow(3)
        with one.threads.join_stream(thread_id) as events:
            run = another.runs.create(thread_id, "slow", input=GREETING, config=gate.config)
            parts = list(itertools.islice(events, 4))
            proxy.cut_all(how)
            gate.open()
            parts += until_the_end(events, run.run_id)
        kept = list(another.runs.join_stream(thread_id, run.run_id))
        proxy.close()
    assert parts[:-1] == kept


def test_a_stream_that_is_cut_at_any_time_goes_on_without_loss_and_without_doubling(
    server_url: str, fault_proxy: Callable[[str], FaultProxy]
) -> None:
    proxy = fault_proxy(server_url)
    with Client(proxy.url) as one, Client(server_url) as another:
        thread_id = another.threads.create().thread_id
        over = threading.Event()

        def cut() -> None:
            while not over.wait(0.05):
                proxy.cut_all()

        cutting = threading.Thread(target=cut)
        with one.threads.join_stream(thread_id) as events:
            settings = {"configurable": {"tokens": 200, "delay": 0.005}}
            run = another.runs.create(thread_id, "slow", input=GREETING, config=settings)
            parts = [next(events)]
            cutting.start()
            try:
                parts += until_the_end(events, run.run_id)
            finally:
                over.set()
                cutting.join()
        kept = list(another.runs.join_stream(thread_id, run.run_id))
        assert len(proxy.streams) > 5
        proxy.close()
    assert parts[:-1] == kept


def test_a_thread_that_is_deleted_is_not_found_when_its_stream_is_taken_up_again(
    server_url: str, fault_proxy: Callable[[str], FaultProxy]
) -> None:
    proxy = fault_proxy(server_url)
    with Client(proxy.url) as one, Client(server_url) as another:
        thread_id = another.threads.create().thread_id
        with one.threads.join_stream(thread_id) as events:
            another.threads.delete(thread_id)
            proxy.cut_all()
            with pytest.raises(NotFoundError, match=thread_id):
                next(events)
        proxy.close()
