"""``lgsync record`` and ``lgsync replay``: the file, the speed, and the exit codes of the runs that it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_server import RUN, THREAD, SmallServer, as_events, thread_routes

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
