from __future__ import annotations

import json
import logging
import threading
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import pytest
from scripted import (
    RUN,
    THREAD,
    ScriptedSource,
    ScriptedTransport,
    chunk,
    interrupt,
    run_answers,
    state,
    update,
    whole,
)

from lgsync.client import Client
from lgsync.cursor import Cursor, Place
from lgsync.errors import ConfigurationError, ConnectionLost
from lgsync.parts import StreamPart, Undecoded
from lgsync.run_stream import RunStream
from lgsync.wsgi import NotResumable, resume, sse_headers, sse_response_body, text_headers, text_response_body

HELLO = (chunk("Hel"), chunk("lo"), chunk("", last=True), update(whole("ai", "Hello", id="m1")))
FAILURE = StreamPart("error", {"error": "ValueError", "message": "key sk-SECRET of http://internal:8123 refused"})
NOTHING = b":\n\n"


class Event(NamedTuple):
    name: str
    id: Optional[str]
    data: Any


def read(body: bytes) -> List[Event]:
    """What an EventSource would make of it, but for comments and ``retry``."""
    events = []
    for block in body.decode().split("\n\n"):
        fields: Dict[str, str] = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in fields:
            events.append(Event(fields.get("event", "message"), fields.get("id"), json.loads(fields["data"])))
    return events


def numbered(*steps: Any) -> Tuple[Any, ...]:
    return tuple(
        step._replace(id=f"{number}-0") if isinstance(step, StreamPart) else step for number, step in enumerate(steps)
    )


def stream(*steps: Any, answers: Any = None, heeds_beats: bool = True, **options: Any) -> Tuple[RunStream, Any]:
    source = ScriptedSource(numbered(*steps))
    source.heeds_beats = heeds_beats
    transport = ScriptedTransport(source, run_answers() if answers is None else answers)
    return Client(transport=transport).runs.stream(THREAD, "agent", **options), transport


def events_of(*steps: Any, answers: Any = None, **options: Any) -> List[Event]:
    run, _ = stream(*steps, answers=answers, stream_mode=["messages-tuple", "updates", "custom"])
    return read(b"".join(sse_response_body(run, **options)))


def messages_in(events: List[Event]) -> List[Any]:
    return [message for event in events if event.name == "message" for message in event.data.get("messages", ())]


# -- what a browser is told ------------------------------------------------------------------------------------------


def test_each_change_of_a_message_is_an_event_with_its_delta() -> None:
    first, second, *_ = messages_in(events_of(*HELLO))
    assert first == {"id": "m1", "type": "ai", "status": "streaming", "delta": {"text": "Hel"}}
    assert second["delta"] == {"text": "lo"}


def test_a_complete_message_is_told_whole() -> None:
    last = messages_in(events_of(*HELLO))[-1]
    assert (last["status"], last["text"], last["tool_calls"]) == ("complete", "Hello", [])
    assert last["message"]["content"] == "Hello"


def test_the_arguments_of_a_tool_call_come_as_they_grow_and_its_name_once() -> None:
    def piece(args: str, **named: str) -> StreamPart:
        return chunk("", tool_call_chunks=[{"args": args, "index": 0, **named}])

    opened, grown, *_ = messages_in(events_of(piece('{"ci', name="weather", id="c1"), piece('ty": "Oslo"}')))
    assert (opened["delta"], opened["tool_names"]) == ({"tool_args": {"c1": '{"ci'}}, {"c1": "weather"})
    assert (grown["delta"], "tool_names" in grown) == ({"tool_args": {"c1": 'ty": "Oslo"}'}}, False)


def test_the_last_event_is_the_end_with_the_outcome() -> None:
    end = events_of(*HELLO)[-1]
    assert end == Event("end", "end", {"outcome": "success", "thread_id": THREAD, "run_id": RUN, "usage": None})


def test_an_interrupt_is_told_before_the_end() -> None:
    asked, end = events_of(*HELLO, interrupt({"q": "sure?"}))[-2:]
    assert asked == Event("interrupt", None, {"interrupts": [{"id": "i1", "value": {"q": "sure?"}}]})
    assert end.data["outcome"] == "interrupted"


