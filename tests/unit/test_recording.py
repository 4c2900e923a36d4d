from __future__ import annotations

import errno
import json
import pickle
import re
import threading
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
import requests
import responses
from rawserver import PATIENCE, until
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, chunk, run_answers, state
from taped import CONFIG, recording, replaying, seen

from lgsync import Client, ConfigurationError
from lgsync.parts import StreamPart
from lgsync.recording import Call, Given, Opened, read
from lgsync.transport import RunJoin, RunStart, TransportConfig
from lgsync.transports import RecordingTransport

START = RunStart(THREAD, {"assistant_id": "agent", "input": {"messages": []}})
KEY = "lsv2_pt_planted-key/+1234"


def lines(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


# -- what passes through -----------------------------------------------------------------------------------------------


def test_all_that_is_known_of_a_source_passes_through(path: Path) -> None:
    inner = ScriptedSource([StreamPart("values", 1, "1-0")], outcome="success", exact=False)
    inner.retry, inner.heartbeats, inner.not_kept = 250, 3, frozenset(["error"])
    source = recording(ScriptedTransport(inner), path).open_run(START)

    for name in ("thread_id", "run_id", "retry", "heartbeats", "not_kept", "exact", "conclusive", "last_activity"):
        assert getattr(source, name) == getattr(inner, name)
    assert next(source) == StreamPart("values", 1, "1-0")
    assert source.position == "1-0"
    assert list(source) == []
    assert source.outcome == "success"


def test_what_sources_of_others_have_besides_passes_through(path: Path) -> None:
    inner = ScriptedSource([])
    source: Any = recording(ScriptedTransport(inner), path).open_run(START)

    assert source.waiting is inner.waiting
    with pytest.raises(AttributeError):
        source.nothing  # noqa: B018


def test_patience_is_asked_with_what_the_client_reads(path: Path) -> None:
    inner = ScriptedSource([])
    source = recording(ScriptedTransport(inner), path).open_run(START)
    asked: List[Any] = []

    def patience(one: Any) -> float:
        asked.append(one)
        return 7.0

    source.patience = patience
    assert inner.patience is not None
    assert inner.patience(inner) == 7.0
    assert asked == [source]


def test_heartbeats_are_told_when_they_show(path: Path) -> None:
    inner = ScriptedSource([StreamPart("values", 1, "1-0")])
    source = recording(ScriptedTransport(inner), path).open_run(START)
    source.patience = lambda _: None
    assert inner.patience is not None

    inner.patience(inner)
    inner.heartbeats = 2
    inner.patience(inner)
    next(source)

    kinds = [(line["kind"], line.get("source")) for line in lines(path)[2:]]
    assert kinds == [("sign", {"heartbeats": 2}), ("part", None)]


def test_a_reader_that_waits_is_freed_by_another_thread(path: Path) -> None:
    inner = ScriptedSource([threading.Event()])
    source = recording(ScriptedTransport(inner), path).open_run(START)
    got: List[Any] = []
    reader = threading.Thread(target=lambda: got.append(list(source)))
    reader.start()
    assert inner.waiting.wait(PATIENCE)

    source.close()
    reader.join(PATIENCE)

    assert got == [[]]
    assert [line["how"] for line in lines(path) if line.get("kind") == "end"] == ["closed"]


def test_a_source_that_nobody_holds_is_let_go(path: Path) -> None:
    inner = ScriptedSource([])
    source = recording(ScriptedTransport(inner), path).open_run(START)
    source.patience = lambda _: 1.0
    del source

    # Nothing but the transport's list of sources, which are weak there, held it: no collector had to run.
    assert inner.patience is not None
    assert inner.patience(inner) is None


def test_what_the_inner_transport_is_called_and_can_do_is_kept(path: Path) -> None:
    inner = ScriptedTransport(None)
    recorder = recording(inner, path)

    assert (recorder.name, recorder.timeout, recorder.capabilities) == (inner.name, inner.timeout, inner.capabilities)


def test_its_name_in_the_registry_is_that_of_its_inner_transport(path: Path) -> None:
    client = Client(transport=partial(RecordingTransport, inner="websocket", path=path))

    assert client.transport.name == "websocket"
    assert lines(path)[0]["transport"] == "websocket"


# -- the file ----------------------------------------------------------------------------------------------------------


def test_each_line_is_there_before_the_client_sees_what_it_tells(path: Path) -> None:
    source = recording(ScriptedTransport(ScriptedSource([chunk("a"), chunk("b")])), path).open_run(START)
    next(source)

    told = read(path.read_bytes(), "half")
    assert [type(entry) for entry in told.entries] == [Opened, Given]


def test_parts_that_came_at_once_are_read_and_written_one_by_one(path: Path) -> None:
    inner = ScriptedSource([chunk("a")])
    inner.come = [chunk("b")]
    source = recording(ScriptedTransport(inner), path).open_run(START)
    assert source.at_hand() == []
    assert inner.come == [chunk("b")]


def test_calls_of_many_threads_are_each_a_line(path: Path) -> None:
    recorder = recording(ScriptedTransport(None, {"GET /ok": (200, {"ok": True})}), path)
    threads = [threading.Thread(target=lambda: [recorder.request("GET", "/ok") for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    told = read(path.read_bytes(), "many").entries
    assert len(told) == 200
    assert all(isinstance(entry, Call) and entry.response for entry in told)


def test_building_it_begins_the_file_anew(path: Path) -> None:
    recording(ScriptedTransport(None), path).request("GET", "/ok")
    recording(ScriptedTransport(None), path)

    assert len(lines(path)) == 1


def test_a_copy_goes_on_with_the_file(path: Path) -> None:
    first = RecordingTransport(CONFIG, inner=partial(_scripted, []), path=path)
    copy = pickle.loads(pickle.dumps(first))
    for each in (first, copy, first):
        seen(each.open_run(START))

    streams = [line["stream"] for line in lines(path) if line.get("kind") == "open"]
    assert len(streams) == len(set(streams)) == 3


def test_a_copy_begins_a_file_that_is_not_there(path: Path) -> None:
    copy = pickle.dumps(RecordingTransport(CONFIG, inner=partial(_scripted, []), path=path))
    path.unlink()
    pickle.loads(copy).request("GET", "/ok")

    assert len(read(path.read_bytes(), "anew").entries) == 1


def asked_for(path: Path) -> List[str]:
    """The paths of the calls that can be read."""
    return [entry.path for entry in read(path.read_bytes(), "asked").entries if isinstance(entry, Call)]


def test_a_torn_line_is_ended_by_what_is_added(path: Path) -> None:
    recording(ScriptedTransport(None), path).request("GET", "/first")
    recording(ScriptedTransport(None), path, append=True).request("GET", "/torn")
    path.write_bytes(path.read_bytes()[:-9])
    recording(ScriptedTransport(None), path, append=True).request("GET", "/second")

    assert asked_for(path) == ["/first", "/second"]


def test_nothing_is_taken_from_a_file_that_another_one_writes_while_a_copy_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recording(ScriptedTransport(None), path)
    first.request("GET", "/before")
    whole = Path.read_bytes

    def while_first_writes(self: Path) -> bytes:
        held = whole(self)
        first.request("GET", "/meanwhile")
        return held[:-9]  # as one that reads sees the half of a line that is just being written

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", while_first_writes)
        second = recording(ScriptedTransport(None), path, append=True)
    second.request("GET", "/after")
    first.request("GET", "/last")

    assert asked_for(path) == ["/before", "/meanwhile", "/after", "/last"]


class _Disk:
    """A file on a disk that takes so many bytes of each write; of None, it has no room."""

    def __init__(self, inner: Any, *takes: Optional[int]) -> None:
        self._inner = inner
        self._takes = list(takes)

    def write(self, data: bytes) -> int:
        takes = self._takes.pop(0) if self._takes else len(data)
        if takes is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        written: int = self._inner.write(data[:takes])
        return written

    def close(self) -> None:
        self._inner.close()


def test_what_one_write_did_not_take_is_written_by_the_next(path: Path) -> None:
    recorder = recording(ScriptedTransport(None), path)
    recorder._tape._file = _Disk(recorder._tape._file, 5, 7)  # type: ignore[assignment]
    recorder.request("GET", "/first")
    recorder.request("GET", "/second")

    assert asked_for(path) == ["/first", "/second"]


def test_a_line_that_a_full_disk_has_torn_takes_no_other_with_it(path: Path) -> None:
    recorder = recording(ScriptedTransport(None), path)
    recorder._tape._file = _Disk(recorder._tape._file, 5, None)  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="cannot be written: No space left"):
        recorder.request("GET", "/torn")
    recorder.request("GET", "/second")

    assert asked_for(path) == ["/second"]


def test_a_file_of_another_transport_is_not_gone_on_with(path: Path) -> None:
    recording("websocket", path)

    with pytest.raises(ConfigurationError, match='begun over transport="websocket"'):
        recording("sse", path, append=True)


def test_a_file_that_cannot_be_written_is_told_when_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing.run.jsonl cannot be written: No such file"):
        recording("sse", tmp_path / "missing" / "run.jsonl")


def test_closing_ends_what_is_open(path: Path) -> None:
    recorder = recording(ScriptedTransport(ScriptedSource([])), path)
    source = recorder.open_run(START)
    recorder.close()

    assert lines(path)[-1]["how"] == "closed"
    assert list(source) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no recording of lgsync's"),
        (b'{"a": 1}\n', "no recording of lgsync's"),
        (b"<html>\n", "no recording of lgsync's"),
        (b'{"lgsync": "recording", "version": 2}\n', "has version 2, and this lgsync reads up to 1"),
        (b'{"lgsync": "recording", "version": 1}\n', "first line of the recording some.jsonl lacks"),
    ],
)
def test_what_is_no_recording_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        read(data, "some.jsonl")


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"t": 1, "kind": "what", "stream": "1"}', b'{"t": 1, "kind": "part"}'])
def test_a_line_that_cannot_be_read_is_named(path: Path, line: bytes) -> None:
    recording("sse", path)

    with pytest.raises(ConfigurationError, match=r"Line 2 of the recording one.jsonl"):
        read(path.read_bytes() + line + b"\n", "one.jsonl")


