"""A graph that the server does not have: the error names those that it has."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import pytest
from scripted import THREAD, ScriptedTransport
from thread_server import ThreadServer

from lgsync import Client
from lgsync.errors import (
    APIStatusError,
    BadRequestError,
    ConnectionLost,
    LgsyncError,
    NotFoundError,
    UnprocessableEntityError,
)
from lgsync.errors import status_error as refused

RUNS = f"/threads/{THREAD}/runs"
ASSISTANTS = [
    {"assistant_id": "11111111-1111-4111-8111-111111111111", "graph_id": "writer"},
    {"assistant_id": "22222222-2222-4222-8222-222222222222", "graph_id": "agent"},
    {"assistant_id": "33333333-3333-4333-8333-333333333333", "graph_id": "agent"},
    {"assistant_id": "own-name", "graph_id": "agent"},
]
KNOWN = "The server's graphs are: agent, writer"
SAYS = "Assistant 'nosuch' not found"

STARTS: Dict[str, Callable[[Client, str], Any]] = {
    "create": lambda client, graph: client.runs.create(THREAD, graph),
    "wait": lambda client, graph: client.runs.wait(THREAD, graph),
    "wait without a thread": lambda client, graph: client.runs.wait(None, graph),
    "stream": lambda client, graph: client.runs.stream(THREAD, graph),
}


class Server(ScriptedTransport):
    """Refuses every run; ``asked`` are the searches for assistants."""

    def __init__(self, status: int, detail: str, assistants: Any = (200, ASSISTANTS)) -> None:
        refusal = (status, {"detail": detail})
        answers = dict.fromkeys([f"POST {RUNS}", "POST /runs/wait", f"POST {RUNS}/wait"], refusal)
        error = refused(status, method="POST", url=f"http://server{RUNS}/stream", body={"detail": detail})
        super().__init__([error], {**answers, "POST /assistants/search": assistants})

    @property
    def asked(self) -> List[Any]:
        return self.calls("POST /assistants/search")


def failure(
    server: Server, graph: str = "nosuch", start: Optional[Callable[[Client, str], Any]] = None
) -> APIStatusError:
    with Client(transport=server) as client, pytest.raises(APIStatusError) as caught:
        (start or STARTS["create"])(client, graph)
    return caught.value


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(("status", "kind"), [(404, NotFoundError), (422, UnprocessableEntityError)])
def test_the_error_of_every_start_names_the_graphs_there_are(start: Any, status: int, kind: Any) -> None:
    server = Server(status, SAYS)
    error = failure(server, start=start)
    assert type(error) is kind
    assert (error.status_code, error.detail) == (status, SAYS)
    assert SAYS in str(error)
    assert str(error).endswith(KNOWN)
    assert type(error.__cause__) is kind
    assert KNOWN not in str(error.__cause__)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "detail",
    [
        "Assistant 'nosuch' not found",
        'Graph "nosuch" not found',
        'No assistant found for "nosuch". Make sure the assistant ID is for a valid assistant or a valid graph ID.',
        "assistant not found",
        "no such thing: nosuch",
    ],
)
def test_it_does_so_in_whatever_words_the_server_refuses(detail: str) -> None:
    assert str(failure(Server(404, detail))).endswith(KNOWN)


def test_a_server_that_tells_by_itself_is_not_repeated() -> None:
    detail = "Invalid assistant: 'nosuch'. Must be either:\n- A valid assistant UUID, or\n- One of: writer, agent"
    error = failure(Server(422, detail))
    assert KNOWN not in str(error)
    assert error.__cause__ is None


def test_a_name_within_another_word_is_not_taken_for_told() -> None:
    assert str(failure(Server(422, "Graph nosuch not found; ask your agents and writers"))).endswith(KNOWN)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (404, "Thread with ID 1 not found"),
        (422, "Invalid thread ID: must be a UUID"),
        (404, "nosuchthing is not here"),
    ],
)
def test_what_is_about_something_else_asks_nothing(status: int, detail: str) -> None:
    server = Server(status, detail)
    assert KNOWN not in str(failure(server))
    assert server.asked == []


@pytest.mark.parametrize("status", [400, 401, 403, 409, 500])
def test_another_status_asks_nothing(status: int) -> None:
    server = Server(status, SAYS)
    assert KNOWN not in str(failure(server))
    assert server.asked == []


def test_an_id_is_no_name_of_a_graph() -> None:
    server = Server(404, "Thread or assistant not found.")
    assert KNOWN not in str(failure(server, "22222222-2222-4222-8222-222222222222"))
    assert server.asked == []


@pytest.mark.parametrize("name", ["agent", "own-name"])
def test_a_graph_that_is_there_is_not_what_is_missing(name: str) -> None:
    error = failure(Server(404, "Thread or assistant not found."), name)
    assert KNOWN not in str(error)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "answer",
    [
        (403, {"detail": "no"}),
        (500, None),
        ConnectionLost("gone", url="http://server"),
        (204, None),
        (200, []),
        (200, {"assistants": []}),
        (200, 5),
        (200, [5, {}, {"graph_id": None}]),
    ],
    ids=str,
)
def test_a_server_that_does_not_tell_leaves_the_error_as_it_is(answer: Any) -> None:
    error = failure(Server(422, SAYS, answer))
    assert type(error) is UnprocessableEntityError
    assert str(error).endswith(SAYS)
    assert error.__cause__ is None


def test_of_very_many_graphs_not_all_are_named() -> None:
    many = [{"graph_id": f"g{number:03}"} for number in range(60)]
    said = str(failure(Server(422, SAYS, (200, many))))
    assert "g000, g001" in said
    assert said.endswith("g049 and 10 more")


def test_over_a_websocket_the_graphs_are_named_too() -> None:
    with ThreadServer() as server, Client(server.url, transport="websocket") as client:
        refusal = {"type": "error", "id": 1, "error": "unknown_error", "message": f"422: {SAYS}"}
        server.answers[f"POST {server.base}/commands"] = (200, refusal)
        server.answers["POST /assistants/search"] = (200, ASSISTANTS)
        with pytest.raises(UnprocessableEntityError) as caught:
            client.runs.stream(THREAD, "nosuch", input={"messages": []})
        assert str(caught.value).endswith(KNOWN)


def test_an_error_of_another_kind_is_passed_on() -> None:
    server = Server(400, SAYS)
    server.answers[f"POST {RUNS}"] = ConnectionLost("gone", url="http://server")
    with Client(transport=server) as client, pytest.raises(LgsyncError) as caught:
        client.runs.create(THREAD, "nosuch")
    assert not isinstance(caught.value, BadRequestError)
    assert server.asked == []
