"""The example app without a browser: what it refuses, and what it tells a stranger."""

from __future__ import annotations

import importlib.util
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
from chat_app import EXAMPLES

from lgsync import Client

FOLDER = EXAMPLES / "flask_chat"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, server_url: str, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("LANGGRAPH_URL", server_url)
    monkeypatch.setenv("CHAT_SECRET_KEY", "for tests alone")
    monkeypatch.setenv("CHAT_ASSISTANTS", "slow,err")
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("chat", FOLDER / "chat.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "chat", module)
    spec.loader.exec_module(module)
    made = module.create_app()
    yield made
    made.extensions["client"].close()


class Browser:
    """One session of the app's."""

    def __init__(self, app: Any) -> None:
        self.test_client = app.test_client()
        self.page = self.test_client.get("/")
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.page.text)
        assert found is not None
        self.headers = {"X-CSRF-Token": found[1]}

    def say(self, text: Any, assistant: str = "slow") -> Any:
        return self.test_client.post("/messages", json={"text": text, "assistant": assistant}, headers=self.headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.test_client.get(path, headers=headers)


def test_a_request_that_another_site_made_is_refused(app: Any) -> None:
    browser = Browser(app)
    for path in ("/messages", "/answers", "/new", "/runs/11111111-1111-1111-1111-111111111111/cancel"):
        for headers in ({}, {"X-CSRF-Token": "guessed"}, {"X-CSRF-Token": "gué"}):
            assert browser.test_client.post(path, json={"text": "x"}, headers=headers).status_code == 403


def test_pages_narrow_what_they_may_do_and_are_not_kept(app: Any) -> None:
    headers = Browser(app).page.headers
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize("text", ["", "   ", "x" * 10_001, 7, None, ["x"]])
def test_what_is_no_message_is_refused(app: Any, text: Any) -> None:
    assert Browser(app).say(text).status_code == 400


def test_an_assistant_that_is_not_offered_is_refused(app: Any) -> None:
    assert Browser(app).say("hello", assistant="silent").status_code == 400


def test_a_second_message_waits_for_the_first_answer(app: Any) -> None:
    browser = Browser(app)
    run_id = browser.say("hello").json["run_id"]
    assert browser.say("hello again").status_code == 409
    browser.test_client.post(f"/runs/{run_id}/cancel", headers=browser.headers)


def test_a_strangers_session_sees_nothing_of_a_run(app: Any) -> None:
    browser, stranger = Browser(app), Browser(app)
    path = f"/runs/{browser.say('hello').json['run_id']}/events"
    told = browser.get(path).text
    first_id = re.search(r"^id: (lgsync1\S+)$", told, re.MULTILINE)
    assert first_id is not None
    assert stranger.get(path).status_code == 404
    assert stranger.get(path, **{"Last-Event-ID": first_id[1]}).status_code == 404
    assert stranger.say("mine").status_code == 200
    # In the stranger's own thread there is no such run.
    refused = stranger.get(path).text
    assert '"error":"NotFoundError"' in refused
    assert "s0" not in refused
    assert stranger.get(path, **{"Last-Event-ID": first_id[1]}).status_code == 403
    assert browser.get(path, **{"Last-Event-ID": "nonsense"}).status_code == 400
    assert browser.get(path, **{"Last-Event-ID": "end"}).status_code == 204


def test_a_failed_run_is_told_without_what_the_server_said(app: Any) -> None:
    browser = Browser(app)
    told = browser.get(f"/runs/{browser.say('hello', 'err').json['run_id']}/events").text
    assert "event: failure" in told
    assert "model blew up half way" not in told


def test_a_server_that_is_away_is_told_without_its_address(app: Any, server_url: str) -> None:
    app.extensions["client"].close()
    app.extensions["client"] = Client("http://127.0.0.1:9", retries=0)
    answer = Browser(app).say("hello")
    assert answer.status_code == 502
    assert "127.0.0.1" not in answer.text


def test_two_workers_that_begin_at_once_have_one_key(tmp_path: Path) -> None:
    show = "import sys; from protection import secret_key; print(secret_key(sys.argv[1]))"
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", show, str(tmp_path / "instance")],
            cwd=FOLDER,
            env={},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [worker.communicate(timeout=60) for worker in begun]
    assert len({key for key, _ in said}) == 1
    assert len(said[0][0].strip()) == 64
    assert all("CHAT_SECRET_KEY is not set" in warning for _, warning in said)
    (file,) = (tmp_path / "instance").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
