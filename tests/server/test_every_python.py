"""A run from end to end on every Python: each brings its own version of each library below the transports."""

from __future__ import annotations

import pytest

from lgsync import Client

pytestmark = [pytest.mark.every_python, pytest.mark.parametrize("transport", ["sse", "websocket"])]


def test_an_answer_is_streamed_and_is_what_the_thread_holds(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "agent", input={"messages": [{"role": "user", "content": "hi"}]}) as run:
            text = "".join(run.text())
            answer = run.final_message()

    assert text == "tok0 tok1 tok2 tok3 tok4 tok5 "
    assert answer is not None
    assert answer.text == text
    assert run.outcome == "success"


def test_a_state_larger_than_a_frame_arrives(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        messages = {"messages": [{"role": "user", "content": "hi"}]}
        with client.runs.stream(thread_id, "big", input=messages, stream_mode="values") as run:
            states = list(run.values())

    assert len(states[-1]["blob"]) == 1_500_000


def test_a_loop_that_is_left_leaves_nothing_open(server_url: str, transport: str) -> None:
    with Client(server_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        pace = {"configurable": {"tokens": 1000, "delay": 0.05}}
        with client.runs.stream(thread_id, "slow", input={"messages": []}, config=pace) as run:
            first = next(iter(run.text()))

    assert first == "s0 "
    assert run.outcome == "cancelled"
