"""The example app without a browser: what it refuses, and what it tells a stranger."""

from __future__ import annotations

import importlib.util
import logging
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from chat_app import EXAMPLES
from langgraph_server import Gate
from rawserver import until

from lgsync import Client, ConnectionFailed
from lgsync.testing import FaultProxy

FOLDER = EXAMPLES / "flask_chat"

SOON = 0.3


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
    for looker in lookers():
        looker.cancel()
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

    def run_of(self, assistant: str) -> str:
        """The id of a run that a message has started."""
        return str(self.say("hello", assistant).json["run_id"])

    @property
    def thread_id(self) -> str:
        with self.test_client.session_transaction() as session:
            return str(session["thread_id"])


class Tab:
    """A response that shows a run, read so far that it has begun."""

    def __init__(self, browser: Browser, run_id: str) -> None:
        self._response = browser.get(f"/runs/{run_id}/events")
        self._pieces = iter(self._response.response)
        assert next(self._pieces).startswith(b"retry: ")

    def rest(self) -> str:
        with self._response:
            return b"".join(self._pieces).decode()

    def close(self) -> None:
        self._response.close()


@pytest.fixture
def gated(app: Any, client: Client, gate: Gate) -> str:
    """An assistant of the app's, whose models go on as the gate lets them."""
    assistant = str(client.assistants.create("slow", config=gate.config).assistant_id)
    app.config["ASSISTANTS"].append(assistant)
    return assistant


@pytest.fixture
def no_patience(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is to look whether a reader came back, does so almost at once."""
    monkeypatch.setattr("attendance.SECONDS_TO_COME_BACK", SOON)


def lookers() -> List[threading.Timer]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def all_have_looked() -> None:
    until(lambda: all(looker.interval != SOON for looker in lookers()), pause=0.02)


def has_status(client: Client, browser: Browser, run_id: str, status: str) -> Callable[[], bool]:
    return lambda: client.runs.get(browser.thread_id, run_id).status == status


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


@pytest.mark.parametrize("request_before_the_end", ["runs.list", "threads.get_state"])
def test_a_run_that_ends_while_the_page_is_made_is_shown_or_followed(
    app: Any, client: Client, gated: str, gate: Gate, monkeypatch: pytest.MonkeyPatch, request_before_the_end: str
) -> None:
    browser = Browser(app)
    run_id = browser.run_of(gated)
    resource, _, method = request_before_the_end.partition(".")
    asked = getattr(app.extensions["client"], resource)
    answered = getattr(asked, method)

    def ends_then(*args: Any, **options: Any) -> Any:
        answer = answered(*args, **options)
        gate.open()
        client.runs.join(browser.thread_id, run_id)
        return answer

    monkeypatch.setattr(asked, method, ends_then)
    page = browser.get("/").text
    assert f'data-run="{run_id}"' in page or "s0 s1 s2" in page


def test_a_run_that_two_tabs_read_goes_on_when_one_of_them_is_closed(
    app: Any, client: Client, gated: str, gate: Gate, no_patience: None
) -> None:
    browser = Browser(app)
    run_id = browser.run_of(gated)
    first, second = Tab(browser, run_id), Tab(browser, run_id)
    second.close()
    all_have_looked()
    gate.open()
    assert '"outcome":"success"' in first.rest()


def test_a_run_whose_tabs_are_all_closed_is_cancelled(
    app: Any, client: Client, gated: str, gate: Gate, no_patience: None
) -> None:
    browser = Browser(app)
    run_id = browser.run_of(gated)
    tabs = [Tab(browser, run_id) for _ in range(2)]
    for tab in tabs:
        tab.close()
    until(has_status(client, browser, run_id, "interrupted"), pause=0.05)


def test_a_run_that_nobody_comes_to_read_is_cancelled(
    app: Any, client: Client, gated: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attendance.SECONDS_TO_COME", SOON)
    browser = Browser(app)
    run_id = browser.run_of(gated)
    until(has_status(client, browser, run_id, "interrupted"), pause=0.05)


def test_a_run_that_somebody_comes_to_read_is_not_cancelled(
    app: Any, gated: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(app)
    run_id = browser.run_of(gated)
    tab = Tab(browser, run_id)
    monkeypatch.setattr("attendance.SECONDS_TO_COME", SOON)
    sys.modules["attendance"].Attendance(app.extensions["client"], browser.thread_id, run_id).expect()
    all_have_looked()
    gate.open()
    assert '"outcome":"success"' in tab.rest()


def test_what_is_known_of_readers_goes_with_them(app: Any, client: Client) -> None:
    browser = Browser(app)
    assert '"outcome":"success"' in Tab(browser, browser.run_of("slow")).rest()
    assert client.store.search_items(("chat_readers", browser.thread_id)).items == []


def test_a_tab_that_is_closed_while_the_server_is_away_is_logged(
    app: Any,
    gated: str,
    gate: Gate,
    server_url: str,
    no_patience: None,
    fault_proxy: Callable[[str], FaultProxy],
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy = fault_proxy(server_url)
    app.extensions["client"].close()
    app.extensions["client"] = Client(proxy.url, retries=0)
    browser = Browser(app)
    run_id = browser.run_of(gated)
    tab = Tab(browser, run_id)
    proxy.refuse()
    proxy.cut_all("rst")
    with caplog.at_level(logging.ERROR):
        tab.close()
        all_have_looked()
    assert f"Run {run_id} on thread {browser.thread_id} may go on unread" in caplog.text


def test_a_run_whose_reader_cannot_be_noted_leaves_no_stream_open(
    app: Any, gated: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.extensions["client"]
    opened = []

    def joined(*args: Any, **options: Any) -> Any:
        opened.append(type(client.runs).join_stream(client.runs, *args, **options))
        return opened[-1]

    def refused(*args: Any, **options: Any) -> Any:
        raise ConnectionFailed("nobody listens", url="http://localhost:2024")

    monkeypatch.setattr(client.runs, "join_stream", joined)
    monkeypatch.setattr(client.store, "put_item", refused)
    browser = Browser(app)
    assert browser.get(f"/runs/{browser.run_of(gated)}/events").status_code == 502
    assert [repr(run).endswith(" closed>") for run in opened] == [True]


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
