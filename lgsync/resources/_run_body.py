"""The body of a request that starts a run, or has one started: from the arguments of the method that sends it."""

from __future__ import annotations

import warnings
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union, get_args

from ..errors import ConfigurationError, WrongType
from ..paths import segment
from ..plain import Unfit, checked_mapping, plain
from ..schema import DisconnectMode, Durability, IfNotExists, MultitaskStrategy, OnCompletionBehavior
from ..transport import STREAM_MODES
from ._options import check_choice, drop_unset, plain_checkpoint

__all__ = ["checked_modes", "run_body", "run_fields", "unknown_fields", "warn_of_checkpoint_during"]

#: The fields of a run's body, by the parameter that sets each.
_FIELDS = {
    **{
        name: name
        for name in (
            "assistant_id",
            "input",
            "command",
            "stream_mode",
            "stream_subgraphs",
            "stream_resumable",
            "metadata",
            "config",
            "context",
            "checkpoint",
            "checkpoint_id",
            "checkpoint_during",
            "interrupt_before",
            "interrupt_after",
            "feedback_keys",
            "on_disconnect",
            "on_completion",
            "webhook",
            "multitask_strategy",
            "if_not_exists",
            "after_seconds",
            "durability",
            "strict_resume",
        )
    },
    "langsmith_tracing": "langsmith_tracer",
}

# Servers take some of these without a word, and then do as if nothing had been said.
_CHOICES: Mapping[str, Tuple[str, ...]] = {
    "on_disconnect": get_args(DisconnectMode),
    "on_completion": get_args(OnCompletionBehavior),
    "multitask_strategy": get_args(MultitaskStrategy),
    "if_not_exists": get_args(IfNotExists),
    "durability": get_args(Durability),
}

_MAPPINGS = ("command", "config", "metadata", "langsmith_tracer")


def run_body(arguments: Mapping[str, Any], **fields: Any) -> Dict[str, Any]:
    """The body, from the arguments of the method that sends it; its signature is the list of fields.

    ``fields`` are given as the API names them, and win.
    """
    if not arguments.get("assistant_id"):
        raise ConfigurationError("assistant_id must be an assistant's id or a graph's name, not empty")
    return run_fields(arguments, **fields)


def run_fields(arguments: Mapping[str, Any], **fields: Any) -> Dict[str, Any]:
    """The same, where no assistant need be named: what is to change of the runs of a schedule."""
    if arguments.get("input") is not None and arguments.get("command") is not None:
        raise ConfigurationError("Give input or command, not both: an answer to an interrupt goes into the command")
    told = arguments.get("on_run_created")
    if told is not None and not callable(told):
        # Found out only when it is called, it would cost a run.
        raise WrongType(f"on_run_created must be a function, not {type(told).__name__}")
    for name, choices in _CHOICES.items():
        check_choice(name, arguments.get(name), choices)
    named = {field: arguments[name] for name, field in _FIELDS.items() if name in arguments}
    if "assistant_id" in named:
        segment(named["assistant_id"], "assistant_id")
        named["assistant_id"] = str(named["assistant_id"])
    for name in _MAPPINGS:
        named[name] = _mapping(name, named.get(name))
    named["checkpoint"] = plain_checkpoint(named.get("checkpoint"))
    return drop_unset({**named, **fields})


def unknown_fields(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Those that no parameter sets."""
    return {name: value for name, value in fields.items() if name not in _FIELDS}


def _mapping(name: str, value: Any) -> Optional[Mapping[str, Any]]:
    """The value as a mapping, which a dataclass and a model may stand for."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _without_nulls(value) if name == "command" else value
    try:
        taken = plain(value)
    except Unfit:
        taken = None
    fields: Mapping[str, Any] = checked_mapping(name, taken if isinstance(taken, Mapping) else value)
    # Of a class, a field that was never set cannot be told from one that was set to nothing.
    return {field: held for field, held in fields.items() if held is not None and not _is_empty_tuple(held)}


def _is_empty_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and not value


def _without_nulls(command: Mapping[str, Any]) -> Dict[str, Any]:
    """None is an answer like any other, but no update and nowhere to go."""
    return {name: value for name, value in command.items() if value is not None or name == "resume"}


def checked_modes(stream_mode: Union[str, Sequence[str]]) -> Tuple[str, ...]:
    """The stream modes, each of which there is."""
    modes = (stream_mode,) if isinstance(stream_mode, str) else tuple(stream_mode)
    for mode in modes:
        check_choice("stream_mode", mode, STREAM_MODES)
    if not modes:
        raise ConfigurationError(f"stream_mode needs at least one of: {', '.join(STREAM_MODES)}")
    return modes


def warn_of_checkpoint_during(checkpoint_during: Optional[bool]) -> None:
    """Tell the caller of the calling method that this parameter has had its day."""
    if checkpoint_during is not None:
        warnings.warn(
            'checkpoint_during is deprecated, and servers will drop it: use durability="async" or "exit"',
            DeprecationWarning,
            stacklevel=3,
        )
