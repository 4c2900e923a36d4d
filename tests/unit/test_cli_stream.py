"""``lgsync stream`` and ``lgsync join``: what is sent, what is shown in each format, and the exit codes."""

from __future__ import annotations

import io
import json
import logging
import shlex
import shutil
import subprocess
import sys
import threading
from typing import Any, List

import pytest
from rawserver import refused_port
from small_server import RUN, THREAD, Answer, SmallServer, as_events, as_json, thread_routes

from lgsync import Client
from lgsync.cli import options, outage, stream
from lgsync.cli.main import main
from lgsync.cli.render import Screen, json_line
from lgsync.cli.show import RunView
from lgsync.request_log import tell_of_pause

METADATA = ("metadata", {"run_id": RUN, "attempt": 1})


def chunk(text: Any, message_id: str = "m1", **more: Any) -> Any:
    message = {"type": "AIMessageChunk", "id": message_id, "content": text, **more}
    return ("messages", [message, {"langgraph_node": "agent"}])


HELLO = [METADATA, chunk("Hel"), chunk("lo \x1b[31m", chunk_position="last"), ("updates", {"agent": None})]
TOOL = ("messages", [{"type": "tool", "id": "t1", "content": "57", "name": "look", "tool_call_id": "c"}, {}])
PAUSED = [METADATA, ("updates", {"__interrupt__": [{"id": "i1", "value": {"question": "Shall\nI?"}}]})]
FAILED = [METADATA, chunk("half"), ("error", {"error": "ValueError", "message": "boom"})]
IS_PAUSED = {"tasks": [{"id": "x", "name": "n", "interrupts": [{"id": "i1", "value": {"question": "Shall\nI?"}}]}]}


def lines(out: str) -> List[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_text_is_what_the_ai_says_and_nothing_else(lgsync):
    thought = chunk([{"type": "reasoning", "reasoning": "hm", "index": 0}], "m0", chunk_position="last")
    with SmallServer(thread_routes(as_events(METADATA, thought, TOOL, *HELLO[1:]))) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, "--format", "text")
    assert ended == (0, "Hello [31m\n", "")


def test_messages_tell_tools_and_reasoning_too(lgsync):
    thought = chunk([{"type": "reasoning", "reasoning": "hm", "index": 0}], "m0", chunk_position="last")
    with SmallServer(thread_routes(as_events(METADATA, thought, TOOL, *HELLO[1:]))) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, "--format", "messages")
    assert ended.out.splitlines() == ["reasoning: hm", "look returned: 57", "Hello [31m"]


@pytest.mark.parametrize("options", [(), ("--json",), ("--format", "json")])
def test_a_program_gets_json_lines(lgsync, options):
    with SmallServer(thread_routes(as_events(*HELLO))) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, *options)
    run, first, second, message, end = lines(ended.out)
    assert run == {"event": "run", "thread_id": THREAD, "run_id": RUN}
    assert [first["text"], second["text"]] == ["Hel", "lo \x1b[31m"]
    assert (message["event"], message["message"]["content"]) == ("message", "Hello \x1b[31m")
    assert end == {"event": "end", "outcome": "success", "usage": None}
    assert "\x1b" not in ended.out


@pytest.mark.skipif(not (shutil.which("sed") and shutil.which("awk")), reason="the pipeline needs sed and awk")
def test_parts_are_printed_as_the_guides_pipeline_prints_the_same_bytes(lgsync):
    stream = as_events(
        METADATA,
        ("messages/metadata", {"m1": {"metadata": {"a": "ü \u2028"}}}),
        ("messages/partial", [{"content": ""}]),
    )
    awk = r"""
     /^event:/ {
         if (data_content != "") {
             print data_content "\n"
         }
         sub(/^event: /, "Receiving event of type: ", $0)
         printf "%s...\n", $0
         data_content = ""
     }
     /^data:/ {
         sub(/^data: /, "", $0)
         data_content = $0
     }
     END {
         if (data_content != "") {
             print data_content "\n"
         }
     }
     """
    piped = subprocess.run(["sed", r"s/\r$//"], input=stream.body, capture_output=True, check=True).stdout
    guide = subprocess.run(["awk", awk], input=piped, capture_output=True, check=True).stdout.decode()
    with SmallServer(thread_routes(stream)) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, "--format", "parts")
        (asked,) = [asked for asked in server.asked if asked.path.endswith("/runs/stream")]
    assert ended.out == guide
    assert asked.body["stream_mode"] == ["messages"]


