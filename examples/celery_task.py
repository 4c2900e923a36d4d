"""A run as a Celery task: it is asked for here, and streamed there.

    celery --app celery_task worker --pool threads      (CELERY_BROKER_URL, CELERY_RESULT_BACKEND, LANGGRAPH_URL)
    python -c "from celery_task import answer; print(answer.delay('agent', 'What is the weather in Oslo?').get())"

A task that ``revoke(terminate=True)`` stops leaves the ``with`` block, and so its run is cancelled. Celery can stop
those in processes (``--pool prefork``). A task in a thread cannot be stopped and goes on, and so does the run of a
worker that is killed.
"""

from __future__ import annotations

import os
from typing import Any, Dict

from celery import Celery

from lgsync import Client, ConnectionFailed

app = Celery(
    "celery_task",
    broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost"),
    backend=os.environ.get("CELERY_RESULT_BACKEND", "redis://localhost"),
)
if app.conf.broker_url.startswith("filesystem://"):
    # A broker for trying it out: a folder that both sides can see.
    folder = os.environ["CELERY_BROKER_FOLDER"]
    app.conf.broker_transport_options = dict.fromkeys(("data_folder_in", "data_folder_out"), folder)


# Only what never reached the server is tried again: anything else may have started a run.
@app.task(bind=True, autoretry_for=(ConnectionFailed,), retry_backoff=True, max_retries=3)
def answer(self: Any, assistant: str, question: str) -> Dict[str, Any]:
    """The answer's text and token usage; the task's state tells how much of it there is so far."""
    message = {"messages": [{"role": "user", "content": question}]}
    with Client() as client:
        thread = client.threads.create()
        with client.runs.stream(thread.thread_id, assistant, input=message) as run:
            for one in run.messages():
                if one.type == "ai" and not self.request.is_eager:
                    self.update_state(state="STREAMING", meta={"text": one.text})
            return {"thread_id": thread.thread_id, "text": run.final_text(), "usage": run.usage}
