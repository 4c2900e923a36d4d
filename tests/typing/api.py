"""Typical user code, checked by mypy and pyright against the installed package; it is never run."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from threading import Event
from typing import Any, Iterator, List, Optional, Tuple

from pydantic import BaseModel

from lgsync import (
    Client,
    Delta,
    Message,
    MessageAccumulator,
    RunDefaults,
    RunStream,
    StreamPart,
    get_sync_client,
)
from lgsync.models import Assistant, Interrupt, Run, ServerInfo, Thread, ThreadState
from lgsync.schema import StreamPartV2
from lgsync.testing import (
    Cut,
    Fault,
    FaultProxy,
    FaultProxyFixture,
    LangGraphServerFixture,
    Pass,
    ReceivedRequest,
    Recording,
    RecordingFixture,
    RecordingTransport,
    ReplayTransport,
    Request,
    ScriptedServer,
    Stall,
    Status,
    Step,
    calls_tool,
    cuts,
    error,
    interrupt,
    says,
    sets,
    wait,
)
from lgsync.testing import part as raw_part

client = Client("http://localhost:2024", transport="websocket", api_key=None, timeout=(5, None))
thread: Thread = client.threads.create(metadata={"user": "a"})
thread_id: str = thread.thread_id
state: ThreadState = client.threads.get_state(thread_id)
runs: List[Run] = client.runs.list(thread_id)

with client.runs.stream(thread_id, "agent", input={"messages": []}, stream_mode=["messages", "custom"]) as run:
    handle: RunStream = run
    for message in run.messages(completed=True, namespaces=("child",)):
        snapshot: Message = message
        delta: Delta = message.delta
        text: str = message.text + delta.text
    pieces: Iterator[str] = run.text()
    pairs: Iterator[Tuple[str, Any]] = run.views("messages", "custom")
    answer: Optional[Message] = run.final_message()
    final: str = run.final_text()
    interrupts: List[Interrupt] = run.interrupts
    outcome: Optional[str] = run.outcome

for part in client.runs.stream(None, "agent"):
    event: str = part.event
    whole: StreamPart = part


class MyState(BaseModel):
    count: int


moved: Client = get_sync_client(url="http://localhost:2024", api_key="k", headers={"a": "b"}, timeout=3.0)
bare = Client(run_defaults=RunDefaults(stream_mode=["values", "custom"], on_close="continue"), retries=3)
for dictionary in moved.runs.stream(thread_id, "agent", input={}, stream_mode="values", version="v2"):
    typed_part: StreamPartV2 = dictionary
    namespace: List[str] = dictionary["ns"]
with moved.runs.stream(thread_id, "agent", context={"a": 1}, on_run_created=print, durability="exit") as values_run:
    states: Iterator[MyState] = values_run.values(MyState)
    result: MyState = values_run.result(MyState)
waited: MyState = moved.runs.wait(thread_id, "agent", input={}, model=MyState, multitask_strategy="reject")
anything: Any = moved.runs.wait(thread_id, "agent", input={})
joined: MyState = moved.runs.join(thread_id, "run", model=MyState)
of_mine: ThreadState[MyState] = moved.threads.get_state(thread_id, model=MyState)
counted: int = of_mine.values.count
view: Client = moved.with_options(headers={"x-tenant": "a"}, timeout=5)
server: ServerInfo = view.info()
well: bool = view.ok()
every: Iterator[Run] = view.runs.iter(thread_id, status="success")
found: List[Assistant] = view.assistants.search(graph_id="agent", sort_by="name", sort_order="asc")
since: Optional[datetime] = found[0].created_at

accumulator = MessageAccumulator()
changed: List[Message] = accumulator.feed(StreamPart("messages", [{}, {}]))

with FaultProxy("http://localhost:2024") as proxy:
    proxy.script(Cut(after_events=3, how="rst"), Pass(), Stall(2.0, after_text=b"data", offset=1))
    proxy.script(Status(503, {"Retry-After": "1"}), match=lambda request: request.method == "GET", repeat=True)
    through = Client(proxy.url)
    proxy.wait_until(lambda: len(proxy.streams) == 1, timeout=5)
    cut: int = proxy.cut_all("eof", code=1012)
    seen: List[Request] = proxy.requests
    struck: List[Fault] = proxy.happened

recorder = Client(transport=partial(RecordingTransport, inner="websocket", path="run.jsonl"))
replay = Client(transport=partial(ReplayTransport, path="run.jsonl", speed=10.0, cut_after=[3, None], corrupt_after=1))


def test_with_fixtures(
    recording: RecordingFixture,
    langgraph_server: LangGraphServerFixture,
    fault_proxy: FaultProxyFixture,
    scripted_server: ScriptedServer,
) -> Tuple[Client, Client, FaultProxy, List[ReceivedRequest]]:
    answer: Recording = recording("answer", graph={"agent": "./my_agent.py:graph"})
    mine: Client = answer.client("http://localhost:2024", transport="websocket", api_key=None)
    built = Client(transport=answer.transport("sse", cut_after=3))
    url: str = langgraph_server(graph="./my_agent.py:graph", env={"A": "b"}).url
    greeting: Step = says("Hello", " world", usage={"input_tokens": 1})
    scripted_server.script(greeting, calls_tool("search", {"q": 1}, result="54F"), sets(topic="a"), cuts())
    scripted_server.script(raw_part("custom", 1), wait(Event(), timeout=5), interrupt("sure?"), repeat=True)
    scripted_server.script(error("ValueError", "no"))
    return mine, built, fault_proxy(url), scripted_server.requests
