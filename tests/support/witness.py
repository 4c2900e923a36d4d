"""Watches a run's messages as a user would, and compares what it saw with what the thread then holds."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import pytest
from normal_form import normal

from lgsync import Client, Message, RunError

GREETING = {"messages": [{"role": "user", "content": "hello"}]}

#: Each way to get messages: the transport, and the stream modes asked for.
FORMS: Dict[str, Tuple[str, Optional[str]]] = {
    "sse-default": ("sse", None),
    "sse-tuple": ("sse", "messages-tuple"),
    "sse-messages": ("sse", "messages"),
    "websocket-default": ("websocket", None),
    "websocket-messages": ("websocket", "messages"),
}

every_form = pytest.mark.parametrize("form", FORMS)


class Witnessed(NamedTuple):
    """A run as its messages showed it, and the thread's messages after it."""

    changes: List[Message]
    outcome: Optional[str]
    failure: Optional[RunError]
    interrupts: List[Any]
    thread_id: str
    before: List[Dict[str, Any]]
    stored: List[Dict[str, Any]]

    @property
    def last(self) -> Dict[Optional[str], Message]:
        """The last snapshot of each message that has an id."""
        return {message.id: message for message in self.changes if message.id is not None}

    @property
    def anonymous(self) -> List[Message]:
        """Messages that the wire gave no id."""
        return [message for message in self.changes if message.id is None]

    @property
    def new(self) -> List[Dict[str, Any]]:
        """What the run added to the thread, without its input."""
        old = {message["id"] for message in self.before}
        return [message for message in self.stored if message["id"] not in old]

    def statuses(self, kind: str = "ai") -> List[str]:
        """How each message of that type ended, in order of its end."""
        return [m.status for m in self.changes if m.type == kind and m.status in ("complete", "incomplete")]


def watch(url: str, form: str, graph: str, *, thread_id: Optional[str] = None, **options: Any) -> Witnessed:
    """Run ``graph`` on a new thread (or that one) and watch all its messages, in the form of that name."""
    transport, stream_mode = FORMS[form]
    with Client(url, transport=transport) as client:
        if thread_id is None:
            thread_id = client.threads.create().thread_id
        before = _messages(client, thread_id)
        if "input" not in options and "command" not in options:
            options["input"] = GREETING
        changes: List[Message] = []
        failure: Optional[RunError] = None
        with client.runs.stream(thread_id, graph, stream_mode=stream_mode, **options) as run:
            try:
                changes.extend(run.messages(namespaces="all"))
            except RunError as exc:
                failure = exc
        stored = _messages(client, thread_id)
        old = {message["id"] for message in before}
        given = next((message for message in stored if message["id"] not in old and "input" in options), None)
        known = [*before, *([given] if given and given["type"] == "human" else [])]
        return Witnessed(changes, run.outcome, failure, run.interrupts, thread_id, known, stored)


def _messages(client: Client, thread_id: str) -> List[Dict[str, Any]]:
    values: Union[Dict[str, Any], None] = client.threads.get_state(thread_id).values
    return list((values or {}).get("messages", []))


def assert_each_ends_once(seen: Witnessed) -> None:
    """Every message that was shown ends exactly once, and is never under way after that."""
    ends: Dict[Optional[str], List[str]] = defaultdict(list)
    for message in seen.changes:
        if message.id is None:
            assert message.status == "complete"
            continue
        if message.status == "streaming":
            assert not ends[message.id], f"{message!r} went on after its end"
        elif message.status in ("complete", "incomplete"):
            ends[message.id].append(message.status)
    wrong = {id_: how for id_, how in ends.items() if len(how) != 1}
    assert not wrong, f"these did not end exactly once: {wrong}"


def assert_deltas_are_the_text(seen: Witnessed, *, replaced: bool = False) -> None:
    """Printed one after the other, the deltas of a message are its text; unless a node replaced the text by another."""
    for message_id, last in seen.last.items():
        mine = [message for message in seen.changes if message.id == message_id]
        if {message.status for message in mine} == {"removed"}:
            continue  # An older one, of which nothing was shown but that it is gone.
        if any(message.delta.replaced for message in mine):
            assert replaced, f"{last!r} was replaced"
            continue
        assert "".join(message.delta.text for message in mine) == last.text
        assert "".join(message.delta.reasoning for message in mine) == last.reasoning


def assert_equals_the_state(seen: Witnessed) -> None:
    """What the run stored was shown, all of it, as it was stored; nameless messages as one of the same content."""
    nameless = [normal(message.to_dict(), ids=False) for message in seen.anonymous]
    for stored in seen.new:
        shown = seen.last.get(stored["id"])
        if shown is None:
            assert normal(stored, ids=False) in nameless, f"never shown: {stored}"
            nameless.remove(normal(stored, ids=False))
        else:
            assert normal(shown.to_dict()) == normal(stored)


def assert_shown_in_order(seen: Witnessed) -> None:
    """What is stored was completed in the order in which it is stored."""
    ended = [m.id for m in seen.changes if m.status == "complete"]
    stored = [message["id"] for message in seen.new if message["id"] in ended]
    assert [id_ for id_ in ended if id_ in stored] == stored


def assert_nothing_old_is_shown(seen: Witnessed) -> None:
    """What was there before the run, and its input, is no message of the run; it can only be removed by it."""
    old = {message["id"] for message in seen.before}
    assert [m for m in seen.changes if m.id in old and m.status != "removed"] == []
