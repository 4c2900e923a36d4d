"""``lgsync runs``: the runs of a thread."""

from __future__ import annotations

from typing import Optional, Tuple

import click

from .options import Settings, example, settings_options
from .records import delete_each, limit_option, print_fields, print_list, yes_option

__all__ = ["command"]

_COLUMNS = [("run", "run_id"), ("status", "status"), ("created", "created_at"), ("assistant", "assistant_id")]
_FIELDS = [
    ("run", "run_id"),
    ("thread", "thread_id"),
    *_COLUMNS[1:],
    ("updated", "updated_at"),
    ("cancelled", "cancel_reason"),
    ("metadata", "metadata"),
]
_STATUSES = ["pending", "running", "success", "error", "timeout", "interrupted"]


@click.group(
    "runs", no_args_is_help=False, epilog=example("lgsync runs ls 1f1ec500-…", "lgsync runs show 1f1ec500-… 01a229ba-…")
)
def command() -> None:
    """List, show and delete the runs of a thread. A run that is cancelled has the status interrupted."""


@command.command("ls", epilog=example("lgsync runs ls 1f1ec500-… --status running"))
@click.argument("thread")
@limit_option
@click.option("--status", type=click.Choice(_STATUSES), help="Only those.")
@settings_options
def ls(settings: Settings, thread: str, limit: int, status: Optional[str]) -> None:
    """List the runs of THREAD."""
    with settings.client() as client:
        found = client.runs.iter(thread, limit=limit, status=status)  # type: ignore[arg-type]
        print_list(settings, found, _COLUMNS, "runs")


@command.command("show", epilog=example("lgsync runs show 1f1ec500-… 01a229ba-…"))
@click.argument("thread")
@click.argument("run")
@settings_options
def show(settings: Settings, thread: str, run: str) -> None:
    """Show one RUN of THREAD. With --json, all that the server says of it."""
    with settings.client() as client:
        print_fields(settings, client.runs.get(thread, run), _FIELDS)


@command.command("rm", epilog=example("lgsync runs rm 1f1ec500-… 01a229ba-…"))
@click.argument("thread")
@click.argument("runs", nargs=-1, required=True)
@yes_option
@settings_options
def rm(settings: Settings, thread: str, runs: Tuple[str, ...], yes: bool) -> None:
    """Delete RUNS of THREAD; its state stays. Asks first; where nobody can be asked, --yes is needed."""
    with settings.client() as client:
        delete_each(settings, runs, lambda run: client.runs.delete(thread, run), "run", unasked=yes)
