"""``lgsync demo``: a run on a LangGraph server, shown as it streams."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional

from ..errors import ConfigurationError, ConnectionFailed
from .narrate import Narrator
from .render import Screen, TerminalScreen, part_text, question_text, snippet

if TYPE_CHECKING:
    from ..client import Client
    from ..dev_server import DevServer
    from ..run_stream import RunStream

__all__ = ["DESCRIPTION", "EPILOG", "SUMMARY", "add_arguments", "run"]

SUMMARY = "see a run stream into your terminal, from a server that is started for it"
DESCRIPTION = """\
Start a LangGraph server with a scripted agent on this machine, send it a
message, and show its reasoning, tool call and answer token by token. No key and
no network are needed. With --url, talk to a server of yours instead.
"""
EPILOG = """\
A paused run asks you, with or without --interrupt. An answer that is a JSON
object or list is sent as such, any other as text; the end of input (Ctrl-D)
leaves the thread paused.

environment:
  LGSYNC_SERVER_PYTHON  the Python (3.11 or later) that has langgraph-cli[inmem]
                        and runs the demo's server; default: the one that runs
                        this command
  LANGGRAPH_API_KEY     the key for --url if --api-key is not given: this way it
                        stays out of your shell's history
  NO_COLOR              if set: no colours

examples:
  lgsync demo
  lgsync demo --transport websocket --interrupt
  lgsync demo --raw | less
  lgsync demo --url http://localhost:2024 --message "what's the weather in sf"
