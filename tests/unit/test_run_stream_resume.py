from __future__ import annotations

import threading
import time
from typing import Any, Callable, List, Optional, Tuple

import pytest
from inmemory_server import Server
from scripted import (
    RUN,
    THREAD,
    ScriptedSource,
    ScriptedTransport,
    chunk,
    run_answers,
    state,
    update,
    whole,
)

from lgsync.client import Client
from lgsync.cursor import Cursor, Place
from lgsync.errors import (
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DeadlineExceeded,
    DecodeError,
    StreamLost,
)
from lgsync.parts import StreamPart, Undecoded
from lgsync.run_stream import RunStream

CANCEL = f"POST /threads/{THREAD}/runs/{RUN}/cancel"
CUT = ConnectionLost("reset by peer", url="http://server")
AWAY = ConnectionFailed("refused", url="http://server")


def at(id_: Optional[str], part: StreamPart) -> StreamPart:
    return part._replace(id=id_)


def custom(id_: Optional[str], data: Any = "x") -> StreamPart:
    return StreamPart("custom", data, id_)


def stream(*connections: Any, answers: Any = None, **options: Any) -> Tuple[RunStream, ScriptedTransport]:
    """A run over these connections (each its steps, or what keeps it from being made), one after the other."""
    sources = [c if isinstance(c, BaseException) else ScriptedSource(c) for c in connections]
    transport = ScriptedTransport(sources, run_answers() if answers is None else answers)
    client = Client(transport=transport, reconnect=options.pop("reconnect", 60.0))
    options.setdefault("stream_mode", ["messages-tuple", "updates", "custom"])
    return client.runs.stream(THREAD, "agent", **options), transport


def place_of(run: RunStream) -> Place:
    assert run.cursor is not None
    return run.cursor.place


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


# -- the cursor -------------------------------------------------------------------------------------------------------


def test_the_cursor_stands_after_what_was_taken() -> None:
    run, _ = stream([custom("1"), custom("2"), custom("2")])
    places = [place_of(run)]
    for _ in run:
        places.append(place_of(run))
    assert places == [Place(), Place(None, "1", 1), Place("1", "2", 1), Place("1", "2", 2)]


def test_the_cursor_names_the_run_its_modes_and_its_transport() -> None:
    run, _ = stream([custom("1")], messages_key="chat", stream_subgraphs=True)
    modes = ("messages-tuple", "updates", "custom")
    assert run.cursor == Cursor(THREAD, RUN, Place(), "scripted", modes, False, True, "chat")
    assert Cursor.parse(str(run.cursor)) == run.cursor


def test_a_run_without_a_thread_has_no_cursor() -> None:
    source = ScriptedSource([custom("1")])
    source.thread_id = None
    run = Client(transport=ScriptedTransport(source)).runs.stream(None, "agent", stream_mode="custom")
    next(run)
    assert run.cursor is None
    with pytest.raises(ConfigurationError, match="without a thread"):
        run.detach()


def test_a_part_of_which_some_changes_were_not_taken_holds_the_cursor_back() -> None:
    both = update(whole("tool", "one", id="t1"), whole("tool", "two", id="t2"))
    run, _ = stream([custom("1"), at("2", both), custom("3")])
    messages = run.messages()
    assert next(messages).id == "t1"
    assert place_of(run) == Place(None, "1", 1)
    assert next(messages).id == "t2"
    assert place_of(run) == Place("1", "2", 1)


def test_a_view_that_lags_behind_holds_the_cursor_back_until_it_is_read_or_closed() -> None:
    run, _ = stream([custom("1"), at("2", chunk("a")), custom("3"), custom("4")])
    data, text = run.custom(), run.text()
    assert [next(data) for _ in range(3)] == ["x"] * 3
    assert place_of(run) == Place(None, "1", 1)
    assert next(text) == "a"
    assert place_of(run) == Place("3", "4", 1)


