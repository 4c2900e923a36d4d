"""The small examples, each run as its framework runs it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests
from chat_app import EXAMPLES, free_port, process, running
from langgraph_server import Gate
from rawserver import until

from lgsync import Client

WHOLE = "s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 "


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, server_url: str) -> Any:
    """Loads an example anew, with a server and an assistant that answers "s0 s1 …"."""
    monkeypatch.setenv("LANGGRAPH_URL", server_url)
    monkeypatch.setenv("CHAT_ASSISTANT", "slow")
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def loaded(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.fixture
def served() -> Iterator[Any]:
    """Serves a WSGI app with the standard library's server, for one request at a time; gives its URL."""

    class Silent(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    started = []

    def url_of(app: Any) -> str:
        server = make_server("127.0.0.1", 0, app, handler_class=Silent)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        started.append((server, thread))
        thread.start()
        return f"http://127.0.0.1:{server.server_port}"

    yield url_of
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def events(answer: requests.Response) -> Iterator[Any]:
    """The data of the events as they come; the last one is the end's."""
    name = ""
    for line in answer.iter_lines(chunk_size=1):
        field, _, value = line.decode().partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
            if name == "end":
                return
            name = ""


def text_in(told: List[Any]) -> str:
    messages = [message for _, data in told for message in data.get("messages", ())]
    return "".join(message["delta"].get("text", "") for message in messages)


# -- Streamlit ---------------------------------------------------------------------------------------------------------


def test_streamlits_write_stream_takes_the_text_of_a_run(example: Any) -> None:
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(EXAMPLES / "streamlit_chat.py"), default_timeout=60).run()
    app.chat_input[0].set_value("hello").run()
    assert not app.exception
    said = [(message.name, message.markdown[0].value) for message in app.chat_message]
    assert said == [("user", "hello"), ("assistant", WHOLE.strip())]


# -- Jupyter -----------------------------------------------------------------------------------------------------------


