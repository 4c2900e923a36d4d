"""Pages that mkdocs.yml does not name stand at the end of the guides, so that none is written and never found."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator


def on_config(config: Any) -> Any:
    """Add to the guides what lies in docs/ and is not in the navigation."""
    docs = Path(config.docs_dir)
    named = set(_pages(config.nav))
    found = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    guides = next(section["Guides"] for section in config.nav if "Guides" in section)
    guides.extend(page for page in found if page not in named)
    return config


def _pages(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for below in entry.values():
            yield from _pages(below)
    else:
        for below in entry:
            yield from _pages(below)
