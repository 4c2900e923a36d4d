"""Whatever comes, and in whatever order: what is decoded with what was remembered is what would be without."""

from __future__ import annotations

import json
from typing import Any, Iterator, List

from hypothesis import example, given
from hypothesis import strategies as st

from lgsync.codec import decode
from lgsync.transports import repeated_tail
from lgsync.transports.repeated_tail import RepeatedTail

# Texts that could be taken for the end of a message, or for its metadata.
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["]", ",{", ',{"a":1}]', '"', "\\", '\\",{', "\ud800", "\u2028", "}]", "{", 'x"},{"a":1}]', "\U0001f600"]
)
SCALARS = TEXTS | st.integers() | st.none() | st.booleans() | st.floats() | st.sampled_from([10**30, -0.0])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
METADATA = st.dictionaries(TEXTS, JSON, max_size=4)


def dumped(value: Any, separators: Any, ascii_only: bool) -> bytes:
    return json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


ODD_ENDS = [b'{"a":1,"a":2}', b'{"a":NaN}', b"{}", b"1", b'{"\xff":1}', b"[{}]"]
ODD_STARTS = [b" [", b"[[", b"[1,", b"", b"\xef\xbb\xbf[", b'["\xff",', b'[{"a":1,"a":2},']


def mostly(usual: Any, *others: Any) -> Any:
    return st.sampled_from([usual] * 3 * len(others) + list(others))


@st.composite
def streams(draw: st.DrawFn) -> List[bytes]:
    """Events whose ends come again and again, and some that were changed in a byte, or cut, or glued together."""
    separators, ascii_only = draw(mostly((",", ":"), (", ", ": "), (" ,", ":"))), draw(st.booleans())
    ends = [dumped(draw(METADATA), separators, ascii_only), draw(mostly(b"{}", *ODD_ENDS))]
    events = []
    for _ in range(draw(st.integers(2, 8))):
        message = dumped(draw(JSON), separators, ascii_only)
        event = draw(mostly(b"[", *ODD_STARTS)) + message + draw(mostly(b",", b", ", b":", b""))
        event += draw(st.sampled_from(ends)) + draw(mostly(b"]", b"] ", b"]]", b""))
        events.append(draw(damaged(event)))
    return events


@st.composite
def damaged(draw: st.DrawFn, event: bytes) -> bytes:
    if draw(st.integers(0, 7)):
        return event
    at = draw(st.integers(0, len(event)))
    return event[:at] + draw(st.binary(max_size=2) | st.sampled_from([b'"', b"]", b"{", b","])) + event[at + 1 :]


def outcome(decoder: Any, event: bytes) -> str:
    """What came of it, in a form that tells types, the order of keys, signs of zeros and NaN."""
    try:
        return repr(decoder(event))
    except (ValueError, RecursionError) as exc:
        return f"{type(exc)}: {exc}"


def containers(value: Any) -> Iterator[int]:
    """The identities of all in ``value`` that can be changed."""
    if isinstance(value, (dict, list)):
        yield id(value)
        for each in value.values() if isinstance(value, dict) else value:
            yield from containers(each)


@given(streams())
@example([b'[{"c":"a"},{"m":1}]', b'[{"c":"b,{\\"m\\":1}]"},{"m":1}]', b'["b,{"m":1}]'])
@example(
    [b'[1,{"m":1}]', b'[1,2,{"m":1}]', b'[,{"m":1}]', b',{"m":1}]', b'{"m":1}]', b'[[1,{"m":1}]', b'{"a":1,{"m":1}]']
)
@example([b'[1,{"m":[{},{"a":[1]}]}]', b'[2,{"m":[{},{"a":[1]}]}]', b'[2,{"a":[1]}]}]'])
def test_what_is_decoded_is_what_plain_decoding_gives(events: List[bytes]) -> None:
    decoder = RepeatedTail()
    for event in events:
        assert outcome(decoder.decode, event) == outcome(decode, event)


@given(st.lists(JSON, min_size=2, max_size=6), METADATA)
def test_no_two_results_share_what_can_be_changed(messages: List[Any], metadata: Any) -> None:
    decoder = RepeatedTail()
    results = [decoder.decode(dumped([message, metadata], (",", ":"), True)) for message in messages]
    seen = [place for result in results for place in containers(result)]
    assert len(seen) == len(set(seen))


def test_of_metadata_that_comes_again_nothing_is_parsed(monkeypatch: Any) -> None:
    parsed = 0

    def counted(data: bytes) -> Any:
        nonlocal parsed
        parsed += len(data)
        return decode(data)

    monkeypatch.setattr(repeated_tail, "from_json", counted)
    decoder, metadata = RepeatedTail(), {f"key {number}": "x" * 80 for number in range(10)}
    events = [dumped([{"content": str(number)}, metadata], (",", ":"), True) for number in range(100)]
    for event in events:
        decoder.decode(event)
    assert parsed < 100 * 30 + 2 * len(events[0])


def test_messages_that_take_turns_are_all_remembered(monkeypatch: Any) -> None:
    decoder = RepeatedTail()
    events = [dumped([{"content": "x"}, {"node": node, "of": "x" * 80}], (",", ":"), True) for node in range(5)]
    first = [decoder.decode(event) for event in events]
    monkeypatch.setattr(repeated_tail, "from_json", lambda data: decode(data) if len(data) < 80 else 1 / 0)
    assert [decoder.decode(event) for event in events * 3] == first * 3


def test_what_is_remembered_is_bounded() -> None:
    decoder = RepeatedTail()
    for number in range(1000):
        decoder.decode(b'[{},{"node":%d}]' % number)
    decoder.decode(b'[{},{"node":"' + b"x" * 100_000 + b'"}]')
    assert len(decoder._tails) <= 8
    assert sum(len(tail.text) for tail in decoder._tails) < 200
