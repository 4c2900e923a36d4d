"""``lgsync chat`` without a terminal: what each line does, and how it ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple

import pytest
from small_server import RUN, THREAD, Answer, SmallServer, as_events, as_json, thread_routes

from lgsync.cli import chat
from lgsync.cli.chat import at_the_terminal
from lgsync.cli.render import Screen
from lgsync.errors import RunError

OTHER = "44444444-4444-4444-4444-444444444444"
METADATA = ("metadata", {"run_id": RUN, "attempt": 1})
QUESTION = {"id": "i1", "value": "Shall I?"}
PAUSED = as_events(METADATA, ("updates", {"__interrupt__": [QUESTION]}))


@pytest.fixture(autouse=True)
def new_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids that new threads get, one after the other."""
    ids = iter([THREAD, OTHER])
    monkeypatch.setattr(chat, "new_id", lambda: next(ids))


def saying(text: str, message_id: str = "m1") -> Any:
    message = {"type": "AIMessageChunk", "id": message_id, "content": text, "chunk_position": "last"}
    return as_events(METADATA, ("messages", [message, {}]))


def sent_to(server: SmallServer) -> List[Dict[str, Any]]:
    return [asked.body for asked in server.asked if asked.path.endswith("/runs/stream")]


def said(server: SmallServer) -> List[str]:
    return [body["input"]["messages"][0]["content"] for body in sent_to(server)]


def test_each_line_is_said_on_one_thread_and_its_answer_shown(lgsync):
    with SmallServer(thread_routes(saying("Hello!"), saying("Bye!", "m2"))) as server:
        ended = lgsync("chat", "agent", "--url", server.url, stdin="hi\n\nso long\n")
        streams = [path for path in server.paths("POST") if path.endswith("/runs/stream")]
    assert (ended.code, ended.err) == (0, "")
    assert "> hi\nHello!\n" in ended.out
    assert "> so long\nBye!\n" in ended.out
    assert streams == [f"/threads/{THREAD}/runs/stream"] * 2


def test_a_line_that_ends_with_a_backslash_goes_on_in_the_next(lgsync):
    with SmallServer(thread_routes(saying("Hello!"))) as server:
        lgsync("chat", "agent", "--url", server.url, stdin="one\\\ntwo\n")
        assert said(server) == ["one\ntwo"]


def test_a_question_is_answered_by_the_next_line(lgsync):
    with SmallServer(thread_routes(PAUSED, saying("Done."), state={"interrupts": [QUESTION]})) as server:
        ended = lgsync("chat", "agent", "--url", server.url, stdin="go\nyes\n")
        assert sent_to(server)[1]["command"] == {"resume": "yes"}
    assert "Shall I?\nyour answer: yes\nDone.\n" in ended.out


def paused_chat(lgsync: Any, stdin: str, *streams: Answer) -> Tuple[Any, List[Dict[str, Any]]]:
    """A chat whose first run is paused, and what it sent after that."""
    with SmallServer(thread_routes(PAUSED, *streams, state={"interrupts": [QUESTION]})) as server:
        return lgsync("chat", "agent", "--url", server.url, stdin=f"go\n{stdin}"), sent_to(server)[1:]


def test_a_question_can_be_left_by_quitting_and_the_exit_code_tells_that_it_stays_open(lgsync):
    ended, sent = paused_chat(lgsync, "/quit\nmore\n")
    assert (ended.code, sent) == (3, [])


def test_quitting_has_the_exit_code_of_the_last_run(lgsync):
    ended, sent = paused_chat(lgsync, "yes\n/quit\n", saying("Done."))
    assert (ended.code, len(sent)) == (0, 1)


@pytest.mark.parametrize("stdin", ["", "/quit\n"])
def test_a_thread_that_is_opened_and_stays_paused_is_exit_code_3(lgsync, stdin):
    with SmallServer(thread_routes(state={"interrupts": [QUESTION]})) as server:
        assert lgsync("chat", "agent", "--thread", THREAD, "--url", server.url, stdin=stdin).code == 3


