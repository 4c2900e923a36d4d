"""What OpenTelemetry is told: a span for each call, a span for each streamed run, and ``traceparent`` to the server."""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import pytest
from event_tape import Tape
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from rawserver import PATIENCE, Connection, RawServer, answer, refused_port
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, chunk, run_answers, update, whole
from thread_server import ThreadServer

from lgsync import Client, RunStream
from lgsync.cursor import Cursor, Place
from lgsync.errors import ConfigurationError, ConnectionFailed, ConnectionLost, LgsyncError, RunError, StreamLost
from lgsync.otel import OpenTelemetry
from lgsync.parts import StreamPart
from lgsync.transport import PartSource, Response

pytestmark = pytest.mark.usefixtures("no_leaks")

HELLO = (
    StreamPart("metadata", {"run_id": RUN}),
    chunk("Hel"),
    chunk("lo", last=True),
    update(whole("ai", "Hello", id="m1")),
)
RUN_PATH = f"/threads/{THREAD}/runs/{RUN}"


class Traced:
    """A tracer provider, and what it was told."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> Tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    def named(self, name: str) -> ReadableSpan:
        (span,) = (span for span in self.spans if span.name == name)
        return span

    def run_over(
        self, *steps: Any, answers: Optional[Mapping[str, Any]] = None, outcome: Optional[str] = None, **options: Any
    ) -> Tuple[RunStream, Listening]:
        """A run over one connection, which is not taken up again."""
        transport = Listening(ScriptedSource(steps, outcome=outcome), answers or run_answers())
        client = Client(transport=transport, tracing=self.provider, reconnect=0)
        return client.runs.stream(THREAD, "agent", input={}, **options), transport


class Listening(ScriptedTransport):
    """Keeps the headers that it was to send, and what was the current span meanwhile."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.parents: Dict[str, Any] = {}
        self.currents: Dict[str, trace.SpanContext] = {}

    def _note(self, what: str, headers: Mapping[str, str]) -> None:
        self.parents[what] = headers.get("traceparent")
        self.currents[what] = trace.get_current_span().get_span_context()

    def request(self, method: str, path: str, **options: Any) -> Response:
        self._note(f"{method} {path}", options["headers"] or {})
        return super().request(method, path, **options)

    def open_run(self, start: Any) -> PartSource:
        self._note(f"open {len(self.started)}", start.headers)
        return super().open_run(start)


@pytest.fixture
def traced() -> Iterator[Traced]:
    one = Traced()
    yield one
    one.provider.shutdown()


def attributes(span: ReadableSpan) -> Dict[str, Any]:
    return dict(span.attributes or {})


def traceparent(span: ReadableSpan) -> str:
    """What a request that was made within the span carries."""
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    assert parent.context is not None
    return span.parent is not None and span.parent.span_id == parent.context.span_id


def events(span: ReadableSpan) -> List[str]:
    return [event.name for event in span.events]


# Calls


def test_a_call_is_a_client_span_by_the_conventions_for_http(traced: Traced) -> None:
    with RawServer(answer(200, {"values": {}})) as server, Client(server.url, tracing=traced.provider) as client:
        client.threads.get_state("t-1")
    assert (traced.span.name, traced.span.kind) == ("GET /threads/{thread_id}/state", SpanKind.CLIENT)
    assert attributes(traced.span) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "url.full": f"{server.url}/threads/t-1/state",
        "url.template": "/threads/{thread_id}/state",
    }
    assert traced.span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/threads", "GET /threads"),
        ("/threads/search", "GET /threads/search"),
        ("/threads/t/state/checkpoint", "GET /threads/{thread_id}/state/checkpoint"),
        ("/threads/t/state/c", "GET /threads/{thread_id}/state/{checkpoint_id}"),
        ("/threads/t/runs", "GET /threads/{thread_id}/runs"),
        ("/threads/t/runs/r/join", "GET /threads/{thread_id}/runs/{run_id}/join"),
        ("/threads/t/runs/wait", "GET /threads/{thread_id}/runs/wait"),
        ("/runs/batch", "GET /runs/batch"),
        ("/runs/crons", "GET /runs/crons"),
        ("/runs/crons/c", "GET /runs/crons/{cron_id}"),
        ("/assistants/a/subgraphs/n", "GET /assistants/{assistant_id}/subgraphs/{namespace}"),
        ("/store/items?namespace=n&key=k", "GET /store/items"),
        ("/my/own/route/4711", "GET"),
    ],
)
def test_a_span_is_named_by_what_is_called_and_not_by_ids(path: str, name: str, traced: Traced) -> None:
    with OpenTelemetry(traced.provider).call("GET", path):
        pass
    assert traced.span.name == name