def test_the_modes_that_are_asked_for_are_shown_as_json_too(lgsync):
    values = ("values", {"messages": [], "step": 1})
    with SmallServer(thread_routes(as_events(METADATA, values))) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, "--mode", "values")
    assert {"event": "values", "data": values[1]} in lines(ended.out)


@pytest.mark.parametrize("mode", ["values", "messages-tuple", "custom"])
def test_on_every_transport_only_modes_that_it_carries_are_asked_for_beside_the_named_one(mode):
    view = RunView("json", Screen(sys.stdout, sys.stdin), [mode])
    for transport in ("sse", "websocket"):
        with Client("http://nowhere.test", transport=transport) as client:
            asked = view.options_on(client)["stream_mode"]
            carried = client.transport.capabilities
        assert mode in asked
        assert len(set(asked)) == len(asked)
        assert set(asked) - {mode} <= carried.stream_modes
        assert set(carried.default_modes) & carried.stream_modes <= set(asked)


@pytest.mark.parametrize(
    ("argv", "stdin", "sent"),
    [
        (["hi"], "", {"messages": [{"role": "user", "content": "hi"}]}),
        (["-"], "from\nthere\n", {"messages": [{"role": "user", "content": "from\nthere"}]}),
        (['{"topic": "x"}'], "", {"topic": "x"}),
        (["-"], '{"topic": 1}', {"topic": 1}),
    ],
)
def test_input_is_text_or_a_json_object_or_comes_from_standard_input(lgsync, argv, stdin, sent):
    with SmallServer(thread_routes(as_events(*HELLO))) as server:
        ended = lgsync("stream", "agent", *argv, "--url", server.url, stdin=stdin)
        (asked,) = [asked for asked in server.asked if asked.path.endswith("/runs/stream")]
    assert ended.code == 0
    assert asked.body["input"] == sent


def test_config_and_context_are_sent_as_they_are(lgsync):
    with SmallServer(thread_routes(as_events(*HELLO))) as server:
        lgsync("stream", "agent", "hi", "--url", server.url, "--config", '{"tags": ["a"]}', "--context", '{"b": 1}')
        (asked,) = [asked for asked in server.asked if asked.path.endswith("/runs/stream")]
    assert (asked.body["config"], asked.body["context"]) == ({"tags": ["a"]}, {"b": 1})


def test_a_paused_run_is_exit_code_3_and_tells_what_it_asks_and_how_to_answer(lgsync):
    with SmallServer(thread_routes(as_events(*PAUSED), state=IS_PAUSED)) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url)
    assert ended.code == 3
    assert lines(ended.out)[-2:] == [
        {"event": "interrupt", "id": "i1", "value": {"question": "Shall\nI?"}},
        {"event": "end", "outcome": "interrupted", "usage": None},
    ]
    assert ended.err.splitlines() == [
        "lgsync: the run is paused and asks: Shall I?",
        f"lgsync: answer with: lgsync stream agent --thread {THREAD} --resume ANSWER",
    ]


@pytest.mark.parametrize(("answer", "sent"), [("yes", "yes"), ('{"type": "approve"}', {"type": "approve"})])
def test_resume_answers_a_paused_run(lgsync, answer, sent):
    states = iter([{**IS_PAUSED, "values": {}, "next": ["n"]}, {"values": {}, "next": [], "tasks": []}])
    routes = {**thread_routes(as_events(*HELLO)), ("GET", "/state"): lambda _: as_json(next(states))}
    with SmallServer(routes) as server:
        ended = lgsync("stream", "agent", "--thread", THREAD, "--resume", answer, "--url", server.url)
        (asked,) = [asked for asked in server.asked if asked.path.endswith("/runs/stream")]
    assert ended.code == 0
    assert asked.body["command"] == {"resume": sent}


