"""Helpers for testing an app: a server that says what a test tells it to, recordings, and bad networks.

:class:`ScriptedServer` plays scripts in place of graphs; :class:`RecordingTransport` writes down what an app and a real
server said, and :class:`ReplayTransport` plays that without one; :class:`FaultProxy` stands between a client and a real
server and breaks connections. In pytest there are fixtures for each: ``scripted_server``, ``recording``,
``fault_proxy``, and ``langgraph_server``, which starts the real in-memory server::

    from lgsync.testing import says

    def test_the_answer_is_shown(scripted_server):
        scripted_server.script(says("Hello", " world"))
        assert my_app(Client(scripted_server.url)) == "Hello world"

What stands here needs nothing but the standard library and what ``lgsync`` itself needs, and ``lgsync`` never imports
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..transports.recording import RecordingTransport
    from ..transports.replay import ReplayTransport
    from .faults import Corrupt, Cut, Delay, Fault, HalfOpen, Pass, PlacedFault, Refuse, Stall, Status, Throttle
    from .fixtures import FaultProxyFixture, LangGraphServerFixture, RecordingFixture
    from .proxy import FaultProxy
    from .recordings import Recording
    from .script import Request, is_stream
    from .scripted_server import ReceivedRequest, ScriptedServer
    from .steps import Script, Step, calls_tool, cuts, error, interrupt, part, says, sets, wait

__all__ = [
    "Corrupt",
    "Cut",
    "Delay",
    "Fault",
    "FaultProxy",
    "FaultProxyFixture",
    "HalfOpen",
    "LangGraphServerFixture",
    "Pass",
    "PlacedFault",
    "ReceivedRequest",
    "Recording",
    "RecordingFixture",
    "RecordingTransport",
    "Refuse",
    "ReplayTransport",
    "Request",
    "Script",
    "ScriptedServer",
    "Stall",
    "Status",
    "Step",
    "Throttle",
    "calls_tool",
    "cuts",
    "error",
    "interrupt",
    "is_stream",
    "part",
    "says",
    "sets",
    "wait",
]

# Each is imported when it is first asked for: every run of pytest loads the plugin, whatever it tests.
_HOMES = {
    "FaultProxy": ".proxy",
    "FaultProxyFixture": ".fixtures",
    "LangGraphServerFixture": ".fixtures",
    "ReceivedRequest": ".scripted_server",
    "Recording": ".recordings",
    "RecordingFixture": ".fixtures",
    "RecordingTransport": "..transports.recording",
    "ReplayTransport": "..transports.replay",
    "Request": ".script",
    "ScriptedServer": ".scripted_server",
    "is_stream": ".script",
    **dict.fromkeys(["Corrupt", "Cut", "Delay", "Fault", "HalfOpen", "Pass", "PlacedFault"], ".faults"),
    **dict.fromkeys(["Refuse", "Stall", "Status", "Throttle"], ".faults"),
    **dict.fromkeys(
        ["Script", "Step", "calls_tool", "cuts", "error", "interrupt", "part", "says", "sets", "wait"], ".steps"
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name], __name__), name)
