"""The handle of a thread's stream: what happens on the thread, run after run, until its owner has had enough of it."""

from __future__ import annotations

import dataclasses
import functools
import os
from threading import Lock
from types import TracebackType
from typing import Any, Iterator, NamedTuple, Optional, Tuple, Type

from .closing import Closing
from .deadline import Deadline
from .errors import ConnectionLost, DeadlineExceeded, DecodeError, LgsyncError, StreamLost, ended, not_json
from .leaving import in_background
from .parts import StreamPart, Undecoded
from .paths import thread_path
from .policy import Policy
from .recovery import Recovery
from .rest import Rest
from .thread_catch_up import CatchUp
from .thread_place import ThreadPlace
from .transport import PartSource, ThreadJoin

__all__ = ["ThreadEvents"]


class ThreadEvents:
    """A thread being streamed. ``client.threads.join_stream(...)`` returns one, connected by then.

    Iterate it for :class:`StreamPart`, from one thread or several (each part is given once). It never ends by itself:
    ``close()`` it from any thread, or leave its ``with`` block. Nothing of that touches the thread's runs.

    A connection that breaks, or falls silent, is taken up again where it was. What the server does not keep cannot
    come again: updates of the state, failures, ``messages/*``, and all of runs that were not started with
    ``stream_resumable=True``. If such were sent while there was no connection, nothing tells of them.

    The loop raises StreamLost if the connection could not be taken up again in time, the server's own error if it
    refuses that (NotFoundError once the thread is gone), DeadlineExceeded, and DecodeError for an event that is no
    JSON, after which it can go on.
    """

    def __init__(self, rest: Rest, join: ThreadJoin, policy: Policy, deadline: Deadline) -> None:
        self.thread_id = join.thread_id
        self._path = thread_path(join.thread_id)
        # The deadline of this stream bounds all that is asked for it, and the policy says what is tried again.
        self._rest = rest.once()
        self._join = dataclasses.replace(join, headers=rest.headers(join.headers))
        self._policy = policy
        self._bounded = deadline.seconds is not None
        self._place = ThreadPlace(join.position)
        self._closing = Closing()
        self._recovery = Recovery(policy, deadline, self._closing)
        self._reading = Lock()
        self._failure: Optional[LgsyncError] = None
        self._process = os.getpid()
        self._source = self._open_first(rest, deadline)

    @property
    def position(self) -> Optional[str]:
        """What to give as ``last_event_id`` to go on after the last part, or after the last sign of life before any.

        None if the server tells neither. It does not tell apart parts that have the same id, as in-memory servers give
        to all of one millisecond.
        """
        return self._place.latest or self._source.position

    def __iter__(self) -> Iterator[StreamPart]:
        return self

    def __next__(self) -> StreamPart:
        with self._reading:
            part = self._next_part()
        if part is None:
            raise StopIteration
        if type(part.data) is Undecoded:
            raise self._here.not_json(part)
        return part

    def close(self) -> None:
        """Free the connection, from any thread; a loop that is blocked ends at once."""
        # What a fork brought along is the parent's.
        if self._process == os.getpid():
            self._closing.set()
            self._source.close()

    def __enter__(self) -> ThreadEvents:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_source") and not self._closing.is_set() and self._process == os.getpid():
            in_background(_LetGo(self._source))

    def __reduce__(self) -> Tuple[Any, ...]:
        raise TypeError("ThreadEvents cannot be pickled: send its thread_id and position, and join the thread there")

    def __repr__(self) -> str:
        state = "closed" if self._closing.is_set() else "failed" if self._failure else "streaming"
        return f"<ThreadEvents thread={self.thread_id} {state}>"

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _next_part(self) -> Optional[StreamPart]:
        """The next part; None once the stream is closed."""
        part: Optional[StreamPart] = None
        try:
            while part is None and not self._closing.is_set():
                if self._failure is not None:
                    raise self._failure
                if self._bounded:
                    self._recovery.check(self._here)
                part = self._received()
        except LgsyncError as exc:
            # Whoever closes cuts off what was just asked.
            if not self._closing.is_set():
                self._failure = exc
                self._source.close()
                raise
        except BaseException:
            # Wherever an interrupt came, the stream is taken up again after the last part that was given.
            self._source.close()
            raise
        return part

    def _received(self) -> Optional[StreamPart]:
        """The next part of this connection, if it is new; None if not, and after the connection was taken up again."""
        try:
            part = next(self._source, None)
        except LgsyncError as exc:
            self._take_up_again(exc)
            return None
        if part is None:
            self._take_up_again(ConnectionLost("the connection was ended by the other side", url=self._path))
            return None
        if not self._place.received(part.id, part.kind not in self._source.not_kept):
            return None
        self._policy.received(part.id)
        return part

    # -- connections ---------------------------------------------------------------------------------------------------

    def _open_first(self, rest: Rest, deadline: Deadline) -> PartSource:
        with rest.settings.tracing.call("GET", f"{self._path}/stream") as span:
            join = dataclasses.replace(self._join, headers={**self._join.headers, **span.headers})

            def opened() -> PartSource:
                limits = deadline.within(join.timeout or self._rest.timeout)
                return self._open(dataclasses.replace(join, timeout=limits))

            try:
                return self._recovery.watched(rest.tried(opened, deadline, "GET"))
            except LgsyncError as exc:
                if deadline.passed:
                    raise deadline.exceeded("Opening the stream", thread_id=self.thread_id) from exc
                raise

    def _open(self, join: ThreadJoin) -> PartSource:
        """A connection to a thread that is there: of one that is not, servers send heartbeats for ever."""
        live = self._rest.transport.open_thread(dataclasses.replace(join, position=None))
        try:
            # The stream comes first, so that it shows all that begins after this answer. And of all that tells whether
            # the thread is there, its list of runs is the least.
            query = {**join.params, "limit": 1, "select": ["run_id"]}
            path, headers = f"{self._path}/runs", join.headers
            self._rest.accepted("GET", path, params=query, headers=headers, timeout=join.timeout)
            return live if join.position is None else CatchUp(live, self._rest.transport.open_thread(join))
        except BaseException:
            live.close()
            raise

    def _take_up_again(self, error: LgsyncError) -> None:
        """Join the thread again, however often it takes, as long as the policy and the deadline allow it."""
        self._source.close()
        retry = (self._source.retry or 0) / 1000
        while not self._recovery.pause(error, self._here, retry):
            self._policy.rejoining()
            position = self._place.rejoining(self._source.position)
            limits = self._recovery.limits(self._join.timeout or self._rest.timeout)
            join = dataclasses.replace(self._join, position=position, timeout=limits)
            try:
                source = self._closing.call(
                    functools.partial(self._rejoined, join),
                    lambda unwanted: unwanted.close(),
                    cuttable=self._rest.transport.cuttable,
                )
            except LgsyncError as exc:
                error = exc
                continue
            if source is not None:
                self._source = self._recovery.watched(source)
            break
        if self._closing.is_set():
            self._source.close()

    def _rejoined(self, join: ThreadJoin) -> PartSource:
        with self._rest.settings.tracing.call("GET", f"{self._path}/stream") as span:
            return self._open(dataclasses.replace(join, headers={**join.headers, **span.headers}))

    @property
    def _here(self) -> _Here:
        return _Here(self.thread_id, self.position)


class _Here(NamedTuple):
    """A thread, and where its stream stands, in the words of its errors."""

    thread_id: str
    position: Optional[str]
    run_id: Optional[str] = None

    def exceeded(self, deadline: Deadline) -> DeadlineExceeded:
        return deadline.exceeded("The thread's stream", thread_id=self.thread_id, advice=self._advice)

    def lost(self, why: str, *, tried: float = 0.0) -> StreamLost:
        in_vain = f" and could not be taken up again within {tried:.0f} s" if tried else ""
        return StreamLost(
            f"The stream of thread {self.thread_id} was lost{in_vain}: {ended(why)} {self._advice}",
            thread_id=self.thread_id,
        )

    def not_json(self, part: StreamPart) -> DecodeError:
        return not_json(part.event, part.data, f"thread {self.thread_id}", f"{thread_path(self.thread_id)}/stream")

    @property
    def _advice(self) -> str:
        return f"client.threads.join_stream(thread_id, last_event_id={self.position!r}) goes on from here"


class _LetGo(NamedTuple):
    """What a handle that nobody holds any more leaves behind."""

    source: PartSource

    def leave(self) -> None:
        self.source.close()
