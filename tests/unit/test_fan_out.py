from __future__ import annotations

import contextlib
import gc
import itertools
import sys
import threading
from types import FrameType
from typing import Any, Callable, Iterable, Iterator, List, Optional

import pytest

from lgsync import fan_out as module
from lgsync.errors import ClientClosed
from lgsync.fan_out import FanOut, View

FAN_OUT = module.__file__


def reader(*items: Any) -> Callable[[], Any]:
    """A ``read`` that gives the items, raising those that are exceptions, and then None."""
    left = iter(items)

    def read() -> Any:
        item = next(left, None)
        if isinstance(item, BaseException):
            raise item
        return item

    return read


def fan_out(*items: Any) -> FanOut[Any, Any]:
    return FanOut(reader(*items), lambda item: item)


def view(stream: FanOut[Any, Any], select: Callable[[Any], Iterable[Any]] = lambda item: [item]) -> View[Any, Any]:
    return stream.open(select, lambda: (), None)


def test_two_views_each_get_every_item_in_order() -> None:
    stream = fan_out(1, 2, 3)
    first, second = view(stream), view(stream)
    assert list(first) == [1, 2, 3]
    assert list(second) == [1, 2, 3]


def test_advancing_one_view_reads_only_as_far_as_it_needs() -> None:
    reads: List[int] = []

    def read() -> Optional[int]:
        reads.append(1)
        return len(reads)

    stream: FanOut[Any, Any] = FanOut(read, lambda item: item)
    iterator = view(stream)
    assert next(iterator) == 1
    assert len(reads) == 1


def test_a_view_skips_what_its_selection_leaves_out() -> None:
    assert list(view(fan_out(1, 2, 3, 4), lambda n: [n] if n % 2 == 0 else [])) == [2, 4]


def test_a_view_opened_late_begins_with_its_backlog() -> None:
    stream = fan_out(1, 2)
    next(view(stream))
    late = stream.open(lambda item: [item], lambda: ["backlog"], None)
    assert list(late) == ["backlog", 2]


def test_a_failure_is_raised_from_every_view_after_what_came_before() -> None:
    stream = fan_out(1, OSError("cut"))
    for iterator in (view(stream), view(stream)):
        assert next(iterator) == 1
        with pytest.raises(OSError, match="cut"):
            next(iterator)


def test_a_view_opened_after_a_failure_raises_it_too() -> None:
    stream = fan_out(OSError("cut"))
    with pytest.raises(OSError, match="cut"):
        stream.drive()
    with pytest.raises(OSError, match="cut"):
        next(view(stream))


def test_each_view_raises_a_failure_of_its_own() -> None:
    stream = fan_out(OSError("cut"))
    seen = []
    for iterator in (view(stream), view(stream)):
        with pytest.raises(OSError) as caught:
            next(iterator)
        seen.append(caught.value)
    assert seen[0] is not seen[1]


def test_a_view_that_nobody_holds_collects_nothing() -> None:
    offered: List[int] = []
    stream = fan_out(1, 2, 3)
    kept = view(stream)
    dropped = view(stream, lambda item: offered.append(item) or [])  # type: ignore[func-returns-value]
    next(kept)
    del dropped
    gc.collect()
    list(kept)
    assert offered == [1]


def test_a_closed_view_ends_and_the_others_go_on() -> None:
    stream = fan_out(1, 2)
    closed, other = view(stream), view(stream)
    next(closed)
    closed.close()
    assert list(closed) == []
    assert list(other) == [1, 2]


def test_three_views_in_three_threads_all_complete() -> None:
    stream = fan_out(*range(1, 501))
    results: List[List[int]] = []
    views = [view(stream) for _ in range(3)]
    start = threading.Barrier(3)

    def consume(one: View[Any, Any]) -> None:
        start.wait()
        results.append(list(one))

    threads = [threading.Thread(target=consume, args=(one,)) for one in views]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == [list(range(1, 501))] * 3


def test_a_second_view_waits_while_the_first_reads_and_then_gets_the_item() -> None:
    reading, go = threading.Event(), threading.Event()

    def read() -> Optional[str]:
        reading.set()
        assert go.wait(10)
        return "item"

    stream: FanOut[Any, Any] = FanOut(read, lambda item: item)
    got: List[str] = []
    views = [view(stream), view(stream)]
    threads = [threading.Thread(target=lambda one=one: got.append(next(one))) for one in views]
    threads[0].start()
    assert reading.wait(10)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert got == ["item", "item"]


def test_an_interrupt_from_the_keyboard_leaves_the_stream_readable() -> None:
    stream = fan_out(1, KeyboardInterrupt(), 2)
    iterator = view(stream)
    assert next(iterator) == 1
    with pytest.raises(KeyboardInterrupt):
        next(iterator)
    assert next(iterator) == 2


def test_finishing_from_outside_ends_every_view_after_the_last_item() -> None:
    stream = fan_out(1, 2, 3)
    iterator = view(stream)
    assert next(iterator) == 1
    stream.finish(lambda: "last")
    assert list(iterator) == ["last"]


def test_drive_reads_to_the_end() -> None:
    stream = fan_out(1, 2)
    stream.drive()
    assert stream.ended


# -- interrupts from the keyboard ---------------------------------------------------------------------------------


