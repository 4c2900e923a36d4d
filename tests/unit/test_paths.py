"""Ids become path segments that cannot leave their place, and URLs are shown without what may be secret."""

from __future__ import annotations

import uuid

import pytest

from lgsync.errors import ConfigurationError
from lgsync.paths import join_url, segment, shown_url


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("thread_123", "thread_123"),
        ("agent.v1", "agent.v1"),
        ("a-b~c", "a-b~c"),
        (42, "42"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ("foo/bar", "foo%2Fbar"),
        ("../assistants/x", "..%2Fassistants%2Fx"),
        ("a b?c#d%e&f=g:h@i", "a%20b%3Fc%23d%25e%26f%3Dg%3Ah%40i"),
        ("é\n", "%C3%A9%0A"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "%2E%2E%2E"),
    ],
)
def test_an_id_is_one_segment_whatever_it_holds(value: object, quoted: str) -> None:
    assert segment(value, "thread_id") == quoted


@pytest.mark.parametrize("value", [None, b"x", bytearray(b"x")])
def test_none_and_bytes_are_no_ids(value: object) -> None:
    with pytest.raises(TypeError, match="thread_id must be an id"):
        segment(value, "thread_id")


def test_an_empty_id_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="run_id is empty"):
        segment("", "run_id")


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="thread_id"):
        segment("\ud800", "thread_id")


@pytest.mark.parametrize(
    ("base", "joined"),
    [
        ("http://host:2024", "http://host:2024/threads/1"),
        ("http://host:2024/", "http://host:2024/threads/1"),
        ("https://host/api/v1", "https://host/api/v1/threads/1"),
        ("https://host/api/v1/", "https://host/api/v1/threads/1"),
    ],
)
def test_the_path_goes_below_the_base_and_its_prefix(base: str, joined: str) -> None:
    assert join_url(base, "/threads/1") == joined


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/a/b", "http://host/a/b"),
        ("http://user:password@host:8/a?key=1#token", "http://host:8/a"),
        ("//user@host/a", "//host/a"),
        ("http://user:p@ss@host/a@b", "http://host/a@b"),
        ("http://host:port/x", "http://host:port/x"),
        ("http://[::1", "http://[::1"),
        ("/a@b?c", "/a@b"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown
