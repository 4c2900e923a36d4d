"""A signal handler leaves a run whose loop, on the same thread, is just asking the server for something."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from typing import Any, Callable, Iterator, List

import pytest
from rawserver import PATIENCE, Connection, RawServer, answer

from lgsync import Client, RunStream
from lgsync.cutting import current
from lgsync.transport import Timeout

pytestmark = pytest.mark.usefixtures("no_leaks")

_LEAVES = pytest.mark.parametrize("leave", [RunStream.close, RunStream.cancel], ids=["close", "cancel"])


def one_event(connection: Connection) -> None:
    """The stream of a run that says one thing, and ends."""
    connection.read_request()
    connection.start_stream(headers={"Content-Location": "/threads/t1/runs/r1"})
    connection.chunk(b'event: updates\r\ndata: {"a": {}}\r\nid: 1-0\r\n\r\n')
    connection.end()


@contextlib.contextmanager
def on_signal(work: Callable[[], Any]) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda *_: work())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def cancels(server: RawServer) -> List[str]:
    return [request.path for request in server.requests if request.path.endswith("/cancel")]


@_LEAVES
def test_a_loop_that_asks_how_the_run_ended_ends_and_the_run_is_cancelled(leave: Any) -> None:
    asked, over = threading.Event(), threading.Event()

    def ends_and_is_asked(connection: Connection) -> None:
        one_event(connection)
        connection.read_request()
        asked.set()
        assert over.wait(PATIENCE)

    def interrupt() -> None:
        assert asked.wait(PATIENCE)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    with RawServer(ends_and_is_asked, answer(202)) as server, contextlib.closing(Client(server.url)) as client:
        run = client.runs.stream("t1", "agent", input={}, stream_mode="updates")
        with on_signal(lambda: leave(run)):
            kicker = threading.Thread(target=interrupt)
            kicker.start()
            assert [part.event for part in run] == ["updates"]
            kicker.join()
        over.set()
        assert cancels(server) == ["/threads/t1/runs/r1/cancel"]
        assert run.outcome == "cancelled"
        assert current() is None


def test_a_thread_that_is_interrupted_while_it_holds_the_pools_lock_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    take, armed = queue.LifoQueue._get, [True]  # type: ignore[attr-defined]

    def interrupted_once(self: Any) -> Any:
        if armed and threading.current_thread() is threading.main_thread():
            armed.pop()
            signal.raise_signal(signal.SIGUSR1)
        return take(self)

    with RawServer(one_event, answer(202)) as server, contextlib.closing(Client(server.url)) as client:
        run = client.runs.stream("t1", "agent", input={}, stream_mode="updates")
        assert next(run).event == "updates"
        monkeypatch.setattr(queue.LifoQueue, "_get", interrupted_once)
        monkeypatch.setattr("lgsync.cancelling._LEAVING", Timeout(0.2, 0.2))
        with on_signal(run.close):
            assert list(run) == []
        assert armed == []
