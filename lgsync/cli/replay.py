"""``lgsync replay``: a recording, shown as if it happened now."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Union

import click

from ..errors import ConfigurationError, LgsyncError, NotRecorded
from ..recording import Ended, Opened, read
from ..transport import RunJoin, RunStart, ThreadJoin, factory_of
from .advice import words_of
from .codes import DONE, FAILED_RUN, of_error
from .options import DEFAULT_URL, Settings, example, settings_options
from .run_options import format_option, show_to_the_end, view_for
from .telling import Invocation, tell_error

if TYPE_CHECKING:
    from ..client import Client
    from .show import RunView

__all__ = ["command"]

_AT_ONCE_SECONDS = 0.05


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
    runs = _runs_in(path)
    code = DONE
    # It has settings of its own, as a class of the registry need not have.
    tape: Any = factory_of("replay")
    with settings.client(partial(tape, path=path, speed=speed), **_without_server(speed)) as client:
        for run in runs:
            code = _show(view, client, run)
    return code


class _Run(NamedTuple):
    """A run of a recording; ``left`` says that its program read no further than to where the recording ends."""

    request: Union[RunStart, RunJoin]
    left: bool


def _without_server(speed: Optional[float]) -> Dict[str, Any]:
    """Settings of the client, of which none is the user's: nobody is asked for anything."""
    settings: Dict[str, Any] = {"url": DEFAULT_URL, "api_key": None}
    # Where there are no pauses, what does not come at once does not come.
    return settings if speed is not None else {**settings, "timeout": _AT_ONCE_SECONDS}


def _show(view: RunView, client: Client, run: _Run) -> int:
    """Show one run, and tell how it failed, if it did: the others come all the same."""
    try:
        return show_to_the_end(view, client, partial(_opened, client, run.request))
    except LgsyncError as exc:
        early = run.left and isinstance(exc, NotRecorded)
        told = "the recording ends here, before its run did" if early else words_of(exc)
        tell_error(exc, told, click.get_current_context().ensure_object(Invocation))
        return FAILED_RUN if early else of_error(exc)


def _runs_in(path: Path) -> List[_Run]:
    """What was asked for, in order; a join of what was begun here was made by the stream itself."""
    requests: Dict[Any, Union[RunStart, RunJoin]] = {}
    run_of: Dict[str, Any] = {}
    ended: Dict[Any, bool] = {}
    for entry in read(path.read_bytes(), str(path)).entries:
        if isinstance(entry, Opened) and entry.error is None and not isinstance(entry.request, ThreadJoin):
            # One that is never told its id is no other's.
            run = _id_of(entry) or entry.stream
            requests.setdefault(run, entry.request)
            run_of[entry.stream] = run
            ended[run] = False
        elif isinstance(entry, Ended) and entry.stream in run_of:
            ended[run_of[entry.stream]] = entry.how != "closed"
    if not requests:
        raise ConfigurationError(f"The recording {path} holds no run")
    return [_Run(request, not ended[run]) for run, request in requests.items()]


def _id_of(opened: Opened) -> Any:
    request = opened.request
    return request.run_id if isinstance(request, RunJoin) else opened.source.get("run_id")


def _opened(client: Client, request: Union[RunStart, RunJoin]) -> Any:
    if isinstance(request, RunJoin):
        modes: Dict[str, Any] = {"stream_mode": list(request.modes)} if request.modes else {}
        return client.runs.join_stream(
            request.thread_id, request.run_id, stream_subgraphs=request.stream_subgraphs, on_close="continue", **modes
        )
    options = dict(request.payload)
    if tuple(options.get("stream_mode") or ()) == client.transport.capabilities.default_modes:
        # Nobody asked for these, and a transport may refuse one of them to whoever does.
        del options["stream_mode"]
    renamed = {"langsmith_tracing": options.pop("langsmith_tracer")} if "langsmith_tracer" in options else {}
    # There is nothing to cancel for whoever has seen enough.
    options.update(renamed, on_close="continue")
    return client.runs.stream(request.thread_id, options.pop("assistant_id"), **options)
