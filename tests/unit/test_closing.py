from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Callable, Iterator, List

import pytest

from lgsync import closing as closing_module
from lgsync import cutting, in_thread
from lgsync.closing import Closing
from lgsync.cutting import Cut, current, freed_by

LONG = 30.0


class Work:
    """Work that has begun once ``begun`` is set, and comes to ``outcome`` when ``may_end`` is."""

    def __init__(self, outcome: Any = "result") -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = threading.Event()
        self.thread: Any = None
        self._outcome = outcome

    def __call__(self) -> Any:
        self.thread = threading.current_thread()
        self.begun.set()
        try:
            assert self.may_end.wait(LONG)
            if isinstance(self._outcome, BaseException):
                raise self._outcome
            return self._outcome
        finally:
            self.ended.set()

    def end(self) -> None:
        self.may_end.set()
        assert self.begun.wait(LONG)
        self.thread.join(LONG)


class Waiter:
    """A thread that waits, and what that came to."""

    def __init__(self, wait: Callable[[], Any]) -> None:
        self.came: List[Any] = []
        self._thread = threading.Thread(target=lambda: self.came.append(wait()))
        self._thread.start()

    def is_freed_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


@pytest.fixture(autouse=True)
def nothing_raised_in_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a thread does not catch itself would be printed, and nobody would know."""
    uncaught: List[Any] = []
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    yield
    assert uncaught == []


def test_a_wait_takes_its_time_unless_it_is_cut_short() -> None:
    closing = Closing()
    assert closing.wait(0.01) is False
    closing.set()
    assert closing.wait(LONG) is True
    assert closing.is_set()


def test_setting_frees_whoever_waits_within_a_second() -> None:
    closing = Closing()
    waiter = Waiter(lambda: closing.wait(LONG))
    closing.set()
    assert waiter.is_freed_within(1.0)
    assert waiter.came == [True]


def test_a_call_gives_what_its_work_returns() -> None:
    assert Closing().call(lambda: 7) == 7


def test_a_call_raises_what_its_work_raises() -> None:
    error = ZeroDivisionError("7 / 0")

    def work() -> None:
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        Closing().call(work)
    assert caught.value is error


def test_a_result_that_was_taken_is_not_discarded() -> None:
    discarded: List[int] = []
    assert Closing().call(lambda: 7, discarded.append) == 7
    assert discarded == []


def test_setting_frees_whoever_waits_for_an_answer_within_a_second() -> None:
    closing, work = Closing(), Work()
    waiter = Waiter(lambda: closing.call(work))
    assert work.begun.wait(LONG)
    closing.set()
    assert waiter.is_freed_within(1.0)
    assert waiter.came == [None]
    work.end()


def test_setting_frees_everybody_who_waits_for_an_answer() -> None:
    closing, works = Closing(), [Work() for _ in range(5)]
    waiters = [Waiter(lambda work=work: closing.call(work)) for work in works]
    assert all(work.begun.wait(LONG) for work in works)
    closing.set()
    assert all(waiter.is_freed_within(1.0) for waiter in waiters)
    for work in works:
        work.end()


def test_a_result_that_comes_too_late_is_discarded_once() -> None:
    closing, work = Closing(), Work("late")
    discarded: List[str] = []
    waiter = Waiter(lambda: closing.call(work, discarded.append))
    assert work.begun.wait(LONG)
    closing.set()
    assert waiter.is_freed_within(1.0)
    assert discarded == []
    work.end()
    assert discarded == ["late"]


def test_what_is_raised_too_late_is_raised_nowhere() -> None:
    closing, work = Closing(), Work(ZeroDivisionError())
    discarded: List[str] = []
    waiter = Waiter(lambda: closing.call(work, discarded.append))
    assert work.begun.wait(LONG)
    closing.set()
    assert waiter.is_freed_within(1.0)
    work.end()
    assert waiter.came == [None]
    assert discarded == []


def test_once_set_no_work_is_begun() -> None:
    closing = Closing()
    closing.set()
    begun: List[int] = []
    assert closing.call(lambda: begun.append(1)) is None
    assert begun == []


def interrupt_main_when(event: threading.Event) -> threading.Thread:
    """Ctrl-C in the main thread as soon as the event is set."""
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        assert event.wait(LONG)
        # A terminal's interrupt goes to the main thread; one sent to the process might go to any.
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, even where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_wait_for_an_answer_and_the_late_result_is_discarded(ctrl_c: None) -> None:
    closing, work = Closing(), Work("late")
    discarded: List[str] = []
    thread = interrupt_main_when(work.begun)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        closing.call(work, discarded.append)
    assert time.monotonic() - began < LONG / 2
    thread.join(LONG)
    work.end()
    assert discarded == ["late"]


def test_a_result_that_ctrl_c_keeps_from_being_taken_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(in_thread.Work, "taken", interrupted)
    discarded: List[str] = []
    with pytest.raises(KeyboardInterrupt):
        Closing().call(lambda: "in time", discarded.append)
    assert discarded == ["in time"]


def test_no_thread_is_left_once_the_work_has_ended(no_leaks: None) -> None:
    closing, work = Closing(), Work()
    assert closing.call(lambda: 7) == 7
    waiter = Waiter(lambda: closing.call(work))
    assert work.begun.wait(LONG)
    closing.set()
    assert waiter.is_freed_within(1.0)
    work.end()


def test_work_that_never_ends_does_not_keep_the_process_alive() -> None:
    closing, work = Closing(), Work()
    waiter = Waiter(lambda: closing.call(work))
    assert work.begun.wait(LONG)
    assert work.thread.daemon
    closing.set()
    assert waiter.is_freed_within(1.0)
    work.end()


@pytest.mark.parametrize("cuttable", [False, True])
def test_calls_and_closing_in_any_order_lose_no_result(cuttable: bool) -> None:
    for _ in range(200):
        closing = Closing()
        discarded: List[int] = []
        starting = threading.Barrier(2)

        def close(closing: Closing = closing, starting: threading.Barrier = starting) -> None:
            starting.wait(LONG)
            closing.set()

        done: List[int] = []
        closer = threading.Thread(target=close)
        closer.start()
        starting.wait(LONG)
        taken = closing.call(lambda done=done: done.append(1) or 7, discarded.append, cuttable=cuttable)
        closer.join(LONG)
        _threads_named("lgsync-asking")
        assert len(done) == len(discarded) + (taken is not None)


def _threads_named(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(LONG)


@pytest.mark.parametrize("cuttable", [False, True])
def test_it_can_be_set_by_a_signal_handler_wherever_that_interrupted(cuttable: bool) -> None:
    for number in itertools.count(1):
        closing = Closing()
        if not interrupted_at(
            number, closing.set, lambda closing=closing: closing.call(closing.set, cuttable=cuttable)
        ):
            break
        assert closing.is_set()
    assert number > 20


def interrupted_at(number: int, handler: Callable[[], None], work: Callable[[], Any]) -> bool:
    """Run ``handler`` in the midst of ``work``, at the ``number``-th line of the modules'."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in (closing_module.__file__, cutting.__file__, in_thread.__file__):
            return None
        lines += event == "line"
        if lines == number:
            sys.settrace(None)
            handler()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines >= number


# -- work that says how it is cut --------------------------------------------------------------------------------------


class Waiting:
    """Work that waits until it is cut, and fails then, as a socket does that is shut down."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._cut = threading.Event()

    def __call__(self) -> None:
        freed_by(self._cut.set)
        self.begun.set()
        assert self._cut.wait(LONG)
        raise ConnectionResetError


def test_work_that_can_be_cut_has_no_thread_of_its_own() -> None:
    assert Closing().call(threading.current_thread, cuttable=True) is threading.current_thread()


def test_work_that_can_be_cut_raises_what_it_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        Closing().call(lambda: 7 // 0, cuttable=True)


def test_setting_cuts_what_each_work_waits_for() -> None:
    closing, works = Closing(), [Waiting() for _ in range(5)]
    waiters = [Waiter(lambda work=work: closing.call(work, cuttable=True)) for work in works]
    assert all(work.begun.wait(LONG) for work in works)
    closing.set()
    assert all(waiter.is_freed_within(1.0) for waiter in waiters)
    assert [waiter.came for waiter in waiters] == [[None]] * 5


def test_what_is_waited_for_only_after_the_end_is_cut_at_once() -> None:
    closing, work = Closing(), Waiting()

    def late() -> None:
        closing.set()
        work()

    assert closing.call(late, cuttable=True) is None


def test_a_result_that_was_not_cut_in_time_is_discarded() -> None:
    closing, discarded = Closing(), []  # type: Closing, List[int]
    assert closing.call(lambda: closing.set() or 7, discarded.append, cuttable=True) is None
    assert discarded == [7]


def test_what_work_waited_for_is_not_cut_once_it_is_over() -> None:
    closing, cuts = Closing(), []  # type: Closing, List[int]
    closing.call(lambda: freed_by(lambda: cuts.append(1)), cuttable=True)
    freed_by(lambda: cuts.append(2))
    closing.set()
    assert cuts == []


def test_once_set_no_work_that_can_be_cut_is_begun() -> None:
    closing, begun = Closing(), []  # type: Closing, List[int]
    closing.set()
    assert closing.call(lambda: begun.append(1), cuttable=True) is None
    assert begun == []


def test_a_step_that_nothing_can_cut_is_left_behind_and_undone() -> None:
    closing, step, raised = Closing(), Work("late"), []  # type: Closing, Work, List[BaseException]
    undone: List[str] = []

    def work() -> None:
        try:
            in_thread.done_aside(step, undone.append)
        except Cut as exc:
            raised.append(exc)
            raise

    waiter = Waiter(lambda: closing.call(work, cuttable=True))
    assert step.begun.wait(LONG)
    closing.set()
    assert waiter.is_freed_within(1.0)
    assert (waiter.came, len(raised), undone) == ([None], 1, [])
    step.end()
    assert undone == ["late"]


def test_a_step_that_nothing_can_cut_is_taken_in_place_where_nobody_may_end_the_call() -> None:
    assert in_thread.done_aside(threading.current_thread, lambda _: None) is threading.current_thread()


def test_work_within_a_limit_is_cut_as_well() -> None:
    closing, work = Closing(), Work()

    def limited() -> str:
        return in_thread.done_within(LONG, work, lambda _: None, TimeoutError)

    waiter = Waiter(lambda: closing.call(limited, cuttable=True))
    assert work.begun.wait(LONG)
    closing.set()
    assert waiter.is_freed_within(1.0)
    assert waiter.came == [None]
    work.end()


def test_an_interrupt_at_any_line_of_a_call_leaves_the_thread_free_and_discards_the_result() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    for number in itertools.count(1):
        closing, discarded, taken = Closing(), [], []  # type: Closing, List[str], List[Any]

        def call(closing: Closing = closing, discarded: List[str] = discarded, taken: List[Any] = taken) -> None:
            taken.append(closing.call(lambda: "result", discarded.append, cuttable=True))

        try:
            came = interrupted_at(number, interrupt, call)
        except KeyboardInterrupt:
            came = True
        assert current() is None
        assert discarded in ([], ["result"])
        assert not (taken and discarded)
        if not came:
            break
    assert taken == ["result"]
    assert number > 10
