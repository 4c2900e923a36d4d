"""What is the same in the results of two calls: all but ids, times, and who asked."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict

from lgsync.models import Model

__all__ = ["like", "plain"]

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
_STARTED_AT = "__request_start_time_ms__"
_AGENT = re.compile(r"(langgraph-sdk-py|lgsync)/[\w.]+")


def plain(result: Any) -> Any:
    """The JSON that a result shows as a dictionary."""
    if isinstance(result, (Model, dict)):
        return {name: plain(result[name]) for name in result}
    if isinstance(result, (list, tuple)):
        return [plain(one) for one in result]
    return result


def like(result: Any) -> Any:
    """The JSON of a result, in which each id stands as a number, in the order in which they come, and no time."""
    ids: Dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return ids.setdefault(found[0], f"<id {len(ids) + 1}>")

    def text(value: str) -> str:
        return _AGENT.sub("<client>", _TIME.sub("<time>", _ID.sub(number, value)))

    return _mapped(plain(result), text)


def _mapped(value: Any, text: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {text(name): _mapped(value[name], text) for name in value if name != _STARTED_AT}
    if isinstance(value, list):
        return [_mapped(one, text) for one in value]
    return text(value) if isinstance(value, str) else value
