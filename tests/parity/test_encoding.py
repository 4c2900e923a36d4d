"""What is sent of a value, beside what the official client sends of it."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import types
import uuid
from typing import Any, List, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph_sdk._shared.utilities import _orjson_default
from pydantic import BaseModel

from lgsync import codec
from lgsync.errors import ConfigurationError

REFUSED = "refused"
UTC = dt.timezone.utc


class Model(BaseModel):
    held: Any = None
    at: dt.datetime = dt.datetime(2026, 1, 2, tzinfo=UTC)


@dataclasses.dataclass
class Data:
    held: Any = None
    _private: int = 1


class Old:
    def dict(self) -> Any:
        return {"held": Model()}


class Kind(enum.Enum):
    TEXT = "text"
    NUMBER = 5


class Number(enum.IntEnum):
    ONE = 1


class Text(str, enum.Enum):
    FAST = "fast"


class Point(NamedTuple):
    x: int


def official(value: Any) -> Any:
    """What the official client sends, as JSON text."""
    try:
        text = orjson.dumps(value, _orjson_default, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return REFUSED
    return text.decode()


def ours(value: Any) -> Any:
    try:
        return codec.encode(value).decode()
    except ConfigurationError:
        return REFUSED


ID = uuid.UUID(int=1)
CIRCLE: List[Any] = []
CIRCLE.append(CIRCLE)

SAME: List[Any] = [
    {"a": [1, 2.5, None, True, "é\u2028\x00"]},
    Model(held=[Model(), Data(), {1}]),
    Data(held=Model()),
    Old(),
    [HumanMessage("hi"), ToolMessage("4", tool_call_id="c1")],
    AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}]),
    {3, 1, 2},
    frozenset([1]),
    (1, (2,)),
    collections.OrderedDict(b=1, a=2),
    collections.Counter("aa"),
    ID,
    dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    dt.datetime(2026, 1, 2, tzinfo=UTC),
    dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
    dt.date(2026, 1, 2),
    dt.time(1, 2, 3),
    Kind.TEXT,
    Kind.NUMBER,
    Number.ONE,
    Text.FAST,
    {Kind.TEXT: 1},
    {Kind.NUMBER: 1},
    {Text.FAST: 1},
    {1: 1},
    {-1.5: 1},
    {1e16: 1},
    {None: 1},
    {True: 1},
    {ID: 1},
    {dt.datetime(2026, 1, 2, tzinfo=UTC): 1},
    {dt.date(2026, 1, 2): 1},
    {dt.time(1, 2): 1},
    2**64 - 1,
    -(2**63),
    # Refused by both.
    Model,
    Kind,
    b"x",
    bytearray(b"x"),
    {(1, 2): 1},
    {b"x": 1},
    2**64,
    -(2**63) - 1,
    "\ud800",
    CIRCLE,
    object(),
    print,
    (each for each in "ab"),
]


@pytest.mark.parametrize("value", SAME, ids=lambda value: f"{type(value).__name__}")
def test_a_value_is_sent_as_the_official_client_sends_it(value: Any) -> None:
    assert ours(value) == official(value)


class Difference(NamedTuple):
    value: Any
    ours: str
    official: str
    reason: str


DIFFERENCES = [
    Difference(float("nan"), REFUSED, "null", "a number that is none would silently become another value"),
    Difference(float("inf"), REFUSED, "null", "the same"),
    Difference({float("nan"): 1}, REFUSED, '{"null":1}', "the same, of a key"),
    Difference({2, 1, 8}, "[1,2,8]", "[8,1,2]", "a set has an order here: that of its members"),
    Difference(Point(1), "[1]", REFUSED, "a named tuple is a tuple"),
    Difference(collections.deque([1]), "[1]", REFUSED, "a deque is a sequence"),
    Difference(range(2), "[0,1]", REFUSED, "so is a range"),
    Difference(types.MappingProxyType({"a": 1}), '{"a":1}', REFUSED, "a mapping need not be a dict"),
    Difference(collections.ChainMap({"a": 1}), '{"a":1}', REFUSED, "the same"),
    Difference(decimal.Decimal("1.50"), '"1.50"', REFUSED, "as pydantic writes it; no digit is lost"),
    Difference(pathlib.PurePosixPath("/a"), '"/a"', REFUSED, "a path has just one text"),
    Difference(dt.timedelta(hours=1), '"PT1H"', REFUSED, "as pydantic writes it"),
    Difference(dt.time(1, 2, tzinfo=UTC), '"01:02:00+00:00"', REFUSED, "ISO 8601 has times with an offset"),
    Difference(
        dt.time(0, 0, 0, 10_000), '"00:00:00.010000"', '"00:00:00.10000"', "without its zero it is another time"
    ),
    Difference({2**64: 1}, '{"18446744073709551616":1}', REFUSED, "a key is text, which loses no digit"),
    Difference(1e-07, "1e-07", "1e-7", "the same number in other letters"),
    Difference({1e-07: 1}, '{"1e-07":1}', '{"1e-7":1}', "the same, of a key, unless another key is no text either"),
]


@pytest.mark.parametrize("each", DIFFERENCES, ids=lambda each: repr(each.value)[:30])
def test_where_the_two_differ_each_does_as_said(each: Difference) -> None:
    assert (ours(each.value), each.reason != "") == (each.ours, True)
    sent = official(each.value)
    assert sorted(sent) == sorted(each.official) if isinstance(each.value, set) else sent == each.official


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.times().map(lambda time: time.replace(microsecond=0))
    | st.uuids()
    | st.sampled_from(Kind)
)
KEYS = st.text() | st.integers(-(2**63), 2**64 - 1) | st.uuids() | st.dates() | st.sampled_from(Kind)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | KEYS.flatmap(lambda key: st.dictionaries(st.just(key), inner))
        | st.builds(Model, held=inner)
        | st.builds(Data, held=inner)
    ),
    max_leaves=15,
)


@given(VALUES)
def test_whatever_is_nested_is_sent_as_the_official_client_sends_it(value: Any) -> None:
    assert json.loads(ours(value)) == json.loads(official(value))