def test_help_is_shown_at_a_question_which_is_then_asked_again(lgsync):
    ended, sent = paused_chat(lgsync, "/help\nyes\n", saying("Done."))
    assert [body["command"] for body in sent] == [{"resume": "yes"}]
    assert "\n/retry" in ended.out
    assert ended.out.count("Shall I?") == 2


def test_a_question_can_be_left_for_a_new_thread(lgsync):
    ended, sent = paused_chat(lgsync, "/new\nhi\n", saying("Hello!"))
    assert [body["input"]["messages"][0]["content"] for body in sent] == ["hi"]
    assert f"agent on thread {OTHER}" in ended.out


def test_an_answer_may_begin_with_a_slash_if_it_is_no_command(lgsync):
    _, sent = paused_chat(lgsync, "/etc/hosts\n", saying("Done."))
    assert [body["command"] for body in sent] == [{"resume": "/etc/hosts"}]


class Typed(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal_a_question_says_how_it_is_left_open_and_again_when_nothing_is_typed():
    out = io.StringIO()
    assert Screen(out, Typed("\nyes\n")).ask("Shall I?", hint="Ctrl-C leaves the question open") == "yes"
    assert out.getvalue().count("(Ctrl-C leaves the question open)\n") == 2


def test_a_question_that_stays_open_is_exit_code_3(lgsync):
    with SmallServer(thread_routes(PAUSED)) as server:
        ended = lgsync("chat", "agent", "--url", server.url, stdin="go\n")
    assert ended.code == 3
    assert "/answer asks again" in ended.out


def test_a_thread_that_is_paused_asks_as_soon_as_it_is_opened(lgsync):
    with SmallServer(thread_routes(saying("Done."), state={"interrupts": [QUESTION]})) as server:
        ended = lgsync("chat", "agent", "--thread", THREAD, "--url", server.url, stdin="yes\n")
        assert sent_to(server)[0]["command"] == {"resume": "yes"}
    assert ended.out.index("Shall I?") < ended.out.index("Done.")


def test_a_failed_run_ends_a_chat_that_nobody_watches(lgsync):
    failed = as_events(METADATA, ("error", {"error": "ValueError", "message": "boom"}))
    with SmallServer(thread_routes(failed, status="error")) as server:
        ended = lgsync("chat", "agent", "--url", server.url, stdin="go\nmore\n")
        assert said(server) == ["go"]
    assert ended.code == 4
    assert "boom" in ended.err


def test_thread_tells_which_it_is_and_goes_to_another(lgsync):
    with SmallServer(thread_routes(saying("Hello!"))) as server:
        out = lgsync("chat", "agent", "--url", server.url, stdin=f"/thread\n/thread {OTHER}\nhi\n").out
        assert server.paths("POST")[-1] == f"/threads/{OTHER}/runs/stream"
    assert f"> /thread\n{THREAD}\n" in out
    assert f"agent on thread {OTHER}" in out


def test_a_threads_id_does_not_steer_the_terminal(lgsync):
    with SmallServer(thread_routes()) as server:
        ended = lgsync("chat", "agent", "--thread", "t-\x1b[2J\x9b31m", "--url", server.url, stdin="/thread\n")
    assert ended.out.count("t-[2J31m") == 2
    assert "\x1b" not in ended.out + ended.err
    assert "\x9b" not in ended.out + ended.err


def test_new_begins_another_thread(lgsync):
    with SmallServer(thread_routes(saying("Hello!"))) as server:
        lgsync("chat", "agent", "--url", server.url, stdin="/new\nhi\n")
        assert server.paths("POST")[-1] == f"/threads/{OTHER}/runs/stream"


def test_a_thread_on_which_nothing_is_said_is_not_made(lgsync):
    with SmallServer(thread_routes()) as server:
        assert lgsync("chat", "agent", "--url", server.url, stdin="/thread\n/history\n/new\n/quit\n").code == 0
        assert "/threads" not in server.paths("POST")


def test_retry_on_a_new_thread_asks_no_server(lgsync):
    with SmallServer(thread_routes()) as server:
        ended = lgsync("chat", "agent", "--url", server.url, stdin="/retry\n")
    assert (ended.code, ended.err) == (2, "lgsync: Nothing was said yet that could be tried again\n")


GRAPHS = [{"assistant_id": OTHER, "graph_id": "agent"}, {"assistant_id": RUN, "graph_id": "ask"}]


def test_a_graph_that_is_not_there_is_refused_at_the_start(lgsync):
    routes = {**thread_routes(), ("POST", "/assistants/search"): as_json(GRAPHS)}
    with SmallServer(routes) as server:
        ended = lgsync("chat", "agnet", "--url", server.url, stdin="hi\n")
        assert server.paths("POST") == ["/assistants/search"]
    told = "lgsync: There is no graph 'agnet'; the server's graphs are: agent, ask\n"
    assert ended == (2, "", told)


def test_another_web_server_is_told_at_the_start(lgsync):
    page = Answer(404, b"<title>Not here</title>", "text/html")
    with SmallServer({("POST", "/assistants/search"): page}) as server:
        ended = lgsync("chat", "agent", "--url", server.url)
    assert (ended.code, ended.out) == (2, "")
    assert "Not here. That came as a web page, which no LangGraph server sends" in ended.err


@pytest.mark.parametrize("name", ["agent", OTHER])
def test_a_graph_and_an_assistant_that_are_there_are_talked_to(lgsync, name):
    routes = {**thread_routes(saying("Hello!")), ("POST", "/assistants/search"): as_json(GRAPHS)}
    with SmallServer(routes) as server:
        assert lgsync("chat", name, "--url", server.url, stdin="hi\n").code == 0


MESSAGES = [
    {"type": "human", "id": "h", "content": "hi"},
    {"type": "ai", "id": "a", "content": "hello", "tool_calls": [{"name": "f", "args": {"x": 1}, "id": "c"}]},
    {"type": "tool", "id": "t", "content": "done", "name": "f", "tool_call_id": "c"},
]


def test_history_shows_the_threads_messages(lgsync):
    with SmallServer(thread_routes(state={"values": {"messages": MESSAGES}})) as server:
        out = lgsync("chat", "agent", "--thread", THREAD, "--url", server.url, stdin="/history\n").out
    assert "you: hi\n\nhello\ncall: f(x=1)\nf returned: done\n" in out


def test_retry_runs_again_from_where_the_last_input_was_taken(lgsync):
    history = [
        {"values": {}, "metadata": {"source": "loop"}, "checkpoint": {"checkpoint_id": "c2"}},
        {"values": {}, "metadata": {"source": "input"}, "checkpoint": {"checkpoint_id": "c1"}},
        {"values": {}, "metadata": {"source": "input"}, "checkpoint": {"checkpoint_id": "c0"}},
    ]
    routes = {**thread_routes(saying("Hello!")), ("POST", "/history"): as_json(history)}
    with SmallServer(routes) as server:
        assert lgsync("chat", "agent", "--thread", THREAD, "--url", server.url, stdin="/retry\n").code == 0
        (body,) = sent_to(server)
    assert (body.get("input"), body["checkpoint_id"]) == (None, "c1")


def test_retry_has_nothing_to_do_on_a_new_thread(lgsync):
    routes = {**thread_routes(), ("POST", "/history"): as_json([])}
    with SmallServer(routes) as server:
        ended = lgsync("chat", "agent", "--thread", THREAD, "--url", server.url, stdin="/retry\n")
    assert (ended.code, ended.err) == (2, "lgsync: Nothing was said yet that could be tried again\n")


@pytest.mark.parametrize("name", ["talk.md", "talk.json"])
def test_save_writes_the_messages_in_the_form_that_the_name_asks_for(lgsync, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with SmallServer(thread_routes(state={"values": {"messages": MESSAGES}})) as server:
        # What this chat has written itself it may write again.
        ended = lgsync("chat", "agent", "--thread", THREAD, "--url", server.url, stdin=f"/save {path}\n/save {path}\n")
    assert ended.code == 0
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        assert [message["content"] for message in json.loads(text)] == ["hi", "hello", "done"]
    else:
        assert text == (
            f"# Thread {THREAD}\n\n## human\n\nhi\n\n## ai\n\nhello\n\n    f(x=1)\n\n## tool (f)\n\n    done\n"
        )


def test_save_writes_over_nothing(lgsync, tmp_path: Path) -> None:
    path = tmp_path / "mine.md"
    path.write_text("precious")
    with SmallServer(thread_routes(state={"values": {"messages": MESSAGES}})) as server:
        ended = lgsync("chat", "agent", "--thread", THREAD, "--url", server.url, stdin=f"/save {path}\n")
    assert ended.code == 2
    assert "is there already" in ended.err
    assert path.read_text() == "precious"


@pytest.mark.parametrize("word", ["/quit", "/exit"])
def test_quit_leaves(lgsync, word):
    with SmallServer(thread_routes()) as server:
        assert lgsync("chat", "agent", "--url", server.url, stdin=f"{word}\nhi\n").code == 0
        assert sent_to(server) == []


def test_help_lists_the_commands_and_an_unknown_one_is_told(lgsync):
    with SmallServer(thread_routes()) as server:
        ended = lgsync("chat", "agent", "--url", server.url, stdin="/help\n/nope\nhi\n")
        assert sent_to(server) == []
    for name in ("/thread", "/new", "/history", "/retry", "/answer", "/save", "/quit"):
        assert f"\n{name}" in ended.out
    assert (ended.code, ended.err) == (2, "lgsync: There is no /nope; /help lists what there is\n")


def test_as_json_standard_output_has_nothing_else(lgsync):
    with SmallServer(thread_routes(saying("Hello!"))) as server:
        ended = lgsync("chat", "agent", "--url", server.url, "--json", stdin="hi\n")
    events = [json.loads(line)["event"] for line in ended.out.splitlines()]
    assert events == ["run", "delta", "message", "end"]
    assert f"on thread {THREAD}" in ended.err


class Keyboard(Screen):
    """A terminal at which these things happen, one at each prompt."""

    def __init__(self, *happens: Any) -> None:
        super().__init__(io.StringIO(), io.StringIO())
        self._happens = iter(happens)

    def prompt(self) -> Any:
        what = next(self._happens)
        if what is KeyboardInterrupt:
            raise KeyboardInterrupt
        return what


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        ([KeyboardInterrupt, KeyboardInterrupt], 130),
        ([KeyboardInterrupt, "hi", KeyboardInterrupt, None], 0),
        ([None], 0),
    ],
    ids=["twice", "once at a time", "Ctrl-D"],
)
def test_ctrl_c_at_the_prompt_leaves_only_when_it_comes_twice(happens, code):
    said: List[str] = []
    talk: Any = SimpleNamespace(begin=lambda: None, take=said.append)
    assert at_the_terminal(talk, Keyboard(*happens)) == code
    assert said == [line for line in happens if isinstance(line, str)]


@pytest.mark.parametrize("raised", [chat.Leave(), RunError("the run failed"), KeyboardInterrupt()])
def test_at_a_terminal_the_first_question_of_a_thread_is_left_as_every_other(raised):
    def asked() -> None:
        raise raised

    talk: Any = SimpleNamespace(begin=asked)
    assert at_the_terminal(talk, Keyboard(None)) == 0
