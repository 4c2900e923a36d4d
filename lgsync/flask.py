"""A run's stream as a Flask response, in two lines. Needs Flask (extra ``flask``).

::

    @app.post("/chat")
    def chat():
        run = client.runs.stream(session["thread_id"], "agent", input=question())
        return stream(run)
"""

from __future__ import annotations

from typing import Any, Optional

try:
    from flask import Response, abort, request
except ModuleNotFoundError as exc:
    if exc.name != "flask":
        raise
    raise ModuleNotFoundError(
        "lgsync.flask needs Flask, which is not installed: pip install 'lgsync[flask]' "
        "(in a checkout of lgsync: pip install '.[flask]')",
        name="flask",
    ) from exc

from .client import Client
from .errors import NotFoundError
from .run_stream import RunStream
from .wsgi import NotResumable, sse_headers, sse_response_body, text_headers, text_response_body
from .wsgi import resume as resume_from

__all__ = ["resume", "stream", "stream_text"]


def stream(run: RunStream[Any], **options: Any) -> Response:
    """The run as server-sent events; ``options`` are those of :func:`lgsync.wsgi.sse_response_body`."""
    return Response(sse_response_body(run, **options), headers=sse_headers())


def stream_text(run: RunStream[Any], **options: Any) -> Response:
    """The run's text as it grows; ``options`` are those of :func:`lgsync.wsgi.text_response_body`."""
    return Response(text_response_body(run, **options), headers=text_headers())


def resume(client: Client, *, thread_id: Optional[str], **options: Any) -> Optional[RunStream[Any]]:
    """The run that this request's ``Last-Event-ID`` goes on with; None if it has none, and is a first one.

    Aborts with 204 after the last event, 400 and 403 for an id that is not to be heard (see :func:`lgsync.wsgi.resume`;
    ``thread_id`` is the thread that this user may see), and 404 if the server no longer knows the run.
    """
    try:
        return resume_from(client, request.environ, thread_id=thread_id, **options)
    except NotResumable as exc:
        if exc.status_code == 204:
            abort(Response(status=204))
        abort(exc.status_code, exc.message)
    except NotFoundError:
        abort(404, "The server no longer knows this run")
