"""``lgsync replay``: a recording, shown as if it happened now."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Set

import click

from ..errors import ConfigurationError
from ..recording import Opened, read
from ..transport import RunJoin, RunStart, factory_of
from .codes import DONE
from .options import Settings, example, settings_options
from .run_options import format_option, show_to_the_end, view_for

__all__ = ["command"]


def _speed(text: str) -> Optional[float]:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise click.BadParameter(f"{text!r} is no number above 0, nor max")
    return speed


@click.command(
    "replay",
    epilog=example("lgsync replay weather.jsonl", "lgsync replay weather.jsonl --speed 10 --format messages"),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@format_option
@click.option(
    "--speed", type=_speed, metavar="SPEED", default="1", help="How many times as fast, or max: no pauses. [default: 1]"
)
@settings_options
def command(settings: Settings, file: str, form: Optional[str], speed: Optional[float]) -> int:
    """Show the runs of the recording FILE again, without a server.

    Formats and exit codes are those of lgsync stream; the code is that of the last run. Nothing is sent anywhere.
    """
    path = Path(file)
    view = view_for(settings, form)
    code = DONE
    # It has settings of its own, as a class of the registry need not have.
    tape: Any = factory_of("replay")
    with settings.client(partial(tape, path=path, speed=speed)) as client:
        for run in _runs_in(path):
            code = show_to_the_end(view, partial(_opened, client, run))
    return code


def _runs_in(path: Path) -> Iterator[Any]:
    """What was asked for, in order; a join of what was begun here was made by the stream itself."""
    begun: Set[Any] = set()
    found = False
    for entry in read(path.read_bytes(), str(path)).entries:
        if not isinstance(entry, Opened) or entry.error is not None:
            continue
        request = entry.request
        if isinstance(request, RunStart):
            begun.add(entry.source.get("run_id"))
        elif not isinstance(request, RunJoin) or request.run_id in begun:
            continue
        else:
            begun.add(request.run_id)
        found = True
        yield request
    if not found:
        raise ConfigurationError(f"The recording {path} holds no run")


def _opened(client: Any, request: Any) -> Any:
    if isinstance(request, RunJoin):
        modes: Dict[str, Any] = {"stream_mode": list(request.modes)} if request.modes else {}
        return client.runs.join_stream(
            request.thread_id, request.run_id, stream_subgraphs=request.stream_subgraphs, **modes
        )
    options = dict(request.payload)
    if tuple(options.get("stream_mode") or ()) == client.transport.capabilities.default_modes:
        # Nobody asked for these, and a transport may refuse one of them to whoever does.
        del options["stream_mode"]
    renamed = {"langsmith_tracing": options.pop("langsmith_tracer")} if "langsmith_tracer" in options else {}
    return client.runs.stream(request.thread_id, options.pop("assistant_id"), **options, **renamed)
