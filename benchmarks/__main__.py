"""How fast lgsync is, beside langgraph-sdk's blocking client and beside what is needed at least.

    python -m benchmarks [--only ROW …] [--quick] [--output FILE]

Prints what was seen of each bar, and writes it to RESULTS.md. With ``--quick`` it takes at most two minutes, writes
nothing, and ends with code 1 if work grows with what came before it, or if the import loads what it must not; both are
counted, so that a slow machine cannot fail it.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import sys
import time
from typing import List

from .probing import ROOT
from .speed.findings import Finding, table, verdict
from .speed.rows import ROWS
from .speed.tape_server import served_tapes
from .speed.worker import MissingPeer
from .weight import machine

_DISTRIBUTIONS = ("lgsync", "requests", "urllib3", "sseclient-py", "websockets", "pydantic-core")
_PEERS = ("langgraph-sdk", "httpx", "orjson", "langchain-core", "gevent")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help=f"one of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="two minutes; fails on growth and on heavy imports")
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "RESULTS.md"), help="where the table is written")
    args = parser.parse_args()
    began, load = time.monotonic(), os.getloadavg()[0]
    findings = measured(args.only or [name for name, row in ROWS.items() if row.quick or not args.quick], args.quick)
    text = f"{table(findings)}\n\n{conditions(time.monotonic() - began, load)}\n"
    print(text)
    if not (args.quick or args.only):
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(f"# Speed\n\n{text}")
    failed = [finding.what for finding in findings if finding.counted and not finding.met]
    if args.quick and failed:
        print("Failed:", *failed, sep="\n  ", file=sys.stderr)
    return int(args.quick and bool(failed))


def measured(names: List[str], quick: bool) -> List[Finding]:
    """What was seen in these rows, each told as soon as it is known."""
    findings: List[Finding] = []
    with served_tapes() as url:
        for name in names:
            began = time.monotonic()
            try:
                seen = ROWS[name].measure(url, quick)
            except MissingPeer as exc:
                seen = [Finding(name, "", f"not measured: {exc} is not installed", None)]
            for one in seen:
                print(f"{one.what}: {one.seen}, bar {one.bar or 'none'}: {verdict(one)}", file=sys.stderr)
            print(f"  ({name} took {time.monotonic() - began:.0f} s)", file=sys.stderr)
            findings += seen
    return findings


def conditions(seconds: float, load: float) -> str:
    """When, with what and on what machine this was measured."""
    return (
        f"Measured with `python -m benchmarks` in {seconds / 60:.1f} minutes on {datetime.date.today().isoformat()}: "
        f"Python {platform.python_version()}, {machine()}, load {load:.1f} before it began. {versions()}."
    )


def versions() -> str:
    """Those of all distributions that were measured, as far as they are installed."""
    found = []
    for name in (*_DISTRIBUTIONS, *_PEERS):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


if __name__ == "__main__":
    sys.exit(main())
