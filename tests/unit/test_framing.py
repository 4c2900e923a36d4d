"""The framer: what each rule of an event stream gives, however the stream is cut into reads."""

from __future__ import annotations

import pathlib
import tracemalloc
from typing import Iterable, List, Optional, Tuple

import pytest

from lgsync.parts import StreamPart, Undecoded
from lgsync.transports import framing
from lgsync.transports.framing import Framer

CAPTURES = pathlib.Path(__file__).parents[1] / "data" / "captures"

State = Tuple[List[StreamPart], Optional[str], Optional[int], int, bool]


def state_after(pieces: Iterable[bytes]) -> State:
    framer = Framer()
    parts = [part for piece in pieces for part in framer.feed(piece)]
    return parts, framer.last_id, framer.retry, framer.heartbeats, framer.truncated


def read(stream: bytes) -> State:
    """Read the stream whole, byte by byte, and cut in two at every place: all must give the same."""
    whole = state_after([stream])
    assert state_after(stream[i : i + 1] for i in range(len(stream))) == whole
    for cut in range(len(stream) + 1):
        assert state_after([stream[:cut], b"", stream[cut:]]) == whole, f"cut at {cut}"
    return whole


def parts_of(stream: bytes) -> List[StreamPart]:
    return read(stream)[0]


# Lines and their ends


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_ends_a_line(end: bytes) -> None:
    stream = end.join([b"event: values", b'data: {"a":', b"data: 1}", b"id: 7", b"", b"data: 2", b"", b""])
    assert parts_of(stream) == [StreamPart("values", {"a": 1}, "7"), StreamPart("message", 2, "7")]


def test_line_ends_may_be_mixed() -> None:
    stream = b"data: 1\r\n\ndata: 2\n\rdata: 3\r\rdata: 4\r\n\r\n\r\ndata: 5\n\r\n"
    assert [part.data for part in parts_of(stream)] == [1, 2, 3, 4, 5]


def test_an_event_ended_by_cr_is_given_before_the_next_byte_comes() -> None:
    assert Framer().feed(b"data: 1\r\r") == [StreamPart("message", 1)]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_what_only_unicode_calls_a_line_end_is_data(separator: str) -> None:
    assert parts_of(f'data: "a{separator}b"\n\n'.encode()) == [StreamPart("message", f"a{separator}b")]


