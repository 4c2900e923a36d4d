"""What holds where parts of a run are gone for good: nothing wrong is told, and the state brings the rest."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

import recorded_runs
from chunks import run_events, scripted_chunks
from hypothesis import example, given, settings
from hypothesis import strategies as st
from normal_form import normal
from server_events import human, piece, streamed, told, tool, updates, values, whole

from lgsync.accumulate import MessageAccumulator

_WORDS = "ab |é谢😀\n"
_CALLS = [{"name": "f", "args": {"a": "x"}}]


class Sent(NamedTuple):
    """One part, and the message of a model call that it carries a piece of."""

    part: Any
    piece_of: Optional[str] = None


class Modes(NamedTuple):
    """What a run is asked to stream, and what its server says beside each chunk."""

    updates: bool
    values: bool
    steps: bool


class Run:
    """Plays a run as a server does: steps of parallel tasks, which call models or graphs, one by one or at once.

    ``sent`` are its parts, ``state`` the thread's messages after it, ``texts`` what each message of it says at its end.
    """

    def __init__(self, random: Random, modes: Modes) -> None:
        self._random = random
        self._modes = modes
        self._count = 0
        self.texts: Dict[str, str] = {}
        self.state = [human("h", "hi")]
        self.sent = self._values((), self.state)
        for step in range(random.randint(1, 4)):
            self._count += 1
            tasks = self._tasks((), step)
            self.sent += self._mixed([sent for sent, _ in tasks])
            self.state += [message for _, written in tasks for message in written]
            self.sent += self._values((), self.state)

    def _new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _mixed(self, streams: List[List[Sent]]) -> List[Sent]:
        order = [place for place, stream in enumerate(streams) for _ in stream]
        self._random.shuffle(order)
        rest = [iter(stream) for stream in streams]
        return [next(rest[place]) for place in order]

    def _values(self, namespace: Tuple[str, ...], state: List[Dict[str, Any]]) -> List[Sent]:
        return [Sent(values(*state, suffix=_suffix(namespace)))] if self._modes.values else []

    def _tasks(self, namespace: Tuple[str, ...], step: int) -> List[Tuple[List[Sent], List[Dict[str, Any]]]]:
        nodes = self._random.choices("nm", k=self._random.randint(1, 2))
        sent_at_once = len(set(nodes)) < len(nodes)
        about: Dict[str, Any] = {"langgraph_step": step} if self._modes.steps else {}
        about["langgraph_path"] = ["__pregel_push", 0, False] if sent_at_once else ["__pregel_pull", nodes[0]]
        return [self._task(namespace, self._new_id(f"{node}:"), about) for node in nodes]

    def _task(
        self, namespace: Tuple[str, ...], task: str, about: Dict[str, Any]
    ) -> Tuple[List[Sent], List[Dict[str, Any]]]:
        node, outermost = task.split(":")[0], not namespace
        if outermost and self._random.random() < 0.4:
            sent, written = self._graphs((*namespace, task))
        else:
            calls = [self._call(namespace, task, about) for _ in range(self._random.randint(1, 2))]
            streams = [sent for sent, _ in calls]
            sent = self._mixed(streams) if self._random.random() < 0.5 else [one for each in streams for one in each]
            # A call whose answer is not written is a helper's.
            written = [message for _, message in calls][self._random.randint(0, 1) :]
        if self._random.random() < 0.3:
            answer = tool(self._new_id("t"), self._words())
            self.texts[answer["id"]] = answer["content"]
            sent.append(Sent(self._event(answer, namespace, task, about)))
            written.append(answer)
        if self._modes.updates:
            # A subgraph hands back its whole list.
            handed = [self.state[0], *written] if outermost and self._random.random() < 0.3 and written else written
            sent.append(Sent(updates(node, *handed, suffix=_suffix(namespace))))
        return sent, written

    def _graphs(self, namespace: Tuple[str, ...]) -> Tuple[List[Sent], List[Dict[str, Any]]]:
        """One task calls a graph, or two at once, which the server tells apart by a number."""
        streams: List[List[Sent]] = []
        written: List[Dict[str, Any]] = []
        for place in range(self._random.randint(1, 2)):
            inner = (*namespace, str(place)) if place else namespace
            state = [human("h", "hi")]
            stream = self._values(inner, state)
            for step in range(self._random.randint(1, 3)):
                tasks = self._tasks(inner, step)
                stream += self._mixed([sent for sent, _ in tasks])
                state += [message for _, messages in tasks for message in messages]
                stream += self._values(inner, state)
            streams.append(stream)
            written += state[1:]
        return self._mixed(streams), written

    def _call(self, namespace: Tuple[str, ...], task: str, about: Dict[str, Any]) -> Tuple[List[Sent], Dict[str, Any]]:
        own_end = self._random.random() < 0.6
        id_ = self._new_id("lc_run--" if own_end else "msg_")
        text = self._words()
        cuts = [self._random.randint(0, len(text)) for _ in range(3)]
        calls = [{**call, "id": self._new_id("c")} for call in _CALLS] if self._random.random() < 0.3 else []
        chunks = scripted_chunks(id_, text, cuts, calls=calls)
        if self._random.random() < 0.3:
            chunks.insert(0, piece(id_))
        server = MessageAccumulator()
        told(server, [streamed(chunk) for chunk in chunks])
        if not own_end:
            chunks[-1] = piece(self._new_id("lc_run--"), last=True)
        self.texts[id_] = text
        sent = [Sent(self._event(chunk, namespace, task, about), id_) for chunk in chunks]
        return sent, server.run_messages[0].to_dict()

    def _event(self, message: Dict[str, Any], namespace: Tuple[str, ...], task: str, about: Dict[str, Any]) -> Any:
        return streamed(message, task="|".join((*namespace, task)), suffix=_suffix(namespace), **about)

    def _words(self) -> str:
        return "".join(self._random.choices(_WORDS, k=self._random.randint(1, 8)))


def _suffix(namespace: Tuple[str, ...]) -> str:
    return "".join(f"|{segment}" for segment in namespace)


_dice = st.integers(0, 2**32).map(Random)
_any_modes = st.builds(Modes, st.booleans(), st.booleans(), st.booleans())
_runs = st.builds(Run, _dice, _any_modes)
_chunks_only = st.builds(Run, _dice, st.builds(Modes, st.just(False), st.just(False), st.booleans()))
_places = st.lists(st.integers(0, 200), min_size=2, max_size=4)


def with_gaps(accumulator: MessageAccumulator, parts: List[Any], places: List[int]) -> Tuple[List[Any], Set[int]]:
    """Feed parts but for ranges between pairs of places; gives the changes, and which parts were left out."""
    ordered = sorted(place % (len(parts) + 1) for place in places)
    pairs = list(zip(ordered[::2], ordered[1::2]))
    changes: List[Any] = []
    end = 0
    for first, beyond in pairs:
        changes += told(accumulator, parts[end:first])
        accumulator.gap()
        end = beyond
    return changes + told(accumulator, parts[end:]), {place for pair in pairs for place in range(*pair)}


def endings(changes: List[Any]) -> Counter:
    return Counter(c.id for c in changes if c.status in ("complete", "incomplete") and c.id is not None)


def in_state(accumulator: MessageAccumulator, state: List[Dict[str, Any]]) -> Dict[str, Any]:
    listed = {message["id"] for message in state}
    return {m.id: normal(m.to_dict()) for m in accumulator.run_messages if m.id in listed}


@given(_runs, _places)
@settings(deadline=None, max_examples=300)
def test_with_the_state_a_run_with_gaps_comes_to_the_same(run, places):
    straight, cut = MessageAccumulator(), MessageAccumulator()
    parts = [sent.part for sent in run.sent]
    told(straight, parts)
    changes, _ = with_gaps(cut, parts, places)
    for accumulator in (straight, cut):
        changes += accumulator.settle({"messages": run.state}, known={"h"})
        changes += accumulator.close("success")
    assert in_state(cut, run.state) == in_state(straight, run.state)
    assert set(in_state(cut, run.state)) == {message["id"] for message in run.state[1:]}


@given(_runs, _places, st.sampled_from(["success", "interrupted", "cancelled", "error", "unknown"]), st.booleans())
@settings(deadline=None, max_examples=300)
def test_each_message_ends_once_whatever_is_gone(run, places, outcome, settled):
    accumulator = MessageAccumulator()
    changes, _ = with_gaps(accumulator, [sent.part for sent in run.sent], places)
    changes += accumulator.settle({"messages": run.state}, known={"h"}) if settled else []
    changes += accumulator.close(outcome)
    ends = endings(changes)
    assert ends == Counter(dict.fromkeys({change.id for change in changes}, 1))
    assert not any(message.status == "streaming" for message in accumulator.run_messages)


@given(_runs, _places, st.booleans())
@example(Run(Random(1_840_828_762), Modes(True, False, True)), [0, 60], False)
@settings(deadline=None, max_examples=500)
def test_what_is_told_is_how_the_message_really_begins_or_all_of_it(run, places, settled):
    accumulator = MessageAccumulator()
    changes, _ = with_gaps(accumulator, [sent.part for sent in run.sent], places)
    changes += accumulator.settle({"messages": run.state}, known={"h"}) if settled else []
    changes += accumulator.close("success")
    for change in changes:
        text = run.texts[change.id]
        assert change.text == text if change.status in ("complete", "revised") else text.startswith(change.text)


@given(_runs, _places)
@settings(deadline=None, max_examples=300)
def test_the_deltas_add_up_across_gaps(run, places):
    accumulator = MessageAccumulator()
    changes, _ = with_gaps(accumulator, [sent.part for sent in run.sent], places)
    changes += accumulator.settle({"messages": run.state}, known={"h"})
    heard: Dict[str, str] = {}
    for change in changes:
        heard[change.id] = change.text if change.delta.replaced else heard.get(change.id, "") + change.delta.text
        assert heard[change.id] == change.text


@given(_chunks_only, _places)
@settings(deadline=None, max_examples=300)
def test_without_the_state_nothing_that_lost_a_piece_is_complete(run, places):
    accumulator = MessageAccumulator()
    changes, lost = with_gaps(accumulator, [sent.part for sent in run.sent], places)
    changes += accumulator.close("success")
    torn = {run.sent[place].piece_of for place in lost}
    assert torn.isdisjoint(change.id for change in changes if change.status in ("complete", "revised"))


@given(_runs, _places)
@settings(deadline=None, max_examples=50)
def test_after_a_gap_a_reset_and_a_full_replay_come_to_the_same(run, places):
    parts = [sent.part for sent in run.sent]
    straight, again = MessageAccumulator(), MessageAccumulator()
    told(straight, parts)
    with_gaps(again, parts, places)
    again.gap()
    again.reset()
    told(again, parts)
    assert again.run_messages == straight.run_messages
    assert again.messages == straight.messages


@given(run_events, _places, st.lists(st.builds(whole, st.sampled_from("abc"), st.just("x")), max_size=3))
@settings(deadline=None, max_examples=300)
def test_whatever_is_sent_around_gaps_each_message_ends_once_and_the_state_counts(events, places, state):
    accumulator = MessageAccumulator()
    changes, _ = with_gaps(accumulator, events, places)
    state = list({message["id"]: message for message in state}.values())
    changes += accumulator.settle({"messages": state}, known=set())
    changes += accumulator.close("success")
    assert [(m.id, m.text) for m in accumulator.messages] == [(m["id"], "x") for m in state]
    assert all(count == 1 for count in endings(changes).values())
    assert not any(message.status == "streaming" for message in accumulator.run_messages)


@given(st.sampled_from(recorded_runs.names()), _places)
@settings(deadline=None, max_examples=300)
def test_a_recorded_run_with_gaps_comes_to_the_same_and_tells_nothing_wrong(name, places):
    parts, state = recorded_runs.parts(name), recorded_runs.final_messages(name)
    straight, cut = MessageAccumulator(), MessageAccumulator()
    told(straight, parts)
    new = {message.id for message in straight.run_messages if message.revision}
    known = {message["id"] for message in state} - new
    changes, _ = with_gaps(cut, parts, places)
    changes += cut.settle({"messages": state}, known=known)
    changes += cut.close("success")
    straight_changes = straight.settle({"messages": state}, known=known)
    assert in_state(cut, state) == in_state(straight, state)
    assert all(count == 1 for count in endings(changes).values())
    final = {m.id: m.text for m in straight.run_messages}
    edited = {change.id for change in straight_changes} | {c.id for c in changes if c.status in ("revised", "removed")}
    for change in changes:
        if change.id in final and change.id not in edited:
            assert final[change.id].startswith(change.text)
            assert change.status != "complete" or final[change.id] == change.text


def test_the_runs_reach_what_is_told_live_behind_a_gap_and_what_is_not():
    seen: Counter = Counter()

    @given(_runs, _places)
    @settings(deadline=None, max_examples=200, database=None)
    def look(run, places):
        parts = [sent.part for sent in run.sent]
        place = places[0] % len(parts)
        accumulator = MessageAccumulator()
        accumulator.gap()
        live = {change.id for change in told(accumulator, parts[place:]) if change.status == "streaming"}
        there = {sent.piece_of for sent in run.sent[place:]} - {None}
        seen.update(live=bool(live), kept_back=bool(there - live))

    look()
    assert seen["live"] > 20
    assert seen["kept_back"] > 20
