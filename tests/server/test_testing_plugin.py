"""An app's own tests, with the fixtures: recorded against the real server in one run of pytest, replayed in another."""

from __future__ import annotations

import json

import pytest

pytest_plugins = ["pytester"]

AGENT = """
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.types import interrupt

    def ask(state):
        city = interrupt({"question": "Which city?"})
        return {"messages": [AIMessage(f"It is 54F in {city}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    graph = builder.compile()
"""

APP = """
    def answer(client, question, city):
        thread = client.threads.create()
        with client.runs.stream(thread.thread_id, "agent", input={"messages": question}) as run:
            list(run)
        asked = run.interrupts[0].value["question"]
        with client.runs.stream(thread.thread_id, "agent", command={"resume": city}) as run:
            return asked, run.final_text()
"""

TESTS = """
    import pytest
    from app import answer

    @pytest.mark.parametrize("transport", ["sse", "websocket"])
    def test_the_answer(recording, transport):
        client = recording(f"answer-{transport}", graph="./my_agent.py:graph").client(
            transport=transport, api_key="planted-key-of-mine"
        )
        assert answer(client, "How cold is it?", "sf") == ("Which city?", "It is 54F in sf")

    def test_another(recording):
        client = recording("another", graph="./my_agent.py:graph").client()
        assert answer(client, "How cold is it?", "nyc") == ("Which city?", "It is 54F in nyc")
"""

NO_NETWORK = """
    import socket, pytest

    @pytest.fixture(autouse=True)
    def no_network(monkeypatch):
        def refuse(*_):
            raise AssertionError("this test has used the network")
        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, refuse)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    from langgraph_server import server_python

    monkeypatch.setenv("LGSYNC_SERVER_PYTHON", server_python())
    pytester.makepyfile(my_agent=AGENT, app=APP, test_app=TESTS)
    pytester.makeini("[pytest]\npythonpath = .")
    return pytester


@pytest.mark.timeout(300)
def test_what_was_recorded_against_the_real_server_is_replayed_without_any(suite: pytest.Pytester) -> None:
    suite.runpytest_subprocess("-p", "no:cacheprovider", "--lgsync-record").assert_outcomes(passed=3)
    suite.makeconftest(NO_NETWORK)
    (suite.path / "my_agent.py").unlink()
    suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)

    files = sorted((suite.path / "recordings").iterdir())
    transports = [json.loads(file.read_text().splitlines()[0])["transport"] for file in files]
    assert transports == ["sse", "sse", "websocket"]
    assert not any("planted" in file.read_text() for file in files)
