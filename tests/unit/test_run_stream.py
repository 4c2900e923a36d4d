from __future__ import annotations

import dataclasses
import os
import pickle
import sys
import threading
from typing import Any, Callable, List, Tuple

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
from lgsync.errors import ClientClosed, ConfigurationError, ConnectionFailed, ConnectionLost, RunError, StreamLost
from lgsync.parts import StreamPart
from lgsync.run_stream import RunStream

HELLO = (chunk("Hel"), chunk("lo"), chunk("", last=True), update(whole("ai", "Hello", id="m1")))
TOOL = update(whole("tool", "It is 54F", id="t1"), node="tools")
FAILURE = StreamPart("error", {"error": "ValueError", "message": "no such city"})


def stream(*steps: Any, answers: Any = None, source: Any = None, **options: Any) -> Tuple[RunStream, ScriptedTransport]:
    scripted = ScriptedSource(steps, **(source or {}))
    transport = ScriptedTransport(scripted, run_answers() if answers is None else answers)
    client = Client(transport=transport, reconnect=options.pop("reconnect", 60.0))
    return client.runs.stream(THREAD, "agent", **options), transport


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


# -- what it shows ----------------------------------------------------------------------------------------------


def test_raw_parts_come_as_they_were_sent() -> None:
    run, _ = stream(*HELLO)
    assert [part.event for part in run] == ["messages", "messages", "messages", "updates"]


def test_parts_of_modes_that_were_not_asked_for_are_not_shown() -> None:
    run, _ = stream(StreamPart("values", {"messages": []}), *HELLO)
    assert "values" not in [part.event for part in run]


def test_messages_show_each_change_and_the_completion_once() -> None:
    run, _ = stream(*HELLO)
    assert [(m.text, m.delta.text, m.status) for m in run.messages()] == [
        ("Hel", "Hel", "streaming"),
        ("Hello", "lo", "streaming"),
        ("Hello", "", "complete"),
    ]


def test_only_completed_messages_are_shown_when_asked_for() -> None:
    run, _ = stream(*HELLO, TOOL)
    assert [(m.type, m.text) for m in run.messages(completed=True)] == [("ai", "Hello"), ("tool", "It is 54F")]


def test_text_is_what_ai_messages_say_and_nothing_else() -> None:
    run, _ = stream(*HELLO, TOOL)
    assert list(run.text()) == ["Hel", "lo"]


def subgraph_chunk(text: str, **fields: Any) -> StreamPart:
    return chunk(text, **fields)._replace(event="messages|child:77")


def test_messages_of_subgraphs_are_shown_when_asked_for() -> None:
    steps = (subgraph_chunk("in", id="s1", last=True), chunk("out", id="m1", last=True))
    shown = {}
    for namespaces in ("root", "all", "child", ("child:77",), "other"):
        run, _ = stream(*steps, stream_subgraphs=True)
        shown[namespaces] = list(run.text(namespaces=namespaces))
    assert shown == {
        "root": ["out"],
        "all": ["in", "out"],
        "child": ["in"],
        ("child:77",): ["in"],
        "other": [],
    }


def test_messages_can_be_kept_by_node_and_by_tags() -> None:
    tagged = StreamPart("messages", [chunk("x", last=True).data[0], {"langgraph_node": "a", "tags": ["one", "two"]}])
    for options, count in [
        ({"node": "a"}, 1),
        ({"node": "b"}, 0),
        ({"tags": ["one"]}, 1),
        ({"tags": ["one", "three"]}, 0),
    ]:
        run, _ = stream(tagged)
        assert len(list(run.messages(completed=True, **options))) == count


def test_the_data_of_a_mode_has_a_view_of_its_own() -> None:
    run, _ = stream(StreamPart("custom", "a"), StreamPart("custom|child:1", "b"), *HELLO, stream_mode=["custom"])
    assert list(run.custom()) == ["a"]
    assert list(run.custom(namespaces="all")) == ["a", "b"]


