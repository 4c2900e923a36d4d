"""The thread event protocol, translated into the vocabulary of a run's stream.

Envelopes of ``/threads/{thread_id}/stream/events`` go in, :class:`~lgsync.parts.StreamPart` come out. No socket, no
clock: what arrives is fed, what it means comes back.

That protocol sends block events for what models stream, and nothing for any other message; a message's events name it
only when it begins. So the ``values`` snapshots are compared with what was streamed: what is new there, or different,
is sent as a whole message, as the run stream does when a node returns it.

Budget: 2.5 µs for a delta (:meth:`Translator.continued`); see ``python -m benchmarks --only layers``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ..accumulate import MessageAccumulator
from ..parts import StreamPart
from .attribution import Scope, Scopes, block_of, index_of
from .drafts import Draft, Growth
from .slim import content_key, full, is_ai, messages_in, same

__all__ = ["CHANNELS", "Translator", "root_event", "run_of"]

Message = Dict[str, Any]
Namespace = Tuple[str, ...]

#: What the protocol calls the channel of a stream mode, for the modes that it may have.
CHANNELS = {
    "values": "values",
    "updates": "updates",
    "custom": "custom",
    "tasks": "tasks",
    "checkpoints": "checkpoints",
}

_ROLES = {None: "ai", "assistant": "ai", "user": "human"}


def _params(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    params = envelope.get("params")
    return params if isinstance(params, dict) else {}


def _namespace(params: Mapping[str, Any]) -> Namespace:
    namespace = params.get("namespace")
    return tuple(map(str, namespace)) if namespace and isinstance(namespace, list) else ()


def _id_of(envelope: Mapping[str, Any]) -> Optional[str]:
    event_id = envelope.get("event_id", envelope.get("seq"))
    return None if event_id is None else str(event_id)


def run_of(envelope: Mapping[str, Any]) -> Optional[str]:
    """The run that the event names in its id: only those that the server itself makes up do."""
    event_id = envelope.get("event_id")
    if not isinstance(event_id, str) or not event_id.startswith("synth:"):
        return None
    return event_id.split(":", 2)[1] or None


def root_event(envelope: Mapping[str, Any]) -> Optional[str]:
    """``running``, ``completed``, ``failed`` or ``interrupted`` if the event tells that of the run as a whole."""
    if envelope.get("method") != "lifecycle":
        return None
    params = _params(envelope)
    data = params.get("data")
    if _namespace(params) or not isinstance(data, dict):
        return None
    event = data.get("event")
    return event if event in ("running", "completed", "failed", "interrupted") else None


class _New(NamedTuple):
    """A message that a snapshot shows and that was not said like this before; ``fresh`` if it was not said at all.

    ``key`` stands for the content of a fresh one, as long as there are payloads to compare it with.
    """

    message: Message
    draft: Optional[Draft]
    fresh: bool
    key: str


class _Flow:
    """What the last delta made longer: as long as nothing but such deltas comes, one from the same place does the same.

    ``place`` and ``node`` are as the event had them; ``name`` and ``metadata`` are what its part had.
    """

    # Read for each delta: a named tuple's fields take longer.
    __slots__ = ("growth", "metadata", "name", "node", "place")

    def __init__(self, growth: Growth, place: Any, node: Any, name: str, metadata: Message) -> None:
        self.growth = growth
        self.place = place
        self.node = node
        self.name = name
        self.metadata = metadata


class Translator:
    """Translates the events of one run, from its root ``running`` on.

    ``modes`` are the stream modes asked for; parts of ``values`` and ``updates`` with ``__interrupt__`` come out
    whatever they are. With ``stream_subgraphs`` the parts of subgraphs come out too, their names with ``|namespace``.

    ``ended`` becomes ``"completed"``, ``"failed"`` or ``"interrupted"``, ``failure`` the text of what failed.
    ``run_id`` may be set later than the rest. ``exact`` is False once an AI message came from a snapshot alone (those
    never tell its usage), a partial one was given up, or an event was nested too deeply to be read.
    """

    def __init__(
        self,
        modes: Iterable[str],
        *,
        stream_subgraphs: bool = False,
        thread_id: Optional[str] = None,
        run_id: Optional[str] = None,
    ) -> None:
        self.exact = True
        self.ended: Optional[str] = None
        self.failure: Optional[str] = None
        self._modes = frozenset(modes)
        self._in_tuples = "messages-tuple" in self._modes
        self._subgraphs = stream_subgraphs
        self._thread_id = thread_id
        self.run_id = run_id
        self._snapshots = MessageAccumulator()
        self._announced: Dict[str, bool] = {}
        self._scopes = Scopes()
        self._shown: Dict[str, Message] = {}
        self._unseen: Dict[str, Message] = {}
        self._interrupts: Dict[str, Tuple[Namespace, Message]] = {}
        self._told_values: Optional[Mapping[str, Any]] = None
        self._event_id: Optional[str] = None
        self._count = 0
        self._flow: Optional[_Flow] = None

    def feed(self, envelope: Mapping[str, Any]) -> List[StreamPart]:
        """The parts that one event comes to, each with an id to go on from (see :meth:`numbered`)."""
        part = self.continued(envelope)
        if part is not None:
            return [part]
        params = _params(envelope)
        self._flow = None
        self._event_id, self._count = _id_of(envelope), 0
        try:
            parts = self._parts(envelope.get("method"), _namespace(params), params)
        except RecursionError:
            # Nested more deeply than Python can follow: what it says, the thread's state has to tell.
            parts, self.exact = [], False
        return self.numbered(parts, last=True)

    def finish(self, interrupts: Iterable[Mapping[str, Any]] = ()) -> List[StreamPart]:
        """The run is over: what can still be said for certain, and those of its ``interrupts`` not shown yet."""
        parts: List[StreamPart] = []
        for interrupt in interrupts:
            parts += self._interrupt((), interrupt.get("id"), interrupt.get("value"))
        for namespace, draft, payload in self._scopes.leftovers():
            parts += self._say(namespace, draft.settle({**payload.target, "id": draft.id}), draft)
        if self._interrupts and self._told_values is not None and "__interrupt__" not in self._told_values:
            parts.append(self._values_part((), self._told_values))
        return self.numbered(parts, last=False)

    def numbered(self, parts: List[StreamPart], *, last: bool) -> List[StreamPart]:
        """Give the parts of the event at hand their ids: the event's own to its last, ``event#n`` to those before."""
        named = []
        for part in parts:
            part_id = None if self._event_id is None else f"{self._event_id}#{self._count}"
            self._count += 1
            named.append(part._replace(id=part_id))
        if named and last:
            named[-1] = named[-1]._replace(id=self._event_id)
        return named

    def _parts(self, method: Any, namespace: Namespace, params: Mapping[str, Any]) -> List[StreamPart]:
        data = params.get("data")
        node = params.get("node") if isinstance(params.get("node"), str) else None
        if method == "messages" and isinstance(data, dict):
            return self._block_event(namespace, data, node)
        if method == "values":
            return [*self._interrupts_beside(namespace, params), *self._values(namespace, data)]
        if method in ("input.requested", "input") and isinstance(data, dict):
            return self._interrupt(namespace, data.get("interrupt_id"), data.get("payload"))
        if method == "lifecycle" and isinstance(data, dict):
            # Joins of the run-stream API tell those of subgraphs at the root, with their namespace among the data.
            place = namespace or _namespace(data)
            return self._ended_below(place, data) if place else self._lifecycle(data)
        if isinstance(method, str) and method in self._modes and self._visible(namespace):
            if method == "updates" and isinstance(data, dict):
                self._note_updates(data)
            return [StreamPart(_named(method, namespace), _plain(method, data, node))]
        return []

    def continued(self, envelope: Mapping[str, Any]) -> Optional[StreamPart]:
        """The part of a delta that goes on with a message: what nearly every event is, and the same in fewer steps.

        None for any other event; nothing has changed then.
        """
        params = envelope.get("params")
        if type(params) is not dict or envelope.get("method") != "messages":
            return None
        data, flow = params.get("data"), self._flow
        if type(data) is not dict or data.get("event") != "content-block-delta":
            return None
        # With its index and its delta it says no more: not of which message it is, either.
        nameless = len(data) == 3
        if flow is None or not nameless or params.get("namespace") != flow.place or params.get("node") != flow.node:
            flow = self._found(params, data)
        chunk = None if flow is None else flow.growth.chunk(data)
        if flow is None or chunk is None:
            return None
        event_id = envelope.get("event_id")
        event_id = self._event_id = event_id if type(event_id) is str else _id_of(envelope)
        self._count = 1
        self._flow = flow if nameless else None
        # The constructor of a named tuple takes twice as long.
        return tuple.__new__(StreamPart, (flow.name, [chunk, flow.metadata.copy()], event_id))

    def _found(self, params: Mapping[str, Any], data: Mapping[str, Any]) -> Optional[_Flow]:
        """What a delta makes longer, if it does nothing else."""
        namespace, node = _namespace(params), params.get("node")
        if not self._in_tuples or not self._visible(namespace):
            return None
        draft = self._scopes.at(namespace).owner(data, node if isinstance(node, str) else None)
        growth = None if draft is None else draft.growth(data.get("index"))
        if draft is None or growth is None:
            return None
        metadata = self._metadata(namespace, draft.node)
        return _Flow(growth, [*namespace], node, _named("messages", namespace), metadata)

    def _visible(self, namespace: Namespace) -> bool:
        return self._subgraphs or not namespace

    # ------------------------------------------------------------------ lifecycle and interrupts

    def _lifecycle(self, data: Mapping[str, Any]) -> List[StreamPart]:
        event = data.get("event")
        if event == "running":
            return [StreamPart("metadata", {"run_id": self.run_id, "attempt": 1})]
        if event in ("completed", "failed", "interrupted"):
            self.ended = str(event)
            error = data.get("error")
            self.failure = None if error is None else str(error)
        return []

    def _ended_below(self, namespace: Namespace, data: Mapping[str, Any]) -> List[StreamPart]:
        if data.get("event") in ("completed", "failed"):
            self._scopes.end(namespace)
        return []

    def _interrupts_beside(self, namespace: Namespace, params: Mapping[str, Any]) -> List[StreamPart]:
        """Those that come with a snapshot, where no event of their own tells them."""
        beside = params.get("interrupts")
        interrupts = [each for each in beside if isinstance(each, dict)] if isinstance(beside, list) else []
        return [part for each in interrupts for part in self._interrupt(namespace, each.get("id"), each.get("value"))]

    def _interrupt(self, namespace: Namespace, interrupt_id: Any, value: Any) -> List[StreamPart]:
        if not isinstance(interrupt_id, str) or interrupt_id in self._interrupts:
            return []
        entry = {"value": value, "id": interrupt_id}
        self._interrupts[interrupt_id] = (namespace, entry)
        places = [namespace, ()] if namespace and self._subgraphs else [()]
        return [StreamPart(_named("updates", place), {"__interrupt__": [entry]}) for place in places]

    # ------------------------------------------------------------------ snapshots of the state

    def _values(self, namespace: Namespace, data: Any) -> List[StreamPart]:
        if not self._visible(namespace):
            return []
        scope = self._scopes.at(namespace)
        # The first snapshot of a graph is its input, unless messages were seen before it.
        seed = not scope.seen_values and not scope.seen_messages
        scope.seen_values = True
        latest = {message["id"]: message for message in messages_in(data) if isinstance(message.get("id"), str)}
        parts = self._seed(namespace, latest) if seed else self._news(namespace, scope, latest)
        scope.latest = latest
        # A snapshot that comes with an interrupt is taken in the middle of a step; any other ends one.
        given_up = not self._interrupts and self._scopes.retire(namespace, latest)
        if given_up and "messages" in self._modes:
            # A partial message cannot say that it will stay one; the thread's state tells.
            self.exact = False
        return [*parts, self._values_part(namespace, data)]

    def _note_updates(self, data: Mapping[str, Any]) -> None:
        """Updates are slimmed like snapshots: what they show first, they do not show whole."""
        written = [message for value in (data, *data.values()) for message in messages_in(value)]
        slim = [message for message in written if is_ai(message) and "usage_metadata" not in message]
        if any(message.get("id") not in self._shown for message in slim):
            self.exact = False

    def _values_part(self, namespace: Namespace, data: Any) -> StreamPart:
        entries = [entry for place, entry in self._interrupts.values() if place[: len(namespace)] == namespace]
        if entries and isinstance(data, dict):
            data = {**data, "__interrupt__": entries}
        if not namespace and isinstance(data, dict):
            self._told_values = data
        return StreamPart(_named("values", namespace), data)

    def _seed(self, namespace: Namespace, latest: Mapping[str, Message]) -> List[StreamPart]:
        if not namespace:
            self._shown.update({key: message for key, message in latest.items() if key not in self._shown})
        return []

    def _news(self, namespace: Namespace, scope: Scope, latest: Mapping[str, Message]) -> List[StreamPart]:
        found: List[_New] = []
        keyed = self._scopes.has_payloads
        for message_id, message in latest.items():
            knowing = self._scopes.knowing(namespace, message_id)
            draft = knowing[0].known(message_id) if knowing else None
            shown = self._shown.get(message_id)
            before = scope.latest.get(message_id, shown)
            if draft is None and shown is not None and before is shown and same(shown, message):
                # One of two that say the same is enough to keep: they may be long.
                self._shown[message_id] = message
                continue
            if draft is not None or not ((before and same(before, message)) or (shown and same(shown, message))):
                key = content_key(message) if keyed and shown is None else ""
                found.append(_New(message, draft, shown is None, key))
        twins = Counter(new.key for new in found if new.fresh)
        parts: List[StreamPart] = []
        for new in found:
            parts += self._complete(namespace, new, twins)
        for new in found:
            if new.fresh:
                # One payload is spent on each, now that all have been compared.
                self._scopes.spend(namespace, new.key)
        return parts

    def _complete(self, namespace: Namespace, new: _New, twins: Mapping[str, int]) -> List[StreamPart]:
        message = self._restored(namespace, new, twins)
        self._shown[new.message["id"]] = message
        knowing = self._scopes.knowing(namespace, new.message["id"])
        seen = any(self._visible(scope.namespace) for scope in knowing)
        self._scopes.close(namespace, new.message["id"])
        settled = new.draft.settle(message) if new.draft is not None and seen else [message]
        return self._say(namespace, settled, new.draft)

    def _restored(self, namespace: Namespace, new: _New, twins: Mapping[str, int]) -> Message:
        """The whole message, with what the stream said of it and the snapshot leaves out, where that is certain."""
        slim = new.message
        unseen = self._unseen.get(slim["id"])
        if unseen and same(unseen, slim):
            return unseen
        message = full(slim)
        if not is_ai(slim) or "usage_metadata" in slim:
            return message
        # A message that a node rewrote may have lost its usage too, or not.
        payload = self._payload(namespace, new.key, twins) if new.fresh else None
        if payload is None:
            self.exact = False
            return message
        return {**message, **payload}

    def _payload(self, namespace: Namespace, key: str, twins: Mapping[str, int]) -> Optional[Message]:
        """Usage and extras from the nameless payloads that say the same, if they agree and are enough for all."""
        matches = self._scopes.matching(namespace, key)
        fields = ("usage_metadata", "additional_kwargs")
        said = [{field: payload.target.get(field) for field in fields} for payload in matches]
        if not said or twins[key] > len(matches) or any(each != said[0] for each in said):
            self._scopes.doubt(namespace)
            return None
        return said[0]

    # ------------------------------------------------------------------ messages as they are streamed

    def _block_event(self, namespace: Namespace, data: Mapping[str, Any], node: Optional[str]) -> List[StreamPart]:
        scope = self._scopes.at(namespace)
        scope.seen_messages = True
        kind = data.get("event")
        if kind == "message-start":
            self._start(scope, data, node)
            return []
        draft = scope.owner(data, node) or self._late_start(scope, data, node)
        if draft is None:
            self._scopes.hold(scope, data)
            return []
        said = _fed(draft, data)
        if kind in ("message-finish", "error"):
            self._scopes.finish(scope, draft.id or "")
        if kind == "message-finish" and draft.target is not None and draft.id:
            (self._shown if self._visible(namespace) else self._unseen)[draft.id] = draft.target
        return self._say(namespace, said, draft)

    def _start(self, scope: Scope, data: Mapping[str, Any], node: Optional[str]) -> None:
        message_id, role, call_id = data.get("id"), data.get("role"), data.get("tool_call_id")
        metadata, run_id = data.get("metadata"), data.get("run_id")
        draft = Draft(
            message_id if isinstance(message_id, str) else None,
            role=_ROLES.get(role, str(role)) if isinstance(role, str) or role is None else "ai",
            metadata=metadata if isinstance(metadata, dict) else None,
            run_id=run_id if isinstance(run_id, str) else None,
            node=node,
            tool_call_id=call_id if isinstance(call_id, str) else None,
        )
        self._scopes.start(scope, draft)

    def _late_start(self, scope: Scope, data: Mapping[str, Any], node: Optional[str]) -> Optional[Draft]:
        """A message whose start was missed, if its events name it all the same."""
        message_id = data.get("message_id") or data.get("id")
        if not isinstance(message_id, str) or scope.known(message_id) or message_id in self._shown:
            return None
        self._start(scope, {**data, "id": message_id}, node)
        return scope.known(message_id)

    def _say(self, namespace: Namespace, messages: List[Message], draft: Optional[Draft]) -> List[StreamPart]:
        # The mirror of a tool's result has an id of its own; the state has the real message.
        mirror = draft is not None and draft.role == "tool" and str(draft.id).startswith("tool-")
        if mirror or not self._visible(namespace):
            return []
        parts = []
        for message in messages:
            metadata = self._metadata(namespace, draft.node if draft else None)
            if self._in_tuples:
                parts.append(StreamPart(_named("messages", namespace), [message, metadata]))
            elif "messages" in self._modes:
                parts += self._snapshot(namespace, message, metadata)
        return parts

    def _metadata(self, namespace: Namespace, node: Optional[str]) -> Message:
        metadata: Message = {"run_id": self.run_id, "thread_id": self._thread_id}
        if node is not None:
            metadata["langgraph_node"] = node
        if namespace:
            # The last segment stands for the task, which the protocol does not tell.
            metadata["langgraph_checkpoint_ns"] = "|".join((*namespace, node or ""))
        return metadata

    def _snapshot(self, namespace: Namespace, message: Message, metadata: Message) -> List[StreamPart]:
        """What ``stream_mode="messages"`` sends: who it is, once, then all of it so far."""
        parts = []
        message_id = str(message.get("id"))
        if message_id not in self._announced:
            self._announced[message_id] = True
            parts.append(StreamPart("messages/metadata", {message_id: {"metadata": metadata}}))
        grown = self._snapshots.feed(StreamPart(_named("messages", namespace), [message, metadata]))
        if not str(message.get("type")).endswith("Chunk"):
            return [*parts, StreamPart("messages/complete", [message])]
        return [*parts, *(StreamPart("messages/partial", [snapshot.to_dict()]) for snapshot in grown[-1:])]


