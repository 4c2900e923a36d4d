from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Dict, List, Optional
from zoneinfo import ZoneInfo

import pytest
from one_call import Sent, answering, requests_of, sent
from scripted import THREAD, answered

from lgsync.errors import ConfigurationError, NotFoundError, WrongType
from lgsync.models import Cron

ID = "44444444-4444-4444-4444-444444444444"
DAILY = "0 8 * * *"
RECORD: Dict[str, Any] = {
    "cron_id": ID,
    "assistant_id": "33333333-3333-3333-3333-333333333333",
    "thread_id": None,
    "schedule": DAILY,
    "timezone": None,
    "enabled": False,
    "end_time": None,
    "next_run_date": "2026-01-02T08:00:00+00:00",
    "on_run_completed": "delete",
    "payload": {"input": {"n": 1}},
    "metadata": {},
}
LATE = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))


def created(**options: Any) -> Dict[str, Any]:
    """What the body of a new schedule holds beside its assistant and its schedule."""
    request = sent(lambda c: c.crons.create("agent", schedule=DAILY, **options), RECORD)
    assert request[:3] == ("POST", "/runs/crons", None)
    body = dict(request.body)
    assert (body.pop("assistant_id"), body.pop("schedule")) == ("agent", DAILY)
    return body


def updated(**options: Any) -> Any:
    """The body of a change of a schedule."""
    request = sent(lambda c: c.crons.update(ID, **options), RECORD)
    assert request[:3] == ("PATCH", f"/runs/crons/{ID}", None)
    return request.body


def searched(**options: Any) -> Any:
    """The body of a search with these options."""
    request = sent(lambda c: c.crons.search(**options), [])
    assert request[:3] == ("POST", "/runs/crons/search", None)
    return request.body


# -- making -----------------------------------------------------------------------------------------------------


def test_creating_a_schedule_gives_the_schedule_and_not_a_run() -> None:
    cron = answering(RECORD).crons.create("agent", schedule=DAILY)
    assert isinstance(cron, Cron)
    assert (cron.cron_id, cron.enabled, cron.thread_id) == (ID, False, None)
    assert cron.next_run_date == datetime(2026, 1, 2, 8, tzinfo=timezone.utc)
    assert dict(cron) == RECORD


def test_a_new_schedule_sends_only_what_was_given() -> None:
    assert created() == {}


def test_what_its_runs_are_started_with_is_sent_along() -> None:
    options: Any = {
        "input": {"n": 1},
        "metadata": {},
        "config": {"tags": ["x"]},
        "context": {"user": "u"},
        "interrupt_before": "*",
        "interrupt_after": ["a"],
        "webhook": "https://example.invalid",
        "on_run_completed": "keep",
        "multitask_strategy": "enqueue",
        "stream_mode": "values",
        "stream_subgraphs": False,
        "stream_resumable": True,
        "durability": "exit",
    }
    assert created(**options) == options


def test_several_stream_modes_are_sent_as_a_list() -> None:
    assert created(stream_mode=("values", "updates")) == {"stream_mode": ["values", "updates"]}


def test_a_schedule_that_is_not_enabled_says_so() -> None:
    assert created(enabled=False) == {"enabled": False}


def test_a_schedule_for_a_thread_is_made_under_the_thread() -> None:
    request = sent(lambda c: c.crons.create_for_thread(THREAD, "agent", schedule=DAILY, enabled=False), RECORD)
    body = {"assistant_id": "agent", "schedule": DAILY, "enabled": False}
    assert request == ("POST", f"/threads/{THREAD}/runs/crons", None, body)