def test_a_view_of_a_mode_that_was_not_asked_for_is_refused() -> None:
    run, _ = stream(*HELLO)
    with pytest.raises(ConfigurationError, match='"custom".*messages-tuple, updates'):
        run.custom()


def test_several_views_come_in_order_of_arrival() -> None:
    run, _ = stream(chunk("a"), StreamPart("custom", 1), chunk("b"), stream_mode=["messages-tuple", "custom"])
    assert list(run.views("text", "custom")) == [("text", "a"), ("custom", 1), ("text", "b")]


def test_the_input_is_not_among_the_messages_but_is_in_the_final_list() -> None:
    human, ai = whole("human", "hi", id="h1"), whole("ai", "Hello", id="m1")
    run, _ = stream(*HELLO, answers=run_answers("success", state(human, ai)))
    assert [m.id for m in run.messages(completed=True)] == ["m1"]
    assert [m.id for m in run.final_messages()] == ["h1", "m1"]


# -- views and each other ---------------------------------------------------------------------------------------


def test_every_view_can_be_opened_again_after_the_end() -> None:
    run, _ = stream(*HELLO, StreamPart("custom", 1), stream_mode=["messages-tuple", "updates", "custom"])
    assert run.wait() == "success"
    for _ in range(2):
        assert [m.text for m in run.messages()] == ["Hello"]
        assert list(run.text()) == ["Hello"]
        assert list(run.custom()) == [1]
        assert len(list(run.updates())) == 1
        assert list(run.views("custom", "text")) == [("custom", 1), ("text", "Hello")]


def test_a_view_opened_half_way_begins_with_the_whole_text_so_far() -> None:
    run, _ = stream(*HELLO)
    first = run.text()
    assert next(first) == "Hel"
    assert "".join(run.text()) == "Hello"
    assert list(first) == ["lo"]


def test_a_late_view_of_values_begins_with_the_latest_state() -> None:
    run, _ = stream(StreamPart("values", {"n": 1}), StreamPart("values", {"n": 2}), stream_mode="values")
    run.wait()
    assert list(run.values()) == [{"n": 2}]


def test_names_that_no_view_has_are_refused_with_those_there_are() -> None:
    run, _ = stream(*HELLO)
    for name in ("mesages", "messages-tuple"):
        with pytest.raises(ConfigurationError, match="parts, messages, text"):
            run.views(name)


def test_several_threads_that_take_raw_parts_share_them() -> None:
    run, _ = stream(*[chunk("x") for _ in range(50)])
    taken: List[StreamPart] = []
    threads = [in_thread(lambda: taken.extend(run)) for _ in range(4)]
    for thread in threads:
        thread.join(10)
    assert len(taken) == 50


def test_a_filter_by_node_is_refused_where_messages_do_not_name_theirs() -> None:
    scripted = ScriptedTransport(ScriptedSource(HELLO), run_answers())
    scripted.limits = dataclasses.replace(scripted.limits, names_nodes=False)
    run = Client(transport=scripted).runs.stream(THREAD, "agent")
    with pytest.raises(ConfigurationError, match="node"):
        run.messages(node="agent")


def test_a_view_of_a_mode_that_carries_only_interrupts_is_refused() -> None:
    scripted = ScriptedTransport(ScriptedSource(HELLO), run_answers())
    scripted.limits = dataclasses.replace(scripted.limits, stream_modes=frozenset(["messages-tuple"]))
    run = Client(transport=scripted).runs.stream(THREAD, "agent")
    with pytest.raises(ConfigurationError, match="interrupts"):
        run.updates()


def test_raw_parts_that_another_view_has_read_are_said_to_be_gone() -> None:
    run, _ = stream(*HELLO)
    run.wait()
    with pytest.raises(ConfigurationError, match="views"):
        next(run)


