"""Waiting for a run gives the same, whichever transport started it and whenever the wait began."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List

import pytest
from langgraph_server import Gate
from rawserver import until
from witness import GREETING

from lgsync import Client
from lgsync.testing import FaultProxy

both_transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


def texts(values: Dict[str, Any]) -> List[str]:
    """The text of each message, however the server stores it."""
    pieces = [message["content"] for message in values["messages"]]
    return [piece if isinstance(piece, str) else "".join(block["text"] for block in piece) for piece in pieces]


def waited(proxy: FaultProxy, transport: str, graph: str, gate: Gate) -> List[Dict[str, Any]]:
    """What two waits for a run give, of which one begins before its end, and the other after it."""
    with Client(proxy.url, transport=transport) as client, ThreadPoolExecutor(1) as pool:
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, graph, input=GREETING, config=gate.config) as run:
            early = pool.submit(client.runs.join, thread_id, str(run.run_id))
            until(lambda: any(request.path.endswith("/join") for request in proxy.requests))
            gate.open()
            run.wait()
            return [dict(early.result(20)), dict(client.runs.join(thread_id, str(run.run_id)))]


@both_transports
def test_the_values_of_a_run_that_ends_while_it_is_waited_for(
    transport: str, server_url: str, fault_proxy: Callable[[str], FaultProxy], gate: Gate
) -> None:
    early, late = waited(fault_proxy(server_url), transport, "slow", gate)
    assert texts(early) == ["hello", "".join(f"s{number} " for number in range(10))]
    assert early == late


@both_transports
def test_the_values_of_a_run_that_pauses_while_it_is_waited_for(
    transport: str, server_url: str, fault_proxy: Callable[[str], FaultProxy], gate: Gate
) -> None:
    for values in waited(fault_proxy(server_url), transport, "hitl", gate):
        assert texts(values) == ["hello", "draft0 draft1 draft2 "]
        assert [interrupt["value"] for interrupt in values["__interrupt__"]] == [{"q": "ok?"}]
