"""One streamed message, folded from its chunks as langchain-core folds them (``add_ai_message_chunks``), linearly.

``Fold`` takes the chunks of one id, one by one, and can tell what the message was after any number of them. Nothing
is copied when a chunk arrives; nothing that was told before changes.

``add`` says what a chunk means. ``add_usual`` does the same sooner for nearly all chunks of a stream, and is what a
token costs, with what leads to it: ``MessageAccumulator.feed``, ``StreamReader.on_tuple``, ``Track.take_usual``,
``Text.append``. The budget, on the machine of benchmarks/RESULTS.md: 2 µs of CPU to feed a piece of text, 0.5 µs to
read its delta, 4 µs to feed a piece of a block or a call. ``python -m benchmarks --only layers`` measures the first;
tests/unit/test_accumulate_cost.py counts the steps of all.
"""

from __future__ import annotations

import json
from operator import itemgetter
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from .blocks import message_type
from .content import Content, Said
from .delta import Delta, delta_of
from .history import Cell, Series, Table
from .merge import SAME_IF_EQUAL, Journal, add_usage, merge_element, merge_into, target_of
from .partial_json import PartialJSON, repaired
from .tips import Tip, tip_for

__all__ = ["Calls", "Fold", "is_chunk", "is_empty"]

#: The calls whose arguments can be read, and those whose arguments cannot.
Calls = Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]

_CALL_KEYS = ("name", "args", "id", "index")
_FIELDS = ("name", "tool_call_id", "role", "status", "artifact")

# What may bring more than content and pieces of calls, and how that is when it does not.
_news_of = itemgetter(
    *("additional_kwargs", "response_metadata", "usage_metadata", "chunk_position"),
    *("name", "tool_calls", "invalid_tool_calls"),
)


def _no_news_beside(metadata: Dict[str, str]) -> Tuple[Any, ...]:
    return ({}, metadata, None, None, None, [], [])


_NO_NEWS = _no_news_beside({})


def is_chunk(message: Mapping[str, Any]) -> bool:
    """Whether this is a piece of a message. JavaScript servers name pieces as whole ones, but send call chunks."""
    kind = message.get("type")
    return (isinstance(kind, str) and kind.endswith("Chunk")) or "tool_call_chunks" in message


def is_empty(message: Mapping[str, Any]) -> bool:
    """Whether a message says nothing: such a one never opens a message."""
    return not (
        message.get("content")
        or message.get("tool_call_chunks")
        or message.get("tool_calls")
        or message.get("invalid_tool_calls")
        or message.get("usage_metadata")
        or message.get("response_metadata")
        or message.get("additional_kwargs")
    )


