"""A Django view that streams a run, under WSGI.

    gunicorn --threads 8 django_view:application        (in examples/; LANGGRAPH_URL, DJANGO_SECRET_KEY)

One file, so that it can be read at once; in a project of yours only the view and its URL are needed.
"""

from __future__ import annotations

import os
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.http import require_POST

from lgsync import Client
from lgsync.wsgi import NotResumable, resume, sse_headers, sse_response_body

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__,
        # Whoever knows it can forge sessions, and read other people's threads.
        SECRET_KEY=os.environ["DJANGO_SECRET_KEY"],
        ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
    )
    django.setup()

client = Client()


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a run in the thread of this session; its events are read elsewhere."""
    if "thread_id" not in request.session:
        request.session["thread_id"] = client.threads.create().thread_id
    message = {"messages": [{"role": "user", "content": request.POST["text"]}]}
    run = client.runs.create(request.session["thread_id"], request.POST["assistant"], input=message)
    return HttpResponse(run.run_id, content_type="text/plain")


def events(request: HttpRequest, run_id: Any) -> HttpResponse:
    """What an EventSource reads, at first and again after its connection was cut."""
    thread_id = request.session.get("thread_id")
    if thread_id is None:
        return HttpResponse(status=404)
    try:
        run = resume(client, request.META, thread_id=thread_id) or client.runs.join_stream(thread_id, str(run_id))
    except NotResumable as exc:
        return HttpResponse("" if exc.status_code == 204 else exc.message, status=exc.status_code)
    # Under WSGI the iterable is sent as it grows. Under ASGI Django would read it to its end first.
    return StreamingHttpResponse(sse_response_body(run), headers=dict(sse_headers()))


urlpatterns = [path("runs", start), path("runs/<uuid:run_id>/events", events)]
application = WSGIHandler()
