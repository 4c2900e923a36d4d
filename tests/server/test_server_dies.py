"""The server itself goes away in the middle of a run, killed or stopped, for good or for as long as a restart takes.

Either the run is forgotten, and every view raises one typed error within the time that was given for it; or the server
starts it anew, parts are told to be gone, and the messages are those of the thread in the end. Nothing hangs.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Callable, Iterator, List, NamedTuple, Optional

import pytest
from fault_matrix import messages_are_the_threads
from langgraph_server import Gate, dev_server
from witness import GREETING, Witnessed

from lgsync import Client, Message, StreamLost
from lgsync.dev_server import DevServer
from lgsync.errors import ConnectionFailed

pytestmark = pytest.mark.timeout(120)

TRANSPORTS = ["sse", "websocket"]


@pytest.fixture
def server() -> Iterator[DevServer]:
    try:
        one = dev_server("slow")
    except LookupError as exc:
        pytest.fail(str(exc), pytrace=False)
    with one:
        yield one


class Read(NamedTuple):
    """What the messages and the parts of a run showed: whether they ended, after which errors, and when."""

    thread_id: str
    changes: List[Message]
    lost: List[StreamLost]
    ended: bool
    outcome: Optional[str]
    at: float


def read(run: Any, spoke: threading.Event) -> Read:
    """Read on after each error, until the same one is raised again."""
    changes: List[Message] = []
    lost: List[StreamLost] = []
    views = run.views("parts", "messages")
    while len(lost) < 2 or str(lost[-1]) != str(lost[-2]):
        try:
            for name, item in views:
                if name == "messages":
                    changes.append(item)
                    if "s2 " in item.text:
                        spoke.set()
            return Read(run.thread_id, changes, lost, True, run.outcome, time.monotonic())
        except StreamLost as exc:
            lost.append(exc)
    return Read(run.thread_id, changes, lost, False, run.outcome, time.monotonic())


def read_while(server: DevServer, gate: Gate, happens: Callable[[], None], budget: float) -> List[Read]:
    """What a reader over each transport saw of a run in the middle of which something ``happens``."""
    gate.allow(3)
    reading = []
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(TRANSPORTS)))
        for transport in TRANSPORTS:
            client = stack.enter_context(Client(server.url, transport=transport, reconnect=budget, deadline=90.0))
            thread_id = client.threads.create().thread_id
            run = stack.enter_context(
                client.runs.stream(thread_id, "slow", input=GREETING, config=gate.config, on_close="continue")
            )
            spoke = threading.Event()
            reading.append(pool.submit(read, run, spoke))
            assert spoke.wait(20)
        happens()
        return [future.result(timeout=100) for future in reading]


def seen_and_stored(server: DevServer, one: Read) -> Witnessed:
    """The run's messages as they were told, and as the thread holds them."""
    with Client(server.url) as client:
        stored = client.threads.get_state(one.thread_id).values["messages"]
    return Witnessed(one.changes, one.outcome, None, [], one.thread_id, stored[:1], stored)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_is_gone_for_good_ends_every_stream_in_an_error_when_the_budget_is_spent(
    server: DevServer, gate: Gate, how: str
) -> None:
    gone: List[float] = []

    def go() -> None:
        getattr(server, how)()
        gone.append(time.monotonic())

    for one in read_while(server, gate, go, budget=3.0):
        assert not one.ended
        assert one.outcome is None
        assert one.changes[-1].status == "incomplete"
        assert (one.lost[0].thread_id, bool(one.lost[0].cursor)) == (one.thread_id, True)
        assert isinstance(one.lost[0].__cause__, ConnectionFailed)
        assert one.at - gone[0] < 3.0 + 3.0


def test_a_server_that_is_stopped_and_started_again_runs_anew_and_its_messages_are_the_threads(
    server: DevServer, gate: Gate
) -> None:
    def restart() -> None:
        server.restart()
        gate.open()

    for one in read_while(server, gate, restart, budget=40.0):
        assert (one.ended, one.outcome, len(one.lost)) == (True, "success", 1)
        messages_are_the_threads(seen_and_stored(server, one))


def test_a_server_that_is_killed_and_started_again_is_never_taken_for_one_at_which_nothing_happened(
    server: DevServer, gate: Gate
) -> None:
    """It keeps what it has written by then, which it does every few seconds: all, or the thread, or nothing."""

    def crash() -> None:
        server.kill()
        server.restart()
        gate.open()

    for one in read_while(server, gate, crash, budget=40.0):
        assert one.lost[0].thread_id == one.thread_id
        if one.ended:
            assert one.outcome == "success"
            messages_are_the_threads(seen_and_stored(server, one))
        else:
            assert one.outcome is None
            assert one.changes[-1].status == "incomplete"
