from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable, Dict, List

import pytest
from one_call import Sent, answering, requests_of, sent
from scripted import answered

from lgsync.client import Client
from lgsync.errors import ConfigurationError, NotFoundError, ResponseError
from lgsync.models import AssistantsSearchResponse

ID = "33333333-3333-3333-3333-333333333333"
RECORD: Dict[str, Any] = {
    "assistant_id": ID,
    "graph_id": "agent",
    "name": "helper",
    "description": None,
    "config": {"configurable": {"city": "sf"}},
    "context": {},
    "metadata": {"team": "a"},
    "version": 2,
    "created_at": "2026-01-02T03:04:05+00:00",
}


def searched(**options: Any) -> Any:
    """The body of a search with these options."""
    request = sent(lambda c: c.assistants.search(**options), [])
    assert request[:3] == ("POST", "/assistants/search", None)
    return request.body


def many(count: int) -> Any:
    """An answer to searches of so many assistants."""

    def page(request: Sent) -> List[Dict[str, Any]]:
        offset, limit = request.body["offset"], request.body["limit"]
        return [{"assistant_id": f"a{n}"} for n in range(count)][offset : offset + limit]

    return page


# -- one assistant ----------------------------------------------------------------------------------------------


def test_an_assistant_is_found_by_its_id() -> None:
    client = answering(RECORD)
    assistant = client.assistants.get(ID)
    assert requests_of(client) == [("GET", f"/assistants/{ID}", None, None)]
    assert assistant.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert assistant.version == 2
    assert dict(assistant) == RECORD


def test_a_graph_is_its_nodes_and_edges_and_without_xray_says_so() -> None:
    drawn = {"nodes": [{"id": "__start__"}], "edges": [{"source": "__start__", "target": "a"}]}
    client = answering(drawn)
    graph = client.assistants.get_graph(ID)
    assert requests_of(client) == [("GET", f"/assistants/{ID}/graph", {"xray": False}, None)]
    assert (graph.nodes, graph.edges) == (drawn["nodes"], drawn["edges"])


def test_xray_may_be_a_depth() -> None:
    assert sent(lambda c: c.assistants.get_graph(ID, xray=2), {"nodes": []}).query == {"xray": 2}


def test_schemas_that_a_graph_has_not_are_none() -> None:
    client = answering({"graph_id": "agent", "input_schema": {"type": "object"}, "config_schema": None})
    schemas = client.assistants.get_schemas(ID)
    assert requests_of(client)[0][:2] == ("GET", f"/assistants/{ID}/schemas")
    assert schemas.input_schema == {"type": "object"}
    assert schemas.config_schema is None


def test_subgraphs_are_schemas_by_namespace() -> None:
    client = answering({"child": {"output_schema": {"type": "object"}}})
    subgraphs = client.assistants.get_subgraphs(ID)
    assert requests_of(client) == [("GET", f"/assistants/{ID}/subgraphs", {"recurse": False}, None)]
    assert subgraphs["child"].output_schema == {"type": "object"}


def test_a_namespace_of_subgraphs_stays_in_its_place_in_the_path() -> None:
    request = sent(lambda c: c.assistants.get_subgraphs(ID, "a|b/..", True), {})
    assert request == ("GET", f"/assistants/{ID}/subgraphs/a%7Cb%2F..", {"recurse": True}, None)


def test_an_empty_assistant_id_is_refused_before_anything_is_sent() -> None:
    client = answering(RECORD)
    with pytest.raises(ConfigurationError, match="assistant_id is empty"):
        client.assistants.delete("")
    assert requests_of(client) == []


# -- making and changing ----------------------------------------------------------------------------------------


def test_creating_an_assistant_sends_only_what_says_something() -> None:
    empty = {"context": {}, "metadata": {}, "name": "", "description": ""}
    request = sent(lambda c: c.assistants.create("agent", {}, **empty), RECORD)
    assert request == ("POST", "/assistants", None, {"graph_id": "agent"})


def test_an_assistant_is_created_with_all_that_was_given() -> None:
    options: Any = {
        "context": {"user": "u"},
        "metadata": {"team": "a"},
        "assistant_id": ID,
        "if_exists": "do_nothing",
        "name": "helper",
        "description": "helps",
    }
    request = sent(lambda c: c.assistants.create("agent", {"tags": ["x"]}, **options), RECORD)
    assert request.body == {"graph_id": "agent", "config": {"tags": ["x"]}, **options}


def test_an_assistant_needs_a_graph() -> None:
    client = answering(RECORD)
    with pytest.raises(ConfigurationError, match="graph_id"):
        client.assistants.create("")
    assert requests_of(client) == []


def test_what_becomes_of_a_second_assistant_of_one_id_is_raise_or_do_nothing() -> None:
    with pytest.raises(ConfigurationError, match="if_exists must be one of raise, do_nothing; not 'replace'"):
        answering(RECORD).assistants.create("agent", if_exists="replace")  # type: ignore[arg-type]


def without_that_graph(request: Sent) -> Any:
    if request.path.endswith("/search"):
        return [{"assistant_id": "1", "graph_id": "other"}, {"assistant_id": "2", "graph_id": "agent"}]
    return answered(request.path, 404, {"detail": "Graph 'nope' not found"})


