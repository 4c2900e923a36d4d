"""Each test graph produces what it is for, as plain HTTP shows it: if one of these fails, mend the graph first."""

from __future__ import annotations

import threading
from typing import Any, Dict, List

import pytest
import requests
from langgraph_server import GRAPHS, Gate, PlainRun, run_plainly


def _types(run: PlainRun) -> List[str]:
    return [message["type"] for message in run.messages]


def _contents(run: PlainRun) -> List[Any]:
    return [message["content"] for message in run.messages[1:]]


def _streamed(run: PlainRun) -> List[str]:
    """The text chunks of AI messages, in order of arrival."""
    return [chunk["content"] for chunk in run.chunks if chunk["type"] == "AIMessageChunk" and chunk["content"]]


def test_the_server_serves_every_graph(server_url: str) -> None:
    found = requests.post(f"{server_url}/assistants/search", json={"limit": 100}, timeout=10).json()

    assert {assistant["graph_id"] for assistant in found} >= {name for names in GRAPHS.values() for name in names}


def test_agent_streams_a_tool_call_piece_by_piece_then_an_answer(server_url: str) -> None:
    run = run_plainly(server_url, "agent")

    pieces = [call["args"] for chunk in run.chunks for call in chunk.get("tool_call_chunks", [])]
    assert pieces == ["", '{"query"', ': "weather', ' in city0"}']
    assert _types(run) == ["human", "ai", "tool", "ai"]
    assert run.messages[1]["tool_calls"][0]["args"] == {"query": "weather in city0"}
    assert run.messages[2]["content"] == "It is 54F and partly cloudy in weather in city0"
    assert run.messages[3]["content"] == "tok0 tok1 tok2 tok3 tok4 tok5 "
    assert run.messages[3]["usage_metadata"] == {"input_tokens": 1, "output_tokens": 6, "total_tokens": 7}


def test_ptools_has_text_and_two_tool_calls_in_one_message(server_url: str) -> None:
    run = run_plainly(server_url, "ptools")

    assert run.messages[1]["content"] == "let me look "
    assert [call["id"] for call in run.messages[1]["tool_calls"]] == ["toolu_1", "toolu_2"]
    assert _types(run) == ["human", "ai", "tool", "tool", "ai"]


def test_failtool_makes_an_error_message_of_the_tools_exception(server_url: str) -> None:
    run = run_plainly(server_url, "failtool")

    assert run.messages[2]["status"] == "error"
    assert "no weather for weather in city0" in run.messages[2]["content"]
    assert _types(run) == ["human", "ai", "tool", "ai"]


def test_escapes_cuts_arguments_inside_escapes(server_url: str) -> None:
    run = run_plainly(server_url, "escapes")

    pieces = [call["args"] for chunk in run.chunks for call in chunk.get("tool_call_chunks", [])]
    assert pieces == ["", '{"query": "\\u00', "e9t\\u00e9 \\ud83d", '\\ude00"}']
    assert run.messages[1]["tool_calls"][0]["args"] == {"query": "été \U0001f600"}


def test_sub_streams_inside_a_subgraph_then_outside(server_url: str) -> None:
    run = run_plainly(server_url, "sub", stream_subgraphs=True)

    assert _streamed(run) == ["inner0 ", "inner1 ", "inner2 ", "outer0 ", "outer1 ", "outer2 "]
    namespaced = [event.name for event in run.events if event.name.startswith("messages|child:")]
    assert len(namespaced) == 5
    assert _contents(run) == ["inner0 inner1 inner2 ", "outer0 outer1 outer2 "]


def test_parallel_interleaves_two_models_chunk_by_chunk(server_url: str) -> None:
    run = run_plainly(server_url, "parallel")

    assert _streamed(run) == [f"{name}{number} " for number in range(6) for name in "AB"]
    assert _contents(run) == ["A0 A1 A2 A3 A4 A5 ", "B0 B1 B2 B3 B4 B5 "]


def test_fanout_interleaves_three_runs_of_one_node(server_url: str) -> None:
    run = run_plainly(server_url, "fanout")

    assert _streamed(run) == [f"{name}{number} " for number in range(3) for name in "XYZ"]
    assert len({chunk["id"] for chunk in run.chunks}) == 3
    assert run.state["values"]["topics"] == ["x", "y", "z"]


def test_blocks_has_reasoning_and_two_text_blocks(server_url: str) -> None:
    run = run_plainly(server_url, "blocks")

    assert run.messages[1]["content"] == [
        {"type": "reasoning", "reasoning": "thinking hard", "index": 0},
        {"type": "text", "text": "Hello world", "index": 1},
        {"type": "text", "text": "second text", "index": 2},
    ]


