from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest
from one_call import Sent, answering, requests_of, sent

from lgsync.client import Client
from lgsync.errors import ConfigurationError, WrongType

HERE = ("users", "u1")
RECORD: Dict[str, Any] = {
    "namespace": ["users", "u1"],
    "key": "k",
    "value": {"n": 1},
    "created_at": "2026-01-02T03:04:05+00:00",
    "updated_at": "2026-01-02T03:04:05+00:00",
}

Call = Callable[[Client, Any], Any]

by_namespace: Any = pytest.mark.parametrize(
    "call",
    [
        lambda c, namespace: c.store.put_item(namespace, "k", {}),
        lambda c, namespace: c.store.get_item(namespace, "k"),
        lambda c, namespace: c.store.delete_item(namespace, "k"),
        lambda c, namespace: c.store.search_items(namespace),
        lambda c, namespace: c.store.iter_items(namespace),
        lambda c, namespace: c.store.list_namespaces(prefix=namespace),
        lambda c, namespace: c.store.list_namespaces(suffix=namespace),
    ],
    ids=["put", "get", "delete", "search", "iter", "prefix", "suffix"],
)


# -- one document -----------------------------------------------------------------------------------------------


def test_a_document_is_put_with_only_what_was_given() -> None:
    request = sent(lambda c: c.store.put_item(HERE, "k", {"n": 1}), status=204)
    assert request == ("PUT", "/store/items", None, {"namespace": ["users", "u1"], "key": "k", "value": {"n": 1}})


def test_a_document_can_be_kept_out_of_the_index_and_for_a_time() -> None:
    request = sent(lambda c: c.store.put_item(["a"], key="k", value={}, index=False, ttl=5), status=204)
    assert request.body == {"namespace": ["a"], "key": "k", "value": {}, "index": False, "ttl": 5}
    assert sent(lambda c: c.store.put_item(["a"], "k", {}, ["title"]), status=204).body["index"] == ["title"]


def test_a_document_is_asked_for_by_its_key_and_namespace() -> None:
    client = answering(RECORD)
    item = client.store.get_item(HERE, "k")
    assert requests_of(client) == [("GET", "/store/items", {"key": "k", "namespace": "users.u1"}, None)]
    assert (item.value, item["value"]) == ({"n": 1}, {"n": 1})
    assert item.created_at is not None
    assert item.created_at.tzinfo is not None


def test_reading_may_leave_the_time_that_a_document_is_kept() -> None:
    assert sent(lambda c: c.store.get_item(HERE, "k", refresh_ttl=False), RECORD).query["refresh_ttl"] is False


def test_a_document_that_is_not_there_is_none() -> None:
    assert answering(None).store.get_item(HERE, "k") is None


def test_a_document_is_deleted_by_its_key_and_namespace() -> None:
    request = sent(lambda c: c.store.delete_item(HERE, "k"), status=204)
    assert request == ("DELETE", "/store/items", None, {"key": "k", "namespace": ["users", "u1"]})


def test_a_document_without_a_key_is_not_kept() -> None:
    client = answering(None, 204)
    with pytest.raises(ConfigurationError, match="key is empty"):
        client.store.put_item(HERE, "", {})
    assert requests_of(client) == []


# -- namespaces -------------------------------------------------------------------------------------------------


@by_namespace
@pytest.mark.parametrize(
    ("namespace", "told"),
    [
        ("abc", "sequence of labels.*not 'abc'"),
        (5, "sequence of labels.*not 5"),
        (("a", 1), "label that is no text: 1"),
        (("a", ""), r"\['a', ''\] has an empty label"),
        (("a", "b.c"), "label with a dot.*'b.c'"),
    ],
    ids=["text", "number", "label-number", "label-empty", "label-dot"],
)
def test_what_is_no_namespace_is_refused_before_anything_is_sent(call: Call, namespace: Any, told: str) -> None:
    client = answering({"items": [], "namespaces": []})
    with pytest.raises(ConfigurationError, match=told):
        call(client, namespace)
    assert requests_of(client) == []