@pytest.mark.parametrize("form", ["text", "messages", "parts", "json"])
def test_a_failed_run_is_exit_code_4_after_what_it_said(lgsync, form):
    with SmallServer(thread_routes(as_events(*FAILED), status="error")) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, "--format", form)
    assert ended.code == 4
    assert ended.err.startswith("lgsync: Run ")
    assert "ValueError: boom" in ended.err
    assert ("Receiving event of type: error" if form == "parts" else "half") in ended.out


def test_a_cancelled_run_is_exit_code_4(lgsync):
    with SmallServer(thread_routes(as_events(*HELLO), status="interrupted")) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, "--format", "text")
    assert (ended.code, ended.err) == (4, "lgsync: the run was cancelled\n")


@pytest.mark.parametrize("argv", [("stream", "agent", "hi"), ("join", THREAD), ("threads", "ls"), ("graph", "agent")])
def test_where_nobody_listens_is_exit_code_5_and_one_line(lgsync, argv):
    ended = lgsync(*argv, "--url", f"http://127.0.0.1:{refused_port()}")
    assert (ended.code, ended.out) == (5, "")
    assert ended.err.count("\n") == 1


def test_the_environment_names_the_server(lgsync, monkeypatch):
    with SmallServer(thread_routes(as_events(*HELLO))) as server:
        monkeypatch.setenv("LANGGRAPH_URL", server.url)
        assert lgsync("stream", "agent", "hi", "--format", "text").code == 0


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["agent"], "INPUT is missing"),
        (["agent", "-"], "Standard input was empty"),
        (["agent", ""], "INPUT is empty"),
        (["agent", " \n"], "INPUT is empty"),
        (["agent", "hi", "--thread", ""], "thread_id is empty"),
        (["agent", '{"a"'], "is not JSON"),
        (["agent", "hi", "--resume", "x"], "--resume answers a paused run"),
        (["agent", "hi", "--config", "[1]"], "no object"),
        (["agent", "hi", "--config", "x"], "is not JSON"),
        (["agent", "hi", "--json", "--format", "text"], "--json is --format json"),
        (["agent", "hi", "--format", "text", "--mode", "values"], "--mode is for --format parts and json"),
        (["agent", "hi", "--transport", "pigeon"], "pigeon"),
        (["agent", "hi", "--timeout", "0"], "--timeout"),
        (["agent", "hi", "--mode", "nonsense"], "nonsense"),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(lgsync, argv, says):
    with SmallServer({("POST", "/threads"): as_json({"thread_id": THREAD})}) as server:
        ended = lgsync("stream", *argv, "--url", server.url)
        sent = [path for path in server.paths("POST") if path != "/threads"]
    assert (ended.code, ended.out, sent) == (2, "", [])
    assert says in ended.err


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
@pytest.mark.parametrize("command", [["stream", "agent", "-"], ["chat", "agent"]])
def test_standard_input_in_another_encoding_is_told_and_not_sent(capsys, monkeypatch, command, errors):
    with SmallServer(thread_routes(as_events(*HELLO))) as server:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"gr\xfc\xdfe\n"), "utf-8", errors))
        code = main([*command, "--url", server.url])
        assert not [path for path in server.paths("POST") if path.endswith("/runs/stream")]
    told = "lgsync: Standard input is no text in utf-8: convert it, for instance with iconv\n"
    assert (code, capsys.readouterr().err) == (2, told)


def test_an_argument_that_is_no_text_is_told_as_such(lgsync):
    ended = lgsync("stream", "agent", "gr\udcfc\udcdfe", "--url", "http://nowhere.test")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "lgsync: INPUT is no text in utf-8: convert it, for instance with iconv\n"


