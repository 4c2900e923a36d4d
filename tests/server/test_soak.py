"""Many runs in one process, ended in all the ways there are, leave nothing behind: the short form of the soak test."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from langgraph_server import ROOT


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> Any:
    # Last: the checkout's lgsync/ would hide an installed one.
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    from benchmarks import soak

    return soak


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_sixty_runs_leave_no_descriptor_and_no_thread(server_url: str, transport: str, soak: Any) -> None:
    soaked = soak.soak(server_url, transport, 60, every=20)

    assert [reading.runs for reading in soaked.readings] == [20, 40, 60]
    assert {reading.descriptors for reading in soaked.readings} == {3}
    assert {reading.threads for reading in soaked.readings} == {1}


def test_growth_beyond_what_is_allowed_is_named(soak: Any) -> None:
    first = soak.Reading(100, 1.0, 3, 0, 1, 38000, 50.0)
    fine, grown = (
        first._replace(runs=200, objects=38050, resident=52.4),
        first._replace(runs=200, descriptors=6, threads=2, objects=40000),
    )

    assert soak.Soaked("sse", [first, fine]).growth == {}
    assert soak.Soaked("sse", [first, grown]).growth == {
        "file descriptors": "3 → 6",
        "threads": "1 → 2",
        "objects": "38000 → 40000",
    }
