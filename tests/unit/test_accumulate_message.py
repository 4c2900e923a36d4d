"""What a message is to whoever holds it: a value that nothing changes, worked out when read."""

from __future__ import annotations

import json
import pickle

import pytest
from server_events import call, human, piece, streamed, told, tool, values, whole

from lgsync.accumulate import Delta, MessageAccumulator, add_usage


@pytest.fixture
def accumulator():
    return MessageAccumulator()


def first(events):
    return told(MessageAccumulator(), events)[0]


def everything(message):
    return (message.to_dict(), message.text, message.reasoning, message.status, message.delta, message.usage)


def test_a_message_that_is_held_never_shows_what_came_later(accumulator):
    (early,) = told(accumulator, [streamed(piece(content=[{"type": "text", "text": "Hel", "index": 0}]))])
    told(accumulator, [streamed(piece(content=[{"type": "text", "text": "lo", "index": 0}]))])
    told(accumulator, [streamed(piece(response_metadata={"a": 1}, tool_call_chunks=[call("{}", name="f")], last=True))])
    assert early.content == [{"type": "text", "text": "Hel", "index": 0}]
    assert (early.text, early.tool_calls, early.response_metadata, early.status) == ("Hel", [], {}, "streaming")


def test_reading_early_or_late_gives_the_same():
    events = [
        streamed(piece(content=text, tool_call_chunks=[call(args, name=name)]))
        for text, args, name in (("a", '{"k"', "f"), ("b", ":[1", None), ("c", "]}", None))
    ]
    late = told(MessageAccumulator(), events)
    accumulator = MessageAccumulator()
    assert [everything(accumulator.feed(event)[0]) for event in events] == [everything(message) for message in late]


def test_what_is_read_belongs_to_the_reader(accumulator):
    block = {"type": "text", "text": "a", "index": 0, "notes": ["n"]}
    chunk = piece(content=[block], response_metadata={"a": {"b": [1]}}, tool_call_chunks=[call('{"k": []}', name="f")])
    (message,) = told(accumulator, [streamed(chunk, tags=["t"])])
    before = everything(message)
    message.content[0]["notes"].append("spoiled")
    message.tool_calls[0]["args"]["k"].append("spoiled")
    message.response_metadata["a"]["b"].append("spoiled")
    message.to_dict()["content"].clear()
    message.metadata["tags"].append("spoiled")
    assert everything(message) == before
    assert message.metadata["tags"] == ["t"]
    assert accumulator.run_messages[0].tool_calls[0]["args"] == {"k": []}


def test_what_was_fed_still_belongs_to_the_one_who_fed_it(accumulator):
    sent = whole("a", [{"type": "text", "text": "x"}])
    chunk = piece("b", [{"type": "text", "text": "y", "index": 0}])
    about = {"langgraph_node": "n", "tags": ["t"]}
    messages = told(accumulator, [("messages", [sent, about]), ("messages", [chunk, about])])
    sent["content"][0]["text"] = chunk["content"][0]["text"] = "spoiled"
    about["tags"].append("spoiled")
    assert [message.text for message in messages] == ["x", "y"]
    assert [message.metadata["tags"] for message in messages] == [["t"], ["t"]]


def test_the_metadata_of_a_message_without_an_id_are_its_own_too(accumulator):
    about = {"tags": ["t"]}
    (message,) = told(accumulator, [("messages", [piece(None, "x"), about])])
    about["tags"].append("spoiled")
    assert message.metadata == {"tags": ["t"]}


def test_fields_cannot_be_set(accumulator):
    (message,) = told(accumulator, [streamed(piece(content="a"))])
    with pytest.raises(AttributeError):
        message.text = "b"


def test_text_joins_strings_and_text_blocks_only():
    content = [
        "a",
        {"type": "text", "text": "b"},
        {"type": "reasoning", "reasoning": "r"},
        {"type": "image", "url": "u"},
    ]
    message = first([streamed(whole(content=content))])
    assert (message.text, message.reasoning) == ("ab", "r")


