"""``lgsync assistants``: graphs, and the assistants made of them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Optional, Tuple

import click

from ..errors import ConfigurationError
from .options import Settings, example, settings_options
from .records import delete_each, limit_option, print_fields, print_list, yes_option

if TYPE_CHECKING:
    from ..client import Client

__all__ = ["command"]

_COLUMNS = [("assistant", "assistant_id"), ("graph", "graph_id"), ("name", "name"), ("version", "version")]
_FIELDS = [
    *_COLUMNS,
    ("description", "description"),
    ("created", "created_at"),
    ("updated", "updated_at"),
    ("config", "config"),
    ("context", "context"),
    ("metadata", "metadata"),
]


@click.group(
    "assistants", no_args_is_help=False, epilog=example("lgsync assistants ls", "lgsync assistants show agent")
)
def command() -> None:
    """List, show and delete assistants. Each graph has one that is called as it is."""


@command.command("ls", epilog=example("lgsync assistants ls --graph agent", "lgsync assistants ls | cut -f2"))
@limit_option
@click.option("--graph", metavar="GRAPH", help="Only those of this graph.")
@settings_options
def ls(settings: Settings, limit: int, graph: Optional[str]) -> None:
    """List assistants: id, graph, name and version."""
    with settings.client() as client:
        print_list(settings, client.assistants.iter(limit=limit, graph_id=graph), _COLUMNS, "assistants")


@command.command("show", epilog=example("lgsync assistants show agent", "lgsync assistants show agent --json"))
@click.argument("assistant")
@settings_options
def show(settings: Settings, assistant: str) -> None:
    """Show one ASSISTANT, by its id or its graph's name. With --json, all that the server says of it."""
    with settings.client() as client:
        print_fields(settings, client.assistants.get(_id_of(client, assistant)), _FIELDS)


@command.command("rm", epilog=example("lgsync assistants rm fe096781-…"))
@click.argument("assistants", nargs=-1, required=True)
@yes_option
@settings_options
def rm(settings: Settings, assistants: Tuple[str, ...], yes: bool) -> None:
    """Delete ASSISTANTS. Asks first; where nobody can be asked, --yes is needed."""
    with settings.client() as client:
        delete_each(settings, assistants, client.assistants.delete, "assistant", unasked=yes)


def _id_of(client: Client, assistant: str) -> str:
    """The id, for the name of a graph: that of the assistant which the server made of it."""
    try:
        return str(uuid.UUID(assistant))
    except ValueError:
        made = client.assistants.iter(graph_id=assistant, metadata={"created_by": "system"}, limit=1)
    for found in made:
        return found.assistant_id
    raise ConfigurationError(f"There is no graph named {assistant!r}; lgsync assistants ls shows what there is")
