"""Typical user code, checked by mypy and pyright against the installed package; it is never run."""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Tuple

from lgsync import Client, Delta, Message, MessageAccumulator, RunStream, StreamPart
from lgsync.models import Interrupt, Run, Thread, ThreadState
from lgsync.testing import Cut, Fault, FaultProxy, Pass, Request, Stall, Status

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
