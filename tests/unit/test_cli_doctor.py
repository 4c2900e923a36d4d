"""``lgsync doctor``: what it finds, and what it says to change."""

from __future__ import annotations

import json
import threading
from typing import Any, Dict

import pytest
from rawserver import RawServer, refused_port, tls_contexts
from small_server import THREAD, Answer, Asked, SmallServer, as_events, as_json, thread_routes

from lgsync.cli import probes
from lgsync.cli.probes import judged

BEAT = b": heartbeat\r\n\r\n"
INFO = as_json({"version": "1.2.3", "langgraph_py_version": "4.5.6"})


def stream(*beats: Any) -> Answer:
    return Answer(200, b"", "text/event-stream", list(beats))


def routes(**changed: Any) -> Dict[Any, Any]:
    """A server that is well; ``changed`` are other answers of: info, search, modes, beats, run."""

    def run_or_refuse(asked: Asked) -> Any:
        if asked.body["assistant_id"] == "agent":
            return changed["run"]
        known = asked.body["stream_mode"][0] not in ("tools", "lifecycle")
        refusal = as_json({"detail": "no such assistant"}, 404) if known else as_json({"detail": "unknown mode"}, 422)
        return changed.get("modes") or refusal

    return {
        ("GET", "/info"): changed.get("info", INFO),
        ("POST", "/assistants/search"): changed.get("search", as_json([{"assistant_id": "x"}])),
        ("GET", f"/threads/{THREAD}/stream"): changed.get("beats", stream((None, BEAT), (threading.Event(), b""))),
        ("DELETE", f"/threads/{THREAD}"): as_json({}),
        **thread_routes(),
        ("POST", "/runs/stream"): run_or_refuse,
    }


@pytest.fixture
def doctor(lgsync, monkeypatch):
    """Asks for JSON; gives the exit code, and the findings by their name. Waits less long than one must in earnest."""
    monkeypatch.setattr(probes, "_BEAT_SECONDS", 0.1)

    def examine(url: str, *argv: str) -> Any:
        ended = lgsync("doctor", "--url", url, "--json", "--wait", "0.3", *argv)
        assert ended.err == ""
        return ended.code, {finding["check"]: finding for finding in map(json.loads, ended.out.splitlines())}

    return examine


def wrong(found: Dict[str, Any]) -> Dict[str, Any]:
    return {check: finding for check, finding in found.items() if finding["state"] == "wrong"}


def test_a_good_server_is_examined_to_the_end_and_left_as_it_was(doctor):
    with SmallServer(routes()) as server:
        code, found = doctor(server.url)
        assert server.paths("DELETE") == [f"/threads/{THREAD}"]
    assert (code, wrong(found)) == (0, {})
    assert list(found) == [
        *("url", "proxy", "dns", "connection", "tls", "server", "key", "stream modes", "websocket", "heartbeats"),
    ]
    assert found["server"]["seen"] == "version 1.2.3, LangGraph 4.5.6 (Python)"
    assert "not known: tools, lifecycle" in found["stream modes"]["seen"]


def test_a_terminal_gets_a_line_for_each_and_what_to_change(lgsync):
    port = refused_port()
    ended = lgsync("doctor", "--url", f"http://127.0.0.1:{port}")
    assert ended.code == 1
    assert ended.out.splitlines()[-2:] == [
        f"wrong  connection    nothing listens on port {port} of 127.0.0.1",
        f"{' ' * 20} → Start the server (langgraph dev listens on port 2024), or correct the port in the URL.",
    ]


@pytest.mark.parametrize(("url", "says"), [("localhost:2024", "http://"), ("ws://localhost", "websocket")])
def test_a_url_that_cannot_be_used_ends_it(doctor, url, says):
    code, found = doctor(url)
    assert (code, list(found)) == (1, ["url"])
    assert says in found["url"]["seen"]


def test_where_the_url_comes_from_is_told(lgsync, monkeypatch):
    monkeypatch.setenv("LANGGRAPH_URL", f"http://127.0.0.1:{refused_port()}")
    assert "from $LANGGRAPH_URL" in lgsync("doctor").out


def test_a_host_that_is_not_known_is_told(doctor):
    code, found = doctor("http://nobody.invalid:2024")
    assert (code, list(wrong(found))) == (1, ["dns"])
    assert "VPN" in found["dns"]["advice"]


