"""What becomes, at the program's end, of runs whose handles are still open."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from typing import List

import pytest

from lgsync import leaving

LONG = 30.0


class Slow:
    """Something whose leaving waits for a server."""

    def __init__(self, answer: threading.Event) -> None:
        self.answer = answer
        self.asked = threading.Event()
        self._left = False

    def leave(self) -> None:
        if not self._left:
            self._left = True
            self.asked.set()
            self.answer.wait(LONG)


@pytest.fixture(autouse=True)
def nothing_else_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "_open", type(leaving._open)())
    monkeypatch.setattr(leaving, "_threads", set())


def opened(count: int, answer: threading.Event) -> List[Slow]:
    listed = [Slow(answer) for _ in range(count)]
    for one in listed:
        leaving.remember(one)
    return listed


def test_all_that_is_open_is_left_at_once_and_waited_for() -> None:
    answer = threading.Event()
    listed = opened(4, answer)

    exiting = threading.Thread(target=leaving._leave_all)
    exiting.start()
    assert all(one.asked.wait(LONG) for one in listed)
    assert exiting.is_alive()

    answer.set()
    exiting.join(LONG)
    assert not exiting.is_alive()


def test_servers_that_do_not_answer_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "_AT_EXIT", 0.2)
    answer = threading.Event()
    listed = opened(20, answer)

    began = time.monotonic()
    leaving._leave_all()
    took = time.monotonic() - began

    answer.set()
    assert all(one.asked.is_set() for one in listed)
    assert took < 3


def test_what_is_being_left_in_the_background_is_waited_for() -> None:
    answer = threading.Event()
    (one,) = opened(1, answer)
    leaving.in_background(one)
    assert one.asked.wait(LONG)

    exiting = threading.Thread(target=leaving._leave_all)
    exiting.start()
    exiting.join(0.05)
    assert exiting.is_alive()

    answer.set()
    exiting.join(LONG)
    assert not exiting.is_alive()


def test_where_no_thread_can_be_started_any_more_each_is_left_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    answer = threading.Event()
    answer.set()
    listed = opened(3, answer)
    monkeypatch.setattr(threading.Thread, "start", refused)
    leaving._leave_all()
    assert all(one.asked.is_set() for one in listed)


PROGRAM = r"""
import os
from lgsync import leaving

class Open:
    def leave(self):
        os.write(1, b"left\n")

kept = [Open(), Open()]
for one in kept:
    leaving.remember(one)
"""


def test_a_program_that_ends_leaves_what_it_had_open() -> None:
    # Away from the checkout, whose lgsync/ would hide the installed one.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, cwd=tempfile.gettempdir(), timeout=LONG, check=True
    )
    assert done.stdout.split() == [b"left", b"left"]
    assert done.stderr == b""