def test_a_call_that_is_refused_is_an_error_with_its_status(traced: Traced) -> None:
    with RawServer(answer(404, {"detail": "no such thread"})) as server:
        with Client(server.url, tracing=traced.provider) as client, pytest.raises(LgsyncError):
            client.threads.get("t")
    found = attributes(traced.span)
    assert (found["http.response.status_code"], found["error.type"]) == (404, "404")
    assert traced.span.status.status_code is StatusCode.ERROR
    assert "no such thread" in str(traced.span.status.description)
    assert events(traced.span) == ["exception"]


def test_a_call_that_does_not_connect_is_an_error_with_its_place(traced: Traced) -> None:
    port = refused_port()
    client = Client(f"http://127.0.0.1:{port}", retries=0, tracing=traced.provider)
    with client, pytest.raises(ConnectionFailed):
        client.threads.get("t")
    found = attributes(traced.span)
    assert found["error.type"] == "lgsync.errors.ConnectionFailed"
    assert found["url.full"] == f"http://127.0.0.1:{port}/threads/t"
    assert found["server.port"] == port
    assert "http.response.status_code" not in found


def test_a_call_that_is_made_again_is_one_span_that_says_how_often(traced: Traced) -> None:
    answers = iter([(503, {}), ConnectionLost("gone", url="http://server/info"), (200, {"version": "1"})])
    transport = ScriptedTransport(answers={"GET /info": lambda: next(answers)})
    with Client(transport=transport, retries=2, tracing=traced.provider) as client:
        assert client.info().version == "1"
    found = attributes(traced.span)
    assert (found["http.request.resend_count"], found["http.response.status_code"]) == (2, 200)
    assert "error.type" not in found


def test_a_call_that_breaks_after_it_was_refused_has_no_status(traced: Traced) -> None:
    answers = iter([(503, {}), ConnectionLost("gone", url="http://server/threads/t")])
    transport = ScriptedTransport(answers={"GET /threads/t": lambda: next(answers)})
    with Client(transport=transport, retries=1, tracing=traced.provider) as client, pytest.raises(ConnectionLost):
        client.threads.get("t")
    found = attributes(traced.span)
    assert found["error.type"] == "lgsync.errors.ConnectionLost"
    assert "http.response.status_code" not in found


def test_a_call_is_a_child_of_the_callers_span_and_tells_the_server_of_itself(traced: Traced) -> None:
    transport = Listening(None, {"GET /ok": (200, {"ok": True})})
    with Client(transport=transport, tracing=traced.provider, retries=0) as client:
        with traced.provider.get_tracer("test").start_as_current_span("mine"):
            client.ok()
            assert trace.get_current_span().is_recording()
    call = traced.named("GET /ok")
    assert is_child(call, traced.named("mine"))
    assert transport.parents["GET /ok"] == traceparent(call)
    assert transport.currents["GET /ok"] == call.context


def test_what_is_told_of_an_error_holds_no_secret(traced: Traced) -> None:
    port = refused_port()
    client = Client(f"http://127.0.0.1:{port}", api_key="very-secret", retries=0, tracing=traced.provider)
    with client, pytest.raises(ConnectionFailed):
        client.threads.get("t", params={"token": "very-secret"}, headers={"X-Mine": "very-secret"})
    assert "ConnectionFailed" in traced.span.to_json()
    assert "very-secret" not in traced.span.to_json()


# Runs