@pytest.mark.parametrize(
    "options",
    [
        {"multitask_strategy": "now"},
        {"on_run_completed": "burn"},
        {"durability": "no"},
        {"stream_mode": "all"},
        {"metadata": "text"},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_a_run_cannot_be_started_with_is_refused_before_anything_is_sent(options: Dict[str, Any]) -> None:
    client = answering(RECORD)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        client.crons.create("agent", schedule=DAILY, **options)
    assert requests_of(client) == []


def test_a_schedule_needs_an_assistant() -> None:
    with pytest.raises(ConfigurationError, match="assistant_id"):
        answering(RECORD).crons.create("", schedule=DAILY)


def without_that_graph(request: Sent) -> Any:
    if request.path == "/assistants/search":
        return [{"assistant_id": "1", "graph_id": "agent"}]
    return answered(request.path, 404, {"detail": "Assistant 'nope' not found"})


def test_a_schedule_of_an_unknown_graph_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(NotFoundError, match="'nope' not found.*graphs are: agent"):
        answering(without_that_graph).crons.create("nope", schedule=DAILY)
    with pytest.raises(NotFoundError, match="'nope' not found.*graphs are: agent"):
        answering(without_that_graph).crons.create_for_thread(THREAD, "nope", schedule=DAILY)


@pytest.mark.parametrize("method", ["create", "create_for_thread"])
def test_checkpoint_during_is_sent_and_its_caller_warned(method: str) -> None:
    client = answering(RECORD)
    ids = ("agent",) if method == "create" else (THREAD, "agent")
    with pytest.warns(DeprecationWarning, match="durability") as warned:
        getattr(client.crons, method)(*ids, schedule=DAILY, checkpoint_during=False)
    assert requests_of(client)[0].body["checkpoint_during"] is False
    assert warned[0].filename == __file__


def test_nobody_is_warned_of_what_was_not_given() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        created()


# -- end times --------------------------------------------------------------------------------------------------


def test_an_end_is_sent_with_its_offset() -> None:
    assert created(end_time=LATE) == {"end_time": "2030-01-02T03:04:05+02:00"}


def test_an_end_without_a_time_zone_is_in_utc_whatever_the_schedules_is() -> None:
    body = created(end_time=LATE.replace(tzinfo=None), timezone="America/New_York")
    assert body["end_time"] == "2030-01-02T03:04:05+00:00"


@pytest.mark.parametrize("end_time", ["2030-01-02", date(2030, 1, 2)], ids=["text", "date"])
def test_an_end_that_is_no_datetime_is_refused(end_time: Any) -> None:
    with pytest.raises(WrongType, match="end_time must be a datetime, not (str|date)"):
        created(end_time=end_time)


def test_a_change_leaves_the_end_as_it_is_takes_it_away_or_sets_it() -> None:
    assert updated(enabled=True) == {"enabled": True}
    assert updated(end_time=None) == {"end_time": None}
    assert updated(end_time=LATE) == {"end_time": "2030-01-02T03:04:05+02:00"}


def test_a_change_sends_what_was_given() -> None:
    options: Any = {
        "schedule": "5 8 * * *",
        "input": {"n": 2},
        "metadata": {},
        "config": {},
        "context": {},
        "webhook": "https://example.invalid",
        "interrupt_before": ["a"],
        "interrupt_after": "*",
        "on_run_completed": "delete",
        "enabled": False,
        "timezone": "UTC",
        "stream_mode": ["values"],
        "stream_subgraphs": True,
        "stream_resumable": False,
        "durability": "sync",
    }
    assert updated(**options) == options


# -- time zones -------------------------------------------------------------------------------------------------


class Nowhere(tzinfo):
    """A time zone that has no name, or does not say."""

    def __init__(self, name: Optional[str] = None, *, silent: bool = False) -> None:
        self.name, self.silent = name, silent

    def utcoffset(self, dt: Optional[datetime]) -> timedelta:
        return timedelta(0)

    def tzname(self, dt: Optional[datetime]) -> Optional[str]:
        if self.silent:
            raise NotImplementedError
        return self.name

    def dst(self, dt: Optional[datetime]) -> None:
        return None


def test_a_time_zone_is_sent_by_its_name() -> None:
    assert created(timezone="Europe/Berlin") == {"timezone": "Europe/Berlin"}
    assert created(timezone=ZoneInfo("Europe/Berlin")) == {"timezone": "Europe/Berlin"}
    assert created(timezone=timezone.utc) == {"timezone": "UTC"}
    assert created(timezone=Nowhere("Asia/Tokyo")) == {"timezone": "Asia/Tokyo"}
    assert updated(timezone=timezone.utc) == {"timezone": "UTC"}


@pytest.mark.parametrize(
    "zone", [timezone(timedelta(hours=2)), Nowhere(), Nowhere(silent=True)], ids=["offset", "nameless", "silent"]
)
def test_a_time_zone_without_a_name_is_refused_with_what_to_pass(zone: tzinfo) -> None:
    with pytest.raises(ConfigurationError, match=r"has no name.*ZoneInfo\('Europe/Berlin'\)"):
        created(timezone=zone)


def test_a_time_zone_is_no_number() -> None:
    with pytest.raises(WrongType, match="timezone must be a name.*not int"):
        created(timezone=2)


# -- finding ----------------------------------------------------------------------------------------------------


def test_a_schedule_is_deleted_by_its_id() -> None:
    request = sent(lambda c: c.crons.delete("../x"), status=204)
    assert request == ("DELETE", "/runs/crons/..%2Fx", None, None)


def test_a_search_without_filters_sends_none() -> None:
    assert searched() == {"limit": 10, "offset": 0}
    assert searched(metadata={}, select=[]) == {"limit": 10, "offset": 0}


def test_a_search_for_schedules_that_are_not_enabled_says_so() -> None:
    assert searched(enabled=False) == {"enabled": False, "limit": 10, "offset": 0}


def test_a_search_sends_its_filters_order_and_fields() -> None:
    options: Any = {
        "assistant_id": "a",
        "thread_id": THREAD,
        "enabled": True,
        "metadata": {"team": "a"},
        "limit": 3,
        "offset": 6,
        "sort_by": "next_run_date",
        "sort_order": "desc",
        "select": ["schedule"],
    }
    assert searched(**options) == options


def test_fields_that_were_not_selected_are_none() -> None:
    (cron,) = answering([{"schedule": DAILY}]).crons.search(select=["schedule"])
    assert (cron.schedule, cron.cron_id) == (DAILY, None)


def test_schedules_are_counted_and_an_empty_filter_is_none() -> None:
    client = answering(2)
    assert client.crons.count(assistant_id="a", thread_id=None, metadata={}) == 2
    assert requests_of(client) == [("POST", "/runs/crons/count", None, {"assistant_id": "a"})]


def pages(request: Sent) -> List[Dict[str, Any]]:
    offset, limit = request.body["offset"], request.body["limit"]
    return [{"cron_id": f"c{n}"} for n in range(3)][offset : offset + limit]


def test_an_iteration_gives_every_schedule_page_by_page() -> None:
    client = answering(pages)
    found = client.crons.iter(enabled=False, select=["schedule"], page_size=2)
    assert [cron.cron_id for cron in found] == ["c0", "c1", "c2"]
    for request in requests_of(client):
        assert (request.body["enabled"], request.body["select"]) == (False, ["cron_id", "schedule"])
    assert len(requests_of(client)) == 2
