"""The blocks of the README and of the pages in docs/, as the suite runs them.

What a page says with its blocks:

- Python blocks run in order, in one interpreter, as if they were pasted one after the other.
- A Python block with tests in it (``def test_…``) is a file that pytest runs.
- A block with a title (```` ```python title="app.py" ````) is a file of that name.
- ``bash`` blocks run in a shell, in the folder of these files; :data:`LEFT_OUT` says which commands do not, and why.
- ``console`` blocks are commands behind ``$``, each followed by what it prints, if that is shown.
- A ``text`` block right behind a block that runs is what that prints; an ellipsis (…) stands for anything.
- ``<!-- not run: reason -->`` above a block: it does not run.
- ``<!-- given: … -->``: Python that a reader is expected to have of his own; it runs in its place.

``localhost:2024`` is everywhere the address of a server that runs the graphs of ``lgsync demo``.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

__all__ = ["LEFT_OUT", "PAGES", "ROOT", "SHOWN", "Block", "blocks", "page_named"]

ROOT = Path(__file__).resolve().parents[2]

PAGES: List[Path] = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

#: Languages of blocks that are read and not run.
SHOWN = {"", "text", "ini", "javascript", "json", "nginx"}

#: Commands that the suite does not run where a page shows them, and why.
LEFT_OUT: Dict[str, str] = {
    r"(python -m )?pip install ": "tests install nothing; tests/package does",
    r"lgsync demo\b": "run by test_demo.py, and the demo's server stands in where it is kept",
}

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?P<more>[^`]*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_NOT_RUN = re.compile(r"^ *<!-- not run: (.+) -->$")
_GIVEN = re.compile(r"^ *<!-- given:$")


class Block(NamedTuple):
    """A block of a page; ``line`` is the number of its first line of code."""

    page: str
    line: int
    language: str
    code: str
    title: Optional[str] = None
    not_run: Optional[str] = None
    prints: Optional[str] = None

    @property
    def kind(self) -> str:
        """How it runs: a name of the runner's; ``shown`` for a block that does not run."""
        if self.not_run or self.language in SHOWN:
            return "file" if self.title and not self.not_run else "shown"
        if self.language == "python" and re.search(r"^def test_", self.code, re.MULTILINE):
            return "pytest"
        return "file" if self.title else self.language

    @property
    def commands(self) -> List[str]:
        """Of a shell block: its commands, each on one line, but those that are left out."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [line for line in lines if not any(re.match(command, line) for command in LEFT_OUT)]


def page_named(path: Path) -> str:
    """How a page is called: its path from the top."""
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path) -> List[Block]:
    """All blocks of a page, in order."""
    found: List[Block] = []
    for block, right_behind in _read(page_named(path), path.read_text(encoding="utf-8").splitlines()):
        if right_behind and block.language == "text" and found[-1].kind in ("python", "given", "bash", "pytest"):
            found[-1] = found[-1]._replace(prints=block.code)
        found.append(block)
    return found


def _read(page: str, lines: List[str]) -> Iterator[Tuple[Block, bool]]:
    """Each block, and whether nothing but blank lines stands between it and the one before."""
    number, above, right_behind = 0, "", False
    while number < len(lines):
        line = lines[number]
        fence, given = _FENCE.match(line), _GIVEN.match(line)
        if fence or given:
            end = f"{fence['indent']}```" if fence else "-->"
            last = lines.index(end, number + 1)
            code = textwrap.dedent("\n".join(lines[number + 1 : last])) + "\n"
            yield _block(page, number + 2, fence, code, above), right_behind
            number, above, right_behind = last, "", True
        elif line.strip():
            above, right_behind = line, False
        number += 1


def _block(page: str, line: int, fence: Optional[re.Match[str]], code: str, above: str) -> Block:
    if fence is None:
        return Block(page, line, "given", code)
    title, not_run = _TITLE.search(fence["more"]), _NOT_RUN.match(above)
    return Block(page, line, fence["language"], code, title and title[1], not_run and not_run[1])
