"""JSON as it is read and written. What users may pass in stands in test_inputs.py."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgsync import codec

LEAST, GREATEST = -(2**63), 2**64 - 1

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(LEAST, GREATEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_encoded_decodes_to_itself(value: object) -> None:
    assert codec.decode(codec.encode(value)) == value


def test_json_is_written_compactly_and_in_utf_8() -> None:
    assert codec.encode({"é": [1, 2.5, None, True]}) == '{"é":[1,2.5,null,true]}'.encode()


def test_a_lone_surrogate_is_decoded() -> None:
    assert codec.decode(b'"\\ud83d"') == "\ud83d"


@pytest.mark.parametrize("text", [b"<html>", b"", b"{", b"\xff", b'{"a": 1} more'])
@pytest.mark.parametrize("strict", [False, True])
def test_text_that_is_not_json_raises_value_error(text: bytes, strict: bool) -> None:
    with pytest.raises(ValueError, match="."):
        codec.decode(text, strict=strict)


def test_json_that_is_nested_too_deeply_raises_value_error() -> None:
    with pytest.raises(ValueError, match="."):
        codec.decode(b"[" * 100_000)


@pytest.mark.parametrize("text", [b'{"score": NaN}', b'{"score": Infinity}', b'{"score": -Infinity, "x": "\\ud83d"}'])
def test_a_number_that_json_has_not_is_let_pass_unless_told_otherwise(text: bytes) -> None:
    assert not math.isfinite(codec.decode(text)["score"])
    with pytest.raises(ValueError, match="."):
        codec.decode(text, strict=True)
