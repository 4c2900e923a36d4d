"""A stream that is detached goes on elsewhere with exactly what was left of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from typing import Any, Iterator, List, Tuple

import pytest
from langgraph_server import Gate
from witness import GREETING

from lgsync import Client, ConfigurationError, NotFoundError, RunStream, StreamPart

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


@pytest.fixture
def client(server_url: str, transport: str) -> Iterator[Client]:
    with Client(server_url, transport=transport) as one:
        yield one


def started(client: Client, gate: Gate, **options: Any) -> RunStream:
    """A run of ten tokens, held after the third."""
    gate.allow(3)
    return client.runs.stream(client.threads.create().thread_id, "slow", input=GREETING, config=gate.config, **options)


def read_tokens(run: RunStream, count: int) -> List[StreamPart]:
    """The run's parts up to its token of that number."""
    parts: List[StreamPart] = []
    while sum(part.kind == "messages" for part in parts) < count:
        parts.append(next(run))
    return parts


def whole(client: Client, run: RunStream) -> List[StreamPart]:
    """All parts that the run was asked for, once it has ended; a join over WebSocket shows the state's values, too."""
    assert run.thread_id is not None
    with client.runs.join_stream(run.thread_id, run.run_id) as joined:
        return [part for part in joined if part.kind != "values"]


RESUME = """
import json, sys
from lgsync import Client

url, transport, cursor, replay = sys.argv[1:]
with Client(url, transport=transport) as client, client.runs.resume(cursor, replay=replay == "True") as run:
    view = run.views("parts", "text")
    print("resumed", flush=True)
    seen = list(view)
    parts = [list(item) for name, item in seen if name == "parts"]
    text = "".join(item for name, item in seen if name == "text")
    print(json.dumps([parts, text, run.final_text(), run.outcome]))
"""


class Elsewhere:
    """Another process that resumes a stream."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._out = process.stdout

    def wait_until_resumed(self) -> None:
        assert self._out.readline() == "resumed\n"

    def seen(self) -> Tuple[List[StreamPart], str, str, str]:
        """Its parts, the text that it showed, the final text and the outcome."""
        parts, text, final, outcome = json.loads(self._out.readline())
        return [StreamPart(*part) for part in parts], text, final, outcome


@contextlib.contextmanager
def elsewhere(url: str, transport: str, cursor: str, replay: bool) -> Iterator[Elsewhere]:
    command = [sys.executable, "-c", RESUME, url, transport, cursor, str(replay)]
    # Away from the checkout, whose lgsync/ would hide the installed one.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tempfile.gettempdir()) as process:
        try:
            yield Elsewhere(process)
        finally:
            process.kill()


@both_transports
@pytest.mark.parametrize("replay", [True, False], ids=["replayed", "not-replayed"])
@pytest.mark.parametrize("ended", [False, True], ids=["during-the-run", "after-its-end"])
def test_another_process_gets_exactly_the_rest(
    client: Client, transport: str, server_url: str, gate: Gate, replay: bool, ended: bool
) -> None:
    run = started(client, gate)
    before = read_tokens(run, 2)
    cursor = str(run.detach())
    if ended:
        gate.open()
        whole(client, run)
    with elsewhere(server_url, transport, cursor, replay) as other:
        other.wait_until_resumed()
        gate.open()
        after, text, final, outcome = other.seen()

    assert [*before, *after] == whole(client, run)
    assert outcome == "success"
    assert final == "s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 "
    assert text == (final[len("s0 s1 ") :] if replay else final)


@both_transports
def test_a_detached_run_goes_on(client: Client, gate: Gate) -> None:
    run = started(client, gate)
    next(run.text())
    cursor = run.detach()
    gate.open()
    whole(client, run)
    assert client.runs.get(cursor.thread_id, cursor.run_id).status == "success"
    assert run.outcome is None


@both_transports
def test_a_stream_can_be_handed_on_token_by_token(client: Client, gate: Gate) -> None:
    run = started(client, gate)
    gate.open()
    parts = read_tokens(run, 1)
    cursor = run.detach()
    for _ in range(8):
        run = client.runs.resume(cursor)
        parts += read_tokens(run, 1)
        cursor = run.detach()
    with client.runs.resume(cursor) as last:
        parts += last
    assert parts == whole(client, last)


@both_transports
def test_what_a_view_had_not_given_is_part_of_the_rest(client: Client, gate: Gate) -> None:
    run = started(client, gate)
    text, parts = run.text(), run.views("parts")
    first = next(text)
    for _, part in parts:
        if part.kind == "messages" and "s2" in json.dumps(part.data):
            break
    cursor = run.detach()
    gate.open()
    with client.runs.resume(cursor) as rest:
        assert "".join([first, *rest.text()]) == rest.final_text()


@both_transports
def test_a_join_without_a_run_joins_the_one_at_work(client: Client, gate: Gate) -> None:
    run = started(client, gate, on_close="continue")
    first = next(run.text())
    assert run.thread_id is not None
    later = client.runs.create(run.thread_id, "slow", input=GREETING)
    with client.runs.join_stream(run.thread_id) as joined:
        assert joined.run_id == run.run_id != later.run_id
        text = joined.text()
        assert next(text) == first
        run.close()
        gate.open()
        assert "".join([first, *text]) == joined.final_text()
    with client.runs.join_stream(run.thread_id, later.run_id) as other:
        assert other.wait() == "success"


@both_transports
def test_a_join_without_a_run_is_refused_where_none_is_at_work(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    with pytest.raises(NotFoundError, match=f"No run is at work on thread {thread_id}"):
        client.runs.join_stream(thread_id)


@pytest.mark.parametrize("transport", ["sse"])
def test_a_run_without_a_thread_is_not_detached(client: Client, gate: Gate) -> None:
    gate.allow(1)
    with client.runs.stream(None, "slow", input=GREETING, config=gate.config) as run:
        next(run.text())
        with pytest.raises(ConfigurationError, match="without a thread"):
            run.detach()
