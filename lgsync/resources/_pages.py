"""Pages, one after the other, as one iterator."""

from __future__ import annotations

from typing import Callable, Hashable, Iterator, List, Optional, Sequence, Set, TypeVar

from ..errors import ConfigurationError, ResponseError

__all__ = ["by_last", "by_offset", "with_key"]

T = TypeVar("T")

# Servers refuse more.
_LARGEST_PAGE = 1000


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
    if not 1 <= page_size <= _LARGEST_PAGE:
        raise ConfigurationError(f"page_size must be from 1 to {_LARGEST_PAGE}, not {page_size!r}")


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
    before: List[Hashable] = []
    offset = 0
    while limit is None or len(given) < limit:
        count = page_size if limit is None else min(page_size, limit - len(given))
        found = page(count, offset)
        keys = [key(one) for one in found]
        if keys and keys == before:
            raise ResponseError("The server gives the same page again and again: it ignores offset", url="", status=200)
        offset, before = offset + len(found), keys
        for one, its_key in zip(found, keys):
            if its_key not in given:
                given.add(its_key)
                yield one
        if len(found) < count:
            return