def test_a_view_in_each_of_three_threads_completes() -> None:
    run, _ = stream(*[chunk(str(n % 10)) for n in range(300)], chunk("", last=True))
    texts: List[str] = []
    views = [run.text() for _ in range(3)]
    threads = [in_thread(lambda view=view: texts.append("".join(view))) for view in views]
    for thread in threads:
        thread.join(10)
    assert texts == ["".join(str(n % 10) for n in range(300))] * 3


def test_messages_read_in_several_threads_while_they_grow_lose_nothing() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(40):
            run, _ = stream(*[chunk(f"{n} ") for n in range(400)], chunk("", last=True))
            views = [run.messages() for _ in range(3)]
            threads = [in_thread(lambda view=view: [m.text for m in view]) for view in views]
            for thread in threads:
                thread.join(30)
            assert run.final_text() == "".join(f"{n} " for n in range(400))
    finally:
        sys.setswitchinterval(interval)


# -- how it ends ------------------------------------------------------------------------------------------------


def test_a_failed_run_raises_from_every_view_after_what_came_before() -> None:
    run, _ = stream(chunk("Hel"), FAILURE)
    views = [run.text(), run.text()]
    for view in views:
        assert next(view) == "Hel"
        with pytest.raises(RunError, match="ValueError: no such city"):
            next(view)
    assert run.outcome == "error"


def test_raw_iteration_shows_the_error_part_and_then_raises() -> None:
    run, _ = stream(FAILURE)
    assert next(run).event == "error"
    with pytest.raises(RunError) as caught:
        next(run)
    assert (caught.value.error, caught.value.run_id, caught.value.thread_id) == ("ValueError", RUN, THREAD)


def test_a_message_cut_off_by_a_failure_ends_incomplete() -> None:
    run, _ = stream(chunk("Hel"), FAILURE)
    seen = []
    with pytest.raises(RunError):
        for message in run.messages():
            seen.append(message.status)
    assert seen == ["streaming", "incomplete"]


def test_a_lost_stream_raises_after_its_messages_ended_incomplete() -> None:
    run, _ = stream(chunk("Hel"), ConnectionLost("reset", url="http://server"), reconnect=0)
    seen = []
    with pytest.raises(StreamLost, match="reset"):
        for message in run.messages():
            seen.append(message.status)
    assert seen == ["streaming", "incomplete"]
    assert run.outcome is None


def test_an_interrupted_run_ends_its_loops_and_shows_what_it_asks() -> None:
    run, _ = stream(*HELLO, interrupt({"q": "ok?"}))
    assert "".join(run.text()) == "Hello"
    assert run.outcome == "interrupted"
    assert [(i.id, i.value) for i in run.interrupts] == [("i1", {"q": "ok?"})]


def test_messages_alone_are_settled_by_the_state() -> None:
    stored = state(whole("human", "hi", id="h1"), whole("ai", "Hello, rewritten", id="m1"))
    run, _ = stream(chunk("Hello", last=True), answers=run_answers("success", stored), stream_mode="messages-tuple")
    last = list(run.messages())[-1]
    assert (last.text, last.status, last.source) == ("Hello, rewritten", "revised", "state")


def test_a_clean_cut_that_only_the_state_shows_is_told_and_its_messages_made_whole() -> None:
    answers = run_answers(thread_state=state(whole("ai", "Hello", id="m1")))
    run, _ = stream(*HELLO[:1], answers=answers, source={"conclusive": False}, stream_resumable=False)
    views = run.views("parts", "messages")
    assert [name for name, _ in (next(views), next(views), next(views))] == ["parts", "messages", "messages"]
    with pytest.raises(StreamLost, match="before all that the run said was read"):
        next(views)
    assert list(views) == []
    assert (run.final_text(), run.outcome) == ("Hello", "success")


