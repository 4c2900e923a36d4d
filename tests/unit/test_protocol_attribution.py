"""Several messages at once in one namespace: nothing of one is ever said of another."""

from __future__ import annotations

from typing import Any, Dict, List

from event_tape import Tape, ai, human, told, translated

from lgsync.parts import StreamPart

# As servers name the messages of models: for these the end of a run completes nothing that has no end of its own.
A, B, DEAD = "lc_run--a", "lc_run--b", "lc_run--dead"


def usage(total: int) -> Dict[str, int]:
    return {"input_tokens": 0, "output_tokens": total, "total_tokens": total}


def two_at_once(tape: Tape, first: int = 5, second: int = 9) -> List[Dict[str, Any]]:
    """A and B, their deltas and ends interleaved."""
    return [
        tape.start(A),
        tape.text("A0 "),
        tape.start(B),
        tape.text("B0 "),
        tape.text("A1 "),
        tape.text("B1 "),
        *tape.ended("A0 A1 ", usage=usage(first)),
        *tape.ended("B0 B1 ", usage=usage(second)),
    ]


def ends(parts: List[StreamPart]) -> Dict[Any, Any]:
    changes, _ = told(parts)
    return {message.id: (message.status, message.text) for message in changes}


def test_what_nothing_tells_apart_is_held_until_a_snapshot_settles_it() -> None:
    tape = Tape()
    held, _ = translated([tape.values(), *two_at_once(tape)])
    assert [part.data[0]["content"][0]["text"] for part in held if part.kind == "messages"] == ["A0 "]

    tape = Tape()
    parts, translator = translated([tape.values(), *two_at_once(tape), tape.values(ai("A0 A1 ", A), ai("B0 B1 ", B))])
    assert ends(parts) == {A: ("complete", "A0 A1 "), B: ("complete", "B0 B1 ")}
    changes, _ = told(parts)
    assert {message.id: message.usage for message in changes} == {A: usage(5), B: usage(9)}
    assert translator.exact


def test_what_was_said_before_goes_on_where_it_stood() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(), *two_at_once(tape), tape.values(ai("A0 A1 ", A), ai("B0 B1 ", B))])
    changes, _ = told(parts)
    assert "".join(message.delta.text or "" for message in changes if message.id == A) == "A0 A1 "


def test_equal_texts_leave_their_usage_unsaid_unless_it_is_equal_too() -> None:
    def run(first: int, second: int) -> Any:
        tape = Tape()
        start = [tape.values(), tape.start(A), tape.start(B), tape.text("same"), tape.text("same")]
        end = [*tape.ended("same", usage=usage(first)), *tape.ended("same", usage=usage(second))]
        parts, translator = translated([*start, *end, tape.values(ai("same", A), ai("same", B))])
        changes, _ = told(parts)
        return [message.usage for message in changes], translator.exact

    assert run(4, 4) == ([usage(4), usage(4)], True)
    assert run(4, 5) == ([None, None], False)


def test_a_usage_that_one_of_two_equal_messages_may_own_is_given_to_neither() -> None:
    tape = Tape()
    copied = ai("A0 A1 ", "c")
    parts, translator = translated(
        [tape.values(), *two_at_once(tape), tape.values(ai("A0 A1 ", A), ai("B0 B1 ", B), copied)]
    )
    changes, _ = told(parts)
    assert {message.id: message.usage for message in changes} == {A: None, B: usage(9), "c": None}
    assert not translator.exact


def test_the_run_that_events_name_tells_them_apart() -> None:
    tape = Tape(names_runs=False)
    parts, _ = translated(
        [
            tape.start(A, run_id="llm-1"),
            tape.start(B, run_id="llm-2"),
            tape.text("A0 ", run_id="llm-1"),
            tape.text("B0 ", run_id="llm-2"),
            tape.block_end({"type": "text", "text": "B0 "}, run_id="llm-2"),
            tape.end(run_id="llm-2"),
            tape.block_end({"type": "text", "text": "A0 "}, run_id="llm-1"),
            tape.end(run_id="llm-1"),
        ]
    )
    assert [(part.data[0]["id"], part.data[0]["chunk_position"]) for part in parts] == [
        (A, None),
        (B, None),
        (B, "last"),
        (A, "last"),
    ]


