"""Whatever the stream and however it is cut, the framer says what the HTML standard says."""

from __future__ import annotations

import json
from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from whatwg import interpret

from lgsync.codec import decode
from lgsync.parts import StreamPart, Undecoded
from lgsync.transports.framing import Framer

FIELDS = b"data|data:|data: |event|event:|event: |id|id:|id: |retry:|retry: 10|: heartbeat|x: y"
VALUES = b'values|end|1|{}|{"a":[1,2]}|"text"| |:|\0|\x1c|\xff|\xe2\x82|\xe2\x80\xa8|\xef\xbb\xbf'
ENDS = [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n"]
PIECES = st.sampled_from([*FIELDS.split(b"|"), *VALUES.split(b"|"), *ENDS])

# Whole events, and some that nearly are.
EVENTS = [
    line_end.join([b"event: " + name, b"data: " + text, *id_, b"", b""])
    for line_end in (b"\r\n", b"\n")
    for name, text in [
        (b"messages", b'[{"a":1},{"b":[2]}]'),
        (b"messages|x:1", b'["]",{"b":[2]}]'),
        (b"end", b""),
        (b"", b"\xff"),
        (b"a\rb", b"{}"),
        (b"values", b"{\r}"),
        (b"values", b"1\r"),
        (b" values", b" 1 "),
    ]
    for id_ in ([b"id: 1"], [b"id: "], [b"id: 1\0"], [b"id: 1\r"], [b"id: \xff"], [])
]
STREAMS = st.one_of(
    st.lists(PIECES, max_size=40).map(b"".join),
    st.lists(st.sampled_from(EVENTS) | PIECES, max_size=10).map(b"".join),
    st.binary(max_size=200),
)


CUTS = st.lists(st.integers(0, 400), max_size=8)


def fed(stream: bytes, cuts: List[int], **options: int) -> Tuple[List[StreamPart], Framer]:
    framer = Framer(**options)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [part for a, b in zip(places, places[1:]) for part in framer.feed(stream[a:b])], framer


def expected(stream: bytes) -> List[StreamPart]:
    """What the standard gives, as parts; an ``end`` event without data is the one thing that run streams add."""
    return [StreamPart(name, _data(text), last_id or None) for name, text, last_id in interpret(stream).events]


def _data(text: str) -> object:
    try:
        return decode(text) if text else None
    except ValueError:
        return Undecoded(text)


@given(STREAMS, CUTS)
def test_the_parts_are_those_of_the_standard_whatever_the_reads(stream: bytes, cuts: List[int]) -> None:
    parts, framer = fed(stream, cuts)
    assert [part for part in parts if part.event != "end"] == [p for p in expected(stream) if p.event != "end"]
    outcome = interpret(stream)
    assert (framer.last_id or "", framer.retry) == (outcome.last_id, outcome.retry)


@given(STREAMS, CUTS)
def test_reads_change_nothing_that_the_framer_knows(stream: bytes, cuts: List[int]) -> None:
    (whole_parts, whole), (parts, pieces) = fed(stream, []), fed(stream, cuts)
    assert parts == whole_parts
    for name in ("last_id", "retry", "heartbeats", "truncated", "overflow"):
        assert getattr(pieces, name) == getattr(whole, name), name


@given(STREAMS, CUTS, st.integers(1, 30))
def test_a_size_limit_acts_alike_whatever_the_reads(stream: bytes, cuts: List[int], limit: int) -> None:
    parts, framer = fed(stream, cuts, max_event_bytes=limit)
    whole_parts, whole = fed(stream, [], max_event_bytes=limit)
    assert (parts, framer.overflow) == (whole_parts, whole.overflow)


@given(st.lists(st.tuples(st.sampled_from(["values", "updates|a:1"]), st.text(), st.text("0123456789-", min_size=1))))
def test_whatever_a_server_frames_comes_out_as_it_went_in(events: List[Tuple[str, str, str]]) -> None:
    stream = "".join(f"event: {name}\r\ndata: {json.dumps(text)}\r\nid: {id_}\r\n\r\n" for name, text, id_ in events)
    assert Framer().feed(stream.encode()) == [StreamPart(*event) for event in events]
