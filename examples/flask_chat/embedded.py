"""The LangGraph server that the chat talks to if LANGGRAPH_URL names none: the scripted agents of ``lgsync demo``.

Run as a program it prints its server's URL, and ends when its input does: with whoever started it, that is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import lgsync
from lgsync.dev_server import DevServer

_GRAPHS = Path(lgsync.__file__).parent / "cli" / "demo_graph.py"


def embedded_server() -> DevServer:
    """A server, not yet started. It needs no key."""
    python = os.environ.get("LGSYNC_SERVER_PYTHON", sys.executable)
    return DevServer({name: f"{_GRAPHS}:{name}" for name in ("agent", "ask")}, python=python, jobs=50)


if __name__ == "__main__":
    with embedded_server() as server:
        print(server.url, flush=True)
        sys.stdin.read()
