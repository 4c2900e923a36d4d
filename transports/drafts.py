"""One message in the making: its block events in, chunks of it (or, at the end, the whole of it) out.

The chunks have the shape of LangChain's ``AIMessageChunk`` dicts as ``stream_mode="messages-tuple"`` sends them, such
that LangChain's own left fold over them gives the message that the run stores. Where no chunk can lead there (a block
was replaced rather than continued), the whole message is given instead.

Budget: 1 µs for a delta (:meth:`Growth.chunk`); see ``python -m benchmarks --only layers``.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Tuple

__all__ = ["Draft", "Growth"]

Block = Dict[str, Any]
Message = Dict[str, Any]

#: The field of a block that grows, by the block's type.
_GROWING = {"text": "text", "reasoning": "reasoning", "tool_call_chunk": "args", "server_tool_call_chunk": "args"}

#: The type of the delta that makes a block longer, by the block's type.
_DELTA_OF = {
    "text": "text-delta",
    "reasoning": "reasoning-delta",
    "tool_call_chunk": "tool-call-delta",
    "server_tool_call_chunk": "tool-call-delta",
}

_FINAL_OF = {"tool_call_chunk": "tool_call", "server_tool_call_chunk": "server_tool_call"}
_CHUNK_OF = {final: chunk for chunk, final in _FINAL_OF.items()}


# As many pieces of a text are kept one by one: a short string takes ten times the memory of its characters.
_MAX_PIECES = 1024


class _Told:
    """One block as its deltas tell it. What grows is kept in pieces, so that a long text costs what it weighs.

    ``growing`` names the field that grows, and ``delta`` the type of the deltas that do nothing but make it longer.
    """

    __slots__ = ("_fields", "_pieces", "_texts", "delta", "growing", "type")

    def __init__(self, block: Block) -> None:
        self.type = _kind(block)
        self.growing = _GROWING.get(self.type, "")
        # Where a block has no index yet, the next delta gives it one.
        self.delta = None if block.get("index") is None else _DELTA_OF.get(self.type)
        self._fields: Block = {}
        self._texts: List[str] = []
        self._pieces: List[str] = []
        self.merge(block)

    def grow(self, piece: str) -> None:
        """Add to what grows."""
        self._pieces.append(piece)
        if len(self._pieces) == _MAX_PIECES:
            self._texts.append("".join(self._pieces))
            self._pieces.clear()

    def merge(self, block: Block) -> None:
        """Merge one more chunk of the block, as LangChain's fold does."""
        for key, value in block.items():
            before = self._fields.get(key)
            if key == self.growing and isinstance(value, str):
                self.grow(value)
            elif before is None:
                self._fields[key] = value
            elif key not in ("type", "index") and isinstance(value, str) and isinstance(before, str):
                self._fields[key] = before + value

    def news_of(self, block: Block) -> Block:
        """What of a fragment is not known yet: servers may repeat the id and the name with each."""
        known = ("type", "index", self.growing)
        return {key: value for key, value in block.items() if key in known or self._fields.get(key) is None}

    def value(self) -> Block:
        if not self.growing:
            return dict(self._fields)
        text = "".join((*self._texts, *self._pieces))
        self._texts, self._pieces = [text], []
        return {**self._fields, self.growing: text}


def _kind(block: Mapping[str, Any]) -> str:
    """A block's type, whatever a server may have put there."""
    return str(block.get("type", ""))


def _parsed(args: Any) -> Any:
    """Arguments as the server reads them at the end: strictly; None if they are not JSON."""
    if not isinstance(args, str):
        return args
    try:
        return json.loads(args) if args else {}
    except ValueError:
        return None


def _rest(told: Block, wanted: Block) -> Optional[Block]:
    """What merged onto ``told`` gives ``wanted``; None if no merging does."""
    rest: Block = {}
    for key, value in wanted.items():
        before = told.get(key)
        if key == "type" or value == before:
            continue
        if before is None:
            rest[key] = value
        elif (
            isinstance(value, str)
            and isinstance(before, str)
            and value.startswith(before)
            and (not before or key not in ("id", "index"))
        ):
            rest[key] = value[len(before) :]
        else:
            return None
    return rest


