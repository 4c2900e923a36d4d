"""How the chunks of one message become one: content, metadata, tool calls and usage, rule by rule."""

from __future__ import annotations

import pytest
from server_events import call, human, piece, streamed, told

from lgsync.accumulate import MessageAccumulator


def folded(*chunks):
    """The message that these chunks make, as it is after the last of them."""
    accumulator = MessageAccumulator()
    told(accumulator, [streamed(chunk) for chunk in chunks])
    return accumulator.run_messages[-1]


def contents(*values):
    """The content folded from these, the first of which opens the message."""
    return folded(*(piece(content=value, response_metadata={"n": "a"}) for value in values)).content


def usage(tokens, **details):
    return {"input_tokens": tokens, "output_tokens": tokens, "total_tokens": 2 * tokens, **details}


B = {"type": "text", "text": "b"}


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (("a", "b"), "ab"),
        (("a", [B]), ["a", B]),
        (("", [B]), ["", B]),
        (("a", []), ["a"]),
        ((["r", "s"], "t"), ["r", "st"]),
        (([B], ""), [B]),
        (([B], "s"), [B, "s"]),
        (([], "abc"), []),
        (("", [], "z"), ["z"]),
        (([B], [B]), [B, B]),
        ((["a"], ["b"]), ["a", "b"]),
    ],
)
def test_strings_and_lists_of_content_merge_as_langchain_merges_them(parts, whole):
    assert contents(*parts) == whole


def test_blocks_with_the_same_index_become_one():
    parts = [{"type": "text", "text": text, "index": 0} for text in ("Hel", "lo")]
    assert contents(*([part] for part in parts)) == [{"type": "text", "text": "Hello", "index": 0}]


@pytest.mark.parametrize("index", ["0", None])
def test_blocks_without_a_usable_index_stand_for_themselves(index):
    block = {"type": "text", "text": "x", "index": index}
    assert contents([block], [block]) == [block, block]


def test_blocks_whose_index_begins_with_lc_merge_and_keep_it():
    parts = [[{"type": "text", "text": text, "index": "lc_txt_0"}] for text in "ab"]
    assert contents(*parts) == [{"type": "text", "text": "ab", "index": "lc_txt_0"}]


def test_blocks_of_one_index_with_different_ids_stay_apart_and_nameless_ones_join_the_first():
    parts = [
        [{"type": "text", "text": "a", "index": 0, "id": "x"}],
        [{"type": "text", "text": "b", "index": 0, "id": "y"}],
        [{"type": "text", "text": "c", "index": 0}],
        [{"type": "text", "text": "d", "index": 0, "id": "y"}],
    ]
    assert [block["text"] for block in contents(*parts)] == ["ac", "bd"]


def test_of_several_blocks_with_one_index_and_id_the_first_grows():
    block = {"type": "text", "text": "x", "index": 0, "id": "a"}
    assert [block["text"] for block in contents([block, block], [block])] == ["xx", "x"]


def test_blocks_of_the_first_chunk_do_not_merge_among_themselves():
    block = {"type": "text", "text": "x", "index": 0}
    assert contents([block, block]) == [block, block]


def test_blocks_that_turn_a_string_into_a_list_do_not_merge_among_themselves():
    block = {"type": "text", "text": "x", "index": 0}
    assert contents("a", [block, block]) == ["a", block, block]


def test_a_block_of_another_type_at_the_same_index_mixes_its_fields_in():
    merged = contents(
        [{"type": "text", "text": "a", "index": 0}], [{"type": "reasoning", "reasoning": "r", "index": 0}]
    )
    assert merged == [{"type": "text", "text": "a", "index": 0, "reasoning": "r"}]


def test_a_non_standard_block_becomes_the_extras_of_a_standard_one():
    more = {"type": "non_standard", "value": {"type": "x", "cited": 1}, "index": 0}
    assert contents([{"type": "text", "text": "a", "index": 0}], [more])[0]["extras"] == {"cited": 1}


def test_non_standard_blocks_merge_their_values():
    parts = [[{"type": "non_standard", "value": {"a": text}, "index": 0}] for text in "xy"]
    assert contents(*parts) == [{"type": "non_standard", "value": {"a": "xy"}, "index": 0}]


@pytest.mark.parametrize(
    ("key", "left", "right", "merged"),
    [
        ("finish_reason", "stop", "stop", "stopstop"),
        ("model_name", "m", "m", "mm"),
        ("id", "x", "x", "x"),
        ("output_version", "v0", "v1", "v0v1"),
        ("model_provider", "p", "p", "p"),
        ("n", 2, 2, 2),
        ("n", 1, 2, 3),
        ("created", 5, 9, 9),
        ("timestamp", 5, 9, 9),
        ("index", 5, 9, 9),
        ("index", "lc_1", "lc_2", "lc_1"),
        ("flag", True, True, True),
        ("late", None, "x", "x"),
        ("kept", "x", None, "x"),
        ("deep", {"a": "x"}, {"a": "y", "b": 1}, {"a": "xy", "b": 1}),
        ("list", [1], [1], [1, 1]),
    ],
)
def test_metadata_merges_as_langchain_merges_it(key, left, right, merged):
    chunks = [piece(content="t", response_metadata={key: value}) for value in (left, right)]
    assert folded(*chunks).response_metadata == {key: merged}


