"""``lgsync doctor``: why a server cannot be reached, or does not stream."""

from __future__ import annotations

import os
from typing import Optional

import click

from .codes import DONE, WRONG
from .narrate import clean
from .options import Settings, example, seconds, settings_options
from .probes import OK, Finding, findings
from .probes import WRONG as IS_WRONG
from .render import json_line
from .screens import is_terminal

__all__ = ["command"]

_COLORS = {OK: "green", IS_WRONG: "red"}


@click.command(
    "doctor",
    epilog=example("lgsync doctor --url https://agents.example.com", "lgsync doctor --graph agent --json"),
)
@click.option("--graph", metavar="GRAPH", help='Run this graph once, with the message "Hello", and time what comes.')
@click.option(
    "--wait",
    metavar="SECONDS",
    type=seconds,
    default=12.0,
    show_default=True,
    help="How long to wait for a heartbeat; servers send one every 5 s.",
)
@settings_options
def command(settings: Settings, graph: Optional[str], wait: float) -> int:
    """Find out why a server cannot be reached or does not stream.

    Looks at the URL, proxies, DNS, the connection, TLS, the server's version, the key, the stream modes, the WebSocket
    protocol, and whether something in between keeps streams back. Says what to change for each thing that is wrong, and
    exits with 1 then. Nothing is run on the server unless --graph names it; a thread is made, and deleted again.
    """
    wrong = False
    for finding in findings(settings, graph, wait):
        wrong = wrong or finding.state == IS_WRONG
        _tell(settings, finding)
    return WRONG if wrong else DONE


def _tell(settings: Settings, finding: Finding) -> None:
    if settings.json:
        print(json_line(finding._asdict()), flush=True)
        return
    state = finding.state.ljust(6)
    if settings.color and is_terminal() and not os.environ.get("NO_COLOR"):
        state = click.style(state, fg=_COLORS.get(finding.state, "yellow"))
    click.echo(f"{state} {finding.check.ljust(13)} {_line(finding.seen)}")
    if finding.advice and finding.state != OK:
        click.echo(f"{' ' * 20} → {_line(finding.advice)}")


def _line(text: str) -> str:
    return " ".join(clean(text).split())