def test_thinking_has_a_signature_a_partial_json_and_usage_from_both_ends(server_url: str) -> None:
    run = run_plainly(server_url, "thinking")

    message = run.messages[1]
    assert message["content"] == [
        {"type": "thinking", "thinking": "let me think", "index": 0, "signature": "c2ln"},
        {"type": "text", "text": "I will search", "index": 1},
        {
            "type": "tool_use",
            "id": "toolu_9",
            "name": "search",
            "input": {},
            "index": 2,
            "partial_json": '{"query": "x"}',
        },
    ]
    assert message["tool_calls"] == [{"name": "search", "args": {"query": "x"}, "id": "toolu_9", "type": "tool_call"}]
    assert message["usage_metadata"] == {"input_tokens": 5, "output_tokens": 8, "total_tokens": 13}


def test_image_has_an_image_block_and_text(server_url: str) -> None:
    run = run_plainly(server_url, "image")

    assert [block["type"] for block in run.messages[1]["content"]] == ["image", "text"]
    assert run.messages[1]["content"][1]["text"] == "a red pixel"


def test_unicode_sends_characters_that_break_careless_parsers(server_url: str) -> None:
    run = run_plainly(server_url, "unicode")

    assert run.messages[1]["content"] == (
        "a\u2028bc\u0085de\u000bf\U0001f600nul\ufffdxline\r\nend\U0001f469\u200d\U0001f680"
    )
    assert _streamed(run)[-3:] == ["\U0001f469", "\u200d", "\U0001f680"]


def test_custom_writes_to_the_stream_around_a_message(server_url: str) -> None:
    run = run_plainly(server_url, "custom")

    assert run.named("custom") == [{"progress": 0}, "plain string", [1, 2], {"progress": 100}]
    names = [event.name for event in run.events if event.name in ("custom", "messages")]
    assert names == ["custom"] * 3 + ["messages"] * 5 + ["custom"]


def test_big_sends_a_state_larger_than_a_mebibyte(server_url: str) -> None:
    run = run_plainly(server_url, "big")

    assert len(run.named("values")[-1]["blob"]) == 1_500_000
    assert _contents(run) == ["tok0 tok1 "]


def test_hitl_stops_between_two_models_and_goes_on_when_answered(server_url: str) -> None:
    asked = run_plainly(server_url, "hitl")
    (interrupts,) = [update["__interrupt__"] for update in asked.named("updates") if "__interrupt__" in update]
    answered = run_plainly(server_url, "hitl", thread_id=asked.thread_id, command={"resume": "yes"})

    assert [interrupt["value"] for interrupt in interrupts] == [{"q": "ok?"}]
    assert asked.state["next"] == ["ask"]
    assert _contents(answered) == ["draft0 draft1 draft2 ", "human said yes", "final0 final1 final2 "]


def test_hitl2_asks_twice_in_one_step(server_url: str) -> None:
    asked = run_plainly(server_url, "hitl2")
    pending = {interrupt["value"]["q"]: interrupt["id"] for interrupt in asked.state["interrupts"]}
    resume = {pending["left?"]: "L", pending["right?"]: "R"}
    answered = run_plainly(server_url, "hitl2", thread_id=asked.thread_id, command={"resume": resume})

    assert _contents(answered) == ["human said L", "human said R", "final0 final1 final2 "]


def test_hitlsub_asks_inside_a_subgraph(server_url: str) -> None:
    asked = run_plainly(server_url, "hitlsub", stream_subgraphs=True)
    answered = run_plainly(server_url, "hitlsub", thread_id=asked.thread_id, command={"resume": "yes"})

    assert asked.state["next"] == ["child"]
    assert any(event.name.startswith("updates|child:") for event in asked.events)
    assert _contents(answered) == ["sub got yes"]


def test_err_dies_in_the_middle_of_its_second_message(server_url: str) -> None:
    run = run_plainly(server_url, "err")

    assert _streamed(run) == ["good0 ", "good1 ", "half0 ", "half1 ", "half2 ", "half3 "]
    assert run.named("error") == [{"error": "ValueError", "message": "model blew up half way"}]
    assert _contents(run) == ["good0 good1 "]


def test_nodeerr_fails_after_a_whole_message(server_url: str) -> None:
    run = run_plainly(server_url, "nodeerr")

    assert run.chunks[-1]["chunk_position"] == "last"
    assert run.named("error") == [{"error": "ValueError", "message": "node failed after its model"}]
    assert _contents(run) == []


