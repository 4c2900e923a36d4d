"""Pages, one after the other, as one iterator."""

from __future__ import annotations

from typing import Callable, Hashable, Iterator, List, Optional, Sequence, Set, TypeVar

from ..errors import ConfigurationError

__all__ = ["by_last", "by_offset", "with_key"]

T = TypeVar("T")


def by_offset(
    page: Callable[[int, int], Sequence[T]],
    key: Callable[[T], Hashable],
    *,
    limit: Optional[int],
    page_size: int,
) -> Iterator[T]:
    """What ``page(count, offset)`` gives, page by page as it is asked for, up to ``limit`` in all.

    What is created meanwhile moves the pages, so that some comes again: each ``key`` is given once.
    """
    _check(limit, page_size)
    return _by_offset(page, key, limit, page_size)


def by_last(page: Callable[[int, Optional[T]], Sequence[T]], *, limit: Optional[int], page_size: int) -> Iterator[T]:
    """What ``page(count, last)`` gives, which is what comes after ``last``, page by page, up to ``limit`` in all."""
    _check(limit, page_size)
    return _by_last(page, limit, page_size)


def _check(limit: Optional[int], page_size: int) -> None:
    if limit is not None and limit < 0:
        raise ConfigurationError(f"limit must be how many to give at most, or None for all; not {limit!r}")
    if page_size < 1:
        raise ConfigurationError(f"page_size must be at least 1, not {page_size!r}")


def _by_last(page: Callable[[int, Optional[T]], Sequence[T]], limit: Optional[int], page_size: int) -> Iterator[T]:
    given = 0
    last: Optional[T] = None
    while limit is None or given < limit:
        count = page_size if limit is None else min(page_size, limit - given)
        found = page(count, last)
        yield from found
        given += len(found)
        if len(found) < count:
            return
        last = found[-1]


def with_key(select: Optional[Sequence[str]], key: str) -> Optional[List[str]]:
    """The fields to ask for, with that by which ``by_offset`` tells one from another; None is all."""
    return list(dict.fromkeys((key, *select))) if select else None


def _by_offset(
    page: Callable[[int, int], Sequence[T]], key: Callable[[T], Hashable], limit: Optional[int], page_size: int
) -> Iterator[T]:
    given: Set[Hashable] = set()
    offset = 0
    while limit is None or len(given) < limit:
        count = page_size if limit is None else min(page_size, limit - len(given))
        found = page(count, offset)
        offset += len(found)
        for one in found:
            if key(one) not in given:
                given.add(key(one))
                yield one
        if len(found) < count:
            return