def test_a_plain_loop_runs_in_a_notebook(server_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("LANGGRAPH_URL", server_url)
    monkeypatch.setenv("CHAT_ASSISTANT", "slow")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook: Any = nbformat.read(EXAMPLES / "messages.ipynb", as_version=4)
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert "".join(output.text for output in outputs[1]) == WHOLE
    assert outputs[2][0].data["text/plain"].startswith("('success',")
    assert WHOLE in outputs[2][0].data["text/plain"]


# -- Celery ------------------------------------------------------------------------------------------------------------


def test_a_celery_task_runs_eagerly(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "cache+memory://")
    module = example("celery_task")
    module.app.conf.update(task_always_eager=True, task_eager_propagates=True)
    assert module.answer.delay("slow", "hello").get()["text"] == WHOLE


@pytest.fixture
def celery_worker(example: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Runs a worker of the example with these options, over folders, once entered; gives the example."""
    for folder in ("broker", "results", "control"):
        (tmp_path / folder).mkdir()
    settings = {
        "CELERY_BROKER_URL": "filesystem://",
        "CELERY_BROKER_FOLDER": str(tmp_path / "broker"),
        "CELERY_RESULT_BACKEND": f"file://{tmp_path / 'results'}",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    module = example("celery_task")
    # By default it is in the current folder, which the worker's is.
    module.app.conf.broker_transport_options["control_folder"] = str(tmp_path / "control")

    @contextlib.contextmanager
    def started(*options: str) -> Iterator[Any]:
        options = ("worker", *options, "--without-mingle", "--without-gossip")
        command = [sys.executable, "-m", "celery", "--app", "celery_task", *options]
        env = {**os.environ, "PYTHONPATH": str(EXAMPLES)}
        with running(command, tmp_path / "log", cwd=tmp_path, env=env):
            yield module

    return started


def test_a_celery_worker_streams_a_run_that_is_asked_for_elsewhere(
    celery_worker: Callable[..., Any], gate: Gate, client: Client
) -> None:
    gated = client.assistants.create("slow", config=gate.config).assistant_id
    # Threads, so that one process is the whole worker.
    with celery_worker("--pool", "threads", "--concurrency", "2") as module:
        gate.allow(3)
        asked = module.answer.delay(gated, "hello")
        until(lambda: asked.state == "STREAMING" and asked.info["text"] == "s0 s1 s2 ", within=60, pause=0.05)
        gate.open()
        assert asked.get(timeout=60)["text"] == WHOLE


def test_a_celery_task_that_is_terminated_cancels_its_run(
    celery_worker: Callable[..., Any], gate: Gate, client: Client
) -> None:
    gated = client.assistants.create("slow", config=gate.config).assistant_id

    def statuses() -> List[str]:
        threads = client.threads.search(metadata={"assistant_id": gated})
        return [str(run.status) for thread in threads for run in client.runs.list(thread.thread_id)]

    with celery_worker("--pool", "prefork", "--concurrency", "1") as module:
        gate.allow(3)
        asked = module.answer.delay(gated, "hello")
        until(lambda: asked.state == "STREAMING", within=60, pause=0.05)
        assert statuses() == ["running"]
        asked.revoke(terminate=True)
        until(lambda: statuses() == ["interrupted"], within=20, pause=0.05)


# -- Django ------------------------------------------------------------------------------------------------------------


def test_django_streams_a_run_under_wsgi(server_url: str, tmp_path: Path, gate: Gate, client: Client) -> None:
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "4", "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(EXAMPLES), "django_view:application"]
    gated = client.assistants.create("slow", config=gate.config).assistant_id
    env = {"LANGGRAPH_URL": server_url, "DJANGO_SECRET_KEY": "for tests alone"}
    with process(command, f"{url}/", tmp_path / "log", **env), requests.Session() as browser:
        gate.allow(3)
        token = "x" * 32
        form = {"text": "hello", "assistant": gated, "csrfmiddlewaretoken": token}
        refused = browser.post(f"{url}/runs", data=form)
        assert refused.status_code == 403
        browser.cookies.set("csrftoken", token)
        run_id = browser.post(f"{url}/runs", data=form).text
        told = []
        with browser.get(f"{url}/runs/{run_id}/events", stream=True) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["X-Accel-Buffering"] == "no"
            for event in events(answer):
                told.append(event)
                if text_in(told) == "s0 s1 s2 ":
                    gate.open()
        assert text_in(told) == WHOLE
        assert told[-1][1]["outcome"] == "success"
        after_the_end = browser.get(f"{url}/runs/{run_id}/events", headers={"Last-Event-ID": "end"})
        assert after_the_end.status_code == 204
        assert requests.get(f"{url}/runs/{run_id}/events").status_code == 404


# -- Bottle ------------------------------------------------------------------------------------------------------------


def test_bottle_streams_text_and_events(example: Any, served: Any) -> None:
    url = served(example("bottle_app").app)
    asked: Dict[str, Any] = {"data": {"question": "hello"}, "stream": True}
    with requests.post(f"{url}/text", **asked) as answer:
        assert answer.headers["Cache-Control"] == "no-cache, no-transform"
        assert answer.text == WHOLE
    with requests.post(f"{url}/events", **asked) as answer:
        assert text_in(list(events(answer))) == WHOLE


# -- Flask -------------------------------------------------------------------------------------------------------------


def flask_app(client: Client) -> Any:
    from flask import Flask, session

    from lgsync.flask import resume, stream, stream_text

    app = Flask("two_lines")
    app.secret_key = "for tests alone"
    message = {"messages": [{"role": "user", "content": "hello"}]}

    @app.post("/events/<assistant>")
    def events_of(assistant: str) -> Any:
        session["thread_id"] = client.threads.create().thread_id
        run = client.runs.stream(session["thread_id"], assistant, input=message)
        return stream(run)

    @app.post("/text")
    def text() -> Any:
        return stream_text(client.runs.stream(client.threads.create().thread_id, "slow", input=message))

    @app.get("/rest")
    def rest() -> Any:
        run = resume(client, thread_id=session.get("thread_id"))
        return "a first one" if run is None else stream(run)

    return app


def test_flask_streams_a_run_in_two_lines(client: Client) -> None:
    browser = flask_app(client).test_client()
    answer = browser.post("/events/slow")
    assert answer.mimetype == "text/event-stream"
    assert answer.text.rstrip().splitlines()[-1].startswith('data: {"outcome":"success"')
    assert browser.post("/text").text == WHOLE


def test_flask_resumes_only_what_this_session_may_see(client: Client) -> None:
    app = flask_app(client)
    browser, stranger = app.test_client(), app.test_client()
    ids = re.findall(r"^id: (\S+)$", browser.post("/events/slow").text, re.MULTILINE)
    rest = browser.get("/rest", headers={"Last-Event-ID": ids[4]})
    assert '"delta":{"text":"s5 "}' in rest.text
    assert '"delta":{"text":"s4 "}' not in rest.text
    statuses = {
        "another session's": stranger.get("/rest", headers={"Last-Event-ID": ids[4]}).status_code,
        "nonsense": browser.get("/rest", headers={"Last-Event-ID": "nonsense"}).status_code,
        "the last one": browser.get("/rest", headers={"Last-Event-ID": ids[-1]}).status_code,
        "none": browser.get("/rest").text,
    }
    assert statuses == {"another session's": 403, "nonsense": 400, "the last one": 204, "none": "a first one"}
