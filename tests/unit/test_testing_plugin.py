"""The fixtures, as the tests of an app use them: each test here runs pytest on a small suite of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest
from fake_langgraph import fake_python

from lgsync import testing
from lgsync.testing import ScriptedServer, calls_tool, says

pytest_plugins = ["pytester"]

APP = """
    import os
    from lgsync import Client

    def answer(client, question):
        thread = client.threads.create()
        with client.runs.stream(thread.thread_id, "agent", input={"messages": question}) as run:
            return run.final_text()
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

TEST = """
    from app import answer

    def test_the_answer(recording):
        client = recording("answer").client({url!r}, api_key="planted-key-of-mine", transport={transport!r})
        assert answer(client, "How cold is it?") == "It is 54F"
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(app=APP)
    pytester.syspathinsert()
    return pytester


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as one:
        one.script(calls_tool("weather", {"city": "sf"}, result="54F"), says("It is ", "54F"), repeat=True)
        yield one


def ran(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def test_a_test_is_recorded_once_and_then_needs_no_network(suite: pytest.Pytester, server: ScriptedServer) -> None:
    suite.makepyfile(test_app=TEST.format(url=server.url, transport="sse"))
    ran(suite, "--lgsync-record").assert_outcomes(passed=1)
    asked = len(server.requests)
    server.close()
    suite.makeconftest(NO_NETWORK)

    ran(suite).assert_outcomes(passed=1)
    assert asked == len(server.requests) > 2


@pytest.mark.full
@pytest.mark.timeout(300)
def test_workers_of_xdist_record_and_replay_side_by_side(suite: pytest.Pytester, server: ScriptedServer) -> None:
    pytest.importorskip("xdist")
    test = TEST.format(url=server.url, transport="sse")
    suite.makeini("[pytest]\npythonpath = .")
    suite.makepyfile(test_one=test, test_two=test.replace('"answer"', '"other"'))
    suite.runpytest_subprocess("-n", "2", "--lgsync-record").assert_outcomes(passed=2)
    server.close()
    suite.makeconftest(NO_NETWORK)

    suite.runpytest_subprocess("-n", "2").assert_outcomes(passed=2)


def test_a_recording_is_readable_and_holds_no_key(suite: pytest.Pytester, server: ScriptedServer) -> None:
    suite.makepyfile(test_app=TEST.format(url=server.url, transport="sse"))
    ran(suite, "--lgsync-record")
    text = (suite.path / "recordings" / "answer.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]

    assert {line.get("kind") for line in lines} == {None, "call", "open", "part", "end"}
    assert "How cold is it?" in text
    assert "planted" not in text


def test_a_recording_that_is_not_there_says_how_to_make_it(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_app=TEST.format(url="http://localhost:1", transport="sse"))
    result = ran(suite)

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [r".*There is no recording .*recordings.answer\.jsonl\. Run this test once with --lgsync-record, against a .*"]
    )
    result.stdout.fnmatch_lines(["*pytest --lgsync-record 'test_app.py::test_the_answer'*"])


def test_an_app_that_asks_for_something_else_is_told_so(suite: pytest.Pytester, server: ScriptedServer) -> None:
    suite.makepyfile(test_app=TEST.format(url=server.url, transport="sse"))
    ran(suite, "--lgsync-record")
    # Of another length: Python takes a file of the same second and size for the one that it has compiled.
    suite.makepyfile(test_app=TEST.format(url=server.url, transport="sse").replace("cold", "humid"))
    result = ran(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*NotRecorded*differs at payload.input.messages*How cold is it?*--lgsync-record*"])


def test_the_clients_of_one_test_share_its_file(suite: pytest.Pytester, server: ScriptedServer) -> None:
    suite.makepyfile(
        test_app=f"""
        from lgsync import Client
        from app import answer

        def test_two(recording):
            one = recording("two").client({server.url!r})
            with Client({server.url!r}, transport=recording("two").transport()) as other:
                assert answer(one, "a") == answer(other, "b") == answer(one, "c") == "It is 54F"
        """
    )
    ran(suite, "--lgsync-record").assert_outcomes(passed=1)
    server.close()

    ran(suite).assert_outcomes(passed=1)


def test_a_replay_can_be_slow_and_broken(suite: pytest.Pytester, server: ScriptedServer) -> None:
    test = f"""
        from lgsync import Client
        from app import answer

        def test_cut(recording):
            replay = {{}} if recording("cut").recorded else {{"cut_after": 2, "speed": 100.0}}
            with Client({server.url!r}, transport=recording("cut").transport(**replay)) as client:
                assert answer(client, "a") == "It is 54F"
        """
    suite.makepyfile(test_app=test.replace('recording("cut").recorded', "True"))
    ran(suite, "--lgsync-record").assert_outcomes(passed=1)
    server.close()
    suite.makepyfile(test_app=test)

    ran(suite).assert_outcomes(passed=1)


@pytest.mark.parametrize("name", ["../other", "/tmp/other", "", "a\\b"])
def test_a_recording_stays_in_its_folder(suite: pytest.Pytester, name: str) -> None:
    suite.makepyfile(f"def test_it(recording): recording({name!r})")
    result = ran(suite, "--lgsync-record")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*A recording is named like a file, without its ending ('answer'), not *"])


def test_a_scripted_server_is_a_fixture(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from app import answer
        from lgsync import Client
        from lgsync.testing import ScriptedServer, says

        def test_it(scripted_server: ScriptedServer):
            scripted_server.script(says("It is ", "54F"))
            assert answer(Client(scripted_server.url), "How cold is it?") == "It is 54F"
            assert scripted_server.requests[0].method == "POST"
        """
    )

    ran(suite).assert_outcomes(passed=1)


