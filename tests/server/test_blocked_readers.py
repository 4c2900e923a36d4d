"""A reader that is blocked, whatever for, is free within a second when another thread leaves the stream."""

from __future__ import annotations

import functools
import re
import threading
from typing import Any, Callable, Iterator, List, NamedTuple, Optional

import pytest
from langgraph_server import Gate
from witness import GREETING

from lgsync import Client, ClientClosed, RunStream
from lgsync.testing import Fault, FaultProxy, HalfOpen, Stall, Status
from lgsync.transports.websocket import WebSocketTransport

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])
every_way = pytest.mark.parametrize("way", ["close", "cancel", "detach"])

THE_RUN = re.compile(r"GET /threads/[^/]+/runs/[^/]+$")
THE_STATE = re.compile(r"GET /threads/[^/]+/state")
AWAY = Status(503, {"Retry-After": "30"})


class Reader(threading.Thread):
    """Reads a view to its end; ``began`` is set by the first item."""

    def __init__(self, view: Iterator[Any]) -> None:
        super().__init__(name="reader")
        self.began = threading.Event()
        self.failure: Optional[BaseException] = None
        self._view = view

    def run(self) -> None:
        try:
            for _item in self._view:
                self.began.set()
        except BaseException as exc:
            self.failure = exc

    def is_freed(self) -> bool:
        """Whether it ends within a second."""
        self.join(1)
        return not self.is_alive()


class Scene(NamedTuple):
    proxy: FaultProxy
    run: RunStream
    reader: Reader

    def break_and_meet(self, fault: Fault, match: Any, how: str = "rst") -> None:
        """Break the connection, and return once what the reader does about it has met ``fault``."""
        self.proxy.script(fault, match=match, repeat=True)
        self.proxy.cut_all(how)
        self.proxy.wait_until(lambda: fault in self.proxy.happened)

    def assert_freed_by(self, way: str) -> None:
        """Leave from another thread: the reader ends at once, with no error, and the run is cancelled at most once."""
        leaving = threading.Thread(target=getattr(self.run, way), name="leaving")
        leaving.start()
        freed = self.reader.is_freed()
        leaving.join(10)
        assert freed
        assert self.reader.failure is None
        assert cancels(self.proxy) == (0 if way == "detach" else 1)
        assert self.run.outcome == (None if way == "detach" else "cancelled")


def cancels(proxy: FaultProxy) -> int:
    """How often a run was cancelled through the proxy."""
    return sum(request.path.endswith("/cancel") for request in proxy.requests)


def started(client: Client, graph: str = "agent", **options: Any) -> RunStream:
    return client.runs.stream(client.threads.create().thread_id, graph, input=GREETING, **options)


@pytest.fixture
def scene(server_url: str, fault_proxy: Callable[[str], FaultProxy], gate: Gate, transport: Any) -> Iterator[Scene]:
    """A run held after its first token, which its reader has."""
    proxy = fault_proxy(server_url)
    gate.allow(1)
    with Client(proxy.url, transport=transport) as client:
        run = started(client, "slow", config=gate.config)
        reader = Reader(run.text())
        reader.start()
        assert reader.began.wait(20)
        yield Scene(proxy, run, reader)
        run.close()
        reader.join(10)
        proxy.close()


@both_transports
@every_way
def test_while_it_waits_for_a_part(scene: Scene, way: str) -> None:
    scene.assert_freed_by(way)


@both_transports
@every_way
def test_while_it_waits_before_it_joins_again(scene: Scene, way: str) -> None:
    scene.break_and_meet(AWAY, match="GET ")
    scene.assert_freed_by(way)


@both_transports
@every_way
@pytest.mark.parametrize("fault", [HalfOpen(), Stall()], ids=["half-open", "stalled"])
def test_while_it_joins_at_a_server_that_does_not_answer(scene: Scene, way: str, fault: Fault) -> None:
    scene.break_and_meet(fault, match=re.compile("stream"))
    scene.assert_freed_by(way)


@both_transports
@every_way
def test_while_it_asks_how_the_run_ended(scene: Scene, way: str) -> None:
    scene.break_and_meet(Stall(), match=THE_RUN, how="eof")
    scene.assert_freed_by(way)


@every_way
@pytest.mark.parametrize("transport", [functools.partial(WebSocketTransport, probe_seconds=0.2)], ids=["websocket"])
def test_while_it_asks_whether_a_silent_run_still_goes_on(scene: Scene, way: str) -> None:
    scene.proxy.script(Stall(), match=THE_RUN)
    scene.proxy.wait_until(lambda: scene.proxy.happened == [Stall()])
    scene.assert_freed_by(way)


@pytest.mark.parametrize("way", ["close", "detach"])
def test_while_it_asks_what_a_run_that_ended_has_left(
    server_url: str, fault_proxy: Callable[[str], FaultProxy], way: str
) -> None:
    proxy = fault_proxy(server_url)
    proxy.script(Stall(), match=THE_STATE)
    with Client(proxy.url) as client, started(client, stream_mode="messages") as run:
        reader = Reader(run.text())
        reader.start()
        proxy.wait_until(lambda: proxy.happened == [Stall()])

        getattr(run, way)()

        assert reader.is_freed()
        assert reader.failure is None
        proxy.close()


@both_transports
def test_while_it_asks_for_the_result(
    server_url: str, fault_proxy: Callable[[str], FaultProxy], transport: str
) -> None:
    proxy = fault_proxy(server_url)
    with Client(proxy.url, transport=transport) as client, started(client) as run:
        run.wait()
        proxy.script(Stall(), match=THE_STATE)
        reader = Reader(iter(run.result, None))
        reader.start()
        proxy.wait_until(lambda: proxy.happened == [Stall()])

        run.close()

        assert reader.is_freed()
        assert isinstance(reader.failure, ClientClosed)
        proxy.close()


@both_transports
def test_many_threads_that_leave_at_once_cancel_once(scene: Scene) -> None:
    ways: List[Callable[[], Any]] = [scene.run.close, scene.run.cancel, scene.run.close, scene.run.cancel]
    together = threading.Barrier(len(ways))

    def leave(way: Callable[[], Any]) -> None:
        together.wait(10)
        way()

    threads = [threading.Thread(target=leave, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    scene.run.close()

    assert scene.reader.is_freed()
    assert cancels(scene.proxy) == 1
