"""Markdown that is rendered while it is still being written.

What is finished is printed for good, so that it scrolls as all text does; only the last block, which may still change,
is drawn again and again: some ten times a second, whatever the number of tokens, and less often if that takes long.
"""

from __future__ import annotations

import time
from typing import IO, Iterator, List, NamedTuple, Optional, Tuple

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment

from .render import TerminalScreen

__all__ = ["Block", "MarkdownScreen", "blocks_of"]

_PER_SECOND = 10
# At most this part of the time goes into drawing.
_SHARE = 0.2
_LONGEST_PAUSE = 0.5

_LISTS = ("bullet_list_open", "ordered_list_open")


class Block(NamedTuple):
    """A block of Markdown: a paragraph, a table …, or one item of a list."""

    text: str
    is_item: bool = False


def blocks_of(text: str) -> List[Block]:
    """Cut ``text`` into blocks of which all but the last cannot change any more, whatever is added.

    Joined, the blocks are the text.
    """
    begins: List[Tuple[int, bool]] = []
    for token in MarkdownIt().enable("table").parse(text):
        is_item = token.level == 1 and token.type == "list_item_open"
        is_block = token.level == 0 and token.nesting >= 0 and token.type not in _LISTS
        if token.map and (is_block or is_item):
            begins.append((token.map[0], is_item))
    lines = text.splitlines(keepends=True)
    first = begins[0][1] if begins else False
    cuts = [(0, first), *begins[1:], (len(lines), False)]
    return [Block("".join(lines[cut:end]), is_item) for (cut, is_item), (end, _) in zip(cuts, cuts[1:]) if end > cut]


class _Tail:
    """The block that is being written, as the live display draws it: of a tall one, the last lines."""

    def __init__(self) -> None:
        self.text = ""
        self._drawn: Tuple[str, int, List[List[Segment]]] = ("", 0, [])
        self._not_before = 0.0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text, width, lines = self._drawn
        # What is finished has been printed, and must not be drawn again, however fresh it is.
        stale = not self.text.startswith(text) or width != options.max_width
        if stale or (text != self.text and time.monotonic() >= self._not_before):
            began = time.monotonic()
            text = self.text
            lines = _rendered(text, console, options)
            self._drawn = (text, options.max_width, lines)
            ended = time.monotonic()
            self._not_before = ended + min((ended - began) / _SHARE, _LONGEST_PAUSE)
        yield from _joined(lines[-max(console.height - 2, 1) :])


class MarkdownScreen(TerminalScreen):
    """A terminal on which what the AI says is Markdown."""

    def __init__(self, console: Console, answers: IO[str]) -> None:
        super().__init__(console, answers)
        self._tail = _Tail()
        self._writing: Optional[Live] = None
        self._last: Optional[Block] = None
        self._looked = 0.0

    def end(self) -> None:
        self._stop_writing()
        super().end()

    def _said(self, kind: str, text: str) -> None:
        if kind != "text":
            self._stop_writing()
            super()._said(kind, text)
            return
        if self._writing is None:
            apart = self._kind == "reasoning"
            self.end()
            self._write("\n" if apart else "")
            self._begin_writing(text)
        else:
            self._tail.text += text
        self._kind = "text"
        now = time.monotonic()
        if now - self._looked >= 1 / _PER_SECOND:
            self._looked = now
            self._print_finished()

    def _begin_writing(self, text: str) -> None:
        self._tail, self._last, self._looked = _Tail(), None, time.monotonic()
        self._tail.text = text
        # It draws in a thread of its own, so that the last words are shown though no more come.
        self._writing = Live(
            self._tail,
            console=self._console,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._writing.start(refresh=True)

    def _print_finished(self) -> None:
        *whole, rest = blocks_of(self._tail.text) or [Block("")]
        if whole:
            self._tail.text = rest.text
            for block in whole:
                self._print_block(block)

    def _stop_writing(self) -> None:
        writing, self._writing = self._writing, None
        if writing is None:
            return
        writing.stop()
        for block in blocks_of(self._tail.text):
            self._print_block(block)
        self._kind = ""
        self._at_line_start = True

    def _print_block(self, block: Block) -> None:
        if not block.text.strip():
            return
        last, self._last = self._last, block
        if last is not None and not (block.is_item and last.is_item):
            self._console.print()
        self._console.print(_Printed(block.text))


class _Printed:
    """A block as it stays."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _joined(_rendered(self._text, console, options))


def _rendered(text: str, console: Console, options: ConsoleOptions) -> List[List[Segment]]:
    """The lines of a block, without the empty ones that some kinds of blocks have around them."""
    # A link is shown with its address: what a server calls it need not be where it leads.
    markdown = Markdown(text, hyperlinks=False)
    lines = console.render_lines(markdown, options.update(height=None), pad=False)
    while lines and _is_empty(lines[0]):
        del lines[0]
    while lines and _is_empty(lines[-1]):
        del lines[-1]
    return lines


def _is_empty(line: List[Segment]) -> bool:
    return not any(text.strip() or (style is not None and style.bgcolor) for text, style, _ in line)


def _joined(lines: List[List[Segment]]) -> Iterator[Segment]:
    for line in lines:
        yield from line
        yield Segment.line()
