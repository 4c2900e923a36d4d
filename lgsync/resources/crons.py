"""Crons: runs on a schedule."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime, tzinfo
from datetime import timezone as fixed_offset
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union, cast, get_args

from ..errors import ConfigurationError, WrongType
from ..paths import segment, thread_path
from ..rest import Rest
from ..schema import (
    All,
    Config,
    CronSortBy,
    Durability,
    Json,
    MultitaskStrategy,
    OnCompletionBehavior,
    SortOrder,
    StreamMode,
)
from ._graphs import known_graphs_named
from ._options import TimeoutValue, call_options, check_choice, drop_empty, drop_unset
from ._pages import by_offset, with_key
from ._run_body import checked_modes, run_body, run_fields, warn_of_checkpoint_during

if TYPE_CHECKING:
    from ..models import Cron

__all__ = ["CronsClient"]

Modes = Union[StreamMode, Sequence[StreamMode]]
Nodes = Union[All, Sequence[str]]

# No schedule ends then: it stands for an end that is left as it is.
_AS_IT_IS = cast(None, object())

# How Python calls an offset that was given no name.
_OFFSET = re.compile(r"UTC[+-].*")


class CronsClient:
    """``client.crons``. Every method raises the errors of :mod:`lgsync.errors`.

    What the methods that make or change a schedule have in common:

    - ``schedule``: when runs begin, as ``minute hour day-of-month month day-of-week``: ``"30 8 * * 1-5"``.
    - ``timezone``: where the schedule's clock stands: a name such as "Europe/Berlin", or a ``zoneinfo.ZoneInfo``; UTC
      if left out. A name that the server does not know is an UnprocessableEntityError.
    - ``end_time``: after which no run begins. One without a time zone of its own is in UTC, whatever ``timezone`` says.
    - ``enabled``: False keeps the schedule, and begins no runs.
    - ``on_run_completed``: whether the thread that each run was given is deleted at its end, or kept.
    - All others are what each run is started with, as in :class:`lgsync.resources.runs.RunsClient`.

    A field left at None is not sent. ``headers``, ``params``, ``timeout`` and ``deadline`` are for the one call.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def create(
        self,
        assistant_id: str,
        *,
        schedule: str,
        input: Any = None,  # noqa: A002 (the API's own name)
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        checkpoint_during: Optional[bool] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        webhook: Optional[str] = None,
        on_run_completed: Optional[OnCompletionBehavior] = None,
        multitask_strategy: Optional[MultitaskStrategy] = None,
        end_time: Optional[datetime] = None,
        enabled: Optional[bool] = None,
        timezone: Union[str, tzinfo, None] = None,
        stream_mode: Optional[Modes] = None,
        stream_subgraphs: Optional[bool] = None,
        stream_resumable: Optional[bool] = None,
        durability: Optional[Durability] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Cron:
        """Run an assistant on a schedule, each time on a thread of its own (``POST /runs/crons``)."""
        from ..models import Cron

        warn_of_checkpoint_during(checkpoint_during)
        body = run_body(locals(), **_schedule(locals()))
        options = call_options(headers, params, timeout, deadline, json=body)
        with known_graphs_named(self._rest, assistant_id):
            return self._rest.model(Cron, "POST", "/runs/crons", **options)

    def create_for_thread(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        schedule: str,
        input: Any = None,  # noqa: A002 (the API's own name)
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        checkpoint_during: Optional[bool] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        webhook: Optional[str] = None,
        multitask_strategy: Optional[MultitaskStrategy] = None,
        end_time: Optional[datetime] = None,
        enabled: Optional[bool] = None,
        timezone: Union[str, tzinfo, None] = None,
        stream_mode: Optional[Modes] = None,
        stream_subgraphs: Optional[bool] = None,
        stream_resumable: Optional[bool] = None,
        durability: Optional[Durability] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Cron:
        """Run an assistant on a schedule, on one thread (``POST /threads/{thread_id}/runs/crons``)."""
        from ..models import Cron

        warn_of_checkpoint_during(checkpoint_during)
        path = f"{thread_path(thread_id)}/runs/crons"
        body = run_body(locals(), **_schedule(locals()))
        options = call_options(headers, params, timeout, deadline, json=body)
        with known_graphs_named(self._rest, assistant_id):
            return self._rest.model(Cron, "POST", path, **options)

    def update(
        self,
        cron_id: str,
        *,
        schedule: Optional[str] = None,
        end_time: Optional[datetime] = _AS_IT_IS,
        input: Any = None,  # noqa: A002 (the API's own name)
        metadata: Optional[Json] = None,
        config: Union[Config, Json, None] = None,
        context: Any = None,
        webhook: Optional[str] = None,
        interrupt_before: Optional[Nodes] = None,
        interrupt_after: Optional[Nodes] = None,
        on_run_completed: Optional[OnCompletionBehavior] = None,
        enabled: Optional[bool] = None,
        timezone: Union[str, tzinfo, None] = None,
        stream_mode: Optional[Modes] = None,
        stream_subgraphs: Optional[bool] = None,
        stream_resumable: Optional[bool] = None,
        durability: Optional[Durability] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Cron:
        """Change a schedule (``PATCH /runs/crons/{cron_id}``). What is left out stays as it was.

        ``end_time=None`` takes the end away, so that the schedule goes on for ever.
        """
        from ..models import Cron

        body = run_fields(locals(), **_schedule(locals()))
        if end_time is None:
            body["end_time"] = None
        options = call_options(headers, params, timeout, deadline, json=body)
        return self._rest.model(Cron, "PATCH", _path(cron_id), **options)

    def delete(
        self,
        cron_id: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> None:
        """Delete a schedule (``DELETE /runs/crons/{cron_id}``)."""
        self._rest.accepted("DELETE", _path(cron_id), **call_options(headers, params, timeout, deadline))

    def search(
        self,
        *,
        assistant_id: Optional[str] = None,
        thread_id: Optional[str] = None,
        enabled: Optional[bool] = None,
        metadata: Optional[Json] = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: Optional[CronSortBy] = None,
        sort_order: Optional[SortOrder] = None,
        select: Optional[Sequence[str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> List[Cron]:
        """A page of the schedules that match (``POST /runs/crons/search``).

        ``assistant_id`` is an assistant's id (not a graph's name), ``metadata`` what theirs must hold, and ``limit`` at
        most 1000. ``sort_by`` is "cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date" or
        "end_time", and ``sort_order`` "asc" or "desc". ``select`` names the fields to send; all others are then None.
        """
        from ..models import Cron

        named = {"assistant_id": assistant_id, "thread_id": thread_id, "enabled": enabled}
        more = {"metadata": metadata, "sort_by": sort_by, "sort_order": sort_order, "select": list(select or ())}
        body = {**drop_unset(named), "limit": limit, "offset": offset, **drop_empty(more)}
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(List[Cron], "POST", "/runs/crons/search", partial=bool(select), **options)

    def iter(
        self,
        *,
        assistant_id: Optional[str] = None,
        thread_id: Optional[str] = None,
        enabled: Optional[bool] = None,
        metadata: Optional[Json] = None,
        sort_by: Optional[CronSortBy] = None,
        sort_order: Optional[SortOrder] = None,
        select: Optional[Sequence[str]] = None,
        limit: Optional[int] = None,
        page_size: int = 100,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> Iterator[Cron]:
        """All schedules that match, page by page as the loop goes on (:meth:`search`).

        ``limit`` is how many at most. ``timeout`` and ``deadline`` are for each page. With ``select`` the id comes too.
        """

        def page(count: int, offset: int) -> Sequence[Cron]:
            return self.search(
                assistant_id=assistant_id,
                thread_id=thread_id,
                enabled=enabled,
                metadata=metadata,
                limit=count,
                offset=offset,
                sort_by=sort_by,
                sort_order=sort_order,
                select=with_key(select, "cron_id"),
                headers=headers,
                params=params,
                timeout=timeout,
                deadline=deadline,
            )

        return by_offset(page, lambda cron: cron.cron_id, limit=limit, page_size=page_size)

    def count(
        self,
        *,
        assistant_id: Optional[str] = None,
        thread_id: Optional[str] = None,
        metadata: Optional[Json] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> int:
        """How many schedules match (``POST /runs/crons/count``); the filters are those of :meth:`search`."""
        body = drop_empty({"assistant_id": assistant_id, "thread_id": thread_id, "metadata": metadata})
        options = call_options(headers, params, timeout, deadline, json=body, reads=True)
        return self._rest.model(int, "POST", "/runs/crons/count", **options)


def _path(cron_id: str) -> str:
    return f"/runs/crons/{segment(cron_id, 'cron_id')}"


def _schedule(arguments: Mapping[str, Any]) -> Dict[str, Any]:
    """The fields of a schedule that its runs do not have, from the arguments of the method that sends it."""
    completed, modes = arguments.get("on_run_completed"), arguments["stream_mode"]
    check_choice("on_run_completed", completed, get_args(OnCompletionBehavior))
    if modes is not None:
        checked_modes(modes)
    return {
        "schedule": arguments["schedule"],
        "on_run_completed": completed,
        "end_time": _end(arguments["end_time"]),
        "enabled": arguments["enabled"],
        "timezone": _zone(arguments["timezone"]),
        "stream_mode": modes if modes is None or isinstance(modes, str) else list(modes),
    }


def _end(end_time: Optional[datetime]) -> Optional[str]:
    if end_time is None or end_time is _AS_IT_IS:
        return None
    if not isinstance(end_time, datetime):
        raise WrongType(f"end_time must be a datetime, not {type(end_time).__name__}")
    return (end_time if end_time.tzinfo else end_time.replace(tzinfo=fixed_offset.utc)).isoformat()


def _zone(zone: Union[str, tzinfo, None]) -> Optional[str]:
    """The name of a time zone, which is all that servers know it by."""
    if zone is None or isinstance(zone, str):
        return zone
    if not isinstance(zone, tzinfo):
        raise WrongType(f"timezone must be a name such as 'Europe/Berlin', or a ZoneInfo; not {type(zone).__name__}")
    name = getattr(zone, "key", None)
    with contextlib.suppress(NotImplementedError):
        name = name or zone.tzname(None)
    if not name or _OFFSET.fullmatch(name):
        raise ConfigurationError(
            f"The timezone {zone!r} has no name by which a server knows it: pass a name such as 'Europe/Berlin', "
            "or ZoneInfo('Europe/Berlin')"
        )
    return str(name)
