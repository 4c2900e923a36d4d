"""A run of the event protocol, joined as an event stream: its envelopes come out as the parts of any other run."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Tuple

import pytest
from event_tape import Tape, ai, human, told
from rawserver import Connection, RawServer

from lgsync.errors import ConnectionLost
from lgsync.parts import StreamPart
from lgsync.transport import PartSource, RunJoin, Timeout, TransportConfig
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")

METADATA = b'event: metadata\r\ndata: {"run_id":"run-1","attempt":1}\r\nid: 1000-0\r\n\r\n'
HI = human("hi")
TOOL = {"type": "tool", "content": "54F", "id": "r1", "tool_call_id": "t1", "name": "search"}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
CHILD = ["child:1"]


def frame(envelope: Dict[str, Any], **beside: Any) -> bytes:
    """An envelope as a join shows it: without its id, under its method's name, the stream's id after it."""
    shown = {key: value for key, value in envelope.items() if key != "event_id"}
    shown["params"] = {**envelope["params"], **beside}
    name = "|".join((envelope["method"], *envelope["params"]["namespace"]))
    return f"event: {name}\r\ndata: {json.dumps(shown)}\r\nid: {1000 + envelope['seq']}-0\r\n\r\n".encode()


def a_run() -> List[bytes]:
    """A model's message in two pieces and a tool's; the snapshots are whole, as joins show them."""
    tape = Tape()
    first, said = tape.values(HI), tape.said("m1", "Hel", "lo", usage=USAGE)
    last = tape.values(HI, ai("Hello", "m1", usage_metadata=USAGE), TOOL)
    return [METADATA, *map(frame, [first, *said, last])]


def joined(
    *bodies: List[bytes], position: Optional[str] = "-1", modes: Tuple[str, ...] = (), **options: Any
) -> Tuple[List[StreamPart], PartSource, RawServer]:
    """What a join gives whose requests are answered with these bodies, one after the other."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        connection.chunk(b"".join(bodies[connection.number]))
        connection.end()

    with RawServer(script) as server:
        transport = SSETransport(TransportConfig(server.url, timeout=Timeout(5, 5)))
        source = transport.open_run(RunJoin("t", "run-1", modes=modes, position=position, **options))
        try:
            parts: List[StreamPart] = []
            for part in source:
                assert source.position == (part.id or source.position)
                parts.append(part)
        finally:
            transport.close()
    return parts, source, server


def events(parts: List[StreamPart]) -> List[str]:
    return [part.event for part in parts]


def test_envelopes_come_out_as_parts() -> None:
    parts, source, _ = joined(a_run())
    assert events(parts) == ["metadata", "values", "messages", "messages", "messages", "messages", "values"]
    _, accumulator = told(parts)
    assert [(one.id, one.text, one.usage) for one in accumulator.run_messages] == [
        ("m1", "Hello", USAGE),
        ("r1", "54F", None),
    ]
    assert source.exact


def test_a_message_that_only_a_whole_snapshot_shows_lacks_nothing() -> None:
    tape = Tape()
    first, last = tape.values(HI), tape.values(HI, ai("Hello", "m1", usage_metadata=USAGE))
    parts, source, _ = joined([METADATA, frame(first), frame(last)])
    assert [one.usage for one in told(parts)[0]] == [USAGE]
    assert source.exact


def test_an_event_that_is_sent_twice_counts_once() -> None:
    run = a_run()
    assert joined([*run[:5], *run[3:]])[0] == joined(run)[0]


def test_an_events_id_is_that_of_each_of_its_parts() -> None:
    parts, _, _ = joined(a_run())
    assert [part.id for part in parts] == ["1000-0", "1001-0", "1003-0", "1004-0", "1006-0", "1007-0", "1007-0"]


@pytest.mark.parametrize("taken", [1, 2, 3, 4, 5, 7])
def test_a_join_goes_on_from_the_position_of_any_part(taken: int) -> None:
    run = a_run()
    whole, _, _ = joined(run)
    position = whole[taken - 1].id
    assert position is not None
    rest = [each for each in run if f"id: {position}\r\n".encode() in each]
    after = run[run.index(rest[0]) + 1 :]
    parts, source, server = joined(after, run, position=position)
    assert parts == whole[taken:]
    asked = [request.headers["last-event-id"] for request in server.requests]
    assert asked == ([position, "-1"] if after else [position])
    assert source.position == whole[-1].id


