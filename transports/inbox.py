"""Messages on their way from the thread that reads a socket to the one that reads them: bounded, and in few steps."""

from __future__ import annotations

import queue
from collections import deque
from typing import Callable, Deque, List, Optional

from .frames import Message, Messages

__all__ = ["Inbox"]

# What is kept for a slow reader before the server is slowed down: so many messages, each of which may be as large as a
# page; one of more bytes counts as several. As much as one reading of the socket brings may come on top.
_KEPT = 2048
_PAGE_BYTES = 2048


class Inbox:
    """Takes the place of the queue of frames that websockets has: what is read at once is handed over at once.

    ``pause`` is called when too much waits, by whoever brings it, and ``resume`` once most of it is read. One thread
    brings and one reads. There is no lock: a signal handler may close what it interrupted.
    """

    def __init__(self, pause: Callable[[], object], resume: Callable[[], object]) -> None:
        #: What was taken out of the queue, and is to be read before anything else.
        self.at_hand: Deque[Message] = deque()
        self._batches: queue.SimpleQueue[Optional[Messages]] = queue.SimpleQueue()
        self._pause, self._resume = pause, resume
        # What all messages weigh that were brought, and that were taken; each is counted by one thread only.
        self._brought = self._taken = 0
        # Whoever takes the entry out is the one to resume.
        self._paused: List[bool] = []
        self._closed = False

    def put(self, messages: Messages) -> None:
        """Bring messages."""
        self._batches.put(messages)
        self._brought += _weight(messages)
        if self._brought - self._taken > _KEPT and not self._paused:
            self._pause()
            self._paused.append(True)
            # Whoever read or closed meanwhile did not see this.
            if self._closed or self._brought - self._taken <= _KEPT:
                self._let_go_on()

    def get(self, timeout: Optional[float] = None, decode: Optional[bool] = None) -> Message:  # noqa: ARG002
        """The next message, undecoded. Raises TimeoutError if none comes in time, EOFError if none will come."""
        if not self.at_hand:
            self._fetch(timeout)
        return self.at_hand.popleft()

    def close(self) -> None:
        """No more will come: whoever waits need not wait any longer."""
        self._closed = True
        self._batches.put(None)
        self._let_go_on()

    def _fetch(self, timeout: Optional[float]) -> None:
        try:
            messages = self._batches.get(timeout is None or timeout > 0, timeout)
        except queue.Empty:
            raise TimeoutError("no message came in time") from None
        if messages is None:
            # For whoever asks again.
            self._batches.put(None)
            raise EOFError("no message will come any more")
        self.at_hand.extend(messages)
        self._taken += _weight(messages)
        if self._brought - self._taken <= _KEPT // 4:
            self._let_go_on()

    def _let_go_on(self) -> None:
        try:
            self._paused.pop()
        except IndexError:
            return
        self._resume()


def _weight(messages: Messages) -> int:
    return len(messages) + sum(map(len, messages)) // _PAGE_BYTES
