"""``lgsync record``: one run, and all that came, in a file."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigurationError
from .options import Settings, example, settings_options
from .stream import run_once, run_once_options

__all__ = ["command"]


@click.command(
    "record",
    epilog=example('lgsync record agent "what\'s the weather in sf" -o weather.jsonl', "lgsync replay weather.jsonl"),
)
@run_once_options
@click.option("--output", "-o", metavar="FILE", required=True, help="Where to: readable JSON lines.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@settings_options
def command(settings: Settings, output: str, force: bool, **options: Any) -> int:
    """Run GRAPH once as lgsync stream does, and write all that came into a file.

    Keys, cookies and the like are not written. What you and the graph say is.
    """
    path = Path(output)
    if path.exists() and not force:
        raise ConfigurationError(f"{output} is there already: name another file, or --force to write over it")
    # By its name, as the registry does it: no other module depends on a transport.
    recording = import_module("lgsync.transports").RecordingTransport
    return run_once(settings, transport=partial(recording, inner=settings.transport, path=path), **options)
