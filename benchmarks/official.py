"""What langgraph-sdk's blocking client says to each question; every function is asked in a process of its own.

``runs.stream`` is its stream of raw parts, ``threads.stream`` its session with views of messages, values and so on.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, List, Tuple

from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.errors import NotFoundError

from .long_answer import in_words
from .long_answer import official as long_answer_in_its_ways
from .probing import attempt, collect, held, lines, poll, shortened
from .scenes import (
    ANSWER,
    GREETING,
    LONG,
    NO_THREAD,
    NOWHERE,
    REPEATED,
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


def _start(session: Any, **config: Any) -> None:
    session.run.start(input=GREETING, config={"configurable": config.get("configurable", {})})


def _session(url: str, transport: str, graph: str) -> Any:
    client: Any = get_sync_client(url=url)
    return client.threads.stream(assistant_id=graph, transport=transport)


def _parts(client: Any, graph: str, **options: Any) -> Any:
    thread = client.threads.create()
    return client.runs.stream(thread["thread_id"], graph, input=GREETING, **options)


def live_views(url: str) -> str:
    return each_transport(_live_view, url, "`threads.stream().messages`")


def _live_view(url: str, transport: str) -> str:
    def pieces(tapped_url: str, config: Dict[str, Any]) -> Iterator[str]:
        with _session(tapped_url, transport, "slow") as session:
            _start(session, **config)
            for message in session.messages:
                yield from message.text

    return seen_while_held(url, pieces)


def live_parts(url: str) -> str:
    def parts(tapped_url: str, config: Dict[str, Any]) -> Iterator[Any]:
        with get_sync_client(url=tapped_url) as client:
            for part in _parts(client, "slow", stream_mode="messages-tuple", config=config):
                if part.event == "messages":
                    yield part

    return f"sse: {seen_while_held(url, parts)}"


def second_view(url: str) -> str:
    return each_transport(_second_view, url)


def _second_view(url: str, transport: str) -> str:
    session = _session(url, transport, "agent").__enter__()
    _start(session)
    first = attempt(lambda: list(session.messages), LONG)
    second = attempt(lambda: list(session.values), SHORT)
    return f"`messages` {first.end}, then `values` {second.end}"


def interrupt_value(url: str) -> str:
    return lines(each_transport(_interrupt_in_session, url, "`threads.stream().interrupts`"), _interrupt_in_parts(url))


def _interrupt_in_session(url: str, transport: str) -> str:
    with _session(url, transport, "hitl") as session:
        _start(session)
        attempt(lambda: list(session.messages), LONG)
        poll(lambda: session.interrupts, SHORT)
        values = [interrupt["value"] for interrupt in session.interrupts]
    return f"`{values}`"


def _interrupt_in_parts(url: str) -> str:
    with get_sync_client(url=url) as client:
        parts = list(_parts(client, "hitl", stream_mode="updates"))
    raised = [each["value"] for part in parts for each in (part.data or {}).get("__interrupt__", ())]
    return f"`runs.stream`, in a raw `updates` part: `{raised}`"


def message_types(url: str) -> str:
    return lines(*(_types_in_session(url, graph) for graph in ("agent", "static")), _types_in_parts(url))


def _types_in_session(url: str, graph: str) -> str:
    with get_sync_client(url=url) as client, client.threads.stream(assistant_id=graph) as session:
        _start(session)
        messages = attempt(lambda: [message.output.type for message in session.messages], LONG).value or []
    return f"`threads.stream().messages`, {graph}: {', '.join(messages) or 'none'}"


def _types_in_parts(url: str) -> str:
    with get_sync_client(url=url) as client:
        parts = [part for graph in ("agent", "static") for part in _parts(client, graph, stream_mode="messages-tuple")]
    kinds = dict.fromkeys(part.data[0]["type"] for part in parts if part.event == "messages")
    return f"`runs.stream`, raw, to be put together by the caller: {', '.join(kinds)}"


def failed_run(url: str) -> str:
    return lines(_failed_parts(url), each_transport(_failed_session, url, "`threads.stream`"))


def _failed_parts(url: str) -> str:
    with get_sync_client(url=url) as client:
        events: List[str] = []
        loop = attempt(lambda: events.extend(part.event for part in _parts(client, "err", stream_mode="updates")), LONG)
    return f"`runs.stream`: {loop.end}; its last part is `{events[-1]}`"


def _failed_session(url: str, transport: str) -> str:
    ends = [_failed_messages(url, transport) for _ in range(REPEATED)]
    loops, texts = (sum(raised) for raised in zip(*ends))
    with _session(url, transport, "err") as session:
        run_id = session.run.start(input=GREETING)["run_id"]
        output = attempt(lambda: session.output, LONG)
    return (
        f"the loop over `messages` raised in {loops} of {REPEATED} runs, `str(message.text)` after it in {texts}; "
        f"`output` {output.end}, {naming(output.error, run_id=run_id)}: “{shortened(output.error)}”"
    )


def _failed_messages(url: str, transport: str) -> Tuple[bool, bool]:
    messages: List[Any] = []
    with _session(url, transport, "err") as session:
        _start(session)
        loop = attempt(lambda: collect(session.messages, messages), LONG)
        text = attempt(lambda: [str(message.text) for message in messages], SHORT)
    return loop.error is not None, text.error is not None


def closed_elsewhere(url: str) -> str:
    # One after the other: a descriptor that one closes must not become that of another's socket.
    return lines(
        f"`runs.stream`, its generator's `close()`: {closing(*_blocked_generator(url))}",
        f"`runs.stream`, `client.close()`: {closing(*_blocked_client(url))}",
        each_transport(_close_session, url, "`threads.stream`, `close()`"),
    )


def _close_session(url: str, transport: str) -> str:
    return closing(*_blocked_session(url, transport))


Blocked = Tuple[Callable[[], Any], Callable[[], Any], Callable[[], bool]]


def _blocked_parts(url: str) -> Tuple[Any, Any, List[Any], Callable[[], Any]]:
    client = get_sync_client(url=url)
    seen: List[Any] = []
    parts = _parts(client, "silent", stream_mode="values", config=SILENT)
    return client, parts, seen, lambda: collect(parts, seen)


def _blocked_generator(url: str) -> Blocked:
    _, parts, seen, read = _blocked_parts(url)
    return read, parts.close, lambda: bool(seen)


def _blocked_client(url: str) -> Blocked:
    client, _, seen, read = _blocked_parts(url)
    return read, client.close, lambda: bool(seen)


def _blocked_session(url: str, transport: str) -> Blocked:
    seen: List[Any] = []
    session = _session(url, transport, "silent").__enter__()
    session.run.start(input=GREETING, config=SILENT)
    return lambda: collect(session.values, seen), session.close, lambda: len(seen) > 1


def _warm(url: str) -> None:
    """Load what a client loads on its first call, so that it does not count."""
    get_sync_client(url=url).threads.create()


def wrong_port(url: str) -> str:
    _warm(url)
    tried = attempt(lambda: get_sync_client(url=NOWHERE).threads.create(), LONG)
    return f"{tried.seconds:.2f} s, `{type(tried.error).__name__}`, {naming(tried.error, URL=NOWHERE)}"


def late_server(url: str) -> str:
    _warm(url)
    with late(url) as tap:
        tried = attempt(lambda: get_sync_client(url=tap.url).threads.create(), LONG)
    return f"`threads.create()` {fared(tried, 'succeeded')} after {tried.seconds:.1f} s"


def big_state(url: str) -> str:
    return each_transport(_big_state, url)


def _big_state(url: str, transport: str) -> str:
    with tapped(url) as tap:
        session = _session(tap.url, transport, "big").__enter__()
        _start(session)
        reading = attempt(lambda: max(len(value.get("blob", "")) for value in session.values), LONG)
        got = f"{reading.value:,} bytes of it read" if reading.value else f"{len(tap.heads)} connections made"
    return f"{reading.end}, {got}"


def handshake_key(url: str) -> str:
    with tapped(url) as tap:
        client = get_sync_client(url=tap.url, api_key="secret", headers={"x-tenant": "me"})
        with client.threads.stream(assistant_id="agent", transport="websocket") as session:
            _start(session)
            attempt(lambda: list(session.messages), LONG)
        return in_handshakes(tap, "secret", "x-tenant")


def cut_cleanly(url: str) -> str:
    return _cut(url, cleanly=True)


def cut_off(url: str) -> str:
    return _cut(url, cleanly=False)


def _cut(url: str, *, cleanly: bool) -> str:
    return lines(
        each_transport(functools.partial(_cut_session, cleanly=cleanly), url, "`threads.stream().messages`"),
        *(_cut_parts(url, cleanly, resumable) for resumable in (False, True)),
    )


def _cut_session(url: str, transport: str, *, cleanly: bool) -> str:
    pieces: List[str] = []
    with held(STOP_AFTER, ANSWER) as gate, cutting(url, gate, cleanly=cleanly) as tap:
        session = _session(tap.url, transport, "slow").__enter__()
        _start(session, **gate.config)

        def read() -> None:
            for message in session.messages:
                pieces.extend(message.text)

        reading = attempt(read, LONG)
    return f"{counted(''.join(pieces))}, then {reading.end}"


def _cut_parts(url: str, cleanly: bool, resumable: bool) -> str:
    pieces: List[str] = []
    with held(STOP_AFTER, ANSWER) as gate, cutting(url, gate, cleanly=cleanly) as tap, _warnings() as warned:
        options: Dict[str, Any] = {"stream_mode": "messages-tuple", "config": gate.config}
        parts = _parts(get_sync_client(url=tap.url), "slow", **options, stream_resumable=resumable)
        reading = attempt(lambda: collect(_texts(parts), pieces), LONG)
    name = "`stream_resumable=True`" if resumable else "default"
    told = " and with a Python warning" if warned else ""
    return f"`runs.stream`, {name}: {counted(''.join(pieces))}, then {reading.end}{told}"


@contextlib.contextmanager
def _warnings() -> Iterator[List[Any]]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield warned


def taken_up(url: str) -> str:
    pieces: List[str] = []
    began: Dict[str, Any] = {}
    with held(STOP_AFTER, ANSWER) as gate, get_sync_client(url=url) as client:
        options: Dict[str, Any] = {"stream_mode": "messages-tuple", "stream_resumable": True, "config": gate.config}
        for part in _parts(client, "slow", on_run_created=began.update, **options):
            pieces.extend(_texts([part]))
            if len(pieces) == STOP_AFTER:
                break
        gate.open()
        rest = client.runs.join_stream(began["thread_id"], began["run_id"], last_event_id=part.id)
        joining = attempt(lambda: collect(_texts(rest), pieces), LONG)
    return f"sse: {counted(''.join(pieces))}, then {joining.end}"


def _texts(parts: Iterable[Any]) -> Iterator[str]:
    return (part.data[0]["content"] for part in parts if part.event == "messages")


def pickled(url: str) -> str:
    client = get_sync_client(url=url)
    whole = attempt(lambda: pickle.loads(pickle.dumps(client)), SHORT)
    error = attempt(lambda: client.threads.get(NO_THREAD), SHORT).error
    assert isinstance(error, NotFoundError)
    again = attempt(lambda: pickle.loads(pickle.dumps(error)), SHORT)
    return lines(f"client: {fared(whole, 'restored')}", f"`NotFoundError`: {fared(again, 'restored')}")


def long_answer(url: str) -> str:
    return in_words(long_answer_in_its_ways(url))


def async_client(url: str) -> str:
    return "yes: `get_client`" if hasattr(get_client(url=url), "__aenter__") else "no"


def rest_methods(url: str) -> str:
    return methods_of(get_sync_client(url=url))
