"""Whether somebody still looks: a page that is reloaded leaves and comes back, a tab that is closed does not."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from typing import Any

from lgsync import Client, LgsyncError, NotFoundError, RunStream

#: How long a page may take until it reads the run that it has started.
SECONDS_TO_COME = 10.0

#: How long a page that is reloaded may take to come back.
SECONDS_TO_COME_BACK = 2.5

_logger = logging.getLogger(__name__)


class Attendance:
    """Who reads a run. Each response that shows it is an item in the LangGraph server's store, for as long as it lasts.

    There all workers, on all machines, can look it up. A run that nobody reads is cancelled, after a while in which
    somebody may come. A worker that is stopped in that while does not look any more, and one that is killed leaves its
    items: such a run goes on to its end.
    """

    def __init__(self, client: Client, thread_id: str, run_id: str) -> None:
        self._client = client
        self._thread_id = thread_id
        self._run_id = run_id
        self._readers = ("chat_readers", thread_id, run_id)

    def expect(self) -> None:
        """Cancel the run, which was just started, unless somebody comes to read it."""
        self._look_in(SECONDS_TO_COME)

    def reader(self) -> Reader:
        """Somebody who has come to read it."""
        token = uuid.uuid4().hex
        self._client.store.put_item(self._readers, token, {}, index=False)
        return Reader(self, token)

    def left(self, token: str, *, may_come_back: bool) -> None:
        """A reader has left: at the end, or before."""
        if may_come_back:
            self._look_in(SECONDS_TO_COME_BACK, token)
        else:
            self._forget(token)

    def _look_in(self, seconds: float, *tokens: str) -> None:
        timer = threading.Timer(seconds, self._look, tokens)
        timer.daemon = True
        timer.start()

    def _look(self, *tokens: str) -> None:
        try:
            for token in tokens:
                self._client.store.delete_item(self._readers, token)
            if not self._client.store.search_items(self._readers, limit=1).items:
                # Not found is one that has ended meanwhile.
                with contextlib.suppress(NotFoundError):
                    self._client.runs.cancel(self._thread_id, self._run_id)
        except LgsyncError as exc:
            _logger.error("Run %s on thread %s may go on unread: %s", self._run_id, self._thread_id, exc)

    def _forget(self, token: str) -> None:
        try:
            self._client.store.delete_item(self._readers, token)
        except LgsyncError as exc:
            _logger.warning("Run %s is still noted as read by %s: %s", self._run_id, token, exc)


class Reader:
    """One response that shows a run: ``stream(run, gone=reader.gone)``, and ``close`` when the response is closed."""

    def __init__(self, attendance: Attendance, token: str) -> None:
        self._attendance = attendance
        self._token = token
        self._gone = False

    def gone(self, run: RunStream[Any]) -> None:
        """The browser has left before the end."""
        run.detach()
        self._gone = True

    def close(self) -> None:
        self._attendance.left(self._token, may_come_back=self._gone)
