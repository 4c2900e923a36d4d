"""``lgsync threads``: what threads there are, what they hold, and away with them."""

from __future__ import annotations

from typing import Optional, Tuple

import click

from .history import messages_in, show_messages
from .options import Settings, example, settings_options
from .records import delete_each, limit_option, print_fields, print_list, yes_option
from .screens import screen_for

__all__ = ["command"]

_COLUMNS = [("thread", "thread_id"), ("status", "status"), ("updated", "updated_at"), ("metadata", "metadata")]
_FIELDS = [*_COLUMNS[:2], ("created", "created_at"), *_COLUMNS[2:], ("error", "error")]
_STATUSES = ["idle", "busy", "interrupted", "error"]


@click.group(
    "threads",
    no_args_is_help=False,
    epilog=example("lgsync threads ls --status interrupted", "lgsync threads show 1f1ec500-…"),
)
def command() -> None:
    """List, show and delete threads."""


@command.command("ls", epilog=example("lgsync threads ls --limit 5", "lgsync threads ls --json | jq .thread_id"))
@limit_option
@click.option("--status", type=click.Choice(_STATUSES), help="Only those.")
@settings_options
def ls(settings: Settings, limit: int, status: Optional[str]) -> None:
    """List threads: id, status, last update and metadata."""
    with settings.client() as client:
        found = client.threads.iter(limit=limit, status=status, sort_by="updated_at")  # type: ignore[arg-type]
        print_list(settings, found, _COLUMNS, "threads")


@command.command("show", epilog=example("lgsync threads show 1f1ec500-…"))
@click.argument("thread")
@settings_options
def show(settings: Settings, thread: str) -> None:
    """Show THREAD: its fields, then its messages. With --json, all that the server says of it."""
    with settings.client() as client:
        found = client.threads.get(thread)
    print_fields(settings, found, _FIELDS)
    if not settings.json:
        show_messages(screen_for(color=settings.color), messages_in(found.values))


@command.command("rm", epilog=example("lgsync threads rm 1f1ec500-…", "lgsync threads rm --yes 1f1ec500-… 1f1ec501-…"))
@click.argument("threads", nargs=-1, required=True)
@yes_option
@settings_options
def rm(settings: Settings, threads: Tuple[str, ...], yes: bool) -> None:
    """Delete THREADS with all that they hold. Asks first; where nobody can be asked, --yes is needed."""
    with settings.client() as client:
        delete_each(settings, threads, client.threads.delete, "thread", unasked=yes)
