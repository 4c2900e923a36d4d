"""Whether somebody still looks: a page that is reloaded leaves and comes back, a tab that is closed does not."""

from __future__ import annotations

import time
import uuid
from typing import Any

from lgsync import Client, NotFoundError, RunStream

#: How long a page that is reloaded may take to come back.
SECONDS_TO_COME_BACK = 2.5

_KEY = "chat_reader"


class Attendance:
    """One response that shows a thread's run. Whoever came last is written down in the thread's metadata.

    There all workers, on all machines, can look it up.
    """

    def __init__(self, client: Client, thread_id: str) -> None:
        self._client = client
        self._thread_id = thread_id
        self._token = uuid.uuid4().hex
        client.threads.update(thread_id, metadata={_KEY: self._token})

    def left(self, run: RunStream[Any]) -> None:
        """Cancel the run that nobody waits for, unless its reader comes back in a moment."""
        run.detach()
        time.sleep(SECONDS_TO_COME_BACK)
        try:
            latest = (self._client.threads.get(self._thread_id).metadata or {}).get(_KEY)
            if latest == self._token:
                self._client.runs.cancel(self._thread_id, str(run.run_id))
        except NotFoundError:
            # The run has ended meanwhile, or the conversation was deleted.
            return