def test_a_view_that_nobody_holds_any_more_holds_nothing_back() -> None:
    run, _ = stream([custom("1"), at("2", chunk("a")), custom("3")])
    data, text = run.custom(), run.text()
    assert [next(data) for _ in range(2)] == ["x"] * 2
    assert place_of(run) == Place(None, "1", 1)
    del text
    assert place_of(run) == Place("2", "3", 1)


# -- going on ---------------------------------------------------------------------------------------------------------


def told(*texts: str) -> Server:
    """A run that says these words, all of one message, each at a time of its own, and ends."""
    server = Server()
    server.publish({"run_id": "r", "attempt": 1}, "metadata")
    for number, text in enumerate(texts, start=1):
        server.now += 1
        server.publish(chunk(text, last=number == len(texts)).data, "messages")
    server.state["values"] = {"messages": [whole("ai", "".join(texts), id="m1")]}
    server.publish(update(*server.state["values"]["messages"]).data, "updates")
    server.finish()
    return server


def cursor_after(server: Server, pieces: int) -> str:
    run = Client(transport=server).runs.join_stream("t", "r", stream_mode=["messages-tuple", "updates"])
    text = run.text()
    for _ in range(pieces):
        next(text)
    return str(run.cursor)


def test_a_run_that_is_resumed_shows_its_messages_whole_from_the_first_on() -> None:
    server = told("a", "b", "c")
    run = Client(transport=server).runs.resume(cursor_after(server, 2))
    assert [(m.text, m.delta.text, m.status) for m in run.messages()][:1] == [("abc", "c", "complete")]
    assert run.final_text() == "abc"


def test_without_a_replay_what_had_begun_comes_whole_at_its_end() -> None:
    server = told("a", "b", "c")
    run = Client(transport=server).runs.resume(cursor_after(server, 2), replay=False)
    messages = list(run.messages(completed=True))
    assert [(m.text, m.status) for m in messages][-1:] == [("abc", "complete")]


def test_a_run_joined_after_an_id_and_left_before_the_next_goes_on_from_there() -> None:
    for replay in (True, False):
        server = told("a", "b", "c")
        after = server.tape[1].part.id
        client = Client(transport=server)
        with client.runs.join_stream("t", "r", last_event_id=after) as joined:
            cursors = [str(joined.cursor)]
            rest = []
            for part in joined:
                rest.append(part)
                cursors.append(str(joined.cursor))
        assert [part.event for part in rest] == ["messages", "messages", "updates"]
        for taken, cursor in enumerate(cursors):
            assert list(client.runs.resume(cursor, replay=replay)) == rest[taken:]


def test_a_cursor_of_another_transport_is_refused() -> None:
    run, _ = stream([custom("1")])
    with pytest.raises(ConfigurationError, match='transport="scripted"'):
        Client(transport=told("a")).runs.resume(str(run.cursor))


def test_an_error_carries_a_cursor_that_goes_on_with_the_rest() -> None:
    server = told("a", "b", "c", "d")
    whole_run = [part.part for part in server.tape]
    run = Client(transport=server, reconnect=0).runs.join_stream("t", "r", stream_mode=["messages-tuple", "updates"])
    read = [next(run)]
    server.wires[0].cut(1, CUT)
    with pytest.raises(StreamLost) as caught:
        read.extend(run)
    assert caught.value.cursor is not None
    rest = Client(transport=server).runs.resume(caught.value.cursor)
    assert read + list(rest) == whole_run


# -- what comes at once -----------------------------------------------------------------------------------------------


def stream_at_once(*come: StreamPart) -> Tuple[RunStream, ScriptedTransport]:
    """A run whose first part, with the id "1", was read, and behind it, these have come."""
    run, transport = stream([custom("1")])
    transport.sources[0].come = list(come)
    assert next(run) == custom("1")
    return run, transport


def test_the_cursor_stands_after_what_was_taken_of_parts_that_came_at_once() -> None:
    run, _ = stream_at_once(custom("2"), custom("3"))
    assert place_of(run) == Place(None, "1", 1)
    assert next(run) == custom("2")
    assert place_of(run) == Place("1", "2", 1)
    assert list(run) == [custom("3")]


