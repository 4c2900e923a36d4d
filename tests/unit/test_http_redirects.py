"""Redirects are followed within the server's own origin, and nowhere else."""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager

import pytest
import responses
from rawserver import Connection, RawServer, answer

from lgsync.errors import ResponseError
from lgsync.transport import RunStart, TransportConfig
from lgsync.transports.sse import SSETransport

pytestmark = pytest.mark.usefixtures("no_leaks")

KEY = {"x-api-key": "secret-key"}


def transport_to(url: str) -> ContextManager[SSETransport]:
    return contextlib.closing(SSETransport(TransportConfig(url, KEY)))


def refusal(url: str, method: str) -> ResponseError:
    """The error of a call that is redirected where it must not go."""
    with transport_to(url) as transport, pytest.raises(ResponseError) as caught:
        transport.request(method, "/threads", params={"limit": 1})
    return caught.value


def redirect(status: int, location: str) -> Any:
    """A script that redirects one request, and answers those after it."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.respond(status, b"", {"Location": location})
        answer(200, {"ok": True})(connection)

    return script


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_origin_keeps_method_body_and_key(status: int) -> None:
    with RawServer(redirect(status, "/new/threads?a=1"), answer()) as server, transport_to(server.url) as transport:
        assert transport.request("POST", "/threads", params={"b": 2}, json={"x": 1}).status == 200
    first, second = server.requests
    assert (second.method, second.target, second.json()) == ("POST", "/new/threads?a=1", {"x": 1})
    assert (first.headers["x-api-key"], second.headers["x-api-key"]) == ("secret-key", "secret-key")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_is_redirected_by_every_status(status: int) -> None:
    with RawServer(redirect(status, "/new"), answer(200, b"found")) as server, transport_to(server.url) as transport:
        assert transport.request("GET", "/old").status == 200


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_turn_a_post_into_a_get_is_refused(status: int) -> None:
    with RawServer(redirect(status, "/login?next=1")) as server:
        error = refusal(server.url, "POST")
    assert f"{server.url}/threads redirects to {server.url}/login, with" in str(error)
    assert (error.status, error.url, len(server.requests)) == (status, f"{server.url}/threads", 1)


def test_no_key_goes_to_another_origin() -> None:
    with RawServer(answer()) as other, RawServer(redirect(307, f"{other.url}/x?token=t")) as server:
        error = refusal(server.url, "POST")
    assert f"{server.url}/threads redirects to {other.url}/x, which is another origin" in str(error)
    assert other.requests == []


def test_a_stream_is_redirected_by_the_same_rules() -> None:
    with RawServer(answer()) as other, RawServer(redirect(307, f"{other.url}/x")) as server:
        with transport_to(server.url) as transport, pytest.raises(ResponseError):
            transport.open_run(RunStart("t", {}))
    assert other.requests == []


@pytest.mark.parametrize(
    ("base", "location", "same"),
    [
        ("http://host.test", "http://host.test:80/new", True),
        ("https://host.test:443", "https://HOST.test/new", True),
        ("http://host.test", "//host.test/new", True),
        ("http://host.test", "https://host.test/new", False),
        ("http://host.test", "http://host.test:8080/new", False),
        ("http://host.test", "http://api.host.test/new", False),
        ("http://host.test", "//other.test/new", False),
        ("http://host.test", "http://host.test@other.test/new", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(base: str, location: str, same: bool) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock, transport_to(base) as transport:
        mock.get(f"{base}/old", status=302, headers={"Location": location})
        mock.get(base.replace(":443", "") + "/new", body=b"here")
        mock.get(location, body=b"here")
        if same:
            assert transport.request("GET", "/old").body == b"here"
        else:
            with pytest.raises(ResponseError, match="another origin"):
                transport.request("GET", "/old")
            assert len(mock.calls) == 1


def test_a_circle_of_redirects_ends() -> None:
    def in_circles(connection: Connection) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                connection.read_request()
                connection.respond(307, b"", {"Location": "/threads"})

    with RawServer(in_circles) as server:
        assert "after 10 redirects" in str(refusal(server.url, "GET"))
    assert len(server.requests) == 11


def test_a_location_that_is_no_url_is_refused() -> None:
    with RawServer(redirect(302, "http://host:port/x")) as server:
        assert "redirects to http://host:port/x, which is no URL" in str(refusal(server.url, "GET"))


def test_a_redirect_without_a_location_is_an_answer_like_any_other() -> None:
    with RawServer(answer(304)) as server, transport_to(server.url) as transport:
        assert transport.request("GET", "/x").status == 304
