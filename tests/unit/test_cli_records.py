"""``lgsync threads``, ``runs``, ``assistants`` and ``graph``: lists, single ones, and deletions that ask first."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from small_server import RUN, THREAD, Asked, SmallServer, as_json

from lgsync.cli.main import main

ASSISTANT = "33333333-3333-3333-3333-333333333333"
THREADS = [
    {"thread_id": f"t{number}", "status": "idle", "updated_at": "2026-01-02T03:04:05Z", "metadata": {"n": number}}
    for number in range(3)
]
SAID = [
    {"type": "human", "id": "h", "content": "hi\x1b[31m"},
    {"type": "ai", "id": "a", "content": "hello", "tool_calls": [{"name": "f", "args": {"x": 1}, "id": "c"}]},
    {"type": "tool", "id": "t", "content": "done", "name": "f", "tool_call_id": "c"},
]


def page(records: Any) -> Any:
    """A search that turns pages."""

    def answer(asked: Asked) -> Any:
        offset = asked.body.get("offset", 0)
        return as_json(records[offset : offset + asked.body.get("limit", 10)])

    return answer


@pytest.fixture
def server():
    assistant = {"assistant_id": ASSISTANT, "graph_id": "agent", "name": "Agent", "version": 1}
    run = {"run_id": RUN, "thread_id": THREAD, "status": "success"}
    routes = {
        ("POST", "/threads/search"): page(THREADS),
        ("POST", "/assistants/search"): page([assistant]),
        ("GET", f"/assistants/{ASSISTANT}/graph"): as_json({"nodes": [{"id": "a"}], "edges": []}),
        ("GET", f"/assistants/{ASSISTANT}"): as_json(assistant),
        ("GET", f"/threads/{THREAD}/runs/{RUN}"): as_json(run),
        ("GET", f"/threads/{THREAD}/runs"): as_json([run]),
        ("GET", f"/threads/{THREAD}"): as_json({"thread_id": THREAD, "status": "idle", "values": {"messages": SAID}}),
        ("DELETE", "/gone"): as_json({"detail": "Thread with ID gone not found"}, 404),
        ("DELETE", ""): as_json({}),
    }
    with SmallServer(routes) as running:
        yield running


def test_a_list_is_for_cut_and_awk_where_no_terminal_is(lgsync, server):
    out = lgsync("threads", "ls", "--url", server.url).out
    assert [line.split("\t")[0] for line in out.splitlines()] == ["t0", "t1", "t2"]
    assert [line.split("\t")[3] for line in out.splitlines()] == ['{"n": 0}', '{"n": 1}', '{"n": 2}']


def test_a_list_is_a_table_with_titles_on_a_terminal(lgsync, server, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    title, *rows = lgsync("threads", "ls", "--url", server.url).out.splitlines()
    assert title.split() == ["THREAD", "STATUS", "UPDATED", "METADATA"]
    assert {row.index("idle") for row in rows} == {title.index("STATUS")}


def test_a_list_as_json_is_what_the_server_sent(lgsync, server):
    out = lgsync("threads", "ls", "--url", server.url, "--json").out
    assert [json.loads(line) for line in out.splitlines()] == THREADS


def test_limit_is_how_many(lgsync, server):
    assert len(lgsync("threads", "ls", "--url", server.url, "--limit", "2").out.splitlines()) == 2


def test_a_thread_is_shown_with_its_messages(lgsync, server):
    out = lgsync("threads", "show", THREAD, "--url", server.url).out
    assert f"thread:   {THREAD}\n" in out
    assert "you: hi[31m\n" in out
    assert "hello\ncall: f(x=1)\nf returned: done\n" in out


def test_a_thread_as_json_is_what_the_server_sent(lgsync, server):
    out = lgsync("threads", "show", THREAD, "--url", server.url, "--json").out
    assert json.loads(out)["values"] == {"messages": SAID}


def test_runs_are_listed_and_shown(lgsync, server):
    assert lgsync("runs", "ls", THREAD, "--url", server.url).out.split("\t")[:2] == [RUN, "success"]
    assert f"run:       {RUN}" in lgsync("runs", "show", THREAD, RUN, "--url", server.url).out


@pytest.mark.parametrize("name", [ASSISTANT, "agent"], ids=["id", "graph"])
def test_an_assistant_is_shown_by_its_id_and_by_its_graphs_name(lgsync, server, name):
    assert f"assistant:   {ASSISTANT}" in lgsync("assistants", "show", name, "--url", server.url).out


@pytest.mark.parametrize("argv", [["threads", "rm", "a"], ["runs", "rm", THREAD, "a"], ["assistants", "rm", "a"]])
def test_where_nobody_can_be_asked_nothing_is_deleted_without_yes(lgsync, server, argv):
    ended = lgsync(*argv, "--url", server.url)
    assert (ended.code, server.paths("DELETE")) == (2, [])
    assert "--yes" in ended.err


@pytest.mark.parametrize(("typed", "deleted"), [("y\n", ["/threads/a", "/threads/b"]), ("n\n", []), ("\n", [])])
def test_on_a_terminal_the_user_is_asked(lgsync, server, monkeypatch, typed, deleted):
    monkeypatch.setattr("lgsync.cli.records.can_ask", lambda: True)
    ended = lgsync("threads", "rm", "a", "b", "--url", server.url, stdin=typed)
    assert server.paths("DELETE") == deleted
    assert ended.code == (0 if deleted else 2)
    assert "Delete 2 threads for good: a, b?" in ended.err


def test_with_yes_each_deletion_is_told_and_the_first_failure_ends_it(lgsync, server):
    ended = lgsync("threads", "rm", "--yes", "a", "gone", "b", "--url", server.url)
    assert ended.out == "deleted thread a\n"
    assert ended.code == 2
    assert "gone" in ended.err
    assert server.paths("DELETE") == ["/threads/a", "/threads/gone"]


def test_a_list_is_shown_on_an_output_of_few_characters_too(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr("sys.stdout", out)
    thread = {"thread_id": THREAD, "status": "idle", "metadata": {"city": "Zürich"}}
    with SmallServer({("POST", "/threads/search"): as_json([thread])}) as server:
        assert main(["threads", "ls", "--url", server.url]) == 0
    assert b'{"city": "Z\\u00fcrich"}' in out.buffer.getvalue()


def test_an_answer_of_other_characters_is_shown_on_an_output_of_few(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr("sys.stdout", out)
    assistant = {"assistant_id": ASSISTANT, "graph_id": "agent", "name": "Zürich", "version": 1}
    with SmallServer({("POST", "/assistants/search"): as_json([assistant])}) as server:
        assert main(["assistants", "ls", "--url", server.url]) == 0
    assert b"Z\\xfcrich" in out.buffer.getvalue()


def test_a_graph_that_is_not_there_is_told_with_a_command_that_lists_them(lgsync):
    refused = as_json({"detail": "Invalid assistant ID: must be a UUID"}, 422)
    with SmallServer({("GET", "/assistants/nope/graph"): refused}) as server:
        ended = lgsync("graph", "nope", "--url", server.url)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("must be a UUID. lgsync assistants ls lists the graphs and assistants\n")


def test_a_graph_is_drawn_and_given_as_mermaid_and_as_json(lgsync, server):
    argv = ["graph", ASSISTANT, "--url", server.url]
    assert "│ a │" in lgsync(*argv).out
    assert lgsync(*argv, "--format", "mermaid").out.startswith("graph TD\n")
    assert json.loads(lgsync(*argv, "--json").out) == {"nodes": [{"id": "a"}], "edges": []}
