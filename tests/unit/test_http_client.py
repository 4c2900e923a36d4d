"""Calls of routes that a server has besides the API's."""

from __future__ import annotations

from typing import Any

import pytest
from rawserver import RawServer, answer

from lgsync import Client
from lgsync.errors import APIStatusError, ConfigurationError

METHODS = ["get", "post", "put", "patch", "delete"]


def refusal(path: Any, method: str = "get") -> str:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ConfigurationError) as caught:
        getattr(client.http, method)(path)
    return str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_a_path_is_asked_for_with_a_query_of_its_params(method: str) -> None:
    with RawServer(answer(200, {"ok": True})) as server, Client(server.url) as client:
        assert getattr(client.http, method)("/own/a b/é", params={"q": "1 2"}) == {"ok": True}
        assert server.requests[0].method == method.upper()
        assert server.requests[0].target == "/own/a%20b/%C3%A9?q=1+2"


def test_what_is_quoted_in_a_path_stays_so() -> None:
    with RawServer(answer(200, b"")) as server, Client(server.url) as client:
        assert client.http.get("/own/a%2Fb%3Fc%23d/...") is None
        assert server.requests[0].target == "/own/a%2Fb%3Fc%23d/..."


@pytest.mark.parametrize("method", METHODS)
def test_a_query_in_the_path_is_refused_and_not_shown(method: str) -> None:
    said = refusal("/own?token=CANARY#CANARY", method)
    assert said == "path '/own' is followed by a query: pass that as params=…, or quote a question mark as %3F"
    assert "CANARY" not in refusal("own?token=CANARY")


def test_a_fragment_is_refused_and_not_shown() -> None:
    said = "path '/own' is followed by a fragment, which no server is sent: leave it out, or quote a # as %23"
    assert refusal("/own#CANARY") == said


@pytest.mark.parametrize("path", ["/own/../threads", "/..", "/own/.", "/./own", "/own/%2e%2E/threads", "/own/.%2e"])
def test_steps_up_and_down_are_refused(path: str) -> None:
    assert refusal(path) == f"path {path!r} holds a step '.' or '..', which leads elsewhere: write where it is to lead"


@pytest.mark.parametrize("path", ["own", "", "http://host/own", None, b"/own"])
def test_a_path_must_begin_with_a_slash(path: Any) -> None:
    assert refusal(path).startswith("path must begin with a slash, such as '/my/route'")


def test_an_error_shows_no_params() -> None:
    with RawServer(answer(404, {"detail": "no"})) as server, Client(server.url) as client:
        with pytest.raises(APIStatusError) as caught:
            client.http.get("/own", params={"token": "CANARY"})
        assert "CANARY" not in repr([caught.value, vars(caught.value)])
        assert caught.value.url == f"{server.url}/own"