def test_a_clean_cut_of_a_run_that_a_server_has_forgotten_is_told_too() -> None:
    answers = run_answers(thread_state=state(whole("ai", "Hello", id="m1")))
    first = ScriptedSource([update()._replace(id="1"), chunk("Hel")._replace(id="2")], conclusive=False)
    forgotten = ScriptedSource([], exact=False, conclusive=False)
    run = Client(transport=ScriptedTransport([first, forgotten], answers)).runs.stream(THREAD, "agent")
    assert [part.kind for part in (next(run), next(run))] == ["updates", "messages"]
    with pytest.raises(StreamLost, match="before all that the run said was read"):
        next(run)
    assert run.final_text() == "Hello"


def test_a_clean_end_of_which_the_state_shows_nothing_new_is_the_end() -> None:
    answers = run_answers(thread_state=state(whole("ai", "Hello", id="m1")))
    run, _ = stream(*HELLO, answers=answers, source={"conclusive": False}, stream_resumable=False)
    assert len(list(run)) == len(HELLO)


def test_a_state_that_cannot_be_read_does_not_hide_that_the_run_failed() -> None:
    answers = {f"GET /threads/{THREAD}/state": ConnectionFailed("refused", url="http://server")}
    run, _ = stream(chunk("Hel"), FAILURE, answers=answers, stream_mode="messages-tuple")
    with pytest.raises(RunError):
        run.wait()


def test_the_final_message_is_the_last_of_the_root_that_the_thread_holds() -> None:
    helper = (chunk("note", id="helper"), chunk("", id="helper", last=True))
    run, _ = stream(*HELLO, *helper, update(node="other"))
    message = run.final_message()
    assert message is not None
    assert message.text == run.final_text() == "Hello"


def test_a_run_that_said_nothing_has_no_final_message() -> None:
    run, _ = stream(TOOL)
    assert run.final_message() is None
    assert run.final_text() == ""


def test_the_result_is_the_threads_state() -> None:
    run, _ = stream(*HELLO, answers=run_answers("success", state(whole("ai", "Hello", id="m1"))))
    assert run.result() == {"messages": [whole("ai", "Hello", id="m1")]}


def test_usage_is_summed_over_the_runs_messages() -> None:
    one = chunk("a", id="m1", last=True, usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})
    two = chunk("b", id="m2", last=True, usage_metadata={"input_tokens": 4, "output_tokens": 5, "total_tokens": 9})
    run, _ = stream(one, two)
    run.wait()
    assert run.usage == {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}


def test_a_run_without_usage_has_none() -> None:
    run, _ = stream(*HELLO)
    run.wait()
    assert run.usage is None


def joined(*steps: Any, answers: Any) -> RunStream:
    transport = ScriptedTransport(ScriptedSource(steps), answers)
    return Client(transport=transport).runs.join_stream(THREAD, RUN)


def test_joining_a_run_that_was_not_kept_shows_its_messages_from_the_state() -> None:
    human, old, ai = (whole(kind, text, id=text) for kind, text in (("human", "q"), ("ai", "old"), ("ai", "Hello")))
    before = {"values": {"messages": [old]}, "metadata": {"run_id": RUN, "step": 3}}
    merged = {"values": {"messages": [old, human]}, "metadata": {"run_id": RUN, "step": 4}}
    checkpoints = iter([before, merged])
    answers = run_answers("success", {**state(old, human, ai), "metadata": {"run_id": RUN}})
    answers[f"POST /threads/{THREAD}/history"] = lambda: (200, [next(checkpoints)])
    run = joined(answers=answers)
    assert [(m.text, m.source) for m in run.messages()] == [("Hello", "state")]
    assert run.final_text() == "Hello"


def test_a_later_runs_interrupt_is_not_taken_for_this_ones() -> None:
    later = {
        **state(tasks=({"interrupts": [{"value": "ok?", "id": "1"}]},), next=("ask",)),
        "metadata": {"run_id": "x"},
    }
    mine = {**state(whole("ai", "Hello", id="m1")), "metadata": {"run_id": RUN}}
    answers = {**run_answers("success", later), f"POST /threads/{THREAD}/history": (200, [mine])}
    run, _ = stream(*HELLO[:3], answers=answers, stream_mode="messages-tuple")
    assert run.wait() == "success"
    assert run.interrupts == []
    assert run.result() == mine["values"]


