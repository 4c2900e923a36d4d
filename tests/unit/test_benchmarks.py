"""The proxy that the measurements rest on, and the table they end in."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, List, Set

import pytest
import requests
from rawserver import RawServer, answer

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