def test_a_streamed_run_is_one_span_from_its_request_to_its_end(traced: Traced) -> None:
    run, transport = traced.run_over(*HELLO, outcome="success")
    assert traced.spans == ()
    list(run)
    span = traced.span
    assert (span.name, span.kind) == ("stream run", SpanKind.CLIENT)
    found = attributes(span)
    first_part, first_token = found.pop("lgsync.time_to_first_part"), found.pop("lgsync.time_to_first_token")
    assert found == {
        "lgsync.assistant_id": "agent",
        "lgsync.outcome": "success",
        "lgsync.run_id": RUN,
        "lgsync.thread_id": THREAD,
    }
    assert span.start_time is not None
    assert span.end_time is not None
    assert 0 < first_part <= first_token <= (span.end_time - span.start_time) / 1e9
    assert events(span) == ["first_part", "first_token"]
    assert span.start_time <= span.events[0].timestamp <= span.events[1].timestamp <= span.end_time
    assert span.status.status_code is StatusCode.UNSET
    assert transport.parents["open 0"] == traceparent(span)
    assert transport.currents["open 0"] == span.context


def test_a_run_that_says_nothing_has_no_first_token(traced: Traced) -> None:
    run, _ = traced.run_over(StreamPart("metadata", {"run_id": RUN}), outcome="success")
    run.wait()
    assert events(traced.span) == ["first_part"]
    assert "lgsync.time_to_first_token" not in attributes(traced.span)


def test_the_first_part_of_a_resumed_run_is_the_first_that_is_shown(traced: Traced) -> None:
    source = ScriptedSource([chunk("Hello", last=True)._replace(id="1")], outcome="success")
    place = Place(None, "1", 1)
    cursor = Cursor(THREAD, RUN, place, transport="scripted", modes=("messages-tuple",))
    with Client(transport=ScriptedTransport(source, run_answers()), tracing=traced.provider) as client:
        assert list(client.runs.resume(cursor)) == []
    assert events(traced.named("join run")) == []


def test_a_run_is_a_child_of_the_span_in_which_it_was_started_and_is_current_nowhere(traced: Traced) -> None:
    with traced.provider.get_tracer("test").start_as_current_span("mine"):
        run, _ = traced.run_over(*HELLO, outcome="success")
        mine = trace.get_current_span().get_span_context()
        next(run)
        assert trace.get_current_span().get_span_context() == mine
    list(run)
    assert is_child(traced.named("stream run"), traced.named("mine"))


def test_a_joined_run_is_named_so(traced: Traced) -> None:
    transport = Listening(ScriptedSource(HELLO, outcome="success"), run_answers())
    with Client(transport=transport, tracing=traced.provider) as client:
        client.runs.join_stream(THREAD, RUN).wait()
    span = traced.named("join run")
    assert attributes(span)["lgsync.run_id"] == RUN
    assert transport.parents["open 0"] == traceparent(span)


def test_what_is_asked_for_a_run_is_its_child_in_whatever_thread(traced: Traced) -> None:
    run, transport = traced.run_over(chunk("Hello", last=True), stream_mode="messages-tuple")
    reader = threading.Thread(target=run.wait)
    reader.start()
    reader.join(PATIENCE)
    span = traced.named("stream run")
    status, state = (
        traced.named("GET /threads/{thread_id}/runs/{run_id}"),
        traced.named("GET /threads/{thread_id}/state"),
    )
    assert is_child(status, span)
    assert is_child(state, span)
    assert transport.parents[f"GET {RUN_PATH}"] == traceparent(status)
    assert transport.parents[f"GET /threads/{THREAD}/state"] == traceparent(state)


