"""What importing the client costs, and what it must not load before that is used."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import List

from ..weight import weigh_in_turn
from .findings import Finding, Spread, at_most, ratios

__all__ = ["imports", "loaded"]

_OURS, _OFFICIAL = "from lgsync import Client", "from langgraph_sdk import get_sync_client"
#: What only some need, and models, which only REST's answers need.
_HEAVY = ("websockets", "rich", "pydantic", "langchain_core", "opentelemetry", "lgsync.models")
_CHILD = "import json, sys; exec(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"


def imports(_url: str, quick: bool) -> List[Finding]:
    return [*_weights(3 if quick else 9), loaded()]


def _weights(rounds: int) -> List[Finding]:
    ours, official = weigh_in_turn([_OURS, _OFFICIAL], rounds)
    cpu = ratios([one.cpu for one in ours], [one.cpu for one in official])
    resident = ratios([one.resident for one in ours], [one.resident for one in official])
    seconds = ", ".join(
        f"{name} {Spread.of([one.cpu for one in each]).median:.2f} s, "
        f"{Spread.of([one.resident for one in each]).median:.0f} MiB"
        for name, each in (("lgsync", ours), ("langgraph-sdk", official))
    )
    return [
        at_most("import of the client / langgraph-sdk's, CPU", 0.33, cpu, seconds),
        at_most("the same, resident memory", 0.75, resident),
    ]


def loaded() -> Finding:
    """Which heavy modules are there after the import of the client, which is to load none."""
    out = subprocess.check_output([sys.executable, "-c", _CHILD, _OURS], cwd=tempfile.gettempdir(), text=True)
    heavy = [name for name in json.loads(out) if name in _HEAVY]
    what = "heavy modules that the import loads"
    return Finding(what, f"none of {', '.join(_HEAVY)}", ", ".join(heavy) or "none", not heavy, counted=True)