def _final(block: Block, index: int, told: Block) -> Block:
    """A finished block as the run stores it: calls lose their index, everything else has one."""
    kind = _kind(block)
    if kind in ("tool_call", "invalid_tool_call"):
        plain = {key: value for key, value in block.items() if key != "index"}
        return {"id": "", "name": "", "args": {}, **plain} if kind == "tool_call" else plain
    growing = _GROWING.get(kind, "")
    if growing and not block.get(growing) and told.get(growing):
        # An empty finish is no replacement: the deltas stand.
        block = {**block, growing: told[growing]}
    return {**block, "index": block.get("index", index)}


def _chunk_form(final: Block, index: int, told: Block) -> Optional[Block]:
    """The block whose merging leads to ``final``; None if there is none."""
    kind = _kind(final)
    if kind == "invalid_tool_call":
        return None
    if kind not in _CHUNK_OF or (not told and kind == "server_tool_call"):
        return final
    args = told.get("args")
    if not (args and _parsed(args) == final.get("args")):
        args = json.dumps(final.get("args"), ensure_ascii=False)
    return {**final, "type": _CHUNK_OF[kind], "args": args, "index": final.get("index", index)}


class Draft:
    """A message being written: feed it the block events that are its own.

    ``target`` is the whole message once it has finished. ``touched`` says whether any chunk came of it.
    """

    def __init__(
        self,
        message_id: Optional[str],
        *,
        role: str = "ai",
        metadata: Optional[Mapping[str, Any]] = None,
        run_id: Optional[str] = None,
        node: Optional[str] = None,
        tool_call_id: Optional[str] = None,
    ) -> None:
        self.id = message_id
        self.role = role
        self.run_id = run_id
        self.node = node
        self.target: Optional[Message] = None
        self._start = metadata or {}
        self._tool_call_id = tool_call_id
        self._told: Dict[int, _Told] = {}
        self._finals: Dict[int, Block] = {}
        self._frozen: Dict[int, bool] = {}

    @property
    def touched(self) -> bool:
        return bool(self._told)

    def begin_block(self, index: int, block: Block) -> List[Message]:
        """``content-block-start``: only a tool call says something with it (its id and its name)."""
        if _kind(block) in _FINAL_OF:
            return self._say(index, {**block, "args": block.get("args") or "", "index": index})
        growing = _GROWING.get(_kind(block), "")
        if growing and block.get(growing):
            return self._say(index, {**block, "index": index})
        return []

    def delta(self, index: int, delta: Mapping[str, Any]) -> List[Message]:
        """``content-block-delta``, in any of the forms that servers have used; unknown ones are left to the finish."""
        kind = _kind(delta)
        if kind in ("text-delta", "text"):
            return self._grow(index, "text", delta.get("text"))
        if kind in ("reasoning-delta", "reasoning"):
            return self._grow(index, "reasoning", delta.get("reasoning"))
        if kind == "tool-call-delta":
            told = self._told.get(index)
            return self._grow(index, told.type, delta.get("args")) if told and told.growing == "args" else []
        if kind in _FINAL_OF:
            fragment = {**delta, "args": delta.get("args") or "", "index": index}
            return self._say(index, self._told[index].news_of(fragment) if index in self._told else fragment)
        fields = delta.get("fields")
        if kind == "block-delta" and isinstance(fields, dict):
            return self._snapshot(index, {**fields, "index": index})
        return []

    def growth(self, index: Any) -> Optional[Growth]:
        """The growth of a block that was begun, if a delta can but make it longer."""
        told = self._told.get(index) if type(index) is int else None
        if told is None or told.delta is None or index in self._frozen or self.role != "ai":
            return None
        return Growth(self.id, index, told)

    def end_block(self, index: int, block: Block) -> List[Message]:
        """``content-block-finish``: has the last word on the block; what the deltas did not say follows as a chunk."""
        told = self._told[index].value() if index in self._told else {}
        final = _final(block, index, told)
        self._finals[index] = final
        wanted = _chunk_form(final, index, told)
        if wanted is None or (told and told.get("type") != wanted.get("type")):
            self._frozen[index] = True
            return []
        return self._snapshot(index, wanted)

    def finish(self, data: Mapping[str, Any]) -> List[Message]:
        """``message-finish``: the last chunk, or the whole message if the chunks so far do not lead to it."""
        metadata = data.get("metadata", data.get("responseMetadata"))
        usage, extra = data.get("usage"), data.get("additional_kwargs")
        self.target = self._assembled(
            usage if isinstance(usage, dict) else None,
            metadata if isinstance(metadata, dict) else {},
            extra if isinstance(extra, dict) else {},
        )
        return self._closing(self.target)

    def settle(self, message: Message) -> List[Message]:
        """Close with what the state says of this message: as chunks if they continue what was said, else whole."""
        self.target = message
        content = message.get("content")
        if not self.touched or not isinstance(content, list) or message.get("type") != "ai":
            return [message]
        chunks: List[Message] = []
        for index, block in enumerate(content):
            if not isinstance(block, dict):
                return [message]
            at = block.get("index")
            chunks += self.end_block(at if isinstance(at, int) else index, block)
        closing = self._closing(message)
        return closing if closing == [message] else chunks + closing

    def _grow(self, index: int, kind: str, text: Any) -> List[Message]:
        if not isinstance(text, str) or not text:
            return []
        return self._say(index, {"type": kind, _GROWING[kind]: text, "index": index})

    def _say(self, index: int, block: Block) -> List[Message]:
        """Put one chunk of a block into words, unless it cannot be merged onto what was said of it."""
        told = self._told.get(index)
        if self._frozen.get(index) or (told and told.type != _kind(block)):
            self._frozen[index] = True
            return []
        if told:
            told.merge(block)
        else:
            self._told[index] = _Told(block)
        # What no model wrote is not streamed, here as in the run stream.
        return [_chunk(self.id, [block], _call_chunks(block))] if self.role == "ai" else []

    def _snapshot(self, index: int, wanted: Block) -> List[Message]:
        """Say what is missing of a block that came as a whole."""
        if index not in self._told:
            return self._say(index, wanted)
        told = self._told[index].value()
        rest = _rest(told, wanted)
        if rest is None:
            self._frozen[index] = True
            return []
        return self._say(index, {"type": told.get("type"), **rest, "index": told.get("index")}) if rest else []

    def _closing(self, target: Message) -> List[Message]:
        folded = self._folded()
        if target.get("type") != "ai" or folded != (target["content"], target["tool_calls"]):
            return [target]
        if target["invalid_tool_calls"] or target["name"]:
            return [target]
        last = {
            **_chunk(self.id, "", []),
            "additional_kwargs": target.get("additional_kwargs") or {},
            "response_metadata": {**target["response_metadata"], "output_version": "v1"},
            "usage_metadata": target.get("usage_metadata"),
            "chunk_position": "last",
        }
        return [last]

    def _folded(self) -> Optional[Tuple[Any, List[Block]]]:
        """The content and the tool calls that LangChain's fold of all chunks gives; None if it gives neither."""
        content: List[Block] = []
        calls: List[Block] = []
        for told in self._told.values():
            block = told.value()
            if told.type in _FINAL_OF:
                args = _parsed(block.get("args"))
                if not isinstance(args, dict) or not block.get("id"):
                    return None
                block = {**block, "type": _FINAL_OF[told.type], "args": args}
            if told.type == "tool_call_chunk":
                call = {"name": block.get("name") or "", "args": block["args"], "id": block["id"], "type": "tool_call"}
                calls.append(call)
                block = {**call, "extras": block["extras"]} if "extras" in block else call
            content.append(block)
        if len({str(call["id"]) for call in calls}) < len(calls) or not self._apart():
            return None
        return content or "", calls

    def _apart(self) -> bool:
        """Whether the fold keeps the blocks apart: it knows them by index, which providers set as they like."""
        indexes = [told.value().get("index") for told in self._told.values()]
        return all(isinstance(index, int) for index in indexes) and len(set(indexes)) == len(indexes)

    def _stored(self) -> Any:
        """The content as the run stores it: finished blocks in their order, or bare text if none finished."""
        finals = dict(self._finals)
        for index, told in self._told.items():
            if index not in finals and told.type in _FINAL_OF:
                finals[index] = _swept(told)
        if finals:
            return [finals[index] for index in sorted(finals)]
        return "".join(told.value()["text"] for told in self._told.values() if told.type == "text")

    def _assembled(self, usage: Optional[Block], metadata: Block, additional_kwargs: Block) -> Message:
        content = self._stored()
        if self.role != "ai":
            return self._plain(content)
        blocks = content if isinstance(content, list) else []
        names = (("model_provider", "provider"), ("model_name", "model"))
        start = {name: self._start[key] for name, key in names if key in self._start}
        return {
            "content": content,
            "additional_kwargs": additional_kwargs,
            "response_metadata": {**start, **metadata, "output_version": "v1"},
            "type": "ai",
            "name": None,
            "id": self.id,
            "tool_calls": [
                {"name": block["name"], "args": block["args"], "id": block["id"], "type": "tool_call"}
                for block in blocks
                if block.get("type") == "tool_call"
            ],
            "invalid_tool_calls": [
                {
                    "name": block.get("name") or None,
                    "args": block.get("args") or None,
                    "id": block.get("id") or None,
                    "error": block.get("error"),
                    "type": "invalid_tool_call",
                }
                for block in blocks
                if block.get("type") == "invalid_tool_call"
            ],
            "usage_metadata": usage,
        }

    def _plain(self, content: Any) -> Message:
        """A message that no model wrote: a lone text is stored as a string."""
        if isinstance(content, list) and len(content) == 1 and content[0].get("type") == "text":
            content = content[0].get("text", "")
        message = {
            "content": content,
            "additional_kwargs": {},
            "response_metadata": {},
            "type": self.role,
            "name": None,
            "id": self.id,
        }
        if self.role == "tool":
            message.update(tool_call_id=self._tool_call_id, artifact=None, status="success")
        return message


