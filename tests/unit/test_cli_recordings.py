"""``lgsync record`` and ``lgsync replay``: the file, the speed, and the exit codes of the runs that it holds."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import started
from rawserver import refused_port
from small_server import RUN, THREAD, Answer, SmallServer, as_events, as_json, thread_routes

METADATA = ("metadata", {"run_id": RUN, "attempt": 1})


def chunk(text: str) -> Any:
    return ("messages", [{"type": "AIMessageChunk", "id": "m1", "content": text, "chunk_position": "last"}, {}])


SAID = as_events(METADATA, chunk("Hello!"))
PAUSED = as_events(METADATA, ("updates", {"__interrupt__": [{"id": "i1", "value": "Shall I?"}]}))
FAILED = as_events(METADATA, ("error", {"error": "ValueError", "message": "boom"}))


@pytest.fixture
def recorded(lgsync, tmp_path: Path):
    """Records a run that streams so; gives the file, and what recording came to."""

    def record(stream: Any, *argv: str, status: str = "success") -> Any:
        file = tmp_path / "run.jsonl"
        with SmallServer(thread_routes(stream, status=status)) as server:
            return file, lgsync("record", "agent", "hi", "-o", str(file), "--url", server.url, *argv)

    return record


@pytest.mark.parametrize("form", ["text", "messages", "parts", "json"])
def test_a_replay_shows_what_the_recorded_run_showed(lgsync, recorded, form):
    file, shown = recorded(SAID, "--format", form)
    assert shown.code == 0
    assert lgsync("replay", str(file), "--format", form, "--speed", "max") == shown


@pytest.mark.parametrize(
    ("stream", "status", "code"), [(SAID, "success", 0), (PAUSED, "success", 3), (FAILED, "error", 4)]
)
def test_a_replay_ends_as_the_run_did(lgsync, recorded, stream, status, code):
    file, shown = recorded(stream, status=status)
    assert shown.code == code
    assert lgsync("replay", str(file), "--speed", "max").code == code


def test_the_file_is_readable_and_holds_no_key(recorded):
    file, _ = recorded(SAID, "--api-key", "lsv2-very-secret")
    assert [json.loads(line) for line in file.read_text().splitlines()]
    assert "very-secret" not in file.read_text()
    assert THREAD in file.read_text()


def test_a_file_that_is_there_is_kept_unless_forced(lgsync, recorded):
    file, _ = recorded(SAID)
    before = file.read_text()
    again = recorded(FAILED)[1]
    assert (again.code, file.read_text()) == (2, before)
    assert "--force" in again.err
    recorded(FAILED, "--force", status="error")
    assert "boom" in file.read_text()


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan"])
def test_a_speed_is_a_number_or_max(lgsync, recorded, speed):
    file, _ = recorded(SAID)
    ended = lgsync("replay", str(file), "--speed", speed)
    assert ended.code == 2
    assert "nor max" in ended.err


@pytest.mark.parametrize("content", ["", "not JSON", "{}\n"])
def test_what_is_no_recording_is_told(lgsync, tmp_path: Path, content: str) -> None:
    file = tmp_path / "other.txt"
    file.write_text(content)
    ended = lgsync("replay", str(file))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "other.txt" in ended.err


def test_a_recording_that_could_not_begin_leaves_nothing_in_its_way(lgsync, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    nobody = f"http://127.0.0.1:{refused_port()}"
    for _ in range(2):
        assert lgsync("record", "agent", "hi", "-o", str(file), "--url", nobody).code == 5
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_written_over_only_by_a_run_that_began(lgsync, recorded, tmp_path: Path) -> None:
    file, _ = recorded(SAID)
    before = file.read_bytes()
    routes = {**thread_routes(), ("POST", "/runs/stream"): as_json({"detail": "no such graph"}, 404)}
    with SmallServer(routes) as server:
        assert lgsync("record", "nope", "hi", "-o", str(file), "--force", "--url", server.url).code == 2
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_run_that_breaks_off_is_recorded_as_far_as_it_came(recorded, tmp_path: Path) -> None:
    file, ended = recorded(as_events(METADATA, chunk("Hel")), status="error")
    assert ended.code == 4
    assert "Hel" in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


def test_recording_through_a_link_leaves_the_link(lgsync, tmp_path: Path) -> None:
    target, link = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.touch()
    link.symlink_to(target)
    with SmallServer(thread_routes(SAID)) as server:
        assert lgsync("record", "agent", "hi", "-o", str(link), "--force", "--url", server.url).code == 0
    assert link.is_symlink()
    assert "Hello!" in target.read_text()


def test_what_is_no_file_is_recorded_into_as_it_is(lgsync) -> None:
    with SmallServer(thread_routes(SAID)) as server:
        assert lgsync("record", "agent", "hi", "-o", "/dev/null", "--force", "--url", server.url).code == 0
    assert not Path("/dev/null").is_file()


@pytest.fixture
def left(tmp_path: Path):
    """A recording of a run that its program left, while it was at work."""
    file = tmp_path / "left.jsonl"
    hello = as_events(METADATA, chunk("Hello!")).body
    ticks, over = [threading.Event() for _ in range(300)], threading.Event()
    # As servers do: a Ctrl-C that comes just before a wait begins is heard only when that wait ends.
    stream = Answer(200, hello, "text/event-stream", beats=[(tick, b": heartbeat\r\n\r\n") for tick in ticks])

    def beat() -> None:
        for tick in ticks:
            tick.set()
            if over.wait(0.3):
                return

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with SmallServer({**thread_routes(stream), ("POST", "/cancel"): as_json({})}) as server:
            with started("record", "agent", "hi", "-o", str(file), "--url", server.url) as command:
                command.see("Hello!")
                command.signal(signal.SIGINT)
                assert command.end() == 130
    finally:
        over.set()
        beating.join()
    return file


@pytest.mark.parametrize("form", ["text", "messages", "parts", "json"])
def test_a_replay_ends_at_once_where_the_recording_was_left(lgsync, left, form):
    begun = time.monotonic()
    ended = lgsync("replay", str(left), "--speed", "max", "--format", form)
    assert time.monotonic() - begun < 3
    assert "Hello!" in ended.out
    assert (ended.code, ended.err) == (4, "lgsync: the recording ends here, before its run did\n")


def joined(*files: Path) -> bytes:
    """One recording of the runs of several: each stream has a name of its own."""
    lines = files[0].read_bytes().splitlines(keepends=True)[:1]
    for number, file in enumerate(files):
        for line in file.read_bytes().splitlines()[1:]:
            told = json.loads(line)
            told.update({"stream": f"{number}-{told['stream']}"} if "stream" in told else {})
            text = json.dumps(told).replace(RUN, RUN.replace("2222-2222-2222", f"2222-2222-222{number}"))
            lines.append(text.encode() + b"\n")
    return b"".join(lines)


@pytest.fixture
def several(recorded, tmp_path: Path):
    """A recording of a run for each of these streams."""

    def record(*streams: Any) -> Path:
        files = []
        for number, (stream, status) in enumerate(streams):
            file, _ = recorded(stream, status=status)
            files.append(file.rename(tmp_path / f"{number}.jsonl"))
        whole = tmp_path / "whole.jsonl"
        whole.write_bytes(joined(*files))
        return whole

    return record


def test_a_replay_goes_on_after_a_run_that_failed(lgsync, several):
    file = several((FAILED, "error"), (SAID, "success"))
    ended = lgsync("replay", str(file), "--speed", "max", "--format", "text")
    assert (ended.code, ended.out) == (0, "Hello!\n")
    assert "boom" in ended.err
    assert ended.err.count("\n") == 1


def test_a_replay_ends_as_its_last_run_did(lgsync, several):
    file = several((SAID, "success"), (FAILED, "error"))
    ended = lgsync("replay", str(file), "--speed", "max", "--format", "text")
    assert (ended.code, ended.out) == (4, "Hello!\n")


def test_a_replay_needs_no_server_that_could_be_used(lgsync, recorded, monkeypatch):
    file, _ = recorded(SAID)
    monkeypatch.setenv("LANGGRAPH_URL", "not a url")
    assert lgsync("replay", str(file), "--speed", "max").code == 0


@pytest.mark.parametrize(
    ("number", "ending"), [(signal.SIGINT, (130, "lgsync: interrupted\n")), (None, (141, ""))], ids=["Ctrl-C", "head"]
)
def test_leaving_a_replay_early_cancels_nothing_and_says_nothing_of_it(recorded, number, ending):
    file, _ = recorded(as_events(METADATA, *[chunk("Hello! " * 100)] * 300))
    with started("replay", str(file), "--format", "json") as command:
        command.see("Hello!")
        command.stop_reading() if number is None else command.signal(number)
        code = command.end()
    assert (code, command.errors) == ending
