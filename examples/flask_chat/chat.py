"""A chat with a LangGraph agent, as a Flask app has been written for years: sync views, sessions, templates.

    python examples/flask_chat/chat.py            (Flask's own server, for a first look)
    gunicorn -c examples/flask_chat/gunicorn.conf.py

Settings are environment variables: see README.md.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Dict, List, Optional

from attendance import Attendance
from embedded import embedded_server
from flask import Blueprint, Flask, Response, abort, current_app, jsonify, render_template, request, session
from protection import protect, secret_key

from lgsync import Client, ConflictError, LgsyncError, Message, MessageAccumulator, NotFoundError, StreamPart
from lgsync.flask import resume, stream

LONGEST_MESSAGE = 10_000

pages = Blueprint("pages", __name__)


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secret_key(app.instance_path),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # A browser sends such a cookie over https alone, so it has to be switched on where there is https.
        SESSION_COOKIE_SECURE=os.environ.get("CHAT_HTTPS") == "1",
        MAX_CONTENT_LENGTH=64 * 1024,
        ASSISTANTS=[name.strip() for name in os.environ.get("CHAT_ASSISTANTS", "agent,ask").split(",")],
    )
    # One client for all requests of this worker, whatever threads or greenlets serve them.
    app.extensions["client"] = Client(os.environ.get("LANGGRAPH_URL", "http://localhost:2024"))
    # Flask's own filter writes what is meant for scripts.
    app.jinja_env.filters["as_json"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    protect(app)
    app.register_blueprint(pages)
    app.register_error_handler(LgsyncError, _unavailable)
    return app


@pages.get("/")
def page() -> str:
    messages: List[Message] = []
    interrupts: List[Any] = []
    run_id = None
    if "thread_id" in session:
        try:
            # First: of a run that ends in between, the page then has the state, or follows what it has said.
            run_id = _run_at_work()
            state = client().threads.get_state(session["thread_id"])
        except NotFoundError:
            # The server was started anew, and has forgotten the conversation.
            session.pop("thread_id")
        else:
            messages = _messages_of(state.values)
            interrupts = [] if run_id else [interrupt.value for interrupt in state.interrupts]
    return render_template(
        "chat.html",
        assistants=current_app.config["ASSISTANTS"],
        chosen=session.get("assistant"),
        messages=messages,
        interrupts=interrupts,
        run_id=run_id,
        longest=LONGEST_MESSAGE,
    )


@pages.post("/messages")
def say() -> Any:
    """Start a run with what the user says; the page then reads the run's events."""
    text, assistant = _field("text"), _field("assistant")
    if assistant not in current_app.config["ASSISTANTS"]:
        abort(400, "There is no such assistant")
    if "thread_id" not in session:
        session["thread_id"] = client().threads.create().thread_id
    session["assistant"] = assistant
    return _started(input={"messages": [{"role": "user", "content": text}]})


@pages.post("/answers")
def answer() -> Any:
    """Answer the question that the last run stopped with."""
    return _started(command={"resume": _field("text")})


@pages.get("/runs/<uuid:run_id>/events")
def events(run_id: Any) -> Response:
    """The run's events: from its start, or from where this browser's connection was cut."""
    # A run of somebody else's thread is not found there: the thread is the session's, whatever the address says.
    thread_id = _thread_id()
    run = resume(client(), thread_id=thread_id)
    if run is None:
        try:
            run = client().runs.join_stream(thread_id, str(run_id), stream_subgraphs=False)
        except NotFoundError:
            abort(404)
    try:
        reader = Attendance(client(), thread_id, str(run.run_id)).reader()
    except BaseException:
        run.close()
        raise
    response = stream(run, gone=reader.gone, heartbeat=1.0)
    response.call_on_close(reader.close)
    return response


@pages.post("/runs/<uuid:run_id>/cancel")
def cancel(run_id: Any) -> Any:
    # It may have ended by itself meanwhile.
    with contextlib.suppress(NotFoundError):
        client().runs.cancel(_thread_id(), str(run_id))
    return "", 204


@pages.post("/new")
def new() -> Any:
    """Begin another conversation."""
    session.pop("thread_id", None)
    return "", 204


def client() -> Client:
    found: Client = current_app.extensions["client"]
    return found


def _thread_id() -> str:
    if "thread_id" not in session:
        abort(404)
    return str(session["thread_id"])


def _field(name: str) -> str:
    body = request.get_json()
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_MESSAGE:
        abort(400, f"{name} must be a text of at most {LONGEST_MESSAGE} characters")
    return value.strip()


def _started(**what: Any) -> Any:
    """Start a run that is read by another request, and maybe by several, one after the other."""
    thread_id = _thread_id()
    try:
        run = client().runs.create(
            thread_id,
            session.get("assistant", current_app.config["ASSISTANTS"][0]),
            stream_mode=["messages-tuple", "updates"],
            multitask_strategy="reject",
            **what,
        )
    except ConflictError:
        abort(409, "The last answer is still under way")
    # The tab may be closed before it reads anything.
    Attendance(client(), thread_id, run.run_id).expect()
    return jsonify(run_id=run.run_id)


def _run_at_work() -> Optional[str]:
    runs = client().runs.list(session["thread_id"], limit=1)
    return runs[0].run_id if runs and runs[0].status in ("pending", "running") else None


def _messages_of(values: Any) -> List[Message]:
    accumulator = MessageAccumulator()
    accumulator.feed(StreamPart("values", values if isinstance(values, dict) else {}))
    return accumulator.messages


def _unavailable(error: LgsyncError) -> Any:
    """What the server behind this one said is for the log: it may name hosts and ids."""
    current_app.logger.error("%s: %s", type(error).__name__, error)
    answer: Dict[str, str] = {"message": "The agent cannot be reached just now. Please try again."}
    return (jsonify(answer) if request.path != "/" else answer["message"]), 502


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        if not os.environ.get("LANGGRAPH_URL"):
            os.environ["LANGGRAPH_URL"] = stack.enter_context(embedded_server()).url
        create_app().run(port=int(os.environ.get("PORT", "8000")), threaded=True)
