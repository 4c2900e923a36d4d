"""lgsync beside langgraph-sdk's blocking client: both are asked the same, and a table says what each did.

    python -m benchmarks.facts [--url URL] [--output FILE]

It needs both clients installed. Without ``--url`` it starts a server of the graphs in tests/server/graphs, for which
LGSYNC_SERVER_PYTHON names an interpreter that has ``langgraph-cli[inmem]`` (default: this one).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import importlib.metadata
import json
import platform
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, List, NamedTuple, Optional

from .probing import ROOT, run_probe
from .rows import ROWS
from .weight import ROUNDS, distributions, machine, oldest_python, weigh

OFFICIAL, OURS = "langgraph-sdk", "lgsync"
#: Rows that are asked at one time. What they say of seconds is waiting; of CPU, this process's own.
ABREAST = 2


class Row(NamedTuple):
    asked: str
    official: str
    ours: str


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure lgsync beside langgraph-sdk's blocking client.")
    parser.add_argument("--url", help="a server of the graphs in tests/server/graphs (default: one is started)")
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "FACTS.md"), help="where the table is written")
    args = parser.parse_args()
    weights = weigh_rows()
    with served(args.url) as url:
        text = table([*asked_rows(url), *weights], conditions(url))
    with open(args.output, "w", encoding="utf-8") as file:
        file.write(text)
    print(text)


@contextlib.contextmanager
def served(url: Optional[str]) -> Iterator[str]:
    """The server to ask: the one at ``url``, or one of our own."""
    if url is not None:
        yield url.rstrip("/")
        return
    sys.path.append(str(ROOT / "tests" / "support"))
    dev_server = importlib.import_module("langgraph_server").dev_server

    with dev_server(jobs=20) as server:
        yield server.url


def asked_rows(url: str) -> List[Row]:
    def ask(name: str) -> Row:
        return Row(ROWS[name], run_probe("official", name, url, folder), run_probe("ours", name, url, folder))

    with tempfile.TemporaryDirectory(prefix="lgsync-facts-") as folder, ThreadPoolExecutor(ABREAST) as pool:
        return list(pool.map(ask, ROWS))


def weigh_rows() -> List[Row]:
    official, ours = weigh(["from langgraph_sdk import get_sync_client", "from lgsync import Client"])
    times = f"import of the client, median of {ROUNDS} fresh processes"
    return [
        Row(times, str(official), f"{ours}; a factor of {official.cpu / ours.cpu:.1f} in CPU"),
        Row("distributions installed", str(len(distributions(OFFICIAL))), str(len(distributions(OURS)))),
        Row("Python", oldest_python(OFFICIAL), oldest_python(OURS)),
    ]


def conditions(url: str, command: str = "facts") -> str:
    """When, with what and on what machine this command of ours measured."""
    with urllib.request.urlopen(f"{url}/info", timeout=10) as answer:
        server = json.load(answer)
    day = datetime.date.today().isoformat()
    return (
        f"Measured with `python -m benchmarks.{command}` on {day}: server langgraph-api {server['version']} "
        f"(in memory, on the same machine), langgraph {server['langgraph_py_version']}, "
        f"Python {platform.python_version()}, {machine()}."
    )


def table(rows: List[Row], conditions: str) -> str:
    """The rows as a Markdown table, and under what conditions they were measured."""
    versions = {name: importlib.metadata.version(name) for name in (OFFICIAL, OURS)}
    head = [f"| what was asked | {OFFICIAL} {versions[OFFICIAL]}, sync | {OURS} {versions[OURS]} |", "|---|---|---|"]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*head, *body, "", conditions, ""])


if __name__ == "__main__":
    main()
