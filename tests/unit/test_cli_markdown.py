"""Markdown that is rendered while it streams: finished blocks once and for good, the rest as it grows."""

from __future__ import annotations

import io
import re
import time
from typing import Iterator, List

import pytest
from rich.console import Console

from lgsync.cli.markdown import MarkdownScreen, blocks_of
from lgsync.cli.narrate import Called, Ended, Said

ANSWER = """# Title

A paragraph of **bold** words.

- one
- two
- three

```python
print("hi")

print("ho")
```

| a | b |
|---|---|
| 1 | 2 |

The end."""


def texts(text: str) -> List[str]:
    return [block.text for block in blocks_of(text)]


@pytest.fixture
def screen() -> Iterator[MarkdownScreen]:
    console = Console(file=io.StringIO(), force_terminal=True, width=60, height=20, highlight=False)
    screen = MarkdownScreen(console, io.StringIO())
    yield screen
    # It draws in a thread of its own for as long as it writes.
    screen.end()


def written(screen: MarkdownScreen) -> str:
    return screen._console.file.getvalue()  # type: ignore[attr-defined]


def left_on_screen(output: str) -> List[str]:
    """The lines of a terminal after ``output``: rich only erases lines, moves up, and writes."""
    lines, row = [""], 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r?\n|\r|[^\x1b\r\n]+", output):
        if piece.endswith("\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.startswith("\x1b[") and piece.endswith("A"):
            row -= int(piece[2:-1] or 1)
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif not piece.startswith("\x1b") and piece != "\r":
            lines[row] += piece
    return "\n".join(line.rstrip() for line in lines).rstrip().split("\n")


def test_text_is_cut_between_blocks_and_between_the_items_of_a_list():
    assert texts("a\nb\n\n- one\n- two\n\nc") == ["a\nb\n\n", "- one\n", "- two\n\n", "c"]


@pytest.mark.parametrize("end", range(len(ANSWER) + 1))
def test_what_is_finished_never_changes_whatever_follows(end):
    *whole, _ = texts(ANSWER[:end]) or [""]
    assert texts(ANSWER)[: len(whole)] == whole


def test_a_fence_with_empty_lines_is_one_block():
    assert '```python\nprint("hi")\n\nprint("ho")\n```\n\n' in texts(ANSWER)


def test_streamed_it_looks_as_it_does_at_once(screen):
    for letter in ANSWER:
        screen._looked = 0.0
        screen.show(Said("text", letter))
    screen.show(Ended())
    at_once = Console(file=io.StringIO(), force_terminal=True, width=60, highlight=False)
    other = MarkdownScreen(at_once, io.StringIO())
    other.show(Said("text", ANSWER))
    other.show(Ended())
    assert left_on_screen(written(screen)) == left_on_screen(at_once.file.getvalue())  # type: ignore[attr-defined]
    assert "bold words" in " ".join(left_on_screen(written(screen)))


def test_one_empty_line_stands_between_blocks_and_none_between_items(screen):
    screen.show(Said("text", "before\n\n- one\n- two\n\nafter\n\n1. first\n2. second\n"))
    screen.end()
    assert left_on_screen(written(screen)) == [
        *("before", "", " • one", " • two", "", "after", "", " 1 first", " 2 second"),
    ]


def test_what_is_written_is_seen_before_its_block_is_finished(screen):
    screen.show(Said("text", "half a sen"))
    end = time.monotonic() + 5
    while "half a sen" not in written(screen):
        assert time.monotonic() < end
    screen.end()
    assert left_on_screen(written(screen)) == ["half a sen"]


def test_a_tool_call_follows_the_finished_text(screen):
    screen.show(Said("text", "I look it up."))
    screen.show(Called("search", {"q": "x"}))
    lines = left_on_screen(written(screen))
    assert lines[0] == "I look it up."
    assert 'search(q="x")' in lines[2]


def test_a_tall_block_is_shown_by_its_last_lines_and_printed_whole(screen):
    lines = "\n".join(f"line {number}" for number in range(100))
    screen.show(Said("text", f"```\n{lines}\n```"))
    screen.end()
    left = left_on_screen(written(screen))
    assert [line for line in left if line.strip() == "line 0"] != []
    assert [line for line in left if line.strip() == "line 99"] != []


def test_the_cost_of_a_token_does_not_grow_with_the_message(screen):
    def seconds(paragraphs: int) -> float:
        began = time.process_time()
        for _ in range(paragraphs):
            screen.show(Said("text", "word " * 20 + "\n\n"))
        return time.process_time() - began

    first = seconds(100)
    seconds(1000)
    assert seconds(100) < 10 * first + 0.2


def test_an_entity_cannot_bring_an_escape_to_the_terminal(screen):
    screen.show(Said("text", "a &#27;]0;title&#7; &#x9b;31m b"))
    screen.end()
    assert "\x1b]" not in written(screen)
    assert "\x9b" not in written(screen)
    assert "\x07" not in written(screen)


def test_a_link_is_shown_with_its_address(screen):
    screen.show(Said("text", "[bank](http://evil.example)"))
    screen.end()
    assert "http://evil.example" in written(screen)
    assert "\x1b]8" not in written(screen)
