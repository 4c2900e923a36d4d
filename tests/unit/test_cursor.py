from __future__ import annotations

import base64
import json
import pickle
import re
import zlib
from typing import Any

import pytest

from lgsync.cursor import Cursor, Place
from lgsync.errors import ConfigurationError

CURSOR = Cursor(
    "11111111-1111-1111-1111-111111111111",
    "22222222-2222-2222-2222-222222222222",
    Place("1795357704667-0", "1795357704668-0", 3),
    "sse",
    ("messages-tuple", "updates"),
    narrowed=True,
    stream_subgraphs=True,
    messages_key="chat",
)
FIELDS = ["t", "r", ["1", "2", 3], "sse", ["values"], 0, 1, "messages"]


def text_of(fields: Any) -> str:
    """The text of these fields as a cursor would write them, whether or not they make sense."""
    body = json.dumps(fields, separators=(",", ":")).encode()
    return "lgsync1." + base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big") + body).rstrip(b"=").decode()


def test_the_text_of_a_cursor_reads_back_as_the_same_cursor() -> None:
    assert Cursor.parse(str(CURSOR)) == CURSOR
    assert Cursor.parse(str(Cursor("t", "r"))) == Cursor("t", "r")


def test_a_cursor_is_taken_as_it_is() -> None:
    assert Cursor.parse(CURSOR) is CURSOR


def test_blanks_around_the_text_are_not_minded() -> None:
    assert Cursor.parse(f"  {CURSOR}\r\n") == CURSOR


def test_the_text_fits_into_a_url_a_cookie_and_a_file_name() -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+", str(CURSOR._replace(messages_key="Nachrichten ÄÖ/?&=+")))


def test_the_text_is_no_longer_than_a_cookie_may_be() -> None:
    every_mode = ("values", "messages", "messages-tuple", "updates", "events", "tasks", "checkpoints", "debug")
    assert len(str(CURSOR._replace(modes=every_mode))) < 500


def test_the_text_holds_the_fields_and_nothing_else() -> None:
    raw = base64.urlsafe_b64decode(str(CURSOR)[len("lgsync1.") :] + "==")
    place = ["1795357704667-0", "1795357704668-0", 3]
    assert json.loads(raw[4:]) == [*CURSOR[:2], place, "sse", ["messages-tuple", "updates"], 1, 1, "chat"]


def test_a_cursor_pickles() -> None:
    assert pickle.loads(pickle.dumps(CURSOR)) == CURSOR


def test_fields_that_make_sense_are_taken() -> None:
    assert Cursor.parse(text_of(FIELDS)).place == Place("1", "2", 3)


@pytest.mark.parametrize("text", ["", "lgsync", "lgsync2.abc", "cursor", "1795357704667-0", None, 7, b"lgsync1.", []])
def test_what_is_no_cursor_is_refused_and_said_to_be_none(text: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"begins with lgsync1\."):
        Cursor.parse(text)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 7),
        (0, None),
        (0, ""),
        (1, ["r"]),
        (1, ""),
        (2, None),
        (2, "123"),
        (2, ["1", "2"]),
        (2, ["1", "2", 3, 4]),
        (2, ["1", "2", "3"]),
        (2, ["1", "2", -3]),
        (2, ["1", "2", True]),
        (2, ["1", "2", 0]),
        (2, ["1", None, 3]),
        (2, [1, "2", 3]),
        (2, ["1", 2, 3]),
        (3, None),
        (4, "values"),
        (4, [["values"]]),
        (4, None),
        (5, 2),
        (5, "0"),
        (6, None),
        (6, False),
        (7, 0),
    ],
)
def test_a_field_of_a_wrong_kind_is_damage(place: int, value: Any) -> None:
    fields = [*FIELDS[:place], value, *FIELDS[place + 1 :]]
    with pytest.raises(ConfigurationError, match="damaged"):
        Cursor.parse(text_of(fields))


@pytest.mark.parametrize(
    "fields", [None, 7, "12345678", [], FIELDS[:-1], [*FIELDS, "more"], dict.fromkeys("abcdefgh"), {"a": 1}]
)
def test_fields_of_a_wrong_number_are_damage(fields: Any) -> None:
    with pytest.raises(ConfigurationError, match="damaged"):
        Cursor.parse(text_of(fields))


def test_json_that_is_nested_too_deeply_is_damage() -> None:
    body = b"[" * 100_000
    text = base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big") + body).rstrip(b"=").decode()
    with pytest.raises(ConfigurationError, match="damaged"):
        Cursor.parse(f"lgsync1.{text}")


def test_an_error_shows_the_text_and_what_was_before_it() -> None:
    with pytest.raises(ConfigurationError, match="lgsync1.abc") as caught:
        Cursor.parse("lgsync1.abc")
    assert caught.value.__cause__ is not None
