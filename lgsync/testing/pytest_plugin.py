"""The pytest plugin of lgsync: fixtures to test an app with. It comes with the package, switched on.

``scripted_server`` says what a test tells it to; ``recording`` replays what an app and a real server said;
``langgraph_server`` starts the real one; ``fault_proxy`` breaks connections. What they need is imported when a test
asks for one.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Union

import pytest

if TYPE_CHECKING:
    from ..dev_server import DevServer
    from .fixtures import FaultProxyFixture, LangGraphServerFixture, RecordingFixture
    from .recordings import Recording
    from .scripted_server import ScriptedServer

__all__ = ["fault_proxy", "langgraph_server", "pytest_addoption", "recording", "scripted_server"]

_RECORD = "--lgsync-record"

#: Names the interpreter that has ``langgraph-cli[inmem]``; without it, it is the one that runs the tests.
_PYTHON = "LGSYNC_SERVER_PYTHON"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--lgsync-record``."""
    parser.getgroup("lgsync").addoption(
        _RECORD,
        action="store_true",
        help="make the recordings of the fixture 'recording' anew, against a server, in place of replaying them",
    )


@pytest.fixture
def fault_proxy() -> Iterator[FaultProxyFixture]:
    """Starts a :class:`~lgsync.testing.FaultProxy` to the server of a URL; it is closed when the test ends.

    ::

        def test_the_answer_survives_a_cut(fault_proxy):
            proxy = fault_proxy("http://localhost:2024")
            proxy.script(Cut(after_events=3))
    """
    from .proxy import FaultProxy

    with ExitStack() as started:
        yield lambda url: started.enter_context(FaultProxy(url))


@pytest.fixture
def scripted_server() -> Iterator[ScriptedServer]:
    """A started :class:`~lgsync.testing.ScriptedServer`, closed when the test ends.

    ::

        def test_the_answer_is_shown(scripted_server):
            scripted_server.script(says("Hello", " world"))
            assert my_app(Client(scripted_server.url)) == "Hello world"
    """
    from .scripted_server import ScriptedServer

    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="session")
def langgraph_server(pytestconfig: pytest.Config) -> Iterator[LangGraphServerFixture]:
    """Starts the real LangGraph server, in memory and in a process of its own; it is stopped at the session's end.

    ::

        def test_the_agent(langgraph_server):
            client = Client(langgraph_server(graph="./my_agent.py:graph").url)

    ``graph`` is where the graph is defined, and runs are started with "agent" then; or several, by name:
    ``{"agent": "./my_agent.py:graph"}``. Paths are taken from the current folder, and from pytest's root. Further
    options are those of :class:`lgsync.dev_server.DevServer`: ``env``, ``config``, ``jobs``, ``ready_timeout``. Equal
    arguments get the same server. It needs ``langgraph-cli[inmem]`` in the Python that runs the tests, or in the one
    that the environment variable ``LGSYNC_SERVER_PYTHON`` names.
    """
    started: Dict[str, DevServer] = {}
    with ExitStack() as stack:

        def serve(graph: Union[str, Mapping[str, str]], **options: Any) -> DevServer:
            graphs = _graphs(graph, pytestconfig.rootpath)
            wanted = repr((sorted(graphs.items()), sorted(options.items(), key=lambda option: option[0])))
            if wanted not in started:
                started[wanted] = stack.enter_context(_started(graphs, options))
            return started[wanted]

        yield serve


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Iterator[RecordingFixture]:
    """Gives a :class:`~lgsync.testing.Recording`: what a real server said once, replayed without any network.

    ::

        def test_the_answer(recording):
            client = recording("answer", graph="./my_agent.py:graph").client()
            assert my_app(client) == "It is 54F"

    With ``pytest --lgsync-record`` the test talks to a server (that of ``graph``, or that of the client's ``url``), and
    ``recordings/answer.jsonl`` beside the test is written: readable JSON lines, without secrets, to be kept with the
    test. Without it the test is answered from that file. All clients of a test that ask for one name share the file.
    """
    from ..errors import ConfigurationError
    from .recordings import Recording, path_of

    recorded = bool(request.config.getoption(_RECORD))
    made: Dict[Path, Recording] = {}

    def named(name: str, *, graph: Union[str, Mapping[str, str], None] = None) -> Recording:
        def find_url() -> Optional[str]:
            return None if graph is None else str(request.getfixturevalue("langgraph_server")(graph).url)

        try:
            path = path_of(name, request.path.parent)
        except ConfigurationError as exc:
            pytest.fail(str(exc), pytrace=False)
        if not (recorded or path.is_file()):
            pytest.fail(
                f"There is no recording {path}. Run this test once with {_RECORD}, against a server: "
                f"pytest {_RECORD} {request.node.nodeid!r}",
                pytrace=False,
            )
        if path not in made:
            made[path] = Recording(path, recorded=recorded, find_url=find_url)
        return made[path]

    yield named
    for each in made.values():
        each.close()


def _graphs(graph: Union[str, Mapping[str, str]], root: Path) -> Dict[str, str]:
    named = {"agent": graph} if isinstance(graph, str) else dict(graph)
    return {name: _from_root(where, root) for name, where in named.items()}


def _from_root(where: str, root: Path) -> str:
    """Where a graph is defined; a file that is not in the current folder may be in pytest's root."""
    path, colon, attribute = where.rpartition(":")
    found: List[Path] = [folder / path for folder in (Path.cwd(), root) if (folder / path).is_file()]
    return f"{found[0]}{colon}{attribute}" if path and found else where


def _started(graphs: Mapping[str, str], options: Mapping[str, Any]) -> DevServer:
    from ..dev_server import DevServer
    from ..errors import ConfigurationError, ConnectionFailed

    python = os.environ.get(_PYTHON) or sys.executable
    try:
        return DevServer(graphs, **{"python": python, **options}).start()
    except ConfigurationError as exc:
        pytest.fail(f"{exc}\nOr set {_PYTHON} to a Python that has langgraph-cli[inmem].", pytrace=False)
    except ConnectionFailed as exc:
        pytest.fail(str(exc), pytrace=False)