"""

_INSTALL = "pip install 'lgsync[demo]' (in a checkout of lgsync: pip install '.[demo]')"
_PYTHON_VARIABLE = "LGSYNC_SERVER_PYTHON"
_YOUR_PORT = 2024
_YOUR_URL = f"http://localhost:{_YOUR_PORT}"
_FAILED = 4

# The bundled graphs: name in demo_graph.py, and what to say to it.
_ANSWERING = ("agent", "What is the weather in San Francisco?")
_ASKING = ("ask", "Tell the team that version 1.0 is out.")
_TO_YOURS = "what's the weather in sf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lgsync demo``."""
    option = parser.add_argument
    option("--transport", choices=("sse", "websocket"), default="sse", help="what carries the stream (default: sse)")
    option("--raw", action="store_true", help='print the parts of stream_mode="messages" as they come, data as JSON')
    option("--interrupt", action="store_true", help="an agent that pauses to ask you, and goes on with your answer")
    option("--url", help="use the LangGraph server at this address; none is started")
    option("--assistant", metavar="NAME", help='with --url: the graph or assistant to run (default: "agent")')
    option("--api-key", metavar="KEY", help="with --url: sent as x-api-key")
    option("--message", metavar="TEXT", help="what to say to the agent")
    option("--keep", action="store_true", help="let the demo's server go on until Ctrl-C")
    option("--port", type=int, default=_YOUR_PORT, help=f"with --keep: the server's port (default: {_YOUR_PORT})")
    option("--no-color", action="store_true", help="no colours")


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit code, raises LgsyncError and KeyboardInterrupt."""
    plan = _plan(args)
    python = None if args.url else _server_python()
    screen = _screen(args)
    with _interrupted_once(), contextlib.ExitStack() as cleanup:
        cleanup.callback(screen.end)
        screen.title(f"lgsync demo: {plan.purpose}")
        port = args.port if args.keep else None
        url = args.url if python is None else cleanup.enter_context(_own_server(python, screen, port))
        client = cleanup.enter_context(_client(url, args))
        screen.line(f"server {url} · transport {args.transport} · assistant {plan.assistant}")
        conversation = _Conversation(client, plan, screen)
        outcome = conversation.hold()
        screen.summary(conversation.measured(), outcome)
        _say_how(screen, plan, args, outcome)
        if args.keep:
            _keep(screen, url)
        return 0 if outcome in ("success", "interrupted") else _FAILED


class _Plan(NamedTuple):
    assistant: str
    message: str
    raw: bool
    purpose: str


def _plan(args: argparse.Namespace) -> _Plan:
    if args.url and args.keep:
        raise ConfigurationError("--keep is for the demo's own server; yours goes on anyway")
    if args.url:
        return _Plan(args.assistant or "agent", args.message or _TO_YOURS, args.raw, "a run on your server")
    for option in ("assistant", "api_key"):
        if getattr(args, option):
            name = option.replace("_", "-")
            raise ConfigurationError(f"--{name} is for a server of yours: give its address with --url too")
    name, message = _ASKING if args.interrupt else _ANSWERING
    return _Plan(
        name, args.message or message, args.raw, "a scripted agent on a LangGraph server of its own, no key needed"
    )


class _Conversation:
    """One message to the agent and all that follows, until the run is over or its question stays unanswered."""

    def __init__(self, client: Client, plan: _Plan, screen: Screen) -> None:
        self._client = client
        self._plan = plan
        self._screen = screen
        self._narrator = Narrator()
        self._thread_id = client.threads.create().thread_id
        self._interrupts: List[Any] = []
        self._seconds = 0.0
        self._first: Optional[float] = None

    def hold(self) -> str:
        """Stream the run, and what follows each answer; returns the last outcome."""
        self._screen.user(self._plan.message)
        outcome = self._turn(input={"messages": [{"role": "user", "content": self._plan.message}]})
        while outcome == "interrupted" and self._interrupts:
            answer = _answer(self._screen, self._interrupts)
            if answer is None:
                self._screen.line(f"No answer: thread {self._thread_id} stays paused, and can be resumed later.")
                break
            outcome = self._turn(command={"resume": answer})
        return outcome

    def measured(self) -> str:
        """Tokens and seconds of all turns; the time for which a human was waited for does not count."""
        count = self._narrator.output_tokens
        parts = [f"{count} tokens"] if count else []
        if self._first is not None:
            parts.append(f"the first after {self._first:.1f} s")
        return " · ".join([*parts, f"{self._seconds:.1f} s"])

    def _turn(self, **step: Any) -> str:
        started = time.monotonic()
        show = self._show_parts if self._plan.raw else self._show_messages
        options: Dict[str, Any] = {"stream_mode": "messages"} if self._plan.raw else {"stream_subgraphs": True}
        with self._client.runs.stream(self._thread_id, self._plan.assistant, **step, **options) as run:
            for _ in show(run):
                if self._first is None:
                    self._first = time.monotonic() - started
            self._seconds += time.monotonic() - started
            self._interrupts = list(run.interrupts)
            return str(run.outcome)

    def _show_parts(self, run: RunStream) -> Iterator[None]:
        for part in run:
            sys.stdout.write(part_text(part.event, part.data))
            sys.stdout.flush()
            yield

    def _show_messages(self, run: RunStream) -> Iterator[None]:
        for message in run.messages(namespaces="all"):
            for piece in self._narrator.feed(message):
                self._screen.show(piece)
            yield
        for piece in self._narrator.close():
            self._screen.show(piece)


def _answer(screen: Screen, interrupts: List[Any]) -> Any:
    """What the user says to each interrupt, as ``command={"resume": …}`` takes it; None if there is no answer."""
    answers: Dict[str, Any] = {}
    for interrupt in interrupts:
        text = screen.ask(question_text(interrupt.value))
        if text is None:
            return None
        answers[interrupt.id] = _value(text)
    return next(iter(answers.values())) if len(interrupts) == 1 else answers


def _value(text: str) -> Any:
    # Many graphs wait for an object, such as {"decisions": [{"type": "approve"}]}.
    if text[0] in "{[":
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text


def _keep(screen: Screen, url: str) -> None:
    screen.line(f"\nThe server goes on at {url}, with the graphs {_ANSWERING[0]!r} and {_ASKING[0]!r}, until Ctrl-C.")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def _client(url: str, args: argparse.Namespace) -> Client:
    from ..client import Client

    if not args.url:
        return Client(url, transport=args.transport, api_key=None)
    key = {"api_key": args.api_key} if args.api_key else {}
    return Client(url, transport=args.transport, **key)


def _say_how(screen: Screen, plan: _Plan, args: argparse.Namespace, outcome: str) -> None:
    url = args.url or (f"http://localhost:{args.port}" if args.keep else _YOUR_URL)
    resumed = args.interrupt and outcome == "success"
    screen.line("\nThe same from Python:\n")
    screen.code(snippet(url, args.transport, plan.assistant, plan.message, raw=plan.raw, resume=resumed))
    if not (args.url or args.keep):
        screen.line("\nTo try it, let the server go on: lgsync demo --keep")
        screen.line(f"With a server of yours (langgraph dev): lgsync demo --url {_YOUR_URL} --assistant NAME")


@contextlib.contextmanager
def _own_server(python: str, screen: Screen, port: Optional[int]) -> Iterator[str]:
    """A server with the bundled graphs, for as long as the block lasts; gives its URL."""
    from ..dev_server import DevServer

    here = Path(__file__).with_name("demo_graph.py")
    server = DevServer({name: f"{here}:{name}" for name, _ in (_ANSWERING, _ASKING)}, python=python, port=port)
    try:
        with screen.waiting("Starting a LangGraph server on this machine …"):
            _start(server)
        yield server.url
    finally:
        # Nothing of it is kept, so there is nothing to wait for.
        server.kill()
        server.stop()


def _start(server: DevServer) -> None:
    try:
        server.start()
    except ConfigurationError as exc:
        named = os.environ.get(_PYTHON_VARIABLE)
        hint = f" ({_PYTHON_VARIABLE} is {named!r})" if named else ""
        raise ConfigurationError(f"{exc}{hint}") from exc
    except ConnectionFailed as exc:
        print(f"lgsync: {exc}", file=sys.stderr)
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


def _screen(args: argparse.Namespace) -> Screen:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if args.raw:
        return Screen(sys.stderr, sys.stdin)  # standard output is for the parts alone
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return Screen(sys.stdout, sys.stdin)
    try:
        from rich.console import Console
    except ImportError as exc:
        raise ConfigurationError(f"The demo draws with rich, which is not installed: {_INSTALL}") from exc
    return TerminalScreen(Console(no_color=args.no_color or None, highlight=False), sys.stdin)


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """The first Ctrl-C (or end of the terminal) raises; the next cannot break off the cleaning up."""
    ours = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    heard = [number for number in ours if signal.getsignal(number) is not signal.SIG_IGN]

    def end(number: int, _frame: object) -> None:
        for each in heard:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
