"""What the commands that start a run have in common: what to send, where to, and how to show it."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, TypeVar

import click

from ..errors import ConfigurationError, LgsyncError
from .codes import of_outcome
from .options import Settings, json_object
from .render import question_text
from .screens import is_terminal, screen_for
from .show import FORMATS, RunView
from .signals import interrupted_once
from .telling import tell
from .typed import typed

if TYPE_CHECKING:
    from ..client import Client

__all__ = ["assistant_argument", "format_option", "given", "input_of", "run_options", "show_to_the_end", "view_for"]

F = TypeVar("F", bound=Callable[..., Any])

_COMPLETION_SECONDS = 2.0


def assistant_argument(command: F) -> F:
    """The graph, or the assistant, that is run."""
    return click.argument("graph", metavar="GRAPH", shell_complete=_graphs)(command)


def run_options(command: F) -> F:
    """Options that are for the graph: ``thread``, ``config`` and ``context``."""
    options = [
        click.option("--thread", metavar="ID", help="Go on on this thread. [default: a new one]"),
        click.option("--config", type=json_object, metavar="JSON", help='For the graph: {"configurable": {…}}.'),
        click.option("--context", type=json_object, metavar="JSON", help="For the graph, what it calls its context."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def format_option(command: F) -> F:
    """How a run is shown."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="text: what the AI says; messages: with reasoning, tool calls and results; parts: the server's events, as "
        "the guide's curl prints them; json: what happens, an object on each line. "
        "[default: text on a terminal, else json]",
    )(command)


def input_of(text: Optional[str]) -> Any:
    """A run's input: a JSON object as it is, other text as the user's message; ``-`` is standard input."""
    if text is None:
        return None
    said = typed(sys.stdin.read) if text == "-" else typed(lambda: text, "INPUT")
    if not said.strip():
        from_there = "Standard input was empty, and INPUT - says that the input comes from there"
        raise ConfigurationError(from_there if text == "-" else "INPUT is empty: say something, or send a JSON object")
    if said.lstrip().startswith("{"):
        try:
            return json.loads(said)
        except ValueError as exc:
            raise ConfigurationError(f"INPUT begins with {{, but is not JSON: {exc}") from exc
    return {"messages": [{"role": "user", "content": said.rstrip("\n")}]}


def view_for(settings: Settings, form: Optional[str], modes: Any = ()) -> RunView:
    """The view in that format; by default text for a terminal, JSON lines for a program."""
    if settings.json and form not in (None, "json"):
        raise ConfigurationError(f"--json is --format json, and --format {form} was given")
    chosen = "json" if settings.json else form or ("text" if is_terminal() else "json")
    if modes and chosen in ("text", "messages"):
        raise ConfigurationError(f"--mode is for --format parts and json; --format {chosen} asks for what it needs")
    data = chosen in ("parts", "json")
    return RunView(chosen, screen_for(beside=data, plain=chosen == "text", color=settings.color), modes)


def show_to_the_end(view: RunView, client: Client, opened: Callable[[], Any], graph: str = "") -> int:
    """Open a run's stream, show it to its end, and return the exit code. Of ``graph`` a question can be answered."""
    with interrupted_once():
        try:
            with opened() as run:
                for _ in view.show(run, client):
                    pass
        except (KeyboardInterrupt, LgsyncError):
            view.stop()
            raise
    view.stop()
    code = of_outcome(run.outcome)
    for line in _afterwards(run, graph):
        tell(line)
    return code


def given(options: Mapping[str, Any]) -> Dict[str, Any]:
    """Those options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _afterwards(run: Any, graph: str) -> Iterator[str]:
    if run.outcome == "interrupted":
        for interrupt in run.interrupts:
            yield f"the run is paused and asks: {' '.join(question_text(interrupt.value).split())}"
        if graph:
            graph, thread = shlex.quote(graph), shlex.quote(str(run.thread_id))
            yield f"answer with: lgsync stream {graph} --thread {thread} --resume ANSWER"
    elif run.outcome != "success":
        yield f"the run was {run.outcome}"


def _graphs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> List[str]:
    """The server's graphs, for the shell; none if it does not tell them at once, for nobody could be told why."""
    from ..client import Client

    chosen = {name: ctx.params[name] for name in ("url", "api_key") if ctx.params.get(name)}
    try:
        with Client(**chosen, timeout=_COMPLETION_SECONDS, deadline=_COMPLETION_SECONDS, retries=0) as client:
            found = {str(assistant.graph_id) for assistant in client.assistants.search(limit=100)}
    except LgsyncError:
        return []
    # What a shell could not show as it is, nobody means to type.
    return sorted(name for name in found if name.startswith(incomplete) and name.isprintable())