@pytest.mark.parametrize("control", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\0"])
def test_a_control_character_is_no_line_end(control: str) -> None:
    assert parts_of(f"data: a{control}b\n\n".encode()) == [StreamPart("message", Undecoded(f"a{control}b"))]


def test_a_byte_order_mark_at_the_start_is_dropped() -> None:
    assert parts_of(b"\xef\xbb\xbfevent: values\ndata: 1\n\n") == [StreamPart("values", 1)]


def test_a_byte_order_mark_later_is_part_of_its_line() -> None:
    assert parts_of(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n") == [StreamPart("message", 1)]


# Fields


@pytest.mark.parametrize(
    ("line", "text"), [(b"data:x", "x"), (b"data: x", "x"), (b"data:  x ", " x "), (b"data:x:y", "x:y")]
)
def test_one_blank_after_the_colon_is_no_part_of_the_value(line: bytes, text: str) -> None:
    assert parts_of(line + b"\n\n") == [StreamPart("message", Undecoded(text))]


def test_data_lines_are_joined_by_line_ends() -> None:
    assert parts_of(b"data: a\ndata\ndata: b\n\n")[0].data == "a\n\nb"
    assert parts_of(b"data: [1,\nevent: values\ndata: 2]\n\n") == [StreamPart("values", [1, 2])]


def test_the_last_of_several_event_names_counts_and_an_empty_one_is_message() -> None:
    assert parts_of(b"event: a\nevent: b\ndata: 1\n\n")[0].event == "b"
    assert parts_of(b"event: a\nevent\ndata: 1\n\n")[0].event == "message"


def test_an_event_name_does_not_outlive_its_event() -> None:
    assert [part.event for part in parts_of(b"event: a\n\ndata: 1\n\nevent: b\ndata: 2\n\ndata: 3\n\n")] == [
        "message",
        "b",
        "message",
    ]


def test_unknown_fields_and_lines_without_a_field_are_ignored() -> None:
    assert parts_of(b"foo: 1\nid2: 9\nDATA: 5\n data: 6\ndata: 1\nbar\n\n") == [StreamPart("message", 1)]


def test_an_event_without_data_is_not_given() -> None:
    assert parts_of(b"event: values\nid: 1\n\ndata: 2\n\n") == [StreamPart("message", 2, "1")]


@pytest.mark.parametrize("stream", [b"event: end\n\n", b"event:end\nid: 3\n\n", b"event: end\ndata\n\n"])
def test_the_end_event_needs_no_data(stream: bytes) -> None:
    assert [(part.event, part.data) for part in parts_of(stream)] == [("end", None)]


def test_null_is_data() -> None:
    assert parts_of(b"event: values\ndata: null\n\n") == [StreamPart("values", None)]


def test_data_that_is_not_json_is_kept_as_text_and_the_stream_goes_on() -> None:
    first, second = parts_of(b"data: {half\n\ndata: {}\n\n")
    assert (first.data, type(first.data), second.data) == ("{half", Undecoded, {})


def test_json_nested_too_deeply_is_kept_as_text() -> None:
    deep = "[" * 100_000
    assert Framer().feed(f"data: {deep}\n\n".encode()) == [StreamPart("message", Undecoded(deep))]


@pytest.mark.parametrize(("value", "retry"), [(b"2500", 2500), (b"2.5", None), (b"", None), (b"-1", None)])
def test_retry_is_read_if_it_is_made_of_digits(value: bytes, retry: Optional[int]) -> None:
    assert read(b"retry: " + value + b"\n\n") == ([], None, retry, 0, False)


def test_retry_of_absurdly_many_digits_is_ignored() -> None:
    assert read(b"retry: " + b"9" * 5000 + b"\n")[2] is None


# Ids


def test_an_id_holds_for_later_events_until_another_comes() -> None:
    assert [part.id for part in parts_of(b"data: 0\n\nid: 1\ndata: 1\n\ndata: 2\n\ndata: 3\nid: 4\n\n")] == [
        None,
        "1",
        "1",
        "4",
    ]


def test_an_id_alone_moves_the_position_and_gives_no_part() -> None:
    assert read(b"id: 5\n\n") == ([], "5", None, 0, False)
    assert parts_of(b"id: 5\n\ndata: 1\n\n") == [StreamPart("message", 1, "5")]


@pytest.mark.parametrize("line", [b"id", b"id:", b"id: "])
def test_an_empty_id_clears_it(line: bytes) -> None:
    parts, last_id, *_ = read(b"id: 5\ndata: 1\n\n" + line + b"\ndata: 2\n\n")
    assert ([part.id for part in parts], last_id) == (["5", None], "")


def test_an_id_that_holds_nul_is_ignored() -> None:
    assert [part.id for part in parts_of(b"id: 5\ndata: 1\n\nid: 6\0\ndata: 2\n\n")] == ["5", "5"]


def test_the_id_of_an_event_that_was_cut_off_does_not_count() -> None:
    assert read(b"id: 5\ndata: 1\n\ndata: 2\nid: 6\n")[1] == "5"


# Characters


def test_invalid_utf8_becomes_replacement_characters() -> None:
    assert parts_of(b'data: "a\xff\xfeb"\n\ndata: "\xc3\xa9"\n\n') == [
        StreamPart("message", "a\ufffd\ufffdb"),
        StreamPart("message", "é"),
    ]
    assert parts_of(b"event: v\xff\nid: \xff\ndata: 1\n\n") == [StreamPart("v\ufffd", 1, "\ufffd")]


def test_a_character_may_be_split_over_reads() -> None:
    assert parts_of('data: "é€😀"\n\n'.encode()) == [StreamPart("message", "é€😀")]


# Heartbeats


def test_a_heartbeat_is_counted_and_yields_nothing() -> None:
    assert read(b": heartbeat\r\n\r\n") == ([], None, None, 1, False)


def test_a_comment_inside_an_event_counts_and_changes_nothing() -> None:
    parts, _, _, heartbeats, _ = read(b"event: values\n:\ndata: 1\n: data: 2\n\n")
    assert (parts, heartbeats) == ([StreamPart("values", 1)], 2)


def test_a_heartbeat_counts_as_soon_as_its_line_ends() -> None:
    framer = Framer()
    framer.feed(b": heartbeat\n")
    assert framer.heartbeats == 1


# The end of the stream


@pytest.mark.parametrize(
    "tail",
    [b"event: values\ndata: 2\n", b"event: values\ndata: 2", b'data: {"a', b"event: values\n", b"id: 9\n", b"dat"],
)
def test_an_event_that_is_cut_off_is_not_given_but_known(tail: bytes) -> None:
    parts, _, _, _, truncated = read(b"data: 1\n\n" + tail)
    assert (parts, truncated) == ([StreamPart("message", 1)], True)


@pytest.mark.parametrize("tail", [b"", b"\n", b": heartbeat\n", b": heart"])
def test_a_stream_that_ends_between_events_is_not_cut_off(tail: bytes) -> None:
    assert read(b"data: 1\n\n" + tail)[-1] is False


# Size


def test_an_event_larger_than_the_limit_stops_the_framer_after_the_parts_before_it() -> None:
    framer = Framer(max_event_bytes=20)
    assert framer.feed(b"data: 1\n\ndata: " + b"x" * 20 + b"\n\ndata: 3\n\n") == [StreamPart("message", 1)]
    assert framer.overflow
    assert framer.feed(b"data: 4\n\n") == []


@pytest.mark.parametrize("piece", [b"x" * 8, b"data: x\n", b": comment", b"\xff" * 8])
def test_what_never_ends_is_not_kept(piece: bytes) -> None:
    framer = Framer(max_event_bytes=1000)
    fed = 0
    while not framer.overflow and fed < 10_000:
        framer.feed(piece)
        fed += len(piece)
    assert framer.overflow
    assert fed < 1200


def test_heartbeats_and_small_events_never_add_up_to_the_limit() -> None:
    framer = Framer(max_event_bytes=50)
    for _ in range(100):
        assert framer.feed(b": heartbeat\ndata: 1\n\n") == [StreamPart("message", 1)]
    assert not framer.overflow


def test_an_event_in_many_reads_costs_each_read_no_more_than_its_own_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    size, read_size = 8_000_000, 8_000
    parsed: List[int] = []
    decode = framing.decode
    monkeypatch.setattr(framing, "decode", lambda data: parsed.append(len(data)) or decode(data))
    framer = Framer()
    tracemalloc.start()
    try:
        framer.feed(b'data: "')
        for _ in range(size // read_size):
            read_bytes = b"x" * read_size
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            assert framer.feed(read_bytes) == []
            assert tracemalloc.get_traced_memory()[1] - before < 8 * read_size
    finally:
        tracemalloc.stop()
    (part,) = framer.feed(b'"\n\n')
    assert len(part.data) == size
    assert parsed == [len('""') + size]


def test_an_event_of_many_lines_is_parsed_in_groups_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: List[int] = []
    parse = framing.parse_fields
    monkeypatch.setattr(
        framing, "parse_fields", lambda frames: lines.extend(frame.count(b"\n") for frame in frames) or parse(frames)
    )
    stream = b"event: values\ndata: [\n" + b"data: 1,\n" * 5_000 + b"data: 2]\nid: 8\n\ndata: 3\n\n"
    assert Framer().feed(stream) == [StreamPart("values", [1] * 5_000 + [2], "8"), StreamPart("message", 3, "8")]
    assert max(lines) < 300
    assert sum(lines) < 5_200


# Recordings of the real server


@pytest.mark.parametrize(
    ("recording", "events", "heartbeats"),
    [
        ("agent/v1-resumable.sse", 20, 0),
        ("unicode/v1-messages-tuple.sse", 9, 0),
        ("silent/v1-messages.sse", 3, 2),
    ],
)
def test_a_recording_reads_the_same_whole_and_in_pieces(recording: str, events: int, heartbeats: int) -> None:
    stream = (CAPTURES / recording).read_bytes()
    whole = state_after([stream])
    for size in (1, 7, 1000):
        assert state_after(stream[i : i + size] for i in range(0, len(stream), size)) == whole
    parts, _, _, beats, truncated = whole
    assert (len(parts), beats, truncated) == (events, heartbeats, False)
    assert not any(isinstance(part.data, Undecoded) for part in parts)
