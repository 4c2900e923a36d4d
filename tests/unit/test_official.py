from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Tuple

import pytest
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, run_answers

from lgsync import Client, RunError, StreamPart, get_sync_client
from lgsync.errors import ConfigurationError
from lgsync.transport import RunStart, Timeout

FAILURE = StreamPart("error", {"error": "ValueError", "message": "boom"})


def config_of(**options: Any) -> Any:
    return get_sync_client(**options).transport.config  # type: ignore[attr-defined]


def drop_in(*steps: Any, status: str = "success") -> Tuple[Client, ScriptedTransport]:
    """A client with the official defaults, over a transport that plays these steps."""
    transport = ScriptedTransport(ScriptedSource(steps), run_answers(status))
    return Client(transport=transport, run_defaults=get_sync_client()._common.run_defaults), transport


def test_the_url_is_the_official_one() -> None:
    assert config_of().url == "http://localhost:8123"
    assert config_of(url="http://h:1/api/").url == "http://h:1/api"


def test_the_environment_names_the_key_unless_there_is_one_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "from-environment")
    assert config_of().headers["x-api-key"] == "from-environment"
    assert config_of(api_key="mine").headers["x-api-key"] == "mine"
    assert "x-api-key" not in config_of(api_key=None).headers
    assert "x-api-key" not in config_of(api_key="").headers


def test_headers_are_sent_with_every_request() -> None:
    assert config_of(headers={"X-Team": "a"}).headers["X-Team"] == "a"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, Timeout(5.0, 300.0)),
        (7, Timeout(7, 7)),
        ((1.0, 2.0, 3.0, 4.0), Timeout(1.0, 2.0)),
        ((1.0, None, 3.0, 4.0), Timeout(1.0, None)),
        (SimpleNamespace(connect=1.0, read=2.0, write=3.0, pool=4.0), Timeout(1.0, 2.0)),
    ],
)
def test_a_timeout_is_taken_in_each_official_form(given: Any, meant: Timeout) -> None:
    assert config_of(timeout=given).timeout == meant


@pytest.mark.parametrize("timeout", [(1.0,), (1, 2, 3, 4, 5), "soon", -1, True])
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout must be"):
        get_sync_client(timeout=timeout)


def test_a_run_streams_its_values() -> None:
    client, transport = drop_in()
    client.runs.stream(THREAD, "agent", input={})
    (start,) = transport.started
    assert isinstance(start, RunStart)
    assert start.modes == ("values",)


def test_a_run_in_the_background_streams_its_values_too() -> None:
    client, transport = drop_in()
    transport.answers[f"POST /threads/{THREAD}/runs"] = (200, {"run_id": RUN})
    client.runs.create(THREAD, "agent")
    assert transport.requests[0][2]["stream_mode"] == ["values"]


def test_a_failed_run_ends_with_its_error_part_and_no_exception() -> None:
    client, _ = drop_in(FAILURE, status="error")
    run = client.runs.stream(THREAD, "agent")
    assert list(run) == [FAILURE]
    assert run.outcome == "error"


def test_a_failed_run_raises_if_the_call_asks_for_that() -> None:
    client, _ = drop_in(FAILURE, status="error")
    run = client.runs.stream(THREAD, "agent", raise_error=True)
    assert next(run) == FAILURE
    with pytest.raises(RunError, match="boom"):
        next(run)


def test_messages_of_a_failed_run_end_without_an_exception_too() -> None:
    client, _ = drop_in(FAILURE, status="error")
    assert list(client.runs.stream(THREAD, "agent").messages()) == []


def test_leaving_a_stream_leaves_the_run_going() -> None:
    client, transport = drop_in(StreamPart("metadata", {"run_id": RUN}), StreamPart("values", {}))
    with client.runs.stream(THREAD, "agent") as run:
        next(run)
    assert transport.calls("POST") == []


def test_giving_up_a_wait_leaves_the_run_going() -> None:
    client, transport = drop_in()
    transport.answers[f"POST /threads/{THREAD}/runs"] = (200, {"run_id": RUN})
    transport.answers[f"GET /threads/{THREAD}/runs/{RUN}/join"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        client.runs.wait(THREAD, "agent")
    assert not transport.cancelled.is_set()
