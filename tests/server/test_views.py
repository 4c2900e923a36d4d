"""Views of one run, one after the other and side by side: none hangs, none is silently empty."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List

import pytest
from witness import GREETING

from lgsync import Client, RunError, RunStream

MODES = ["messages-tuple", "values"]
ANSWER = "tok0 tok1 tok2 tok3 tok4 tok5 "
TOOL_RESULT = "It is 54F and partly cloudy in weather in city0"

#: Each view, read to its end, as something that must be the same however late it was opened.
VIEWS: Dict[str, Callable[[RunStream], Any]] = {
    "messages": lambda run: list({m.id: m.text for m in run.messages()}.values()),
    "completed": lambda run: [(m.type, m.text) for m in run.messages(completed=True)],
    "text": lambda run: "".join(run.text()),
    "values": lambda run: len(list(run.values())[-1]["messages"]),
    "views": lambda run: "".join(item for name, item in run.views("values", "text") if name == "text"),
    "final": lambda run: run.final_text(),
}
EXPECTED: Dict[str, Any] = {
    "messages": ["", TOOL_RESULT, ANSWER],
    "completed": [("ai", ""), ("tool", TOOL_RESULT), ("ai", ANSWER)],
    "text": ANSWER,
    "values": 4,
    "views": ANSWER,
    "final": ANSWER,
}

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


@both_transports
@pytest.mark.parametrize("first", VIEWS)
def test_any_view_can_follow_any_other(server_url: str, transport: str, first: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "agent", input=GREETING, stream_mode=MODES) as run:
            begun = VIEWS[first](run)
            for name, read in VIEWS.items():
                assert read(run) == EXPECTED[name]
            assert VIEWS[first](run) == begun


@both_transports
def test_views_in_several_threads_all_complete(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "agent", input=GREETING, stream_mode=MODES) as run:
            seen: Dict[str, Any] = {}
            threads = [
                threading.Thread(target=lambda name=name: seen.update({name: VIEWS[name](run)})) for name in VIEWS
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)
    assert seen == EXPECTED


@both_transports
def test_a_failed_run_raises_from_every_view_after_the_same_messages(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "err", input=GREETING) as run:
            shown: List[List[str]] = []
            for _ in range(2):
                texts: List[str] = []
                with pytest.raises(RunError, match="ValueError"):
                    for message in run.messages():
                        if message.status != "streaming":
                            texts.append(f"{message.text}:{message.status}")
                shown.append(texts)
    assert shown[0] == shown[1] == ["good0 good1 :complete", "half0 half1 half2 half3 :incomplete"]


@both_transports
def test_the_guides_loop_sees_the_guides_events(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread = client.threads.create()
        events = []
        for part in client.runs.stream(thread["thread_id"], "agent", input=GREETING, stream_mode="messages"):
            if not events or events[-1] != part.event:
                events.append(part.event)
    assert events == [
        "metadata",
        "messages/metadata",
        "messages/partial",
        "messages/metadata",
        "messages/complete",
        "messages/metadata",
        "messages/partial",
    ]


@both_transports
def test_the_guides_partial_messages_grow_to_the_whole(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        partials = [
            part.data[0]
            for part in client.runs.stream(thread_id, "agent", input=GREETING, stream_mode="messages")
            if part.event == "messages/partial"
        ]
    arguments = [call["args"] for message in partials for call in message["tool_calls"]]
    assert arguments[0] in ({}, {"query": "weather"})
    assert arguments[-1] == {"query": "weather in city0"}
    contents = [message["content"] for message in partials]
    assert contents[-1] in (ANSWER, [{"type": "text", "text": ANSWER, "index": 0}])
