"""Pages, one after the other, as one iterator."""

from __future__ import annotations

from typing import Callable, Hashable, Iterator, Optional, Sequence, Set, TypeVar

from ..errors import ConfigurationError

__all__ = ["by_offset"]

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
    if limit is not None and limit < 0:
        raise ConfigurationError(f"limit must be how many to give at most, or None for all; not {limit!r}")
    if page_size < 1:
        raise ConfigurationError(f"page_size must be at least 1, not {page_size!r}")
    return _by_offset(page, key, limit, page_size)


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
