"""The one place where JSON is read and written."""

from __future__ import annotations

import json
import re
from typing import Any, Union

from pydantic_core import from_json

from .errors import ConfigurationError
from .plain import plain, rebuilt

__all__ = ["decode", "encode"]

# Numbers that may be beyond 64 bits. That there are so many digits in a row is found at next to no cost; whether they
# stand where a number can, at some.
_LARGE = re.compile(rb"(?<![^\[:,])-?[0-9]{19,}(?![^\],}])")
_TO_ZEROS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_MANY_DIGITS = b"0" * 19


def decode(text: Union[bytes, bytearray, str], *, strict: bool = False) -> Any:
    """Decode JSON text; raises ValueError if it is none. NaN and infinities are let pass unless ``strict``."""
    try:
        return from_json(text, allow_inf_nan=not strict)
    except ValueError:
        # pydantic_core refuses lone surrogates, which Python servers can send; the standard library takes them.
        try:
            return json.loads(text, parse_constant=_refused if strict else None)
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc
        except json.JSONDecodeError as exc:
            # It would keep the whole text, for whoever shows what an exception holds.
            raise ValueError(str(exc)) from None


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_TO_TEXT = json.JSONEncoder(default=plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(value: Any) -> bytes:
    """Encode a value as compact JSON.

    Takes what JSON has, and all that :func:`lgsync.plain.plain` makes such a thing of: pydantic models (LangChain
    messages are such), dataclasses, mappings, sets, dates, UUIDs, enums, arrays. Keys may be numbers, dates, UUIDs and
    enums. Raises ConfigurationError (WrongType where the type is at fault), which names the path to what cannot be
    written: NaN, a circle, an integer of more than 64 bits, bytes, a class.
    """
    try:
        text = _TO_TEXT.encode(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as exc:
        return _encoded_anew(value, exc)
    if _MANY_DIGITS in text.translate(_TO_ZEROS) and _LARGE.search(text):
        rebuilt(value)
    return text


def _encoded_anew(value: Any, failure: Exception) -> bytes:
    """The same, of a value that has other keys than text, or something that is to be named as what failed."""
    try:
        return _TO_TEXT.encode(rebuilt(value)).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as exc:
        if isinstance(exc, ConfigurationError):
            raise exc from failure
        raise ConfigurationError(
            f"The request body cannot be written as JSON ({exc}); make it flatter, or pass parts of it as text"
        ) from exc
