"""Each way in which a network breaks, over each transport, for runs that are kept and for runs that are not.

Whatever happens, every part comes once and in order, or an error says in which place parts are gone; the messages are
those of the thread either way, and the run is started once.
"""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest
from fault_matrix import Matrix, Watched, loses, messages_are_the_threads, tells_each_part_once, watch_broken
from langgraph_server import Gate
from witness import GREETING, Witnessed

from lgsync import Client, UnsupportedByTransport
from lgsync.testing import Cut, Fault, FaultProxy, Refuse, Stall, Status

pytestmark = pytest.mark.timeout(120)

SSE, SSE_NOT_KEPT = "SSE, resumable", "SSE, not resumable"
WEBSOCKET, WEBSOCKET_NOT_KEPT = "WebSocket, resumable", "WebSocket, not resumable"

#: With these a run goes on while its stream is taken up again.
LIVE = {"tokens": 56, "delay": 0.02}


class Row(NamedTuple):
    """Faults that strike in the same place over both transports, unless ``websocket`` names others.

    All of them have to strike, or at least so many as ``strikes`` says.
    """

    faults: List[Fault]
    graph: str = "slow"
    pace: Dict[str, Any] = LIVE
    late: bool = False
    losses: int = 1
    outcome: str = "success"
    websocket: Optional[List[Fault]] = None
    client: Dict[str, Any] = {}
    strikes: Optional[int] = None


ROWS = {
    "a cut": Row([Cut(after_events=30)]),
    "a cut, read when the run is over": Row([Cut(after_events=30)], late=True),
    "a clean end": Row([Cut(after_events=30, how="eof")]),
    # Where nothing is kept, only the thread's state tells this from the run's own end.
    "a clean end, read when the run is over": Row([Cut(after_events=30, how="eof")], late=True),
    "a reset": Row([Cut(after_events=30, how="rst")]),
    "silence for longer than four heartbeats": Row(
        [Stall(after_text=b": heartbeat\r\n\r\n")],
        pace={"tokens": 3, "delay": 5.5},
        websocket=[Stall(after_events=5)],
    ),
    "silence for longer than the timeout": Row([Stall(after_events=30)], client={"timeout": (5.0, 1.5)}),
    "the server away for 3 s": Row([Refuse(3.0, after_events=30)]),
    "a 503, then well": Row([Cut(after_events=30), Status(503, {"Retry-After": "1"})]),
    "two cuts inside one message": Row(
        [Cut(after_events=20), Cut(after_events=10)],
        losses=2,
        websocket=[Cut(after_events=20), Cut(after_events=40)],
    ),
    "a cut inside a character": Row([Cut(after_text=b"\xf0\x9f")], graph="unicode", pace={"delay": 0.02}),
    "a cut inside a tool call's arguments": Row([Cut(after_text=rb": \"wea")], graph="agent", pace={"delay": 0.02}),
    "a cut at an interrupt": Row(
        [Cut(after_text=b'"__interrupt__"')],
        graph="hitl",
        pace={"delay": 0.02},
        outcome="interrupted",
        websocket=[Cut(after_text=b"input.requested")],
    ),
}


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """Collects what becomes of each cell, and tells it at the end; to a file, too, if LGSYNC_MATRIX names one."""
    filled = Matrix(list(CELLS))
    yield filled
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    told = f"{filled.markdown()}\n\n{filled.cells} runs asserted."
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    if reporter is not None and capture is not None:
        with capture.global_and_fixture_disabled():
            reporter.write_line("\n" + told)
    if os.environ.get("LGSYNC_MATRIX"):
        Path(os.environ["LGSYNC_MATRIX"]).write_text(told + "\n")


def watch(url: str, transport: str, row: Row, **options: Any) -> Watched:
    faults = row.websocket if row.websocket is not None and transport == "websocket" else row.faults
    watched = watch_broken(url, transport, row.graph, *faults, pace=row.pace, late=row.late, **options, **row.client)
    assert watched.outcome == row.outcome
    assert watched.happened == faults or row.strikes is not None, f"only {watched.happened} took effect"
    assert len(watched.happened) >= (row.strikes or 0)
    assert [each.value for each in watched.seen.interrupts] == ([{"q": "ok?"}] if row.graph == "hitl" else [])
    return watched


def resumable(url: str, transport: str, row: Row) -> str:
    return tells_each_part_once(watch(url, transport, row))