# -- leaving ----------------------------------------------------------------------------------------------------

CANCEL = f"POST /threads/{THREAD}/runs/{RUN}/cancel"


def test_leaving_the_block_early_closes_the_stream_and_cancels_the_run_once() -> None:
    run, transport = stream(*HELLO)
    with run:
        next(run)
    run.close()
    assert transport.sources[0].closed.is_set()  # type: ignore[union-attr]
    assert len(transport.calls(CANCEL)) == 1
    assert run.outcome == "cancelled"


def test_an_exception_in_the_block_is_passed_on_and_the_run_cancelled() -> None:
    run, transport = stream(*HELLO)
    with pytest.raises(KeyboardInterrupt), run:
        next(run)
        raise KeyboardInterrupt
    assert len(transport.calls(CANCEL)) == 1


def test_ctrl_c_while_the_stream_is_read_cancels_the_run_even_if_its_handle_is_kept() -> None:
    run, transport = stream(chunk("Hel"), KeyboardInterrupt())
    text = run.text()
    assert next(text) == "Hel"
    with pytest.raises(KeyboardInterrupt):
        next(text)
    assert len(transport.calls(CANCEL)) == 1
    assert list(text) == []
    assert run.outcome == "cancelled"


def test_a_handle_cannot_be_pickled_and_says_what_can_be_sent_instead() -> None:
    run, _ = stream(*HELLO)
    with pytest.raises(TypeError, match="resume"):
        pickle.dumps(run)


def test_breaking_out_of_a_bare_loop_closes_and_cancels_at_once() -> None:
    scripted = ScriptedSource(HELLO)
    transport = ScriptedTransport(scripted, run_answers())
    for _part in Client(transport=transport).runs.stream(THREAD, "agent"):
        break
    assert transport.cancelled.wait(5)
    assert scripted.closed.is_set()


def test_breaking_out_of_a_loop_over_a_view_closes_and_cancels_at_once() -> None:
    scripted = ScriptedSource(HELLO)
    transport = ScriptedTransport(scripted, run_answers())
    for _message in Client(transport=transport).runs.stream(THREAD, "agent").messages():
        break
    assert transport.cancelled.wait(5)
    assert scripted.closed.is_set()


def test_letting_go_of_a_run_that_has_ended_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started: List[Any] = []
    monkeypatch.setattr("lgsync.run_stream.in_background", started.append)
    run, _ = stream(*HELLO)
    run.wait()
    del run
    assert started == []


def test_letting_go_of_a_handle_makes_no_request_in_the_thread_that_lets_go() -> None:
    run, transport = stream(*HELLO)
    next(run)
    del run
    assert transport.cancelled.wait(5)
    assert threading.get_ident() not in transport.callers


def test_letting_go_of_a_handle_leaves_no_thread_behind(no_leaks: None) -> None:
    run, transport = stream(*HELLO)
    transport.answers[CANCEL] = lambda: (202, threading.current_thread() and None)
    next(run)
    del run
    assert transport.cancelled.wait(5)


def test_a_child_made_by_fork_leaves_its_parents_run_alone() -> None:
    run, transport = stream(*HELLO)
    next(run)
    child = os.fork()
    if child == 0:
        run.close()
        del run
        os._exit(len(transport.calls(CANCEL)) + 2 * transport.sources[0].closed.is_set())  # type: ignore[union-attr]
    _, status = os.waitpid(child, 0)
    assert os.WEXITSTATUS(status) == 0