@pytest.mark.parametrize("leave", [RunStream.close, RunStream.cancel, RunStream.detach])
def test_who_leaves_gets_nothing_more_of_what_came_at_once_and_the_cursor_is_before_it(leave: Any) -> None:
    run, _ = stream_at_once(custom("2"), custom("3"))
    leave(run)
    assert list(run) == []
    assert place_of(run) == Place(None, "1", 1)


def test_who_leaves_behind_a_gap_cancels_the_run_though_what_came_after_it_came_at_once() -> None:
    run, transport = stream([StreamPart("custom", Undecoded("{"), "1")])
    transport.sources[0].come = [custom("2"), custom("3")]
    with pytest.raises(DecodeError):
        next(run)
    assert next(run) == custom("2")
    run.close()
    assert transport.cancelled.is_set()


def test_a_message_is_told_only_as_far_as_its_parts_were_read_when_they_came_at_once() -> None:
    run, _ = stream_at_once(at("2", chunk("He")), at("3", chunk("llo")))
    messages = run.messages()
    assert next(messages).text == "He"
    run.close()
    assert [(message.text, message.status) for message in messages] == [("He", "incomplete")]


# -- detaching --------------------------------------------------------------------------------------------------------


def test_detaching_frees_a_blocked_reader_and_gives_where_it_stood() -> None:
    run, transport = stream([custom("1"), custom("2"), threading.Event()])
    source = transport.sources[0]
    assert isinstance(source, ScriptedSource)
    seen: List[Any] = []
    reader = in_thread(lambda: seen.extend(run))
    assert source.waiting.wait(10)
    began = time.monotonic()
    cursor = run.detach()
    reader.join(5)
    assert not reader.is_alive()
    assert time.monotonic() - began < 3
    assert cursor.place == Place("1", "2", 1)
    assert [part.id for part in seen] == ["1", "2"]


def test_after_detaching_no_cancel_is_ever_sent() -> None:
    run, transport = stream([custom("1"), custom("2")])
    with run:
        next(run)
        run.detach()
        run.close()
    del run
    assert transport.calls(CANCEL) == []
    assert not transport.cancelled.is_set()


def test_after_detaching_loops_end_and_the_outcome_is_not_known() -> None:
    run, _ = stream([custom("1"), custom("2")])
    next(run)
    run.detach()
    assert list(run) == []
    assert run.outcome is None


def test_detaching_again_gives_the_same_cursor() -> None:
    run, _ = stream([custom("1"), custom("2")])
    next(run)
    assert run.detach() == run.detach() == run.cursor


# -- parts that are gone ----------------------------------------------------------------------------------------------


def lossy(**options: Any) -> Tuple[RunStream, ScriptedTransport]:
    """A run that says "Hello" in pieces, of which the middle one is gone for good, and some data around it."""
    stored = state(whole("ai", "Hello", id="m1"))
    before = [custom("1", "a"), at("2", chunk("He")), CUT]
    after = [custom("7", "b"), at("8", chunk("o", last=True)), custom("9", "c")]
    return stream(before, after, answers=run_answers("success", stored), **options)


def collected(view: Any) -> List[Any]:
    """What a view shows, with the errors that it raises in their place."""
    items: List[Any] = []
    while True:
        try:
            items.append(next(view))
        except StopIteration:
            return items
        except (StreamLost, DecodeError) as exc:
            items.append(exc)


def test_raw_parts_raise_once_where_some_are_gone_and_go_on() -> None:
    run, _ = lossy()
    items = collected(run)
    assert [type(item) for item in items] == [StreamPart, StreamPart, StreamLost, StreamPart, StreamPart, StreamPart]
    assert (items[2].thread_id, items[2].run_id) == (THREAD, RUN)
    assert run.outcome == "success"


def test_data_raises_once_where_some_may_be_gone_and_goes_on() -> None:
    run, _ = lossy()
    assert [item if isinstance(item, str) else type(item) for item in collected(run.custom())] == [
        "a",
        StreamLost,
        "b",
        "c",
    ]


