"""An answer of 3,000 tokens, read in all ways: what came over the wire for it, and what reading it cost."""

from __future__ import annotations

import functools
import time
from typing import Any, Callable, Dict, Optional, Tuple

from .probing import lines
from .scenes import GREETING, TRANSPORTS, tapped

__all__ = ["COMPRESSED", "LONG_ANSWER", "LONG_TOKEN", "in_words", "official", "ours"]

LONG_ANSWER = 3000
COMPRESSED = "websocket as beyond loopback, compressed"
#: A token of eight bytes, with the one ``s`` by which tokens are counted.
LONG_TOKEN = "saluted "

#: By the way of reading: bytes that came, heads included, and seconds of CPU.
Costs = Dict[str, Tuple[int, float]]


def official(url: str, word: Optional[str] = None) -> Costs:
    """In langgraph-sdk's ways; to be asked of a process of its own. Tokens are ``word``, or short and numbered."""
    from langgraph_sdk import get_sync_client

    get_sync_client(url=url).threads.create()  # loads what the first call loads

    def parts(url: str, mode: Any) -> int:
        client = get_sync_client(url=url)
        thread_id = client.threads.create()["thread_id"]
        stream = client.runs.stream(thread_id, "slow", input=GREETING, stream_mode=mode, config=_config(word))
        chunks: Any = [part.data[0] for part in stream if part.event in ("messages", "messages/partial")]
        texts = [str(chunk["content"]) for chunk in chunks]
        return (texts[-1] if mode == "messages" else "".join(texts)).count("s")

    def session(url: str, transport: Any) -> int:
        with get_sync_client(url=url).threads.stream(assistant_id="slow", transport=transport) as opened:
            opened.run.start(input=GREETING, config=_config(word))
            return sum(str(message.text).count("s") for message in opened.messages)

    by_mode = {f'`runs.stream`, `"{mode}"`': _cost(url, parts, mode) for mode in ("messages", "messages-tuple")}
    return {**by_mode, **{f"`threads.stream().messages`, {name}": _cost(url, session, name) for name in TRANSPORTS}}


def ours(url: str, word: Optional[str] = None) -> Costs:
    """In lgsync's ways; to be asked of a process of its own. Tokens are ``word``, or short and numbered."""
    from lgsync import Client
    from lgsync.transports.websocket import WebSocketTransport

    Client(url).threads.create()  # loads what the first call loads

    # Beyond loopback, where frames are compressed; on it they are not.
    over_a_network: Any = functools.partial(WebSocketTransport, compression="deflate")

    def text(url: str, transport: Any) -> int:
        client = Client(url, transport=over_a_network if transport == COMPRESSED else transport)
        thread_id = client.threads.create().thread_id
        with client.runs.stream(thread_id, "slow", input=GREETING, config=_config(word)) as run:
            return "".join(run.text()).count("s")

    return {f"`run.text()`, {way}": _cost(url, text, way) for way in (*TRANSPORTS, COMPRESSED)}


def in_words(costs: Costs) -> str:
    """The cell of a table."""
    return lines(*(f"{way}: {received / 1e6:.2f} MB, {cpu:.1f} s of CPU" for way, (received, cpu) in costs.items()))


def _config(word: Optional[str]) -> Dict[str, Any]:
    return {"configurable": {"tokens": LONG_ANSWER, "delay": 0, **({} if word is None else {"word": word})}}


def _cost(url: str, read: Callable[[str, str], int], way: str) -> Tuple[int, float]:
    with tapped(url) as tap:
        began = time.process_time()
        tokens = read(tap.url, way)
        cpu = time.process_time() - began - tap.cpu
    assert tokens == LONG_ANSWER, f"{way} showed {tokens} tokens"
    return tap.received, cpu
