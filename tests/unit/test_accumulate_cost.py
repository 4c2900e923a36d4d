"""What accumulating costs, counted in lines of code run and characters copied, never in seconds.

Each promise is one of growth: twice as many chunks may cost about twice as much, and no more.
"""

from __future__ import annotations

import json as standard_json
import sys
import tracemalloc
from pathlib import Path

import pytest
from server_events import call, piece, streamed

import lgsync.accumulate
from lgsync.accumulate import MessageAccumulator, fold, history, partial_json

_HERE = str(Path(lgsync.accumulate.__file__).parent)
_TWICE = 2.2
_LONGEST = len(',{"a":1}')


class Meter:
    """Counts lines of the accumulator that run, and characters that C code copies or parses for it."""

    def __init__(self, monkeypatch):
        self.lines = 0
        self.characters = 0
        joined, loads = history.Text.now, standard_json.loads

        def counted_join(text):
            if text._parts:
                self.characters += text.length
            return joined(text)

        def counted_loads(text, **options):
            self.characters += len(text)
            return loads(text, **options)

        monkeypatch.setattr(history.Text, "now", counted_join)
        for module in (fold, partial_json):
            monkeypatch.setattr(module, "json", type("json", (), {**vars(standard_json), "loads": counted_loads}))

    def of(self, work, *args):
        """(lines, characters) that this piece of work takes."""
        self.lines = self.characters = 0
        sys.settrace(self._trace)
        try:
            work(*args)
        finally:
            sys.settrace(None)
        return self.lines, self.characters

    def _trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(_HERE):
            return None
        self.lines += event == "line"
        return self._trace


@pytest.fixture
def meter(monkeypatch):
    return Meter(monkeypatch)


def text_chunks(n):
    return [piece(content="word ") for _ in range(n)]


def block_chunks(n):
    return [piece(content=[{"type": "text", "text": "word ", "index": 0}]) for _ in range(n)]


def loose_block_chunks(n):
    return [piece(content=[{"type": "text", "text": "word "}]) for _ in range(n)]


def indexed_block_chunks(n):
    return [piece(content=[{"type": "text", "text": "word ", "index": i}]) for i in range(n)]


def same_index_chunks(n):
    return [piece(content=[{"type": "text", "text": "word ", "index": 0, "id": f"id{i}"}]) for i in range(n)]


def call_chunks(n):
    first = piece(tool_call_chunks=[call('{"text": "', id_="c", name="f")])
    return [first, *(piece(tool_call_chunks=[call("word \\n")]) for _ in range(n))]


def block_and_call_chunks(n):
    """Some providers stream the arguments of a call twice."""
    block = {"type": "tool_use", "partial_json": "", "id": "c", "index": 1}
    first = piece(content=[block], tool_call_chunks=[call("", id_="c", name="f")])
    return [
        first,
        *(
            piece(
                content=[{"type": "input_json_delta", "partial_json": "word ", "index": 1}],
                tool_call_chunks=[call("word ")],
            )
            for _ in range(n)
        ),
    ]


def thinking_chunks(n):
    return [piece(content=[{"type": "thinking", "thinking": "word ", "index": 0}]) for _ in range(n)]


def list_call_chunks(n):
    first = piece(tool_call_chunks=[call('{"list": [0', id_="c", name="f")])
    return [first, *(piece(tool_call_chunks=[call(',{"a":1}')]) for _ in range(n))]


def provider_chunks(n):
    """Most providers name themselves in each chunk."""
    return [piece(content="word ", response_metadata={"model_provider": "openai"}) for _ in range(n)]


def thought_chunks(n):
    return [piece(additional_kwargs={"reasoning_content": "word "}) for _ in range(n)]


def logged_chunks(n):
    return [piece(content="a", response_metadata={"logprobs": {"content": [{"token": "a"}]}}) for _ in range(n)]


every_kind = pytest.mark.parametrize(
    "chunks",
    [
        text_chunks,
        block_chunks,
        loose_block_chunks,
        indexed_block_chunks,
        same_index_chunks,
        call_chunks,
        block_and_call_chunks,
        thinking_chunks,
        list_call_chunks,
        provider_chunks,
        thought_chunks,
        logged_chunks,
    ],
)


def fed(chunks):
    """Feed all, reading what a loop that prints reads."""
    accumulator = MessageAccumulator()
    for chunk in chunks:
        for message in accumulator.feed(streamed(chunk)):
            assert message.delta.text is not None
    return accumulator


def fed_and_read_at_the_end(chunks):
    accumulator = fed(chunks)
    (message,) = accumulator.close("success")
    assert message.text is not None
    assert message.tool_calls is not None
    assert message.to_dict()


