"""What every resource method shares: the per-call options, and leaving out what was not set."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ..deadline import checked
from ..rest import CallOptions
from ..transport import Timeout, TimeoutValue

__all__ = ["TimeoutValue", "call_options", "drop_unset"]


def call_options(
    headers: Optional[Mapping[str, str]],
    params: Optional[Mapping[str, Any]],
    timeout: TimeoutValue,
    deadline: Optional[float],
    query: Optional[Mapping[str, Any]] = None,
    json: Any = None,
) -> CallOptions:
    """Options of one call: ``query`` and ``json`` are the method's own; the caller's ``params`` win over ``query``."""
    merged = {**drop_unset(query or {}), **(params or {})}
    return CallOptions(
        json=json,
        headers=headers,
        params=merged or None,
        timeout=None if timeout is None else Timeout.of(timeout),
        deadline=checked(deadline),
    )


def drop_unset(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Leave out what is None: the server takes an explicit null for an error."""
    return {name: value for name, value in fields.items() if value is not None}
