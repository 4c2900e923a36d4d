"""Schedules and documents against a real server.

No schedule here is enabled, so that no run begins.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Iterator, List
from zoneinfo import ZoneInfo

import pytest

from lgsync import Client, NotFoundError, UnprocessableEntityError
from lgsync.models import Cron

YEARLY = "0 0 1 1 *"


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as one:
        yield one


@pytest.fixture
def mark() -> str:
    """Tells what one test makes from what others do."""
    return uuid.uuid4().hex


@pytest.fixture
def crons(client: Client, mark: str) -> Iterator[List[Cron]]:
    """Three schedules, deleted at the end."""
    made: List[Cron] = []
    try:
        for _ in range(3):
            made.append(client.crons.create("agent", schedule=YEARLY, enabled=False, metadata={"mark": mark}))
        yield made
    finally:
        for cron in made:
            client.crons.delete(cron.cron_id)


# -- crons ------------------------------------------------------------------------------------------------------


def test_a_schedule_is_made_changed_and_deleted(client: Client) -> None:
    end = datetime(2040, 1, 1, tzinfo=timezone.utc)
    cron = client.crons.create(
        "agent", schedule=YEARLY, enabled=False, end_time=end, timezone=ZoneInfo("Europe/Berlin"), input={"n": 1}
    )
    try:
        assert (cron.enabled, cron.end_time, cron.timezone) == (False, end, "Europe/Berlin")
        assert cron.next_run_date is not None
        assert cron.next_run_date.astimezone(timezone.utc).hour == 23
        assert client.crons.update(cron.cron_id, schedule="0 1 1 1 *").end_time == end
        assert client.crons.update(cron.cron_id, end_time=None).end_time is None
    finally:
        client.crons.delete(cron.cron_id)
    with pytest.raises(NotFoundError, match=cron.cron_id):
        client.crons.update(cron.cron_id, enabled=False)


def test_an_end_without_a_time_zone_comes_back_in_utc(client: Client) -> None:
    cron = client.crons.create("agent", schedule=YEARLY, enabled=False, end_time=datetime(2040, 1, 1))
    client.crons.delete(cron.cron_id)
    assert cron.end_time == datetime(2040, 1, 1, tzinfo=timezone.utc)


def test_a_schedule_for_a_thread_is_found_by_its_thread(client: Client) -> None:
    thread_id = client.threads.create().thread_id
    cron = client.crons.create_for_thread(thread_id, "agent", schedule=YEARLY, enabled=False)
    try:
        assert [one.cron_id for one in client.crons.search(thread_id=thread_id)] == [cron.cron_id]
        assert client.crons.count(thread_id=thread_id) == 1
        assert client.crons.search(thread_id=thread_id, enabled=True) == []
    finally:
        client.crons.delete(cron.cron_id)


def test_all_schedules_are_given_page_by_page(client: Client, crons: List[Cron], mark: str) -> None:
    found = client.crons.iter(metadata={"mark": mark}, select=["schedule"], page_size=2)
    assert {cron.cron_id for cron in found} == {cron.cron_id for cron in crons}
    assert client.crons.count(metadata={"mark": mark}) == 3


def test_a_schedule_of_an_unknown_graph_is_refused_with_the_names_there_are(client: Client) -> None:
    with pytest.raises(NotFoundError, match="no-such-graph.*agent"):
        client.crons.create("no-such-graph", schedule=YEARLY, enabled=False)


def test_a_schedule_that_is_none_is_refused_by_the_server(client: Client) -> None:
    with pytest.raises(UnprocessableEntityError, match="Invalid cron schedule"):
        client.crons.create("agent", schedule="whenever", enabled=False)
    with pytest.raises(UnprocessableEntityError, match="Invalid timezone"):
        client.crons.create("agent", schedule=YEARLY, enabled=False, timezone="Nowhere/Land")


# -- store ------------------------------------------------------------------------------------------------------


def test_a_document_is_kept_found_and_deleted(client: Client, mark: str) -> None:
    client.store.put_item((mark, "u1"), "k", {"n": 1})
    item = client.store.get_item([mark, "u1"], key="k")
    assert item is not None
    assert (item.namespace, item.key, item.value) == ([mark, "u1"], "k", {"n": 1})
    client.store.delete_item((mark, "u1"), "k")
    assert client.store.get_item((mark, "u1"), "k") is None


def test_documents_are_searched_and_given_page_by_page(client: Client, mark: str) -> None:
    for n in range(5):
        client.store.put_item((mark, f"u{n % 2}"), f"k{n}", {"n": n}, index=False)
    found = client.store.search_items((mark,), filter={"n": {"$gte": 3}}).items
    assert {item.key for item in found} == {"k3", "k4"}
    every = list(client.store.iter_items((mark,), page_size=2))
    assert sorted(str(item.key) for item in every) == ["k0", "k1", "k2", "k3", "k4"]
    assert client.store.list_namespaces(prefix=[mark], max_depth=2).namespaces == [[mark, "u0"], [mark, "u1"]]
    for item in every:
        client.store.delete_item(item.namespace, str(item.key))
