"""``lgsync graph``: what a graph looks like."""

from __future__ import annotations

from typing import Optional

import click

from ..errors import ConfigurationError
from .drawing import drawn, edges_of, mermaid, names_of
from .options import Settings, example, settings_options
from .render import json_line
from .run_options import assistant_argument
from .screens import screen_for

__all__ = ["command"]


@click.command("graph", epilog=example("lgsync graph agent", "lgsync graph agent --xray --format mermaid > agent.mmd"))
@assistant_argument
@click.option("--xray", is_flag=True, help="Draw subgraphs in place of the nodes that run them.")
@click.option("--format", "form", type=click.Choice(["drawing", "mermaid", "json"]), help="[default: drawing]")
@settings_options
def command(settings: Settings, graph: str, xray: bool, form: Optional[str]) -> None:
    """Draw GRAPH: its nodes from the start to the end, and the edges between them.

    Dashed edges are taken on a condition.
    """
    if settings.json and form not in (None, "json"):
        raise ConfigurationError(f"--json is --format json, and --format {form} was given")
    with settings.client() as client:
        found = client.assistants.get_graph(graph, xray=xray)
    screen = screen_for(plain=True)
    if settings.json or form == "json":
        screen.line(json_line(dict(found)))
        return
    names, edges = names_of(found.nodes), edges_of(found.edges)
    if form == "mermaid":
        screen.line(mermaid(names, edges))
        return
    for line in drawn(names, edges):
        screen.line(line)
