"""One thread that waits on sockets and clocks."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, List, Optional, Tuple, TypeVar

__all__ = ["READ", "WRITE", "Loop", "Timer"]

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

T = TypeVar("T")
Handler = Callable[[int], None]


class Timer:
    """A call to come; ``cancel`` keeps it from coming."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Optional[Callable[[], None]] = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """Calls handlers when their sockets are ready, and timers when they are due, all in one thread."""

    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._awake, self._wake = socket.socketpair()
        for end in (self._awake, self._wake):
            end.setblocking(False)
        self._selector.register(self._awake, READ, self._woken)
        self._calls: Deque[Callable[[], None]] = deque()
        self._timers: List[Tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._guard = threading.Lock()
        self._running = True
        self._ended = False
        self._failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the loop's thread, and give back what it gives; raises RuntimeError after the end."""
        if threading.current_thread() is self._thread:
            return function()
        future: Future[T] = Future()

        def settle() -> None:
            if self._ended:
                future.set_exception(self._failure or RuntimeError("the fault proxy is closed"))
                return
            try:
                future.set_result(function())
            except Exception as exc:  # noqa: BLE001 - it is raised where the call was made
                future.set_exception(exc)

        with self._guard:
            ended = self._ended
            if not ended:
                self._calls.append(settle)
                self._rouse()
        if ended:
            settle()
        return future.result()

    def stop(self) -> None:
        """End the thread and wait for it; raises what it broke on, if it did."""
        with self._guard:
            self._running = False
            if not self._ended:
                self._rouse()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call after that many seconds; in the loop's thread only, as ``watch``."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def watch(self, sock: socket.socket, events: int, handler: Handler) -> None:
        """From now on call the handler for these events, or for none (0)."""
        known = self._selector.get_map().get(sock)
        if known is None:
            if events:
                self._selector.register(sock, events, handler)
        elif not events:
            self._selector.unregister(sock)
        elif known.events != events:
            self._selector.modify(sock, events, handler)

    def _run(self) -> None:
        try:
            while self._running:
                self._turn()
        except Exception as exc:  # noqa: BLE001 - stop() raises it
            self._failure = exc
        finally:
            with self._guard:
                self._ended = True
            self._do_calls()
            self._selector.close()
            self._awake.close()
            self._wake.close()

    def _turn(self) -> None:
        for key, events in self._selector.select(self._patience()):
            # A handler may have closed the socket of one that comes after it.
            current = self._selector.get_map().get(key.fd)
            if current is not None and current.data == key.data:
                key.data(events)
        while self._timers and self._timers[0][0] <= time.monotonic():
            _, _, timer = heapq.heappop(self._timers)
            if timer.call is not None:
                timer.call()
        self._do_calls()

    def _patience(self) -> Optional[float]:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _do_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()

    def _rouse(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is being woken already
            self._wake.send(b"\0")

    def _woken(self, _: Any) -> None:
        with contextlib.suppress(BlockingIOError):
            self._awake.recv(4096)
