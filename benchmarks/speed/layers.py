"""What each layer takes of an event's cost: the profile behind the rows, by calling the layers one by one.

Each is given what the one below it gives, without any wire, in short rounds of which the fastest counts: whatever else
the machine does, it cannot make one faster.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterable, List

from .findings import Finding
from .frames import run_frames
from .tapes import protocol_events
from .worker import Worker

__all__ = ["costs", "layers"]

_CHUNKS = 400
_ROUNDS, _QUICK_ROUNDS = 300, 30
_MODES = ("messages-tuple", "updates")
# As much as one reading of a socket brings.
_READ = 65536


def layers(_url: str, quick: bool) -> List[Finding]:
    with Worker("speed.layers") as worker:
        told = worker.ask("costs", rounds=_QUICK_ROUNDS if quick else _ROUNDS)
    return [
        Finding(f"one layer alone, CPU per event: {name}", "", f"{cost:.2f} µs", None) for name, cost in told.items()
    ]


def costs(rounds: int) -> Dict[str, float]:
    """By layer, microseconds of CPU for an event; asked of a worker."""
    from lgsync import MessageAccumulator
    from lgsync.codec import decode
    from lgsync.policy import Policy
    from lgsync.transports.chunked import Chunks
    from lgsync.transports.framing import Framer, parse_fields
    from lgsync.transports.protocol import Translator

    body = b"".join(run_frames("text", _CHUNKS, _MODES, True).each)
    reads = [body[at : at + _READ] for at in range(0, len(body), _READ)]
    content = Chunks().feed(body)
    frames = [frame + b"\n\n" for frame in content.replace(b"\r\n", b"\n").split(b"\n\n") if frame]
    texts = [frame.partition(b"data: ")[2].partition(b"\n")[0] for frame in frames]
    parts = Framer().feed(content)
    protocol = [event.data for event in protocol_events("text", _CHUNKS)]
    envelopes = [decode(text) for text in protocol]

    def exactly_once() -> None:
        policy = Policy(budget=60.0, idle=None)
        _do(lambda part: policy.received(part.id), parts)

    def translate() -> None:
        translator = Translator(_MODES)
        _do(lambda envelope: translator.continued(envelope) or translator.feed(envelope), envelopes)

    told: Dict[str, Callable[[], object]] = {
        "the chunks of a body told apart": lambda: _do(Chunks().feed, reads),
        "events cut out and decoded": lambda: Framer().feed(content),
        "all of their JSON decoded, though most of it repeats": lambda: _do(decode, texts),
        "sseclient-py in the place of the cutting": lambda: parse_fields(frames),
        "a frame's JSON decoded, WebSocket": lambda: _do(decode, protocol),
        "a delta translated, WebSocket": translate,
        "told to be the next part": exactly_once,
        "accumulated": lambda: _do(MessageAccumulator().feed, parts),
        "handed to one view": lambda: _hand_out(parts),
    }
    return {name: _fastest(work, rounds) * 1e6 / _CHUNKS for name, work in told.items()}


def _hand_out(parts: List[Any]) -> None:
    from lgsync.fan_out import FanOut

    left = iter(parts)
    stream: FanOut[Any, Any] = FanOut(lambda: next(left, None), lambda part: part, at_hand=lambda: next(left, None))
    for _ in stream.open(lambda part: (part,), tuple, None):
        pass


def _do(work: Callable[[Any], object], each: Iterable[Any]) -> None:
    for one in each:
        work(one)


def _fastest(work: Callable[[], object], rounds: int) -> float:
    took: List[float] = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)