# -- the real server, by a stand-in ------------------------------------------------------------------------------------

SERVES = """
    import os, urllib.request
    import pytest

    def pid(server):
        return server.pid

    @pytest.fixture(scope="module")
    def one(langgraph_server):
        return langgraph_server(graph="my_graph.py:graph")

    def test_it_runs(one):
        assert urllib.request.urlopen(one.url + "/ok").status == 200

    def test_equal_arguments_get_the_same(one, langgraph_server):
        assert langgraph_server({"agent": "./my_graph.py:graph"}) is one
        assert langgraph_server(graph="my_graph.py:graph", env={"A": "b"}) is not one

    def test_graphs_by_name(langgraph_server):
        import json
        server = langgraph_server({"one": "my_graph.py:graph", "two": "my_graph.py:graph"})
        graphs = json.load(urllib.request.urlopen(server.url + "/langgraph.json"))["graphs"]
        assert sorted(graphs) == ["one", "two"]
        open("pids", "a").write(f"{server.pid} ")
"""


def test_servers_are_started_once_and_stopped_at_the_end(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGSYNC_SERVER_PYTHON", fake_python(suite.path / "fake"))
    (suite.path / "my_graph.py").touch()
    suite.makepyfile(test_served=SERVES)
    ran(suite, "-W", "ignore::ResourceWarning").assert_outcomes(passed=3)

    assert not any(alive(int(pid)) for pid in (suite.path / "pids").read_text().split())


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() if sys.platform == "linux" else False


def test_a_graph_is_found_from_pytests_root(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGSYNC_SERVER_PYTHON", fake_python(suite.path / "fake"))
    (suite.path / "my_graph.py").touch()
    suite.makeini("[pytest]")
    below = suite.mkdir("below")
    (below / "test_it.py").write_text("def test_it(langgraph_server): langgraph_server('./my_graph.py:graph')")
    monkeypatch.chdir(below)

    ran(suite, "--rootdir", str(suite.path)).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("installed", "graph", "said"),
    [
        (False, "my_graph.py:graph", "*The LangGraph dev server is not installed for *pip install 'lgsync?demo?'*"),
        (True, "missing.py:graph", "*Graph 'agent' is to be found in *missing.py, and there is no such file*"),
        (True, "my_graph.py", "*Graph 'agent' must be given as 'path/to/file.py:attribute', not 'my_graph.py'*"),
    ],
)
def test_a_server_that_cannot_run_fails_the_test_with_what_to_do(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, installed: bool, graph: str, said: str
) -> None:
    monkeypatch.setenv("LGSYNC_SERVER_PYTHON", fake_python(suite.path / "fake", installed=installed))
    (suite.path / "my_graph.py").touch()
    suite.makepyfile(f"def test_it(langgraph_server): langgraph_server({graph!r})")
    result = ran(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
    result.stdout.fnmatch_lines(["*Or set LGSYNC_SERVER_PYTHON to a Python that has langgraph-cli?inmem?.*"])


def test_the_plugin_alone_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ["websockets", "requests", "http.server", "lgsync.dev_server", "lgsync.testing.proxy", "lgsync.transports"]
    show = f"import sys, lgsync.testing.pytest_plugin; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", show], stdout=subprocess.PIPE, cwd=tmp_path, check=True)

    assert done.stdout == b"[]\n"


def test_every_name_of_the_package_is_there() -> None:
    assert {name: getattr(testing, name, None) is None for name in testing.__all__} == dict.fromkeys(
        testing.__all__, False
    )
    with pytest.raises(AttributeError, match=r"module 'lgsync\.testing' has no attribute 'nothing'"):
        testing.nothing  # noqa: B018
