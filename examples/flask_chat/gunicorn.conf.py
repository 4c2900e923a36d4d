"""Two workers, and one LangGraph server for both, started with them unless LANGGRAPH_URL names one."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

_here = str(Path(__file__).resolve().parent)
sys.path.insert(0, _here)

from embedded import embedded_server  # noqa: E402 (found in this folder)

chdir = _here
wsgi_app = "chat:create_app()"
bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = 2
# A response that streams keeps a thread (or, with "gevent", a greenlet) for as long as its run takes.
worker_class = os.environ.get("CHAT_WORKERS", "gthread")
threads = 32
# Responses that still stream when gunicorn is to stop are given so long.
graceful_timeout = 5

_started = contextlib.ExitStack()


def on_starting(_server: Any) -> None:
    os.environ["LANGGRAPH_URL"] = _started.enter_context(embedded_server())


def on_exit(_server: Any) -> None:
    _started.close()
