"""``lgsync join``: a run that was started elsewhere."""

from __future__ import annotations

from typing import Optional, Tuple

import click

from .options import Settings, example, settings_options
from .run_options import format_option, show_to_the_end, view_for

__all__ = ["command"]


@click.command("join", epilog=example("lgsync join 1f1ec500-…", "lgsync join 1f1ec500-… 01a229ba-… --format messages"))
@click.argument("thread")
@click.argument("run", required=False)
@format_option
@click.option("--mode", "modes", multiple=True, metavar="MODE", help="One of the run's stream modes. Repeatable.")
@click.option(
    "--on-close",
    type=click.Choice(["cancel", "continue"]),
    default="continue",
    show_default=True,
    help="What becomes of the run if you leave early.",
)
@settings_options
def command(
    settings: Settings, thread: str, run: Optional[str], form: Optional[str], modes: Tuple[str, ...], on_close: str
) -> int:
    """Show a run of THREAD that was started elsewhere, from its start and on.

    RUN is the run's id; without it, it is the one that is at work. Exit codes and formats are those of lgsync stream.
    What can be shown is what the run was started with: as parts, its own stream modes.
    """
    view = view_for(settings, form, modes)
    narrowed = {"stream_mode": list(modes)} if modes else {}
    with settings.client() as client:
        return show_to_the_end(
            view,
            client,
            lambda: client.runs.join_stream(thread, run, on_close=on_close, **narrowed),  # type: ignore[arg-type]
        )
