"""What the threads, greenlets and processes of a crowd each do: one run from end to end, told exactly.

Processes find this module by its name, as they find all of this folder.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any, Dict, List, Tuple

from lgsync import Client, RunStream

TOKENS = 20


def begin(client: Client, number: int, **configurable: Any) -> RunStream:
    """Start a run that says its number in each of its tokens."""
    pace: Dict[str, Any] = {"tokens": TOKENS, "word": f"{number} ", "delay": 0, **configurable}
    given = {"messages": [{"role": "user", "content": f"hello {number}"}]}
    thread_id = client.threads.create().thread_id
    return client.runs.stream(thread_id, "slow", input=given, config={"configurable": pace})


def finish(run: RunStream) -> Tuple[str, List[str]]:
    """Its text as it was streamed, and the texts of its thread's messages."""
    streamed = "".join(run.text())
    return streamed, [message.text for message in run.final_messages()]


def expected(number: int) -> Tuple[str, List[str]]:
    """What :func:`finish` gives for a run of :func:`begin`."""
    said = f"{number} " * TOKENS
    return said, [f"hello {number}", said]


def whole_run(client: Client, number: int) -> Tuple[str, List[str]]:
    with begin(client, number) as run:
        return finish(run)


def tell_whole_run(client: Client, number: int, pipe: Connection) -> None:
    """What a process of its own does: a whole run, told through the pipe."""
    pipe.send(whole_run(client, number))
    pipe.close()


def fails(client: Client, thread_id: str) -> None:
    """Raises RunError."""
    with client.runs.stream(thread_id, "err", input={"messages": [{"role": "user", "content": "hello"}]}) as run:
        run.wait()
