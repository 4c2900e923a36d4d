"""Iterators that turn pages: each thing once, and an end, whatever the server does."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from scripted import THREAD, ScriptedTransport, answered

from lgsync import Client
from lgsync.errors import ConfigurationError, ResponseError
from lgsync.transport import Response


class Paged(ScriptedTransport):
    """Answers searches of threads from ``rows``, by limit and offset; what it is to do before a page, ``then`` does."""

    def __init__(self, rows: List[Dict[str, Any]], then: Any = lambda: None, *, heeds: bool = True) -> None:
        super().__init__()
        self.rows = rows
        self.asked: List[Any] = []
        self._then = then
        self._heeds = heeds

    def request(self, method: str, path: str, **call: Any) -> Response:
        body = call["json"]
        self.asked.append((body["limit"], body["offset"]))
        start = body["offset"] if self._heeds else 0
        page = self.rows[start : start + body["limit"]]
        self._then()
        return answered(path, 200, page)


def rows(count: int, start: int = 0) -> List[Dict[str, Any]]:
    return [{"thread_id": f"t{n}"} for n in range(start, start + count)]


def ids_of(transport: ScriptedTransport, **options: Any) -> List[str]:
    return [thread.thread_id for thread in Client(transport=transport).threads.iter(**options)]


def test_every_page_is_turned() -> None:
    transport = Paged(rows(7))
    assert ids_of(transport, page_size=3) == [f"t{n}" for n in range(7)]
    assert transport.asked == [(3, 0), (3, 3), (3, 6)]


def test_a_last_page_that_is_full_is_followed_by_one_that_is_empty() -> None:
    assert ids_of(Paged(rows(6)), page_size=3) == [f"t{n}" for n in range(6)]


def test_no_more_than_the_limit_are_given_or_asked_for() -> None:
    transport = Paged(rows(10))
    assert ids_of(transport, page_size=3, limit=4) == ["t0", "t1", "t2", "t3"]
    assert transport.asked == [(3, 0), (1, 3)]


def test_nothing_is_asked_before_the_loop_begins() -> None:
    transport = Paged(rows(1))
    Client(transport=transport).threads.iter()
    assert transport.asked == []


def test_what_moves_to_the_next_page_is_given_once() -> None:
    transport: Paged
    new = iter(rows(2, start=100))

    def one_more() -> None:
        transport.rows[:0] = [row for row in [next(new, None)] if row]

    transport = Paged(rows(5), one_more)
    assert ids_of(transport, page_size=3) == ["t0", "t1", "t2", "t3", "t4"]


def test_a_server_that_ignores_the_offset_is_told_of() -> None:
    transport = Paged(rows(9), heeds=False)
    with pytest.raises(ResponseError, match="the same page again"):
        ids_of(transport, page_size=3)
    assert len(transport.asked) == 2


@pytest.mark.parametrize("options", [{"page_size": 0}, {"page_size": 1001}, {"limit": -1}])
def test_sizes_that_make_no_sense_are_refused_before_the_loop(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="page_size must|limit must"):
        Client(transport=Paged([])).threads.iter(**options)


def history_of(states: List[Dict[str, Any]]) -> ScriptedTransport:
    """A server whose history goes on before the checkpoint that it is asked for."""

    class Kept(ScriptedTransport):
        def request(self, method: str, path: str, **call: Any) -> Response:
            body = call["json"]
            before: Optional[Any] = body.get("before")
            name = before.get("configurable", before).get("checkpoint_id") if isinstance(before, dict) else before
            names = [
                state.get("checkpoint_id") or (state.get("checkpoint") or {}).get("checkpoint_id") for state in states
            ]
            start = names.index(name) + 1 if name else 0
            return answered(path, 200, states[start : start + body["limit"]])

    return Kept()


@pytest.mark.parametrize("form", ["checkpoint", "checkpoint_id"])
def test_a_history_goes_on_behind_the_last_state_in_whatever_form_that_names_itself(form: str) -> None:
    states = [{form: {"checkpoint_id": f"c{n}"} if form == "checkpoint" else f"c{n}"} for n in range(5)]
    found = Client(transport=history_of(states)).threads.iter_history(THREAD, page_size=2)
    assert [dict(state) for state in found] == states


def test_a_history_whose_states_have_no_name_is_told_of() -> None:
    with pytest.raises(ResponseError, match="names no checkpoint"):
        list(Client(transport=history_of([{}, {}, {}])).threads.iter_history(THREAD, page_size=2))