class Fold:
    """The chunks of one message so far. ``version`` counts them; every reader is told the version to read at."""

    __slots__ = (
        "_call_tip",
        "_calls",
        "_content",
        "_fields",
        "_journal",
        "_kwargs",
        "_metadata",
        "_no_news",
        "_readers",
        "_usage",
        "last",
    )

    def __init__(self) -> None:
        self._journal = Journal()
        self._content: Optional[Content] = None
        self._kwargs = Table(0, {})
        self._metadata = Table(0, {})
        self._no_news = _NO_NEWS
        self._calls = Series(0)
        self._call_tip: Optional[Tip] = None
        self._usage = Cell(0, None)
        self._fields = Table(0, {})
        self._readers: Dict[int, _ArgsReader] = {}
        #: Whether the chunk came that says it is the last.
        self.last = False

    @property
    def version(self) -> int:
        return self._journal.version

    @property
    def conflicts(self) -> Tuple[str, ...]:
        """What did not fit together so far, in words."""
        return self._journal.conflicts

    def add(self, chunk: Mapping[str, Any]) -> Tuple[Delta, bool]:
        """Fold one more chunk in; gives what it added, and whether it changed anything at all."""
        journal = self._journal
        journal.version += 1
        journal.changed = False
        self._call_tip = None
        said = Said()
        self._add_content(chunk.get("content"), said)
        if chunk.get("additional_kwargs"):
            self._add_kwargs(chunk["additional_kwargs"], said)
        if chunk.get("response_metadata"):
            self._add_metadata(chunk["response_metadata"])
        if chunk.get("tool_call_chunks"):
            self._add_calls(chunk["tool_call_chunks"], said)
        elif chunk.get("tool_calls") or chunk.get("invalid_tool_calls"):
            self._add_calls(_calls_as_chunks(chunk), said)
        if chunk.get("usage_metadata") is not None:
            self._add_usage(chunk["usage_metadata"])
        if journal.version == 1 or chunk.get("name") or "tool_call_id" in chunk:
            self._add_fields(chunk)
        if self.last or chunk.get("chunk_position") == "last":
            self.last = True
            self._finish_blocks()
        return said.delta(), journal.changed

    def add_usual(self, chunk: Mapping[str, Any]) -> Union[str, Delta, None]:
        """Do what ``add`` does, if the chunk is of the usual kind: one more piece of what grows, and no other news.

        Gives what that added, mere text as a string. Gives None, and does nothing, if the chunk may be another.
        """
        calls = chunk.get("tool_call_chunks")
        if calls is None or self.last or self._content is None or self._brings_more(chunk):
            return None
        content, string = chunk.get("content"), self._content.string
        if calls or not content or string is None or not isinstance(content, str):
            return self._add_to_call(content, calls) if calls else self._add_to_block(content)
        version = self._journal.version = self._journal.version + 1
        string.append(version, content)
        return content

    def _brings_more(self, chunk: Mapping[str, Any]) -> bool:
        """Whether a chunk brings more than content and pieces of calls."""
        try:
            # Nearly every chunk has all of these, and no news in them.
            if _news_of(chunk) == self._no_news and "tool_call_id" not in chunk:
                return False
        except KeyError:
            pass
        get = chunk.get
        return bool(
            get("additional_kwargs")
            or get("response_metadata")
            or get("usage_metadata") is not None
            or get("chunk_position")
            or get("name")
            or "tool_call_id" in chunk
            # Beside pieces of calls, these only repeat them.
            or ((get("tool_calls") or get("invalid_tool_calls")) and not get("tool_call_chunks"))
        )

    def _add_to_block(self, content: Any) -> Union[str, Delta, None]:
        """Append to one block."""
        block = content[0] if type(content) is list and len(content) == 1 else None
        grown = self._tip_of_block(block) if type(block) is dict else None
        if block is None or grown is None:
            return None
        version = self._journal.version = self._journal.version + 1
        piece = grown.take(version, block)
        return piece if grown.name == "text" else delta_of("", piece if grown.name == "reasoning" else "", {}, False)

    def _add_to_call(self, content: Any, calls: Any) -> Optional[Delta]:
        """Append to one call, and to one block as well, as some providers stream calls."""
        block, call = _only_element(content), _only_element(calls)
        grown = None if block is None else self._tip_of_block(block)
        called = None if call is None else self._tip_of_call(call)
        if call is None or called is None or (grown is None and content != ""):
            return None
        version = self._journal.version = self._journal.version + 1
        piece = "" if grown is None or block is None else grown.take(version, block)
        text = piece if grown is not None and grown.name == "text" else ""
        reasoning = piece if grown is not None and grown.name == "reasoning" else ""
        return delta_of(text, reasoning, {called.name or "": called.take(version, call)}, False)

    def _tip_of_block(self, block: Dict[str, Any]) -> Optional[Tip]:
        tip = self._content.tip(block) if self._content else None
        # reasoning_content is read after the blocks: what these say then is not said at the end.
        return None if tip and tip.name == "reasoning" and self._kwargs.length("reasoning_content") else tip

    def _tip_of_call(self, call: Dict[str, Any]) -> Optional[Tip]:
        tip = self._call_tip
        if tip is None or not tip.fits(call):
            tip = tip_for(self._calls, call)
            if tip is None or tip.key != "args":
                return None
            tip.name = _call_key(tip.table, tip.place)
            self._call_tip = tip
        return tip

    def _add_content(self, content: Any, said: Said) -> None:
        if self._content is None:
            self._content = Content(content, self._journal, said)
        else:
            self._content.add(content, self._journal, said)
        # reasoning_content is read after the blocks: what these add then is no longer at the end.
        if said.reasoned and self._kwargs.length("reasoning_content"):
            said.say("reasoning", "", at_end=False)

    def _add_kwargs(self, kwargs: Any, said: Said) -> None:
        before = self._kwargs.length("reasoning_content")
        self._merge(self._kwargs, kwargs, "additional_kwargs")
        if self._kwargs.length("reasoning_content") > before:
            said.say("reasoning", kwargs["reasoning_content"])

    def _merge(self, table: Table, values: Any, name: str) -> None:
        if isinstance(values, dict):
            merge_into(table, values, self._journal, name)
        else:
            self._journal.conflict(name, {}, values)

    def _add_metadata(self, metadata: Any) -> None:
        self._merge(self._metadata, metadata, "response_metadata")
        # Most providers name themselves in each chunk: the same once more is no news.
        repeats = isinstance(metadata, dict) and all(
            key in SAME_IF_EQUAL and isinstance(value, str) and self._metadata.now(key) == value
            for key, value in metadata.items()
        )
        self._no_news = _no_news_beside(dict(metadata)) if repeats else _NO_NEWS

    def _add_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            self._journal.conflict("usage_metadata", {}, usage)
            return
        before = self._usage.value
        after = add_usage(before, usage, self._journal)
        if after != before:
            self._usage.put(self.version, after)
            self._journal.changed = True

    def _add_calls(self, chunks: Any, said: Said) -> None:
        if not isinstance(chunks, list):
            self._journal.conflict("tool_call_chunks", [], chunks)
            return
        # langchain-core takes the first chunk as it is, without merging its calls among themselves.
        alone = self.version == 1
        for chunk in chunks:
            if isinstance(chunk, dict):
                self._add_call(chunk, None if alone else target_of(self._calls, chunk), said)
            else:
                self._journal.conflict("tool_call_chunks", {}, chunk)

    def _add_call(self, chunk: Mapping[str, Any], place: Optional[int], said: Said) -> None:
        before = 0
        if place is None:
            place = self._calls.append(self.version, {key: chunk.get(key) for key in _CALL_KEYS})
            self._journal.changed = True
        else:
            before = self._calls[place].node().length("args")
            merge_element(self._calls, place, chunk, self._journal, f"tool_call_chunks[{place}]")
        call = self._calls[place].node()
        if call.length("args") > before:
            key = _call_key(call, place)
            said.args[key] = said.args.get(key, "") + chunk["args"]

    def _add_fields(self, chunk: Mapping[str, Any]) -> None:
        if self.version == 1:
            self._fields.add(1, "type", message_type(chunk))
        for key in _FIELDS:
            value = chunk.get(key)
            if value is None:
                continue
            cell = self._fields.cell(key)
            if cell is None or (key == "artifact" and isinstance(value, (str, dict, list))):
                self._merge(self._fields, {key: value}, "message")
            elif key == "status" and value == "error" and self._fields.now(key) != "error":
                cell.put(self.version, value)
                self._journal.changed = True
            elif key in ("tool_call_id", "artifact") and self._fields.now(key) != value:
                self._journal.conflict(f"message.{key}", cell.value, value)

    def _finish_blocks(self) -> None:
        """At the end of standard content, the blocks of calls say what the calls are."""
        series = self._content.series if self._content else None
        if series is None or self._metadata.now("output_version") != "v1":
            return
        calls = {call["id"]: dict(call) for call in self.calls(self.version, True)[0] if _is_name(call["id"])}
        for cell in [series[place] for place in range(len(series))]:
            block = cell.node()
            kind = block.now("type") if isinstance(block, Table) else None
            if kind == "tool_call_chunk" and _is_name(block.now("id")):
                self._finish_call(cell, block, calls.get(block.now("id")))
            elif kind in ("server_tool_call", "server_tool_call_chunk"):
                self._finish_server_call(block)
        series.reindex()

    def _finish_call(self, cell: Cell, block: Table, call: Optional[Dict[str, Any]]) -> None:
        if call is None:
            return
        if block.cell("extras") is not None:
            # langchain-core makes one of all blocks of a call: they share this.
            call["extras"] = block.get("extras", self.version)
        self._replace(cell, call)

    def _finish_server_call(self, block: Table) -> None:
        args = block.now("args") or "{}"
        try:
            parsed = json.loads(args) if isinstance(args, str) else None
        except (ValueError, RecursionError):
            return
        if isinstance(parsed, dict):
            for key, value in (("type", "server_tool_call"), ("args", parsed)):
                cell = block.cell(key)
                if cell is None:
                    block.add(self.version, key, value)
                else:
                    self._replace(cell, value)

    def _replace(self, cell: Cell, value: Any) -> None:
        cell.put(self.version, value)
        self._journal.changed = True

    def text(self, version: int) -> str:
        return self._content.words("text", version) if self._content else ""

    def reasoning(self, version: int) -> str:
        inside = self._content.words("reasoning", version) if self._content else ""
        outside = self._kwargs.get("reasoning_content", version)
        return inside + outside if isinstance(outside, str) else inside

    def calls(self, version: int, final: bool) -> Calls:
        """The tool calls; ``final`` reads their arguments as they end, else as they grow. Not to be changed."""
        valid: List[Dict[str, Any]] = []
        invalid: List[Dict[str, Any]] = []
        for place, cell in enumerate(self._calls.cells(version)):
            call = cell.at(version)
            args = self._args(place, call["args"], final)
            if isinstance(args, dict):
                valid.append({"name": call["name"] or "", "args": args, "id": call["id"], "type": "tool_call"})
            else:
                broken = {"name": call["name"], "args": call["args"], "id": call["id"], "error": None}
                invalid.append({**broken, "type": "invalid_tool_call"})
        return valid, invalid

    def _args(self, place: int, raw: Any, final: bool) -> Any:
        if not raw:
            return {}
        if not isinstance(raw, str):
            return raw
        reader = self._readers.get(place)
        if reader is None or reader.length > len(raw):
            reader = _ArgsReader()
        if reader.length >= (self._readers[place].length if place in self._readers else 0):
            self._readers[place] = reader
        return reader.read(raw, final)

    def value(self, key: str, version: int, final: bool) -> Any:
        """One of the message's fields, under the name it has on the wire."""
        if key == "content":
            return self._content.at(version) if self._content else ""
        if key == "additional_kwargs":
            return self._kwargs.at(version)
        if key == "response_metadata":
            return self._metadata.at(version)
        if key == "usage_metadata":
            return self._usage.at(version)
        if key in ("tool_calls", "invalid_tool_calls"):
            return self.calls(version, final)[key == "invalid_tool_calls"]
        return self._fields.get(key, version)

    def to_dict(self, version: int, final: bool) -> Dict[str, Any]:
        """The message as the server writes it into the state; its id is not known here."""
        keys = ["content", "additional_kwargs", "response_metadata", "type", "name", "id"]
        kind = self._fields.get("type", version)
        if kind == "ai":
            keys += ["tool_calls", "invalid_tool_calls", "usage_metadata"]
        elif kind == "tool":
            keys += ["tool_call_id", "artifact", "status"]
        elif kind == "chat":
            keys.append("role")
        message = {key: self.value(key, version, final) for key in keys}
        if kind == "tool":
            message["status"] = message["status"] or "success"
        return message

    def as_chunk(self) -> Dict[str, Any]:
        """All of it as one chunk, to be folded into another message."""
        chunk = self.to_dict(self.version, True)
        chunk["tool_call_chunks"] = self._calls.at(self.version)
        return chunk