def test_the_node_that_events_name_tells_them_apart() -> None:
    tape = Tape()

    def delta(text: str, node: str) -> Dict[str, Any]:
        data = {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": text}}
        return tape.message(data, node=node)

    starts = [tape.message({"event": "message-start", "id": name, "role": "ai"}, node=f"by {name}") for name in (A, B)]
    parts, _ = translated([*starts, delta("A", f"by {A}"), delta("B", f"by {B}")])
    assert [(part.data[0]["id"], part.data[0]["content"][0]["text"]) for part in parts] == [(A, "A"), (B, "B")]


def test_namespaces_do_not_disturb_each_other() -> None:
    tape, one, two = Tape(), ["left:1"], ["right:2"]
    parts, _ = translated(
        [
            tape.start(A, one),
            tape.start(B, two),
            tape.text("A", namespace=one),
            tape.text("B", namespace=two),
            *tape.ended("B", two),
            *tape.ended("A", one),
        ],
        stream_subgraphs=True,
    )
    assert ends(parts) == {A: ("complete", "A"), B: ("complete", "B")}


def test_a_third_message_after_both_have_ended_streams_again() -> None:
    tape = Tape()
    parts, _ = translated([*two_at_once(tape), tape.start("c"), tape.text("C")])
    assert [part.data[0]["id"] for part in parts] == [A, "c"]


def test_an_attempt_that_died_holds_the_next_one_only_until_the_snapshot() -> None:
    tape = Tape()
    parts, _ = translated(
        [
            tape.values(human("hi")),
            tape.start(DEAD),
            tape.text("oops "),
            *tape.said("again", "fine"),
            tape.values(human("hi"), ai("fine", "again")),
            *tape.said("next", "free"),
        ]
    )
    assert ends(parts) == {
        DEAD: ("incomplete", "oops "),
        "again": ("complete", "fine"),
        "next": ("complete", "free"),
    }
    live = [part.data[0] for part in parts if part.kind == "messages" and part.data[0]["id"] == "next"]
    assert [chunk["type"] for chunk in live] == ["AIMessageChunk", "AIMessageChunk"]


def test_the_one_message_left_over_takes_the_one_text_left_over_when_the_run_ends() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(), *two_at_once(tape), tape.values(ai("A0 A1 ", A)), tape.completed()])
    assert ends(parts) == {A: ("complete", "A0 A1 "), B: ("complete", "B0 B1 ")}


def test_two_messages_left_over_are_not_guessed() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(), *two_at_once(tape), tape.values(human("hi")), tape.completed()])
    assert ends(parts)[A] == ("incomplete", "A0 ")
    assert B not in ends(parts)


def test_no_text_is_left_over_for_certain_once_a_node_has_rewritten_one() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(), *two_at_once(tape), tape.values(ai("other", A)), tape.completed()])
    assert B not in ends(parts)


def test_ends_that_are_interleaved_themselves_give_nothing_away() -> None:
    tape = Tape()
    block_a, block_b = (tape.block_end({"type": "text", "text": text}) for text in ("A", "B"))
    events = [
        tape.values(),
        tape.start(A),
        tape.start(B),
        tape.text("A"),
        block_a,
        block_b,
        tape.end(usage=usage(1)),
        tape.end(usage=usage(1)),
        tape.values(ai("A", A), ai("B", B)),
    ]
    parts, translator = translated(events)
    changes, _ = told(parts)
    assert [(message.id, message.text, message.usage) for message in changes] == [(A, "A", None), (B, "B", None)]
    assert not translator.exact


def test_a_snapshot_in_the_middle_of_a_step_ends_nothing() -> None:
    tape = Tape()
    parts, _ = translated(
        [
            tape.values(human("hi")),
            tape.start(A),
            tape.text("A0 "),
            tape.interrupt("i1", "ok?"),
            tape.values(human("hi")),
            tape.text("A1 "),
            *tape.ended("A0 A1 "),
        ]
    )
    assert ends(parts) == {A: ("complete", "A0 A1 ")}


def test_the_usage_of_a_hidden_subgraphs_message_is_kept_for_its_parent() -> None:
    tape, child = Tape(), ["child:1"]
    parts, translator = translated(
        [
            tape.values(human("hi")),
            *tape.said("m1", "inner", namespace=child, usage=usage(7)),
            tape.values(human("hi"), ai("inner", "m1")),
        ]
    )
    (message,) = [part.data[0] for part in parts if part.kind == "messages"]
    assert message["usage_metadata"] == usage(7)
    assert translator.exact
