"""The pytest plugin of lgsync: the fixture ``fault_proxy``. It comes with the package, switched on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Callable, Iterator

import pytest

if TYPE_CHECKING:
    from .proxy import FaultProxy

__all__ = ["fault_proxy"]


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[str], FaultProxy]]:
    """Starts a :class:`~lgsync.testing.FaultProxy` to the server of a URL; it is closed when the test ends.

    ::

        def test_the_answer_survives_a_cut(fault_proxy):
            proxy = fault_proxy("http://localhost:2024")
            proxy.script(Cut(after_events=3))
    """
    from .proxy import FaultProxy

    with ExitStack() as started:
        yield lambda url: started.enter_context(FaultProxy(url))
