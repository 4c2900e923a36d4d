from __future__ import annotations

from typing import Any, List, Optional, Tuple

import pytest
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, chunk, interrupt, run_answers, state, update, whole

from lgsync.delivery import Delivery
from lgsync.errors import ConnectionFailed, ConnectionLost, StreamLost
from lgsync.parts import StreamPart
from lgsync.rest import Rest

UPDATES = ("messages-tuple", "updates")


def delivery(
    *steps: Any, answers: Any = None, modes: Tuple[str, ...] = UPDATES, **source: Any
) -> Tuple[Delivery, ScriptedTransport]:
    scripted = ScriptedSource(steps, **source)
    transport = ScriptedTransport(scripted, answers if answers is not None else run_answers())
    return Delivery(scripted, Rest(transport), modes), transport


def drain(one: Delivery) -> List[StreamPart]:
    parts: List[StreamPart] = []
    while True:
        part: Optional[StreamPart] = one.next_part()
        if part is None:
            return parts
        parts.append(part)


def test_parts_come_in_order_and_a_finished_run_is_a_success() -> None:
    one, _ = delivery(chunk("a"), chunk("b", last=True))
    assert [part.event for part in drain(one)] == ["messages", "messages"]
    assert one.outcome == "success"


def test_a_clean_end_asks_once_how_the_run_ended() -> None:
    one, transport = delivery(chunk("a"))
    drain(one)
    assert transport.requests == [("GET", f"/threads/{THREAD}/runs/{RUN}", {})]


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_clean_end_of_a_run_that_goes_on_is_a_lost_stream(status: str) -> None:
    one, _ = delivery(chunk("a")._replace(id="7-0"), answers=run_answers(status))
    assert one.next_part() is not None
    with pytest.raises(StreamLost, match=status) as caught:
        one.next_part()
    assert (caught.value.thread_id, caught.value.run_id, caught.value.position) == (THREAD, RUN, "7-0")


def test_a_broken_connection_is_a_lost_stream_with_its_cause() -> None:
    one, _ = delivery(chunk("a"), ConnectionLost("reset by peer", url="http://server"))
    one.next_part()
    with pytest.raises(StreamLost, match="reset by peer") as caught:
        one.next_part()
    assert isinstance(caught.value.__cause__, ConnectionLost)


def test_a_server_that_cannot_be_asked_how_the_run_ended_is_a_lost_stream() -> None:
    refused = ConnectionFailed("refused", url="http://server")
    one, _ = delivery(answers={f"GET /threads/{THREAD}/runs/{RUN}": refused})
    with pytest.raises(StreamLost, match="refused"):
        one.next_part()


def test_an_interrupt_among_the_updates_makes_the_outcome_interrupted() -> None:
    one, transport = delivery(interrupt({"q": "ok?"}))
    drain(one)
    assert one.outcome == "interrupted"
    assert [i["value"] for i in one.interrupts] == [{"q": "ok?"}]
    assert not transport.calls(f"GET /threads/{THREAD}/state")


def test_two_interrupts_in_two_events_are_both_kept_once() -> None:
    one, _ = delivery(interrupt("a", id="1"), interrupt("b", id="2"), interrupt("a", id="1"))
    drain(one)
    assert [i["value"] for i in one.interrupts] == ["a", "b"]


def test_a_stop_before_a_node_shows_as_an_empty_list_of_interrupts() -> None:
    one, _ = delivery(StreamPart("updates", {"__interrupt__": []}))
    drain(one)
    assert (one.outcome, one.interrupts) == ("interrupted", [])


def test_a_stream_of_messages_alone_learns_of_the_interrupt_from_the_state() -> None:
    paused = state(tasks=({"interrupts": [{"value": "ok?", "id": "1"}]},), next=("ask",))
    one, _ = delivery(chunk("a"), answers=run_answers("success", paused), modes=("messages",))
    drain(one)
    assert one.outcome == "interrupted"
    assert one.interrupts == [{"value": "ok?", "id": "1"}]


def test_a_cancelled_run_ends_as_cancelled() -> None:
    one, _ = delivery(answers=run_answers("interrupted"))
    drain(one)
    assert one.outcome == "cancelled"


def test_a_run_that_was_rolled_back_is_gone_and_counts_as_cancelled() -> None:
    one, _ = delivery(answers={})
    drain(one)
    assert one.outcome == "cancelled"


def test_an_error_part_makes_the_outcome_error_and_is_told_apart_by_class_and_text() -> None:
    one, transport = delivery(StreamPart("error", {"error": "ValueError", "message": "no such city"}))
    drain(one)
    assert one.outcome == "error"
    assert one.failure is not None
    assert (one.failure.error, one.failure.detail) == ("ValueError", "no such city")
    assert transport.requests == []


def test_a_failed_run_whose_error_part_is_gone_is_explained_by_its_state() -> None:
    failed = state(tasks=({"error": "ValueError('no such city')"},))
    one, _ = delivery(answers=run_answers("error", failed))
    drain(one)
    assert one.failure is not None
    assert (one.failure.error, one.failure.detail) == ("ValueError", "no such city")
    assert THREAD in str(one.failure)
    assert RUN in str(one.failure)


def test_a_transport_that_knows_the_outcome_is_not_second_guessed() -> None:
    one, transport = delivery(update(whole("ai", "hi", id="m1")), outcome="success")
    drain(one)
    assert one.outcome == "success"
    assert transport.requests == []


def test_messages_that_came_inexact_need_the_state() -> None:
    one, _ = delivery(update(whole("ai", "hi", id="m1")), outcome="success", exact=False)
    drain(one)
    assert one.needs_state


def test_after_close_the_end_comes_quietly_and_nothing_is_asked() -> None:
    one, transport = delivery(chunk("a"))
    one.close("cancelled")
    assert one.next_part() is None
    assert one.outcome == "cancelled"
    assert transport.requests == []


def test_cancelling_a_run_that_has_ended_reports_that_there_was_nothing_to_cancel() -> None:
    one, _ = delivery(answers={})
    assert one.cancel("interrupt") is False


def test_a_run_without_a_thread_ends_with_what_the_stream_showed() -> None:
    source = ScriptedSource([interrupt("ok?")])
    source.thread_id = None
    one = Delivery(source, Rest(ScriptedTransport(source)), UPDATES)
    drain(one)
    assert one.outcome == "interrupted"
