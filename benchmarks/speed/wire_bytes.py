"""How much a long answer takes on the wire; asked of a real server, for how it frames its events is its own."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple

from ..facts import served
from ..long_answer import COMPRESSED, LONG_ANSWER, LONG_TOKEN
from .findings import Finding
from .worker import Worker

__all__ = ["wire_bytes"]

_LIMITS = {"sse": 0.1, "websocket": 0.025, COMPRESSED: 0.025}


def wire_bytes(_url: str, quick: bool) -> List[Finding]:  # noqa: ARG001 - there is no shorter form
    try:
        with served(os.environ.get("LGSYNC_SERVER_URL")) as server:
            long = _measured(server, LONG_TOKEN, f"{LONG_ANSWER:,} tokens of 8 bytes")
            return long + _measured(server, None, f"{LONG_ANSWER:,} tokens of 5.6 bytes")
    except LookupError as exc:
        return [Finding(f"bytes for {LONG_ANSWER:,} tokens", "", f"not measured: {exc}", None)]


def _measured(server: str, word: Optional[str], answer: str) -> List[Finding]:
    costs: Dict[str, Tuple[int, float]] = {}
    for client in ("official", "ours"):
        with Worker("long_answer") as worker:
            costs.update(worker.ask(client, url=server, word=word))
    most = costs['`runs.stream`, `"messages"`'][0]
    what = f'bytes on the wire for {answer} from a real server / `stream_mode="messages"`'
    return [_finding(f"{what}, {name}", limit, costs[f"`run.text()`, {name}"], most) for name, limit in _LIMITS.items()]


def _finding(what: str, limit: float, cost: Tuple[int, float], most: int) -> Finding:
    received, cpu = cost
    share = received / most
    seen = f"{share:.3f}; {received / 1e6:.2f} of {most / 1e6:.1f} MB, {cpu * 1e6 / LONG_ANSWER:.0f} µs of CPU a token"
    return Finding(what, f"≤ {limit:g}", seen, share <= limit)
