"""What every resource method shares: the per-call options, and leaving out what was not set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Collection, Dict, Mapping, Optional, Union

from ..deadline import checked
from ..errors import ConfigurationError, WrongType
from ..paths import segment
from ..plain import checked_mapping
from ..rest import CallOptions
from ..transport import Timeout, TimeoutValue

if TYPE_CHECKING:
    from ..models import Checkpoint

__all__ = [
    "CheckpointLike",
    "TimeoutValue",
    "call_options",
    "check_choice",
    "checked_id",
    "drop_empty",
    "drop_unset",
    "params_of",
    "plain_checkpoint",
    "timeout_of",
]

#: A checkpoint as answers hold it, or as a dictionary.
CheckpointLike = Union["Checkpoint", Mapping[str, Any]]


def call_options(
    headers: Optional[Mapping[str, str]],
    params: Optional[Mapping[str, Any]],
    timeout: TimeoutValue,
    deadline: Optional[float],
    query: Optional[Mapping[str, Any]] = None,
    json: Any = None,
    reads: bool = False,
) -> CallOptions:
    """Options of one call: ``query`` and ``json`` are the method's own; the caller's ``params`` win over ``query``.

    ``reads`` says of a POST that it changes nothing.
    """
    merged = {**drop_unset(query or {}), **params_of(params)}
    return CallOptions(
        json=json,
        headers=headers,
        params=merged or None,
        timeout=timeout_of(timeout),
        deadline=checked(deadline),
        reads=reads,
    )


def params_of(params: Optional[Mapping[str, Any]]) -> Mapping[str, Any]:
    """A call's own query; a value may be a list."""
    return {} if params is None else checked_mapping("params", params, "; a value may be a list")


def timeout_of(timeout: TimeoutValue) -> Optional[Timeout]:
    """A call's own timeout; None is the client's."""
    return None if timeout is None else Timeout.of(timeout)


def checked_id(value: str, what: str) -> str:
    """An id as text, if it may be one; ``what`` names it."""
    segment(value, what)
    return str(value)


def drop_unset(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Leave out what is None: the server takes an explicit null for an error."""
    return {name: value for name, value in fields.items() if value is not None}


def drop_empty(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Leave out what is None or empty, where that says no more than nothing at all: a filter that filters nothing."""
    return {name: value for name, value in fields.items() if value}


def check_choice(name: str, value: Optional[str], choices: Collection[str]) -> None:
    """Refuse a value that the server might take without a word, and that means nothing; None is not set."""
    if value is not None and value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}; not {value!r}")


def plain_checkpoint(checkpoint: Optional[CheckpointLike]) -> Optional[Mapping[str, Any]]:
    """The checkpoint as the server takes it: it refuses the nulls that a model, or an answer, may hold."""
    if checkpoint is None:
        return None
    if isinstance(checkpoint, Mapping):
        return drop_unset(checkpoint)
    if not hasattr(checkpoint, "model_dump"):
        raise WrongType(
            f"checkpoint must be a checkpoint, as states hold it, or a mapping, not {type(checkpoint).__name__}; "
            "an id alone is passed as checkpoint_id=…"
        )
    return drop_unset(checkpoint.model_dump())
