"""What is sent is what was given in its plain form, and what cannot be sent is found wherever it stands."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import types
import uuid
from collections import deque
from decimal import Decimal
from typing import Any, List, NamedTuple, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from lgsync import codec
from lgsync.errors import ConfigurationError


class Model(BaseModel):
    held: Any


@dataclasses.dataclass
class Data:
    held: Any


class Old:
    def __init__(self, held: Any) -> None:
        self.held = held

    def dict(self) -> Any:
        return {"held": self.held}


class Kind(enum.Enum):
    TEXT = "text"
    NUMBER = 5


class Pair(NamedTuple):
    """A value as a user gives it, and its plain form."""

    given: Any
    plain: Any


def same(values: Any) -> Any:
    return values.map(lambda value: Pair(value, value))


def written(values: Any, form: Any) -> Any:
    return values.map(lambda value: Pair(value, form(value)))


TIMES = st.datetimes(timezones=st.none() | st.just(dt.timezone.utc)) | st.dates() | st.times()
LEAVES = (
    same(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    )
    | same(st.text())
    | written(TIMES, lambda value: value.isoformat())
    | written(st.uuids(), str)
    | written(st.decimals(allow_nan=False, allow_infinity=False), str)
    | written(st.sampled_from(Kind), lambda kind: kind.value)
    | written(st.frozensets(st.integers(-9, 9)), sorted)
    | written(st.sets(st.text(), max_size=3), sorted)
)

# The keys of one dict are of one kind, so that no two of them become the same text.
KEYS = st.one_of(
    st.just(st.text().map(lambda key: (key, key))),
    st.just(st.integers().map(lambda key: (key, str(key)))),
    st.just(st.uuids().map(lambda key: (key, str(key)))),
    st.just(st.dates().map(lambda key: (key, key.isoformat()))),
    st.just(st.sampled_from(Kind).map(lambda key: (key, str(key.value)))),
)


def lists(inner: Any) -> Any:
    def of(items: List[Pair]) -> Any:
        given, plain = [item.given for item in items], [item.plain for item in items]
        return st.sampled_from([Pair(make(given), plain) for make in (list, tuple, deque)])

    return st.lists(inner, max_size=4).flatmap(of)


def dicts(inner: Any) -> Any:
    def of(keys: Any) -> Any:
        return st.lists(st.tuples(keys, inner), max_size=4, unique_by=lambda item: item[0][1]).flatmap(made)

    def made(items: List[Tuple[Any, Pair]]) -> Any:
        given = {key: item.given for (key, _), item in items}
        plain = {text: item.plain for (_, text), item in items}
        return st.sampled_from([Pair(make(given), plain) for make in (dict, types.MappingProxyType)])

    return KEYS.flatmap(of)


def objects(inner: Any) -> Any:
    def of(item: Pair) -> Any:
        return st.sampled_from([Pair(make(held=item.given), {"held": item.plain}) for make in (Model, Data, Old)])

    return inner.flatmap(of)


VALUES = st.recursive(LEAVES, lambda inner: lists(inner) | dicts(inner) | objects(inner), max_leaves=20)


@given(VALUES)
def test_what_is_sent_is_the_plain_form_of_what_was_given(pair: Pair) -> None:
    assert codec.decode(codec.encode({"input": pair.given})) == {"input": pair.plain}


@given(VALUES)
def test_what_came_back_is_sent_as_it_came(pair: Pair) -> None:
    sent = codec.encode(pair.given)
    assert codec.encode(codec.decode(sent)) == sent


# A value within others: how each step wraps it, and what the path then says. What is beside it, and on the way to it,
# differs in all that can be given.
STEPS = st.sampled_from(
    [
        (lambda inner, other: [other, inner], "[1]"),
        (lambda inner, other: (inner, other), "[0]"),
        (lambda inner, other: deque([inner]), "[0]"),
        (lambda inner, other: {"a": other, "key": inner}, ".key"),
        (lambda inner, other: {"two words": inner}, "['two words']"),
        (lambda inner, other: {7: inner}, "['7']"),
        (lambda inner, other: {Kind.TEXT: inner}, ".text"),
        (lambda inner, other: types.MappingProxyType({"key": inner}), ".key"),
        (lambda inner, other: Model(held=inner), ".held"),
        (lambda inner, other: Data(held=inner), ".held"),
        (lambda inner, other: Old(held=inner), ".held"),
    ]
)

UNFIT = st.sampled_from(
    [
        b"x",
        bytearray(b"x"),
        Model,
        float("nan"),
        float("inf"),
        Decimal("nan"),
        2**64,
        "\ud800",
        object(),
        print,
        {(): 1},
    ]
)


@given(UNFIT, st.lists(st.tuples(STEPS, VALUES), max_size=8))
def test_what_cannot_be_sent_is_named_by_its_path(unfit: Any, way: List[Any]) -> None:
    value, path = unfit, ""
    for (wrap, step), beside in way:
        value, path = wrap(value, beside.given), step + path
    with pytest.raises(ConfigurationError) as caught:
        codec.encode({"first": 1, "input": value})
    assert str(caught.value).startswith(f"input{path}: ")


@given(st.recursive(st.just(uuid.UUID(int=1)), lambda inner: st.lists(inner) | st.dictionaries(st.integers(), inner)))
def test_nothing_that_was_given_is_changed_by_being_sent(value: Any) -> None:
    before = repr(value)
    codec.encode({"input": value})
    assert repr(value) == before
