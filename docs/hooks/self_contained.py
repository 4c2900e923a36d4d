"""Ends the build if a page would load something from another host: readers may have no network, and none is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\bhref=[\"']?((?:https?:)?//[^\"'\s>]+)"
)
_IMPORTED = re.compile(r"(?:url\(|@import\s*)[\"']?((?:https?:)?//[^\"')\s]+)")


def on_post_build(*, config: Any, **_: Any) -> None:
    """Look through what was built."""
    site = Path(config.site_dir)
    for patterns, suffix in ((_LOADED, "html"), (_IMPORTED, "css")):
        for file in sorted(site.rglob(f"*.{suffix}")):
            found = patterns.search(file.read_text(encoding="utf-8"))
            if found:
                raise PluginError(f"{file.relative_to(site)} would load {next(filter(None, found.groups()))}")
