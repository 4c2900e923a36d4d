from __future__ import annotations

import gc
import threading
from typing import Any, Callable, Iterable, List, Optional

import pytest

from lgsync.fan_out import FanOut, View


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