def not_resumable(url: str, row: Row) -> str:
    watched = watch(url, "sse", row, kept=False)
    first = row.faults[0]
    # A reset takes with it what was not read yet.
    if isinstance(first, Cut) and first.after_events is not None and first.how != "rst":
        assert watched.lost[0][0] == first.after_events, "it was told in the wrong place"
    return loses(watched, row.losses)


def refused(url: str, row: Row) -> str:
    """The event protocol keeps every run, so one that is not to be kept is refused before anything is sent."""
    with FaultProxy(url) as proxy, Client(proxy.url, transport="websocket") as client:
        with pytest.raises(UnsupportedByTransport, match="stream_resumable=False"):
            client.runs.stream("a-thread", row.graph, input=GREETING, stream_resumable=False)
        assert proxy.requests == []
    return "UnsupportedByTransport, nothing sent"


CELLS: Dict[str, Callable[[str, Row], str]] = {
    SSE: lambda url, row: resumable(url, "sse", row),
    SSE_NOT_KEPT: not_resumable,
    WEBSOCKET: lambda url, row: resumable(url, "websocket", row),
    WEBSOCKET_NOT_KEPT: refused,
}


@pytest.mark.parametrize("name", ROWS)
def test_parts_come_once_or_are_told_to_be_gone_and_messages_are_the_threads(
    server_url: str, matrix: Matrix, name: str
) -> None:
    cells = {(column, 0): partial(cell, server_url, ROWS[name]) for column, cell in CELLS.items()}

    matrix.fill(name, cells, threads=4, seconds=80)


def test_a_run_that_is_not_kept_and_joined_over_a_websocket_shows_its_messages_though_it_is_cut(
    server_url: str, matrix: Matrix, gate: Gate
) -> None:
    def joined() -> str:
        with Client(server_url) as direct, FaultProxy(server_url) as proxy:
            proxy.script(Cut(after_events=4))
            thread_id = direct.threads.create().thread_id
            config = {"configurable": {**gate.config["configurable"], "delay": 0}}
            run = direct.runs.create(thread_id, "agent", input=GREETING, config=config, stream_resumable=False)
            with Client(proxy.url, transport="websocket", deadline=60) as broken:
                with broken.runs.join_stream(thread_id, run.run_id) as stream:
                    gate.open()
                    changes = list(stream.messages())
            stored = direct.threads.get_state(thread_id).values["messages"]
        assert proxy.happened == [Cut(after_events=4)]
        seen = Witnessed(changes, stream.outcome, None, stream.interrupts, thread_id, stored[:1], stored)
        messages_are_the_threads(seen)
        return "joined: messages healed from the state"

    matrix.fill("a cut of a run that another client started", {(WEBSOCKET_NOT_KEPT, 0): joined}, threads=1, seconds=60)


@pytest.mark.parametrize(("column", "places"), [(SSE, 60), (SSE_NOT_KEPT, 60), (WEBSOCKET, 62)])
def test_a_run_of_60_events_can_be_cut_after_each_of_them(
    server_url: str, matrix: Matrix, column: str, places: int
) -> None:
    # A WebSocket sends two answers besides.
    pace = {"tokens": 52 if column == WEBSOCKET else 56, "delay": 0.005}
    rows = {place: Row([Cut(after_events=place)], pace=pace) for place in range(1, places + 1)}
    cells = {(column, place): partial(CELLS[column], server_url, row) for place, row in rows.items()}

    matrix.fill("a cut after each event of 60", cells, threads=8, seconds=80)


@pytest.mark.parametrize("word", [None, "ha "], ids=["different", "equal"])
@pytest.mark.parametrize("column", [SSE, WEBSOCKET])
def test_a_fast_run_of_600_tokens_can_be_cut_anywhere_many_times(
    server_url: str, matrix: Matrix, column: str, word: Optional[str]
) -> None:
    """What is live when a join begins, Python's in-memory server sends twice; and several tokens have one id."""
    pace = {"tokens": 600, "delay": 0, **({} if word is None else {"word": word})}
    rows = {seed: Row(_anywhere(column, random.Random(seed)), pace=pace, strikes=3) for seed in range(5)}
    cells = {(column, seed): partial(CELLS[column], server_url, row) for seed, row in rows.items()}

    matrix.fill(f"many cuts, 600 {'different' if word is None else 'equal'} tokens", cells, threads=3, seconds=100)


def _anywhere(column: str, places: random.Random) -> List[Fault]:
    """Places in each of the connections: on a WebSocket each begins at the run's start."""
    if column == SSE:
        return [Cut(after_events=places.randint(1, 60)) for _ in range(10)]
    return [Cut(after_events=place) for place in sorted(places.sample(range(1, 600), 6))]
