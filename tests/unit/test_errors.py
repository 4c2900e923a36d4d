from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Type

import pytest

import lgsync.errors as errors
from lgsync.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    LgsyncError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
    run_error,
    status_error,
)

STATUSES: Dict[int, Type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    418: APIStatusError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    500: InternalServerError,
    503: InternalServerError,
}


def refused(status: int, body: Any = None) -> APIStatusError:
    return status_error(status, method="GET", url="http://server/threads/1", body=body, request_id="r-1")


@pytest.mark.parametrize(("status", "cls"), STATUSES.items())
def test_each_status_has_its_class(status: int, cls: Type[APIStatusError]) -> None:
    error = refused(status)
    assert type(error) is cls
    assert error.status_code == status
    assert error.request_id == "r-1"


@pytest.mark.parametrize(
    "body",
    [
        {"message": "no", "detail": "other"},
        {"detail": "no", "error": "other"},
        {"error": "no"},
        {"error": {"message": "no"}},
        "no",
    ],
)
def test_the_servers_words_are_found_in_the_body(body: Any) -> None:
    assert refused(400, body).detail == "no"


def test_the_message_names_the_call_the_status_and_what_to_do() -> None:
    message = str(refused(401, {"detail": "Invalid API key"}))
    assert "GET http://server/threads/1" in message
    assert "401: Invalid API key" in message
    assert "LANGGRAPH_API_KEY" in message


def test_what_is_there_already_is_not_called_busy() -> None:
    assert "The thread is busy" in str(refused(409, {"detail": "Thread is already running a task."}))
    existing = str(refused(409, {"detail": "Thread with ID 1 already exists"}))
    assert 'if_exists="do_nothing"' in existing
    assert "busy" not in existing


def test_code_param_and_type_are_read_from_the_body() -> None:
    error = refused(422, {"detail": "bad", "code": "c", "param": "p", "type": "t"})
    assert (error.code, error.param, error.type) == ("c", "p", "t")


def test_a_html_body_is_kept_and_cut_short_in_the_message() -> None:
    error = refused(502, "<html>" + "x" * 5000)
    assert len(str(error)) < 1000
    assert error.body.startswith("<html>")


PLACE = {"thread_id": "t", "run_id": "r", "cursor": "lgsync1.x"}
BODY = {"detail": "gone", "code": "c", "param": "p", "type": "t"}

EXAMPLES: List[LgsyncError] = [
    errors.LgsyncError("something"),
    errors.ConfigurationError("wrong"),
    errors.WrongType("no mapping"),
    errors.UnsupportedByTransport("no", option="context", transport="websocket", alternatives=("sse",)),
    errors.ClientClosed("closed"),
    errors.ConnectionFailed("failed", url="http://server"),
    errors.ConnectionLost("lost", url="http://server"),
    errors.ConnectionTimeout("silent", url="http://server"),
    errors.PositionLost("gone", url="http://server"),
    errors.DeadlineExceeded("late", **PLACE),
    errors.ResponseError("html", url="u", status=200, content_type="text/html", snippet="<"),
    errors.DecodeError("no JSON", url="u", status=200, text="{" * 300, content_type="text/event-stream"),
    errors.EventTooLarge("large", url="u", status=200, content_type="text/event-stream", snippet="x"),
    *(status_error(s, method="GET", url="u", body=BODY, request_id="r-1", retry_after=3.0) for s in STATUSES),
    run_error({"error": "ValueError", "message": "no"}, thread_id="t", run_id="r"),
    errors.StateMismatch("no MyState"),
    errors.StreamLost("lost", **PLACE),
]

every_error = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


def test_there_is_an_example_of_every_error() -> None:
    assert {type(error).__name__ for error in EXAMPLES} == set(errors.__all__)


def test_an_example_leaves_no_field_empty() -> None:
    empty = [(type(e).__name__, name) for e in EXAMPLES for name, value in vars(e).items() if value in (None, "", ())]
    assert empty == []


@every_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling_whole(error: LgsyncError, protocol: int) -> None:
    assert_the_same(pickle.loads(pickle.dumps(error, protocol)), error)


@every_error
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_every_error_survives_copying_whole(error: LgsyncError, copied: Callable[[Any], Any]) -> None:
    assert_the_same(copied(error), error)


@every_error
def test_every_error_comes_through_a_pool_of_threads_with_its_cause(error: LgsyncError) -> None:
    cause = OSError(104, "reset")

    def fail() -> None:
        raise error from cause

    with ThreadPoolExecutor(1) as pool:
        raised = pool.submit(fail).exception(10)
    assert raised is error
    assert raised.__cause__ is cause


def assert_the_same(again: LgsyncError, error: LgsyncError) -> None:
    assert again is not error
    assert type(again) is type(error)
    assert (str(again), again.args) == (str(error), error.args)
    assert vars(again) == vars(error)


def test_every_public_error_class_is_documented_and_rooted() -> None:
    for name in errors.__all__:
        cls = getattr(errors, name)
        assert issubclass(cls, LgsyncError)
        assert cls.__doc__
