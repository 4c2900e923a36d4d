"""What is certain to have begun after parts of a run were lost."""

from __future__ import annotations

from typing import Any, Dict, Set, Tuple

__all__ = ["Gap"]

Namespace = Tuple[str, ...]


class Gap:
    """A place in a run's parts where some are gone; it knows which messages began behind it.

    A graph begins a step when all tasks of the step before have ended, and their subgraphs with them. So once a graph
    was heard in two steps behind the gap, whatever is heard of it, or of a subgraph, for the first time has begun
    behind the gap. Within one step nothing is certain: tasks run side by side, and each may call several models.
    """

    __slots__ = ("_chunk_heard", "_first_steps", "_stepped")

    def __init__(self) -> None:
        self._first_steps: Dict[Namespace, int] = {}
        # The graphs that have begun a step behind the gap.
        self._stepped: Set[Namespace] = set()
        self._chunk_heard = False

    def hear(self, namespace: Namespace, step: Any, *, chunk: bool) -> bool:
        """Note a message event; gives whether a message that was not heard of before it has begun behind the gap."""
        self._chunk_heard = self._chunk_heard or chunk
        if self._inside_what_began(namespace):
            return True
        numbered = isinstance(step, int) and not isinstance(step, bool)
        first = self._first_steps.get(namespace)
        if not numbered or first is None:
            if numbered and namespace not in self._stepped:
                self._first_steps[namespace] = step
            return namespace in self._stepped
        if step > first:
            self._stepped.add(namespace)
        return bool(step > first)

    def see_state(self, namespace: Namespace, values: Any) -> None:
        """Note a ``values`` part: it ends a step, unless it shows an interrupt, which may come in the middle of one.

        What comes before any chunk may be a server's answer to the join, out of order with what it streams.
        """
        if self._chunk_heard and isinstance(values, dict) and "__interrupt__" not in values:
            self._stepped.add(namespace)

    def begin_anew(self) -> None:
        """A run, or an attempt of it, has begun: all of it lies behind the gap."""
        self._first_steps.clear()
        self._stepped.add(())

    def has_passed(self, namespace: Namespace) -> bool:
        """Whether a task of this graph that ends now has begun behind the gap."""
        return namespace in self._stepped or self._inside_what_began(namespace)

    def _inside_what_began(self, namespace: Namespace) -> bool:
        """Whether a graph around this one has begun a step behind the gap.

        A bare number tells apart the graphs that one task calls, maybe at once: the first is not around the others.
        """
        return any(
            namespace[:depth] in self._stepped and not segment.isdigit() for depth, segment in enumerate(namespace)
        )
