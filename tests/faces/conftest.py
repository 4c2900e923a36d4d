"""Where people use it: a browser, and the frameworks around it, against a real server. Run by ``tox -e faces``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from chat_app import NASTY, Chat, gunicorn
from langgraph_server import Gate, dev_server

from lgsync import Client
from lgsync.testing import FaultProxy

ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts"

_CHROMIUM = os.environ.get("LGSYNC_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
_CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a server of all test graphs."""
    try:
        server = dev_server(jobs=30)
    except LookupError as exc:
        pytest.fail(str(exc), pytrace=False)
    with server:
        yield server.url


@pytest.fixture(scope="session")
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as one:
        yield one


@pytest.fixture(scope="session")
def shared_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    held = Gate(tmp_path_factory.mktemp("gate"))
    yield held
    held.open()


@pytest.fixture
def gate(shared_gate: Gate) -> Iterator[Gate]:
    """Holds the models of the assistant "gated" until the test lets them go on."""
    shared_gate.allow(0)
    yield shared_gate
    shared_gate.open()


@pytest.fixture(scope="session", params=["gthread", "gevent"])
def chat(
    request: pytest.FixtureRequest,
    server_url: str,
    client: Client,
    shared_gate: Gate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Chat]:
    """The chat under gunicorn, two workers of each kind."""

    def assistant(graph: str, **configurable: Any) -> str:
        return str(client.assistants.create(graph, config={"configurable": configurable}).assistant_id)

    gated = assistant("slow", **shared_gate.config["configurable"])
    silent, nasty = assistant("silent", seconds=60), assistant("slow", word=NASTY, tokens=2)
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    with FaultProxy(server_url) as proxy:
        url, running = gunicorn(
            request.param,
            log,
            LANGGRAPH_URL=proxy.url,
            CHAT_ASSISTANTS=",".join([gated, silent, nasty, "hitl"]),
            CHAT_SECRET_KEY="for tests alone",
        )
        with running:
            yield Chat(url, proxy, client, gated, silent, nasty)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if _CHROMIUM is None:
        missing = "There is no Chromium to test in: install Debian's package chromium, or set LGSYNC_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=_CHROMIUM_OPTIONS, env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": ""}
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page in a fresh profile; anything that the page says of an error fails the test."""
    contexts: List[Any] = []
    errors: List[str] = []

    def opened(url: str, **options: Any) -> Any:
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots are kept for whoever wants to see; git ignores it."""
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS
