"""What the official client raises, and what is raised here instead."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import langgraph_sdk
import langgraph_sdk.errors
import pytest
from echo_server import Answer, EchoServer
from official import named_on_the_page
from rawserver import Connection, RawServer, answer

import lgsync

THREAD = "11111111-1111-4111-8111-111111111111"

STATUSES = (400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503)


def _get(client: Any) -> Any:
    return client.threads.get(THREAD)


def _wait(client: Any) -> Any:
    return client.runs.wait(None, "agent")


def _stream(client: Any) -> Any:
    return list(client.runs.stream(None, "agent"))


def _silent(connection: Connection) -> None:
    connection.read_request()
    connection.peer_closed()


def _gone(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


_REFUSED = answer(422, {"detail": "no"})
_FAILED = answer(200, {"__error__": {"error": "ValueError", "message": "no"}})
_HTML = answer(200, b"<html>", {"Content-Type": "text/html"})

#: What happens, in which call; what the official client makes of it, and this one.
ERRORS: Dict[str, Tuple[Callable[[Connection], None], Callable[[Any], Any], str, str]] = {
    "silence": (_silent, _get, "httpx.ReadTimeout", "ConnectionTimeout"),
    "broken-connection": (_gone, _get, "httpx.ReadError", "ConnectionLost"),
    "html": (_HTML, _get, "orjson.JSONDecodeError", "ResponseError"),
    "html-instead-of-a-stream": (_HTML, _stream, "httpx.TransportError", "ResponseError"),
    "refused-wait": (_REFUSED, _wait, "httpx.HTTPStatusError", "UnprocessableEntityError"),
    "failed-run": (_FAILED, _wait, "Exception", "RunError"),
    "no-id": (_REFUSED, lambda client: client.threads.get(None), "TypeError", "WrongType"),
    "a-class-as-input": (
        _REFUSED,
        lambda client: client.runs.create(None, "agent", input={"a": _HasDump}),
        "TypeError",
        "WrongType",
    ),
}


class _HasDump:
    def model_dump(self) -> Dict[str, Any]:
        return {}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("work", [_get, _stream], ids=["get", "stream"])
def test_a_status_raises_an_error_of_the_same_name_and_fields(status: int, work: Callable[[Any], Any]) -> None:
    body = {"message": "no", "code": "c", "param": "p", "type": "t"}
    theirs, mine = raised_by_both(answer(status, body, {"x-request-id": "r1", "Retry-After": "0"}), work)
    assert type(mine).__name__ == type(theirs).__name__
    for name in ("status_code", "body", "code", "param", "type", "request_id"):
        assert getattr(mine, name) == getattr(theirs, name), name
    assert theirs.message in mine.message


@pytest.mark.parametrize("case", ERRORS)
def test_other_errors_have_a_name_of_their_own(case: str) -> None:
    script, work, official, ours = ERRORS[case]
    theirs, mine = raised_by_both(script, work)
    assert _named(theirs) == official
    assert type(mine).__name__ == ours
    assert {official, ours} <= named_on_the_page()


def test_every_official_error_that_is_raised_has_its_namesake() -> None:
    named = {name for name in dir(langgraph_sdk.errors) if name.endswith("Error") and name[0].isupper()}
    # Roots of others, and three that are never raised.
    above = {"LangGraphError", "APIError", "APIConnectionError", "APITimeoutError", "APIResponseValidationError"}
    assert {name for name in named - above if not hasattr(lgsync, name)} == set()


def test_an_error_survives_being_pickled_which_the_official_one_does_not() -> None:
    import pickle

    theirs, mine = raised_by_both(answer(404, {"detail": "no"}), _get)
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(theirs))
    assert pickle.loads(pickle.dumps(mine)).status_code == 404


def test_an_empty_id_is_refused_which_the_official_client_sends() -> None:
    with RawServer(answer(200)) as server:
        with langgraph_sdk.get_sync_client(url=server.url) as client:
            assert client.threads.get("") is None
        with lgsync.get_sync_client(url=server.url) as client, pytest.raises(ValueError, match="thread_id"):
            client.threads.get("")
        assert [request.target for request in server.requests] == ["/threads/"]


def test_a_redirect_is_followed_which_the_official_client_takes_for_no_result() -> None:
    moved = Answer(status=307, headers={"Location": "/moved"})
    with EchoServer(lambda request: {"thread_id": THREAD} if request.path == "/moved" else moved) as server:
        with langgraph_sdk.get_sync_client(url=server.url) as client:
            assert client.threads.get(THREAD) is None
        with lgsync.get_sync_client(url=server.url) as client:
            assert client.threads.get(THREAD)["thread_id"] == THREAD


@pytest.mark.parametrize(
    ("options", "official"),
    [({"url": "localhost:2024"}, "at the first call"), ({"headers": {"x-api-key": "k"}}, "ValueError")],
    ids=["no-scheme", "reserved-header"],
)
def test_wrong_settings_are_refused_when_the_client_is_made(options: Dict[str, Any], official: str) -> None:
    if official == "ValueError":
        with pytest.raises(ValueError, match="x-api-key"):
            langgraph_sdk.get_sync_client(**options)
    else:
        langgraph_sdk.get_sync_client(**options).close()
    with pytest.raises(ValueError, match="localhost:2024|x-api-key"):
        lgsync.get_sync_client(**options)


def raised_by_both(script: Callable[[Connection], None], work: Callable[[Any], Any]) -> List[Any]:
    """The errors of the official client and of this one."""
    errors: List[Any] = []
    for package in (langgraph_sdk, lgsync):
        with RawServer(script) as server, package.get_sync_client(url=server.url, timeout=0.3) as client:
            with pytest.raises(Exception) as caught:
                work(client)
        errors.append(caught.value)
    return errors


def _named(error: BaseException) -> str:
    package = type(error).__module__.partition(".")[0]
    return type(error).__name__ if package == "builtins" else f"{package}.{type(error).__name__}"
