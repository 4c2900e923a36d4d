"""Laws of recordings: what a client sees when one is replayed is what it saw live."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import THREAD, ScriptedSource, ScriptedTransport, run_answers
from taped import opened, recording, replaying, seen

from lgsync import Client, errors
from lgsync.parts import StreamPart, Undecoded
from lgsync.recording import Header, Recording, line_of, read, written
from lgsync.secret_names import is_secret_in_request
from lgsync.transport import Capabilities, RunJoin, RunStart

# All that a text may hold but what would be taken for a secret in a URL.
TEXTS = st.text(st.characters(exclude_characters="=@")).filter(lambda text: not is_secret_in_request(text))
ODD = st.sampled_from(["\u2028", "\u2029", "\x85", "\r\n", "\n\n", "\x00", "\x1e", "\ud800", "😀", "***", ""])
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())
JSON = st.recursive(
    st.one_of(TEXTS, ODD, NUMBERS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(TEXTS, ODD), inner, max_size=4)),
    max_leaves=10,
)
IDS = st.one_of(st.none(), st.from_regex(r"\A[0-9]{1,3}-[0-9]\Z"), TEXTS)
EVENTS = st.one_of(st.sampled_from(["values", "messages", "custom|a:1", "error", "updates"]), TEXTS)
PARTS = st.builds(StreamPart, EVENTS, st.one_of(JSON, st.builds(Undecoded, TEXTS)), IDS)
FAILURES = st.one_of(
    st.builds(errors.ConnectionLost, TEXTS, url=TEXTS),
    st.builds(errors.ConnectionTimeout, TEXTS, url=TEXTS),
    st.builds(errors.PositionLost, TEXTS, url=TEXTS),
    st.builds(errors.EventTooLarge, TEXTS, url=TEXTS, status=st.integers(100, 599)),
    st.builds(errors.NotFoundError, TEXTS, url=TEXTS, status_code=st.just(404), body=JSON),
    st.builds(errors.StreamLost, TEXTS, thread_id=IDS, run_id=IDS, cursor=IDS),
    st.builds(
        errors.UnsupportedByTransport, TEXTS, option=TEXTS, transport=TEXTS, alternatives=st.tuples(TEXTS, TEXTS)
    ),
)
ENDS = st.one_of(st.just("clean"), FAILURES)

START = RunStart("t", {"assistant_id": "agent", "input": {"messages": []}})


def live(parts: Any, end: Any, outcome: Any, exact: bool) -> ScriptedTransport:
    steps = [*parts, *([] if end == "clean" else [end])]
    return ScriptedTransport(ScriptedSource(steps, outcome=outcome, exact=exact), run_answers())


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1 is not True, nor is raw text decoded."""
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return type(other) is dict and one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return type(one) is type(other) and bool(one == other)


@given(st.lists(PARTS, max_size=8), ENDS, st.sampled_from([None, "success", "interrupted"]), st.booleans())
@settings(max_examples=150)
def test_a_replayed_stream_shows_what_the_live_one_showed(parts: Any, end: Any, outcome: Any, exact: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        recorder = recording(live(parts, end, outcome, exact), path)
        shown = seen(recorder.open_run(START))
        recorder.close()

        replayed = seen(replaying(path).open_run(START))

    assert same(shown, replayed)
    assert [part.id for part in shown[0]] == [part.id for part in parts]


@given(FAILURES)
@settings(max_examples=50)
def test_a_refused_stream_is_refused_with_the_same_error(failure: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        recorder = recording(ScriptedTransport([failure]), path)
        shown = opened(recorder, START)
        recorder.close()

        replayed = opened(replaying(path), START)

    assert same(shown, replayed)
    assert shown[0] is type(failure)


@given(st.lists(PARTS, max_size=8), ENDS)
def test_no_part_makes_more_than_one_line(parts: Any, end: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        recorder = recording(live(parts, end, None, True), path)
        seen(recorder.open_run(START))
        recorder.close()
        data = path.read_bytes()

    # The header, the opening, and the end.
    assert len(data.split(b"\n")) - 1 == len(data.decode("utf-8").splitlines()) == len(parts) + 3


@given(st.lists(PARTS, max_size=8), st.floats(0, 1))
def test_wherever_a_recording_is_torn_what_was_whole_can_be_read(parts: Any, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        recorder = recording(live(parts, "clean", None, True), path)
        seen(recorder.open_run(START))
        recorder.close()
        whole = path.read_bytes()

    begin = whole.index(b"\n") + 1
    # How long it is depends on the times in it.
    torn = read(whole[: begin + round(share * (len(whole) - begin))], "torn")

    assert torn.entries == read(whole, "whole").entries[: len(torn.entries)]


# What cannot be sent is not written either.
SENDABLE = st.text(st.characters(exclude_characters="=@", exclude_categories=["Cs"])).filter(
    lambda text: not is_secret_in_request(text)
)


@given(
    st.builds(
        RunJoin,
        SENDABLE,
        SENDABLE,
        st.tuples(SENDABLE),
        st.none() | SENDABLE,
        st.booleans(),
        st.booleans(),
        st.booleans(),
    )
)
def test_a_request_for_a_stream_is_read_as_it_was_written(join: RunJoin) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        recorder = recording(live([], "clean", None, True), path)
        recorder.open_run(join)
        recorder.close()

        told = read(path.read_bytes(), "join")

    assert told.entries[0].request == join  # type: ignore[union-attr]


def test_a_recording_is_written_as_it_was_read(tmp_path: Path) -> None:
    header = Header(
        "sse", Capabilities(frozenset(["values"]), ("values",)), "http://server", "2026-01-01T00:00:00+00:00"
    )
    recorder = recording(
        live([StreamPart("values", {"a": 1}, "1-0")], "clean", "success", False), tmp_path / "run.jsonl"
    )
    seen(recorder.open_run(START))
    entries = read((tmp_path / "run.jsonl").read_bytes(), "one").entries
    again = b"".join(line_of(written(each)) for each in (header, *entries))

    assert read(again, "again") == Recording(header, entries)


@given(
    st.lists(st.tuples(st.integers(0, 1), JSON), max_size=12),
    st.lists(st.integers(0, 12), max_size=4),
)
@settings(max_examples=60)
def test_wherever_a_replay_is_cut_each_part_is_given_once(steps: Any, cuts: Any) -> None:
    number, parts = 1, []
    for later, data in steps:
        # Servers give several parts one id.
        number += later
        parts.append(StreamPart("custom", data, f"{number}-0"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        shown = [read_by_a_client(recording(live(parts, "clean", "success", True), path))]
        shown.append(read_by_a_client(replaying(path, cut_after=cuts)))

    assert same(shown, [parts, parts])


def read_by_a_client(transport: Any) -> Any:
    with Client(transport=transport, reconnect=5.0).runs.stream(THREAD, "agent", input={}, stream_mode="custom") as run:
        return list(run)
