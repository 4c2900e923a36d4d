"""Chunked bodies: what is told apart here is what http.client tells apart, however it comes in reads."""

from __future__ import annotations

import http.client
import io
from typing import Any, Iterable, List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from lgsync.transports.chunked import Chunks

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EXTENSIONS = st.sampled_from([b"", b";a=b", b"; a", b" ", b" ;x"])
TRAILERS = st.sampled_from([b"", b"a: b\r\n", b"a: b\r\nc: d\r\n"])


@st.composite
def bodies(draw: st.DrawFn) -> Tuple[bytes, bytes]:
    """A body, and its content."""
    contents = draw(st.lists(st.binary(min_size=1, max_size=20) | st.just(b"\r\n0\r\n\r\n"), max_size=6))
    wire = [
        draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % len(each) + draw(EXTENSIONS) + b"\r\n" + each + b"\r\n"
        for each in contents
    ]
    return b"".join(wire) + b"0" + draw(EXTENSIONS) + b"\r\n" + draw(TRAILERS) + b"\r\n", b"".join(contents)


def cut(data: bytes, places: Iterable[int]) -> List[bytes]:
    ends = sorted({place for place in places if place < len(data)})
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)])]


def fed(pieces: Iterable[bytes]) -> Tuple[bytes, Chunks]:
    chunks = Chunks()
    return b"".join([chunks.feed(piece) for piece in pieces]), chunks


def read_by_http_client(body: bytes) -> Tuple[bytes, bool]:
    """The content, and whether it came to its end."""

    class Connection:
        def makefile(self, mode: str) -> Any:
            return io.BufferedReader(io.BytesIO(HEAD + body))  # type: ignore[arg-type]

    answer = http.client.HTTPResponse(Connection())  # type: ignore[arg-type]
    answer.begin()
    pieces: List[bytes] = []
    try:
        while not answer.isclosed():
            pieces.append(answer.read1(65536))
    except (http.client.HTTPException, ValueError):
        return b"".join(pieces), False
    return b"".join(pieces), True


PLACES = st.lists(st.integers(0, 300))


@given(bodies(), PLACES)
def test_a_body_is_read_to_its_end_however_it_is_cut(body: Tuple[bytes, bytes], places: List[int]) -> None:
    wire, content = body
    got, chunks = fed(cut(wire, places))
    assert got == content
    assert (chunks.ended, chunks.complete, chunks.surplus, chunks.failure) == (True, True, False, None)


@given(bodies(), st.integers(0, 300), PLACES)
def test_a_body_that_breaks_off_gives_what_came_and_is_not_at_its_end(
    body: Tuple[bytes, bytes], size: int, places: List[int]
) -> None:
    wire, content = body[0][: min(size, len(body[0]) - 1)], body[1]
    got, chunks = fed(cut(wire, places))
    assert content.startswith(got)
    assert not chunks.ended
    assert chunks.complete <= (got == content)
    assert chunks.failure is None


@given(bodies(), st.binary(min_size=1, max_size=30), st.integers(1, 300))
def test_what_follows_the_end_is_told_and_not_given(body: Tuple[bytes, bytes], rest: bytes, place: int) -> None:
    wire, content = body
    got, chunks = fed(cut(wire + rest, [place]))
    assert got == content
    assert chunks.ended
    assert chunks.surplus or chunks.feed(b"x") == b""


@given(bodies(), st.integers(0, 300), st.binary(max_size=3), PLACES)
def test_a_body_that_was_changed_gives_no_more_than_http_client_reads_in_it(
    body: Tuple[bytes, bytes], at: int, change: bytes, places: List[int]
) -> None:
    wire = body[0][:at] + change + body[0][at + len(change) :]
    got, chunks = fed(cut(wire, places))
    content, whole = read_by_http_client(wire)
    if chunks.ended:
        assert whole
        assert got == content
    else:
        assert content.startswith(got) or got.startswith(content)


@given(bodies(), st.integers(0, 300), st.binary(max_size=3), PLACES)
def test_reads_change_nothing(body: Tuple[bytes, bytes], at: int, change: bytes, places: List[int]) -> None:
    wire = body[0][:at] + change + body[0][at + len(change) :]
    (whole, chunks), (cut_up, others) = fed([wire]), fed(cut(wire, places))
    assert whole == cut_up
    assert (chunks.ended, chunks.complete, type(chunks.failure)) == (
        others.ended,
        others.complete,
        type(others.failure),
    )


def test_a_line_without_end_is_given_up() -> None:
    chunks = Chunks()
    while chunks.failure is None:
        assert chunks.feed(b"1" * 1000) == b""
    assert isinstance(chunks.failure, http.client.LineTooLong)