@pytest.mark.parametrize(
    "call",
    [lambda c: c.assistants.create("nope"), lambda c: c.assistants.update(ID, graph_id="nope")],
    ids=["create", "update"],
)
def test_an_unknown_graph_is_refused_with_the_names_there_are(call: Callable[[Client], Any]) -> None:
    with pytest.raises(NotFoundError, match="'nope' not found.*graphs are: agent, other"):
        call(answering(without_that_graph))


def test_an_error_that_is_not_about_the_graph_has_no_cause_of_its_own() -> None:
    with pytest.raises(NotFoundError) as caught:
        answering({"detail": "no"}, 404).assistants.create("agent")
    assert caught.value.__cause__ is None


def test_an_update_replaces_even_with_an_empty_config_and_adds_no_empty_metadata() -> None:
    request = sent(lambda c: c.assistants.update(ID, config={}, context={}, metadata={}, name=""), RECORD)
    assert request == ("PATCH", f"/assistants/{ID}", None, {"config": {}, "context": {}})


def test_threads_go_with_an_assistant_only_if_asked_for() -> None:
    assert sent(lambda c: c.assistants.delete(ID), status=204) == ("DELETE", f"/assistants/{ID}", None, None)
    assert sent(lambda c: c.assistants.delete(ID, delete_threads=True), status=204).query == {"delete_threads": True}


def test_versions_are_a_page_of_assistants() -> None:
    client = answering([RECORD, {**RECORD, "version": 1}])
    versions = client.assistants.get_versions(ID, {"team": "a"}, 5, 1)
    body = {"metadata": {"team": "a"}, "limit": 5, "offset": 1}
    assert requests_of(client) == [("POST", f"/assistants/{ID}/versions", None, body)]
    assert [one.version for one in versions] == [2, 1]


def test_a_version_is_made_the_latest() -> None:
    request = sent(lambda c: c.assistants.set_latest(ID, 1), RECORD)
    assert request == ("POST", f"/assistants/{ID}/latest", None, {"version": 1})


# -- searching --------------------------------------------------------------------------------------------------


def test_a_search_without_filters_sends_none() -> None:
    assert searched() == {"limit": 10, "offset": 0}
    assert searched(metadata={}, graph_id="", name="", select=[]) == {"limit": 10, "offset": 0}


def test_a_search_sends_its_filters_order_and_fields() -> None:
    options: Any = {
        "metadata": {"team": "a"},
        "graph_id": "agent",
        "name": "help",
        "limit": 3,
        "offset": 6,
        "sort_by": "name",
        "sort_order": "asc",
        "select": ["name"],
    }
    assert searched(**options) == options


def test_a_search_for_an_object_tells_where_the_next_page_begins() -> None:
    client = answering([RECORD], **{"x-pagination-next": "10"})
    page = client.assistants.search(response_format="object")
    assert isinstance(page, AssistantsSearchResponse)
    assert (page.next, page["next"]) == ("10", "10")
    assert [one.assistant_id for one in page.assistants] == [ID]
    assert page["assistants"] == [RECORD]


def test_the_last_page_of_a_search_has_no_next() -> None:
    page = answering([]).assistants.search(response_format="object")
    assert dict(page) == {"assistants": [], "next": None}


def test_a_search_for_an_array_is_a_list() -> None:
    found = answering([RECORD], **{"x-pagination-next": "10"}).assistants.search(response_format="array")
    assert [dict(one) for one in found] == [RECORD]


def test_another_format_of_a_search_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="response_format must be one of array, object; not 'csv'"):
        answering([]).assistants.search(response_format="csv")  # type: ignore[call-overload]


@pytest.mark.parametrize("response_format", ["array", "object"])
def test_fields_that_were_not_selected_are_none(response_format: Any) -> None:
    found = answering([{"name": "helper"}]).assistants.search(select=["name"], response_format=response_format)
    one = found.assistants[0] if response_format == "object" else found[0]
    assert (one.name, one.assistant_id) == ("helper", None)
    assert dict(one) == {"name": "helper"}


def test_where_all_fields_were_asked_for_an_assistant_without_an_id_is_none() -> None:
    with pytest.raises(ResponseError, match="assistant_id is missing"):
        answering([{"name": "helper"}]).assistants.search()


def test_assistants_are_counted() -> None:
    client = answering(3)
    assert client.assistants.count(metadata={}, graph_id="agent", name="") == 3
    assert requests_of(client) == [("POST", "/assistants/count", None, {"graph_id": "agent"})]


def test_an_iteration_gives_every_assistant_page_by_page() -> None:
    client = answering(many(5))
    found = client.assistants.iter(graph_id="agent", page_size=2)
    assert [one.assistant_id for one in found] == ["a0", "a1", "a2", "a3", "a4"]
    asked = [(request.body["limit"], request.body["offset"]) for request in requests_of(client)]
    assert asked == [(2, 0), (2, 2), (2, 4)]
    assert {request.body["graph_id"] for request in requests_of(client)} == {"agent"}


def test_an_iteration_asks_for_nothing_before_it_is_read_and_for_no_more_than_its_limit() -> None:
    client = answering(many(5))
    found = client.assistants.iter(limit=3, page_size=2)
    assert requests_of(client) == []
    assert len(list(found)) == 3
    assert [request.body["limit"] for request in requests_of(client)] == [2, 1]


def test_an_iteration_over_some_fields_asks_for_the_id_too() -> None:
    client = answering(many(1))
    assert len(list(client.assistants.iter(select=["name"]))) == 1
    assert requests_of(client)[0].body["select"] == ["assistant_id", "name"]