@every_kind
def test_each_chunk_costs_what_it_is_however_long_the_message(meter, chunks):
    few, _ = meter.of(fed, chunks(300))
    many, characters = meter.of(fed, chunks(600))
    assert many < _TWICE * few
    assert characters < 2 * 600 * _LONGEST


def test_behind_a_gap_each_chunk_costs_what_it_is_too(meter):
    def fed_behind_a_gap(n):
        accumulator = MessageAccumulator()
        for message in range(n):
            accumulator.feed(streamed(piece(f"open{message}", "word"), langgraph_step=1))
        accumulator.gap()
        for step in (1, 2):
            for chunk in range(n):
                accumulator.feed(streamed(piece(f"open{chunk}", "word"), langgraph_step=step))
                accumulator.feed(streamed(piece(f"new{step}", "word"), langgraph_step=step))
        return accumulator

    few, _ = meter.of(fed_behind_a_gap, 150)
    many, _ = meter.of(fed_behind_a_gap, 300)
    assert many < _TWICE * few


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        (text_chunks, 70),
        (provider_chunks, 70),
        (block_chunks, 95),
        (thinking_chunks, 95),
        (call_chunks, 95),
        (block_and_call_chunks, 115),
    ],
)
def test_a_usual_chunk_takes_few_steps(meter, chunks, lines):
    few, _ = meter.of(fed, chunks(300))
    many, _ = meter.of(fed, chunks(600))
    assert many - few < 300 * lines


@pytest.mark.parametrize(
    "chunks", [text_chunks, provider_chunks, block_chunks, thinking_chunks, call_chunks, block_and_call_chunks]
)
def test_only_the_first_chunks_are_merged_field_by_field(monkeypatch, chunks):
    merged = []
    add = fold.Fold.add
    monkeypatch.setattr(fold.Fold, "add", lambda self, chunk: merged.append(chunk) or add(self, chunk))
    fed(chunks(100))
    assert len(merged) == 1


@every_kind
def test_a_stream_read_at_its_end_costs_what_it_is_long(meter, chunks):
    few, _ = meter.of(fed_and_read_at_the_end, chunks(300))
    many, characters = meter.of(fed_and_read_at_the_end, chunks(600))
    assert many < _TWICE * few
    # Joined while it came, joined for the reader, parsed, and parsed again if it was cut.
    assert characters < 5 * 600 * _LONGEST


def test_a_call_of_many_pieces_costs_about_what_a_text_of_many_pieces_costs(meter):
    text, _ = meter.of(fed_and_read_at_the_end, text_chunks(1000))
    arguments, _ = meter.of(fed_and_read_at_the_end, call_chunks(1000))
    assert arguments < 4 * text


def test_reading_a_growing_call_each_time_looks_at_each_piece_once(meter):
    def read_each_time(chunks):
        accumulator = MessageAccumulator()
        for chunk in chunks:
            for message in accumulator.feed(streamed(chunk)):
                assert message.tool_calls

    few, _ = meter.of(read_each_time, call_chunks(200))
    many, _ = meter.of(read_each_time, call_chunks(400))
    assert many < _TWICE * few


def test_broken_arguments_cost_no_more_than_their_length(meter):
    def read(args):
        accumulator = MessageAccumulator()
        (message,) = accumulator.feed(streamed(piece(tool_call_chunks=[call(args, name="f")], last=True)))
        assert message.invalid_tool_calls or message.tool_calls

    def missing_comma(n):
        return '{"a": 1 "b": [' + '"word", ' * n + "1]}"

    few = meter.of(read, missing_comma(500))
    many = meter.of(read, missing_comma(1000))
    assert many[0] < _TWICE * few[0]
    assert many[1] < _TWICE * few[1]


def test_a_change_nobody_reads_works_nothing_out(meter):
    _, characters = meter.of(fed, [piece(tool_call_chunks=[call('{"a":1}', name="f")]) for _ in range(200)])
    assert characters == 0


def test_what_was_read_once_is_not_worked_out_again(meter):
    accumulator = fed(call_chunks(200))
    (message,) = accumulator.close("success")
    first, _ = meter.of(lambda: message.text)
    again, characters = meter.of(lambda: message.text)
    assert again < first
    assert characters == 0


def test_many_small_pieces_are_not_kept_as_pieces():
    def used(n):
        tracemalloc.start()
        accumulator = fed(piece(content=f"{i:05}") for i in range(n))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert accumulator.run_messages
        return held

    # Kept as pieces, each would take some eighty bytes.
    for n in (2000, 4000, 8000):
        assert used(n) < 65 * n
