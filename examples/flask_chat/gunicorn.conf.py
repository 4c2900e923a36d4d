"""Two workers, and one LangGraph server for both, started with them unless LANGGRAPH_URL names one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

_here = Path(__file__).resolve().parent

chdir = str(_here)
wsgi_app = "chat:create_app()"
bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = 2
# A response that streams keeps a thread (or, with "gevent", a greenlet) for as long as its run takes.
worker_class = os.environ.get("CHAT_WORKERS", "gthread")
threads = 32
# Responses that still stream when gunicorn is to stop are given so long.
graceful_timeout = 5

_servers: List[Any] = []


def on_starting(_server: Any) -> None:
    """In a process of its own: what is imported here, is imported before gevent has changed what it is built on."""
    if os.environ.get("LANGGRAPH_URL"):
        return
    command = [sys.executable, str(_here / "embedded.py")]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    url = started.stdout.readline().strip()
    if not url:
        sys.exit("The LangGraph server could not be started, and LANGGRAPH_URL names none; see above.")
    _servers.append(started)
    os.environ["LANGGRAPH_URL"] = url


def on_exit(_server: Any) -> None:
    for started in _servers:
        started.stdin.close()
        started.wait()
