"""Many runs in one process, each ended in one of the ways there are: does anything remain of them?

    python -m benchmarks.soak [--runs 2000] [--transport sse|websocket|both] [--url URL] [--output FILE]

Prints what the process holds after each hundred runs, and ends with code 1 if the last reading exceeds the first by
more than is allowed. What cuts connections, and the server, are other processes. Without ``--url`` a server is started
as :mod:`benchmarks.facts` does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Counter as Counts
from typing import Dict, Iterator, List, NamedTuple, Tuple

from lgsync.testing import Cut, FaultProxy, Request, is_stream

from .facts import conditions, served
from .probing import ROOT
from .residue import Reading

#: How much more the last reading may show than the first.
MORE_DESCRIPTORS = 2
MORE_THREADS = 0
MORE_OBJECTS = 100
# Long after the last object that stays, what the C library has taken from the system still grows a little.
MORE_RESIDENT = 0.08

TRANSPORTS = ("sse", "websocket")

# The checkout comes last on the path: its lgsync/ would hide an installed package.
_CHILD = "import sys; sys.path.append(sys.argv[1]); from benchmarks.residue import main; main(*sys.argv[2:])"


_HEAD = (
    "| runs | runs a second | file descriptors | of these sockets | threads | objects | MiB resident |",
    "|---" * 7 + "|",
)


class Soaked(NamedTuple):
    """What a process held after each ``every`` runs over a transport."""

    transport: str
    readings: List[Reading]

    @property
    def growth(self) -> Dict[str, str]:
        """What grew by more than is allowed, and how."""
        first, last = self.readings[0], self.readings[-1]
        limits: Dict[str, Tuple[float, float, float]] = {
            "file descriptors": (first.descriptors, last.descriptors, first.descriptors + MORE_DESCRIPTORS),
            "sockets": (first.sockets, last.sockets, first.sockets + MORE_DESCRIPTORS),
            "threads": (first.threads, last.threads, first.threads + MORE_THREADS),
            "objects": (first.objects, last.objects, first.objects + MORE_OBJECTS),
            "MiB resident": (first.resident, last.resident, first.resident * (1 + MORE_RESIDENT)),
        }
        return {name: f"{then:g} → {now:g}" for name, (then, now, most) in limits.items() if now > most}

    @property
    def verdict(self) -> str:
        grown = ", ".join(f"{name} {how}" for name, how in self.growth.items())
        return f"{self.transport}: {'GREW: ' + grown if grown else 'nothing grew'}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run many runs in one process, and see what remains of them.")
    parser.add_argument("--runs", type=int, default=2000, help="how many, for each transport (default: 2000)")
    parser.add_argument("--transport", choices=(*TRANSPORTS, "both"), default="both")
    parser.add_argument("--url", help="a server of the graphs in tests/server/graphs (default: one is started)")
    parser.add_argument("--output", help="where the tables are written, too")
    args = parser.parse_args()
    soaked: List[Soaked] = []
    for transport in TRANSPORTS if args.transport == "both" else (args.transport,):
        with served(args.url) as url:
            measured = conditions(url, "soak")
            soaked.append(soak(url, transport, args.runs))
    told = report(soaked, measured)
    print(told)
    if args.output:
        Path(args.output).write_text(told, encoding="utf-8")
    sys.exit(1 if any(one.growth for one in soaked) else 0)


def soak(url: str, transport: str, runs: int, every: int = 100) -> Soaked:
    """Let a process of its own stream ``runs`` runs from the server at ``url``, and read it after each ``every``.

    Raises RuntimeError if a run did not end as it should have.
    """
    readings: List[Reading] = []
    with cutting(url) as (once, twice), tempfile.TemporaryDirectory(prefix="lgsync-soak-") as folder:
        given = [str(ROOT), transport, str(runs), str(every), url, once, twice]
        command = [sys.executable, "-c", _CHILD, *given]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                readings.append(Reading(*json.loads(line)))
                print(f"{transport}: {readings[-1]}", file=sys.stderr, flush=True)
    if process.returncode or not readings:
        raise RuntimeError(f"The runs over {transport} did not go as they should have; what is written above says why")
    return Soaked(transport, readings)


@contextlib.contextmanager
def cutting(url: str) -> Iterator[Tuple[str, str]]:
    """The URLs of a proxy that cuts the first connection of every run, and of one that cuts the second, too."""
    with FaultProxy(url) as once, FaultProxy(url) as twice:
        once.script(Cut(after_events=10), match=Nth(1), repeat=True)
        # Before the other script: what a script has taken, those behind it do not see.
        twice.script(Cut(after_events=5, how="eof"), match=Nth(2), repeat=True)
        twice.script(Cut(after_events=8, how="rst"), match=Nth(1), repeat=True)
        yield once.url, twice.url


class Nth:
    """Chooses the n-th stream that is opened on each thread."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._opened: Counts[str] = Counter()

    def __call__(self, request: Request) -> bool:
        if not is_stream(request):
            return False
        thread_id = request.path.split("/")[2]
        self._opened[thread_id] += 1
        return self._opened[thread_id] == self._number


def report(soaked: List[Soaked], conditions: str) -> str:
    """The readings as Markdown tables."""
    tables = []
    for transport, readings in soaked:
        tables.append("\n".join([f"{transport}:", "", *_HEAD, *(reading.row for reading in readings)]))
    allowed = (
        f"Allowed from the first reading to the last: {MORE_DESCRIPTORS} descriptors, {MORE_THREADS} threads, "
        f"{MORE_OBJECTS} objects, {MORE_RESIDENT:.0%} of memory."
    )
    verdicts = "; ".join(one.verdict for one in soaked)
    return "\n\n".join([*tables, f"{verdicts}. {allowed}", conditions]) + "\n"


if __name__ == "__main__":
    main()
