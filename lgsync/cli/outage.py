"""A lost connection, told while it is tried again: nobody is to look at a still screen and wonder."""

from __future__ import annotations

import contextlib
import logging
from typing import Iterator

from .telling import tell

__all__ = ["RECONNECT_SECONDS", "Outages", "outages_told"]

#: For how long a lost stream is taken up again.
RECONNECT_SECONDS = 60.0


class Outages(logging.Handler):
    """Tells on standard error that a run's connection was lost: once, until :meth:`over` says that it is back."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._told = False

    def over(self) -> None:
        """Something came: what is lost next is another outage."""
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        """A line of the log; those of pauses say for how long and for which run."""
        known = getattr(record, "lgsync", {})
        # The first attempt is made at once; most often it is all that is needed, and nobody has noticed anything.
        if self._told or not known.get("run_id") or not known.get("pause"):
            return
        self._told = True
        tell(f"connection lost, trying again for up to {RECONNECT_SECONDS:.0f} s (Ctrl-C stops)")


@contextlib.contextmanager
def outages_told() -> Iterator[Outages]:
    """For as long as the block lasts, tell of each outage."""
    outages = Outages()
    log = logging.getLogger("lgsync")
    log.addHandler(outages)
    try:
        yield outages
    finally:
        log.removeHandler(outages)
