"""A trace goes on to the server with every request, over each transport; the guide to watching runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from wiretap import Wiretap
from witness import GREETING

from lgsync import Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_server_gets_the_trace_with_every_request(transport: str, server_url: str) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with Wiretap(server_url) as tap:
        with Client(tap.url, transport=transport, tracing=provider) as client:
            with provider.get_tracer("test").start_as_current_span("mine"):
                thread_id = client.threads.create().thread_id
                with client.runs.stream(thread_id, "agent", input=GREETING) as run:
                    assert run.final_text()
                    run.result()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    mine, streamed = spans["mine"].context, spans["stream run"]
    assert mine is not None
    assert streamed.context is not None
    sent = {f"{request.method} {request.path}": request.headers["traceparent"].split("-") for request in tap.requests}
    assert {trace_id for _, trace_id, _, _ in sent.values()} == {f"{mine.trace_id:032x}"}

    opened = {
        "sse": [f"POST /threads/{thread_id}/runs/stream"],
        "websocket": [f"GET /threads/{thread_id}/stream/events", f"POST /threads/{thread_id}/commands"],
    }
    assert {sent[request][2] for request in opened[transport]} == {f"{streamed.context.span_id:016x}"}
    state = spans["GET /threads/{thread_id}/state"]
    assert state.context is not None
    assert state.parent == streamed.context
    assert sent[f"GET /threads/{thread_id}/state"][2] == f"{state.context.span_id:016x}"

    told = dict(streamed.attributes or {})
    assert (told["lgsync.outcome"], told["lgsync.run_id"], told["lgsync.thread_id"]) == (
        "success",
        run.run_id,
        thread_id,
    )
    assert 0 < float(str(told["lgsync.time_to_first_part"])) <= float(str(told["lgsync.time_to_first_token"]))


def programs(page: str) -> List[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_every_program_of_the_guide_to_watching_runs(server_url: str, tmp_path: Path) -> None:
    pasted = "\n".join(programs("docs/observing.md")).replace("http://localhost:2024", server_url)
    command = [sys.executable, "-c", f"{pasted}\nclient.close()\n"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, text=True, check=True, timeout=60)
    assert done.stdout.startswith("tok0 tok1 tok2 tok3 tok4 tok5 ")
    assert '"name": "stream run"' in done.stdout
    opened = rf"DEBUG lgsync: POST {server_url}/threads/\S+/runs/stream -> 200 in \d+\.\d ms, run \S+\n"
    assert re.search(opened, done.stderr)
