from __future__ import annotations

from pathlib import Path

import pytest
from langgraph_server import dev_server, run_plainly, server_python

from lgsync.dev_server import DevServer
from lgsync.errors import ConnectionFailed


def test_a_killed_server_comes_back_on_its_port() -> None:
    with dev_server("slow") as server:
        server.kill()
        server.restart()

        run = run_plainly(server.url, "slow", config={"configurable": {"tokens": 1, "delay": 0}})

    assert run.messages[-1]["content"] == "s0 "


def test_a_restarted_server_still_has_its_threads() -> None:
    with dev_server("static") as server:
        before = run_plainly(server.url, "static")
        server.restart()

        after = run_plainly(server.url, "static", thread_id=before.thread_id)

    assert len(after.messages) > len(before.messages)


def test_a_graph_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module\n")

    with pytest.raises(ConnectionFailed, match=r"Failed to load graph 'agent' from .*broken.py: No module named"):
        DevServer({"agent": f"{broken}:graph"}, python=server_python()).start()
