"""The one place where JSON is read and written."""

from __future__ import annotations

import json
import re
from typing import Any, Union, cast

from pydantic_core import from_json

from .errors import ConfigurationError
from .plain import GREATEST, LEAST, plain, rebuilt

__all__ = ["decode", "encode"]

# Numbers that may be beyond 64 bits: so many digits in a row, which two passes find that cost next to nothing.
_DIGITS = re.compile(rb"[0-9]+")
_TO_ZEROS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_MANY_DIGITS = b"0" * 19
_LONGEST = len(str(GREATEST))


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
    if _may_hold_large_numbers(text):
        rebuilt(value)
    return text


def _may_hold_large_numbers(text: bytes) -> bool:
    """Whether some digits look like a number beyond 64 bits; among commas within a text they would, too."""
    zeros = text.translate(_TO_ZEROS)
    begin = zeros.find(_MANY_DIGITS)
    while begin >= 0:
        end = cast("re.Match[bytes]", _DIGITS.match(text, begin)).end()
        if _is_large_number(text, begin, end):
            return True
        begin = zeros.find(_MANY_DIGITS, end)
    return False


def _is_large_number(text: bytes, begin: int, end: int) -> bool:
    if text[begin - 1 : begin] == b"-":
        begin -= 1
    if text[begin - 1 : begin] not in b"[:," or text[end : end + 1] not in b"],}":
        return False
    # Python makes no number of any number of digits.
    return end - begin > _LONGEST or not LEAST <= int(text[begin:end]) <= GREATEST


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
