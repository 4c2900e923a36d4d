"""What is asked, in the order of the table: each row is a function of that name in ``official`` and in ``ours``."""

from __future__ import annotations

from typing import Dict

from .long_answer import LONG_ANSWER
from .scenes import ANSWER, HELD_SECONDS, SHORT, STOP_AFTER

__all__ = ["ROWS"]

ROWS: Dict[str, str] = {
    "live_views": f"pieces of text shown by a plain `for` over messages while the model pauses for {HELD_SECONDS:g} s "
    f"after {STOP_AFTER} of {ANSWER} tokens",
    "live_parts": 'raw `messages` parts shown at that point (`runs.stream`, `stream_mode="messages-tuple"`)',
    "message_types": "messages of a run with a tool call (agent), and of one whose nodes make messages (static)",
    "second_view": f"a second view, read when the first has ended (limit {SHORT:g} s)",
    "interrupt_value": "the value of an interrupt `{'q': 'ok?'}`",
    "failed_run": "a run whose model fails half way",
    "cut_cleanly": f"a proxy ends the stream in good order after {STOP_AFTER} of {ANSWER} tokens; the run goes on",
    "cut_off": f"the connection breaks after {STOP_AFTER} of {ANSWER} tokens; the run goes on",
    "taken_up": f"left after {STOP_AFTER} of {ANSWER} tokens, taken up with `runs.join_stream(last_event_id=…)`",
    "closed_elsewhere": f"closed by another thread while its reader waits (limit {SHORT:g} s)",
    "wrong_port": "nothing listens at the URL",
    "late_server": "the server begins to listen after 1 s",
    "big_state": "a state of 1.5 MB",
    "handshake_key": "`api_key` and a header of the client's in the WebSocket's handshake",
    "pickled": "`pickle.loads(pickle.dumps(…))`",
    "long_answer": f"an answer of {LONG_ANSWER:,} tokens: bytes received, CPU of the client",
    "async_client": "an asyncio client",
    "rest_methods": "public methods for the REST API",
}
