"""Where pieces become visible: plain text on any output, or a terminal (with rich); always as they come."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
import sys
from typing import IO, TYPE_CHECKING, Any, ContextManager, List, Mapping, NamedTuple, Optional, Sequence

from .narrate import Called, Calling, Ended, Note, Piece, Returned, Said, call_text, clean
from .typed import typed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

__all__ = ["LineBreaker", "Screen", "Stroke", "TerminalScreen", "json_line", "part_text", "question_text", "snippet"]

_RESULT_LIMIT = 1200
_WORD_LIMIT = 40
_WORD = re.compile(r"\n|[^\S\n]+|\S+")
# Those that JSON leaves as they are, though some terminals obey them.
_HIGH_CONTROL = re.compile(r"[\x7f-\x9f]")


def json_line(data: Any, *, compact: bool = False) -> str:
    """``data`` as one line of JSON, without a raw control character; ``compact`` as servers send it."""
    separators = (",", ":") if compact else None
    written = json.dumps(data, ensure_ascii=not _is_unicode(sys.stdout), separators=separators)
    return _HIGH_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _is_unicode(output: Any) -> bool:
    """Whether each character can be written there. What Python puts in place of one that cannot is no JSON."""
    encoding = getattr(output, "encoding", None)
    return not encoding or codecs.lookup(encoding).name.startswith("utf-")


def part_text(event: str, data: Any) -> str:
    """A raw part as the guide's loop prints it, with its data as one line of JSON."""
    return f"Receiving new event of type: {clean(event)}...\n{json_line(data)}\n\n\n"


def question_text(value: Any) -> str:
    """What an interrupt asks: its text, or its ``question`` and the rest of its value as JSON."""
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, Mapping):
        return clean(_pretty(value))
    asks = next((key for key in ("question", "q", "message", "description") if isinstance(value.get(key), str)), "")
    rest = {key: item for key, item in value.items() if key != asks}
    return clean("\n".join(text for text in (value.get(asks), _pretty(rest) if rest else "") if text))


def snippet(url: str, transport: str, assistant: str, message: str, *, raw: bool, resume: bool) -> List[str]:
    """The few lines of Python that do what the demo just did."""
    chosen = "" if transport == "sse" else f', transport="{transport}"'
    question = json.dumps([{"role": "user", "content": message}], ensure_ascii=False)
    loop, show = ("for piece in run.text():", 'print(piece, end="", flush=True)')
    if raw:
        loop, show = ("for part in run:", "print(part.event, part.data)")
    mode = ', stream_mode="messages"' if raw else ""
    call = f'with client.runs.stream(thread.thread_id, "{assistant}", {{}}{mode}) as run:'
    lines = [
        "from lgsync import Client",
        f'client = Client("{url}"{chosen})',
        "thread = client.threads.create()",
        f'question = {{"messages": {question}}}',
    ]
    if not resume:
        return [*lines, call.format("input=question"), f"    {loop}", f"        {show}"]
    steps = 'for step in ({"input": question}, {"command": {"resume": "yes"}}):'
    return [*lines, steps, f"    {call.format('**step')}", f"        {loop}", f"            {show}"]


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _shortened(text: str) -> str:
    more = len(text) - _RESULT_LIMIT
    return f"{text[:_RESULT_LIMIT]}\n… ({more:,} more characters)" if more > 0 else text


