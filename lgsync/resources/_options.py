"""What every resource method shares: the per-call options, and leaving out what was not set."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple, TypedDict, Union

from ..transport import Timeout

__all__ = ["TimeoutValue", "call_options", "drop_unset"]

TimeoutValue = Union[float, Tuple[Optional[float], Optional[float]], None]


class CallOptions(TypedDict):
    """Keyword arguments of :meth:`lgsync.rest.Rest.call` that callers set per call."""

    headers: Optional[Mapping[str, str]]
    params: Optional[Mapping[str, Any]]
    timeout: Optional[Timeout]


def call_options(
    headers: Optional[Mapping[str, str]],
    params: Optional[Mapping[str, Any]],
    timeout: TimeoutValue,
    query: Optional[Mapping[str, Any]] = None,
) -> CallOptions:
    """Per-call options for the transport; ``query`` is the method's own, and ``params`` win over it."""
    merged = {**drop_unset(query or {}), **(params or {})}
    return CallOptions(headers=headers, params=merged or None, timeout=None if timeout is None else Timeout.of(timeout))


def drop_unset(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Leave out what is None: the server takes an explicit null for an error."""
    return {name: value for name, value in fields.items() if value is not None}
