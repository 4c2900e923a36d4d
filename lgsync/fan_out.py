"""One reader, many views: whichever view is advanced reads the next item, and every open view gets its share.

There is no background thread. A view that nobody holds any more gets nothing, and holds nothing back. Views may be
advanced from any threads: one of them reads, the others wait until there is something for them.

An interrupt from the keyboard may come between any two steps. What was read is kept until every view has its share, and
whoever reads next hands it out first; if it came while that was digested, every view ends with an error.

Budget: 2 µs for an item that one view takes (``python -m benchmarks --only layers``).
"""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections import deque
from itertools import repeat, starmap
from threading import Condition, RLock, get_ident
from typing import (
    Any,
    Callable,
    Deque,
    Generic,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

from .errors import ClientClosed

__all__ = ["FanOut", "Raised", "View"]

Raw = TypeVar("Raw")
Item = TypeVar("Item")
Out = TypeVar("Out")

# An interrupt from the keyboard may keep a reader from saying that it is done.
_LONGEST_WAIT = 0.5

Select = Callable[[Item], Sequence[Out]]

# Where a view keeps what it is to give, and what comes behind that, each with its mark.
_Share = Tuple[Deque[Any], Iterable[Any]]


class Raised(NamedTuple):
    """What a view raises in the place where it selected this; iterated again, it goes on after it."""

    error: BaseException


class View(Generic[Item, Out]):
    """An iterator over one aspect of a stream. ``close()`` it, or let go of it, to stop collecting for it."""

    def __init__(self, fan_out: FanOut[Any, Item], select: Select[Item, Out], owner: object) -> None:
        self._fan_out: Optional[FanOut[Any, Item]] = fan_out
        self._select = select
        # Each with the mark of its item; what a view begins with has none.
        self._pending: Deque[Tuple[Any, Out]] = deque()
        # Whoever iterates a view keeps the stream alive; the stream itself does not keep its views.
        self._owner: Optional[object] = owner

    def __iter__(self) -> Iterator[Out]:
        return self

    def __next__(self) -> Out:
        pending = self._pending
        while True:
            fan_out = self._fan_out
            if fan_out is None:
                raise StopIteration
            if not pending:
                fan_out.advance(pending)
            try:
                out = pending.popleft()[1]
            except IndexError:
                # Another thread took it.
                continue
            if isinstance(out, Raised):
                raise _another(out.error)
            return out

    def mark(self) -> Any:
        """The mark of the first item that was not taken wholly; None if the view is up to date."""
        try:
            mark = self._pending[0][0]
        except IndexError:
            return None
        return mark if mark is not None else next((mark for mark, _ in self._pending.copy() if mark is not None), None)

    def close(self) -> None:
        """Stop here: drop what is pending, and end. The stream goes on for other views."""
        self._fan_out = None
        self._owner = None
        self._pending.clear()


class FanOut(Generic[Raw, Item]):
    """Hands what ``read`` brings, made into items by ``digest``, to every open view.

    ``read`` may block; it returns None at the end, and what it raises, every view raises once it has shown what came
    before. It is never called by two threads at once. ``digest`` is quick, and is called with ``lock`` held, as is
    every view's selection: with the lock held, all that was digested has been handed out. The lock is a new re-entrant
    one, unless one is given. ``at_hand`` gives the next thing if it is there without a read; it must not block, and is
    called with the lock held. ``mark`` gives what is remembered of an item until all views have taken it.
    ``interrupted`` is called, without the lock, when an interrupt from the keyboard ends a turn at reading: only
    ``read`` can know what that cost.
    """

    def __init__(
        self,
        read: Callable[[], Optional[Raw]],
        digest: Callable[[Raw], Item],
        lock: Any = None,
        at_hand: Callable[[], Optional[Raw]] = lambda: None,
        mark: Callable[[Item], Any] = lambda item: item,
        interrupted: Callable[[], object] = lambda: None,
    ) -> None:
        self._read = read
        self._digest = digest
        self._at_hand = at_hand
        self._mark = mark
        self._interrupted = interrupted
        self._views: List[weakref.ref[View[Item, Any]]] = []
        self.lock = lock or RLock()
        self._changed = Condition(self.lock)
        # How many threads wait for that; were it wrong after an interrupt, they would wait for the longest time.
        self._waiting = 0
        # The thread that reads.
        self._reader: Optional[int] = None
        # What was read and not handed out yet: as it came, whether its digestion has begun, and what that gave.
        self._raw: Optional[Raw] = None
        self._begun = False
        self._item: Optional[Tuple[Item]] = None
        # What views are still to get of it.
        self._shares: Deque[_Share] = deque()
        self._ended = False
        self._failure: Optional[BaseException] = None

    @property
    def ended(self) -> bool:
        """Whether the last item was handed out."""
        return self._ended

    def open(self, select: Select[Item, Out], backlog: Callable[[], Iterable[Out]], owner: object) -> View[Item, Out]:
        """A new view, which begins with ``backlog`` (called with the lock held) and keeps ``owner`` alive."""
        view: View[Item, Out] = View(self, select, owner)
        with self.lock:
            self._hand_out_what_was_digested()
            view._pending.extend([(None, out) for out in backlog()])
            self._views.append(weakref.ref(view))
        return view

    def marks(self) -> List[Any]:
        """The marks of the first item that each view has not taken wholly; to be called with the lock held."""
        self._hand_out_what_was_digested()
        views = [reference() for reference in self._views]
        marks = [view.mark() for view in views if view is not None and view._fan_out is not None]
        return [mark for mark in marks if mark is not None]

    def advance(self, pending: Deque[Any]) -> None:
        """Read on until something is in ``pending``. Raises StopIteration at the end, or what ended the stream."""
        while not pending:
            self._read_one(pending)

    def drive(self) -> None:
        """Read to the end; raises what ended the stream, if it was an error."""
        with contextlib.suppress(StopIteration):
            self.advance(deque())

    def finish(self, last: Callable[[], Optional[Raw]]) -> None:
        """End here, with what ``last`` gives; if a read is under way, that read ends it instead."""
        me = get_ident()
        try:
            with self.lock:
                if self._reader is not None or self._ended:
                    return
                self._reader = me
                self._hand_out()
                if not self._ended:
                    self._raw = last()
                    self._hand_out()
                if not self._ended:
                    self._end(None)
                self._reader = None
        except BaseException:
            self._let_go(me)
            raise

    def _read_one(self, pending: Deque[Any]) -> None:
        """Read once and hand that out, or wait while another thread does."""
        me = get_ident()
        if self._reader == me:
            raise RuntimeError("This thread reads the stream already: a signal handler cannot read it at the same time")
        try:
            with self.lock:
                while self._reader is not None or self._ended or pending:
                    if pending:
                        return
                    if self._ended:
                        raise self._ending()
                    self._wait()
                self._reader = me
                if self._raw is None and not self._shares:
                    self._raw = self._at_hand()
                if self._raw is not None or self._shares:
                    self._finish_turn()
                    return
            self._take_turn()
        except BaseException as exc:
            if self._let_go(me) and not isinstance(exc, Exception):
                self._interrupted()
            raise

    def _wait(self) -> None:
        """Wait, with the lock held, until something was handed out, or the reader is gone."""
        self._waiting += 1
        try:
            self._changed.wait(_LONGEST_WAIT)
        finally:
            self._waiting -= 1

    def _take_turn(self) -> None:
        failure = None
        try:
            self._raw = self._read()
        except Exception as exc:  # noqa: BLE001 (kept, and raised from every view)
            failure = exc
        with self.lock:
            if self._raw is None:
                self._end(failure)
            self._finish_turn()

    def _finish_turn(self) -> None:
        self._hand_out()
        self._reader = None
        if self._waiting:
            self._changed.notify_all()

    def _let_go(self, me: int) -> bool:
        """Leave the reading to others; False if it was not this thread that read."""
        if self._reader != me:
            return False
        self._reader = None
        with self.lock:
            self._changed.notify_all()
        return True

    def _hand_out(self) -> None:
        """Give each view its share of what was read; wherever that is interrupted, it can be done again."""
        shares = self._shares
        if not shares and (self._item is not None or self._digested()):
            shares.extend(self._shared_out())
        self._raw, self._item, self._begun = None, None, False
        # All of it in one call that runs no Python: each share is either here or with its view.
        _run_out(starmap(_extend, map(_take_first, repeat(shares, len(shares)))))

    def _hand_out_what_was_digested(self) -> None:
        """With the lock held and nobody reading, what is still here was interrupted."""
        if self._reader is None and (self._begun or self._shares):
            self._hand_out()

    def _digested(self) -> bool:
        """Digest what was read, if anything, once; False if that failed, which ends the stream."""
        if self._raw is None:
            return False
        try:
            if self._begun:
                raise ClientClosed("The stream ends here: an interrupt came while a part of it was being taken in")
            self._begun = True
            self._item = (self._digest(self._raw),)
        except Exception as exc:  # noqa: BLE001 (kept, and raised from every view)
            self._end(exc)
            return False
        return True

    def _shared_out(self) -> List[_Share]:
        """What each view is to get of the item, beside where the view keeps it."""
        assert self._item is not None
        (item,) = self._item
        mark = self._mark(item)
        shares: List[_Share] = []
        gone = False
        for reference in self._views:
            view = reference()
            if view is None or view._fan_out is None:
                gone = True
                continue
            outs = view._select(item)
            if len(outs) == 1:
                # Nearly always, and much cheaper.
                shares.append((view._pending, ((mark, outs[0]),)))
            elif outs:
                shares.append((view._pending, [(mark, out) for out in outs]))
        if gone:
            self._views = [reference for reference in self._views if _is_open(reference())]
        return shares

    def _end(self, failure: Optional[BaseException]) -> None:
        self._failure = failure
        self._ended = True
        self._changed.notify_all()

    def _ending(self) -> BaseException:
        if self._failure is None:
            return StopIteration()
        return _another(self._failure)


_extend, _take_first = deque.extend, deque.popleft
# Takes what an iterator gives, and keeps none of it.
_run_out: Callable[[Iterable[Any]], None] = deque(maxlen=0).extend


def _another(error: BaseException) -> BaseException:
    """A copy for each view: one exception raised in several threads would mix their tracebacks."""
    another = copy.copy(error)
    another.__cause__ = error.__cause__
    return another


def _is_open(view: Optional[View[Any, Any]]) -> bool:
    return view is not None and view._fan_out is not None