@contextlib.contextmanager
def interrupt_at(number: int) -> Iterator[None]:
    """Ctrl-C where the fan-out has come to the line that it runs as its ``number``-th from here."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != FAN_OUT:
            return None
        lines += event == "line"
        if lines == number:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def interrupted_at(number: int, work: Callable[[], Any]) -> bool:
    """Do ``work``; False if it came to its end before that line."""
    try:
        with interrupt_at(number):
            work()
    except KeyboardInterrupt:
        return True
    return False


def shows_whole(iterator: View[Any, Any], *expected: Any) -> bool:
    """Whether a view shows all of this; if not, it must show a beginning of it and end with an error."""
    shown: List[Any] = []
    try:
        for item in iterator:
            shown.append(item)
    except ClientClosed:
        assert shown == list(expected)[: len(shown)]
        return False
    assert shown == list(expected)
    return True


def test_an_interrupt_at_any_line_takes_nothing_from_another_view() -> None:
    whole = 0
    for number in itertools.count(1):
        digested: List[int] = []
        stream: FanOut[Any, Any] = FanOut(reader(1, 2, 3), lambda item, seen=digested: seen.append(item) or item)
        iterator, other = view(stream), view(stream)
        came = interrupted_at(number, lambda iterator=iterator: list(iterator))
        whole += shows_whole(other, 1, 2, 3)
        assert len(digested) == len(set(digested))
        if not came:
            break
    assert whole > number * 0.9 > 50


def test_an_interrupt_at_any_line_leaves_the_marks_right() -> None:
    for number in itertools.count(1):
        stream = fan_out(1, 2)
        iterator, other = view(stream), view(stream)
        came = interrupted_at(number, lambda iterator=iterator: next(iterator))
        with stream.lock:
            assert set(stream.marks()) <= {1}
        assert shows_whole(other, 1, 2) or came
        if not came:
            break
    assert number > 10


def test_a_view_opened_after_an_interrupt_shows_nothing_twice() -> None:
    for number in itertools.count(1):
        digested: List[int] = []
        stream: FanOut[Any, Any] = FanOut(reader(1, 2), lambda item, seen=digested: seen.append(item) or item)
        iterator = view(stream)
        came = interrupted_at(number, lambda iterator=iterator: next(iterator))
        late = stream.open(lambda item: [item], lambda seen=digested: list(seen), None)
        assert shows_whole(late, 1, 2) or came
        if not came:
            break
    assert number > 10


def test_finishing_after_an_interrupt_at_any_line_ends_every_view() -> None:
    for number in itertools.count(1):
        stream = fan_out(1, 2, 3)
        iterator, other = view(stream), view(stream)
        came = interrupted_at(number, lambda iterator=iterator: next(iterator))
        stream.finish(lambda: "last")
        stream.finish(lambda: "too late")
        assert stream.ended
        with contextlib.suppress(ClientClosed):
            assert list(other) in ([1, "last"], ["last"])
        if not came:
            break
    assert number > 10


def test_finishing_that_is_interrupted_at_any_line_can_be_done_again() -> None:
    for number in itertools.count(1):
        last = reader("last")
        stream = fan_out(1)
        iterator, other = view(stream), view(stream)
        next(iterator)
        came = interrupted_at(number, lambda stream=stream, last=last: stream.finish(last))
        stream.finish(last)
        assert shows_whole(other, 1, "last") or came
        if not came:
            break
    assert number > 10


def interrupted_while_digesting() -> FanOut[Any, Any]:
    """A stream whose second item is being digested when an interrupt comes; that is not digested twice."""
    digest = reader("first", KeyboardInterrupt(), "digested twice")
    return FanOut(reader(1, 2, 3), lambda item: digest())


def test_an_interrupt_while_an_item_is_digested_ends_every_view_with_an_error_after_what_came_before() -> None:
    stream = interrupted_while_digesting()
    iterator, other = view(stream), view(stream)
    assert next(iterator) == "first"
    with pytest.raises(KeyboardInterrupt):
        next(iterator)
    assert next(other) == "first"
    for one in (iterator, other, view(stream)):
        with pytest.raises(ClientClosed, match="interrupt"):
            next(one)


def test_what_cannot_be_digested_ends_every_view_with_its_error() -> None:
    def digest(item: Any) -> Any:
        raise ZeroDivisionError("7 / 0")

    stream: FanOut[Any, Any] = FanOut(reader(1, 2), digest)
    for iterator in (view(stream), view(stream)):
        with pytest.raises(ZeroDivisionError):
            next(iterator)


def test_whoever_reads_is_told_of_an_interrupt_and_may_ask_for_the_lock() -> None:
    told: List[bool] = []
    stream: FanOut[Any, Any] = FanOut(
        reader(KeyboardInterrupt()), lambda item: item, interrupted=lambda: told.append(is_free(stream.lock))
    )
    with pytest.raises(KeyboardInterrupt):
        stream.drive()
    assert told == [True]


def is_free(lock: Any) -> bool:
    """Whether another thread can take the lock."""
    taken: List[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lock.acquire(timeout=1) and not lock.release()))
    thread.start()
    thread.join(10)
    return taken == [True]


def test_a_thread_that_waits_reads_on_when_the_one_that_reads_is_interrupted() -> None:
    reading, go = threading.Event(), threading.Event()
    rest = reader(KeyboardInterrupt(), "item")

    def read() -> Any:
        reading.set()
        assert go.wait(10)
        return rest()

    stream: FanOut[Any, Any] = FanOut(read, lambda item: item)
    got: List[str] = []

    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            stream.drive()

    threads = [threading.Thread(target=interrupted), threading.Thread(target=lambda: got.extend(view(stream)))]
    threads[0].start()
    assert reading.wait(10)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert got == ["item"]


def test_reading_from_within_a_read_is_refused_and_does_not_wait_for_itself() -> None:
    def read() -> None:
        with pytest.raises(RuntimeError, match="signal handler"):
            stream.drive()

    stream: FanOut[Any, Any] = FanOut(read, lambda item: item)
    stream.drive()
    assert stream.ended
