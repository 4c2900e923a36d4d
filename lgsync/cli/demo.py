"""``lgsync demo``: a run on a LangGraph server, shown as it streams."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, NamedTuple, Optional

import click

from ..errors import ConfigurationError, ConnectionFailed
from .answers import answers_to
from .codes import FAILED_RUN
from .new_thread import new_id, stream_on_new_thread
from .options import Settings, example, settings_options
from .render import Screen, snippet
from .screens import screen_for
from .show import GUIDE, RunView
from .signals import interrupted_once
from .telling import tell

if TYPE_CHECKING:
    from ..client import Client
    from ..dev_server import DevServer

__all__ = ["command", "run"]

_INSTALL = "pip install 'lgsync[demo]' (in a checkout of lgsync: pip install '.[demo]')"
_PYTHON_VARIABLE = "LGSYNC_SERVER_PYTHON"
_YOUR_PORT = 2024
_YOUR_URL = f"http://localhost:{_YOUR_PORT}"

# The bundled graphs: name in demo_graph.py, and what to say to it.
_ANSWERING = ("agent", "What is the weather in San Francisco?")
_ASKING = ("ask", "Tell the team that version 1.0 is out.")
# How often it is looked whether a server that is kept still lives.
_LOOK_SECONDS = 0.5

_TO_YOURS = "what's the weather in sf"


@click.command(
    "demo",
    epilog=f"""\b
A paused run asks you, with or without --interrupt. An answer that is a JSON
object or list is sent as such, any other as text; the end of input (Ctrl-D)
leaves the thread paused.

\b
Environment:
  {_PYTHON_VARIABLE}  the Python (3.11 or later) that has
                        langgraph-cli[inmem] and runs the demo's server;
                        default: the one that runs this command

"""
    + example(
        "lgsync demo",
        "lgsync demo --transport websocket --interrupt",
        "lgsync demo --raw | less",
        'lgsync demo --url http://localhost:2024 --message "what\'s the weather in sf"',
    ),
)
@click.option("--raw", is_flag=True, help='Print the parts of stream_mode="messages" as they come, data as JSON.')
@click.option("--interrupt", is_flag=True, help="An agent that pauses to ask you, and goes on with your answer.")
@click.option("--assistant", metavar="NAME", help='With --url: the graph or assistant to run (default: "agent").')
@click.option("--message", metavar="TEXT", help="What to say to the agent.")
@click.option("--keep", is_flag=True, help="Let the demo's server go on until Ctrl-C.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=_YOUR_PORT,
    show_default=True,
    metavar="PORT",
    help="With --keep: the server's port.",
)
@settings_options
def command(settings: Settings, **options: Any) -> int:
    """See a run stream into your terminal, from a server that is started for it.

    Start a LangGraph server with a scripted agent on this machine, send it a message, and show its reasoning, tool call
    and answer token by token. No key and no network are needed. With --url, talk to a server of yours instead
    (LANGGRAPH_URL does not count here).
    """
    return run(settings, Options(**options))


@dataclass(frozen=True)
class Options:
    """The demo's own options."""

    raw: bool
    interrupt: bool
    assistant: Optional[str]
    message: Optional[str]
    keep: bool
    port: int


def run(settings: Settings, options: Options) -> int:
    """Run the demo; returns the exit code, raises LgsyncError and KeyboardInterrupt."""
    plan = _plan(settings, options)
    python = None if settings.url else _server_python()
    screen = screen_for(beside=plan.form != "messages", markdown=False, color=settings.color)
    with interrupted_once(), contextlib.ExitStack() as cleanup:
        cleanup.callback(screen.end)
        screen.title(f"lgsync demo: {plan.purpose}")
        port = options.port if options.keep else None
        server = None if settings.url else cleanup.enter_context(_own_server(str(python), screen, port))
        url = str(settings.url) if server is None else server.url
        client = cleanup.enter_context(_client(url, settings))
        screen.line(f"server {url} · transport {settings.transport} · assistant {plan.assistant}")
        conversation = _Conversation(client, plan, screen)
        outcome = conversation.hold()
        screen.summary(conversation.measured(), outcome)
        _say_how(screen, plan, settings, options, outcome)
        if server is not None and options.keep:
            _keep(screen, server)
        return 0 if outcome in ("success", "interrupted") else FAILED_RUN


class _Plan(NamedTuple):
    assistant: str
    message: str
    form: str
    purpose: str


def _plan(settings: Settings, options: Options) -> _Plan:
    if options.raw and settings.json:
        raise ConfigurationError("--raw and --json are two ways to print the same run: choose one")
    form = GUIDE if options.raw else "json" if settings.json else "messages"
    if settings.url and options.keep:
        raise ConfigurationError("--keep is for the demo's own server; yours goes on anyway")
    if settings.url:
        return _Plan(options.assistant or "agent", options.message or _TO_YOURS, form, "a run on your server")
    for name, value in (("assistant", options.assistant), ("api-key", settings.api_key)):
        if value:
            raise ConfigurationError(f"--{name} is for a server of yours: give its address with --url too")
    name, message = _ASKING if options.interrupt else _ANSWERING
    purpose = "a scripted agent on a LangGraph server of its own, no key needed"
    return _Plan(name, options.message or message, form, purpose)