def test_a_failed_run_is_one_event_that_tells_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lgsync"):
        *before, failure, end = events_of(chunk("Hel"), FAILURE)
    assert messages_in(before)[0]["delta"] == {"text": "Hel"}
    assert failure.name == "failure"
    assert failure.data == {"error": "RunError", "message": "The run failed.", "thread_id": THREAD, "run_id": RUN}
    assert end.data["outcome"] == "error"
    assert "sk-SECRET" in caplog.text


def test_an_app_may_say_itself_what_failed() -> None:
    failure = events_of(FAILURE, explain=lambda error: f"Sorry: {type(error).__name__}")[-2]
    assert failure.data["message"] == "Sorry: RunError"


def test_an_error_of_the_apps_own_ends_the_events_and_reaches_the_server() -> None:
    run, _ = stream(*HELLO)

    def show(message: Any) -> Mapping[str, Any]:
        raise KeyError("sk-SECRET")

    sent: List[bytes] = []
    with pytest.raises(KeyError):
        sent.extend(sse_response_body(run, show=show))
    *_, failure, end = read(b"".join(sent))
    assert (failure.name, failure.data["error"], end.name) == ("failure", "KeyError", "end")
    assert b"sk-SECRET" not in b"".join(sent)


def test_the_app_chooses_what_is_told_of_messages_and_which_views_are_shown() -> None:
    only_text = events_of(*HELLO, show=lambda message: {"said": message.text} if message.delta.text else None)
    assert messages_in(only_text) == [{"said": "Hel"}, {"said": "Hello"}]
    custom = events_of(StreamPart("custom", {"progress": 1}), *HELLO, views=("custom",))
    assert [event.data for event in custom[:-1]] == [{"custom": [{"progress": 1}]}]


def test_an_unknown_view_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="no view named 'mesages'"):
        sse_response_body(stream(*HELLO)[0], views=("mesages",))


def test_text_with_line_breaks_and_markup_stays_one_line_of_json() -> None:
    nasty = "a\nb\r\n\u2028data: x\n\nevent: end\n\n<script>"
    event = messages_in(events_of(chunk(nasty)))[0]
    assert event["delta"]["text"] == nasty


def test_plain_text_is_the_text_alone() -> None:
    run, _ = stream(chunk("Grüße, "), chunk("Welt"))
    assert b"".join(text_response_body(run)).decode() == "Grüße, Welt"


@pytest.mark.parametrize("headers", [sse_headers(), text_headers()])
def test_headers_keep_proxies_from_buffering_and_bodies_from_being_guessed(headers: List[Tuple[str, str]]) -> None:
    told = dict(headers)
    assert told["Cache-Control"] == "no-cache, no-transform"
    assert told["X-Accel-Buffering"] == "no"
    assert "charset=utf-8" in told["Content-Type"]
    assert not {"Content-Length", "Connection", "Transfer-Encoding"} & set(told)


def test_a_place_where_data_is_missing_is_told_among_the_data() -> None:
    events = events_of(
        StreamPart("custom", 1), StreamPart("custom", Undecoded("{")), *HELLO, views=("custom", "messages")
    )
    assert [event.data for event in events[:2]] == [{"custom": [1]}, {"gap": [{"error": "DecodeError"}]}]
    assert messages_in(events)[-1]["text"] == "Hello"


