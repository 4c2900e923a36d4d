"""Runs watched through a proxy that breaks their connections, and what must be true of what was seen."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from normal_form import normal
from witness import (
    GREETING,
    Witnessed,
    assert_deltas_are_the_text,
    assert_each_ends_once,
    assert_equals_the_state,
    assert_nothing_old_is_shown,
    assert_shown_in_order,
)

from lgsync import Client, Message, RunError, StreamLost, StreamPart
from lgsync.testing import Fault, FaultProxy

__all__ = ["MODES", "Matrix", "Watched", "loses", "messages_are_the_threads", "tells_each_part_once", "watch_broken"]

#: Streams are asked for messages and for what shows where a step ended; the protocol has no updates.
MODES: Dict[str, List[str]] = {"sse": ["messages-tuple", "updates"], "websocket": ["messages-tuple", "values"]}

#: A run that takes longer than this hangs.
DEADLINE = 75.0

_START = re.compile(r"POST /threads/[^/]+/(runs/stream|commands)")


class Watched(NamedTuple):
    """A run as it was seen through a broken network, and what the server itself holds of it.

    ``lost`` are the errors that said that parts are gone, each with the number of parts that came before it;
    ``replay`` is what the server kept, ``happened`` are the faults that struck, ``starts`` is how often it was started.
    """

    parts: List[StreamPart]
    lost: List[Tuple[int, StreamLost]]
    seen: Witnessed
    replay: List[StreamPart]
    happened: List[Fault]
    starts: int

    @property
    def outcome(self) -> Optional[str]:
        return self.seen.outcome


def watch_broken(
    url: str,
    transport: str,
    graph: str,
    *faults: Fault,
    kept: bool = True,
    late: bool = False,
    pace: Optional[Dict[str, Any]] = None,
    **client: Any,
) -> Watched:
    """Run ``graph`` while the first streams suffer ``faults``; with ``late``, read only when the run has ended.

    Nothing waits for more than DEADLINE seconds. Fails if the run was not started exactly once.
    """
    with FaultProxy(url) as proxy, Client(url, transport=transport, deadline=DEADLINE) as direct:
        proxy.script(*faults)
        thread_id = direct.threads.create().thread_id
        options: Dict[str, Any] = {} if kept else {"stream_resumable": False}
        with Client(proxy.url, **{"transport": transport, "reconnect": 30.0, "deadline": DEADLINE, **client}) as broken:
            options.update(input=GREETING, stream_mode=MODES[transport], config={"configurable": pace or {}})
            with broken.runs.stream(thread_id, graph, **options) as run:
                parts, changes, lost, failure = _both_views(run, (lambda: _ended(url, run)) if late else None)
        replay = _replay(direct, transport, run) if kept else []
        stored = list((direct.threads.get_state(thread_id).values or {}).get("messages", []))
        seen = Witnessed(changes, run.outcome, failure, run.interrupts, thread_id, stored[:1], stored)
        starts = sum(_START.match(str(request)) is not None for request in proxy.requests)
        watched = Watched(parts, lost, seen, replay, proxy.happened, starts)
        assert watched.starts == 1
        return watched


def _both_views(
    run: Any, pause: Optional[Callable[[], None]]
) -> Tuple[List[StreamPart], List[Message], List[Tuple[int, StreamLost]], Optional[RunError]]:
    """Raw parts and messages, read together to the end; where parts are gone, on after that."""
    parts: List[StreamPart] = []
    changes: List[Message] = []
    lost: List[Tuple[int, StreamLost]] = []
    views = run.views("parts", "messages")
    while True:
        try:
            for name, item in views:
                (parts if name == "parts" else changes).append(item)
                if pause is not None:
                    pause()
                    pause = None
            return parts, changes, lost, None
        except StreamLost as exc:
            if len(lost) == 100:
                raise
            lost.append((len(parts), exc))
        except RunError as exc:
            return parts, changes, lost, exc


def _ended(url: str, run: Any) -> None:
    with Client(url, deadline=DEADLINE) as other:
        other.runs.join(run.thread_id, run.run_id)


def _replay(direct: Client, transport: str, run: Any) -> List[StreamPart]:
    # Asked for its modes by name, the run stream would leave out what belongs to none.
    modes = None if transport == "sse" else MODES[transport]
    with direct.runs.join_stream(run.thread_id, run.run_id, stream_mode=modes) as joined:
        return list(joined)


# -- what must be true ---------------------------------------------------------------------------------------------


def tells_each_part_once(watched: Watched) -> str:
    """Every part came, once, in order; and the messages are the thread's."""
    assert watched.lost == []
    assert _bare(watched.parts) == _bare(watched.replay)
    messages_are_the_threads(watched.seen)
    _complete_means_complete(watched.seen)
    return f"all {len(watched.parts)} parts once, in order"


