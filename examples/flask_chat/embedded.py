"""The LangGraph server that the chat talks to if LANGGRAPH_URL names none."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Iterator

import lgsync
from lgsync.dev_server import DevServer

#: The scripted agents of ``lgsync demo``; they need no key.
_GRAPHS = Path(lgsync.__file__).parent / "cli" / "demo_graph.py"


@contextlib.contextmanager
def embedded_server() -> Iterator[str]:
    """The URL of a server: the one that LANGGRAPH_URL names, or one that lives as long as the block."""
    named = os.environ.get("LANGGRAPH_URL")
    if named:
        yield named
        return
    python = os.environ.get("LGSYNC_SERVER_PYTHON", sys.executable)
    graphs = {name: f"{_GRAPHS}:{name}" for name in ("agent", "ask")}
    with DevServer(graphs, python=python, jobs=50) as server:
        yield server.url
