"""A stand-in for an interpreter with the LangGraph server: the same command line, an HTTP server of a few lines.

``GET /ok`` answers; ``GET /environment`` and ``GET /langgraph.json`` show what it was given; ``GET /starts`` how often
one was started in its folder. ``FAKE_*`` variables make it misbehave.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, Tuple

_CLI = """
import http.server, json, os, signal, subprocess, sys, threading

def cli():
    assert sys.argv[0] == "langgraph" and sys.argv[1] == "dev", sys.argv
    print("fake server", os.getpid(), flush=True)
    if "FAKE_STATUS" in os.environ:
        sys.exit(int(os.environ["FAKE_STATUS"]))
    if "FAKE_DEAF" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "FAKE_FIFO" in os.environ:
        # The child inherits the write end: the FIFO ends when both are gone.
        fifo = os.open(os.environ["FAKE_FIFO"], os.O_WRONLY)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[fifo])
    with open("starts", "a") as starts:
        starts.write("x")
    if "FAKE_SILENT" in os.environ:
        threading.Event().wait()
    port = int(sys.argv[sys.argv.index("--port") + 1])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        shown = {
            "/ok": lambda: {"ok": True},
            "/environment": lambda: dict(os.environ),
            "/langgraph.json": lambda: json.load(open("langgraph.json")),
            "/starts": lambda: len(open("starts").read()),
        }
        body = json.dumps(shown[self.path]()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
"""

# Pretends to be of another version, so that each branch of the launcher runs on each Python the suite runs on.
_PYTHON = """#!{python}
import sys
sys.version_info = {version}
sys.path.insert(0, {modules!r})
code = sys.argv[2]
sys.argv[:] = ["-c", *sys.argv[3:]]
exec(compile(code, "<launcher>", "exec"))
"""


def fake_python(folder: Path, *, version: Tuple[int, int] = (3, 11), installed: bool = True) -> str:
    """The path of an executable that behaves as ``python`` does for a DevServer."""
    modules = folder / "modules"
    (modules / "langgraph_api").mkdir(parents=True)
    (modules / "langgraph_api" / "__init__.py").touch()
    if installed:
        (modules / "langgraph_cli").mkdir()
        (modules / "langgraph_cli" / "__init__.py").touch()
        (modules / "langgraph_cli" / "cli.py").write_text(_CLI)
    executable = folder / "python"
    executable.write_text(_PYTHON.format(python=sys.executable, version=version, modules=str(modules)))
    executable.chmod(0o755)
    return str(executable)


def graph_file(folder: Path) -> Dict[str, str]:
    """The ``graphs`` of a DevServer: one, defined in a file of ``folder``."""
    file = folder / "my_graph.py"
    file.touch()
    return {"agent": f"{file}:graph"}