def test_a_stream_that_is_taken_up_again_shows_each_attempt_as_a_child(traced: Traced) -> None:
    gone = ConnectionFailed("refused", url="http://server/x", refused=True)
    cut = ScriptedSource([chunk("a")._replace(id="1"), ConnectionLost("reset", url="http://server/x")])
    rest = ScriptedSource([chunk("a")._replace(id="1"), chunk("b", last=True)._replace(id="2")], outcome="success")
    transport = Listening([cut, gone, rest], run_answers())
    with Client(transport=transport, tracing=traced.provider) as client:
        assert client.runs.stream(THREAD, "agent", input={}, stream_mode="messages-tuple").final_text() == "ab"
    span = traced.named("stream run")
    failed, joined = (span for span in traced.spans if span.name == "rejoin run")
    assert is_child(failed, span)
    assert is_child(joined, span)
    assert [one.status.status_code for one in (span, failed, joined)] == [
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert [transport.parents[f"open {n}"] for n in range(3)] == [traceparent(one) for one in (span, failed, joined)]
    assert attributes(joined)["lgsync.run_id"] == RUN


def test_a_run_that_is_refused_is_an_error_with_its_status(traced: Traced) -> None:
    with (
        RawServer(answer(422, {"detail": "no input"})) as server,
        Client(server.url, tracing=traced.provider) as client,
    ):
        with pytest.raises(LgsyncError):
            client.runs.stream("t", "agent", input={})
    span = traced.named("stream run")
    assert attributes(span)["http.response.status_code"] == 422
    assert (attributes(span)["error.type"], span.status.status_code) == ("422", StatusCode.ERROR)


def test_a_run_whose_opening_is_tried_again_says_how_often(traced: Traced) -> None:
    gone = ConnectionFailed("refused", url="http://server/x", refused=True)
    transport = ScriptedTransport([gone, ScriptedSource(HELLO, outcome="success")], run_answers())
    with Client(transport=transport, tracing=traced.provider) as client:
        client.runs.stream(THREAD, "agent", input={}).wait()
    assert attributes(traced.span)["http.request.resend_count"] == 1


@pytest.mark.parametrize("raise_error", [True, False])
def test_a_run_that_fails_is_an_error(raise_error: bool, traced: Traced) -> None:
    failed = StreamPart("error", {"error": "ValueError", "message": "boom"})
    run, _ = traced.run_over(*HELLO, failed, raise_error=raise_error)
    if raise_error:
        with pytest.raises(RunError):
            run.wait()
    else:
        run.wait()
    assert attributes(traced.span)["lgsync.outcome"] == "error"
    assert attributes(traced.span)["error.type"] == "lgsync.errors.RunError"
    assert traced.span.status.status_code is StatusCode.ERROR
    assert events(traced.span) == ["first_part", "first_token", "exception"]


def test_a_stream_that_is_lost_is_an_error(traced: Traced) -> None:
    run, _ = traced.run_over(chunk("Hel"), ConnectionLost("reset", url="http://server/x"))
    with pytest.raises(StreamLost):
        run.wait()
    run.close()
    assert attributes(traced.span)["error.type"] == "lgsync.errors.StreamLost"
    assert traced.span.status.status_code is StatusCode.ERROR
    assert "lgsync.left_early" not in attributes(traced.span)


def test_a_run_that_is_left_early_is_no_error_and_its_cancelling_is_a_child(traced: Traced) -> None:
    run, _ = traced.run_over(*HELLO)
    with run:
        next(run)
    span = traced.named("stream run")
    found = attributes(span)
    assert (found["lgsync.left_early"], found["lgsync.outcome"]) == (True, "cancelled")
    assert span.status.status_code is StatusCode.UNSET
    cancel = traced.named("POST /threads/{thread_id}/runs/{run_id}/cancel")
    assert is_child(cancel, span)
    assert cancel.end_time is not None
    assert span.end_time is not None
    assert cancel.end_time <= span.end_time


def test_leaving_has_the_last_word_while_a_reader_is_blocked(traced: Traced) -> None:
    release, asked = threading.Event(), threading.Event()

    def cancel() -> Tuple[int, None]:
        asked.set()
        assert release.wait(PATIENCE)
        return 202, None

    source = ScriptedSource([chunk("Hel"), threading.Event()])
    transport = ScriptedTransport(source, {**run_answers(), f"POST {RUN_PATH}/cancel": cancel})
    run = Client(transport=transport, tracing=traced.provider).runs.stream(THREAD, "agent", input={})
    reader, leaver = threading.Thread(target=run.wait), threading.Thread(target=run.close)
    reader.start()
    assert source.waiting.wait(PATIENCE)
    leaver.start()
    assert asked.wait(PATIENCE)
    reader.join(PATIENCE)
    release.set()
    leaver.join(PATIENCE)
    found = attributes(traced.named("stream run"))
    assert (found["lgsync.left_early"], found["lgsync.outcome"]) == (True, "cancelled")


def test_a_run_that_is_detached_has_no_outcome(traced: Traced) -> None:
    run, _ = traced.run_over(*HELLO)
    next(run)
    run.detach()
    assert attributes(traced.span)["lgsync.left_early"] is True
    assert "lgsync.outcome" not in attributes(traced.span)
    assert traced.span.status.status_code is StatusCode.UNSET


def test_a_run_that_is_cancelled_is_not_left(traced: Traced) -> None:
    run, _ = traced.run_over(*HELLO)
    next(run)
    run.cancel()
    run.close()
    found = attributes(traced.named("stream run"))
    assert found["lgsync.outcome"] == "cancelled"
    assert "lgsync.left_early" not in found


def test_a_handle_that_is_let_go_of_ends_its_span(traced: Traced) -> None:
    ended = threading.Event()
    traced.provider.add_span_processor(SimpleSpanProcessor(Announcing("stream run", ended)))
    run, _ = traced.run_over(*HELLO)
    next(run)
    del run
    gc.collect()
    assert ended.wait(PATIENCE)
    assert attributes(traced.named("stream run"))["lgsync.left_early"] is True


class Announcing(InMemorySpanExporter):
    """Sets an event when a span of that name has ended."""

    def __init__(self, name: str, ended: threading.Event) -> None:
        super().__init__()
        self._name, self._ended = name, ended

    def export(self, spans: Sequence[ReadableSpan]) -> Any:
        if any(span.name == self._name for span in spans):
            self._ended.set()
        return super().export(spans)


def test_an_interrupt_while_the_end_is_settled_ends_the_span_too(traced: Traced) -> None:
    failed = StreamPart("error", {"error": "ValueError", "message": "boom"})
    answers = {f"GET /threads/{THREAD}/state": KeyboardInterrupt()}
    run, _ = traced.run_over(failed, answers=answers, stream_mode="messages-tuple")
    with pytest.raises(KeyboardInterrupt):
        run.wait()
    assert attributes(traced.named("stream run"))["lgsync.outcome"] == "error"


def test_an_interrupt_while_the_stream_is_opened_is_leaving_and_no_error(traced: Traced) -> None:
    client = Client(transport=ScriptedTransport([KeyboardInterrupt()]), tracing=traced.provider)
    with pytest.raises(KeyboardInterrupt):
        client.runs.stream(THREAD, "agent", input={})
    assert attributes(traced.span)["lgsync.left_early"] is True
    assert traced.span.status.status_code is StatusCode.UNSET


def test_a_span_ends_once_whoever_says_so(traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
    span = OpenTelemetry(traced.provider).run(joins=False, thread_id="t", assistant_id="a")
    together = threading.Barrier(8)

    def end() -> None:
        together.wait(PATIENCE)
        span.ended("success")

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    span.first_token()
    span.ended(None, ValueError("late"))
    assert attributes(traced.span)["lgsync.outcome"] == "success"
    # The SDK complains of what is told to a span that has ended.
    assert caplog.records == []


def test_a_wait_for_a_run_is_told_call_by_call(traced: Traced) -> None:
    answers = {
        f"POST /threads/{THREAD}/runs": (200, {"run_id": RUN, "thread_id": THREAD}),
        f"GET {RUN_PATH}/join": (200, {"messages": []}),
    }
    with Client(transport=ScriptedTransport(answers=answers), tracing=traced.provider) as client:
        client.runs.wait(THREAD, "agent", input={})
    assert [span.name for span in traced.spans] == [
        "POST /threads/{thread_id}/runs",
        "GET /threads/{thread_id}/runs/{run_id}/join",
    ]


# The wires


def test_a_stream_of_events_is_asked_for_with_the_runs_traceparent(traced: Traced) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.start_stream({"Content-Location": "/threads/t/runs/r"})
        connection.chunk(b'event: error\ndata: {"error": "E", "message": "m"}\n\n')
        connection.end()

    with RawServer(script) as server, Client(server.url, tracing=traced.provider) as client:
        client.runs.stream("t", "agent", input={}, headers={"Traceparent": "mine"}, raise_error=False).wait()
    assert server.requests[0].headers["traceparent"] == traceparent(traced.named("stream run"))


def test_all_that_is_asked_for_a_run_over_a_websocket_carries_its_trace(traced: Traced) -> None:
    tape = Tape()
    with ThreadServer() as server:
        with Client(server.url, transport="websocket", tracing=traced.provider) as client:
            run = client.runs.stream(THREAD, "agent", input={}, on_close="continue")
            peer = server.peer()
            peer.confirm()
            peer.send(tape.running(), *tape.said("m1", "Hello"), tape.completed())
            run.wait()
    span = traced.named("stream run")
    assert peer.asked.headers["traceparent"] == traceparent(span)
    assert [asked.headers["traceparent"] for asked in server.requests_to("POST", "/commands")] == [traceparent(span)]
    assert span.context is not None
    assert {asked.headers["traceparent"][3:35] for asked in server.asked} == {f"{span.context.trace_id:032x}"}


# Asking for it


def test_without_tracing_nobody_is_told_and_nothing_is_sent() -> None:
    with RawServer(answer(200, {"ok": True})) as server, Client(server.url) as client:
        client.ok()
    assert "traceparent" not in server.requests[0].headers


def test_true_without_a_provider_sends_nothing() -> None:
    with RawServer(answer(200, {"ok": True})) as server, Client(server.url, tracing=True) as client:
        client.ok()
    assert "traceparent" not in server.requests[0].headers


@pytest.mark.parametrize("tracing", ["yes", 1, object()])
def test_what_is_no_provider_is_refused(tracing: Any) -> None:
    with pytest.raises(ConfigurationError, match="True, False or a TracerProvider"):
        Client(tracing=tracing)


def test_views_of_a_client_and_copies_by_pickle_are_traced_too(traced: Traced) -> None:
    with RawServer(answer(200, {"ok": True})) as server, Client(server.url, tracing=True) as client:
        with pickle.loads(pickle.dumps(client)) as copy:
            assert isinstance(copy._rest.settings.tracing, OpenTelemetry)
        with Client(server.url, tracing=traced.provider) as mine:
            mine.with_options(timeout=5).ok()
    assert traced.span.name == "GET /ok"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_made_by_fork_is_traced_and_leaves_its_parents_spans_alone(traced: Traced) -> None:
    run, _ = traced.run_over(*HELLO, on_close="continue")
    next(run)
    with RawServer(answer(200, {"ok": True})) as server, Client(server.url, tracing=traced.provider) as client:
        child = os.fork()
        if child == 0:
            run.close()
            del run
            client.ok()
            os._exit([span.name for span in traced.spans] != ["GET /ok"])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.requests[0].headers["traceparent"]
    run.close()
    assert traced.span.name == "stream run"


def said_by(program: str, folder: Path) -> Any:
    """What a program prints, as JSON, in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=folder, check=True, timeout=60)
    return json.loads(done.stdout)


def test_nothing_of_opentelemetry_is_imported_unless_it_is_asked_for(tmp_path: Path) -> None:
    program = """
import json, sys, lgsync
lgsync.Client("http://127.0.0.1:1").close()
lgsync.Client("http://127.0.0.1:1", transport="websocket").close()
print(json.dumps([name for name in sys.modules if name.startswith(("opentelemetry", "lgsync.otel"))]))
"""
    assert said_by(program, tmp_path) == []


def test_without_opentelemetry_the_error_says_what_to_install(tmp_path: Path) -> None:
    program = """
import json, sys, lgsync
sys.modules["opentelemetry"] = None
said = []
for _ in range(2):
    try:
        lgsync.Client(tracing=True)
    except lgsync.ConfigurationError as error:
        said.append(str(error))
print(json.dumps(said))
"""
    assert said_by(program, tmp_path) == ["tracing=… needs OpenTelemetry: pip install 'lgsync[otel]'"] * 2


def test_true_is_the_global_provider_even_if_that_is_set_later(tmp_path: Path) -> None:
    program = """
import json, lgsync
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
with lgsync.Client("http://127.0.0.1:1", tracing=True, retries=0) as client:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    client.ok()
print(json.dumps([span.name for span in exporter.get_finished_spans()]))
"""
    assert said_by(program, tmp_path) == ["GET /ok"]
