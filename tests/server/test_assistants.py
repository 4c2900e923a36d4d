"""Assistants, their versions and their graphs, against a real server."""

from __future__ import annotations

import uuid
from typing import Iterator

import pytest

from lgsync import Client, ConflictError, NotFoundError
from lgsync.models import Assistant


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as one:
        yield one


@pytest.fixture
def assistant(client: Client) -> Iterator[Assistant]:
    mark = uuid.uuid4().hex
    one = client.assistants.create("agent", {"configurable": {"city": "sf"}}, name=mark, metadata={"mark": mark})
    yield one
    client.assistants.delete(one.assistant_id)


def test_each_update_is_a_version_and_any_can_be_the_latest(client: Client, assistant: Assistant) -> None:
    second = client.assistants.update(assistant.assistant_id, metadata={"more": 1})
    assert second.metadata == {**(assistant.metadata or {}), "more": 1}
    assert [one.version for one in client.assistants.get_versions(assistant.assistant_id)] == [2, 1]
    assert client.assistants.set_latest(assistant.assistant_id, 1).version == 1
    assert client.assistants.get(assistant.assistant_id).metadata == assistant.metadata


def test_a_second_assistant_of_one_id_is_a_conflict_or_the_first(client: Client, assistant: Assistant) -> None:
    with pytest.raises(ConflictError):
        client.assistants.create("agent", assistant_id=assistant.assistant_id)
    same = client.assistants.create("agent", assistant_id=assistant.assistant_id, if_exists="do_nothing")
    assert same.name == assistant.name


def test_an_assistant_is_found_counted_and_reached_page_by_page(client: Client, assistant: Assistant) -> None:
    assert client.assistants.search(metadata=assistant.metadata) == [assistant]
    assert client.assistants.count(name=assistant.name) == 1
    ids = [one.assistant_id for one in client.assistants.iter(select=["name"], page_size=7)]
    assert assistant.assistant_id in ids
    assert len(ids) == len(set(ids)) > 7


def test_a_page_of_assistants_tells_where_the_next_begins(client: Client) -> None:
    page = client.assistants.search(limit=2, response_format="object")
    assert (len(page.assistants), page.next) == (2, "2")


def test_a_graph_its_schemas_and_its_subgraphs_can_be_looked_at(client: Client) -> None:
    (one,) = client.assistants.search(graph_id="hitlsub", metadata={"created_by": "system"})
    assert "child" in [node["id"] for node in client.assistants.get_graph(one.assistant_id).nodes]
    assert "child:ask" in [node["id"] for node in client.assistants.get_graph(one.assistant_id, xray=True).nodes]
    assert client.assistants.get_schemas(one.assistant_id).graph_id == "hitlsub"
    assert list(client.assistants.get_subgraphs(one.assistant_id)) == ["child"]
    assert list(client.assistants.get_subgraphs(one.assistant_id, "child", recurse=True)) == ["child"]


def test_an_assistant_of_an_unknown_graph_is_refused_with_the_names_there_are(client: Client) -> None:
    with pytest.raises(NotFoundError, match="no-such-graph.*agent"):
        client.assistants.create("no-such-graph")
