from __future__ import annotations

import math
import pickle
import re
from typing import Any, List

import pytest
import requests
from scripted import ScriptedTransport

from lgsync.client import Client
from lgsync.errors import ConfigurationError
from lgsync.transport import Timeout, TransportConfig


def config_of(*args: Any, **options: Any) -> TransportConfig:
    """The configuration that a client with these arguments gives its transport."""
    configs: List[TransportConfig] = []

    def factory(config: TransportConfig) -> ScriptedTransport:
        configs.append(config)
        return ScriptedTransport()

    Client(*args, transport=factory, **options)
    return configs[0]


def key_of(*args: Any, **options: Any) -> Any:
    return config_of(*args, **options).headers.get("x-api-key")


@pytest.fixture(autouse=True)
def _no_url_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGGRAPH_URL", raising=False)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_API_KEY", "k1")
    assert key_of() == "k1"


def test_the_three_variables_are_looked_up_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGCHAIN_API_KEY", "k3")
    assert key_of() == "k3"
    monkeypatch.setenv("LANGSMITH_API_KEY", "k2")
    assert key_of() == "k2"
    monkeypatch.setenv("LANGGRAPH_API_KEY", "k1")
    assert key_of() == "k1"


def test_blanks_and_quotes_around_a_key_in_the_environment_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_API_KEY", ' "k1" ')
    assert key_of() == "k1"


def test_an_explicit_key_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_API_KEY", "k1")
    assert key_of(api_key="k9") == "k9"


def test_no_key_is_sent_with_api_key_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_API_KEY", "k1")
    assert key_of(api_key=None) is None


@pytest.mark.parametrize("name", ["x-api-key", "X-API-Key", "X-Api-KEY"])
def test_the_keys_header_is_reserved_however_it_is_spelled(name: str) -> None:
    with pytest.raises(ConfigurationError, match="api_key"):
        Client(headers={name: "k"})


def test_a_header_of_the_users_own_replaces_a_default_whatever_its_case() -> None:
    headers = config_of(headers={"user-agent": "mine"}).headers
    assert [value for name, value in headers.items() if name.lower() == "user-agent"] == ["mine"]


def test_the_user_agent_names_lgsync() -> None:
    assert config_of().headers["User-Agent"].startswith("lgsync/")


def test_a_header_that_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="X-Count"):
        Client(headers={"X-Count": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (None, "http://localhost:2024"),
        ("http://host:1/", "http://host:1"),
        ("https://host/prefix/", "https://host/prefix"),
        (" http://host ", "http://host"),
    ],
)
def test_the_base_url_keeps_its_prefix_and_loses_its_last_slash(url: Any, base: str) -> None:
    assert config_of(url).url == base


def test_the_url_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_URL", "http://elsewhere:1")
    assert config_of().url == "http://elsewhere:1"


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("localhost:2024", 'did you mean "http://localhost:2024"'),
        ("ftp://host", "http://"),
        ("ws://host", 'transport="websocket"'),
        ("http://", "http://"),
        ("http://host?x=1", "query"),
        ("http://host:port", "port"),
        ("http://[::1", "http://[::1 cannot be read"),
    ],
)
def test_a_wrong_url_is_refused_with_advice(url: str, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(advice)):
        Client(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@host",
        "ftp://user:secret@host",
        "ws://user:secret@host",
        "user:secret@host:80",
        "http://host/?api_key=secret",
        "http://user:secret@[host",
        "http://[host?api_key=secret",
    ],
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="host") as caught:
        Client(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(3, Timeout(3, 3)), ((1, None), Timeout(1, None)), (None, Timeout(None, None))],
)
def test_a_timeout_is_one_number_a_pair_or_none(timeout: Any, expected: Timeout) -> None:
    assert config_of(timeout=timeout).timeout == expected


@pytest.mark.parametrize("timeout", [0, -1, (1, 2, 3), "5", True, math.inf, math.nan, (3, math.inf), 3e6])
def test_a_timeout_that_makes_no_sense_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        Client(timeout=timeout)


@pytest.mark.parametrize("seconds", [math.inf, math.nan, 3e6])
def test_a_deadline_that_no_clock_can_wait_for_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="deadline"):
        Client(deadline=seconds)


def test_a_key_with_a_line_break_is_refused_by_its_name_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        Client(api_key="secret\n")
    assert "secret" not in str(caught.value)


def test_a_header_whose_name_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name of a header"):
        Client(headers={1: "x"})  # type: ignore[dict-item]


def test_an_unknown_transport_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"carrier-pigeon.*sse.*websocket"):
        Client(transport="carrier-pigeon")


def test_something_that_is_no_transport_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="transport"):
        Client(transport=3)  # type: ignore[arg-type]


def test_a_transport_object_is_used_as_it_is() -> None:
    transport = ScriptedTransport()
    assert Client(transport=transport).transport is transport


def test_settings_beside_a_transport_object_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="url, session, timeout"):
        Client("http://host", transport=ScriptedTransport(), session=requests.Session(), timeout=3)


def test_neither_repr_shows_the_key() -> None:
    assert "k-secret" not in repr(config_of(api_key="k-secret"))
    assert "k-secret" not in repr(Client(api_key="k-secret"))


def test_a_client_survives_pickling_with_its_settings() -> None:
    client = Client("http://host:1", api_key="k1", headers={"X-Team": "a"}, timeout=3)
    again = pickle.loads(pickle.dumps(client))
    assert again.transport.config == client.transport.config  # type: ignore[attr-defined]


def test_leaving_the_client_closes_its_transport() -> None:
    closed: List[bool] = []

    class Closing(ScriptedTransport):
        def close(self) -> None:
            closed.append(True)

    with Client(transport=Closing()):
        assert closed == []
    assert closed == [True]


class Named(Client):
    """A client class of a program's own."""

    tag = ""


def test_what_a_class_of_the_callers_keeps_goes_along_with_views_and_pickles() -> None:
    client = Named("http://server")
    client.tag = "mine"
    view = client.with_options(timeout=5)
    copied = pickle.loads(pickle.dumps(client))
    assert [type(one) for one in (view, copied)] == [Named, Named]
    assert [one.tag for one in (view, copied)] == ["mine", "mine"]
    assert copied.transport is not client.transport