class Growth:
    """One block of a message, as one delta after the other makes it longer: what nearly all events do.

    It holds as long as nothing else is said of the message.
    """

    __slots__ = ("_id", "_index", "_told")

    def __init__(self, message_id: Optional[str], index: int, told: _Told) -> None:
        self._id = message_id
        self._index = index
        self._told = told

    def chunk(self, data: Mapping[str, Any]) -> Optional[Message]:
        """The chunk of a ``content-block-delta`` that makes the block longer.

        None if the event may say anything else; nothing has changed then.
        """
        told, index, delta = self._told, data.get("index"), data.get("delta")
        if index != self._index or type(index) is not int or type(delta) is not dict:
            return None
        growing = told.growing
        piece = delta.get(growing)
        if type(piece) is not str or not piece or delta.get("type") != told.delta:
            return None
        told.grow(piece)
        block = {"type": told.type, growing: piece, "index": index}
        return _chunk(self._id, [block], _call_chunks(block) if growing == "args" else [])


def _chunk(message_id: Optional[str], content: Any, calls: List[Block]) -> Message:
    return {
        "content": content,
        "additional_kwargs": {},
        "response_metadata": {},
        "type": "AIMessageChunk",
        "name": None,
        "id": message_id,
        "tool_calls": [],
        "invalid_tool_calls": [],
        "usage_metadata": None,
        "tool_call_chunks": calls,
        "chunk_position": None,
    }


def _call_chunks(block: Block) -> List[Block]:
    if block.get("type") != "tool_call_chunk" or not any(block.get(key) is not None for key in ("args", "id", "name")):
        return []
    # The wire's index, not the provider's: it is the one that no two calls of a message share.
    return [
        {
            "name": block.get("name"),
            "args": block.get("args") or "",
            "id": block.get("id"),
            "index": block.get("index"),
            "type": "tool_call_chunk",
        }
    ]


def _swept(told: _Told) -> Block:
    """A call that never finished, as the run stores it."""
    block = {key: value for key, value in told.value().items() if key != "index"}
    args = _parsed(block.get("args"))
    if isinstance(args, dict):
        return {"id": None, "name": "", **block, "type": _FINAL_OF[told.type], "args": args}
    error = "Failed to parse tool call arguments as JSON"
    return {**block, "type": "invalid_tool_call", "error": error}
