"""Puts what was measured into the pages: ``<!-- from benchmarks/RESULTS.md -->`` is replaced by that file's text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PLACE = re.compile(r"^<!-- from (benchmarks/\w+\.md) -->$", re.MULTILINE)
_TITLE = re.compile(r"\A# .*\n")


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """The page with the files in it that it names; their own titles are left out."""
    root = Path(config.config_file_path).parent

    def text(place: re.Match[str]) -> str:
        return _TITLE.sub("", (root / place[1]).read_text(encoding="utf-8")).strip()

    return _PLACE.sub(text, markdown)


def on_serve(server: Any, *, config: Any, **_: Any) -> Any:
    """Build anew when something was measured anew."""
    server.watch(str(Path(config.config_file_path).parent / "benchmarks"))
    return server
