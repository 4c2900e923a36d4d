"""How much memory a long run takes at most, with a loop that keeps up and with one that does not."""

from __future__ import annotations

from typing import List

from .findings import Finding, Spread, at_most
from .tapes import chunks_of
from .worker import Worker

__all__ = ["memory"]

_LIMIT = 8.0
_PAUSE = 2.0


def memory(url: str, quick: bool) -> List[Finding]:
    chunks = 20_000 if quick else 100_000
    pauses = (_PAUSE,) if quick else (0.0, _PAUSE)
    readers = [(transport, pause) for transport in ("sse", "websocket") for pause in pauses]
    return [_finding(url, chunks, *reader) for reader in readers]


def _finding(url: str, chunks: int, transport: str, pause: float) -> Finding:
    with Worker("speed.ours") as worker:
        grown = worker.ask("memory", url=url, chunks=chunks, transport=transport, pause=pause)
    text = sum(map(len, chunks_of("text", chunks))) / (1 << 20)
    reader = f"reader that pauses for {pause:g} s" if pause else "fast reader"
    what = f"memory over what is loaded, {chunks:,} events of one message, {transport}, {reader}, less its text"
    beside = f"text {text:.1f} MiB; a first short run loads {grown['loading']:.1f} MiB over the import"
    return at_most(what, _LIMIT, Spread.of([grown["reading"] - text]), beside, " MiB")
