"""``lgsync stream``: one run, shown as it comes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple, TypeVar

import click

from ..errors import ConfigurationError
from .answers import value_of
from .new_thread import new_id, stream_on_new_thread
from .options import Settings, example, settings_options
from .run_options import assistant_argument, format_option, given, input_of, run_options, show_to_the_end, view_for

if TYPE_CHECKING:
    from ..client import Client
    from ..transport import TransportFactory

__all__ = ["command", "run_once", "run_once_options"]

F = TypeVar("F", bound=Callable[..., Any])


def run_once_options(command: F) -> F:
    """What is said to a graph once, and how what comes of it is shown."""
    options = [
        assistant_argument,
        click.argument("text", metavar="[INPUT|-]", required=False),
        run_options,
        format_option,
        click.option(
            "--mode", "modes", multiple=True, metavar="MODE", help="A stream mode, for parts and json. Repeatable."
        ),
        click.option(
            "--resume", metavar="ANSWER", help="Answer the question that --thread is paused at, instead of INPUT."
        ),
        click.option(
            "--on-close",
            type=click.Choice(["cancel", "continue"]),
            default="cancel",
            show_default=True,
            help="What becomes of the run if you leave early.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def run_once(
    settings: Settings,
    *,
    graph: str,
    text: Optional[str],
    thread: Optional[str],
    form: Optional[str],
    modes: Tuple[str, ...],
    resume: Optional[str],
    transport: Optional[TransportFactory] = None,
    **options: Any,
) -> int:
    """Run the graph, show it to the end, and return the exit code; over ``transport``, if it is another one."""
    step = _step(text, thread, resume)
    view = view_for(settings, form, modes)
    with settings.client(transport) as client:
        if resume is not None:
            _check_paused(client, str(thread))
        every: Dict[str, Any] = {**view.options_on(client), **step, **given(options)}
        on_new = thread is None
        begin = partial(stream_on_new_thread, client, new_id()) if on_new else partial(client.runs.stream, thread)
        return show_to_the_end(view, client, lambda: begin(graph, **every), graph)


@click.command(
    "stream",
    epilog=example(
        'lgsync stream agent "what\'s the weather in sf"',
        "lgsync stream agent - --format text < question.txt",
        "lgsync stream agent hi | jq -r 'select(.event == \"delta\") | .text'",
        "lgsync stream agent --thread 1f1ec500-… --resume yes",
    ),
)
@run_once_options
@settings_options
def command(settings: Settings, **options: Any) -> int:
    """Run GRAPH once and show what it says as it comes.

    INPUT is what you say to it, or a JSON object that is sent as it is; - reads it from standard input. On a terminal
    you see text, a program gets JSON lines. Ctrl-C, and a reader that has enough (| head), cancel the run.
    """
    return run_once(settings, **options)


def _check_paused(client: Client, thread: str) -> None:
    state = client.threads.get_state(thread)
    # Where it stopped before or after a node it asks nothing, and goes on with any answer.
    if not (state.interrupts or state.tasks or state.next):
        raise ConfigurationError(f"Thread {thread} does not wait for an answer")


def _step(text: Optional[str], thread: Optional[str], resume: Optional[str]) -> Dict[str, Any]:
    if resume is not None:
        if text is not None or thread is None:
            raise ConfigurationError("--resume answers a paused run: give its --thread, and no INPUT")
        return {"command": {"resume": value_of(resume)}}
    if text is None and thread is None:
        raise click.UsageError("INPUT is missing: say something, or - to read it from standard input")
    return {"input": input_of(text)}
