"""Whose block event is it? The event protocol does not say once a message has begun; this module never guesses.

One :class:`Scope` per namespace knows the messages that are open there; :class:`Scopes` finds and drops them. An event
is a message's own if the event says so (by run, message or node), or if no other message is open. Otherwise it is
nobody's: every open message is *held* (nothing more is said of it until a snapshot of the state shows it), and what
finishes is kept as nameless payloads.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from .drafts import Draft
from .slim import content_key

__all__ = ["Left", "Payload", "Scope", "Scopes", "block_of", "index_of"]

Message = Dict[str, Any]
Namespace = Tuple[str, ...]


def index_of(data: Mapping[str, Any]) -> int:
    """The block's index; servers count from 0, and one that says none has one block."""
    index = data.get("index")
    return index if isinstance(index, int) else 0


def block_of(data: Mapping[str, Any]) -> Dict[str, Any]:
    """The block of a start or a finish, under its present or its former key."""
    block = data.get("content") or data.get("content_block")
    return block if isinstance(block, dict) else {}


class Payload:
    """A finished message that nothing names. ``mixed`` ones are made of more than one message: no use to anybody."""

    def __init__(self, blocks: List[Mapping[str, Any]], finish: Mapping[str, Any]) -> None:
        draft = Draft(None)
        for data in blocks:
            draft.end_block(index_of(data), block_of(data))
        draft.finish(finish)
        self.target: Message = draft.target or {}
        indexes = [index_of(data) for data in blocks]
        self.mixed = len(set(indexes)) < len(indexes) or not blocks


class Scope:
    """The open messages of one namespace, and what its snapshots have shown so far.

    ``held`` are the messages that wait for a snapshot. ``payloads`` is what finished without a name. ``certain`` says
    whether one message and one payload that are left over must belong together.
    """

    def __init__(self, namespace: Namespace = (), born: int = 0) -> None:
        self.namespace = namespace
        self.born = born
        self.children: Dict[str, Scope] = {}
        self.latest: Dict[str, Message] = {}
        self.seen_values = False
        self.seen_messages = False
        self.held: Dict[str, Draft] = {}
        self.payloads: List[Payload] = []
        self.certain = True
        self._open: Dict[str, Draft] = {}
        self._not_held: Dict[str, Draft] = {}
        self._blocks: List[Mapping[str, Any]] = []
        self._finished = 0

    def start(self, draft: Draft) -> None:
        """A message begins."""
        if draft.id:
            self._open[draft.id] = self._not_held[draft.id] = draft

    @property
    def over(self) -> bool:
        """Whether nothing is open here or below; what is held may still be settled by its id."""
        return not self._open and not self.children

    def known(self, message_id: str) -> Optional[Draft]:
        """The message of that id, while it is open or held."""
        return self._open.get(message_id) or self.held.get(message_id)

    def close(self, message_id: str) -> None:
        """The message is over, whatever its events say from now on."""
        for drafts in (self._open, self._not_held, self.held):
            drafts.pop(message_id, None)

    def owner(self, data: Mapping[str, Any], node: Optional[str]) -> Optional[Draft]:
        """The one message that the event belongs to; None if that is not certain."""
        draft = self._named(data, node)
        return None if draft is None or draft.id in self.held else draft

    def hold(self, data: Mapping[str, Any]) -> None:
        """Keep an event that is nobody's: its deltas are lost on purpose, what it finishes is not."""
        if not self._open:
            self.certain = False
        self.held.update(self._not_held)
        self._not_held.clear()
        kind = data.get("event")
        if kind == "content-block-finish":
            self._blocks.append(data)
        elif kind in ("message-finish", "error"):
            self._end_one(data)

    def retire(self, survivors: Mapping[str, Any]) -> bool:
        """A step is over: what is still open and not in the state will never finish. Says whether there was any."""
        left = [message_id for message_id in self._open if message_id not in survivors]
        for message_id in left:
            del self._open[message_id]
            self._not_held.pop(message_id, None)
        self._blocks = []
        self._finished = 0
        return bool(left)

    def leftover(self) -> Optional[Payload]:
        """The payload of the one held message, if elimination leaves no doubt."""
        alone = len(self.held) == 1 == len(self.payloads) and not self.payloads[0].mixed
        return self.payloads[0] if self.certain and alone else None

    def _named(self, data: Mapping[str, Any], node: Optional[str]) -> Optional[Draft]:
        message_id = data.get("message_id") or data.get("id")
        if isinstance(message_id, str):
            return self._open.get(message_id)
        run_id = data.get("run_id")
        if run_id is None and node is None:
            if len(self._open) != 1:
                return None
            (only,) = self._open.values()
            return only
        drafts = list(self._open.values())
        if run_id is not None:
            drafts = [draft for draft in drafts if draft.run_id in (run_id, None)]
        if node is not None:
            drafts = [draft for draft in drafts if draft.node in (node, None)]
        return drafts[0] if len(drafts) == 1 else None

    def _end_one(self, data: Mapping[str, Any]) -> None:
        if data.get("event") == "error":
            self.certain = False
        else:
            self.payloads.append(Payload(self._blocks, data))
            self.certain = self.certain and not self.payloads[-1].mixed
        self._blocks = []
        self._finished += 1
        if self._finished >= len(self._open):
            self._open.clear()
            self._finished = 0