def test_join_shows_the_run_that_is_at_work(lgsync):
    routes = {
        ("GET", f"/runs/{RUN}/stream"): as_events(*HELLO),
        ("GET", f"/threads/{THREAD}/runs"): lambda asked: as_json([{"run_id": RUN, "status": "running"}]),
        **thread_routes(),
    }
    with SmallServer(routes) as server:
        ended = lgsync("join", THREAD, "--url", server.url, "--format", "text")
    assert ended == (0, "Hello [31m\n", "")


def test_an_answer_that_is_no_stream_is_exit_code_5(lgsync):
    page = Answer(200, b"<html><title>Welcome</title></html>", "text/html")
    with SmallServer({("POST", "/threads"): page}) as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url)
    assert (ended.code, ended.out) == (5, "")


@pytest.fixture
def new_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "new_id", lambda: THREAD)


@pytest.mark.usefixtures("new_thread")
def test_a_run_that_is_refused_leaves_no_thread(lgsync):
    refused = as_json({"detail": "Invalid assistant: 'agnet'"}, 422)
    with SmallServer({**thread_routes(), ("POST", "/runs/stream"): refused}) as server:
        ended = lgsync("stream", "agnet", "hi", "--url", server.url)
        assert server.paths("DELETE") == [f"/threads/{THREAD}"]
    assert ended.code == 2
    assert "agnet" in ended.err


def test_a_thread_of_ones_own_stays_when_its_run_is_refused(lgsync):
    refused = as_json({"detail": "Invalid assistant: 'agnet'"}, 422)
    with SmallServer({**thread_routes(), ("POST", "/runs/stream"): refused}) as server:
        assert lgsync("stream", "agnet", "hi", "--thread", THREAD, "--url", server.url).code == 2
        assert server.paths("DELETE") == []


def test_an_answer_that_nobody_waits_for_is_told_and_not_sent(lgsync):
    with SmallServer(thread_routes(as_events(METADATA))) as server:
        ended = lgsync("stream", "ask", "--thread", THREAD, "--resume", "yes", "--url", server.url)
        assert server.paths("POST") == []
    assert ended == (2, "", f"lgsync: Thread {THREAD} does not wait for an answer\n")


def test_json_has_no_raw_control_character():
    assert json_line({"a": "\x1b\x7f\x9b"}) == '{"a": "\\u001b\\u007f\\u009b"}'


def test_the_way_to_answer_can_be_pasted_into_a_shell(lgsync):
    with SmallServer(thread_routes(as_events(*PAUSED), state=IS_PAUSED)) as server:
        ended = lgsync("stream", "my graph; ls", "hi", "--url", server.url)
    line = ended.err.splitlines()[-1].partition("answer with: ")[2]
    assert shlex.split(line) == ["lgsync", "stream", "my graph; ls", "--thread", THREAD, "--resume", "ANSWER"]


def lost_for_good() -> Any:
    """A server whose run goes on, though its stream broke and is not given again."""
    refused = {("GET", f"/runs/{RUN}/stream"): as_json({"detail": "down"}, 503)}
    broken = Answer(200, as_events(METADATA, chunk("Hel")).body, "text/event-stream")
    return SmallServer({**refused, **thread_routes(broken, status="running")})