# -- secrets -----------------------------------------------------------------------------------------------------------

SECRETS = {
    "x-api-key": KEY,
    "Authorization": "Bearer planted-bearer-token",
    "Cookie": "session=planted-cookie-value; theme=dark",
    "X-My-Token": "planted-token-of-mine",
    "Proxy-Authorization": "Basic dXNlcjpwbGFudGVkLXBhc3N3b3Jk",
}
PLANTED = ("planted", "dXNlcjpwbGFudGVk")


def no_secret_in(path: Path) -> bool:
    return not any(word in path.read_text(encoding="utf-8") for word in PLANTED)


def _scripted(steps: Any, config: Any) -> ScriptedTransport:
    return ScriptedTransport(ScriptedSource(steps))


def echoing(answer: Any, *parts: StreamPart, path: Path, headers: Dict[str, str] = SECRETS) -> Any:
    """A recording of a server that gives this answer, and says these parts, to a client that sends secrets."""
    inner = ScriptedTransport(ScriptedSource(parts), {"POST /echo": (200, answer)})
    recorder = RecordingTransport(TransportConfig("http://server", headers), inner=inner, path=path)
    recorder.request("POST", "/echo", json={})
    seen(recorder.open_run(START))
    return read(path.read_bytes(), "echo").entries


@pytest.mark.parametrize("value", [*SECRETS.values(), "planted-cookie-value", KEY.replace("/", r"\/")])
def test_a_secret_that_the_server_echoes_is_not_written(path: Path, value: str) -> None:
    value = value.replace("theme=dark", "")
    answer = {"asked": f"with {value}!", value: ["deep", {"er": value}], "json": f'{{"key": "{value}"}}'}
    part = StreamPart("custom", {"heard": value}, "1-0")
    entries = echoing(answer, part, StreamPart("error", {"message": f"no {value}"}), path=path)

    assert no_secret_in(path)
    assert entries[2].part.data["heard"].endswith("***") or "***" in entries[2].part.data["heard"]


