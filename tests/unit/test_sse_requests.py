"""How the SSE transport asks for a run, and what it makes of the answer's head."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import sys
from typing import Any, Dict, Optional, Union
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from rawserver import Connection, RawServer, Request, answer

from lgsync.errors import APIStatusError, ConfigurationError, NotFoundError, RateLimitError, ResponseError
from lgsync.transport import PartSource, RunJoin, RunStart, TransportConfig, resolve
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")


def event_stream(headers: Optional[Dict[str, str]] = None) -> Any:
    """A script that answers one request with an empty event stream."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream(headers)
        connection.end()

    return script


def opened(start: Union[RunStart, RunJoin], headers: Optional[Dict[str, str]] = None, prefix: str = "") -> PartSource:
    """A source of an empty stream, read to its end."""
    with RawServer(event_stream(headers)) as server:
        transport = SSETransport(TransportConfig(server.url + prefix, {"x-api-key": "k"}))
        with contextlib.closing(transport):
            source = transport.open_run(start)
            assert list(source) == []
    source.request = server.requests[0]  # type: ignore[attr-defined]
    return source


def request_for(start: Union[RunStart, RunJoin], prefix: str = "") -> Request:
    request: Request = opened(start, prefix=prefix).request  # type: ignore[attr-defined]
    return request


# Starting a run


def test_a_run_is_started_on_its_thread() -> None:
    request = request_for(
        RunStart("t/1", {"assistant_id": "a"}, headers={"X-Call": "1"}, params={"debug": True}), prefix="/api"
    )
    assert (request.method, request.target) == ("POST", "/api/threads/t%2F1/runs/stream?debug=true")
    assert request.json() == {"assistant_id": "a"}
    assert (request.headers["x-call"], request.headers["x-api-key"]) == ("1", "k")
    assert request.headers["accept"] == "text/event-stream"


def test_a_run_without_a_thread_has_a_path_of_its_own() -> None:
    assert request_for(RunStart(None, {"assistant_id": "a"})).target == "/runs/stream"


def test_an_empty_thread_id_is_refused_before_anything_is_sent() -> None:
    with (
        RawServer(event_stream()) as server,
        contextlib.closing(SSETransport(TransportConfig(server.url))) as transport,
    ):
        with pytest.raises(ConfigurationError, match="thread_id is empty"):
            transport.open_run(RunStart("", {}))
        assert server.connections == []


@pytest.mark.parametrize(
    ("thread_id", "location", "ids"),
    [
        ("t", "/threads/t/runs/r", ("t", "r")),
        ("t", "/mounted/threads/t/runs/r", ("t", "r")),
        ("a b", "http://host/threads/a%20b/runs/r%2F1", ("a b", "r/1")),
        (None, "/runs/r", (None, "r")),
        (None, "/threads/made/runs/r", ("made", "r")),
        ("t", "/elsewhere", ("t", None)),
        ("t", "", ("t", None)),
    ],
)
def test_the_ids_come_from_content_location(thread_id: Optional[str], location: str, ids: Any) -> None:
    source = opened(RunStart(thread_id, {}), {"Content-Location": location})
    assert (source.thread_id, source.run_id) == ids


# Joining a run


def join_query(join: RunJoin) -> Dict[str, Any]:
    return parse_qs(urlsplit(request_for(join).target).query)


def test_a_run_is_joined_below_the_base_whatever_location_the_server_gave() -> None:
    request = request_for(RunJoin("t", "r"), prefix="/api")
    assert (request.method, request.target, request.body) == ("GET", "/api/threads/t/runs/r/stream", b"")
    assert "last-event-id" not in request.headers


def test_a_join_asks_for_its_modes() -> None:
    assert join_query(RunJoin("t", "r", modes=("values",))) == {"stream_mode": ["values"]}
    (modes,) = join_query(RunJoin("t", "r", modes=("messages-tuple", "updates")))["stream_mode"]
    assert json.loads(modes) == ["messages-tuple", "updates"]


def test_a_join_asks_for_options_only_when_they_are_set() -> None:
    assert join_query(RunJoin("t", "r", stream_subgraphs=True, cancel_on_disconnect=True)) == {
        "stream_subgraphs": ["true"],
        "cancel_on_disconnect": ["true"],
    }


