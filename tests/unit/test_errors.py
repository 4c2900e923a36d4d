from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Type

import pytest
from echo_server import Answer, EchoServer, Stream
from event_tape import Tape
from rawserver import Request
from scripted import RUN, THREAD
from thread_server import ThreadServer

import lgsync.errors as errors
from lgsync import Client
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
    RunError,
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


def test_a_html_body_is_kept_and_shown_as_words_and_not_at_length() -> None:
    error = refused(502, "<html>" + "x" * 5000)
    assert len(str(error)) < 1000
    assert "<html>" not in str(error)
    assert error.body == "<html>" + "x" * 5000


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, "", "api_key"),
        (403, "", "api_key"),
        (404, "", "path prefix"),
        (409, {"detail": "Thread is busy"}, "multitask_strategy"),
        (409, {"detail": "Thread already exists"}, "if_exists"),
        (429, "", "wait, then try again"),
        (502, "", "try again later"),
        (503, "", "try again later"),
        (504, "", "try again later"),
    ],
)
def test_a_status_says_what_to_do(status: int, body: Any, advice: str) -> None:
    assert advice in str(refused(status, body))


PLACE = {"thread_id": "t", "run_id": "r", "cursor": "lgsync1.x"}
BODY = {"detail": "gone", "code": "c", "param": "p", "type": "t"}

EXAMPLES: List[LgsyncError] = [
    errors.LgsyncError("something"),
    errors.ConfigurationError("wrong"),
    errors.WrongType("no mapping"),
    errors.NotRecorded("The recording does not hold it"),
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


# The same failure is the same error, whichever call meets it

STARTS: Dict[str, Callable[[Client], Any]] = {
    "create": lambda client: client.runs.create(THREAD, "agent"),
    "create without a thread": lambda client: client.runs.create(None, "agent"),
    "stream": lambda client: client.runs.stream(THREAD, "agent"),
    "stream without a thread": lambda client: client.runs.stream(None, "agent"),
    "wait": lambda client: client.runs.wait(THREAD, "agent"),
    "wait without a thread": lambda client: client.runs.wait(None, "agent"),
    "join": lambda client: client.runs.join(THREAD, RUN),
    "join_stream": lambda client: client.runs.join_stream(THREAD, RUN),
    "get": lambda client: client.runs.get(THREAD, RUN),
    "search": lambda client: client.threads.search(),
    "delete": lambda client: client.threads.delete(THREAD),
}


@pytest.mark.parametrize("call", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("status", [404, 409, 422])
def test_a_refusal_is_the_same_error_in_every_call(call: Callable[[Client], Any], status: int) -> None:
    refusal = Answer({"detail": "no", "code": "c"}, status, {"X-Request-Id": "r-1", "Retry-After": "7"})
    with EchoServer(lambda _: refusal) as server, Client(server.url) as client:
        with pytest.raises(APIStatusError) as caught:
            call(client)
    error = caught.value
    assert type(error) is STATUSES[status]
    assert (error.status_code, error.detail, error.body) == (status, "no", {"detail": "no", "code": "c"})
    assert (error.request_id, error.retry_after, error.code) == ("r-1", 7.0, "c")
    assert error.url.startswith(server.url)
    assert f"failed with status {status}: no" in str(error)


FAILURE = {"error": "ValueError", "message": "no such city"}


def failing(request: Request) -> Any:
    """A server whose every run fails."""
    if request.path.endswith(("/stream", "/events")):
        return Stream([("error", FAILURE, "1")], {"Content-Location": f"/threads/{THREAD}/runs/{RUN}"})
    if request.path.endswith(("/wait", "/join")):
        return {"__error__": FAILURE}
    return {"run_id": RUN, "thread_id": THREAD, "status": "error", "values": {}}


RUNS: Dict[str, Callable[[Client, Any], Any]] = {
    "parts": lambda client, options: list(client.runs.stream(THREAD, "agent", **options)),
    "messages": lambda client, options: list(client.runs.stream(THREAD, "agent", **options).messages()),
    "text": lambda client, options: list(client.runs.stream(THREAD, "agent", **options).text()),
    "wait of a stream": lambda client, options: client.runs.stream(THREAD, "agent", **options).wait(),
    "joined": lambda client, options: client.runs.join_stream(THREAD, RUN, **options).wait(),
    "wait": lambda client, options: client.runs.wait(THREAD, "agent", **options),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_run_that_fails_is_the_same_error_in_every_call(run: Callable[[Client, Any], Any]) -> None:
    with EchoServer(failing) as server, Client(server.url) as client:
        with pytest.raises(RunError, match=f"Run {RUN} on thread {THREAD} failed: ValueError: no such city") as caught:
            run(client, {})
        assert_failed(caught.value, RUN)
        run(client, {"raise_error": False})


def test_a_wait_that_is_not_to_raise_gives_the_failure_as_the_server_does() -> None:
    with EchoServer(failing) as server, Client(server.url) as client:
        assert client.runs.wait(THREAD, "agent", raise_error=False) == {"__error__": FAILURE}
        assert client.runs.wait(None, "agent", raise_error=False) == {"__error__": FAILURE}


def test_a_run_that_fails_over_a_websocket_is_that_error_too() -> None:
    tape = Tape()
    with ThreadServer() as server, Client(server.url, transport="websocket") as client:
        server.answers[f"GET {server.base}/state"] = (
            200,
            {"values": {}, "tasks": [{"error": "ValueError('no city')"}]},
        )
        run = client.runs.stream(THREAD, "agent", input={"messages": []}, on_close="continue")
        peer = server.peer()
        peer.confirm()
        peer.send(tape.running(), tape.lifecycle("failed", error="no such city"))
        server.run_is("error")
        with pytest.raises(RunError) as caught:
            run.wait()
        assert_failed(caught.value, "run-1")


def assert_failed(error: RunError, run_id: str) -> None:
    assert type(error) is RunError
    assert (error.error, error.detail) == ("ValueError", "no such city")
    assert (error.thread_id, error.run_id) == (THREAD, run_id)
