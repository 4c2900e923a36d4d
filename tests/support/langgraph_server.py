"""What tests need to start, pace and read a real LangGraph server."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

import requests

from lgsync.dev_server import DevServer

ROOT = Path(__file__).resolve().parents[2]

#: The test graphs, by the file of tests/server/graphs that defines them.
GRAPHS: Dict[str, Sequence[str]] = {
    "tools_called": ("agent", "ptools", "failtool", "escapes"),
    "shapes": ("sub", "parallel", "fanout"),
    "contents": ("blocks", "thinking", "image", "unicode", "custom", "big"),
    "interrupts": ("hitl", "hitl2", "hitlsub"),
    "failures": ("err", "nodeerr", "retry"),
    "states": ("static", "remove", "wipe", "rewrite", "sidecall", "nostream", "wholemodel"),
    "paces": ("slow", "silent", "echo"),
}

TIMEOUT = 60.0


def graph_paths(*names: str) -> Dict[str, str]:
    """Where the graphs of these names (all, if none is named) are defined, as DevServer takes it."""
    folder = ROOT / "tests" / "server" / "graphs"
    every = {name: f"{folder / file}.py:{name}" for file, held in GRAPHS.items() for name in held}
    return {name: every[name] for name in names} if names else every


def server_python() -> str:
    """An interpreter that has the LangGraph server; LookupError says what to do if there is none."""
    named = os.environ.get("LGSYNC_SERVER_PYTHON")
    if named and shutil.which(named):
        return named
    in_tox = ROOT / ".tox" / "server" / "bin" / "python"
    if in_tox.exists():
        return str(in_tox)
    if importlib.util.find_spec("langgraph_api"):
        return sys.executable
    raise LookupError(
        "These tests need a LangGraph server: run `tox -e server` once, or set LGSYNC_SERVER_PYTHON to a Python that "
        "has langgraph-cli[inmem], or LGSYNC_SERVER_URL to a server of the graphs in tests/server/graphs."
    )


def dev_server(*names: str, config: Optional[Mapping[str, Any]] = None, **options: Any) -> DevServer:
    """A server (not yet started) of the test graphs of these names, or of all."""
    headers = {"http": {"configurable_headers": {"include": ["x-echo-*", "user-agent"]}}}
    return DevServer(graph_paths(*names), python=server_python(), config={**headers, **(config or {})}, **options)


class Gate:
    """Lets a run's models go on chunk by chunk: pass ``config`` to the run, then ``allow`` chunks."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "gate"
        self._open_to(0)

    @property
    def config(self) -> Dict[str, Any]:
        return {"configurable": {"gate": str(self._file)}}

    def allow(self, chunks: int) -> None:
        """Let each model of the run send its first ``chunks`` chunks."""
        self._open_to(chunks)

    def open(self) -> None:
        """Let the models send all they have."""
        self._open_to(1_000_000)

    def _open_to(self, chunks: int) -> None:
        # Replaced in one step: the server must never read half a number.
        written = self._file.with_suffix(".new")
        written.write_text(str(chunks))
        written.replace(self._file)


class Event(NamedTuple):
    name: str
    data: Any


class PlainRun(NamedTuple):
    """A run as plain HTTP shows it: its events, then its thread's state."""

    thread_id: str
    events: List[Event]
    state: Dict[str, Any]

    def named(self, name: str) -> List[Any]:
        return [event.data for event in self.events if event.name == name]

    @property
    def chunks(self) -> List[Dict[str, Any]]:
        """The messages and chunks of ``messages-tuple`` mode, of every namespace."""
        return [event.data[0] for event in self.events if event.name.partition("|")[0] == "messages"]

    @property
    def messages(self) -> List[Dict[str, Any]]:
        """The messages of the thread at the end."""
        return list(self.state["values"].get("messages", []))


def run_plainly(
    url: str,
    graph: str,
    *,
    thread_id: Optional[str] = None,
    stream_mode: Union[str, Sequence[str]] = ("values", "updates", "custom", "messages-tuple"),
    **payload: Any,
) -> PlainRun:
    """Run ``graph`` over plain ``requests``; with no input and no command, a human greets it."""
    with requests.Session() as session:
        session.trust_env = False
        if thread_id is None:
            thread_id = str(session.post(f"{url}/threads", json={}, timeout=TIMEOUT).json()["thread_id"])
        if "input" not in payload and "command" not in payload:
            payload["input"] = {"messages": [{"role": "user", "content": "hello"}]}
        body = {"assistant_id": graph, "stream_mode": list(stream_mode), **payload}
        response = session.post(f"{url}/threads/{thread_id}/runs/stream", json=body, timeout=TIMEOUT)
        response.raise_for_status()
        state = session.get(f"{url}/threads/{thread_id}/state", timeout=TIMEOUT).json()
    return PlainRun(thread_id, _events(response.content), state)


def _events(body: bytes) -> List[Event]:
    found = []
    for frame in body.split(b"\r\n\r\n"):
        fields = dict(line.split(b": ", 1) for line in frame.split(b"\r\n") if line and not line.startswith(b":"))
        if fields:
            found.append(Event(fields[b"event"].decode(), json.loads(fields[b"data"])))
    return found
