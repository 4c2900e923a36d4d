"""``lgsync record``: one run, and all that came, in a file."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Iterator

import click

from ..errors import ConfigurationError
from ..recording import Opened, read
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

    Keys, cookies and the like are not written. What you and the graph say is. FILE is there once the run is over, or
    was left; until then it grows beside it, as FILE.NUMBER.part. A run that could not be started leaves no file.
    """
    path = Path(output)
    if not output:
        raise ConfigurationError("--output is empty: name a file")
    if path.is_dir():
        raise ConfigurationError(f"{output} is a directory: name a file")
    if path.exists() and not force:
        raise ConfigurationError(f"{output} is there already: name another file, or --force to write over it")
    # By its name, as the registry does it: no other module depends on a transport.
    recording = import_module("lgsync.transports").RecordingTransport
    with _in_its_place(path) as place:
        return run_once(settings, transport=partial(recording, inner=settings.transport, path=place), **options)


@contextlib.contextmanager
def _in_its_place(path: Path) -> Iterator[Path]:
    """Where to record what shall be at ``path``: beside it, until it is known that a run began."""
    if path.exists() and not path.is_file():
        # What is a pipe or a device stays one.
        yield path
        return
    target = path.resolve()
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        yield beside
    finally:
        if _holds_a_run(beside):
            os.replace(beside, target)
        else:
            beside.unlink(missing_ok=True)


def _holds_a_run(path: Path) -> bool:
    data = path.read_bytes() if path.exists() else b""
    # Where not even the first line could be written, there is nothing to read.
    entries = read(data, str(path)).entries if b"\n" in data else ()
    return any(isinstance(entry, Opened) and entry.error is None for entry in entries)
