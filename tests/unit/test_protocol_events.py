"""What is not a message: the run's beginning and end, interrupts, snapshots, other modes, and positions."""

from __future__ import annotations

from event_tape import Tape, human, translated

from lgsync.parts import StreamPart
from lgsync.transports.protocol import Translator, root_event, run_of


def test_the_running_run_is_announced_as_metadata() -> None:
    tape = Tape()
    parts, _ = translated([tape.running()])
    assert parts == [StreamPart("metadata", {"run_id": "run-1", "attempt": 1}, "synth:run-1:lc||running")]


def test_an_event_that_the_server_makes_up_names_its_run() -> None:
    tape = Tape()
    assert run_of(tape.running()) == "run-1"
    assert run_of(tape.values()) is None
    assert run_of({"event_id": 7}) is None


def test_only_the_root_tells_of_the_run_as_a_whole() -> None:
    tape = Tape()
    assert root_event(tape.completed()) == "completed"
    assert root_event(tape.lifecycle("completed", ["child:1"])) is None
    assert root_event(tape.values()) is None


def test_the_end_of_the_run_is_noted_with_what_failed() -> None:
    tape = Tape()
    _, translator = translated([tape.running(), tape.lifecycle("failed", error="no city")])
    assert (translator.ended, translator.failure) == ("failed", "no city")


def test_an_interrupt_is_an_update_and_marks_the_snapshot_that_follows() -> None:
    tape = Tape()
    events = [tape.values(human("hi")), tape.interrupt("i1", {"q": "ok?"}), tape.values(human("hi"))]
    parts, _ = translated(events)
    waiting = [{"value": {"q": "ok?"}, "id": "i1"}]
    assert [(part.event, part.data.get("__interrupt__")) for part in parts] == [
        ("values", None),
        ("updates", waiting),
        ("values", waiting),
    ]


def test_an_interrupt_in_a_subgraph_shows_at_the_root_and_where_it_is_if_asked_for() -> None:
    tape = Tape()
    interrupt = tape.interrupt("i1", "ok?", ["child:1"])
    assert [part.event for part in translated([interrupt])[0]] == ["updates"]
    parts, _ = translated([interrupt], stream_subgraphs=True)
    assert [part.event for part in parts] == ["updates|child:1", "updates"]


def test_the_same_interrupt_is_said_once() -> None:
    tape = Tape()
    parts, _ = translated([tape.interrupt("i1", "ok?"), tape.interrupt("i1", "ok?")])
    assert len(parts) == 1


def test_an_interrupt_that_only_the_state_shows_is_said_at_the_end() -> None:
    tape = Tape()
    translator = Translator(["values"], run_id="run-1")
    translator.feed(tape.values(human("hi")))
    parts = translator.finish([{"id": "i1", "value": "ok?", "resumable": True}])
    waiting = [{"value": "ok?", "id": "i1"}]
    assert [(part.event, part.data["__interrupt__"]) for part in parts] == [("updates", waiting), ("values", waiting)]


def test_snapshots_come_as_they_are_whatever_was_asked_for() -> None:
    tape = Tape()
    parts, _ = translated([tape.values(human("hi"), count=1)], ["messages-tuple"])
    assert parts[0].data == {"messages": [human("hi")], "count": 1}


def test_a_snapshot_need_not_be_an_object() -> None:
    tape = Tape()
    parts, _ = translated([tape.event("values", None), tape.event("values", 42)])
    assert [part.data for part in parts] == [None, 42]


def test_snapshots_of_subgraphs_come_only_if_asked_for() -> None:
    tape = Tape()
    event = tape.values(human("hi"), namespace=["child:1"])
    assert translated([event])[0] == []
    assert [part.event for part in translated([event], stream_subgraphs=True)[0]] == ["values|child:1"]


def test_updates_are_by_node_in_every_form_that_servers_send() -> None:
    tape = Tape()
    delta = {"count": 1}
    events = [
        tape.event("updates", {"agent": delta}),
        tape.event("updates", delta, node="agent"),
        tape.event("updates", {"node": "agent", "values": delta}),
    ]
    parts, _ = translated(events, ["updates"])
    assert [part.data for part in parts] == [{"agent": delta}] * 3


def test_custom_values_come_without_their_envelope() -> None:
    tape = Tape()
    events = [
        tape.event("custom", {"step": 1}),
        tape.event("custom", {"payload": {"step": 2}}),
        tape.event("custom", {"name": "progress", "payload": {"step": 3}}),
        tape.event("custom", "plain"),
    ]
    parts, _ = translated(events, ["custom"])
    assert [part.data for part in parts] == [{"step": 1}, {"step": 2}, {"step": 3}, "plain"]


def test_a_mode_that_was_not_asked_for_is_not_said() -> None:
    tape = Tape()
    assert translated([tape.event("custom", 1), tape.event("updates", {"a": 1})], ["messages-tuple"])[0] == []


def test_messages_that_updates_alone_show_are_known_to_lack_something() -> None:
    tape = Tape()
    update = tape.event("updates", {"messages": [{"type": "ai", "content": "hi", "id": "a1"}]}, node="agent")
    assert not translated([update])[1].exact


def test_the_last_part_of_an_event_has_its_id_and_those_before_count() -> None:
    tape = Tape()
    interrupt = tape.interrupt("i1", "ok?", ["child:1"])
    parts, _ = translated([interrupt], stream_subgraphs=True)
    assert [part.id for part in parts] == [f"{interrupt['event_id']}#0", interrupt["event_id"]]


def test_what_the_end_adds_counts_on_from_the_last_event() -> None:
    tape = Tape()
    translator = Translator(["values"], run_id="run-1")
    event = tape.values(human("hi"))
    translator.feed(event)
    ids = [part.id for part in translator.finish([{"id": "i1", "value": 1}])]
    assert ids == [f"{event['event_id']}#1", f"{event['event_id']}#2"]


def test_an_event_without_an_id_goes_by_its_number() -> None:
    tape = Tape()
    event = tape.values(human("hi"))
    del event["event_id"]
    assert translated([event])[0][0].id == "1"
