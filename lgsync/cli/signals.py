"""What ends a command from outside: once, and not while it cleans up."""

from __future__ import annotations

import contextlib
import signal
from typing import Iterator

__all__ = ["interrupted_once"]


@contextlib.contextmanager
def interrupted_once() -> Iterator[None]:
    """The first Ctrl-C (or end of the terminal) raises; the next cannot break off the cleaning up."""
    ours = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    heard = [number for number in ours if signal.getsignal(number) is not signal.SIG_IGN]

    def end(number: int, _frame: object) -> None:
        for each in heard:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