def test_a_secret_of_one_call_is_not_written(path: Path) -> None:
    inner = ScriptedTransport(ScriptedSource([StreamPart("custom", "planted-for-the-run")]))
    inner.answers["GET /echo"] = (401, {"detail": "planted-for-the-call"})
    recorder = recording(inner, path)
    recorder.request("GET", "/echo", headers={"X-Secret": "planted-for-the-call"})
    seen(recorder.open_run(RunStart(THREAD, {}, headers={"X-Auth": "planted-for-the-run"})))

    assert no_secret_in(path)


def test_secrets_of_a_session_of_ones_own_are_not_written(path: Path) -> None:
    session = requests.Session()
    session.auth = ("user", "planted-password")
    session.cookies.set("login", "planted-cookie")
    session.headers["X-Key"] = "planted-header"
    inner = ScriptedTransport(None, {"GET /echo": (200, ["planted-password", "planted-cookie", "planted-header"])})
    RecordingTransport(TransportConfig("http://server", session=session), inner=inner, path=path).request(
        "GET", "/echo"
    )

    assert no_secret_in(path)


def test_what_a_request_names_a_secret_is_not_written(path: Path) -> None:
    inner = ScriptedTransport(ScriptedSource([StreamPart("custom", {"config": "planted-key-of-openai"})]))
    recorder = recording(inner, path)
    config = {"configurable": {"openai_api_key": "planted-key-of-openai", "max_tokens": 5, "authToken": "planted"}}
    seen(recorder.open_run(RunStart(THREAD, {"config": config, "context": {"password": "planted"}})))
    payload = lines(path)[1]["start"]["payload"]

    assert no_secret_in(path)
    assert payload["config"] == {"configurable": {"openai_api_key": "***", "max_tokens": 5, "authToken": "***"}}