def test_the_connection_is_freed_before_the_server_is_asked_to_cancel() -> None:
    scripted = ScriptedSource([chunk("Hel"), threading.Event()])
    transport = ScriptedTransport(scripted, run_answers())
    freed_first: List[bool] = []

    def cancel() -> Tuple[int, None]:
        freed_first.append(scripted.closed.is_set())
        return 202, None

    transport.answers[CANCEL] = cancel
    with Client(transport=transport).runs.stream(THREAD, "agent") as run:
        next(run)
    assert freed_first == [True]


def test_a_reader_that_asks_how_the_run_ended_ends_quietly_when_it_is_closed_meanwhile() -> None:
    asked, answer = threading.Event(), threading.Event()

    def status() -> ConnectionFailed:
        asked.set()
        answer.wait(10)
        return ConnectionFailed("refused", url="http://server")

    answers = {**run_answers(), f"GET /threads/{THREAD}/runs/{RUN}": status}
    run, _ = stream(chunk("Hel"), answers=answers)
    failures: List[BaseException] = []

    def read() -> None:
        try:
            run.wait()
        except BaseException as exc:
            failures.append(exc)

    reader = in_thread(read)
    assert asked.wait(10)
    run.close()
    answer.set()
    reader.join(10)
    assert failures == []


def test_a_run_that_was_read_to_its_end_is_not_cancelled() -> None:
    run, transport = stream(*HELLO)
    with run:
        list(run)
    assert transport.calls(CANCEL) == []


def test_a_run_started_to_go_on_is_closed_and_not_cancelled() -> None:
    run, transport = stream(*HELLO, on_close="continue")
    with run:
        next(run)
    assert transport.calls(CANCEL) == []
    assert transport.sources[0].closed.is_set()  # type: ignore[union-attr]
    assert run.outcome is None


def test_a_joined_run_is_left_going() -> None:
    transport = ScriptedTransport(ScriptedSource(HELLO), run_answers())
    with Client(transport=transport).runs.join_stream(THREAD, RUN) as run:
        next(run)
    assert transport.calls(CANCEL) == []


def test_a_cancel_that_fails_on_leaving_is_logged_and_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answers = {**run_answers(), CANCEL: ConnectionFailed("refused", url="http://server")}
    run, _ = stream(*HELLO, answers=answers)
    with pytest.raises(ZeroDivisionError), run:
        next(run)
        raise ZeroDivisionError
    assert RUN in caplog.text
    assert "refused" in caplog.text


def test_cancel_frees_a_reader_that_is_blocked_in_another_thread() -> None:
    scripted = ScriptedSource([chunk("Hel"), threading.Event()])
    run = Client(transport=ScriptedTransport(scripted, run_answers())).runs.stream(THREAD, "agent")
    seen: List[Tuple[str, str]] = []
    reader = in_thread(lambda: seen.extend((m.text, m.status) for m in run.messages()))
    assert scripted.waiting.wait(10)
    run.cancel()
    reader.join(5)
    assert not reader.is_alive()
    assert seen == [("Hel", "streaming"), ("Hel", "incomplete")]
    assert run.outcome == "cancelled"


def test_cancel_is_sent_once_with_its_action() -> None:
    run, transport = stream(*HELLO)
    next(run)
    run.cancel("rollback")
    run.cancel()
    run.close()
    assert [call[2]["action"] for call in transport.calls(CANCEL)] == ["rollback"]


def stuck_cancel(*steps: Any) -> Tuple[RunStream, ScriptedTransport, threading.Event, threading.Event]:
    """A run whose cancelling is not answered until the last event is set; the other says that it was asked."""
    run, transport = stream(*steps)
    asked, answer = threading.Event(), threading.Event()

    def cancel() -> Tuple[int, None]:
        asked.set()
        assert answer.wait(10)
        return 202, None

    transport.answers[CANCEL] = cancel
    return run, transport, asked, answer


