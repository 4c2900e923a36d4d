"""What waits for a slow reader is bounded, and nothing of it is lost, whoever closes and whenever."""

from __future__ import annotations

import threading
from typing import List

import pytest

from lgsync.transports.inbox import Inbox

PATIENCE = 10.0


class Tap:
    """The inbox of a socket, and how often its reading was paused and resumed."""

    def __init__(self) -> None:
        self.said: List[str] = []
        self.inbox = Inbox(lambda: self.said.append("pause"), lambda: self.said.append("resume"))


def test_messages_are_read_in_the_order_in_which_they_were_brought() -> None:
    inbox = Tap().inbox
    inbox.put([b"a", b"b"])
    inbox.put([b"c"])
    assert [inbox.get(0) for _ in range(3)] == [b"a", b"b", b"c"]


def test_a_wait_for_a_message_ends_in_time() -> None:
    inbox = Tap().inbox
    for timeout in (-1.0, 0.0, 0.001):
        with pytest.raises(TimeoutError):
            inbox.get(timeout)


def test_what_came_before_the_end_is_read_first_and_the_end_as_often_as_one_asks() -> None:
    inbox = Tap().inbox
    inbox.put([b"a"])
    inbox.close()
    assert inbox.get() == b"a"
    for _ in range(2):
        with pytest.raises(EOFError):
            inbox.get()


def test_closing_frees_a_reader_that_waits() -> None:
    inbox, ended = Tap().inbox, threading.Event()

    def read() -> None:
        with pytest.raises(EOFError):
            inbox.get()
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    inbox.close()
    assert ended.wait(PATIENCE)
    reader.join(PATIENCE)


@pytest.mark.parametrize(("size", "count"), [(0, 2048), (2047, 2048), (20480, 186)])
def test_the_socket_is_paused_when_more_waits_than_is_kept_and_goes_on_when_most_is_read(size: int, count: int) -> None:
    tap = Tap()
    for _ in range(count):
        tap.inbox.put([b"x" * size])
    assert tap.said == []
    tap.inbox.put([b"x" * size])
    tap.inbox.put([b"x" * size])
    assert tap.said == ["pause"]
    for _ in range(count // 2):
        tap.inbox.get(0)
    assert tap.said == ["pause"]
    for _ in range(count // 2):
        tap.inbox.get(0)
    assert tap.said == ["pause", "resume"]


def test_a_batch_counts_as_much_as_its_messages_and_is_off_the_count_once_it_is_taken() -> None:
    tap = Tap()
    tap.inbox.put([b""] * 2048)
    assert tap.said == []
    tap.inbox.put([b""])
    tap.inbox.get(0)
    assert tap.said == ["pause", "resume"]


def test_closing_lets_a_paused_socket_go_on_once() -> None:
    tap = Tap()
    tap.inbox.put([b""] * 2049)
    tap.inbox.close()
    tap.inbox.close()
    assert tap.said == ["pause", "resume"]


@pytest.mark.parametrize("meanwhile", ["read", "closed"])
def test_a_socket_that_is_being_paused_goes_on_if_all_was_read_or_closed_meanwhile(meanwhile: str) -> None:
    said: List[str] = []

    def pause() -> None:
        said.append("pause")
        inbox.get() if meanwhile == "read" else inbox.close()

    inbox = Inbox(pause, lambda: said.append("resume"))
    inbox.put([b""] * 2049)
    assert said == ["pause", "resume"]


def test_who_interrupts_a_reader_may_close_what_it_reads() -> None:
    said: List[str] = []

    def resume() -> None:
        said.append("resume")
        inbox.close()

    inbox = Inbox(lambda: said.append("pause"), resume)
    inbox.put([b"a"] * 2049)
    assert [inbox.get() for _ in range(2049)] == [b"a"] * 2049
    with pytest.raises(EOFError):
        inbox.get()
    assert said == ["pause", "resume"]