@pytest.mark.parametrize("options", [{"heartbeat": 0}, {"heartbeat": -1.0}, {"views": ()}])
def test_options_that_cannot_be_are_refused(options: Dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        sse_response_body(stream(*HELLO)[0], **options)


# -- leaving ---------------------------------------------------------------------------------------------------------


def test_something_is_sent_at_once() -> None:
    run, _ = stream(threading.Event())
    body = sse_response_body(run, retry=1.5)
    assert next(body) == b"retry: 1500\n\n"
    body.close()


def test_a_quiet_run_is_told_by_comments() -> None:
    until = threading.Event()
    run, _ = stream(chunk("a"), until, chunk("b"))
    body = sse_response_body(run, heartbeat=0.05)
    next(body)
    assert read(next(body))
    assert [next(body) for _ in range(3)] == [NOTHING] * 3
    until.set()
    rest = [piece for piece in body if piece != NOTHING]
    assert messages_in(read(b"".join(rest)))[0]["delta"] == {"text": "b"}


def test_beats_reach_only_those_who_asked() -> None:
    until = threading.Event()
    run, _ = stream(chunk("a"), until, chunk("b"))
    text = run.text()
    relayed = run.relay("messages", beat=0.05)
    next(relayed)
    assert next(relayed).items == ()
    until.set()
    assert "".join(text) == "ab"


def test_closing_in_a_quiet_phase_cancels_the_run_and_leaves_no_thread() -> None:
    before = threading.active_count()
    run, transport = stream(chunk("a"), threading.Event())
    body = sse_response_body(run, heartbeat=0.05)
    while next(body) != NOTHING:
        continue
    assert threading.active_count() == before
    body.close()
    body.close()
    assert len(transport.calls(f"POST /threads/{THREAD}/runs/{RUN}/cancel")) == 1
    assert run.outcome == "cancelled"


def test_closing_leaves_a_run_going_that_is_to_go_on() -> None:
    for options, gone in [({"on_close": "continue"}, RunStream.close), ({}, RunStream.detach)]:
        run, transport = stream(chunk("a"), threading.Event(), **options)
        body = sse_response_body(run, gone=gone)
        next(body)
        body.close()
        assert transport.sources[0].closed.is_set()
        assert transport.calls("POST") == []


def test_closing_after_the_end_asks_for_nothing() -> None:
    left: List[Any] = []
    run, transport = stream(*HELLO)
    body = sse_response_body(run, gone=left.append)
    while not next(body).startswith(b"event: end"):
        continue
    body.close()
    assert left == []
    assert transport.calls("POST") == []


def test_closing_after_the_stream_was_lost_does_not_leave_the_run() -> None:
    left: List[Any] = []
    source = ScriptedSource([chunk("a"), ConnectionLost("cut", url="http://server")])
    transport = ScriptedTransport([source, ConnectionLost("cut", url="http://server")], run_answers("running"))
    run = Client(transport=transport, reconnect=0).runs.stream(THREAD, "agent")
    body = sse_response_body(run, gone=left.append)
    events = read(b"".join(body))
    body.close()
    assert (events[-2].data["error"], events[-1].data["outcome"]) == ("StreamLost", None)
    assert left == []
    assert transport.calls("POST") == []


def test_a_transport_without_beats_gives_the_same_events() -> None:
    until = threading.Event()
    run, _ = stream(chunk("a"), until, chunk("b"), heeds_beats=False)
    body = sse_response_body(run, heartbeat=0.01)
    first = next(body) + next(body)
    until.set()
    rest = b"".join(body)
    assert NOTHING not in rest
    assert [message["delta"].get("text") for message in messages_in(read(first + rest))][:2] == ["a", "b"]


def test_beats_come_while_a_lost_connection_is_taken_up_again() -> None:
    cut = ConnectionLost("cut", url="http://server")
    sources = [ScriptedSource(numbered(chunk("a"), cut)), cut, ScriptedSource(numbered(chunk("a"), chunk("b")))]
    transport = ScriptedTransport(sources, run_answers())
    run = Client(transport=transport).runs.stream(THREAD, "agent")
    pieces = list(sse_response_body(run))
    assert pieces.count(NOTHING) == 1
    assert [message["delta"].get("text") for message in messages_in(read(b"".join(pieces)))][:2] == ["a", "b"]


# -- going on on another worker ----------------------------------------------------------------------------------------


PARTS = numbered(
    StreamPart("metadata", {"run_id": RUN}),
    chunk("Hel"),
    chunk("lo"),
    chunk("", last=True),
    # One part that changes two messages.
    update(whole("tool", "one", id="t1"), whole("tool", "two", id="t2"), node="tools"),
    chunk("By", id="m2"),
    chunk("e", id="m2"),
)
STATE = state(
    whole("human", "hi", id="h1"),
    whole("ai", "Hello", id="m1"),
    whole("tool", "one", id="t1"),
    whole("tool", "two", id="t2"),
    whole("ai", "Bye", id="m2"),
)


def client_of(*parts: StreamPart) -> Client:
    return Client(transport=ScriptedTransport(ScriptedSource(parts), run_answers("success", STATE)))


def shown_by(events: List[Event]) -> Dict[str, str]:
    """What a page shows that follows the rules of the events: whole texts replace, deltas are appended."""
    shown: Dict[str, str] = {}
    for message in messages_in(events):
        text = message.get("text")
        grown = shown.get(message["id"], "") + message["delta"].get("text", "")
        shown[message["id"]] = grown if text is None else text
    return shown


def environ(event_id: str) -> Dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "HTTP_LAST_EVENT_ID": event_id}