def test_reasoning_joins_blocks_of_either_name_and_what_came_beside():
    content = [{"type": "thinking", "thinking": "a"}, {"type": "reasoning", "reasoning": "b"}]
    message = first([streamed(whole(content=content, additional_kwargs={"reasoning_content": "c"}))])
    assert message.reasoning == "abc"


def test_a_message_as_a_dict_has_the_keys_of_the_state():
    streamed_whole = told(MessageAccumulator(), [streamed(piece(content="a", last=True))])[0].to_dict()
    assert list(streamed_whole) == list(whole())
    assert streamed_whole == whole(content="a")


def test_a_message_that_came_whole_gives_back_what_came():
    sent = tool("t", "x", artifact={"raw": [1]}, status="error")
    message = first([streamed(sent)])
    assert message.to_dict() == sent
    assert (message.artifact, message.tool_status, message.tool_call_id) == ({"raw": [1]}, "error", "c1")


def test_a_message_as_a_dict_is_json():
    (message,) = told(MessageAccumulator(), [streamed(piece(content=[{"type": "text", "text": "é", "index": 0}]))])
    assert json.loads(json.dumps(message.to_dict())) == message.to_dict()


def test_messages_are_equal_if_all_that_can_be_read_is():
    events = [streamed(piece(content=text)) for text in "ab"]
    one, other = (told(MessageAccumulator(), events) for _ in range(2))
    assert one == other
    assert one[0] != one[1]
    assert one[0] != "a"
    assert len({*one, *other}) == 2


def test_a_pickled_message_is_the_same_message(accumulator):
    told(accumulator, [streamed(piece(content="a"), task="child:1|llm:2", tags=["t"])])
    (message,) = accumulator.feed(streamed(piece(content="b", tool_call_chunks=[call('{"k":1}', id_="c", name="f")])))
    copy = pickle.loads(pickle.dumps(message))
    assert copy == message
    assert (copy.delta, copy.namespace, copy.metadata) == (message.delta, ("child:1",), message.metadata)


def test_a_message_says_in_short_what_it_is(accumulator):
    (message,) = told(accumulator, [streamed(piece(content="x" * 100, tool_call_chunks=[call("", name="search")]))])
    shown = repr(message)
    assert "ai" in shown
    assert "streaming" in shown
    assert "m1" in shown
    assert "search" in shown
    assert len(shown) < 160


def test_a_message_read_for_the_first_time_can_have_all_its_words_as_delta(accumulator):
    told(accumulator, [streamed(piece(content="a")), streamed(piece(content="b", last=True))])
    message = accumulator.run_messages[0].from_nothing()
    assert (message.delta.text, message.text, message.status) == ("ab", "ab", "complete")


def test_history_has_no_metadata_and_no_node(accumulator):
    told(accumulator, [values(human("h", "hi"))])
    (message,) = accumulator.messages
    assert (message.node, message.namespace, message.metadata, message.usage) == (None, (), {}, None)
    assert (message.name, message.tool_calls, message.tool_call_id, message.tool_status) == (None, [], None, None)


def test_a_delta_is_true_if_it_says_something():
    assert not Delta()
    assert Delta(text="a")
    assert Delta(reasoning="a")
    assert Delta(tool_args={"c": "{"})
    assert Delta(replaced=True)


def test_a_delta_can_be_pickled(accumulator):
    (message,) = told(accumulator, [streamed(piece(tool_call_chunks=[call("{", id_="c")]))])
    assert pickle.loads(pickle.dumps(message.delta)) == message.delta


def test_usage_adds_up_detail_by_detail():
    one = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "output_token_details": {"reasoning": 1}}
    assert add_usage(one, one)["output_token_details"] == {"reasoning": 2}
    assert add_usage(None, one) == one == add_usage(one, None)
    assert add_usage(None, None) is None
