"""What lgsync says to each question; every function is asked in a process of its own."""

from __future__ import annotations

import functools
import pickle
from typing import Any, Dict, Iterator, List

import lgsync
from lgsync import Client, NotFoundError, RunError, RunStream, StreamLost

from .long_answer import in_words
from .long_answer import ours as long_answer_in_our_ways
from .probing import attempt, collect, held, lines
from .scenes import (
    ANSWER,
    GREETING,
    LONG,
    NO_THREAD,
    NOWHERE,
    SHORT,
    SILENT,
    STOP_AFTER,
    closing,
    counted,
    cutting,
    each_transport,
    fared,
    in_handshakes,
    late,
    methods_of,
    naming,
    seen_while_held,
    tapped,
)


def _stream(url: str, transport: str, graph: str, **options: Any) -> RunStream:
    client = Client(url, transport=transport)
    return client.runs.stream(client.threads.create().thread_id, graph, input=GREETING, **options)


def live_views(url: str) -> str:
    return each_transport(_live_view, url, "`run.text()`")


def _live_view(url: str, transport: str) -> str:
    return seen_while_held(url, lambda tapped_url, config: _stream(tapped_url, transport, "slow", config=config).text())


def live_parts(url: str) -> str:
    return each_transport(_live_parts, url)


def _live_parts(url: str, transport: str) -> str:
    def parts(tapped_url: str, config: Dict[str, Any]) -> Iterator[Any]:
        run = _stream(tapped_url, transport, "slow", config=config, stream_mode="messages-tuple")
        return (part for part in run if part.event == "messages")

    return seen_while_held(url, parts)


def second_view(url: str) -> str:
    return each_transport(_second_view, url)


def _second_view(url: str, transport: str) -> str:
    run = _stream(url, transport, "agent", stream_mode=["messages-tuple", "values"])
    first = attempt(lambda: list(run.messages()), LONG)
    second = attempt(lambda: list(run.values()), SHORT)
    return f"`messages()` {first.end}, then `values()` {second.end}"


def interrupt_value(url: str) -> str:
    return each_transport(_interrupt_value, url, "`run.interrupts`")


def _interrupt_value(url: str, transport: str) -> str:
    with _stream(url, transport, "hitl") as run:
        run.wait()
        return f"`{[interrupt.value for interrupt in run.interrupts]}`"


def message_types(url: str) -> str:
    return each_transport(_message_types, url)


def _message_types(url: str, transport: str) -> str:
    types = []
    for graph in ("agent", "static"):
        with _stream(url, transport, graph) as run:
            ended = [message.type for message in run.messages() if message.status == "complete"]
            types.append(f"{graph}: {', '.join(ended)}")
    return "; ".join(types)


def failed_run(url: str) -> str:
    return each_transport(_failed_run, url)


def _failed_run(url: str, transport: str) -> str:
    with _stream(url, transport, "err") as run:
        loop = attempt(lambda: list(run.messages()), LONG)
        assert isinstance(loop.error, RunError)
        return f"{loop.end}, {naming(loop.error, run_id=run.run_id, thread_id=run.thread_id)}: “{loop.error.detail}”"


def closed_elsewhere(url: str) -> str:
    return each_transport(_closed_elsewhere, url, "`run.close()`")


def _closed_elsewhere(url: str, transport: str) -> str:
    run = _stream(url, transport, "silent", config=SILENT)
    seen: List[Any] = []
    return closing(lambda: collect(run, seen), run.close, lambda: bool(seen))


def _warm(url: str) -> None:
    """Load what a client loads on its first call, so that it does not count."""
    Client(url).threads.create()


def wrong_port(url: str) -> str:
    _warm(url)
    tried = attempt(lambda: Client(NOWHERE).threads.create(), LONG)
    return f"{tried.seconds:.2f} s, `{type(tried.error).__name__}`, {naming(tried.error, URL=NOWHERE)}"


def late_server(url: str) -> str:
    _warm(url)
    with late(url) as tap:
        tried = attempt(lambda: Client(tap.url).threads.create(), LONG)
    return f"`threads.create()` {fared(tried, 'succeeded')} after {tried.seconds:.1f} s"


def big_state(url: str) -> str:
    return each_transport(_big_state, url)


def _big_state(url: str, transport: str) -> str:
    with tapped(url) as tap:
        run = _stream(tap.url, transport, "big", stream_mode="values")
        reading = attempt(lambda: max(len(value.get("blob", "")) for value in run.values()), LONG)
        got = f"{reading.value:,} bytes of it read" if reading.value else f"{len(tap.heads)} connections made"
    return f"{reading.end}, {got}"


def handshake_key(url: str) -> str:
    with tapped(url) as tap:
        client = Client(tap.url, transport="websocket", api_key="secret", headers={"x-tenant": "me"})
        client.runs.stream(client.threads.create().thread_id, "agent", input=GREETING).wait()
        return in_handshakes(tap, "secret", "x-tenant")


def cut_cleanly(url: str) -> str:
    return each_transport(functools.partial(_cut, cleanly=True), url, "`run.text()`")


def cut_off(url: str) -> str:
    return each_transport(functools.partial(_cut, cleanly=False), url, "`run.text()`")


def _cut(url: str, transport: str, *, cleanly: bool) -> str:
    pieces: List[str] = []
    with held(STOP_AFTER, ANSWER) as gate, cutting(url, gate, cleanly=cleanly) as tap:
        run = _stream(tap.url, transport, "slow", config=gate.config, on_close="continue")
        reading = attempt(lambda: pieces.extend(run.text()), LONG)
    named = f", {naming(reading.error, run_id=run.run_id, thread_id=run.thread_id)}" if reading.error else ""
    return f"{counted(''.join(pieces))}, then {reading.end}{named}"


def taken_up(url: str) -> str:
    return each_transport(_taken_up, url)


def _taken_up(url: str, transport: str) -> str:
    pieces: List[str] = []
    with held(STOP_AFTER, ANSWER) as gate, cutting(url, gate, cleanly=False) as tap:
        run = _stream(tap.url, transport, "slow", config=gate.config, on_close="continue")
        lost = attempt(lambda: collect(run.text(), pieces), LONG).error
        assert isinstance(lost, StreamLost)
        assert lost.thread_id is not None
        assert lost.run_id is not None
        rest = Client(url, transport=transport).runs.join_stream(
            lost.thread_id, lost.run_id, last_event_id=lost.position
        )
        joining = attempt(lambda: collect(rest.text(), pieces), LONG)
    return f"{counted(''.join(pieces))}, then {joining.end}"


def pickled(url: str) -> str:
    client = Client(url)
    whole = attempt(lambda: pickle.loads(pickle.dumps(client)).threads.create(), SHORT)
    error = attempt(lambda: client.threads.get(NO_THREAD), SHORT).error
    assert isinstance(error, NotFoundError)
    again = attempt(lambda: pickle.loads(pickle.dumps(error)), SHORT)
    return lines(f"client: {fared(whole, 'restored')}", f"`NotFoundError`: {fared(again, 'restored')}")


def long_answer(url: str) -> str:
    return in_words(long_answer_in_our_ways(url))


def async_client(_url: str) -> str:
    return "yes" if any(hasattr(getattr(lgsync, name), "__aenter__") for name in lgsync.__all__) else "no"


def rest_methods(url: str) -> str:
    return methods_of(Client(url))
