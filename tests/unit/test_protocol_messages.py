"""How block events and snapshots become messages, one rule at a time."""

from __future__ import annotations

from typing import Any, Dict, List

from event_tape import Tape, ai, human, told, translated

from lgsync.parts import StreamPart

USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def messages(parts: List[StreamPart]) -> List[Dict[str, Any]]:
    return [part.data[0] for part in parts if part.kind == "messages"]


def texts(parts: List[StreamPart]) -> Dict[Any, str]:
    _, accumulator = told(parts)
    return {message.id: message.text for message in accumulator.run_messages}


def test_a_delta_becomes_a_chunk_at_once() -> None:
    tape = Tape()
    parts, _ = translated([tape.running(), tape.start("m1"), tape.block(), tape.text("Hel")])
    (chunk,) = messages(parts)
    assert (chunk["type"], chunk["id"], chunk["chunk_position"]) == ("AIMessageChunk", "m1", None)
    assert chunk["content"] == [{"type": "text", "text": "Hel", "index": 0}]


def test_the_beginning_of_a_message_alone_says_nothing() -> None:
    tape = Tape()
    assert messages(translated([tape.start("m1"), tape.block()])[0]) == []


def test_the_last_chunk_carries_usage_and_metadata() -> None:
    tape = Tape()
    start = tape.start("m1", metadata={"provider": "anthropic", "model": "m-0"})
    end = [*tape.ended("Hi", usage=USAGE, metadata={"model_name": "m-1", "stop_reason": "end"})]
    last = messages(translated([start, tape.text("Hi"), *end])[0])[-1]
    assert last["chunk_position"] == "last"
    assert last["usage_metadata"] == USAGE
    assert last["response_metadata"] == {
        "model_provider": "anthropic",
        "model_name": "m-1",
        "stop_reason": "end",
        "output_version": "v1",
    }


def test_the_metadata_name_the_run_the_thread_and_the_node_if_told() -> None:
    tape = Tape()
    event = tape.message({"event": "message-start", "role": "ai", "id": "m1"}, node="agent")
    parts, _ = translated([event, tape.text("Hi")])
    assert parts[0].data[1] == {"run_id": "run-1", "thread_id": "thread-1", "langgraph_node": "agent"}


def test_a_tool_call_streams_its_arguments() -> None:
    tape = Tape()
    block = {"type": "tool_call_chunk", "id": "t1", "name": "search", "args": "", "index": 0}
    call = {"type": "tool_call", "id": "t1", "name": "search", "args": {"q": "x"}}
    parts, _ = translated(
        [
            tape.start("m1"),
            tape.block(0, block),
            tape.delta({"type": "tool-call-delta", "args": '{"q": '}),
            tape.delta({"type": "tool-call-delta", "args": '"x"}'}),
            tape.block_end(call),
            tape.end(),
        ]
    )
    assert [chunk["tool_call_chunks"][0]["args"] for chunk in messages(parts)[:-1]] == ["", '{"q": ', '"x"}']
    changes, _ = told(parts)
    assert [dict(each) for each in changes[-1].tool_calls] == [
        {"name": "search", "args": {"q": "x"}, "id": "t1", "type": "tool_call"}
    ]


def test_arguments_sent_as_growing_snapshots_stream_only_what_is_new() -> None:
    tape = Tape()
    snapshots = ['{"q"', '{"q": "x"}', '{"q": "x"}']
    deltas = [
        tape.delta(
            {"type": "block-delta", "fields": {"type": "tool_call_chunk", "id": "t1", "name": "s", "args": args}}
        )
        for args in snapshots
    ]
    parts, _ = translated([tape.start("m1"), *deltas])
    assert [chunk["tool_call_chunks"][0]["args"] for chunk in messages(parts)] == ['{"q"', ': "x"}']


