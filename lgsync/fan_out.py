"""One reader, many views: whichever view is advanced reads the next item, and every open view gets its share.

There is no background thread. A view that nobody holds any more gets nothing, and holds nothing back. Views may be
advanced from any threads: one of them reads, the others wait until there is something for them.
"""

from __future__ import annotations

import copy
import weakref
from collections import deque
from threading import Condition, RLock
from typing import Any, Callable, Deque, Generic, Iterable, Iterator, List, NamedTuple, Optional, Tuple, TypeVar

__all__ = ["FanOut", "Raised", "View"]

Raw = TypeVar("Raw")
Item = TypeVar("Item")
Out = TypeVar("Out")

Select = Callable[[Item], Iterable[Out]]


class Raised(NamedTuple):
    """What a view raises in the place where it selected this; iterated again, it goes on after it."""

    error: BaseException


class View(Generic[Item, Out]):
    """An iterator over one aspect of a stream. ``close()`` it, or let go of it, to stop collecting for it."""

    def __init__(self, fan_out: FanOut[Any, Item], select: Select[Item, Out], owner: object) -> None:
        self._fan_out: Optional[FanOut[Any, Item]] = fan_out
        self._select = select
        self._pending: Deque[Out] = deque()
        # How many things were offered after the last batch, and its mark, of each batch since the view was up to date.
        self._offered = 0
        self._marks: Deque[Tuple[int, Any]] = deque()
        # Whoever iterates a view keeps the stream alive; the stream itself does not keep its views.
        self._owner: Optional[object] = owner

    def __iter__(self) -> Iterator[Out]:
        return self

    def __next__(self) -> Out:
        if self._fan_out is None:
            raise StopIteration
        out = self._fan_out.advance(self._pending)
        if isinstance(out, Raised):
            raise _another(out.error)
        return out

    def offer(self, item: Item, mark: Any) -> None:
        """Keep what of ``item`` this view shows; called with the fan-out's lock held."""
        pending = self._pending
        if not pending:
            self._offered = 0
            self._marks.clear()
        before = len(pending)
        pending.extend(self._select(item))
        if len(pending) > before:
            self._offered += len(pending) - before
            self._marks.append((self._offered, mark))

    def mark(self) -> Any:
        """The mark of the first item that was not taken wholly; None if the view is up to date."""
        taken = self._offered - len(self._pending)
        return next((mark for end, mark in self._marks if end > taken), None) if self._pending else None

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
    one, unless one is given. ``mark`` gives what is remembered of an item until all views have taken it.
    """

    def __init__(
        self,
        read: Callable[[], Optional[Raw]],
        digest: Callable[[Raw], Item],
        lock: Any = None,
        mark: Callable[[Item], Any] = lambda item: item,
    ) -> None:
        self._read = read
        self._digest = digest
        self._mark = mark
        self._views: List[weakref.ref[View[Item, Any]]] = []
        self.lock = lock or RLock()
        self._changed = Condition(self.lock)
        self._reading = False
        self._ended = False
        self._failure: Optional[BaseException] = None

    @property
    def ended(self) -> bool:
        """Whether the last item was handed out."""
        return self._ended

    def open(self, select: Select[Item, Out], backlog: Callable[[], Iterable[Out]], owner: object) -> View[Item, Out]:
        """A new view, which begins with ``backlog`` (called with the lock held) and keeps ``owner`` alive."""
        view: View[Item, Out] = View(self, select, owner)
        with self._changed:
            view._pending.extend(backlog())
            view._offered = len(view._pending)
            self._views.append(weakref.ref(view))
        return view

    def marks(self) -> List[Any]:
        """The marks of the first item that each view has not taken wholly; to be called with the lock held."""
        views = [reference() for reference in self._views]
        marks = [view.mark() for view in views if view is not None and view._fan_out is not None]
        return [mark for mark in marks if mark is not None]

    def advance(self, pending: Deque[Out]) -> Out:
        """The next thing in ``pending``, reading on until there is one. Raises StopIteration at the end."""
        while not self._ready(pending):
            self._read_one()
        return pending.popleft()

    def drive(self) -> None:
        """Read to the end; raises what ended the stream, if it was an error."""
        nothing: Deque[None] = deque()
        try:
            self.advance(nothing)
        except StopIteration:
            return

    def finish(self, last: Callable[[], Optional[Raw]]) -> None:
        """End here, with what ``last`` gives; if a read is under way, that read ends it instead."""
        with self._changed:
            if not self._reading and not self._ended:
                self._hand_out(last())
                self._end(None)

    def _ready(self, pending: Deque[Out]) -> bool:
        """True if there is something to take; False if the caller is now the one to read."""
        with self._changed:
            while True:
                if pending:
                    return True
                if self._ended:
                    raise self._ending()
                if not self._reading:
                    self._reading = True
                    return False
                self._changed.wait()

    def _read_one(self) -> None:
        raw: Optional[Raw] = None
        failure: Optional[BaseException] = None
        over = False
        try:
            raw = self._read()
            over = raw is None
        except Exception as exc:  # noqa: BLE001 (kept, and raised from every view)
            failure, over = exc, True
        finally:
            # An interrupt from the keyboard passes through here too: the next reader takes over.
            with self._changed:
                self._reading = False
                self._changed.notify_all()
                self._hand_out(raw)
                if over:
                    self._end(failure)

    def _hand_out(self, raw: Optional[Raw]) -> None:
        if raw is None:
            return
        item = self._digest(raw)
        mark = self._mark(item)
        gone = False
        for reference in self._views:
            view = reference()
            if view is None or view._fan_out is None:
                gone = True
            else:
                view.offer(item, mark)
        if gone:
            self._views = [reference for reference in self._views if _is_open(reference())]

    def _end(self, failure: Optional[BaseException]) -> None:
        self._failure = failure
        self._ended = True
        self._changed.notify_all()

    def _ending(self) -> BaseException:
        if self._failure is None:
            return StopIteration()
        return _another(self._failure)


def _another(error: BaseException) -> BaseException:
    """A copy for each view: one exception raised in several threads would mix their tracebacks."""
    another = copy.copy(error)
    another.__cause__ = error.__cause__
    return another


def _is_open(view: Optional[View[Any, Any]]) -> bool:
    return view is not None and view._fan_out is not None
