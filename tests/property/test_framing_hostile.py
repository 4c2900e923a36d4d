"""Whatever bytes a server sends and however they arrive, the framer neither breaks nor keeps more than it may."""

from __future__ import annotations

import pathlib
import pickle
from typing import Any, Dict, List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from lgsync.parts import StreamPart
from lgsync.transports.framing import Framer

CAPTURES = pathlib.Path(__file__).parents[1] / "data" / "captures"
RECORDING = (CAPTURES / "agent" / "v1-combined.sse").read_bytes()[:4000]

# Bytes that mean something come often, all others sometimes.
MEANT = [
    b"\r",
    b"\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b":",
    b" ",
    b"data",
    b"id",
    b"event",
    b"retry",
    b"1",
    b"{}",
]
NOISE = st.lists(st.sampled_from(MEANT) | st.binary(max_size=3), max_size=80).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A recorded stream of which some bytes were lost, doubled or replaced."""
    stream = RECORDING
    for _ in range(draw(st.integers(1, 6))):
        place, size = draw(st.integers(0, len(stream))), draw(st.integers(0, 20))
        other = draw(st.sampled_from([b"", stream[place : place + 40], b"\n\n", b"\r"]) | st.binary(max_size=6))
        stream = stream[:place] + other + stream[place + size :]
    return stream


STREAMS = NOISE | damaged()
CUTS = st.lists(st.integers(0, 4500), max_size=12)
LIMITS = st.integers(1, 40) | st.integers(100, 1200)


def fed(stream: bytes, cuts: List[int], limit: int) -> Tuple[List[StreamPart], Dict[str, Any]]:
    framer = Framer(limit)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [part for a, b in zip(places, places[1:]) for part in framer.feed(stream[a:b])]
    known = {name: getattr(framer, name) for name in ("last_id", "retry", "heartbeats", "overflow", "truncated")}
    return parts, known


@given(STREAMS, CUTS, LIMITS)
def test_how_bytes_arrive_changes_nothing_whatever_they_are(stream: bytes, cuts: List[int], limit: int) -> None:
    assert fed(stream, cuts, limit) == fed(stream, [], limit) == fed(stream, list(range(len(stream))), limit)


@given(STREAMS, LIMITS)
def test_a_limit_cuts_a_stream_off_and_changes_nothing_before(stream: bytes, limit: int) -> None:
    parts, known = fed(stream, [], limit)
    everything, _ = fed(stream, [], len(stream) + 1)
    assert parts == everything[: len(parts)]
    assert known["overflow"] or parts == everything


@given(STREAMS, STREAMS, LIMITS)
def test_nothing_is_given_once_the_limit_was_passed(stream: bytes, more: bytes, limit: int) -> None:
    framer = Framer(limit)
    framer.feed(stream)
    if framer.overflow:
        assert framer.feed(more + b"\n\ndata: 1\n\n") == []


ENDLESS = st.lists(st.binary(min_size=20).map(lambda data: data.translate(None, b"\r\n")), min_size=10, max_size=40)


@given(st.lists(NOISE, min_size=1) | ENDLESS, st.integers(1, 40))
def test_what_is_kept_between_reads_is_bounded_by_the_limit(reads: List[bytes], limit: int) -> None:
    framer = Framer(limit)
    empty = len(pickle.dumps(framer))
    for read in reads:
        framer.feed(read)
        # A name, an id and data may each be as long as the limit; pickling adds a few bytes to each line and read.
        assert len(pickle.dumps(framer)) < empty + 10 * limit + 100