def test_a_call_that_is_no_json_comes_whole_as_an_invalid_call() -> None:
    tape = Tape()
    block = {"type": "tool_call_chunk", "id": "t1", "name": "s", "args": ""}
    bad = {"type": "invalid_tool_call", "id": "t1", "name": "s", "args": '{"q', "error": "no JSON"}
    parts, _ = translated(
        [
            tape.start("m1"),
            tape.block(0, block),
            tape.delta({"type": "tool-call-delta", "args": '{"q'}),
            tape.block_end(bad),
            tape.end(),
        ]
    )
    whole = messages(parts)[-1]
    assert whole["type"] == "ai"
    assert whole["invalid_tool_calls"] == [
        {"name": "s", "args": '{"q', "id": "t1", "error": "no JSON", "type": "invalid_tool_call"}
    ]


def test_what_only_the_finish_of_a_block_says_follows_as_a_chunk() -> None:
    tape = Tape()
    signed = {"type": "reasoning", "reasoning": "hmm", "extras": {"signature": "c2ln"}}
    parts, _ = translated(
        [
            tape.start("m1"),
            tape.delta({"type": "reasoning-delta", "reasoning": "hm"}),
            tape.block_end(signed),
            tape.end(),
        ]
    )
    assert messages(parts)[1]["content"] == [
        {"type": "reasoning", "reasoning": "m", "extras": {"signature": "c2ln"}, "index": 0}
    ]
    changes, _ = told(parts)
    assert changes[-1].content == [{**signed, "index": 0}]


def test_a_text_that_the_finish_replaces_comes_whole() -> None:
    tape = Tape()
    parts, _ = translated([tape.start("m1"), tape.text("draft"), *tape.ended("final")])
    assert [message["type"] for message in messages(parts)] == ["AIMessageChunk", "ai"]
    assert texts(parts) == {"m1": "final"}


def test_an_image_comes_with_its_finish() -> None:
    tape = Tape()
    image = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
    parts, _ = translated([tape.start("m1"), tape.text("see"), tape.block_end(image, 1), tape.end()])
    assert messages(parts)[1]["content"] == [{**image, "index": 1}]


def test_blocks_that_arrive_out_of_order_are_put_in_order() -> None:
    tape = Tape()
    parts, _ = translated(
        [
            tape.start("m1"),
            tape.text("B", 1),
            tape.text("A", 0),
            tape.block_end({"type": "text", "text": "A"}, 0),
            tape.block_end({"type": "text", "text": "B"}, 1),
            tape.end(),
        ]
    )
    assert texts(parts) == {"m1": "AB"}


def test_fragments_of_blocks_count_as_deltas() -> None:
    tape = Tape()
    old = tape.message({"event": "content-block-delta", "index": 0, "content_block": {"type": "text", "text": "old"}})
    assert texts(translated([tape.start("m1"), old, *tape.ended("old")])[0]) == {"m1": "old"}


def test_unknown_deltas_are_left_to_the_finish() -> None:
    tape = Tape()
    strange = tape.delta({"type": "quantum-delta", "spin": 1})
    assert texts(translated([tape.start("m1"), strange, *tape.ended("Hi")])[0]) == {"m1": "Hi"}


def test_a_message_whose_beginning_was_missed_is_known_by_the_id_of_its_events() -> None:
    tape = Tape()
    parts, _ = translated([tape.text("Hi", message_id="m1"), tape.end(message_id="m1")])
    assert texts(parts) == {"m1": "Hi"}


def test_deltas_that_nothing_names_are_nobodys() -> None:
    tape = Tape()
    assert messages(translated([tape.text("Hi"), *tape.ended("Hi")])[0]) == []


def test_a_message_that_failed_stays_open() -> None:
    tape = Tape()
    failed = tape.message({"event": "error", "message": "no"})
    parts, _ = translated([tape.start("lc_run--1"), tape.text("Hi"), failed])
    changes, _ = told(parts)
    assert [message.status for message in changes] == ["streaming", "incomplete"]


def test_the_input_is_not_told_as_news() -> None:
    tape = Tape()
    assert messages(translated([tape.running(), tape.values(human("hi"))])[0]) == []