def _fed(draft: Draft, data: Mapping[str, Any]) -> List[Message]:
    kind = data.get("event")
    if kind == "content-block-start":
        return draft.begin_block(index_of(data), block_of(data))
    if kind == "content-block-delta":
        return draft.delta(index_of(data), _delta(data))
    if kind == "content-block-finish":
        return draft.end_block(index_of(data), block_of(data))
    return draft.finish(data) if kind == "message-finish" else []


def _delta(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The delta, or the fragment of a block that servers sent before there were deltas."""
    for key in ("delta", "content_block", "content"):
        if isinstance(data.get(key), dict):
            found: Mapping[str, Any] = data[key]
            return found
    text = data.get("content")
    return {"type": "text", "text": text} if isinstance(text, str) else {}


def _named(kind: str, namespace: Namespace) -> str:
    return "|".join((kind, *namespace)) if namespace else kind


def _plain(method: str, data: Any, node: Optional[str]) -> Any:
    """The data as a run's stream has it: updates by node, custom values without their envelope."""
    if method == "updates" and isinstance(data, dict):
        if set(data) <= {"node", "values"} and "values" in data:
            return {str(data.get("node", node)): data["values"]}
        return data if node is None else {node: data}
    if method == "custom" and isinstance(data, dict) and set(data) in ({"payload"}, {"name", "payload"}):
        return data["payload"]
    return data
