"""What the signatures of the public methods promise, whoever adds one."""

from __future__ import annotations

import inspect
import re
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from lgsync import Client, RunStream
from lgsync.resources.assistants import AssistantsClient
from lgsync.resources.crons import CronsClient
from lgsync.resources.http import HTTPClient
from lgsync.resources.runs import RunsClient
from lgsync.resources.store import StoreClient
from lgsync.resources.threads import ThreadsClient

RESOURCES = (AssistantsClient, ThreadsClient, RunsClient, CronsClient, StoreClient, HTTPClient)

#: Parameters that hold JSON, of which nothing is known here: what a graph takes, or a route of a server's own.
JSON_PARAMETERS = {"input", "context", "json", "supersteps"}

#: Methods that give such JSON.
JSON_RESULTS = {
    "RunsClient.wait",
    "RunsClient.join",
    "HTTPClient.get",
    "HTTPClient.post",
    "HTTPClient.put",
    "HTTPClient.patch",
    "HTTPClient.delete",
    "RunStream.result",
}

#: Any, but not as the value of a JSON object.
ANY = re.compile(r"(?<!\[str, )\bAny\b")


def methods_of(*classes: type) -> Iterator[Tuple[str, Any]]:
    for cls in classes:
        for name, method in inspect.getmembers(cls, inspect.isfunction):
            if not name.startswith("_"):
                yield f"{cls.__name__}.{name}", method


CALLS: Dict[str, Any] = dict(methods_of(*RESOURCES))


@pytest.mark.parametrize("name", CALLS)
def test_every_call_takes_headers_and_params_and_has_its_own_limits(name: str) -> None:
    assert {"headers", "params", "timeout", "deadline"} <= set(inspect.signature(CALLS[name]).parameters)


@pytest.mark.parametrize("name", CALLS)
def test_every_call_says_what_it_does_and_which_route_it_follows(name: str) -> None:
    documented = inspect.getdoc(CALLS[name]) or ""
    assert re.search(r"(GET|POST|PUT|PATCH|DELETE) /?\w", documented) or ":meth:" in documented, documented


@pytest.mark.parametrize("name", [name for name, _ in methods_of(*RESOURCES, Client, RunStream)])
def test_any_stands_for_nothing_but_json(name: str) -> None:
    method = dict(methods_of(*RESOURCES, Client, RunStream))[name]
    hints = dict(method.__annotations__)
    result = str(hints.pop("return", ""))
    vague: List[str] = [
        f"{parameter}: {hint}"
        for parameter, hint in hints.items()
        if parameter not in JSON_PARAMETERS and ANY.search(str(hint))
    ]
    assert vague == []
    assert name in JSON_RESULTS or not ANY.search(re.sub(r"(Iterator|RunStream|Tuple)\[(str, )?Any\]", "", result)), (
        result
    )
