"""A run, shown as it streams, in the format that was asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, Sequence, Tuple

from ..errors import LgsyncError
from .failed_node import failures_located
from .narrate import FINISHED, Ended, Narrator, Note, Piece, Said, clean
from .outage import outages_told
from .render import Screen, json_line, part_text

if TYPE_CHECKING:
    from ..accumulate import Message
    from ..client import Client
    from ..run_stream import RunStream

__all__ = ["FORMATS", "GUIDE", "RunView"]

#: What the AI says; the messages with their tools; the server's parts; and what happens, as JSON lines.
FORMATS = ("text", "messages", "parts", "json")

#: Stands for the parts as the guide's Python prints them; ``parts`` is as its curl pipeline does.
GUIDE = "guide"


class RunView:
    """Shows one run after the other. ``output_tokens`` sums what their models reported, where messages are told."""

    def __init__(self, form: str, screen: Screen, modes: Sequence[str] = ()) -> None:
        self._screen = screen
        self._modes = tuple(modes)
        self._narrator = Narrator()
        self._form = form
        shows: Dict[str, Callable[[RunStream], Iterator[None]]] = {
            "text": self._text,
            "messages": self._messages,
            "json": self._json,
        }
        self._show = shows.get(form, self._parts)

    @property
    def output_tokens(self) -> int:
        return self._narrator.output_tokens

    def options_on(self, client: Client) -> Dict[str, Any]:
        """How a run has to be streamed to be shown."""
        if self._show == self._parts:
            return {"stream_mode": list(self._modes) or ["messages"]}
        # What messages and questions come with, if it has to be asked for by name.
        carried = client.transport.capabilities
        beside = [mode for mode in carried.default_modes if mode in carried.stream_modes]
        modes = {"stream_mode": list(dict.fromkeys((*beside, *self._modes)))} if self._modes else {}
        return {"stream_subgraphs": True, **modes}

    def show(self, run: RunStream, client: Client) -> Iterator[None]:
        """Show ``run`` to its end; a step for each thing that was shown. Raises what the run raises.

        ``client`` is asked where a run failed.
        """
        try:
            with outages_told() as outages, failures_located(client):
                for _ in self._show(run):
                    outages.over()
                    yield
        except LgsyncError as exc:
            if self._form == "json":
                _tell_event("error", error=type(exc).__name__, message=str(exc))
            raise

    def stop(self) -> None:
        """Show what is held back still, of a run that is shown no further."""
        self._tell(self._narrator.close())
        self._screen.end()

    def _messages(self, run: RunStream) -> Iterator[None]:
        for message in run.messages(namespaces="all"):
            self._tell(self._narrator.feed(message))
            yield
        self._tell(self._narrator.close())

    def _text(self, run: RunStream) -> Iterator[None]:
        for message in run.messages():
            self._tell(self._narrator.feed(message))
            yield
        self._tell(self._narrator.close())

    def _parts(self, run: RunStream) -> Iterator[None]:
        for part in run:
            _write(part_text(part.event, part.data) if self._form == GUIDE else _piped(part.event, part.data))
            yield

    def _json(self, run: RunStream) -> Iterator[None]:
        _tell_event("run", thread_id=run.thread_id, run_id=run.run_id)
        for name, item in self._views(run):
            if name != "messages":
                _tell_event(name, data=item)
            else:
                _tell_message(item)
            yield
        for interrupt in run.interrupts:
            _tell_event("interrupt", id=interrupt.id, value=interrupt.value)
        _tell_event("end", outcome=run.outcome, usage=run.usage)

    def _views(self, run: RunStream) -> Iterator[Tuple[str, Any]]:
        shown = [mode for mode in self._modes if not mode.startswith("messages")]
        if shown:
            return run.views("messages", *shown)
        return (("messages", message) for message in run.messages(namespaces="all"))

    def _tell(self, pieces: Iterable[Piece]) -> None:
        for piece in _text_only(pieces) if self._form == "text" else pieces:
            self._screen.show(piece)


def _text_only(pieces: Iterable[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if isinstance(piece, Said) and piece.kind == "text":
            yield piece
        elif isinstance(piece, (Ended, Note)):
            # What is remarked on is told anew, in a line of its own.
            yield Ended()


def _piped(event: str, data: Any) -> str:
    """A part as the guide's ``curl | sed | awk`` prints it."""
    return f"Receiving event of type: {clean(event)}...\n{json_line(data, compact=True)}\n\n"


def _tell_message(message: Message) -> None:
    place = {"namespace": list(message.namespace)} if message.namespace else {}
    said = {"text": message.delta.text, "reasoning": message.delta.reasoning}
    grown = {name: text for name, text in said.items() if text}
    if grown and message.type == "ai":
        _tell_event("delta", id=message.id, **grown, **place)
    if message.status in FINISHED:
        _tell_event("message", status=message.status, message=message.to_dict(), **place)


def _tell_event(event: str, **fields: Any) -> None:
    _write(json_line({"event": event, **fields}) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