class _Conversation:
    """One message to the agent and all that follows, until the run is over or its question stays unanswered."""

    def __init__(self, client: Client, plan: _Plan, screen: Screen) -> None:
        self._client = client
        self._plan = plan
        self._screen = screen
        self._view = RunView(plan.form, screen)
        self._thread_id = new_id()
        self._interrupts: List[Any] = []
        self._seconds = 0.0
        self._first: Optional[float] = None

    def hold(self) -> str:
        """Stream the run, and what follows each answer; returns the last outcome."""
        self._screen.user(self._plan.message)
        question = {"messages": [{"role": "user", "content": self._plan.message}]}
        outcome = self._turn(partial(stream_on_new_thread, self._client), input=question)
        while outcome == "interrupted" and self._interrupts:
            answer = answers_to(self._screen, self._interrupts)
            if answer is None:
                self._screen.line(f"No answer: thread {self._thread_id} stays paused, and can be resumed later.")
                break
            outcome = self._turn(self._client.runs.stream, command={"resume": answer})
        return outcome

    def measured(self) -> str:
        """Tokens and seconds of all turns; the time for which a human was waited for does not count."""
        count = self._view.output_tokens
        parts = [f"{count} tokens"] if count else []
        if self._first is not None:
            parts.append(f"the first after {self._first:.1f} s")
        return " · ".join([*parts, f"{self._seconds:.1f} s"])

    def _turn(self, begin: Callable[..., Any], **step: Any) -> str:
        started = time.monotonic()
        options = {**step, **self._view.options_on(self._client)}
        with begin(self._thread_id, self._plan.assistant, **options) as run:
            for _ in self._view.show(run, self._client):
                if self._first is None:
                    self._first = time.monotonic() - started
            self._seconds += time.monotonic() - started
            self._interrupts = list(run.interrupts)
            return str(run.outcome)


def _keep(screen: Screen, server: DevServer) -> None:
    screen.line(
        f"\nThe server goes on at {server.url}, with the graphs {_ANSWERING[0]!r} and {_ASKING[0]!r}, until Ctrl-C."
    )
    never = threading.Event()
    with contextlib.suppress(KeyboardInterrupt):
        while server.pid is not None:
            never.wait(_LOOK_SECONDS)
        raise ConnectionFailed("The server has ended, and not by Ctrl-C here", url=server.url)


def _client(url: str, settings: Settings) -> Client:
    if settings.url:
        return settings.client()
    # No key of the user's goes to a server that asks for none.
    return replace(settings, url=url).client(api_key=None)


def _say_how(screen: Screen, plan: _Plan, settings: Settings, args: Options, outcome: str) -> None:
    url = settings.url or (f"http://localhost:{args.port}" if args.keep else _YOUR_URL)
    resumed = args.interrupt and outcome == "success"
    screen.line("\nThe same from Python:\n")
    screen.code(snippet(url, settings.transport, plan.assistant, plan.message, raw=plan.form == GUIDE, resume=resumed))
    if not (settings.url or args.keep):
        screen.line("\nTo try it, let the server go on: lgsync demo --keep")
        screen.line(f"With a server of yours (langgraph dev): lgsync demo --url {_YOUR_URL} --assistant NAME")


@contextlib.contextmanager
def _own_server(python: str, screen: Screen, port: Optional[int]) -> Iterator[DevServer]:
    """A server with the bundled graphs, for as long as the block lasts."""
    from ..dev_server import DevServer

    here = Path(__file__).with_name("demo_graph.py")
    server = DevServer({name: f"{here}:{name}" for name, _ in (_ANSWERING, _ASKING)}, python=python, port=port)
    try:
        with screen.waiting("Starting a LangGraph server on this machine …"):
            _start(server)
        yield server
    finally:
        # Nothing of it is kept, so there is nothing to wait for.
        server.kill()
        server.stop()


def _start(server: DevServer) -> None:
    try:
        server.start()
    except ConfigurationError as exc:
        named = os.environ.get(_PYTHON_VARIABLE)
        is_about_python = named and not str(exc).startswith("Port ")
        hint = f" ({_PYTHON_VARIABLE} is {named!r})" if is_about_python else ""
        raise ConfigurationError(f"{exc}{hint}") from exc
    except ConnectionFailed as exc:
        tell(str(exc))
        raise SystemExit(5) from exc


def _server_python() -> str:
    named = os.environ.get(_PYTHON_VARIABLE)
    if named:
        return named
    if sys.version_info < (3, 11):
        ours = ".".join(map(str, sys.version_info[:2]))
        raise ConfigurationError(
            f"The demo's server needs Python 3.11 or later, and this is {ours}: run {_INSTALL} with a later one, "
            f"or name a Python that has it in {_PYTHON_VARIABLE}"
        )
    if not (find_spec("langgraph_cli") and find_spec("langgraph_api")):
        raise ConfigurationError(f"The demo's server is not installed: {_INSTALL}")
    return sys.executable
