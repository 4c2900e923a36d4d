"""The process that is measured: it streams runs, and tells what it holds after each hundred of them."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, List, NamedTuple
from uuid import uuid4

import requests
from pydantic_core import from_json
from requests.adapters import HTTPAdapter

from lgsync import Client

from .endings import Clients, go_through
from .probing import poll

__all__ = ["Reading", "main"]

#: Runs that go on at one time, since servers take their time before they begin one.
ABREAST = 16

#: How long what leaves in the background may take.
_SETTLING = 10.0


class Reading(NamedTuple):
    """What a process held after so many runs.

    ``pace`` is how many runs a second there were since the last reading, ``objects`` are those that the garbage
    collector knows of, ``resident`` is in MiB.
    """

    runs: int
    pace: float
    descriptors: int
    sockets: int
    threads: int
    objects: int
    resident: float

    @property
    def row(self) -> str:
        """The reading as a row of a Markdown table."""
        cells = (f"{self.runs:,}", f"{self.pace:.1f}", *self[2:5], f"{self.objects:,}", f"{self.resident:.1f}")
        return "| " + " | ".join(map(str, cells)) + " |"


def main(transport: str, runs: str, every: str, url: str, once: str, twice: str) -> None:
    """Stream ``runs`` runs, and print a reading as a line of JSON after each ``every``."""
    _fill_the_parsers_cache()
    with requests.Session() as session, contextlib.ExitStack() as opened:
        session.mount("http://", HTTPAdapter(pool_maxsize=4 * ABREAST))
        given = [Client(each, transport=transport, session=session) for each in (url, once, twice)]
        clients = Clients(*map(opened.enter_context, given), thread_ids=[])
        for start in range(0, int(runs), int(every)):
            numbers = range(start, min(start + int(every), int(runs)))
            began = time.monotonic()
            with ThreadPoolExecutor(ABREAST) as pool:
                list(pool.map(lambda number: go_through(number, clients), numbers))
            pace = len(numbers) / (time.monotonic() - began)
            print(json.dumps(_read(numbers.stop, pace, lambda: _drop_idle(session))), flush=True)
            clients.delete_threads()


def _fill_the_parsers_cache() -> None:
    """The JSON parser keeps thousands of short strings for when they come again: let it have all it will ever keep."""
    for _ in range(100_000):
        from_json(f'"{uuid4()}"')


def _read(runs: int, pace: float, drop_idle: Callable[[], None]) -> Reading:
    """What is held once all that was under way is over; connections kept for the next call are closed before."""
    gc.collect()
    poll(lambda: threading.active_count() == 1, _SETTLING)
    drop_idle()
    # What left in the background has left garbage, too.
    gc.collect()
    held = _descriptors()
    sockets = [each for each in held if each.startswith("socket:")]
    return Reading(
        runs, pace, len(held), len(sockets), len(os.listdir("/proc/self/task")), len(gc.get_objects()), _resident()
    )


def _drop_idle(session: requests.Session) -> None:
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.poolmanager.clear()


def _descriptors() -> List[str]:
    """What each open file descriptor is of."""
    held = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that the listing itself took
            held.append(os.readlink(f"/proc/self/fd/{name}"))
    return held


def _resident() -> float:
    """The memory that the process occupies, in MiB."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)
