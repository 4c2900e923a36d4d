"""What the runs of a client have in common."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Union

from .schema import DisconnectMode, StreamMode

__all__ = ["RunDefaults"]


class RunDefaults(NamedTuple):
    """What a run is started and streamed with where its call does not say: ``Client(run_defaults=RunDefaults(...))``.

    ``stream_mode``: one mode or several; None is what messages need. ``on_close``: what becomes of a run whose stream
    is left early. ``raise_error``: whether a failed run raises RunError where it is streamed or joined; else its stream
    ends with an ``error`` part, and ``runs.join`` returns the server's ``{"__error__": …}``.
    """

    stream_mode: Union[StreamMode, Sequence[StreamMode], None] = None
    on_close: DisconnectMode = "cancel"
    raise_error: bool = True
