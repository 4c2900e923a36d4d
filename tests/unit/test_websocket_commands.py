"""What is refused before anything is sent, and how a paused thread is answered."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from rawserver import PATIENCE
from thread_server import RUN, ThreadServer

from lgsync.errors import ClientClosed, ConfigurationError, ResponseError, UnsupportedByTransport
from lgsync.transport import PartSource, RunStart
from lgsync.transports import run_calls

ONE = {"id": "i1", "value": {"q": "sure?"}}
TWO = {"id": "i2", "value": "really?"}


@pytest.mark.parametrize(
    "option",
    [
        {"stream_resumable": False},
        {"on_disconnect": "cancel"},
        {"durability": "sync"},
        {"command": {"update": {"x": 1}}},
        {"command": {"goto": "node"}},
    ],
)
def test_what_cannot_be_honoured_is_refused_and_nothing_is_sent(option: Dict[str, Any]) -> None:
    with ThreadServer() as server:
        with pytest.raises(UnsupportedByTransport, match='transport="sse"'):
            server.transport().open_run(server.start(**option))
        assert server.asked == []


def test_a_run_without_a_thread_is_refused() -> None:
    with ThreadServer() as server, pytest.raises(UnsupportedByTransport, match="thread"):
        server.transport().open_run(RunStart(None, {"assistant_id": "agent"}))


def test_values_that_say_what_happens_anyway_are_taken() -> None:
    with ThreadServer() as server:
        options = {"stream_resumable": True, "on_disconnect": "continue", "durability": "async", "command": None}
        server.transport().open_run(server.start(**options)).close()
        (command,) = server.requests_to("POST", "/commands")
        assert set(command.body["params"]) == {"assistant_id", "input"}


def test_an_input_that_the_server_would_take_for_an_answer_is_refused() -> None:
    with ThreadServer() as server:
        server.waits_for(ONE)
        with pytest.raises(ConfigurationError, match="i1 asks .*sure"):
            server.transport().open_run(server.start())
        assert not server.requests_to("POST", "/commands")


def test_an_empty_input_may_go_to_a_thread_that_waits() -> None:
    with ThreadServer() as server:
        server.waits_for(ONE)
        server.transport().open_run(server.start(input=None)).close()
        (command,) = server.requests_to("POST", "/commands")
        assert command.body["params"]["input"] is None


def answer(server: ThreadServer, command: Dict[str, Any], **options: Any) -> Dict[str, Any]:
    def take() -> Any:
        params = server.requests_to("POST", "/commands")[-1].body["params"]
        given = {each["interrupt_id"]: each["response"] for each in params["responses"]}
        server.answers[f"GET {server.base}/runs"] = (200, [{"run_id": RUN, "kwargs": {"command": {"resume": given}}}])
        return 200, {"type": "success", "id": 1, "result": {}}

    server.answers[f"GET {server.base}/runs"] = (200, [])
    server.answers[f"POST {server.base}/commands"] = take
    server.transport().open_run(server.start(input=None, command=command, **options)).close()
    (sent,) = server.requests_to("POST", "/commands")
    assert sent.body["method"] == "input.respond"
    params: Dict[str, Any] = sent.body["params"]
    return params


def test_an_answer_goes_to_the_one_that_asks() -> None:
    with ThreadServer() as server:
        server.waits_for(ONE)
        assert answer(server, {"resume": "yes"}) == {"responses": [{"interrupt_id": "i1", "response": "yes"}]}


@pytest.mark.parametrize("value", [None, False, {"approved": True}, []])
def test_any_value_is_an_answer(value: Any) -> None:
    with ThreadServer() as server:
        server.waits_for(ONE)
        assert answer(server, {"resume": value})["responses"] == [{"interrupt_id": "i1", "response": value}]


def test_an_answer_by_id_is_unwrapped() -> None:
    with ThreadServer() as server:
        server.waits_for(ONE)
        assert answer(server, {"resume": {"i1": "yes"}})["responses"] == [{"interrupt_id": "i1", "response": "yes"}]


def test_several_are_answered_by_id() -> None:
    with ThreadServer() as server:
        server.waits_for(ONE, TWO)
        assert answer(server, {"resume": {"i2": 2, "i1": 1}})["responses"] == [
            {"interrupt_id": "i2", "response": 2},
            {"interrupt_id": "i1", "response": 1},
        ]


def test_an_answer_may_update_the_state_and_say_where_to_go_on() -> None:
    with ThreadServer() as server:
        server.waits_for(ONE)
        sent = answer(
            server, {"resume": 1, "update": {"x": 1}, "goto": "end"}, config={"tags": ["t"]}, metadata={"m": 1}
        )
        assert {key: sent[key] for key in ("update", "goto", "config", "metadata")} == {
            "update": {"x": 1},
            "goto": "end",
            "config": {"tags": ["t"]},
            "metadata": {"m": 1},
        }


def test_an_answer_to_several_at_once_must_say_to_whom() -> None:
    with ThreadServer() as server:
        server.waits_for(ONE, TWO)
        with pytest.raises(ConfigurationError, match="i1 asks .*i2 asks"):
            answer(server, {"resume": "yes"})


def test_an_answer_to_nobody_is_refused() -> None:
    with ThreadServer() as server, pytest.raises(ConfigurationError, match="nothing to answer"):
        answer(server, {"resume": "yes"})


def listing(*answers: List[Dict[str, Any]]) -> Any:
    """What the thread's runs are each time they are asked for; the last list stays."""
    left = list(answers)
    return lambda: (200, left.pop(0) if len(left) > 1 else left[0])


