"""A cursor taken anywhere in a loop goes on with exactly the rest, in another client."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st
from inmemory_server import Server
from scripted import chunk, update, whole

from lgsync.accumulate import Message
from lgsync.client import Client
from lgsync.run_stream import RunStream

MODES = ["messages-tuple", "updates", "custom"]

#: What a run says: a piece of one of three messages, its end, the messages of a step (several, that is), or data.
words = st.one_of(
    st.tuples(st.just("piece"), st.sampled_from(["m1", "m2", "m3"]), st.sampled_from(["a", "b", " "])),
    st.tuples(st.just("last"), st.sampled_from(["m1", "m2", "m3"]), st.just("")),
    st.tuples(st.just("step"), st.integers(1, 3), st.just("")),
    st.tuples(st.just("custom"), st.integers(0, 3), st.just("")),
)
tapes = st.lists(st.tuples(words, st.sampled_from([0.0, 0.0, 1.0])), min_size=1, max_size=14)


def recorded(tape: List[Tuple[Any, float]]) -> Server:
    """A server whose run has said all of that, and is over."""
    server = Server()
    server.publish({"run_id": "r", "attempt": 1}, "metadata")
    said = dict.fromkeys(["m1", "m2", "m3"], "")
    tools: List[Any] = []
    for (kind, what, text), pause in tape:
        server.now += pause
        if kind == "custom":
            server.publish(what)
        elif kind == "step":
            more = [whole("tool", "22 C", id=f"t{len(tools) + number}") for number in range(what)]
            tools += more
            ended = [whole("ai", said[id_], id=id_) for id_ in said if said[id_]]
            server.publish(update(*ended, *more).data, "updates")
        else:
            said[what] += text
            server.publish(chunk(text, id=what, last=kind == "last").data, "messages")
    server.state["values"] = {"messages": [whole("ai", said[id_], id=id_) for id_ in said if said[id_]] + tools}
    server.finish()
    return server


def shown(item: Any) -> Any:
    """What of an item can be compared."""
    if isinstance(item, tuple) and len(item) == 2 and item[0] in ("messages", "parts", "text", "custom"):
        return item[0], shown(item[1])
    if isinstance(item, Message):
        return item.id, item.type, item.text, item.delta.text, item.status, item.source
    return item


def resumed(server: Server, cursor: str, replay: bool = True) -> RunStream:
    return Client(transport=server).runs.resume(cursor, replay=replay)


def joined(server: Server) -> RunStream:
    return Client(transport=server).runs.join_stream("t", "r", stream_mode=MODES)


def cursors_in(run: RunStream, view: Iterator[Any]) -> Tuple[List[Any], List[str]]:
    """What a view shows, and the cursor before each of these and after the last."""
    items: List[Any] = []
    cursors = [str(run.cursor)]
    for item in view:
        items.append(shown(item))
        cursors.append(str(run.cursor))
    return items, cursors


def check_every_cursor(tape: Any, view_of: Callable[[RunStream], Iterator[Any]]) -> None:
    server = recorded(tape)
    run = joined(server)
    items, cursors = cursors_in(run, view_of(run))
    by_the_end = len(list(view_of(resumed(server, cursors[-1]))))
    for taken, cursor in enumerate(cursors):
        rest = [shown(item) for item in view_of(resumed(server, cursor))]
        doubled = len(rest) - (len(items) - taken)
        assert rest == items[taken - doubled :]
        # What one part changed may come again, if not all of that was taken; and what the end changes, which is none.
        first = taken - doubled
        half_taken = set(cursors[first + 1 : taken + 1]) <= {cursor}
        assert half_taken or first >= len(items) - by_the_end


@settings(max_examples=50)
@given(tapes, st.booleans())
def test_raw_parts_go_on_exactly_where_they_stood(tape: Any, replay: bool) -> None:
    server = recorded(tape)
    run = joined(server)
    items, cursors = cursors_in(run, run)
    for taken, cursor in enumerate(cursors):
        assert list(resumed(server, cursor, replay)) == items[taken:]


@settings(max_examples=50)
@given(tapes)
def test_messages_go_on_where_they_stood_and_double_no_more_than_one_part_changed(tape: Any) -> None:
    check_every_cursor(tape, lambda run: run.messages())


@settings(max_examples=30)
@given(tapes)
def test_text_goes_on_where_it_stood(tape: Any) -> None:
    check_every_cursor(tape, lambda run: run.text())


@settings(max_examples=30)
@given(tapes)
def test_several_views_in_one_loop_go_on_where_they_stood(tape: Any) -> None:
    check_every_cursor(tape, lambda run: run.views("parts", "messages", "custom"))


@settings(max_examples=50)
@given(tapes, st.lists(st.booleans(), max_size=30))
def test_two_views_that_are_read_unevenly_both_go_on_without_a_loss(tape: Any, turns: List[bool]) -> None:
    server = recorded(tape)
    run = joined(server)
    views: Any = (run.messages(), run.custom())
    taken: Tuple[List[Any], List[Any]] = ([], [])
    for turn in turns:
        item = next(views[turn], None)
        if item is not None:
            taken[turn].append(shown(item))
    cursor = str(run.cursor)
    whole_run, rest_run = joined(server), resumed(server, cursor)
    for number, view in enumerate((whole_run.messages(), whole_run.custom())):
        everything = [shown(item) for item in view]
        rest = [shown(item) for item in (rest_run.messages(), rest_run.custom())[number]]
        assert len(rest) >= len(everything) - len(taken[number])
        assert everything[len(everything) - len(rest) :] == rest
