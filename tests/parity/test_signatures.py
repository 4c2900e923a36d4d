"""Every method of the official client has its twin here, which can be called in the same way."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, Iterator

import langgraph_sdk
import pytest
from official import method_of, methods, named_on_the_page, signature

import lgsync

URL = "http://server"

_MODE = "left out, it is the client's own default, and that of a client from get_sync_client is the same: values"
_KEPT = "True: a connection that breaks costs nothing, because the server keeps the run's parts to be joined again"
_RESPONSE = "what it would be given is httpx's, which is not used here"

#: All that differs, and why. One that is no longer so fails the tests.
DIFFERENCES: Dict[str, str] = {
    "threads.stream is absent": "the session on the event protocol is not there yet",
    "runs.stream(stream_mode) has another default": _MODE,
    "runs.create(stream_mode) has another default": _MODE,
    "runs.stream(stream_resumable) has another default": _KEPT,
    "runs.create(stream_resumable) has another default": _KEPT,
    "runs.join_stream(run_id) is needed no more": "left out, it is the run at work on the thread",
    "http.stream is absent": "a stream of a server's own is no run, and nothing could be promised of it",
    "http.request_reconnect is absent": "only what changes nothing is asked again, and that by every method",
    **{f"http.{name}(on_response) is absent": _RESPONSE for name in ("get", "post", "put", "patch", "delete")},
    **{f"http.{name}(json) is needed no more": "left out, nothing is sent" for name in ("post", "put", "patch")},
}

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_PLAIN = (str, int, float, bool, type(None))


@pytest.fixture(scope="module")
def official() -> Iterator[Any]:
    with langgraph_sdk.get_sync_client(url=URL, api_key=None) as client:
        yield client


@pytest.fixture(scope="module")
def ours() -> Iterator[lgsync.Client]:
    with lgsync.get_sync_client(url=URL, api_key=None) as client:
        yield client


def test_every_method_and_parameter_has_its_twin_or_stands_in_the_list(official: Any, ours: lgsync.Client) -> None:
    found = {
        difference
        for name, method in methods(official).items()
        for difference in _differences(name, method, _twin(ours, name))
    }
    assert found == set(DIFFERENCES)


def test_get_sync_client_takes_the_official_arguments() -> None:
    assert list(_differences("get_sync_client", langgraph_sdk.get_sync_client, lgsync.get_sync_client)) == []


def test_the_official_client_has_as_many_methods_as_are_compared(official: Any) -> None:
    counts = dict.fromkeys(("assistants", "threads", "runs", "crons", "store"), 0)
    for name in methods(official):
        resource = name.partition(".")[0]
        if resource in counts:
            counts[resource] += 1
    # All that an official client of a later version adds is compared too.
    assert all(counts[name] >= least for name, least in zip(counts, (11, 13, 11, 6, 5))), counts


def test_a_client_is_left_in_the_same_ways(official: Any, ours: lgsync.Client) -> None:
    for name in ("close", "__enter__", "__exit__"):
        assert callable(getattr(official, name))
        assert callable(getattr(ours, name))


def test_the_page_about_moving_names_each_difference() -> None:
    named = named_on_the_page()
    subjects = {difference.split(" ")[0] for difference in DIFFERENCES}
    unnamed = {
        subject
        for subject in subjects
        for method, _, parameter in [subject.rstrip(")").partition("(")]
        if method not in named or (parameter and parameter not in named)
    }
    assert not unnamed


def _twin(client: lgsync.Client, name: str) -> Any:
    try:
        return method_of(client, name)
    except AttributeError:
        return None


def _differences(name: str, official: Callable[..., Any], ours: Any) -> Iterator[str]:
    """What a caller of the official method could notice."""
    if ours is None:
        yield f"{name} is absent"
        return
    here, there = signature(ours), signature(official)
    for place, (parameter, theirs) in enumerate(there.items()):
        mine = here.get(parameter)
        if mine is None:
            yield f"{name}({parameter}) is absent"
            continue
        if theirs.kind in _BY_PLACE and (mine.kind not in _BY_PLACE or list(here).index(parameter) != place):
            yield f"{name}({parameter}) has another place"
        if theirs.kind in _BY_NAME and mine.kind not in _BY_NAME:
            yield f"{name}({parameter}) cannot be given by its name"
        if theirs.default is theirs.empty and mine.default is not mine.empty:
            yield f"{name}({parameter}) is needed no more"
        elif _meaning(mine.default) != _meaning(theirs.default):
            yield f"{name}({parameter}) has another default"
    for parameter in here.values():
        if parameter.name not in there and parameter.default is parameter.empty:
            yield f"{name}({parameter.name}) is needed"


def _meaning(default: Any) -> Any:
    """Whatever is no plain value only says that nothing was given."""
    if default is inspect.Parameter.empty or type(default) in _PLAIN:
        return default
    return "not given"