OUTAGE = "lgsync: connection lost, trying again for up to 1 s (Ctrl-C stops)"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (options, outage):
        monkeypatch.setattr(module, "RECONNECT_SECONDS", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_lost_connection_is_told_once_and_at_its_end_how_to_join_the_run(lgsync):
    with lost_for_good() as server:
        ended = lgsync("stream", "agent", "hi", "--url", server.url, "--format", "text")
    first, last = ended.err.splitlines()
    assert (ended.code, ended.out, first) == (5, "Hel\n", OUTAGE)
    assert last.endswith(f"If the run goes on: lgsync join {THREAD} {RUN}")
    assert "client." not in last


def test_each_outage_is_told_once(capsys):
    with outage.outages_told() as outages:
        log = logging.getLogger("lgsync")
        log.setLevel(logging.INFO)
        for pauses in ([0.0, 0.2, 0.4], [0.0], [0.0, 0.2]):
            for seconds in pauses:
                tell_of_pause(seconds, ValueError("lost"), RUN)
            outages.over()
        tell_of_pause(0.2, ValueError("a call without a run"))
        log.setLevel(logging.NOTSET)
    assert capsys.readouterr().err.count("connection lost") == 2


KEPT_BACK = ("error", {"error": "IndexError", "message": "An internal error occurred"})
AT_AGENT = {
    "metadata": {"run_id": RUN},
    "tasks": [{"name": "other"}, {"name": "agent", "error": "IndexError('list index\\nout of range')"}],
}


def run_that_fails(lgsync: Any, state: Any, *failure: Any, more: Any = None) -> Any:
    routes = thread_routes(as_events(METADATA, *failure), state=state, status="error")
    with SmallServer({**(more or {}), **routes}) as server:
        return lgsync("stream", "agent", "{}", "--thread", THREAD, "--url", server.url)


def test_a_failure_that_the_server_keeps_to_itself_is_told_from_the_threads_state(lgsync):
    ended = run_that_fails(lgsync, AT_AGENT, KEPT_BACK)
    told = (
        f"Run {RUN} on thread {THREAD} failed: IndexError: An internal error occurred. The server's log has the "
        "traceback. In node 'agent' it raised IndexError('list index\\nout of range')"
    )
    assert (ended.code, ended.err) == (4, f"lgsync: {told}\n")
    assert lines(ended.out)[-1] == {"event": "error", "error": "RunError", "message": told}


def test_a_failure_in_words_is_told_with_its_node_alone(lgsync):
    ended = run_that_fails(lgsync, AT_AGENT, ("error", {"error": "IndexError", "message": "list index\nout of range"}))
    assert ended.err.endswith("failed: IndexError: list index out of range. It was raised in node 'agent'\n")


@pytest.mark.parametrize(
    "state",
    [
        {**AT_AGENT, "metadata": {"run_id": "another"}},
        {**AT_AGENT, "metadata": None},
        {**AT_AGENT, "tasks": [{"name": "agent"}]},
        {**AT_AGENT, "tasks": []},
        {**AT_AGENT, "tasks": "none"},
    ],
)
def test_a_state_that_tells_nothing_of_the_failure_adds_nothing_to_it(lgsync, state):
    ended = run_that_fails(lgsync, state, FAILED[-1])
    assert (ended.code, ended.err) == (4, f"lgsync: Run {RUN} on thread {THREAD} failed: ValueError: boom\n")


def test_a_failure_is_told_also_where_the_state_is_refused(lgsync):
    ended = run_that_fails(lgsync, {}, FAILED[-1], more={("GET", "/state"): as_json({"detail": "no"}, 403)})
    assert (ended.code, ended.err) == (4, f"lgsync: Run {RUN} on thread {THREAD} failed: ValueError: boom\n")


def test_a_tool_call_that_was_broken_off_is_no_text(capsys):
    calling = chunk("Well", tool_call_chunks=[{"name": "look", "args": '{"x": "San Fr', "id": "c", "index": 0}])
    view = RunView("text", Screen(sys.stdout, sys.stdin))
    with SmallServer(thread_routes(as_events(METADATA, calling))) as server, Client(server.url) as client:
        with client.runs.stream(THREAD, "agent", on_close="continue", **view.options_on(client)) as run:
            next(view.show(run, client))
            view.stop()
    assert capsys.readouterr().out == "Well\n"


def test_a_timeout_is_raised_by_the_option(lgsync):
    silent = Answer(200, b"", "text/event-stream", [(threading.Event(), b"")])
    with SmallServer({("POST", "/threads/search"): silent}) as server:
        ended = lgsync("threads", "ls", "--timeout", "0.2", "--url", server.url)
    assert ended.code == 5
    assert "raise --timeout" in ended.err
