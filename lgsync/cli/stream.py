"""``lgsync stream``: one run, shown as it comes."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import click

from ..errors import ConfigurationError
from .answers import value_of
from .options import Settings, example, settings_options
from .run_options import assistant_argument, format_option, given, input_of, run_options, show_to_the_end, view_for

__all__ = ["command"]


@click.command(
    "stream",
    epilog=example(
        'lgsync stream agent "what\'s the weather in sf"',
        "lgsync stream agent - --format text < question.txt",
        "lgsync stream agent hi | jq -r 'select(.event == \"delta\") | .text'",
        "lgsync stream agent --thread 1f1ec500-… --resume yes",
    ),
)
@assistant_argument
@click.argument("text", metavar="[INPUT|-]", required=False)
@run_options
@format_option
@click.option("--mode", "modes", multiple=True, metavar="MODE", help="A stream mode, for parts and json. Repeatable.")
@click.option("--resume", metavar="ANSWER", help="Answer the question that --thread is paused at, instead of INPUT.")
@click.option(
    "--on-close",
    type=click.Choice(["cancel", "continue"]),
    default="cancel",
    show_default=True,
    help="What becomes of the run if you leave early.",
)
@settings_options
def command(
    settings: Settings,
    graph: str,
    text: Optional[str],
    thread: Optional[str],
    form: Optional[str],
    modes: Tuple[str, ...],
    resume: Optional[str],
    on_close: str,
    **for_graph: Any,
) -> int:
    """Run GRAPH once and show what it says as it comes.

    INPUT is what you say to it, or a JSON object that is sent as it is; - reads it from standard input. On a terminal
    you see text, a program gets JSON lines. Ctrl-C, and a reader that has enough (| head), cancel the run.
    """
    step = _step(text, thread, resume)
    view = view_for(settings, form, modes)
    with settings.client() as client:
        thread_id = thread or client.threads.create().thread_id
        options: Dict[str, Any] = {**view.options, **step, **given(for_graph), "on_close": on_close}
        return show_to_the_end(view, lambda: client.runs.stream(thread_id, graph, **options))


def _step(text: Optional[str], thread: Optional[str], resume: Optional[str]) -> Dict[str, Any]:
    if resume is not None:
        if text is not None or thread is None:
            raise ConfigurationError("--resume answers a paused run: give its --thread, and no INPUT")
        return {"command": {"resume": value_of(resume)}}
    if text is None and thread is None:
        raise click.UsageError("INPUT is missing: say something, or - to read it from standard input")
    return {"input": input_of(text)}