def test_a_join_from_now_on_gives_only_what_is_new() -> None:
    run = a_run()
    parts, _, _ = joined(run[4:], run, position=None)
    assert events(parts) == ["messages", "messages", "messages", "values"]
    assert parts[0].data[0]["id"] == "m1"


def test_a_run_whose_beginning_cannot_be_had_again_is_lost() -> None:
    run = a_run()
    with pytest.raises(ConnectionLost, match="no longer has the position"):
        joined(run[4:], run[:2], position="1003-0")


def test_the_replay_does_not_close_a_join_that_would_cancel_the_run() -> None:
    run, seen = a_run(), []

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream()
        if connection.number == 0:
            connection.chunk(run[4])
            seen.append(connection.peer_closed())
        else:
            connection.chunk(b"".join(run))
            seen.append("replayed")
            connection.end()

    with RawServer(script) as server:
        transport = SSETransport(TransportConfig(server.url, timeout=Timeout(5, 5)))
        source = transport.open_run(RunJoin("t", "run-1", position="1003-0", cancel_on_disconnect=True))
        assert events(list(source)) == ["messages", "messages", "messages", "values"]
        server.wait_for_scripts()
        transport.close()
    assert seen == ["replayed", True]


def test_what_a_subgraph_says_shows_only_if_asked_for_and_its_end_is_not_the_runs() -> None:
    tape = Tape()
    first = tape.values(HI)
    said = tape.said("m1", "Hi", namespace=CHILD)
    ended = tape.event("lifecycle", {"event": "completed", "namespace": CHILD})
    frames = [METADATA, *map(frame, [first, *said, ended, tape.values(HI, ai("Hi", "m1"))])]
    assert events(joined(frames)[0]) == ["metadata", "values", "messages", "values"]
    with_subgraphs = events(joined(frames, stream_subgraphs=True)[0])
    assert with_subgraphs == ["metadata", "values", "messages|child:1", "messages|child:1", "values"]


def test_an_interrupt_beside_a_snapshot_is_told_once() -> None:
    tape = Tape()
    asks = [{"id": "i1", "value": "ok?", "response_schema": None}]
    first, child, last = tape.values(HI), tape.values(HI, namespace=CHILD), tape.values(HI)
    parts, _, _ = joined([METADATA, frame(first), frame(child, interrupts=asks), frame(last, interrupts=asks)])
    waiting = [{"id": "i1", "value": "ok?"}]
    assert [(part.event, part.data.get("__interrupt__")) for part in parts[2:]] == [
        ("updates", waiting),
        ("values", waiting),
    ]


def test_modes_choose_the_form_and_what_they_leave_out_is_known_to_be_missing() -> None:
    messages = [each for each in a_run() if each.startswith(b"event: messages")]
    parts, source, _ = joined(messages, modes=("messages",))
    assert events(parts) == ["messages/metadata", "messages/partial", "messages/partial", "messages/partial"]
    assert not source.exact
    assert joined(a_run(), modes=("messages-tuple", "values"))[1].exact


def test_another_attempt_counts_from_one_again() -> None:
    run = a_run()
    again = METADATA.replace(b'"attempt":1', b'"attempt":2')
    parts, _, _ = joined([*run[:4], again, *run[1:]])
    assert events(parts)[:5] == ["metadata", "values", "messages", "metadata", "values"]
    assert len(parts) == 3 + 7


def test_a_graphs_own_data_is_left_alone_though_it_looks_like_an_event() -> None:
    custom = {"type": "event", "method": "messages", "seq": 1, "params": {"namespace": []}}
    frames = [f"event: custom\ndata: {json.dumps(custom)}\n\n".encode(), b"event: values\ndata: {}\n\n"]
    parts, source, _ = joined(frames)
    assert [(part.event, part.data) for part in parts] == [("custom", custom), ("values", {})]
    assert source.exact