@pytest.mark.parametrize("leave", ["close", "detach"])
def test_leaving_while_the_server_does_not_answer_a_cancel_frees_the_reader_and_returns(leave: str) -> None:
    run, transport, asked, answer = stuck_cancel(chunk("Hel"), threading.Event())
    reader = in_thread(lambda: list(run))
    canceller = in_thread(run.cancel)
    assert asked.wait(10)

    leaver = in_thread(getattr(run, leave))
    leaver.join(1)
    reader.join(1)
    free = not leaver.is_alive() and not reader.is_alive()
    answer.set()
    canceller.join(10)
    leaver.join(10)

    assert free
    assert len(transport.calls(CANCEL)) == 1
    assert run.outcome == "cancelled"


def test_a_second_cancel_waits_for_the_answer_to_the_first_and_is_not_sent() -> None:
    run, transport, asked, answer = stuck_cancel(*HELLO)
    first = in_thread(run.cancel)
    assert asked.wait(10)
    second = in_thread(run.cancel)
    second.join(0.05)
    assert second.is_alive()
    answer.set()
    first.join(10)
    second.join(10)
    assert len(transport.calls(CANCEL)) == 1


@pytest.mark.parametrize("way", ["close", "cancel"])
@pytest.mark.parametrize("handled", ["close", "cancel", "detach"])
def test_a_signal_handler_can_leave_in_the_midst_of_leaving(way: str, handled: str) -> None:
    run, transport = stream(*HELLO)
    next(run)

    def cancel() -> Tuple[int, None]:
        getattr(run, handled)()
        return 202, None

    transport.answers[CANCEL] = cancel
    leaving = threading.Thread(target=getattr(run, way), daemon=True)
    leaving.start()
    leaving.join(5)
    assert not leaving.is_alive()
    assert len(transport.calls(CANCEL)) == 1
    assert run.outcome == "cancelled"


def test_cancelling_a_run_that_has_just_ended_lets_the_stream_reach_its_end() -> None:
    run, transport = stream(*HELLO)
    next(run)
    del transport.answers[CANCEL]
    run.cancel()
    assert len(list(run)) == 3
    assert run.outcome == "success"


def test_a_cancel_that_the_server_refuses_raises_and_can_be_tried_again() -> None:
    run, transport = stream(*HELLO)
    transport.answers[CANCEL] = ConnectionFailed("refused", url="http://server")
    with pytest.raises(ConnectionFailed):
        run.cancel()
    transport.answers[CANCEL] = (202, None)
    run.cancel()
    assert run.outcome == "cancelled"


def test_an_unknown_cancel_action_is_refused() -> None:
    run, transport = stream(*HELLO)
    with pytest.raises(ConfigurationError, match="rollback"):
        run.cancel("abort")
    assert transport.calls(CANCEL) == []


def test_a_run_without_a_thread_that_may_go_on_cannot_be_cancelled_and_says_so() -> None:
    source = ScriptedSource(HELLO)
    source.thread_id = None
    run = Client(transport=ScriptedTransport(source)).runs.stream(None, "agent", on_close="continue")
    with pytest.raises(ConfigurationError, match="on_close"):
        run.cancel()


def test_a_run_without_a_thread_is_cancelled_by_ending_its_connection() -> None:
    source = ScriptedSource(HELLO)
    source.thread_id = None
    run = Client(transport=ScriptedTransport(source)).runs.stream(None, "agent")
    run.cancel()
    assert source.closed.is_set()
    assert run.outcome == "cancelled"


def test_what_needs_the_end_says_so_after_an_early_close() -> None:
    run, _ = stream(*HELLO, on_close="continue")
    next(run)
    run.close()
    for ask in (run.final_message, run.final_text, run.result, run.final_messages):
        with pytest.raises(ClientClosed, match="closed"):
            ask()


def test_the_handle_describes_itself_without_its_content() -> None:
    run, _ = stream(*HELLO)
    assert RUN in repr(run)
    assert "streaming" in repr(run)
    run.wait()
    assert "success" in repr(run)