def test_retry_leaves_half_a_message_and_then_a_whole_one(server_url: str) -> None:
    run = run_plainly(server_url, "retry")

    assert _streamed(run) == ["first0 ", "first1 ", "second0 ", "second1 "]
    assert run.named("error") == []
    assert _contents(run) == ["second0 second1 "]


def test_static_makes_messages_and_edits_one_by_its_id(server_url: str) -> None:
    run = run_plainly(server_url, "static")

    assert [chunk["type"] for chunk in run.chunks] == ["ai", "human", "system"]
    assert run.messages[1]["id"] == "static-1"
    assert _contents(run) == ["static ai (edited)", "injected human", "injected system", "dict message"]


def test_remove_takes_the_first_message_out(server_url: str) -> None:
    run = run_plainly(server_url, "remove")

    assert _types(run) == ["ai"]
    assert run.named("updates")[-1]["prune"]["messages"][0]["type"] == "remove"


def test_wipe_replaces_the_whole_thread(server_url: str) -> None:
    run = run_plainly(server_url, "wipe")

    assert [message["id"] for message in run.messages] == ["summary-1", "go-on-1"]
    assert "__remove_all__" in [chunk["id"] for chunk in run.chunks]


def test_rewrite_stores_another_text_under_the_streamed_id(server_url: str) -> None:
    run = run_plainly(server_url, "rewrite")

    assert _streamed(run) == ["secret0 ", "secret1 ", "secret2 "]
    assert run.messages[1]["id"] == run.chunks[0]["id"]
    assert _contents(run) == ["redacted"]


def test_sidecall_streams_a_message_that_the_state_never_holds(server_url: str) -> None:
    run = run_plainly(server_url, "sidecall")

    assert _streamed(run) == ["helper0 ", "helper1 ", "main0 ", "main1 ", "main2 "]
    assert _contents(run) == ["main0 main1 main2 "]


def test_nostream_hides_the_tokens_and_keeps_the_message(server_url: str) -> None:
    run = run_plainly(server_url, "nostream")

    assert [chunk["type"] for chunk in run.chunks] == ["ai"]
    assert _contents(run) == ["quiet0 quiet1 quiet2 "]


def test_wholemodel_sends_one_whole_message_with_usage_and_extra_fields(server_url: str) -> None:
    run = run_plainly(server_url, "wholemodel")

    assert [chunk["type"] for chunk in run.chunks] == ["ai"]
    assert run.messages[1]["usage_metadata"]["total_tokens"] == 7
    assert run.messages[1]["additional_kwargs"]["reasoning_content"] == "none needed"


def test_slow_sends_as_many_tokens_as_asked(server_url: str) -> None:
    run = run_plainly(server_url, "slow", config={"configurable": {"tokens": 3, "delay": 0}})

    assert _streamed(run) == ["s0 ", "s1 ", "s2 "]


def test_silent_says_nothing_until_it_is_done(server_url: str) -> None:
    run = run_plainly(server_url, "silent", config={"configurable": {"seconds": 0.1}})

    assert _contents(run) == ["slept 0.1"]
    assert _streamed(run) == []


@pytest.mark.parametrize(
    ("part", "payload", "expected"),
    [
        ("configurable", {"config": {"configurable": {"color": "red"}}}, {"color": "red"}),
        ("context", {"context": {"tenant": "acme"}}, {"tenant": "acme"}),
        ("metadata", {"metadata": {"purpose": "test"}}, {"purpose": "test"}),
    ],
)
def test_echo_shows_what_the_run_was_given(
    server_url: str, part: str, payload: Dict[str, Any], expected: Dict[str, Any]
) -> None:
    run = run_plainly(server_url, "echo", **payload)

    assert run.state["values"]["seen"][part].items() >= expected.items()


def test_a_gate_holds_a_model_until_it_is_opened(server_url: str, gate: Gate) -> None:
    gate.allow(2)
    body = {
        "assistant_id": "slow",
        "input": {"messages": []},
        "stream_mode": "messages-tuple",
        "config": {"configurable": {**gate.config["configurable"], "tokens": 4, "delay": 0}},
    }
    seen: List[bytes] = []
    two_came = threading.Event()
    ended = threading.Event()

    def read() -> None:
        with requests.post(f"{server_url}/runs/stream", json=body, stream=True, timeout=30) as response:
            while block := response.raw.read1(65536):
                seen.append(block)
                if b"s1 " in b"".join(seen):
                    two_came.set()
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    came = two_came.wait(20)
    held = not ended.is_set() and b"s2 " not in b"".join(seen)
    gate.open()
    reader.join(20)

    assert came
    assert held
    assert b"s3 " in b"".join(seen)
