"""The types of the pytest fixtures that come with lgsync, to annotate a test's arguments with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Protocol, Union

if TYPE_CHECKING:
    from ..dev_server import DevServer
    from .proxy import FaultProxy
    from .recordings import Recording

__all__ = ["FaultProxyFixture", "LangGraphServerFixture", "RecordingFixture"]

#: ``fault_proxy(url)``: a started :class:`~lgsync.testing.FaultProxy` to the server of that URL.
FaultProxyFixture = Callable[[str], "FaultProxy"]


class LangGraphServerFixture(Protocol):
    """``langgraph_server(graph=…)``: a started server; see the fixture."""

    def __call__(self, graph: Union[str, Mapping[str, str]], **options: Any) -> DevServer: ...


class RecordingFixture(Protocol):
    """``recording(name)``: see the fixture, and :class:`~lgsync.testing.Recording`."""

    def __call__(self, name: str, *, graph: Union[str, Mapping[str, str], None] = None) -> Recording: ...
