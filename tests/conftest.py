"""What every test gets: a clean environment, and on request a watch over threads and sockets."""

from __future__ import annotations

import os
from typing import Iterator

import pytest
from called import Lgsync
from hypothesis import HealthCheck, settings
from leaks import assert_none_remain, what_is_open

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_KEYS = ("LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WS_PROXY", "WSS_PROXY", "SOCKS_PROXY")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no proxy of the machine's own reaches a test."""
    for name in (*_KEYS, *_PROXIES, *(proxy.lower() for proxy in _PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fails the test if, two seconds after it, a thread or a socket that it opened still lives."""
    before = what_is_open()
    yield
    assert_none_remain(before)


@pytest.fixture
def lgsync(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lgsync:
    """The command line, within this process."""
    for name in ("LANGGRAPH_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Lgsync(capsys, monkeypatch)
