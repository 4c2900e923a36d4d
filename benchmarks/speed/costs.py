"""What a piece of work costs the process that does it."""

from __future__ import annotations

import contextlib
import gc
import re
import sys
import threading
import time
from typing import Any, Callable, List

__all__ = ["cpu_of", "lines_and_calls_of", "peak_growth_of", "percentile"]


def cpu_of(work: Callable[[], object]) -> float:
    """The CPU seconds it takes, of all threads."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def lines_and_calls_of(work: Callable[[], object]) -> int:
    """How many lines of Python it runs, and how many functions it calls, of C too; in all threads that it starts."""
    counts = [0, 0]

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        counts[0] += event == "line"
        return trace

    def profile(_frame: Any, event: str, _arg: Any) -> None:
        counts[1] += event in ("call", "c_call")

    threading.settrace(trace)
    threading.setprofile(profile)
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
        sys.settrace(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        threading.settrace(None)  # type: ignore[arg-type]
    return sum(counts)


def peak_growth_of(work: Callable[[], object]) -> float:
    """By how many MiB the process's memory grows at most, over what it has now."""
    gc.collect()
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as peak:
        # The peak is counted anew from here.
        peak.write("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name: str) -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        (found,) = re.findall(rf"{name}:\s+(\d+) kB", status.read())
    return int(found) / 1024


def percentile(values: List[float], share: float) -> float:
    """The value that this share of all are not larger than."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
