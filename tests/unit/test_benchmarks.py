"""The proxy and the server that the measurements rest on, and the tables they end in."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Set

import pytest
import requests
from rawserver import RawServer, answer

from lgsync import Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tap(monkeypatch: pytest.MonkeyPatch) -> Any:
    # Last: the checkout's lgsync/ would hide an installed one.
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    from benchmarks import tap

    return tap


def functions_of(module: str) -> Set[str]:
    tree = ast.parse((ROOT / "benchmarks" / f"{module}.py").read_text(encoding="utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef) and each.name[0] != "_"}


def rows() -> Set[str]:
    command = [sys.executable, "-c", "from benchmarks.rows import ROWS; print(*ROWS)"]
    return set(subprocess.check_output(command, cwd=ROOT, text=True).split())


def stream_of(*chunks: bytes) -> Any:
    def script(connection: Any) -> None:
        connection.read_request()
        connection.start_stream()
        for chunk in chunks:
            connection.chunk(chunk)
        connection.peer_closed()

    return script


@pytest.mark.parametrize("client", ["official", "ours"])
def test_each_client_is_asked_every_row_and_nothing_else(client: str) -> None:
    assert functions_of(client) == rows()


def test_a_tap_counts_every_byte_that_the_server_sent(tap: Any) -> None:
    with RawServer(answer(200, {"a": 1})) as server, tap.Tap(server.url) as between:
        response = requests.get(between.url, timeout=10)

    assert response.json() == {"a": 1}
    assert between.received > len(response.content)
    assert between.heads[0].startswith(b"GET / HTTP/1.1\r\n")


def test_a_clean_cut_ends_the_body_behind_the_chunk_that_was_named(tap: Any) -> None:
    cut = threading.Event()
    watch = tap.Cut(b"second", cut.set, cleanly=True)
    with RawServer(stream_of(b"first ", b"second ")) as server, tap.Tap(server.url, watch=watch) as between:
        body = requests.get(between.url, timeout=10).text

    assert body == "first second "
    assert cut.is_set()


def test_any_other_cut_leaves_the_body_unfinished(tap: Any) -> None:
    got: List[bytes] = []
    watch = tap.Cut(b"second", lambda: None, cleanly=False)
    with RawServer(stream_of(b"first ", b"second ")) as server, tap.Tap(server.url, watch=watch) as between:
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            got.extend(requests.get(between.url, timeout=10, stream=True).iter_content(None))

    assert b"".join(got) == b"first second "


# -- speed -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Loads a module of benchmarks.speed, or (as "__main__") the command."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    return lambda name: importlib.import_module(
        "benchmarks.__main__" if name == "__main__" else f"benchmarks.speed.{name}"
    )


@pytest.fixture
def tapes_url(speed: Callable[[str], Any]) -> Iterator[str]:
    with speed("tape_server").served_tapes() as url:
        yield url


def test_an_event_of_a_tape_is_what_the_server_sends_down_to_the_metadata(speed: Callable[[str], Any]) -> None:
    recorded = (ROOT / "tests" / "data" / "captures" / "slow" / "v1-messages-tuple.sse").read_bytes()
    first = next(line for line in recorded.split(b"\r\n") if line.startswith(b'data: [{"content":"s'))
    events = [event for event in speed("tapes").run_events("text", 3) if event.name == "messages"]
    ours, theirs = json.loads(events[0].data), json.loads(first[len("data: ") :])
    assert ours[1].keys() == theirs[1].keys()
    assert {**ours[0], "content": "", "id": ""} == {**theirs[0], "content": "", "id": ""}


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_a_tape_is_a_whole_run_to_a_client(tapes_url: str, transport: str, no_leaks: None) -> None:
    with Client(tapes_url, transport=transport) as client:
        thread_id = client.threads.create().thread_id
        run = client.runs.stream(thread_id, "agent", input={"tape": "text", "chunks": 30})
        assert "".join(run.text()) == "".join(f"tok{number} " for number in range(30))
        assert run.outcome == "success"


@pytest.mark.parametrize("tape", ["blocks", "call"])
def test_every_tape_ends_in_the_message_that_its_state_holds(tapes_url: str, tape: str) -> None:
    with Client(tapes_url) as client:
        run = client.runs.stream(client.threads.create().thread_id, "agent", input={"tape": tape, "chunks": 30})
        streamed = [message.status for message in run.messages()]
        final, stored = run.final_message(), run.result()["messages"][-1]
    assert streamed == ["streaming"] * (len(streamed) - 1) + ["complete"]
    assert final is not None
    assert (final.content, final.tool_calls) == (stored["content"], stored["tool_calls"])


def test_a_slow_tape_tells_when_each_event_was_sent(tapes_url: str) -> None:
    before = time.monotonic_ns()
    with Client(tapes_url) as client:
        asked = {"tape": "clock", "chunks": 3, "pause": 0.001}
        run = client.runs.stream(client.threads.create().thread_id, "agent", input=asked)
        stamps = [int(text) for text in run.text()]
    assert before < stamps[0] < stamps[1] < stamps[2] < time.monotonic_ns()


def test_a_worker_answers_what_it_is_asked_and_says_why_it_cannot(speed: Callable[[str], Any]) -> None:
    with speed("worker").Worker("speed.costs") as worker:
        assert worker.ask("percentile", values=[3, 1, 2], share=0.5) == 2
        with pytest.raises(RuntimeError, match="IndexError"):
            worker.ask("percentile", values=[], share=1 / 3)


def test_work_is_counted_alike_each_time_and_grows_with_the_work(speed: Callable[[str], Any]) -> None:
    def work(times: int) -> int:
        counted: int = speed("costs").lines_and_calls_of(lambda: [str.upper("a") for _ in range(times)])
        return counted

    assert work(100) == work(100)
    assert work(200) - work(100) == work(300) - work(200) >= 100


@pytest.mark.parametrize(("power", "met"), [(1, True), (1.1, False)])
def test_growth_is_met_by_work_in_proportion_to_the_events_and_by_none_that_grows_faster(
    speed: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, power: float, met: bool
) -> None:
    def ask(_worker: Any, _function: str, *, chunks: int, **_arguments: Any) -> int:
        return 5_000 + int(100 * chunks**power)

    monkeypatch.setattr(speed("worker").Worker, "ask", ask)
    findings = speed("growth").counted("")
    assert [(finding.counted, finding.met) for finding in findings] == [(True, met)] * 4


@pytest.mark.parametrize(("statement", "met"), [("", True), ("; import websockets.sync.client", False)])
def test_an_import_that_loads_what_it_must_not_is_seen(
    speed: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, statement: str, met: bool
) -> None:
    importing = speed("importing")
    monkeypatch.setattr(importing, "_OURS", importing._OURS + statement)
    finding = importing.loaded()
    assert (finding.counted, finding.met) == (True, met)
    assert ("websockets" in finding.seen) is not met


def test_ratios_are_of_pairs_and_their_median_is_held_to_the_bar(speed: Callable[[str], Any]) -> None:
    findings = speed("findings")
    seen = findings.ratios([1.0, 4.0, 9.0], [2.0, 4.0, 3.0])
    assert seen == (1.0, 0.75, 2.0)
    assert findings.at_most("it", 1.0, seen).met
    assert not findings.at_most("it", 0.9, seen).met
    assert "| it | ≤ 0.9 | 1.00 (0.75 to 2.00) | **no** |" in findings.table([findings.at_most("it", 0.9, seen)])


@pytest.mark.parametrize(("counted", "met", "code"), [(True, False, 1), (True, True, 0), (False, False, 0)])
def test_the_quick_form_fails_by_what_is_counted_alone(
    speed: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, counted: bool, met: bool, code: int
) -> None:
    command = speed("__main__")
    finding = speed("findings").Finding("it", "none", "some", met, counted)
    row = speed("rows").Row(lambda url, quick: [finding])
    monkeypatch.setattr(command, "ROWS", {"it": row})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick"])
    assert command.main() == code


def test_a_row_whose_peer_is_not_installed_is_told_and_does_not_fail(
    speed: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(url: str, quick: bool) -> Any:
        raise speed("worker").MissingPeer("langgraph_sdk")

    command = speed("__main__")
    monkeypatch.setattr(command, "ROWS", {"it": speed("rows").Row(measure)})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick"])
    assert command.main() == 0
    assert "not measured: langgraph_sdk is not installed" in capsys.readouterr().out