def loses(watched: Watched, times: int = 1) -> str:
    """So many times it was said that parts are gone, what came is in order; and the messages are the thread's."""
    assert len(watched.lost) == times, watched.lost
    for _, error in watched.lost:
        assert (error.thread_id, bool(error.run_id), bool(error.cursor)) == (watched.seen.thread_id, True, True)
    bare = _bare(watched.parts)
    assert not [part for number, part in enumerate(bare) if part in bare[:number]], "some parts came twice"
    _texts_are_in_order(watched)
    messages_are_the_threads(watched.seen)
    _complete_means_complete(watched.seen)
    healed = any(message.source == "state" for message in watched.seen.changes)
    return f"StreamLost, then on; messages {'healed from the state' if healed else 'whole'}"


def _bare(parts: Iterable[StreamPart]) -> List[Tuple[str, Any]]:
    return [(part.event, part.data) for part in parts]


def messages_are_the_threads(seen: Witnessed) -> None:
    """Each message ends once, as the thread holds it, and its deltas are its text."""
    assert_each_ends_once(seen)
    assert_deltas_are_the_text(seen)
    assert_equals_the_state(seen)
    assert_shown_in_order(seen)
    assert_nothing_old_is_shown(seen)


def _complete_means_complete(seen: Witnessed) -> None:
    stored = {message["id"]: normal(message) for message in seen.new}
    for message in seen.changes:
        if message.status == "complete":
            assert normal(message.to_dict()) == stored[message.id], "told as complete, and it was not"


def _texts_are_in_order(watched: Watched) -> None:
    """The chunks that came of each message stand in its text one after the other."""
    stored = {message["id"]: message["content"] for message in watched.seen.new}
    reached = dict.fromkeys(stored, 0)
    for part in watched.parts:
        if part.kind != "messages":
            continue
        id_, text = part.data[0]["id"], part.data[0]["content"]
        place = stored[id_].find(text, reached[id_])
        assert place >= 0, f"{text!r} does not come after what came before it"
        reached[id_] = place + len(text)


# -- many at once --------------------------------------------------------------------------------------------------


#: By column and number: what asserts a run, and says what became of it.
Cells = Mapping[Tuple[str, Any], Callable[[], str]]


class Matrix:
    """What became of each cell: by row, by column, and over how many runs."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._rows: Dict[str, Dict[str, Counter[str]]] = {}

    @property
    def cells(self) -> int:
        """How many runs were asserted."""
        return sum(sum(told.values()) for row in self._rows.values() for told in row.values())

    def fill(self, row: str, cells: Cells, *, threads: int, seconds: float) -> None:
        """Make the cells of one row, each of a column and a number; raises AssertionError with all that failed."""
        with ThreadPoolExecutor(threads) as pool:
            futures = {key: pool.submit(call) for key, call in cells.items()}
            wait(futures.values(), timeout=seconds)
            assert all(future.done() for future in futures.values()), f"some take longer than {seconds} s"
        failed = {key: future.exception() for key, future in futures.items() if future.exception() is not None}
        told = self._rows.setdefault(row, defaultdict(Counter))
        for key, future in futures.items():
            error = failed.get(key)
            told[key[0]][future.result() if error is None else f"FAILED: {error!r}"[:200]] += 1
        assert not failed, "\n".join(f"{row}, {' '.join(map(str, key))}: {error!r}" for key, error in failed.items())

    def markdown(self) -> str:
        """The table; a number before an outcome says how many runs of the cell came to it, if there were several."""
        lines = ["| fault | " + " | ".join(self._columns) + " |", "|---" * (len(self._columns) + 1) + "|"]
        for row, told in self._rows.items():
            lines.append("| " + " | ".join([row, *(_counted(told[column]) for column in self._columns)]) + " |")
        return "\n".join(lines)


def _counted(told: Mapping[str, int]) -> str:
    several = sum(told.values()) > 1
    return "; ".join(f"{number} x {outcome}" if several else outcome for outcome, number in told.items())
