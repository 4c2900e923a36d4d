"""The connections of a streamed run: the first one, which may start it, and the joins that take it up again."""

from __future__ import annotations

import dataclasses
import functools
from typing import Mapping, Optional, Union

from .errors import ConnectionLost, DeadlineExceeded, LgsyncError
from .named_run import NamedRun, may_have_started
from .recovery import Recovery
from .rest import Rest
from .tracing import RunSpan
from .transport import PartSource, RunJoin, RunStart

__all__ = ["RunConnections"]


class RunConnections:
    """Opens them. Each is watched as the policy says, and is its caller's to close."""

    def __init__(
        self, rest: Rest, run: NamedRun, start: Union[RunStart, RunJoin], span: RunSpan, recovery: Recovery
    ) -> None:
        self._rest = rest
        self._run = run
        self._start = start
        self._span = span
        self._recovery = recovery

    def first(self) -> PartSource:
        """Start the run or join it, as was asked, and learn its name.

        Raises what :meth:`lgsync.transport.Transport.open_run` raises, and DeadlineExceeded.
        """
        start, deadline = self._start, self._recovery.deadline
        if isinstance(start, RunJoin):
            start = dataclasses.replace(start, position=self._recovery.policy.rejoining().position)

        def opened() -> PartSource:
            call.attempted()
            limits = deadline.within(start.timeout or self._rest.timeout)
            return self._rest.transport.open_run(dataclasses.replace(start, timeout=limits))

        try:
            with self._span.opening() as call:
                source = self._rest.tried(opened, deadline, "GET" if isinstance(start, RunJoin) else "POST")
        except LgsyncError as exc:
            if deadline.passed:
                raise deadline.exceeded("Opening the stream", thread_id=self._run.thread_id) from exc
            if isinstance(start, RunStart) and isinstance(exc, (ConnectionLost, DeadlineExceeded)):
                raise may_have_started(exc, self._run.thread_id) from exc
            raise
        self._run.thread_id, self._run.run_id = source.thread_id, source.run_id
        return self._recovery.watched(source)

    def joined(self, position: Optional[str]) -> Optional[PartSource]:
        """Join the run from ``position``, tried once; None as soon as the stream is closed. Raises as ``first``."""
        transport = self._rest.transport
        join = functools.partial(self._join, position)
        source = self._recovery.closing.call(join, _close, cuttable=transport.cuttable)
        return None if source is None else self._recovery.watched(source)

    def _join(self, position: Optional[str]) -> PartSource:
        with self._span.opening(again=True) as call:
            return self._rest.transport.open_run(self._rejoin(position, {**self._start.headers, **call.headers}))

    def _rejoin(self, position: Optional[str], headers: Mapping[str, str]) -> RunJoin:
        start = self._start
        timeout = self._recovery.limits(start.timeout or self._rest.timeout)
        if isinstance(start, RunJoin):
            return dataclasses.replace(start, position=position, headers=headers, timeout=timeout)
        return RunJoin(
            thread_id=str(self._run.thread_id),
            run_id=str(self._run.run_id),
            modes=start.modes,
            narrowed=False,
            position=position,
            stream_subgraphs=start.stream_subgraphs,
            headers=headers,
            params=start.params,
            timeout=timeout,
        )


def _close(source: PartSource) -> None:
    source.close()