def test_a_proxy_before_this_machine_is_told_without_its_password(doctor, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{refused_port()}")
    code, found = doctor("http://localhost:2024")
    assert code == 1
    assert found["proxy"]["advice"].endswith("NO_PROXY=localhost")
    assert "secret" not in json.dumps(found)


def test_a_port_that_does_not_speak_tls_is_told(doctor):
    with SmallServer(routes()) as server:
        code, found = doctor(server.url.replace("http:", "https:"))
    assert (code, list(wrong(found))) == (1, ["tls"])
    assert "http://" in found["tls"]["advice"]


def test_a_certificate_that_is_not_trusted_is_told(doctor, tmp_path):
    files = tls_contexts(tmp_path)
    with RawServer(lambda _: None, tls=files.server) as server:
        code, found = doctor(server.url)
    assert (code, list(wrong(found))) == (1, ["tls"])
    assert "REQUESTS_CA_BUNDLE" in found["tls"]["advice"]


def test_a_web_page_is_no_server(doctor):
    page = Answer(200, b"<html><title>Welcome</title></html>", "text/html")
    with SmallServer(routes(info=page)) as server:
        code, found = doctor(server.url)
    assert (code, list(wrong(found))) == (1, ["server"])
    assert "prefix" in found["server"]["advice"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("key", "says"), [(("--api-key", "k3y"), "--api-key"), ((), "LANGGRAPH_API_KEY")])
def test_a_key_that_is_wrong_or_missing_is_told_by_where_it_comes_from(doctor, status, key, says):
    with SmallServer(routes(search=as_json({"detail": "no"}, status))) as server:
        code, found = doctor(server.url, *key)
    assert (code, list(wrong(found))) == (1, ["key"])
    assert says in found["key"]["advice"]
    assert "k3y" not in json.dumps(found)


def test_a_server_without_the_websocket_protocol_is_a_note_unless_that_is_wanted(doctor):
    with SmallServer(routes()) as server:
        assert doctor(server.url)[1]["websocket"]["state"] == "note"
        code, found = doctor(server.url, "--transport", "websocket")
    assert (code, list(wrong(found))) == (1, ["websocket"])
    assert "sse" in found["websocket"]["advice"]


@pytest.mark.parametrize(
    ("environment", "option", "colored"),
    [({}, (), True), ({"NO_COLOR": "1"}, (), False), ({"TERM": "dumb"}, (), False), ({}, ("--no-color",), False)],
)
def test_states_are_coloured_on_a_terminal_that_is_to_have_colours(lgsync, monkeypatch, environment, option, colored):
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # On a terminal, that is, where click leaves styles as they are.
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    out = lgsync("doctor", "--url", f"http://127.0.0.1:{refused_port()}", *option).out
    assert ("\x1b[" in out) is colored


def test_heartbeats_that_are_kept_back_are_told(doctor):
    with SmallServer(routes(beats=stream((threading.Event(), BEAT)))) as server:
        code, found = doctor(server.url)
    assert (code, list(wrong(found))) == (1, ["heartbeats"])
    assert "proxy_buffering off" in found["heartbeats"]["advice"]


def test_heartbeats_that_are_not_waited_for_are_no_finding(doctor, monkeypatch):
    monkeypatch.setattr(probes, "_BEAT_SECONDS", 5.0)
    with SmallServer(routes(beats=stream((threading.Event(), BEAT)))) as server:
        code, found = doctor(server.url)
    assert (code, found["heartbeats"]["state"]) == (0, "note")
    assert "--wait" in found["heartbeats"]["advice"]


def test_a_stream_whose_head_is_kept_back_is_told(doctor):
    given_up = threading.Event()

    def kept(_: Asked) -> Answer:
        given_up.wait(10)
        return stream((None, BEAT))

    with SmallServer(routes(beats=kept)) as server:
        code, found = doctor(server.url)
        given_up.set()
    assert (code, list(wrong(found))) == (1, ["heartbeats"])


def test_a_javascript_server_sends_no_heartbeats_and_is_not_blamed(doctor):
    info = as_json({"version": "1", "langgraph_js_version": "1", "context": "js"})
    with SmallServer(routes(info=info, beats=stream((threading.Event(), BEAT)))) as server:
        code, found = doctor(server.url)
    assert (code, found["heartbeats"]["state"]) == (0, "note")


def test_a_server_that_knows_no_messages_tuple_is_told(doctor):
    with SmallServer(routes(modes=as_json({"detail": "unknown mode"}, 422))) as server:
        code, found = doctor(server.url)
    assert (code, list(wrong(found))) == (1, ["stream modes"])


def test_modes_that_cannot_be_told_are_a_note(doctor):
    with SmallServer(routes(modes=as_json({"detail": "broken"}, 500))) as server:
        code, found = doctor(server.url)
    assert (code, found["stream modes"]["state"]) == (0, "note")
    assert "not clear" in found["stream modes"]["seen"]


METADATA = ("metadata", {"run_id": "22222222-2222-2222-2222-222222222222"})
UPDATE = ("updates", {"agent": None})


def test_a_run_whose_parts_come_one_by_one_is_well(doctor):
    with SmallServer(routes(run=as_events(METADATA, UPDATE))) as server:
        code, found = doctor(server.url, "--graph", "agent")
    assert (code, found["run"]["state"]) == (0, "ok")
    assert found["run"]["seen"].startswith("agent sent 2 parts in ")


@pytest.mark.parametrize(
    ("came", "took", "state"),
    [
        ([0.1, 0.5, 1.9], 2.0, "ok"),
        ([1.95, 1.96, 1.99], 2.0, "wrong"),
        ([0.2, 0.21, 0.22], 0.3, "ok"),  # a run that is this short shows nothing
        ([], 2.0, "wrong"),
    ],
)
def test_a_run_whose_parts_come_all_at_once_at_its_end_is_told(came, took, state):
    assert judged("agent", came, took).state == state