@pytest.mark.parametrize("method", ["put_item", "get_item", "delete_item"])
def test_a_document_needs_a_namespace(method: str) -> None:
    client = answering(None)
    arguments: Any = ((), "k", {}) if method == "put_item" else ((), "k")
    with pytest.raises(ConfigurationError, match="at least one label"):
        getattr(client.store, method)(*arguments)
    assert requests_of(client) == []


def test_a_namespace_that_is_text_is_a_type_error_too() -> None:
    with pytest.raises(TypeError):
        answering(None).store.search_items("abc")
    with pytest.raises(WrongType):
        answering(None).store.search_items(b"abc")  # type: ignore[arg-type]


def test_namespaces_are_listed_as_paths() -> None:
    client = answering({"namespaces": [["users", "u1"], ["users", "u2"]]})
    listed = client.store.list_namespaces(["users"], ["*"], 2, 5, 1)
    body = {"prefix": ["users"], "suffix": ["*"], "max_depth": 2, "limit": 5, "offset": 1}
    assert requests_of(client) == [("POST", "/store/namespaces", None, body)]
    assert listed.namespaces == [["users", "u1"], ["users", "u2"]]


def test_all_namespaces_are_listed_if_nothing_is_said() -> None:
    request = sent(lambda c: c.store.list_namespaces(), {"namespaces": []})
    assert request.body == {"limit": 100, "offset": 0}


# -- searching --------------------------------------------------------------------------------------------------


def test_a_search_of_all_documents_has_an_empty_prefix() -> None:
    request = sent(lambda c: c.store.search_items(()), {"items": []})
    assert request == ("POST", "/store/items/search", None, {"namespace_prefix": [], "limit": 10, "offset": 0})


def test_a_search_sends_its_filter_and_query() -> None:
    call: Any = lambda c: c.store.search_items(("users",), {"n": {"$gt": 0}}, 3, 6, "cats", False)  # noqa: E731
    assert sent(call, {"items": []}).body == {
        "namespace_prefix": ["users"],
        "filter": {"n": {"$gt": 0}},
        "limit": 3,
        "offset": 6,
        "query": "cats",
        "refresh_ttl": False,
    }


def test_what_a_search_finds_has_a_score_if_meanings_were_compared() -> None:
    client = answering({"items": [{**RECORD, "score": 0.5}, {**RECORD, "score": None}]})
    assert [item.score for item in client.store.search_items(HERE).items] == [0.5, None]


def documents(request: Sent) -> Dict[str, List[Dict[str, Any]]]:
    """Five documents, the last two of one key in two namespaces."""
    every = [{**RECORD, "key": f"k{min(n, 3)}", "namespace": ["users", f"u{n // 4}"]} for n in range(5)]
    offset, limit = request.body["offset"], request.body["limit"]
    return {"items": every[offset : offset + limit]}


def test_an_iteration_gives_every_document_page_by_page() -> None:
    client = answering(documents)
    found = client.store.iter_items(("users",), {"n": 1}, query="cats", refresh_ttl=True, page_size=2)
    assert [(*item.namespace, item.key) for item in found] == [
        ("users", "u0", "k0"),
        ("users", "u0", "k1"),
        ("users", "u0", "k2"),
        ("users", "u0", "k3"),
        ("users", "u1", "k3"),
    ]
    same = {"namespace_prefix": ["users"], "filter": {"n": 1}, "query": "cats", "refresh_ttl": True, "limit": 2}
    assert [request.body for request in requests_of(client)] == [{**same, "offset": n} for n in (0, 2, 4)]


def test_an_iteration_ends_at_its_limit() -> None:
    client = answering(documents)
    assert [item.key for item in client.store.iter_items((), limit=3, page_size=2)] == ["k0", "k1", "k2"]
