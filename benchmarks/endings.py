"""The ways in which a run's stream ends, each as a function that goes through one and checks what came of it."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from lgsync import Client, DeadlineExceeded, RunError, RunStream

__all__ = ["ENDINGS", "Clients", "go_through"]

TOKENS = 20
WHOLE = "".join(f"s{number} " for number in range(TOKENS))

_INPUT = {"messages": [{"role": "user", "content": "hello"}]}
#: Between two tokens, so that a run that is left has not ended by itself.
_LINGERING = 0.05
_DEADLINE = 1.0


class Clients(NamedTuple):
    """One client to the server itself, and two through proxies that cut a run's first connection, or its first two."""

    direct: Client
    cut_once: Client
    cut_twice: Client
    thread_ids: List[str]

    def delete_threads(self) -> None:
        """Delete what the runs so far have left on the server, which grows slow with it."""
        while self.thread_ids:
            self.direct.threads.delete(self.thread_ids.pop())


def go_through(number: int, clients: Clients) -> None:
    """The ``number``-th run: the endings take turns. Raises AssertionError if it did not end as it should."""
    ending = ENDINGS[number % len(ENDINGS)]
    try:
        ending(clients)
    except Exception as exc:
        raise AssertionError(f"Run {number}, {ending.__name__.strip('_')}: {exc!r}") from exc


def _finished(clients: Clients) -> None:
    with _started(clients) as run:
        _expect("".join(run.text()), WHOLE)
        _expect(run.outcome, "success")


def _read_as_messages(clients: Clients) -> None:
    with _started(clients) as run:
        messages = list(run.messages(completed=True))
        _expect([message.text for message in messages], [WHOLE])
        _expect(run.final_text(), WHOLE)


def _left_early(clients: Clients) -> None:
    with _started(clients, delay=_LINGERING) as run:
        next(run.text())
    _expect(run.outcome, "cancelled")


def _left_going(clients: Clients) -> None:
    with _started(clients, on_close="continue") as run:
        next(run.text())
    _expect(run.outcome, None)


def _let_go_of(clients: Clients) -> None:
    next(_started(clients, delay=_LINGERING).text())


def _cancelled(clients: Clients) -> None:
    with _started(clients, delay=_LINGERING) as run:
        text = run.text()
        next(text)
        run.cancel()
        _expect((list(text), run.outcome), ([], "cancelled"))


def _failed(clients: Clients) -> None:
    with _started(clients, graph="err") as run:
        with contextlib.suppress(RunError):
            run.wait()
        _expect(run.outcome, "error")


def _cut(clients: Clients) -> None:
    with _started(clients, clients.cut_once) as run:
        _expect("".join(run.text()), WHOLE)
        _expect(run.outcome, "success")


def _cut_twice(clients: Clients) -> None:
    with _started(clients, clients.cut_twice) as run:
        _expect("".join(run.text()), WHOLE)
        _expect(run.outcome, "success")


def _detached_and_resumed(clients: Clients) -> None:
    run = _started(clients, delay=_LINGERING)
    text = run.text()
    shown = [next(text) for _ in range(3)]
    with clients.direct.runs.resume(run.detach()) as rest:
        _expect("".join([*shown, *rest.text()]), WHOLE)


def _past_its_deadline(clients: Clients) -> None:
    with _started(clients, graph="silent", deadline=_DEADLINE) as run, contextlib.suppress(DeadlineExceeded):
        run.wait()
    # A busy server may answer the request to cancel later than a client waits for that whose time is up.
    _expect(_status_at_its_end(clients, run), "interrupted")


def _view_abandoned(clients: Clients) -> None:
    with _started(clients) as run:
        next(run.messages())
        parts = iter(run.messages(completed=True))
        _expect(run.wait(), "success")
        del parts


ENDINGS: Tuple[Callable[[Clients], None], ...] = (
    _finished,
    _cut,
    _left_early,
    _detached_and_resumed,
    _cancelled,
    _cut_twice,
    _failed,
    _let_go_of,
    _past_its_deadline,
    _view_abandoned,
    _left_going,
    _read_as_messages,
)


def _started(
    clients: Clients, through: Optional[Client] = None, delay: float = 0.0, *, graph: str = "slow", **options: Any
) -> RunStream:
    pace: Dict[str, Any] = {"configurable": {"tokens": TOKENS, "delay": delay}}
    thread_id = clients.direct.threads.create().thread_id
    clients.thread_ids.append(thread_id)
    return (through or clients.direct).runs.stream(thread_id, graph, input=_INPUT, config=pace, **options)


def _status_at_its_end(clients: Clients, run: RunStream) -> str:
    """The status of a run, once it has ended."""
    clients.direct.runs.join(run.thread_id, run.run_id)
    return str(clients.direct.runs.get(run.thread_id, run.run_id).status)


def _expect(got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"{got!r}, where {expected!r} was due")
