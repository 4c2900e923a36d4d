"""What the server keeps (threads, runs, assistants), listed, shown and deleted."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, Callable, Iterable, Sequence, Tuple

import click

from ..errors import ConfigurationError
from .narrate import clean
from .options import Settings
from .render import json_line
from .screens import is_terminal

__all__ = ["can_ask", "delete_each", "limit_option", "print_fields", "print_list", "yes_option"]

#: A column: its title, and the attribute that it shows.
Column = Tuple[str, str]

limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most, the newest first."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def print_list(settings: Settings, records: Iterable[Any], columns: Sequence[Column], what: str) -> None:
    """A line for each: aligned on a terminal; with tabs between, and without titles, for a program."""
    if settings.json:
        _print_json_lines(records)
        return
    rows = ([_cell(getattr(record, name)) for _, name in columns] for record in records)
    if not is_terminal():
        for row in rows:
            print("\t".join(row), flush=True)
        return
    table = [[title.upper() for title, _ in columns], *rows]
    if len(table) == 1:
        print(f"There are no {what}.")
        return
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_fields(settings: Settings, record: Any, columns: Sequence[Column]) -> None:
    """One of them: its fields, or its JSON as the server sent it."""
    if settings.json:
        _print_json_lines([record])
        return
    width = max(len(title) for title, _ in columns) + 1
    for title, name in columns:
        shown = _cell(getattr(record, name))
        if shown:
            print(f"{title}:".ljust(width), shown)


def delete_each(
    settings: Settings, ids: Sequence[str], delete: Callable[[str], None], what: str, *, unasked: bool
) -> None:
    """Delete those of these ids, once the user has agreed; stops at the first that fails."""
    if not unasked:
        _ask(f"Delete {len(ids)} {what}s for good: {', '.join(ids)}?" if len(ids) > 1 else f"Delete {what} {ids[0]}?")
    for one in ids:
        delete(one)
        print(json_line({"deleted": one}) if settings.json else f"deleted {what} {clean(one)}", flush=True)


def can_ask() -> bool:
    """Whether somebody is there who can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str) -> None:
    if not can_ask():
        raise ConfigurationError("Nobody can be asked whether to delete: say --yes if that is meant")
    if not click.confirm(clean(question), err=True):
        raise ConfigurationError("Nothing was deleted")


def _print_json_lines(records: Iterable[Any]) -> None:
    for record in records:
        print(json_line(dict(record)), flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, (dict, list)):
        return json_line(value) if value else ""
    return " ".join(clean(str(value)).split())