@pytest.mark.parametrize(
    "name",
    [
        *("aws_secret_access_key", "secretAccessKey", "openai_key", "anthropicKey", "OPENAI_API_KEY", "signing_key"),
        *(
            "aws_access_key_id",
            "auth",
            "langgraph_auth_user",
            "passwords",
            "tokens",
            "session",
            "pin",
            "pwd",
            "db_pass",
        ),
        *("client_secret_value", "bearer", "session_token", "id_token", "authorization", "private-key"),
        *("admin_token", "signing_token", "maxwell_token", "nexus_token", "messages_api_key", "token", "author_token"),
    ],
)
@pytest.mark.parametrize("value", ["planted-value", ["planted-value"], {"of": "planted-value"}])
def test_whatever_a_request_calls_a_secret_is_not_written(path: Path, name: str, value: Any) -> None:
    inner = ScriptedTransport(ScriptedSource([StreamPart("custom", "I heard planted-value", "1-0")]))
    recorder = recording(inner, path)
    payload = {"config": {"configurable": {name: value}}, "metadata": {name: value}}
    recorder.request("POST", "/threads", json=payload)
    seen(recorder.open_run(RunStart(THREAD, payload)))

    assert no_secret_in(path)


@pytest.mark.parametrize(
    "name",
    [
        *("messages_key", "input_key", "historyMessagesKey", "feedback_keys", "key", "keys", "key_points", "keywords"),
        *("max_tokens", "maxTokens", "max_completion_tokens", "maxOutputTokens", "input_tokens", "total_tokens"),
        *("token_count", "tokens_per_minute", "tokenizer", "session_id", "author", "authors", "author_name"),
        *("assistant_id", "checkpoint_ns", "compass", "pinned", "pipeline", "spin", "design", "passenger"),
    ],
)
def test_what_only_sounds_like_a_secret_is_written(path: Path, name: str) -> None:
    recording(ScriptedTransport(None), path).request("POST", "/x", json={name: "what it says"})

    assert lines(path)[1]["request"]["json"] == {name: "what it says"}


@pytest.mark.parametrize(
    "name", ["X-Session", "X-Pwd", "X-Signature", "X-Api-Key", "X-Csrf-Token", "X-Pin", "X-Passcode", "X-Auth"]
)
def test_a_header_that_is_named_like_a_secret_is_not_written_where_it_is_quoted(path: Path, name: str) -> None:
    part = StreamPart("custom", {"heard": "it is planted-value"}, "1-0")
    echoing({"heard": ["planted-value"]}, part, path=path, headers={name: "planted-value"})

    assert no_secret_in(path)


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("host=db user=me password=planted-value dbname=x", "host=db user=me password=*** dbname=x"),
        ("password=planted-value host=db", "password=*** host=db"),
        ("host = db password = 'planted value' dbname = x", "host = db password = *** dbname = x"),
        ("Server=db;Database=x;Pwd=planted-value;", "Server=db;Database=x;Pwd=***;"),
        ("Pwd=planted-value;User Id=me;Server=db", "Pwd=***;User Id=me;Server=db"),
        ("postgresql://me:planted-value@db/x", "postgresql://***@db/x"),
        ("postgresql://db/x?user=me&password=planted-value", "postgresql://db/x?user=me&password=***"),
    ],
)
def test_a_password_of_a_data_base_is_not_written(path: Path, dsn: str, shown: str) -> None:
    inner = ScriptedTransport(None, {"POST /x": (200, {"connected": f"to {dsn}"})})
    recording(inner, path).request("POST", "/x", json={"config": {"configurable": {"dsn": dsn}}})

    assert lines(path)[1]["request"]["json"]["config"]["configurable"]["dsn"] == shown
    assert no_secret_in(path)


def test_code_that_a_user_asks_about_is_written_as_it_is(path: Path) -> None:
    said = "Why does sorted(names, key=len, token = 1) fail?\nkey = 5\npassword=None"
    recording(ScriptedTransport(None), path).request("POST", "/x", json={"content": said})

    assert lines(path)[1]["request"]["json"] == {"content": said}


def test_a_line_says_where_something_is_hidden(path: Path) -> None:
    recorder = recording(ScriptedTransport(None), path)
    recorder.request("POST", "/x?sig=planted", json={"a": ["***", {"api_key": "planted"}]}, params={"token": "planted"})
    recorder.request("POST", "/x", json={"a": "***"})

    assert lines(path)[1]["hidden"] == ["path", "params.token", "json.a[1].api_key"]
    assert "hidden" not in lines(path)[2]