def test_a_browser_that_was_cut_off_after_any_event_goes_on_on_another_worker() -> None:
    whole_stream = read(b"".join(sse_response_body(client_of(*PARTS).runs.stream(THREAD, "agent"))))
    expected = shown_by(whole_stream)
    assert expected == {"m1": "Hello", "t1": "one", "t2": "two", "m2": "Bye"}
    cuts = [number for number, event in enumerate(whole_stream, 1) if event.id and event.name != "end"]
    assert len(cuts) >= 5
    for cut in cuts:
        event_id = str(whole_stream[cut - 1].id)
        resumed = resume(client_of(*PARTS), environ(event_id), thread_id=THREAD)
        assert resumed is not None
        rest = read(b"".join(sse_response_body(resumed)))
        together = whole_stream[:cut] + rest
        assert shown_by(together) == expected
        deltas = "".join(message["delta"].get("text", "") for message in messages_in(together))
        assert deltas == "".join(message["delta"].get("text", "") for message in messages_in(whole_stream))


def test_what_one_part_changes_comes_in_one_event() -> None:
    events = read(b"".join(sse_response_body(client_of(*PARTS).runs.stream(THREAD, "agent"))))
    assert [len(event.data["messages"]) for event in events if "messages" in event.data].count(2) == 1


def test_an_event_id_is_short_enough_for_any_server() -> None:
    events = read(b"".join(sse_response_body(client_of(*PARTS).runs.stream(THREAD, "agent"))))
    assert max(len(str(event.id)) for event in events) < 400


def test_a_request_without_an_id_is_a_first_one() -> None:
    assert resume(client_of(), {"REQUEST_METHOD": "GET"}, thread_id=THREAD) is None
    assert resume(client_of(), environ(""), thread_id=THREAD) is None


def test_after_the_last_event_a_browser_is_told_to_connect_no_more() -> None:
    with pytest.raises(NotResumable) as refused:
        resume(client_of(), environ("end"), thread_id=THREAD)
    assert (refused.value.status, refused.value.status_code) == ("204 No Content", 204)


CURSOR = Cursor(THREAD, RUN, Place(None, "1-0", 1), "scripted", ("messages-tuple", "updates"))


@pytest.mark.parametrize(
    ("event_id", "thread_id", "status"),
    [
        ("nonsense", THREAD, 400),
        ("lgsync1.\xff\xfe", THREAD, 400),
        (str(CURSOR)[:-3], THREAD, 400),
        (str(CURSOR) + "A" * 10_000, THREAD, 400),
        (str(CURSOR._replace(transport="sse")), THREAD, 400),
        (str(CURSOR._replace(run_id="")), THREAD, 400),
        (str(CURSOR), "33333333-3333-3333-3333-333333333333", 403),
        (str(CURSOR), None, 403),
    ],
)
def test_an_id_that_is_not_to_be_heard_is_refused(event_id: str, thread_id: Optional[str], status: int) -> None:
    client = client_of()
    with pytest.raises(NotResumable) as refused:
        resume(client, environ(event_id), thread_id=thread_id)
    assert refused.value.status_code == status
    assert event_id not in str(refused.value)
    assert client.transport.started == []  # type: ignore[attr-defined]


def test_a_resumed_run_is_cancelled_by_leaving_if_that_is_asked_for() -> None:
    source = ScriptedSource([*PARTS, threading.Event()])
    transport = ScriptedTransport(source, run_answers("running"))
    run = resume(Client(transport=transport), environ(str(CURSOR)), thread_id=THREAD, on_close="cancel")
    assert run is not None
    body = sse_response_body(run)
    assert read(next(body) + next(body))
    body.close()
    assert transport.cancelled.is_set()
