"""A Bottle app that streams a run's text, and its events.

    python examples/bottle_app.py       (LANGGRAPH_URL; then: curl -N localhost:8080/text -d question=hello)

Bottle takes an iterable of bytes as it is, and so do Pyramid, Falcon, web2py and a plain WSGI function.
"""

from __future__ import annotations

import os

from bottle import Bottle, request, response

from lgsync import Client, RunStream
from lgsync.wsgi import ResponseBody, sse_headers, sse_response_body, text_headers, text_response_body

app = Bottle()
client = Client()


@app.post("/events")
def events() -> ResponseBody:
    response.headers.update(sse_headers())
    return sse_response_body(started())


@app.post("/text")
def text() -> ResponseBody:
    response.headers.update(text_headers())
    return text_response_body(started())


def started() -> RunStream:
    message = {"messages": [{"role": "user", "content": request.forms.question}]}
    assistant = os.environ.get("CHAT_ASSISTANT", "agent")
    return client.runs.stream(client.threads.create().thread_id, assistant, input=message)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=8080)
