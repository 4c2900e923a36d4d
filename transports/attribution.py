"""Whose block event is it? The event protocol does not say once a message has begun; this module never guesses.

One :class:`Scope` per namespace knows the messages that are open there. An event is a message's own if the event says
so (by run, message or node), or if no other message is open. Otherwise it is nobody's: every open message is *held*
(nothing more is said of it until a snapshot of the state shows it), and what finishes is kept as nameless payloads.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from .drafts import Draft

__all__ = ["Payload", "Scope", "block_of", "index_of"]

Message = Dict[str, Any]


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

    def __init__(self) -> None:
        self.latest: Dict[str, Message] = {}
        self.seen_values = False
        self.seen_messages = False
        self.held: Dict[str, Draft] = {}
        self.payloads: List[Payload] = []
        self.certain = True
        self._open: Dict[str, Draft] = {}
        self._blocks: List[Mapping[str, Any]] = []
        self._finished = 0

    def start(self, draft: Draft) -> None:
        """A message begins."""
        if draft.id:
            self._open[draft.id] = draft

    def known(self, message_id: str) -> Optional[Draft]:
        """The message of that id, while it is open or held."""
        return self._open.get(message_id) or self.held.get(message_id)

    def close(self, message_id: str) -> None:
        """The message is over, whatever its events say from now on."""
        self._open.pop(message_id, None)
        self.held.pop(message_id, None)

    def owner(self, data: Mapping[str, Any], node: Optional[str]) -> Optional[Draft]:
        """The one message that the event belongs to; None if that is not certain."""
        draft = self._named(data, node)
        return None if draft is None or draft.id in self.held else draft

    def hold(self, data: Mapping[str, Any]) -> None:
        """Keep an event that is nobody's: its deltas are lost on purpose, what it finishes is not."""
        if not self._open:
            self.certain = False
        for message_id, draft in self._open.items():
            self.held[message_id] = draft
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
        self._blocks = []
        self._finished = 0
        return bool(left)

    def matching(self, says_the_same: Callable[[Message], bool]) -> List[Payload]:
        """The nameless payloads whose message says the same."""
        return [payload for payload in self.payloads if not payload.mixed and says_the_same(payload.target)]

    def leftover(self) -> Optional[Payload]:
        """The payload of the one held message, if elimination leaves no doubt."""
        alone = len(self.held) == 1 == len(self.payloads) and not self.payloads[0].mixed
        return self.payloads[0] if self.certain and alone else None

    def _named(self, data: Mapping[str, Any], node: Optional[str]) -> Optional[Draft]:
        drafts = list(self._open.values())
        message_id = data.get("message_id") or data.get("id")
        if isinstance(message_id, str):
            return self._open.get(message_id)
        run_id = data.get("run_id")
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