def test_several_views_in_one_loop_raise_it_once() -> None:
    run, _ = lossy()
    items = collected(run.views("parts", "custom", "updates"))
    assert [type(item) for item in items].count(StreamLost) == 1


def test_messages_raise_nothing_and_are_made_whole_from_the_state() -> None:
    run, _ = lossy()
    messages = list(run.messages())
    assert (messages[-1].text, messages[-1].source) == ("Hello", "state")
    assert run.final_text() == "Hello"


def test_text_raises_nothing() -> None:
    run, _ = lossy()
    assert list(run.text())[:1] == ["He"]


def test_each_view_raises_it_for_itself() -> None:
    run, _ = lossy()
    parts, data, messages = run.views("parts"), run.custom(), run.messages()
    for view, losses in ((parts, 1), (data, 1), (messages, 0)):
        assert [type(item) for item in collected(view)].count(StreamLost) == losses


def test_an_event_that_is_no_json_is_raised_in_its_place_with_its_text() -> None:
    bad = StreamPart("custom", Undecoded('{"half'), "2")
    run, _ = stream([custom("1", "a"), bad, custom("3", "b")])
    first, error, last = collected(run.custom())
    assert (first, error.text, last) == ("a", '{"half', "b")


def test_leaving_because_parts_are_gone_does_not_cancel_the_run() -> None:
    run, transport = lossy()
    with pytest.raises(StreamLost), run:
        list(run)
    assert transport.calls(CANCEL) == []
    assert transport.sources[1].closed.is_set()  # type: ignore[union-attr]


def test_leaving_after_going_on_behind_a_gap_cancels_the_run() -> None:
    run, transport = lossy()
    with run:
        items = [next(run), next(run)]
        with pytest.raises(StreamLost):
            next(run)
        items.append(next(run))
    assert len(transport.calls(CANCEL)) == 1


def test_a_stream_that_cannot_be_taken_up_again_leaves_its_run_going() -> None:
    run, transport = stream([custom("1"), CUT], AWAY, reconnect=0.05)
    with pytest.raises(StreamLost) as caught, run:
        list(run)
    assert Cursor.parse(str(caught.value.cursor)).place == Place(None, "1", 1)
    assert transport.calls(CANCEL) == []


# -- deadlines --------------------------------------------------------------------------------------------------------


def silent() -> Any:
    """A connection that says one thing, and then is silent for as long as it may be."""

    class Silent(ScriptedSource):
        def _wait_for(self, event: threading.Event) -> None:
            assert self.patience is not None
            time.sleep(self.patience(self) or 0)
            raise ConnectionTimeout("silent", url="http://server")

    return Silent([custom("1"), threading.Event()])


@pytest.mark.parametrize(("on_close", "cancels"), [("cancel", 1), ("continue", 0)])
def test_a_deadline_that_passes_leaves_the_run_as_on_close_says(on_close: str, cancels: int) -> None:
    transport = ScriptedTransport(silent(), run_answers())
    run = Client(transport=transport).runs.stream(
        THREAD, "agent", stream_mode="custom", deadline=0.05, on_close=on_close
    )
    assert next(run).id == "1"
    with pytest.raises(DeadlineExceeded) as caught:
        next(run)
    assert len(transport.calls(CANCEL)) == cancels
    assert transport.sources[0].closed.is_set()  # type: ignore[union-attr]
    assert Cursor.parse(str(caught.value.cursor)).place == Place(None, "1", 1)


def test_the_deadline_of_a_client_holds_for_its_streams() -> None:
    transport = ScriptedTransport(silent(), run_answers())
    run = Client(transport=transport, deadline=0.05).runs.stream(THREAD, "agent", stream_mode="custom")
    next(run)
    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        next(run)


def test_every_view_raises_a_deadline_that_passed() -> None:
    transport = ScriptedTransport(silent(), run_answers())
    run = Client(transport=transport).runs.stream(THREAD, "agent", stream_mode="custom", deadline=0.05)
    for view in (run.custom(), run.messages(), run.text()):
        with pytest.raises(DeadlineExceeded):
            list(view)
