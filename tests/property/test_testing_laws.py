"""However the bytes of a response arrive, a fault strikes at the same place, and what has no fault is not touched."""

from __future__ import annotations

import json
from typing import Any, Iterator, List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from whatwg import interpret

from lgsync.testing import Corrupt, Cut, Fault, Pass, Stall
from lgsync.testing.shaping import Shaper, Step
from lgsync.testing.wire import Body, Chunked, Frames, Sized

LINES = st.sampled_from(
    [b"data: a", b"data", b"data:\xc3\xa9", b"event: x", b"id: 1", b": beat", b"", b"", b"datum: 1"]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])), max_size=30).map(
    lambda lines: b"".join(line + end for line, end in lines)
)
CUTS = st.lists(st.integers(0, 600), max_size=10)
COUNTS = st.integers(0, 12)
BODIES = st.sampled_from([Body, Chunked, Frames, lambda: Sized(9)])


def chunked(content: bytes, cuts: List[int]) -> bytes:
    pieces = [piece for piece in split(content, cuts) if piece]
    return b"".join(b"%X;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: 1\r\n\r\n"


def split(data: bytes, cuts: List[int]) -> List[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in zip(places, places[1:])]


def steps(fault: Fault, body: Body, data: bytes, reads: List[int]) -> Iterator[Step]:
    shaper = Shaper(fault, body)
    yield from shaper.start()
    for read in split(data, reads):
        yield from shaper.feed(read)


def around(fault: Fault, body: Body, data: bytes, reads: List[int]) -> Tuple[bytes, bytes, bool]:
    """What is sent before the fault strikes and after it, and whether it does."""
    sent: Tuple[List[Any], List[Any]] = ([], [])
    struck = False
    for step in steps(fault, body, data, reads):
        if isinstance(step, bytes):
            sent[struck].append(step)
        else:
            assert step is fault
            struck = True
    return b"".join(sent[0]), b"".join(sent[1]), struck


def content(body: bytes) -> bytes:
    return b"".join(piece.raw for piece in Chunked().feed(body) if piece.content)


@given(st.one_of(st.binary(max_size=300), STREAMS), CUTS, BODIES)
def test_what_has_no_fault_passes_byte_for_byte(data: bytes, chunks: List[int], body: Any) -> None:
    for sent in (data, chunked(data, chunks)):
        made = body()
        assert b"".join(step for step in steps(Pass(), made, sent, [])) + made.rest == sent  # type: ignore[misc]


@given(STREAMS, CUTS, CUTS, COUNTS)
def test_events_end_where_the_standard_ends_them(data: bytes, chunks: List[int], reads: List[int], count: int) -> None:
    fault = Cut(after_events=count)
    before, _, struck = around(fault, Chunked(), chunked(data, chunks), reads)

    assert struck == (len(interpret(data).events) >= count)
    if struck:
        assert data.startswith(content(before))
        assert len(interpret(content(before)).events) == count
        assert content(before)[-1:] in (b"", b"\n")
        assert around(fault, Body(), data, reads)[0] == content(before)


@given(STREAMS, CUTS, CUTS, COUNTS, st.integers(0, 5))
def test_what_a_stall_withholds_is_what_it_had_not_sent(
    data: bytes, chunks: List[int], reads: List[int], count: int, offset: int
) -> None:
    for fault in (Stall(after_bytes=count, offset=offset), Stall(after_text=b"data", offset=offset)):
        sent = chunked(data, chunks)
        before, after, struck = around(fault, Chunked(), sent, reads)
        assert before + after == sent
        if struck:
            place = count + offset if fault.after_bytes is not None else data.index(b"data") + 4 + offset
            assert content(before) == data[:place]
    before, after, _ = around(Stall(after_events=count), Chunked(), chunked(data, chunks), reads)
    assert content(before + after) == data


@given(st.binary(min_size=1, max_size=100), CUTS, CUTS, st.integers(0, 99), st.integers(1, 255))
def test_a_corrupted_body_differs_in_one_byte(
    data: bytes, chunks: List[int], reads: List[int], at: int, xor: int
) -> None:
    before, after, struck = around(Corrupt(after_bytes=at, xor=xor), Chunked(), chunked(data, chunks), reads)

    assert struck == (at < len(data))
    expected = bytearray(data)
    if struck:
        expected[at] ^= xor
    assert content(before + after) == bytes(expected)


def frames(message: Any, sizes: List[int]) -> bytes:
    """A message in fragments, with a ping before each."""
    pieces = split(message, sizes)
    codes = [Opcode.TEXT, *[Opcode.CONT] * (len(pieces) - 1)]
    ping = Frame(Opcode.PING, b"p").serialize(mask=False)
    return b"".join(
        ping + Frame(code, piece, fin=number == len(pieces)).serialize(mask=False)
        for number, (code, piece) in enumerate(zip(codes, pieces), 1)
    )


MESSAGES = st.lists(
    st.tuples(st.sampled_from([0, 1, 125, 126, 300, 70_000]).map(bytes), CUTS.map(lambda cuts: cuts[:2]))
)


@given(MESSAGES, CUTS, st.integers(0, 5))
def test_messages_of_a_websocket_end_with_their_last_frame(messages: Any, reads: List[int], count: int) -> None:
    sent = [frames(message, sizes) for message, sizes in messages]

    before, after, struck = around(Cut(after_events=count), Frames(), b"".join(sent), reads)
    assert struck == (len(sent) >= count)
    assert before + after == b"".join(sent)
    if struck:
        assert before == b"".join(sent[:count])


@given(MESSAGES, CUTS, st.integers(0, 400))
def test_a_clean_end_never_falls_inside_a_frame(messages: Any, reads: List[int], place: int) -> None:
    body = Frames()
    data = b"".join(frames(message, sizes) for message, sizes in messages)
    before, _, struck = around(Cut(after_bytes=place, how="eof"), body, data, reads)

    checked = Frames()
    assert b"".join(piece.raw for piece in checked.feed(before)) == before
    assert checked.whole or not struck
    assert len(before) >= place or not struck


def test_a_text_may_be_anything_that_json_can_hold() -> None:
    data = b"data: " + json.dumps({"text": "Grüße"}).encode() + b"\n\n"
    before, after, _ = around(Cut(after_text=b"\\u00"), Body(), data, list(range(len(data))))
    assert (before, after) == (data[: data.index(b"\\u00") + 4], data[data.index(b"\\u00") + 4 :])