class _ArgsReader:
    """Reads the arguments of one call while they grow; what was read once is kept as long as nothing is new."""

    __slots__ = ("_final", "_json", "_value", "length")

    def __init__(self) -> None:
        self._json = PartialJSON()
        self.length = 0
        self._final = False
        self._value: Any = None

    def read(self, raw: str, final: bool) -> Any:
        if len(raw) != self.length or final != self._final:
            self.length = len(raw)
            self._final = final
            try:
                self._value = _whole_json(raw) if final else self._json.read(raw)
            except (ValueError, RecursionError):
                self._value = None
        return self._value


def _whole_json(raw: str) -> Any:
    try:
        return json.loads(raw, strict=False)
    except json.JSONDecodeError:
        return repaired(raw)


def _only_element(elements: Any) -> Optional[Dict[str, Any]]:
    only = elements[0] if isinstance(elements, list) and len(elements) == 1 else None
    return only if isinstance(only, dict) else None


def _is_name(id_: Any) -> bool:
    return isinstance(id_, str) and bool(id_)


def _call_key(call: Table, place: int) -> str:
    id_, index = call.now("id"), call.now("index")
    if _is_name(id_):
        return str(id_)
    return str(place if index is None else index)


def _calls_as_chunks(message: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Calls that came whole inside a chunk, as the pieces langchain-core makes of them."""
    chunks = []
    for key in ("tool_calls", "invalid_tool_calls"):
        calls = message.get(key)
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                args = call.get("args")
                text = args if key == "invalid_tool_calls" else json.dumps(args)
                chunks.append({"name": call.get("name"), "args": text, "id": call.get("id"), "index": None})
    return chunks
