from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from lgsync import codec
from lgsync.errors import ConfigurationError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class City(BaseModel):
    name: str


@dataclasses.dataclass
class Trip:
    to: City
    on: datetime


@given(JSON)
def test_what_is_encoded_decodes_to_itself(value: object) -> None:
    assert codec.decode(codec.encode(value)) == value


def test_models_dataclasses_dates_uuids_and_sets_are_encoded() -> None:
    trip = Trip(City(name="sf"), datetime(2026, 1, 2, tzinfo=timezone.utc))
    value = {"trip": trip, "id": UUID(int=1), "tags": {"a"}}
    assert json.loads(codec.encode(value)) == {
        "trip": {"to": {"name": "sf"}, "on": "2026-01-02T00:00:00+00:00"},
        "id": "00000000-0000-0000-0000-000000000001",
        "tags": ["a"],
    }


@pytest.mark.parametrize("value", [City, b"bytes", object(), float("nan"), float("inf")])
def test_what_json_does_not_have_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigurationError, match="JSON"):
        codec.encode({"input": value})


def test_a_lone_surrogate_is_decoded() -> None:
    assert codec.decode(b'"\\ud83d"') == "\ud83d"


def test_text_that_is_not_json_raises_value_error() -> None:
    with pytest.raises(ValueError, match="."):
        codec.decode(b"<html>")


def test_json_that_is_nested_too_deeply_raises_value_error() -> None:
    with pytest.raises(ValueError, match="."):
        codec.decode(b"[" * 100_000)