@pytest.mark.parametrize(
    ("left", "right"), [("x", 1), (1.5, 2.5), (True, False), ({}, "x"), (["a"], {"a": 1}), (1, True)]
)
def test_values_that_do_not_fit_leave_the_first_one_and_are_noted(left, right):
    message = folded(*(piece(content="t", additional_kwargs={"k": value}) for value in (left, right)))
    assert message.additional_kwargs == {"k": left}
    assert len(message.conflicts) == 1
    assert "additional_kwargs.k" in message.conflicts[0]


def test_a_place_where_nothing_fits_is_noted_once():
    accumulator = MessageAccumulator()
    told(accumulator, [streamed(piece(additional_kwargs={"k": value})) for value in (0.5, 1.5)])
    assert told(accumulator, [streamed(piece(additional_kwargs={"k": value})) for value in (2.5, "x")]) == []
    assert len(accumulator.run_messages[0].conflicts) == 1


def test_a_message_without_conflicts_has_none():
    assert folded(piece(content="a"), piece(content="b")).conflicts == ()


def test_tool_call_pieces_join_by_index_and_their_arguments_are_read():
    message = folded(
        piece(tool_call_chunks=[call("", id_="c1", name="search")]),
        piece(tool_call_chunks=[call('{"q":')]),
        piece(tool_call_chunks=[call(' "sf"}')], last=True),
    )
    assert message.tool_calls == [{"name": "search", "args": {"q": "sf"}, "id": "c1", "type": "tool_call"}]
    assert message.invalid_tool_calls == []


def test_calls_of_the_first_chunk_do_not_merge_among_themselves():
    message = folded(piece(tool_call_chunks=[call("{}", name="f"), call("{}", name="g")]))
    assert [found["name"] for found in message.tool_calls] == ["f", "g"]


def test_a_repeated_name_of_a_call_is_concatenated():
    message = folded(*(piece(tool_call_chunks=[call("", name="f")]) for _ in range(2)))
    assert message.tool_calls[0]["name"] == "ff"


def test_pieces_without_an_index_never_join():
    message = folded(
        piece(tool_call_chunks=[call('{"a', index=None)]), piece(tool_call_chunks=[call('":1}', index=None)], last=True)
    )
    assert [found["args"] for found in message.tool_calls] == [{}]
    assert [found["args"] for found in message.invalid_tool_calls] == ['":1}']


def test_one_index_with_two_ids_is_two_calls_and_later_pieces_go_to_the_first():
    message = folded(
        piece(tool_call_chunks=[call("{", id_="x")]),
        piece(tool_call_chunks=[call("{}", id_="y")]),
        piece(tool_call_chunks=[call('"a":1}')]),
    )
    assert [(found["id"], found["args"]) for found in message.tool_calls] == [("x", {"a": 1}), ("y", {})]


@pytest.mark.parametrize(
    ("args", "read"),
    [
        ("", {}),
        ('{"a": tr', {}),
        ('{"a": 1.', {"a": 1}),
        ('{"a":1,', {"a": 1}),
        ('{"a":1}{"b":2}', {"a": 1}),
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"query": "oops', {"query": "oops"}),
        ('{"a":[1],"b":{"c":2},x[', {"a": [1]}),
    ],
)
def test_cut_arguments_are_read_as_far_as_they_go(args, read):
    assert folded(piece(tool_call_chunks=[call(args, name="f")], last=True)).tool_calls[0]["args"] == read


@pytest.mark.parametrize("args", ['{"a":1}}', "[1]", "1", "null", "nonsense"])
def test_arguments_that_are_no_object_make_an_invalid_call(args):
    message = folded(piece(tool_call_chunks=[call(args, name="f", id_="c")], last=True))
    wanted = {"name": "f", "args": args, "id": "c", "error": None, "type": "invalid_tool_call"}
    assert (message.tool_calls, message.invalid_tool_calls) == ([], [wanted])


@pytest.mark.parametrize("cut", ["\\", "\\u", "\\u00", "\\ud83d", "\\ud83d\\", "\\ud83d\\ude0", "\ud83d"])
def test_while_arguments_stream_a_cut_character_takes_nothing_away(cut):
    message = folded(piece(tool_call_chunks=[call('{"a": "x' + cut, name="f")]))
    assert message.tool_calls[0]["args"] == {"a": "x"}


