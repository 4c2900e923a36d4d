"""Runs of a real server, recorded over each transport, and replayed without it."""

from __future__ import annotations

import socket
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import pytest
from normal_form import normal_list
from witness import GREETING

from lgsync import Client, RunError
from lgsync.transports import RecordingTransport, ReplayTransport

TRANSPORTS = ("sse", "websocket")


class Seen(NamedTuple):
    """What an app sees of a conversation."""

    changes: List[Dict[str, Any]]
    outcome: Optional[str]
    interrupts: List[Any]
    state: Dict[str, Any]
    ids: Tuple[str, Optional[str]]
    error: Optional[str] = None

    @property
    def told(self) -> Any:
        """What two runs of one graph have in common."""
        final = {change["id"]: change for change in self.changes}
        return normal_list(final.values(), ids=False), self.outcome, self.interrupts, self.error


def talk(client: Client, graph: str, thread_id: Optional[str] = None) -> Seen:
    thread = client.threads.create(thread_id=thread_id)
    changes, error = [], None
    with client.runs.stream(thread.thread_id, graph, input=GREETING) as run:
        try:
            changes = [message.to_dict() for message in run.messages()]
        except RunError as exc:
            error = exc.error
    interrupts = [interrupt.value for interrupt in run.interrupts]
    state = client.threads.get_state(thread.thread_id)
    return Seen(changes, run.outcome, interrupts, dict(state.values), (thread.thread_id, run.run_id), error)


def recorded(url: str, transport: str, graph: str, path: Path) -> Seen:
    with Client(url, transport=partial(RecordingTransport, inner=transport, path=path), api_key="planted") as client:
        return talk(client, graph)


def replayed(path: Path, **options: Any) -> Client:
    return Client("http://nowhere.invalid", transport=partial(ReplayTransport, path=path, **options))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("graph", ["agent", "hitl", "err"])
def test_a_recorded_run_is_replayed_as_it_was(server_url: str, tmp_path: Path, transport: str, graph: str) -> None:
    live = recorded(server_url, transport, graph, tmp_path / "run.jsonl")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", None)
        assert talk(replayed(tmp_path / "run.jsonl"), graph) == live


@pytest.mark.parametrize("graph", ["agent", "ptools", "blocks", "hitl", "sub"])
def test_what_was_recorded_over_one_transport_tells_the_same_messages_as_over_the_other(
    server_url: str, tmp_path: Path, graph: str
) -> None:
    told = []
    for transport in TRANSPORTS:
        path = tmp_path / f"{transport}.jsonl"
        recorded(server_url, transport, graph, path)
        told.append(talk(replayed(path), graph).told)

    assert told[0] == told[1]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_wherever_a_replay_is_cut_the_messages_are_whole(server_url: str, tmp_path: Path, transport: str) -> None:
    path = tmp_path / "run.jsonl"
    live = recorded(server_url, transport, "agent", path)
    count = path.read_text().count('"kind": "part"')

    for cut in range(count + 1):
        again = talk(replayed(path, cut_after=cut), "agent")
        assert again == live, f"after {cut} parts"


def test_a_client_that_makes_up_its_threads_id_makes_up_another(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Client(server_url, transport=partial(RecordingTransport, path=path)) as client:
        live = talk(client, "agent", str(uuid.uuid4()))
    mine = str(uuid.uuid4())
    again = talk(replayed(path), "agent", mine)

    assert again.ids == (mine, live.ids[1])
    assert again.told == live.told


def test_at_twice_its_speed_a_replay_takes_half_as_long(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Client(server_url, transport=partial(RecordingTransport, path=path)) as client:
        thread_id = client.threads.create().thread_id
        config = {"configurable": {"tokens": 4, "delay": 0.1}}
        begun = time.monotonic()
        with client.runs.stream(thread_id, "slow", input=GREETING, config=config) as run:
            live = list(run)
        took = time.monotonic() - begun
    client = replayed(path, speed=2.0)
    thread_id = client.threads.create().thread_id
    begun = time.monotonic()
    with client.runs.stream(thread_id, "slow", input=GREETING, config=config) as run:
        assert list(run) == live

    assert took / 2 * 0.8 < time.monotonic() - begun
