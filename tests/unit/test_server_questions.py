"""``client.info()`` and ``client.ok()``."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import ScriptedTransport

from lgsync import Client
from lgsync.errors import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    PermissionDeniedError,
    WrongType,
)

URL = "http://server"


def asked(path: str, answer: Any) -> ScriptedTransport:
    return ScriptedTransport(answers={f"GET {path}": answer})


def test_a_server_says_what_it_is() -> None:
    info = Client(transport=asked("/info", (200, {"version": "0.16.7", "flags": {"crons": True}}))).info()
    assert info.version == "0.16.7"
    assert info.flags["crons"] is True
    assert info["flags"] == {"crons": True}


def test_a_server_that_says_so_is_well() -> None:
    assert Client(transport=asked("/ok", (200, {"ok": True}))).ok()


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"ok": False}),
        (200, ["ok"]),
        (503, {"detail": "starting"}),
        (404, {"detail": "Not Found"}),
        ConnectionFailed("refused", url=URL, refused=True),
        ConnectionLost("reset", url=URL),
        ConnectionTimeout("silent", url=URL),
    ],
    ids=str,
)
def test_a_server_that_is_not_there_or_not_well_is_told_by_one_question(answer: Any) -> None:
    transport = asked("/ok", answer)
    assert Client(transport=transport, retries=5).ok() is False
    assert len(transport.requests) == 1


def test_what_else_the_server_answers_is_raised() -> None:
    with pytest.raises(AuthenticationError):
        Client(transport=asked("/ok", (401, {"detail": "who?"}))).ok()
    with pytest.raises(PermissionDeniedError):
        Client(transport=asked("/ok", (403, {"detail": "no"}))).ok()


def test_the_database_is_looked_at_if_that_is_asked() -> None:
    transport = asked("/ok", (200, {"ok": True}))
    Client(transport=transport).ok(check_db=True)
    assert transport.requests[0][2] == {"check_db": 1}


@pytest.mark.parametrize("params", [[("a", 1)], "a=1"])
def test_a_query_that_is_no_mapping_is_refused(params: Any) -> None:
    client = Client(transport=asked("/ok", (200, {"ok": True})))
    with pytest.raises(WrongType, match="params must be a mapping"):
        client.ok(params=params)
    with pytest.raises(WrongType, match="params must be a mapping"):
        client.runs.stream("t", "agent", params=params)