def test_a_surrogate_pair_cut_in_two_comes_out_whole():
    message = folded(
        piece(tool_call_chunks=[call('{"a": "\\ud83d', name="f")]), piece(tool_call_chunks=[call('\\ude00"}')])
    )
    assert message.tool_calls[0]["args"] == {"a": "😀"}


def test_the_calls_parsed_from_single_pieces_are_not_trusted():
    junk = [{"name": "", "args": {}, "id": None, "type": "tool_call"}]
    message = folded(
        piece(tool_call_chunks=[call('{"a":', name="f")], tool_calls=junk),
        piece(tool_call_chunks=[call("1}")], tool_calls=junk),
    )
    assert [found["args"] for found in message.tool_calls] == [{"a": 1}]


def test_at_the_end_of_standard_content_call_blocks_say_what_the_calls_are():
    block = {"type": "tool_call_chunk", "id": "c1", "name": "f", "args": '{"a":1}', "index": 0, "extras": {"k": 1}}
    message = folded(
        piece(content=[block], tool_call_chunks=[call('{"a":1}', id_="c1", name="f")]),
        piece(response_metadata={"output_version": "v1"}, last=True),
    )
    assert message.content == [{"type": "tool_call", "name": "f", "args": {"a": 1}, "id": "c1", "extras": {"k": 1}}]


def test_several_blocks_of_one_call_end_as_one_and_the_same():
    block = {"type": "tool_call_chunk", "id": "c1"}
    message = folded(
        piece(content=[block, {**block, "extras": {"k": 1}}], tool_call_chunks=[call("{}", id_="c1", name="f")]),
        piece(response_metadata={"output_version": "v1"}, last=True),
    )
    assert message.content == [{"type": "tool_call", "name": "f", "args": {}, "id": "c1", "extras": {"k": 1}}] * 2


def test_blocks_of_standard_content_that_come_after_its_end_are_finished_too():
    block = {"type": "tool_call_chunk", "id": "c1", "name": "f", "args": "{}", "index": 0}
    message = folded(
        piece(content=[], response_metadata={"output_version": "v1"}, last=True),
        piece(content=[block], tool_call_chunks=[call("{}", id_="c1", name="f")]),
    )
    assert [found["type"] for found in message.content] == ["tool_call"]


def test_before_the_end_of_standard_content_call_blocks_are_pieces():
    block = {"type": "tool_call_chunk", "id": "c1", "name": "f", "args": "{", "index": 0}
    message = folded(
        piece(content=[block], tool_call_chunks=[call("{", id_="c1")], response_metadata={"output_version": "v1"})
    )
    assert message.content == [block]


def test_at_the_end_of_standard_content_the_arguments_of_server_calls_are_read():
    blocks = [{"type": "server_tool_call_chunk", "id": "s", "args": args, "index": 0} for args in ('{"q"', ":1}")]
    message = folded(
        piece(content=[blocks[0]], response_metadata={"output_version": "v1"}), piece(content=[blocks[1]], last=True)
    )
    assert message.content == [{"type": "server_tool_call", "id": "s", "args": {"q": 1}, "index": 0}]


def test_usage_is_summed_over_chunks_detail_by_detail():
    message = folded(
        piece(content="a", usage_metadata=usage(1, input_token_details={"cache_read": 3})),
        piece(usage_metadata=usage(2, input_token_details={"cache_read": 3, "audio": 1})),
    )
    assert message.usage == usage(3, input_token_details={"cache_read": 6, "audio": 1})


def test_a_message_without_usage_has_none():
    assert folded(piece(content="a"), piece(content="b")).usage is None


def test_the_name_of_a_chunk_is_kept():
    assert folded(piece(content="a", name="bob"), piece(content="b")).name == "bob"


def test_chunks_of_other_kinds_fold_too():
    message = folded(*({**human("h1", text), "type": "HumanMessageChunk"} for text in ("Hel", "lo")))
    assert (message.type, message.text) == ("human", "Hello")


def test_tool_chunks_keep_their_call_merge_artifacts_and_an_error_sticks():
    def part(text, status, artifact):
        extra = {"tool_call_id": "c1", "status": status, "artifact": artifact, "type": "ToolMessageChunk"}
        return {**human("t1", text), **extra}

    message = folded(part("a", "success", {"x": "1"}), part("b", "error", {"x": "2"}), part("c", "success", None))
    assert (message.type, message.text, message.tool_call_id) == ("tool", "abc", "c1")
    assert (message.tool_status, message.artifact) == ("error", {"x": "12"})


def test_pieces_from_servers_that_name_them_as_whole_messages_are_folded():
    message = folded(*({**piece(content=text), "type": "ai"} for text in ("Hel", "lo")))
    assert message.text == "Hello"
