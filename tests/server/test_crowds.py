"""One client in many threads, greenlets and processes: each gets its own messages, whole and exact."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator

import crowd
import pytest
from langgraph_server import ROOT, Gate, dev_server

from lgsync import Client, NotFoundError, RunError
from lgsync.testing import Cut, FaultProxy

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])

SUPPORT = str(ROOT / "tests" / "support")

#: Seconds for all that a crowd does. A busy machine takes its time over it, and may: none is to hang or to be lost.
PATIENCE = 100


@pytest.fixture(scope="module")
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of their own, if one can be started: one that has seen many runs takes longer for each."""
    try:
        server = dev_server("slow", "err", jobs=20)
    except LookupError:
        yield request.getfixturevalue("server_url")
        return
    with server:
        yield server.url


@pytest.fixture
def client(server_url: str, transport: str) -> Iterator[Client]:
    with Client(server_url, transport=transport, timeout=PATIENCE) as one:
        yield one


@both_transports
def test_a_hundred_and_fifty_threads_stream_at_once_through_one_client(client: Client, gate: Gate) -> None:
    crew = 150
    all_stream = threading.Barrier(crew, action=gate.open)

    def stream(number: int) -> Any:
        with crowd.begin(client, number, **gate.config["configurable"]) as run:
            all_stream.wait(PATIENCE)
            return crowd.finish(run)

    with ThreadPoolExecutor(crew) as pool:
        seen = list(pool.map(stream, range(crew), timeout=PATIENCE))

    assert seen == [crowd.expected(number) for number in range(crew)]


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import json, sys, time
import gevent
sys.path.insert(0, sys.argv[1])
import crowd
from lgsync import Client

transport, url, cutting, gate, crew, patience = *sys.argv[2:6], int(sys.argv[6]), int(sys.argv[7])
left = {}

def be_closed(run, text):
    left["rest"] = list(text)
    left["freed"] = time.monotonic()

direct, proxied = (Client(each, transport=transport, timeout=patience) for each in (url, cutting))
with direct as client, proxied as cut:
    run = crowd.begin(client, 0, gate=gate)
    text = run.text()
    first = next(text)
    blocked = gevent.spawn(be_closed, run, text)
    streaming = [gevent.spawn(crowd.whole_run, client if number else cut, number) for number in range(crew)]
    gevent.wait(streaming, count=crew // 2)
    left["closing"] = time.monotonic()
    run.close()
    gevent.joinall([blocked, *streaming], raise_error=True)
    exact = [each.value == crowd.expected(number) for number, each in enumerate(streaming)]
print(json.dumps([exact, first, left["rest"], left["freed"] - left["closing"], run.outcome]))
"""


@both_transports
def test_two_hundred_greenlets_stream_in_a_patched_process(
    server_url: str, transport: str, fault_proxy: Callable[[str], FaultProxy], gate: Gate
) -> None:
    proxy = fault_proxy(server_url)
    proxy.script(Cut(after_events=6))
    gate.allow(1)
    arguments = [SUPPORT, transport, server_url, proxy.url, gate.config["configurable"]["gate"], "200", str(PATIENCE)]
    done = subprocess.run(
        [sys.executable, "-c", GREENLETS, *arguments],
        stdout=subprocess.PIPE,
        cwd=tempfile.gettempdir(),
        timeout=PATIENCE,
        check=True,
    )
    exact, first, rest, seconds, outcome = json.loads(done.stdout)

    assert exact == [True] * 200
    assert (first, rest, outcome) == ("0 ", [], "cancelled")
    assert seconds < 4
    assert proxy.happened == [Cut(after_events=6)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@both_transports
def test_a_child_streams_over_the_client_of_a_parent_that_is_in_the_middle_of_a_stream(
    client: Client, gate: Gate, method: Any
) -> None:
    context = multiprocessing.get_context(method)
    ours, its = context.Pipe()
    with crowd.begin(client, 1, **gate.config["configurable"]) as run:
        gate.allow(1)
        first = next(run.text())
        child = context.Process(target=crowd.tell_whole_run, args=(client, 2, its))
        child.start()
        its.close()
        assert ours.recv() == crowd.expected(2)
        child.join(20)
        gate.open()
        assert crowd.finish(run) == crowd.expected(1)
    assert first == "1 "
    assert child.exitcode == 0
    ours.close()


FORK = """
import os, sys
sys.path.insert(0, sys.argv[1])
import crowd
from langgraph_server import Gate
from pathlib import Path
from lgsync import Client

transport, url = sys.argv[2:4]
gate = Gate(Path(sys.argv[4]))
client = Client(url, transport=transport)
run = crowd.begin(client, 1, **gate.config["configurable"])
gate.allow(2)
text = run.text()
first = next(text)
child = os.fork()
if not child:
    # A program that goes its own way, lets go of what its parent held, and ends as programs do.
    right = crowd.whole_run(client, 2) == crowd.expected(2)
    run.close()
    client.close()
    del text, run
    sys.exit(0 if right else 1)
_, status = os.waitpid(child, 0)
gate.open()
right = crowd.finish(run) == crowd.expected(1)
print(status, right, run.outcome)
"""


@both_transports
def test_a_forked_child_that_ends_leaves_its_parents_stream_whole(
    server_url: str, transport: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", FORK, SUPPORT, transport, server_url, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=tempfile.gettempdir(), timeout=60, check=True)
    assert done.stdout == b"0 True success\n"


@both_transports
def test_a_pool_of_processes_takes_the_client_with_each_piece_of_work(client: Client) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        seen = list(pool.map(crowd.whole_run, [client] * 4, range(4), timeout=60))
    assert seen == [crowd.expected(number) for number in range(4)]


@both_transports
def test_an_error_of_a_run_reaches_whoever_started_the_process(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        failed = pool.submit(crowd.fails, client, thread_id).exception(60)
        missing = pool.submit(client.threads.get, "00000000-0000-0000-0000-000000000000").exception(60)

    assert isinstance(failed, RunError)
    assert (failed.thread_id, failed.error) == (thread_id, "ValueError")
    assert isinstance(missing, NotFoundError)
    assert (missing.status_code, missing.url[-36:]) == (404, "00000000-0000-0000-0000-000000000000")


@both_transports
def test_a_pickled_client_is_the_same_client_elsewhere(client: Client) -> None:
    again: Client = pickle.loads(pickle.dumps(client))
    with again:
        assert crowd.whole_run(again, 7) == crowd.expected(7)
    assert crowd.whole_run(client, 8) == crowd.expected(8)
