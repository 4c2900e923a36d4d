"""What a client costs before its first request: its import, and what its installation pulls in."""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import List, NamedTuple, Sequence, Set

__all__ = ["Weight", "distributions", "machine", "oldest_python", "weigh", "weigh_in_turn"]

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
    """What one fresh process told, or medians over several; ``resident`` MiB is 0 where the system does not tell."""

    cpu: float
    modules: int
    resident: float

    def __str__(self) -> str:
        resident = f", {self.resident:.0f} MiB resident" if self.resident else ""
        return f"{self.cpu:.2f} s of CPU, {self.modules} modules{resident}"


def weigh(statements: Sequence[str]) -> List[Weight]:
    """The weight of each import: medians."""
    return [_median(each) for each in weigh_in_turn(statements, ROUNDS)]


def weigh_in_turn(statements: Sequence[str], rounds: int) -> List[List[Weight]]:
    """The weights of each import, taken in turn so that what else the machine does meets all alike."""
    for statement in statements:
        _import(statement)  # compiles what is not compiled yet, and warms the file cache
    taken: List[List[Weight]] = [[] for _ in statements]
    for _ in range(rounds):
        for statement, weights in zip(statements, taken):
            weights.append(_import(statement))
    return taken


def _import(statement: str) -> Weight:
    out = subprocess.check_output([sys.executable, "-c", _CHILD, statement], cwd=tempfile.gettempdir(), text=True)
    cpu, modules, resident = json.loads(out)
    return Weight(cpu, modules, resident or 0)


def _median(weights: List[Weight]) -> Weight:
    cpu, modules, resident = zip(*weights)
    return Weight(statistics.median(cpu), int(modules[0]), statistics.median(resident))


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
