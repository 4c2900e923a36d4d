from __future__ import annotations

import contextlib
import pickle
import re

from hypothesis import given
from hypothesis import strategies as st

from lgsync.cursor import Cursor, Place
from lgsync.errors import ConfigurationError

texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)
ids = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=40)
places = st.one_of(
    st.tuples(st.none() | texts).map(lambda fields: Place(*fields)),
    st.tuples(st.none() | texts, texts, st.integers(1, 10**6)).map(lambda fields: Place(*fields)),
)
cursors = st.builds(
    Cursor,
    ids,
    ids,
    places,
    texts,
    st.lists(texts, max_size=4).map(tuple),
    st.booleans(),
    st.booleans(),
    texts,
)


@given(cursors)
def test_every_cursor_reads_back_from_its_text(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


@given(cursors)
def test_every_text_is_safe_in_a_url(cursor: Cursor) -> None:
    assert re.fullmatch(r"lgsync1\.[A-Za-z0-9_-]+", str(cursor))


@given(cursors)
def test_every_cursor_pickles(cursor: Cursor) -> None:
    assert pickle.loads(pickle.dumps(cursor)) == cursor


@given(cursors, st.data())
def test_a_text_that_was_cut_off_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    text = str(cursor)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    assert refused(cut)


@given(cursors, st.data())
def test_a_text_in_which_a_sign_was_changed_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    text = str(cursor)
    where = data.draw(st.integers(0, len(text) - 1))
    sign = data.draw(st.characters(blacklist_characters=text[where]).filter(lambda c: not c.isspace()))
    assert refused(text[:where] + sign + text[where + 1 :])


@given(cursors, st.data())
def test_a_text_into_which_something_was_put_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    text = str(cursor)
    where = data.draw(st.integers(1, len(text) - 1))
    more = data.draw(st.text(min_size=1, max_size=5))
    assert refused(text[:where] + more + text[where:])


@given(st.one_of(st.text(), st.text("ABCabc019-_", max_size=200).map("lgsync1.".__add__)))
def test_any_text_is_read_or_refused_as_a_wrong_argument(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        Cursor.parse(text)


def refused(text: str) -> bool:
    try:
        Cursor.parse(text)
    except ConfigurationError:
        return True
    return False