def test_the_callers_parameters_win_in_a_join() -> None:
    join = RunJoin("t", "r", modes=("values",), params={"stream_mode": "debug", "x": 1})
    assert join_query(join) == {"stream_mode": ["debug"], "x": ["1"]}


def test_a_join_goes_on_from_its_position_whatever_the_caller_sent_along() -> None:
    request = request_for(RunJoin("t", "r", position="5-0", headers={"LAST-EVENT-ID": "1-0"}))
    assert request.headers["last-event-id"] == "5-0"


def test_a_joined_source_knows_its_ids_and_its_position() -> None:
    source = opened(RunJoin("t", "r", position="5-0"), {"Content-Location": "/threads/x/runs/y"})
    assert (source.thread_id, source.run_id, source.position) == ("t", "r", "5-0")


# Answers that are no stream


def refusal(script: Any) -> Any:
    with RawServer(script) as server, contextlib.closing(SSETransport(TransportConfig(server.url))) as transport:
        with pytest.raises((APIStatusError, ResponseError)) as caught:
            transport.open_run(RunStart("t", {}))
        assert server.url + "/threads/t/runs/stream" in str(caught.value)
    return caught.value


def test_a_refusal_is_the_error_of_its_status() -> None:
    error = refusal(answer(404, {"detail": "Thread or assistant not found."}, {"X-Request-Id": "r1"}))
    assert (type(error), error.detail, error.request_id) == (NotFoundError, "Thread or assistant not found.", "r1")


def test_a_refusal_keeps_when_to_try_again() -> None:
    error = refusal(answer(429, b"slow down", {"Retry-After": "7", "Content-Type": "text/plain"}))
    assert (type(error), error.retry_after, error.body) == (RateLimitError, 7.0, "slow down")


def test_a_refusal_may_come_as_an_event_stream() -> None:
    assert refusal(answer(500, b"data: 1\n\n", {"Content-Type": "text/event-stream"})).status_code == 500


def test_a_page_where_a_stream_was_due_is_shown_in_part() -> None:
    page = b"<html>" + b"Sign in! " * 1000
    error = refusal(answer(200, page, {"Content-Type": "text/html; charset=utf-8"}))
    assert (type(error), error.status, error.content_type) == (ResponseError, 200, "text/html; charset=utf-8")
    assert error.snippet.startswith("<html>Sign in!")
    assert len(error.snippet) <= 500
    assert "a web page that says 'Sign in! Sign in!" in str(error)
    assert "where an event stream was due" in str(error)


def test_no_content_is_no_stream() -> None:
    def nothing(connection: Connection) -> None:
        connection.read_request()
        connection.head(204)

    assert refusal(nothing).status == 204


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream; charset=UTF-8"])
def test_the_content_type_of_a_stream_may_be_written_as_it_likes(content_type: str) -> None:
    with responses.RequestsMock() as mock:
        mock.post("http://langgraph.test/runs/stream", body=b"data: 1\n\n", content_type=content_type)
        source = SSETransport(TransportConfig("http://langgraph.test")).open_run(RunStart(None, {}))
        assert [part.data for part in source] == [1]


# The transport itself


def test_it_carries_every_stream_mode_and_option() -> None:
    capabilities = SSETransport(TransportConfig("http://langgraph.test")).capabilities
    assert capabilities.stream_modes >= {"values", "messages", "messages-tuple", "updates", "custom", "debug"}
    assert capabilities.default_modes == ("messages-tuple", "updates")
    assert (capabilities.run_options, capabilities.stateless_runs, capabilities.names_nodes) == (None, True, True)


def test_it_is_found_by_its_name() -> None:
    transport = resolve("sse", TransportConfig("http://langgraph.test"))
    assert (type(transport), transport.name) == (SSETransport, "sse")


def test_it_does_not_load_what_only_other_transports_need() -> None:
    program = "import sys, lgsync.transports; lgsync.transports.SSETransport; sys.exit('websockets' in sys.modules)"
    # From elsewhere: below the checkout's root the folder lgsync would hide the installed package.
    assert (
        subprocess.run([sys.executable, "-c", program], cwd=pathlib.Path(__file__).parent, check=False).returncode == 0
    )


def test_the_package_gives_its_transports_by_name() -> None:
    import lgsync.transports

    assert lgsync.transports.SSETransport is SSETransport
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = lgsync.transports.Nothing
