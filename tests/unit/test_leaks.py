"""The watch over threads and sockets sees what it is there to see."""

from __future__ import annotations

import socket
import threading

import leaks
import pytest
from leaks import assert_none_remain, what_is_open


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "PATIENCE", 0.05)


def test_a_thread_that_goes_on_is_named(impatient: None) -> None:
    before = what_is_open()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="forgotten")
    thread.start()

    with pytest.raises(AssertionError, match="1 left open: thread 'forgotten'"):
        assert_none_remain(before)

    release.set()
    thread.join()
    assert_none_remain(before)


def test_a_socket_left_open_is_named_with_its_ends(impatient: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = what_is_open()
        with socket.create_connection(listener.getsockname()) as connection:
            with pytest.raises(AssertionError, match=rf"socket .*127.0.0.1.* to .*{listener.getsockname()[1]}"):
                assert_none_remain(before)
            assert connection.fileno() != -1
        assert_none_remain(before)


def test_a_thread_that_ends_in_time_is_no_leak() -> None:
    before = what_is_open()
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    threading.Timer(0.1, release.set).start()

    assert_none_remain(before)

    assert not thread.is_alive()
