"""The one place where JSON is read and written."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, datetime, time
from typing import Any, Union
from uuid import UUID

from pydantic_core import from_json

from .errors import ConfigurationError

__all__ = ["decode", "encode"]


def decode(text: Union[bytes, bytearray, str]) -> Any:
    """Decode JSON text; raises ValueError if it is none."""
    try:
        return from_json(text)
    except ValueError:
        # pydantic_core refuses lone surrogates, which Python servers can send; the standard library takes them.
        try:
            return json.loads(text)
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc


def encode(value: Any) -> bytes:
    """Encode a value as compact JSON.

    Takes what JSON has, and pydantic models (LangChain messages are such), dataclasses, objects with ``dict()``,
    sets, dates, UUIDs and numpy scalars. Raises ConfigurationError for anything else, and for NaN and infinities.
    """
    try:
        text = json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"The request body cannot be written as JSON: {exc}") from exc


def _plain(value: Any) -> Any:
    if isinstance(value, type):
        raise TypeError(f"a class ({value.__name__}) was given where an instance is needed")
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if hasattr(value, "item") and type(value).__module__ == "numpy":
        return value.item()
    if hasattr(value, "dict") and callable(value.dict):
        return value.dict()
    raise TypeError(f"{type(value).__name__} is not something JSON has")