def answered(run_id: str, response: Any = "yes") -> Dict[str, Any]:
    return {"run_id": run_id, "kwargs": {"command": {"resume": {"i1": response}}}}


def resumed(server: ThreadServer, response: Any, *runs: List[Dict[str, Any]]) -> PartSource:
    server.waits_for(ONE)
    server.answers[f"POST {server.base}/commands"] = (200, {"type": "success", "id": 1, "result": {}})
    server.answers[f"GET {server.base}/runs"] = listing(*runs)
    return server.transport().open_run(server.start(input=None, command={"resume": response}))


def test_the_run_that_an_answer_starts_is_the_new_one_with_that_answer() -> None:
    others = {"run_id": "somebody's", "kwargs": {"command": None}}
    with ThreadServer() as server:
        source = resumed(server, "yes", [], [others, answered(RUN)])
        assert source.run_id == RUN
        source.close()


def test_a_run_that_is_not_listed_yet_is_waited_for() -> None:
    earlier, others = answered("earlier"), {"run_id": "somebody's", "kwargs": {"command": None}}
    with ThreadServer() as server:
        source = resumed(server, "yes", [earlier], [others, earlier], [others, answered(RUN), earlier])
        assert source.run_id == RUN
        source.close()


def test_an_answer_is_known_again_in_the_form_in_which_it_was_sent() -> None:
    with ThreadServer() as server:
        source = resumed(server, ("a", {1: "b"}), [], [answered(RUN, ["a", {"1": "b"}])])
        assert source.run_id == RUN
        source.close()


def test_an_answer_that_starts_no_run_is_an_error_and_no_other_run_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_calls, "_LISTED_WITHIN", 0.05)
    with ThreadServer() as server:
        with pytest.raises(ResponseError, match="took input.respond, but no run"):
            resumed(server, "yes", [], [answered("other", "no")])
        assert server.peer().closed.wait(PATIENCE)


def test_closing_the_transport_ends_the_wait_for_a_run() -> None:
    with ThreadServer() as server:
        transport = server.transport()
        server.waits_for(ONE)
        server.answers[f"POST {server.base}/commands"] = (200, {"type": "success", "id": 1, "result": {}})
        asked = iter(range(9))

        def runs() -> Any:
            if next(asked):
                transport.close()
            return 200, []

        server.answers[f"GET {server.base}/runs"] = runs
        with pytest.raises(ClientClosed):
            transport.open_run(server.start(input=None, command={"resume": "yes"}))
