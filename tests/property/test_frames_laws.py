"""Whatever a server sends, and however the socket cuts it, the intake gives what websockets alone would give."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from typing import Any, List, Tuple

from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from lgsync.transports.frames import Intake

LONGEST = 70_000


def frame(opcode: int, data: bytes, fin: bool = True, rsv: int = 0, masked: bool = False, wide: int = 0) -> bytes:
    """One frame; ``wide`` is how many bytes its length is given, if not as few as can be."""
    size = len(data)
    wide = max(wide, 0 if size < 126 else 2 if size < 65536 else 8)
    length = bytes([size]) if not wide else bytes([126 if wide == 2 else 127]) + size.to_bytes(wide, "big")
    return bytes([fin << 7 | rsv << 4 | opcode, length[0] | masked << 7]) + length[1:] + data


DATA = st.one_of(
    st.binary(max_size=8),
    st.integers(120, 400).map(lambda size: b"x" * size),
    st.sampled_from([65535, 65536, LONGEST, LONGEST + 1]).map(lambda size: b"y" * size),
)
TEXTS = st.builds(frame, st.just(1), DATA, wide=st.sampled_from([0, 0, 2, 8]))
PIECES = st.lists(st.binary(max_size=200), min_size=2, max_size=4).map(
    lambda pieces: b"".join(
        frame(0 if number else 1, piece, fin=number == len(pieces) - 1) for number, piece in enumerate(pieces)
    )
)
PINGS = st.builds(frame, st.sampled_from([9, 10]), st.binary(max_size=125))
CLOSES = st.sampled_from([b"", struct.pack("!H", 1000) + b"bye", struct.pack("!H", 4401), b"x"]).map(
    lambda data: frame(8, data)
)
ANY = st.builds(
    frame,
    st.integers(0, 15),
    st.binary(max_size=130),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 4]),
    masked=st.sampled_from([False, False, False, True]),
)
FRAMES = st.one_of(TEXTS, TEXTS, TEXTS, PIECES, PINGS, CLOSES, ANY)
STREAMS = st.lists(FRAMES, max_size=12).map(b"".join)
CUTS = st.lists(st.one_of(st.integers(0, 60), st.integers(0, 200_000)), max_size=8)


def pieces_of(stream: bytes, cuts: List[int]) -> List[bytes]:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in zip(places, places[1:]) if a < b]


def new_protocol(state: State = State.OPEN, **options: Any) -> ClientProtocol:
    return ClientProtocol(parse_uri("ws://localhost/"), state=state, max_size=LONGEST, **options)


def flat(events: List[Any]) -> List[Any]:
    """Messages one by one, and what else came."""
    return [one for event in events for one in (event if isinstance(event, list) else [event])]


def put_together(events: List[Any]) -> List[Any]:
    """The same of what websockets gives, which leaves pieces as they are."""
    found, pieces = [], b""
    for event in events:
        if isinstance(event, Frame) and event.opcode < 8:
            pieces += bytes(event.data)
            if event.fin:
                found.append(pieces)
                pieces = b""
        else:
            found.append(event)
    return found


def through_intake(protocol: ClientProtocol, reads: List[bytes]) -> List[Any]:
    intake = Intake(protocol, LONGEST)
    events: List[Any] = []
    for read in reads:
        intake.receive_data(read)
        events += intake.events_received()
    protocol.receive_eof()
    return flat([*events, *intake.events_received()])


def alone(protocol: ClientProtocol, reads: List[bytes]) -> List[Any]:
    events: List[Any] = []
    for read in reads:
        protocol.receive_data(read)
        events += protocol.events_received()
    protocol.receive_eof()
    return put_together([*events, *protocol.events_received()])


def told(protocol: ClientProtocol) -> Tuple[Any, ...]:
    """How a connection ended, and how much was answered; what is sent is masked at random."""
    closes = (protocol.close_rcvd, protocol.close_sent, protocol.close_rcvd_then_sent, protocol.close_code)
    return (*closes, protocol.state, [len(data) for data in protocol.data_to_send()])


@given(STREAMS, CUTS)
@example(frame(1, b"", masked=True) + frame(1, b"x" * 200), [])
def test_messages_pings_and_ends_are_those_of_websockets_itself(stream: bytes, cuts: List[int]) -> None:
    reads, ours, theirs = pieces_of(stream, cuts), new_protocol(), new_protocol()
    assert through_intake(ours, reads) == alone(theirs, reads)
    assert told(ours) == told(theirs)


@given(STREAMS, CUTS, st.integers(0, 200_000))
def test_a_connection_that_breaks_off_anywhere_gives_the_whole_messages_before(
    stream: bytes, cuts: List[int], end: int
) -> None:
    reads = pieces_of(stream[:end], cuts)
    assert through_intake(new_protocol(), reads) == alone(new_protocol(), reads)


def shaken_hands(protocol: ClientProtocol, extensions: bytes = b"") -> bytes:
    """Ask for a WebSocket; returns the answer of a server that agrees."""
    request = protocol.connect()
    protocol.send_request(request)
    protocol.data_to_send()
    key = request.headers["Sec-WebSocket-Key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + extensions + b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept


@given(STREAMS, CUTS)
def test_frames_may_come_together_with_the_answer_to_the_handshake(stream: bytes, cuts: List[int]) -> None:
    ours, theirs = new_protocol(State.CONNECTING), new_protocol(State.CONNECTING)
    one, other = (shaken_hands(protocol) + stream for protocol in (ours, theirs))
    assert len(one) == len(other)
    events = through_intake(ours, pieces_of(one, cuts))
    assert events[1:] == alone(theirs, pieces_of(other, cuts))[1:]
    assert events[0].status_code == 101
    assert told(ours) == told(theirs)


@given(st.binary(max_size=300), CUTS)
def test_a_refusal_is_left_to_websockets(body: bytes, cuts: List[int]) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    ours = new_protocol(State.CONNECTING)
    shaken_hands(ours)
    (refused,) = through_intake(ours, pieces_of(answer, cuts))
    assert (refused.status_code, refused.body) == (403, body)


@given(st.lists(st.text(max_size=200).map(str.encode), max_size=8), CUTS)
def test_compressed_messages_are_unpacked(messages: List[bytes], cuts: List[int]) -> None:
    protocol = new_protocol(State.CONNECTING, extensions=[ClientPerMessageDeflateFactory()])
    packer = zlib.compressobj(wbits=-15)
    stream = shaken_hands(protocol, b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    for message in messages:
        packed = packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH)
        stream += frame(1, packed[:-4], rsv=4)
    assert through_intake(protocol, pieces_of(stream, cuts))[1:] == messages


def test_more_pieces_than_make_a_message_end_the_connection() -> None:
    protocol = new_protocol()
    stream = frame(1, b"", fin=False) + frame(0, b"", fin=False) * 5000
    assert through_intake(protocol, [stream]) == []
    assert protocol.close_sent is not None
    assert protocol.close_sent.code == CloseCode.MESSAGE_TOO_BIG


def test_messages_of_one_read_are_handed_over_together() -> None:
    intake = Intake(new_protocol(), LONGEST)
    intake.receive_data(frame(1, b"a") * 3 + frame(9, b"?") + frame(1, b"b", wide=8) + frame(1, b"c"))
    together = [event if isinstance(event, list) else event.opcode for event in intake.events_received()]
    assert together[:2] == [[b"a"] * 3, 9]
    assert flat(together[2:]) == [b"b", b"c"]
