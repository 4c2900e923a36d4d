"""Which of a run's messages and data a view shows."""

from __future__ import annotations

from typing import Callable, FrozenSet, Optional, Sequence, Tuple, Union

from .accumulate import Message

__all__ = ["Namespaces", "message_filter", "namespace_filter"]

Namespaces = Union[str, Sequence[str]]


def namespace_filter(namespaces: Namespaces) -> Callable[[Tuple[str, ...]], bool]:
    """Whether a namespace is among ``namespaces``: "root", "all", or a path whose segments may lack their task ids."""
    if namespaces == "all":
        return lambda _namespace: True
    if namespaces == "root":
        return lambda namespace: not namespace
    prefix = (namespaces,) if isinstance(namespaces, str) else tuple(namespaces)

    def within(namespace: Tuple[str, ...]) -> bool:
        return len(namespace) >= len(prefix) and all(
            have == want or have.partition(":")[0] == want for have, want in zip(namespace, prefix)
        )

    return within


def message_filter(
    completed: bool, namespaces: Namespaces, node: Optional[str], tags: Optional[Sequence[str]]
) -> Callable[[Message], bool]:
    """Whether a message is to be shown: see :meth:`lgsync.RunStream.messages`."""
    within = namespace_filter(namespaces)
    wanted = frozenset(tags or ())
    if not (completed or node is not None or wanted):
        # What most views ask for, of each change of a message; nearly all of those for the root.
        return (lambda message: not message.namespace) if namespaces == "root" else lambda m: within(m.namespace)

    def keep(message: Message) -> bool:
        if completed and message.status == "streaming":
            return False
        if node is not None and message.node != node:
            return False
        return within(message.namespace) and (not wanted or wanted <= _tags_of(message))

    return keep


def _tags_of(message: Message) -> FrozenSet[str]:
    tags = message.metadata.get("tags")
    return frozenset(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else frozenset()