class Screen:
    """Plain text on ``out``, flushed with every token, without control codes; and the base of a terminal's screen."""

    def __init__(self, out: IO[str], answers: IO[str]) -> None:
        self._out = out
        self._answers = answers
        self._kind = ""
        self._calls = ""
        self._at_line_start = True

    def title(self, text: str) -> None:
        """The demo's first line."""
        self.line(text)

    def line(self, text: str = "") -> None:
        """A line of the demo's own."""
        self.end()
        self._write(f"{text}\n")

    def user(self, text: str) -> None:
        """The message that starts the run."""
        self.line(f"\nyou: {text}\n")

    def code(self, lines: Sequence[str]) -> None:
        """Lines of Python, to be copied."""
        for text in lines:
            self.line(f"  {text}")

    def summary(self, text: str, outcome: str) -> None:
        """The closing line: ``outcome`` is how the run ended."""
        self.line(f"\n{outcome} · {text}")

    def waiting(self, text: str) -> ContextManager[object]:
        """Say, for as long as the block lasts, what is being waited for."""
        self.line(text)
        return contextlib.nullcontext()

    def show(self, piece: Piece) -> None:
        """Show a piece, at once."""
        if isinstance(piece, Said):
            self._said(piece.kind, piece.text)
        elif isinstance(piece, Calling):
            self._calling(piece)
        elif isinstance(piece, Called):
            self._called(piece)
        elif isinstance(piece, Returned):
            self._returned(piece)
        elif isinstance(piece, Note):
            self._note(piece.text)
        elif isinstance(piece, Ended):
            self.end()

    def end(self) -> None:
        """Finish what is open: the next piece begins on a line of its own."""
        if not self._at_line_start:
            self._write("\n")
        self._kind = ""
        self._calls = ""

    def ask(self, question: str, *, hint: str = "") -> Optional[str]:
        """Show what a paused run asks and read a line; None at the end of input. ``hint`` is for whoever types."""
        self.line(f"\nThe run is paused and asks:\n{question}")
        return self._answer(hint)

    def prompt(self) -> Optional[str]:
        """Read what the user says next; None at the end of input."""
        self.end()
        self._write("> ")
        text = typed(self._answers.readline)
        if not (text and self._answers.isatty()):
            self._write(text.rstrip("\n") + "\n")
        self._line_entered()
        return text.rstrip("\n") if text else None

    def broken_off(self) -> None:
        """Ctrl-C was typed: go on in a line of its own."""
        self._at_line_start = False
        self.end()

    def _said(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self.end()
            self._kind = kind
            self._write("" if kind == "text" else f"{kind}: ")
        self._write(text)

    def _calling(self, calls: Calling) -> None:
        # Text that was written cannot be taken back: only what continues it is added, the rest waits for Called.
        grown = "\n".join(f"call: {line}" for line in calls.lines)
        if self._kind != "calls":
            self.end()
            self._kind = "calls"
        if grown.startswith(self._calls):
            self._write(grown[len(self._calls) :])
            self._calls = grown

    def _called(self, call: Called) -> None:
        line = f"call: {call_text(call.name, call.args)}"
        if line in self._calls.split("\n"):
            return
        problem = f"  ({call.problem})" if call.problem else ""
        self.line(f"{line}{problem}")

    def _returned(self, result: Returned) -> None:
        self.line(f"{result.name} {'failed' if result.failed else 'returned'}: {_shortened(result.text)}")

    def _note(self, text: str) -> None:
        self.line(f"({text})")

    def _answer(self, hint: str) -> Optional[str]:
        while True:
            if hint and self._answers.isatty():
                self.line(f"({hint})")
            self._write("your answer: ")
            text = typed(self._answers.readline)
            if not (text and self._answers.isatty()):
                self._write(text.rstrip("\n") + "\n")
            self._line_entered()
            if not text:
                return None
            if text.strip():
                return text.strip()

    def _line_entered(self) -> None:
        # Whoever typed the answer also ended its line.
        self._at_line_start = True

    def _write(self, text: str) -> None:
        """All text comes by here, or by what a terminal has in place of it: what a server sent does not steer it."""
        text = clean(text)
        if text:
            self._out.write(text)
            self._out.flush()
            self._at_line_start = text.endswith("\n")


class Stroke(NamedTuple):
    """Go ``back`` so many cells, erase the rest of the line, then write ``text``."""

    back: int
    text: str


class LineBreaker:
    """Breaks lines between words although words come in pieces: one that outgrows its line moves to the next."""

    def __init__(self) -> None:
        self._column = 0
        self._word = ""

    def feed(self, text: str, width: int) -> List[Stroke]:
        """What to write for ``text`` on lines of ``width`` cells."""
        return [self._stroke(piece, width) for piece in _WORD.findall(text)]

    def _stroke(self, piece: str, width: int) -> Stroke:
        from rich.cells import cell_len

        cells = cell_len(piece)
        if piece == "\n":
            self._column, self._word = 0, ""
            return Stroke(0, piece)
        if piece.isspace():
            fits = self._column + cells <= width
            self._column, self._word = (self._column + cells if fits else width), ""
            return Stroke(0, piece if fits else "")
        begun = cell_len(self._word)
        self._word += piece
        if self._column + cells <= width:
            self._column += cells
            return Stroke(0, piece)
        if begun == self._column or begun + cells > min(width, _WORD_LIMIT):
            # No line would hold it, or it is no word (a URL, a script without spaces): the terminal breaks it.
            self._column = (self._column + cells) % (width + 1)
            return Stroke(0, piece)
        self._column = begun + cells
        return Stroke(begun, f"\n{self._word}")


class TerminalScreen(Screen):
    """A terminal, with rich: reasoning dimmed, tool calls growing on a live line, then framed."""

    def __init__(self, console: Console, answers: IO[str]) -> None:
        super().__init__(console.file, answers)
        self._console = console
        self._live: Optional[Live] = None
        self._breaker = LineBreaker()

    def title(self, text: str) -> None:
        name, _, rest = text.partition(":")
        self._write(name, "bold cyan")
        self._write(f"{rest}\n")

    def user(self, text: str) -> None:
        self._write("\n> ", "bold green")
        self._write(f"{text}\n\n", "bold")

    def code(self, lines: Sequence[str]) -> None:
        from rich.syntax import Syntax

        source = "\n".join(f"  {line}" for line in lines)
        # Never folded or cropped: a line that is broken on the screen could not be pasted.
        self._console.print(Syntax("", "python", theme="ansi_dark").highlight(source), soft_wrap=True, end="")

    def summary(self, text: str, outcome: str) -> None:
        mark, style = {"success": ("✓", "green"), "interrupted": ("‖", "yellow")}.get(outcome, ("✗", "red"))
        self.end()
        self._write(f"\n{mark} {outcome}", f"bold {style}")
        self._write(f" · {text}\n", "dim")

    def waiting(self, text: str) -> ContextManager[object]:
        return self._console.status(text)

    def end(self) -> None:
        self._stop_live()
        super().end()

    def ask(self, question: str, *, hint: str = "") -> Optional[str]:
        self.end()
        self._frame(question, "the run is paused and asks", "yellow")
        return self._answer(hint)

    @property
    def _has_colors(self) -> bool:
        return bool(self._console.color_system) and not self._console.no_color

    def prompt(self) -> Optional[str]:
        self.end()
        self._write("\n")
        try:
            # Imported for what it does to input(): editing, and the lines before.
            import readline  # noqa: F401
        except ImportError:
            return super().prompt()
        # It must be told what takes no room on the line.
        start, stop = ("\001\x1b[1;32m\002", "\001\x1b[0m\002") if self._has_colors else ("", "")
        try:
            text: Optional[str] = typed(lambda: input(f"{start}> {stop}"))
        except EOFError:
            self._write("\n")
            text = None
        self._line_entered()
        return text

    def _said(self, kind: str, text: str) -> None:
        style = {"text": "", "reasoning": "dim italic"}.get(kind, "cyan")
        if kind != self._kind:
            apart = self._kind in ("text", "reasoning")
            self.end()
            self._write("\n" if apart else "")
            self._kind = kind
            self._write("" if kind in ("text", "reasoning") else f"{kind}: ", style)
        self._write(text, style)

    def _calling(self, calls: Calling) -> None:
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            self.end()
            self._kind = "calls"
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        room = max(self._console.width - 4, 10)
        lines = [line if len(line) <= room else f"…{line[1 - room :]}" for line in calls.lines]
        shown = "\n".join(f"→ {line}" for line in lines)
        self._live.update(Text(shown, style="magenta", no_wrap=True, overflow="crop"), refresh=True)

    def _called(self, call: Called) -> None:
        self.end()
        body = call_text(call.name, call.args)
        self._frame(f"{body}\n{call.problem}".strip(), "tool call", "red" if call.problem else "magenta")

    def _returned(self, result: Returned) -> None:
        self.end()
        said = "failed" if result.failed else "returned"
        self._frame(_shortened(result.text), f"{result.name} {said}", "red" if result.failed else "blue")

    def _note(self, text: str) -> None:
        self.end()
        self._write(f"({text})\n", "yellow")

    def _frame(self, text: str, title: str, style: str) -> None:
        from rich.panel import Panel
        from rich.text import Text

        self._console.print(
            Panel.fit(Text(clean(text)), title=Text(clean(title)), title_align="left", border_style=style)
        )

    def _line_entered(self) -> None:
        super()._line_entered()
        self._breaker = LineBreaker()

    def _stop_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _write(self, text: str, style: str = "") -> None:
        from rich.control import Control
        from rich.segment import ControlType
        from rich.text import Text

        text = clean(text)
        # One cell stays free: in the last one, terminals differ on where the cursor is.
        for back, piece in self._breaker.feed(text, self._console.width - 1):
            if back:
                self._console.control(Control((ControlType.CURSOR_BACKWARD, back), (ControlType.ERASE_IN_LINE, 0)))
            self._console.print(Text(piece, style), end="", soft_wrap=True)
        self._at_line_start = text.endswith("\n") if text else self._at_line_start
