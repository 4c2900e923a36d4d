"""JSON as it is read and written. What users may pass in stands in test_inputs.py."""

from __future__ import annotations

import math
from typing import Any, Callable, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgsync import codec
from lgsync.errors import ConfigurationError

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


@pytest.mark.parametrize(
    "value",
    ["1234567890123456789012", "card 4111111111111111111111, paid", {"9" * 30: 1}, [LEAST, GREATEST, 10**18], "-" * 9],
)
@pytest.mark.parametrize("around", [lambda value: value, lambda value: [1, value, 2], lambda value: {"id": value}])
def test_digits_that_are_no_large_number_cost_no_second_look(
    value: Any, around: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: List[Any] = []
    monkeypatch.setattr(codec, "rebuilt", looked.append)
    assert codec.decode(codec.encode(around(value))) == around(value)
    assert looked == []


@pytest.mark.parametrize("value", [LEAST - 1, GREATEST + 1, -GREATEST, 10**100])
def test_a_large_number_is_found_behind_many_digits(value: int) -> None:
    with pytest.raises(ConfigurationError, match=r"\[4\]"):
        codec.encode(["9" * 40, GREATEST, LEAST, "1,2", value, "x"])


@pytest.mark.parametrize("text", ['{"secret": CANARY}', "CANARY", '["CANARY", NaN'])
def test_what_is_no_json_is_not_kept_by_the_error(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        codec.decode(text)
    assert "CANARY" not in repr([caught.value, vars(caught.value)])