def test_a_new_message_in_a_snapshot_comes_whole() -> None:
    tape = Tape()
    result = {"type": "tool", "content": "54F", "id": "r1", "name": "search", "tool_call_id": "t1"}
    parts, translator = translated([tape.values(human("hi")), tape.values(human("hi"), result)])
    assert messages(parts) == [{**result, "response_metadata": {}, "artifact": None, "status": "success"}]
    assert translator.exact


def test_an_ai_message_that_was_never_streamed_lacks_its_usage_and_that_is_said() -> None:
    tape = Tape()
    static = {"type": "ai", "content": "static", "id": "s1"}
    parts, translator = translated([tape.values(), tape.values(static)])
    assert messages(parts) == [
        {**static, "name": None, "response_metadata": {}, "tool_calls": [], "invalid_tool_calls": []}
    ]
    assert not translator.exact


def test_a_streamed_message_is_not_repeated_by_the_snapshot() -> None:
    tape = Tape()
    parts, translator = translated([tape.values(), *tape.said("m1", "Hi"), tape.values(ai("Hi", "m1"))])
    assert [message["type"] for message in messages(parts)] == ["AIMessageChunk", "AIMessageChunk"]
    assert translator.exact


def test_a_message_that_its_node_renamed_comes_again_whole() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(), *tape.said("m1", "Hi", usage=USAGE), tape.values(ai("Hi", "m1", name="bob"))])
    changes, _ = told(parts)
    assert (changes[-1].status, changes[-1].name, changes[-1].usage) == ("revised", "bob", USAGE)


def test_an_edited_message_comes_again_whole_once() -> None:
    tape = Tape()
    edited = {"type": "human", "content": "edited", "id": "h1"}
    parts, _ = translated([tape.values(human("hi")), tape.values(edited), tape.values(edited)])
    assert [message["content"] for message in messages(parts)] == ["edited"]


def test_messages_seen_before_any_snapshot_leave_none_to_be_taken_for_the_input() -> None:
    tape = Tape()
    result = {"type": "tool", "content": "54F", "id": "r1", "tool_call_id": "t1"}
    parts, _ = translated([tape.running(), *tape.said("m1", "Hi"), tape.values(ai("Hi", "m1"), result)])
    assert [message["id"] for message in messages(parts)] == ["m1", "m1", "r1"]


def test_the_mirror_of_a_tools_result_is_left_to_the_state() -> None:
    tape, place = Tape(), ["tools:t1"]
    mirror = [
        tape.start("tool-t1", place, role="tool", tool_call_id="t1"),
        tape.message({"event": "content-block-delta", "index": 0, "content": {"type": "text", "text": "54F"}}, place),
        *tape.ended("54F", place),
    ]
    assert messages(translated(mirror, stream_subgraphs=True)[0]) == []


def test_a_message_that_no_model_wrote_comes_whole() -> None:
    tape = Tape()
    events = [tape.start("r1", role="tool", tool_call_id="t1"), tape.text("54F"), *tape.ended("54F")]
    (message,) = messages(translated(events)[0])
    assert (message["type"], message["content"], message["tool_call_id"]) == ("tool", "54F", "t1")


def test_snapshots_grow_and_are_announced_once() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(), *tape.said("m1", "Hel", "lo")], ["messages"])
    assert [part.event for part in parts if part.kind.startswith("messages")] == [
        "messages/metadata",
        "messages/partial",
        "messages/partial",
        "messages/partial",
    ]
    assert parts[-1].data[0]["content"] == [{"type": "text", "text": "Hello", "index": 0}]
    assert parts[-1].data[0]["type"] == "ai"


def test_tuples_are_what_both_modes_together_ask_for() -> None:
    tape = Tape()
    parts, _ = translated(tape.said("m1", "Hi"), ["messages", "messages-tuple"])
    assert {part.event for part in parts} == {"messages"}


def test_without_a_mode_for_messages_none_are_said() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(), *tape.said("m1", "Hi"), tape.values(ai("Hi", "m1"))], ["values"])
    assert {part.event for part in parts} == {"values"}
