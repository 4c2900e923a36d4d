"""What a client costs before its first request: its import, and what its installation pulls in."""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Dict, List, NamedTuple, Sequence, Set

__all__ = ["Weight", "distributions", "oldest_python", "weigh"]

ROUNDS = 7

_CHILD = """
import json, sys, time
loaded = len(sys.modules)
began = time.process_time()
exec(sys.argv[1])
spent = time.process_time() - began
try:
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
except OSError:
    resident = None
print(json.dumps([spent, len(sys.modules) - loaded, resident]))
"""


class Weight(NamedTuple):
    """Medians over fresh processes; ``resident`` MiB is 0 where the system does not tell."""

    cpu: float
    modules: int
    resident: float

    def __str__(self) -> str:
        resident = f", {self.resident:.0f} MiB resident" if self.resident else ""
        return f"{self.cpu:.2f} s of CPU, {self.modules} modules{resident}"


def weigh(statements: Sequence[str]) -> List[Weight]:
    """The weight of each import, taken in turn so that what else the machine does meets all alike."""
    for statement in statements:
        _import(statement)  # compiles what is not compiled yet, and warms the file cache
    taken: Dict[str, List[List[float]]] = {statement: [] for statement in statements}
    for _ in range(ROUNDS):
        for statement in statements:
            taken[statement].append(_import(statement))
    return [_median(taken[statement]) for statement in statements]


def _import(statement: str) -> List[float]:
    out = subprocess.check_output([sys.executable, "-c", _CHILD, statement], cwd=tempfile.gettempdir(), text=True)
    measured: List[float] = json.loads(out)
    return measured


def _median(measured: List[List[float]]) -> Weight:
    cpu, modules, resident = zip(*measured)
    return Weight(statistics.median(cpu), int(modules[0]), statistics.median(each or 0 for each in resident))


def distributions(name: str) -> Set[str]:
    """The installed distributions that ``name`` needs here, itself included."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: Set[str] = set()
    waiting = [(str(canonicalize_name(name)), frozenset([""]))]
    seen = set(waiting)
    while waiting:
        each, extras = waiting.pop()
        found.add(each)
        for text in importlib.metadata.requires(each) or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                pair = (str(canonicalize_name(needed.name)), frozenset([*needed.extras, ""]))
                if pair not in seen:
                    seen.add(pair)
                    waiting.append(pair)
    return found


def oldest_python(name: str) -> str:
    """What the distribution says of the Pythons it runs on."""
    return str(importlib.metadata.metadata(name)["Requires-Python"])


def machine() -> str:
    """This machine, as far as it bears on the times."""
    model = "unknown processor"
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} processors, {sys.platform}"
