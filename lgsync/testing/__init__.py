"""Helpers for testing an app against a bad network, without one.

:class:`FaultProxy` stands between a client and a real server and breaks connections as a script says. In pytest the
fixture ``fault_proxy`` starts one and closes it at the end of the test::

    from lgsync.testing import Cut

    def test_the_answer_survives_a_cut(fault_proxy):
        proxy = fault_proxy("http://localhost:2024")
        proxy.script(Cut(after_events=3))
        assert my_app(Client(proxy.url)) == "the whole answer"
        assert proxy.happened == [Cut(after_events=3)]

This package needs nothing but the standard library, and ``lgsync`` itself never imports it.
"""

from __future__ import annotations

from .faults import Corrupt, Cut, Delay, Fault, HalfOpen, Pass, PlacedFault, Refuse, Stall, Status, Throttle
from .proxy import FaultProxy
from .script import Request, is_stream

__all__ = [
    "Corrupt",
    "Cut",
    "Delay",
    "Fault",
    "FaultProxy",
    "HalfOpen",
    "Pass",
    "PlacedFault",
    "Refuse",
    "Request",
    "Stall",
    "Status",
    "Throttle",
    "is_stream",
]