class Left(NamedTuple):
    """A held message, and the nameless payload that must be its own."""

    namespace: Namespace
    draft: Draft
    payload: Payload


class Scopes:
    """The scopes of a run's namespaces, kept as long as something may still come of them.

    Messages are found by id and payloads by content, so that work does not grow with the number of scopes.
    """

    def __init__(self) -> None:
        self._root = Scope()
        self._born = 0
        self._by_id: Dict[str, List[Scope]] = {}
        self._by_content: Dict[str, List[Tuple[Scope, Payload]]] = {}
        self._holding: Dict[Scope, bool] = {}
        self._doubts: Dict[Namespace, int] = {}

    @property
    def has_payloads(self) -> bool:
        """Whether anything finished without a name and waits for its message."""
        return bool(self._by_content)

    def at(self, namespace: Namespace) -> Scope:
        """The scope of the namespace; made if it is not there."""
        scope = self._root
        if not namespace:
            return scope
        for depth, segment in enumerate(namespace, 1):
            child = scope.children.get(segment)
            if child is None:
                self._born += 1
                child = scope.children[segment] = Scope(namespace[:depth], self._born)
            scope = child
        return scope

    def start(self, scope: Scope, draft: Draft) -> None:
        """A message begins in the scope."""
        scope.start(draft)
        if draft.id:
            self._by_id.setdefault(draft.id, []).append(scope)

    def hold(self, scope: Scope, data: Mapping[str, Any]) -> None:
        """Keep an event that is nobody's (see :meth:`Scope.hold`)."""
        finished = len(scope.payloads)
        scope.hold(data)
        self._holding[scope] = True
        for payload in scope.payloads[finished:]:
            if not payload.mixed:
                self._by_content.setdefault(content_key(payload.target), []).append((scope, payload))

    def knowing(self, namespace: Namespace, message_id: str) -> List[Scope]:
        """The scopes at or below the namespace in which the message is open or held."""
        scopes = self._by_id.get(message_id, ())
        return [scope for scope in scopes if _within(scope, namespace) and scope.known(message_id)]

    def finish(self, scope: Scope, message_id: str) -> None:
        """The message has finished in its scope."""
        scope.close(message_id)
        left = [other for other in self._by_id.pop(message_id, ()) if other is not scope]
        if left:
            self._by_id[message_id] = left

    def close(self, namespace: Namespace, message_id: str) -> None:
        """The message is over, at and below the namespace."""
        left = []
        for scope in self._by_id.pop(message_id, ()):
            if _within(scope, namespace):
                scope.close(message_id)
            else:
                left.append(scope)
        if left:
            self._by_id[message_id] = left

    def matching(self, namespace: Namespace, key: str) -> List[Payload]:
        """The nameless payloads at or below the namespace whose content has this key."""
        return [payload for scope, payload in self._by_content.get(key, ()) if _within(scope, namespace)]

    def spend(self, namespace: Namespace, key: str) -> None:
        """One of the payloads that match has found its message."""
        found = self._by_content.get(key, [])
        place = next((at for at, (scope, _) in enumerate(found) if _within(scope, namespace)), None)
        if place is not None:
            scope, payload = found.pop(place)
            scope.payloads.remove(payload)
            if not found:
                del self._by_content[key]

    def doubt(self, namespace: Namespace) -> None:
        """What was said here and below stays unclaimed, so what is left over in the end proves nothing."""
        self._doubts[namespace] = self._born

    def retire(self, namespace: Namespace, survivors: Mapping[str, Any]) -> bool:
        """A step is over here, and with it all below (see :meth:`Scope.retire`)."""
        scopes = [self.at(namespace)]
        for scope in scopes:
            scopes.extend(scope.children.values())
        given_up = [scope.retire(survivors) for scope in scopes]
        for scope in reversed(scopes):
            if not scope.held:
                self._holding.pop(scope, None)
            scope.children = {segment: child for segment, child in scope.children.items() if not child.over}
        return any(given_up)

    def end(self, namespace: Namespace) -> None:
        """The subgraph of that namespace is over: what is not open there needs no scope any more."""
        parent = self.at(namespace[:-1])
        child = parent.children.get(namespace[-1])
        if child is not None and child.over:
            del parent.children[namespace[-1]]

    def leftovers(self) -> Iterator[Left]:
        """The payloads that elimination gives to the last message held in their scope; each is then closed."""
        for scope in list(self._holding):
            payload = scope.leftover()
            prefixes = (scope.namespace[:depth] for depth in range(len(scope.namespace) + 1))
            if payload and not any(self._doubts.get(prefix, -1) >= scope.born for prefix in prefixes):
                for draft in list(scope.held.values()):
                    scope.close(draft.id or "")
                    yield Left(scope.namespace, draft, payload)


def _within(scope: Scope, namespace: Namespace) -> bool:
    return scope.namespace[: len(namespace)] == namespace
