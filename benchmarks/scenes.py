"""What both clients are asked with: the same graphs, lengths, limits and disturbances of the wire."""

from __future__ import annotations

import functools
import re
import socket
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, Optional

from .probing import Attempt, Gate, at_once, attempt, collect, held, lines, poll
from .tap import Cut, Tap, Watch

TRANSPORTS = ("sse", "websocket")
GREETING = {"messages": [{"role": "user", "content": "hello"}]}
#: Tokens of the answer whose model is held (for how long a loop is watched meanwhile) or whose stream is cut.
ANSWER = 20
STOP_AFTER = 10
HELD_SECONDS = 3.0
#: How often what does not go alike every time is repeated.
REPEATED = 5
#: Seconds after which a step that should have ended at once has hung, and one that may take its time.
SHORT = 5.0
LONG = 12.0
#: A run that says nothing for longer than anybody waits here.
SILENT: Dict[str, Any] = {"configurable": {"seconds": 12}}
NO_THREAD = "00000000-0000-4000-8000-000000000000"
_LATE_SECONDS = 1.0

_LAST_TOKEN = f"s{STOP_AFTER - 1} ".encode()

RESOURCES = ("assistants", "threads", "runs", "crons", "store")


def _nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


#: A URL at which nothing listens.
NOWHERE = _nowhere()


def tapped(url: str) -> Tap:
    return Tap(url)


def late(url: str) -> Tap:
    """A server that begins to listen a second from now."""
    return Tap(url, deaf_seconds=_LATE_SECONDS)


def cutting(url: str, gate: Gate, *, cleanly: bool) -> Tap:
    """A server whose first stream ends after the tokens that the gate lets through; the model then goes on."""
    return Tap(url, watch=Cut(_LAST_TOKEN, gate.open, cleanly=cleanly))


def seen_while_held(url: str, open_stream: Callable[[str, Dict[str, Any]], Iterable[Any]]) -> str:
    """How many pieces a loop has shown while the model pauses, its last token being on this machine already."""
    seen: List[Any] = []
    arrived = threading.Event()
    with held(STOP_AFTER, ANSWER) as gate, Tap(url, watch=Watch(_LAST_TOKEN, arrived.set)) as tap:
        reading = attempt(lambda: collect(open_stream(tap.url, gate.config), seen), LONG, wait=False)
        assert arrived.wait(LONG), "the model did not speak"
        poll(lambda: len(seen) >= STOP_AFTER, HELD_SECONDS)
        before = len(seen)
        gate.open()
        reading.wait()
    return f"{before} of {STOP_AFTER}"


def counted(text: str) -> str:
    """How much of the answer a text holds."""
    tokens = [f"s{number} " for number in range(ANSWER)]
    found = re.findall(r"s\d+ ", text)
    exact = found == tokens[: len(found)] and "".join(found) == text
    return f"{len(found)} of {ANSWER} tokens" + ("" if exact else ", not the right ones")


def naming(error: Optional[BaseException], **names: Optional[str]) -> str:
    """Which of these an error's text names, and which it does not."""
    said = [(what, value is not None and value in str(error)) for what, value in names.items()]
    does, does_not = ([what for what, named in said if named is wanted] for wanted in (True, False))
    told = [f"naming {' and '.join(does)}"] if does else []
    return ", ".join(told + [f"not naming {' or '.join(does_not)}"] * bool(does_not))


def fared(tried: Attempt, well: str) -> str:
    """How a call went that is not a loop; ``well`` says what it did if it did."""
    return well if tried.returned and tried.error is None else tried.end


def closing(read: Callable[[], Any], close: Callable[[], Any], begun: Callable[[], bool]) -> str:
    """Close from this thread what another reads, and say what became of that reader."""
    reading = attempt(read, SHORT, wait=False)
    assert poll(begun, LONG), "the run did not begin"
    assert not reading.returned, "the run ended before it could be closed"
    began = time.monotonic()
    made = attempt(close, SHORT)
    reading.wait()
    refused = f"raised `{type(made.error).__name__}`; " if made.error else ""
    took = f" after {reading.ended_at - began:.1f} s" if reading.returned else ""
    return f"{refused}the reader {reading.end}{took}"


def each_transport(ask: Callable[[str, str], str], url: str, what: str = "") -> str:
    """What a client does over each transport; both are asked at the same time, and told once if they agree."""
    answers = at_once(*(functools.partial(ask, url, transport) for transport in TRANSPORTS))
    over: Dict[str, List[str]] = {}
    for transport, answer in zip(TRANSPORTS, answers):
        over.setdefault(answer, []).append(transport)
    name = f"{what}, " if what else ""
    return lines(*(f"{name}{' and '.join(transports)}: {answer}" for answer, transports in over.items()))


def in_handshakes(tap: Tap, key: str, header: str) -> str:
    """Which of a client's headers were in the handshakes of its WebSockets."""
    heads = [head.decode("latin-1").lower() for head in tap.heads if b"upgrade: websocket" in head.lower()]
    assert heads, "no WebSocket was opened"
    with_key = sum(f"x-api-key: {key}" in head for head in heads)
    with_header = sum(f"{header}:" in head for head in heads)
    return f"key in {with_key} of {len(heads)} handshakes, header in {with_header} of {len(heads)}"


def methods_of(client: Any) -> str:
    """How many public methods each resource of a client has."""
    counts = {name: _public(getattr(client, name)) for name in RESOURCES if hasattr(client, name)}
    return f"{sum(counts.values())}: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def _public(resource: Any) -> int:
    return sum(
        callable(getattr(resource, name)) for name in dir(resource) if not name.startswith("_") and name != "http"
    )