def test_tokens_in_urls_are_not_written(path: Path) -> None:
    inner = ScriptedTransport(
        None, {"GET /x?access_token=planted&page=1": (200, {"next": "http://u:planted@h/?sig=planted"})}
    )
    recorder = recording(inner, path)
    recorder.request("GET", "/x?access_token=planted&page=1", params={"api_key": "planted", "limit": 3})
    line = lines(path)[1]

    assert no_secret_in(path)
    assert line["request"] == {
        "method": "GET",
        "path": "/x?access_token=***&page=1",
        "params": {"api_key": "***", "limit": 3},
    }
    assert line["response"]["json"] == {"next": "http://***@h/?sig=***"}


def test_the_key_of_an_item_of_the_store_is_no_secret(path: Path) -> None:
    recorder = recording(ScriptedTransport(None), path)
    recorder.request("GET", "/store/items", params={"key": "settings", "namespace": "users"})
    recorder.request("GET", "/maps", params={"key": "planted"})

    assert lines(path)[1]["request"]["params"] == {"key": "settings", "namespace": "users"}
    assert no_secret_in(path)


def test_what_an_error_quotes_is_not_written(path: Path) -> None:
    inner = ScriptedTransport([ConfigurationError(f"no header may be {KEY}")])
    recorder = RecordingTransport(TransportConfig("http://server", SECRETS), inner=inner, path=path)
    with pytest.raises(ConfigurationError):
        recorder.open_run(START)

    assert no_secret_in(path)
    assert lines(path)[1]["error"]["message"] == "no header may be ***"


@responses.activate
def test_of_an_answers_headers_those_are_written_that_tell_something(path: Path) -> None:
    headers = {"Set-Cookie": "id=planted", "X-Served-By": "planted", "Content-Location": "/runs/1?token=planted"}
    responses.get("http://server/info", json={}, headers=headers)
    recording("sse", path).request("GET", "/info")
    written = lines(path)[1]["response"]["headers"]

    assert no_secret_in(path)
    assert written.pop("date")
    assert written == {"content-type": "application/json", "content-location": "/runs/1?token=***"}


@responses.activate
def test_a_body_that_is_no_text_is_written_without_the_key(path: Path) -> None:
    responses.get("http://server/raw", body=b"\xff" + KEY.encode() + b"\xfe", content_type="application/json")
    recorder = RecordingTransport(TransportConfig("http://server", SECRETS), path=path)
    recorder.request("GET", "/raw")

    assert replaying(path).request("GET", "/raw").body == b"\xff***\xfe"


def test_a_token_that_a_model_says_is_no_secret(path: Path) -> None:
    part = StreamPart("custom", {"token": "Hello", "key": "a", "text": "a=b&c"}, "1-0")
    entries = echoing({}, part, path=path)

    assert entries[2].part == part


# -- the whole way -----------------------------------------------------------------------------------------------------


def test_a_client_that_records_sees_what_it_would_see_without(path: Path) -> None:
    source = ScriptedSource(
        [StreamPart("metadata", {"run_id": RUN}), chunk("Hel"), chunk("lo", last=True)], conclusive=False
    )
    answers = run_answers(thread_state=state({"type": "ai", "content": "Hello", "id": "m1"}))
    client = Client(transport=recording(ScriptedTransport([source, ScriptedSource([])], answers), path))
    with client.runs.stream(THREAD, "agent", input={}) as run:
        text = "".join(run.text())

    assert text == "Hello"
    assert run.outcome == "success"


def test_a_run_that_is_joined_is_recorded_as_a_join(path: Path) -> None:
    join = RunJoin(THREAD, RUN, ("values",), "7-0", narrowed=False)
    recording(ScriptedTransport(ScriptedSource([])), path).open_run(join)

    assert lines(path)[1]["join"] == {
        "thread_id": THREAD,
        "run_id": RUN,
        "modes": ["values"],
        "position": "7-0",
        "narrowed": False,
    }


def test_it_is_written_while_the_reader_waits(path: Path) -> None:
    inner = ScriptedSource([chunk("a"), threading.Event()])
    source = recording(ScriptedTransport(inner), path).open_run(START)
    reader = threading.Thread(target=lambda: list(source))
    reader.start()
    try:
        until(lambda: inner.waiting.is_set() and lines(path)[-1]["kind"] == "part")
    finally:
        source.close()
        reader.join(PATIENCE)
