"""What the official client has: its methods, and what the page about moving from it names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, Callable, Dict, Set

__all__ = ["RESOURCES", "method_of", "methods", "named_on_the_page", "signature"]

RESOURCES = ("assistants", "threads", "runs", "crons", "store", "http")

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "from-the-official-client.md"


def methods(client: Any) -> Dict[str, Callable[..., Any]]:
    """The public methods of all resources of a client of either kind, as ``"threads.create"``."""
    return {
        f"{resource}.{name}": method
        for resource in RESOURCES
        for name, method in inspect.getmembers(getattr(client, resource), callable)
        if not name.startswith("_") and inspect.ismethod(method)
    }


def method_of(client: Any, name: str) -> Callable[..., Any]:
    """The method that ``methods`` has under that name."""
    resource, _, method = name.partition(".")
    found: Callable[..., Any] = getattr(getattr(client, resource), method)
    return found


def signature(method: Callable[..., Any]) -> Dict[str, inspect.Parameter]:
    """The parameters of a method, without ``self``, in their order."""
    return dict(inspect.signature(method).parameters)


def named_on_the_page() -> Set[str]:
    """All that docs/from-the-official-client.md has in backticks, and the names in it."""
    spans = re.findall(r"`([^`\n]+)`", _PAGE.read_text(encoding="utf-8"))
    return {name for span in spans for name in (span, *re.findall(r"[\w.-]+", span))}
