"""One LangGraph server for the whole session, and a watch over what each test leaves open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, List

import pytest
from langgraph_server import Gate, dev_server, server_python

import lgsync.cli
from lgsync.dev_server import DevServer

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("server")
            if item.get_closest_marker("every_python") is None:
                item.add_marker("full")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a server of all test graphs; LGSYNC_SERVER_URL names one that runs already."""
    running = os.environ.get("LGSYNC_SERVER_URL")
    if running:
        yield running
        return
    try:
        server = dev_server()
    except LookupError as exc:
        pytest.fail(str(exc), pytrace=False)
    with server:
        yield server.url


@pytest.fixture(scope="session")
def demo_url() -> Iterator[str]:
    """A server of the graphs of ``lgsync demo``, whose models do not dawdle."""
    file = Path(lgsync.cli.__file__).with_name("demo_graph.py")
    graphs = {name: f"{file}:{name}" for name in ("agent", "ask")}
    try:
        python = server_python()
    except LookupError as exc:
        pytest.fail(str(exc), pytrace=False)
    with DevServer(graphs, python=python, env={"LGSYNC_DEMO_SECONDS_PER_TOKEN": "0.002"}) as server:
        yield server.url


@pytest.fixture(autouse=True)
def _nothing_left_open(no_leaks: None) -> None:
    """Every test against the server is watched."""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Holds a run's models until the test lets them go on; opened at the end, so that no run is left waiting."""
    held = Gate(tmp_path)
    yield held
    held.open()
