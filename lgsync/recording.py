"""The file of a recording: what a client asked of its transport, and what came back, one JSON object a line.

The first line says what this is; each line after it is one thing that happened, ``t`` seconds after the first::

    {"lgsync": "recording", "version": 1, "transport": "sse", "url": "http://localhost:2024", "recorded": "2026-…", …}
    {"t": 0.01, "kind": "call", "seconds": 0.004, "request": {"method": "POST", "path": "/threads", "json": {}}, …}
    {"t": 0.02, "kind": "open", "stream": "1", "seconds": 0.008, "start": {"thread_id": "…", "payload": {…}}, …}
    {"t": 0.03, "kind": "part", "stream": "1", "event": "metadata", "data": {"run_id": "…"}, "id": "1795-0"}
    {"t": 5.02, "kind": "sign", "stream": "1", "source": {"heartbeats": 1}}
    {"t": 6.20, "kind": "end", "stream": "1", "how": "clean"}

``source`` holds what changed of the stream's :class:`~lgsync.transport.PartSource`; that its position is the id of the
part goes without saying. A stream's ``how`` is "clean", "closed" (by the client) or "error". Where a call or a stream
failed, ``error`` has the class, the message and the fields of the error. An empty line follows one that was torn. This
module reads and writes lines, no files.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from . import codec, errors
from .errors import ConfigurationError, LgsyncError
from .parts import StreamPart, Undecoded
from .transport import Capabilities, PartSource, Response, RunJoin, RunStart, ThreadJoin

__all__ = [
    "SOURCE_FIELDS",
    "TORN",
    "VERSION",
    "Call",
    "Ended",
    "Entry",
    "Given",
    "Header",
    "LastParts",
    "Opened",
    "Recording",
    "Sign",
    "StreamRequest",
    "kind_of_request",
    "line_of",
    "read",
    "source_fields",
    "written",
    "written_request",
]

#: The version of the format that is written, and the latest one that can be read.
VERSION = 1

#: What is added to a line that was torn, before another one: its end, and the empty line that marks it.
TORN = b"\n\n"

#: What a stream is asked for with.
StreamRequest = Union[RunStart, RunJoin, ThreadJoin]

#: What is told of a source, with what it is before anything is told.
SOURCE_FIELDS: Dict[str, Any] = {
    "position": None,
    "thread_id": None,
    "run_id": None,
    "heartbeats": 0,
    "retry": None,
    "outcome": None,
    "conclusive": False,
    "exact": True,
    "not_kept": frozenset(),
}

#: The values of these fields, in this order, of a source.
source_fields: Callable[[PartSource], Tuple[Any, ...]] = attrgetter(*SOURCE_FIELDS)

_REQUESTS: Dict[str, Any] = {"start": RunStart, "join": RunJoin, "thread": ThreadJoin}

# Of a request these are settings, or may be secret.
_UNTOLD = ("headers", "timeout")

# Besides "\n", some programs end a line at these.
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}

_TO_TEXT = json.JSONEncoder(ensure_ascii=False, default=str)


class Header(NamedTuple):
    """The first line: the transport that was recorded, and what it can carry. ``recorded`` is an ISO time in UTC."""

    transport: str
    capabilities: Capabilities
    url: str
    recorded: str
    version: int = VERSION


@dataclass(frozen=True)
class Call:
    """A REST call that took so many ``seconds``, with its ``response`` or the ``error`` it came to.

    ``hidden`` are the places of its request at which something secret was not written (``json.config.api_key``).
    """

    t: float
    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    seconds: float = 0.0
    response: Optional[Response] = None
    error: Optional[LgsyncError] = None
    hidden: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A stream that was opened, or came to an ``error``; ``source`` is what was known of it then.

    ``hidden`` are the places of its request at which something secret was not written (``payload.config.api_key``).
    """

    t: float
    stream: str
    request: StreamRequest
    seconds: float = 0.0
    source: Mapping[str, Any] = field(default_factory=dict)
    error: Optional[LgsyncError] = None
    hidden: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """A part that a stream gave."""

    t: float
    stream: str
    part: StreamPart
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sign:
    """A sign of life, such as a heartbeat: the source changed, and no part came."""

    t: float
    stream: str
    source: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """The end of a stream: "clean", "closed" by the client, or an "error"."""

    t: float
    stream: str
    how: str
    source: Mapping[str, Any] = field(default_factory=dict)
    error: Optional[LgsyncError] = None


@dataclass(frozen=True)
class LastParts:
    """What the source told when its run had ended (:meth:`~lgsync.transport.PartSource.finish`)."""

    t: float
    stream: str
    parts: Tuple[StreamPart, ...]


#: What a line after the first one tells.
Entry = Union[Call, Opened, Given, Sign, Ended, LastParts]


class Recording(NamedTuple):
    """All that a file holds."""

    header: Header
    entries: Tuple[Entry, ...]


# -- writing -----------------------------------------------------------------------------------------------------------


def written(entry: Union[Header, Entry]) -> Dict[str, Any]:
    """The JSON object of one line. Raises ConfigurationError for a request that holds what JSON cannot."""
    if isinstance(entry, Header):
        return _written_header(entry)
    if isinstance(entry, Call):
        return _written_call(entry)
    if isinstance(entry, Opened):
        return _written_open(entry)
    line: Dict[str, Any] = {"t": _rounded(entry.t), "kind": _KINDS[type(entry)], "stream": entry.stream}
    if isinstance(entry, LastParts):
        return {**line, "parts": [_written_part(part) for part in entry.parts]}
    if isinstance(entry, Given):
        line.update(_written_part(entry.part))
    elif isinstance(entry, Ended):
        line["how"] = entry.how
        line.update(_written_error(entry.error))
    return {**line, **_written_source(entry.source)}


def line_of(thing: Mapping[str, Any]) -> bytes:
    """One line, with its end; no line end of any kind is within."""
    text = _TO_TEXT.encode(thing)
    if not text.isascii():
        for end, escaped in _LINE_ENDS.items():
            text = text.replace(end, escaped)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        # Half of a character, which a server can send.
        return json.dumps(thing, default=str).encode("ascii") + b"\n"


def _as_json(value: Any) -> Any:
    """What arrives of ``value`` when it is sent. Raises ConfigurationError for what JSON has not."""
    return codec.decode(codec.encode(value))


_KINDS = {Given: "part", Sign: "sign", Ended: "end", LastParts: "last"}


def _rounded(seconds: float) -> float:
    return round(seconds, 4)


def _written_header(header: Header) -> Dict[str, Any]:
    limits = header.capabilities
    capabilities: Dict[str, Any] = {
        "stream_modes": sorted(limits.stream_modes),
        "default_modes": list(limits.default_modes),
        "run_options": None if limits.run_options is None else sorted(limits.run_options),
        "stateless_runs": limits.stateless_runs,
        "names_nodes": limits.names_nodes,
        "hints": dict(limits.hints),
    }
    return {
        "lgsync": "recording",
        "version": header.version,
        "transport": header.transport,
        "url": header.url,
        "recorded": header.recorded,
        "capabilities": capabilities,
    }


def _written_call(call: Call) -> Dict[str, Any]:
    request: Dict[str, Any] = {"method": call.method, "path": call.path}
    if call.params:
        request["params"] = _plain_params(call.params)
    if call.json is not None:
        request["json"] = _as_json(call.json)
    line: Dict[str, Any] = {"t": _rounded(call.t), "kind": "call", "seconds": _rounded(call.seconds)}
    line["request"] = request
    line.update(_written_hidden(call.hidden))
    if call.response is not None:
        line["response"] = _written_response(call.response)
    return {**line, **_written_error(call.error)}


def _written_response(response: Response) -> Dict[str, Any]:
    told: Dict[str, Any] = {"status": response.status, "headers": dict(response.headers)}
    if not response.body:
        return told
    try:
        return {**told, "json": codec.decode(response.body, strict=True)}
    except ValueError:
        pass
    try:
        return {**told, "text": response.body.decode("utf-8")}
    except UnicodeDecodeError:
        return {**told, "base64": base64.b64encode(response.body).decode("ascii")}


def _written_open(opened: Opened) -> Dict[str, Any]:
    line: Dict[str, Any] = {"t": _rounded(opened.t), "kind": "open", "stream": opened.stream}
    line["seconds"] = _rounded(opened.seconds)
    line.update(written_request(opened.request))
    line.update(_written_hidden(opened.hidden))
    return {**line, **_written_source(opened.source), **_written_error(opened.error)}


def written_request(request: StreamRequest) -> Dict[str, Any]:
    """What is told of a stream that is asked for: ``{"start": {…}}``, ``{"join": {…}}`` or ``{"thread": {…}}``."""
    told: Dict[str, Any] = {}
    for each in dataclasses.fields(request):
        value = getattr(request, each.name)
        if each.name in _UNTOLD or value == _default_of(each):
            continue
        told[each.name] = _plain_params(value) if each.name == "params" else _as_json(value)
    return {kind_of_request(request): told}


def kind_of_request(request: StreamRequest) -> str:
    """Under which name the request for a stream stands: "start", "join" or "thread"."""
    return next(name for name, cls in _REQUESTS.items() if isinstance(request, cls))


def _default_of(each: dataclasses.Field[Any]) -> Any:
    return each.default if each.default_factory is dataclasses.MISSING else each.default_factory()


def _plain_params(params: Mapping[str, Any]) -> Dict[str, Any]:
    return {str(name): _plain_param(value) for name, value in params.items() if value is not None}


def _plain_param(value: Any) -> Any:
    """A value of a query, which becomes text whatever it is."""
    try:
        return _as_json(value)
    except ConfigurationError:
        return str(value)


def _written_part(part: StreamPart) -> Dict[str, Any]:
    name = "text" if isinstance(part.data, Undecoded) else "data"
    return {"event": part.event, name: part.data, "id": part.id}


def _written_source(source: Mapping[str, Any]) -> Dict[str, Any]:
    if not source:
        return {}
    return {"source": {name: sorted(value) if name == "not_kept" else value for name, value in source.items()}}


def _written_hidden(places: Tuple[str, ...]) -> Dict[str, Any]:
    return {"hidden": list(places)} if places else {}


def _written_error(error: Optional[LgsyncError]) -> Dict[str, Any]:
    if error is None:
        return {}
    # Of a class of somebody else's, the nearest that any reader knows.
    known = next(cls for cls in type(error).__mro__ if getattr(errors, cls.__name__, None) is cls)
    return {"error": {"class": known.__name__, "message": str(error), "fields": dict(vars(error))}}


# -- reading -----------------------------------------------------------------------------------------------------------


def read(data: bytes, name: str) -> Recording:
    """The recording that a file of this ``name`` holds.

    A line may be torn, as by a program that was ended: the last one, or one that an empty line follows. It does not
    count. Raises ConfigurationError, which names the line, for a file that is no recording, or one of a later version.
    """
    lines = data.split(b"\n")[:-1]
    header = _read_header(lines[0] if lines else b"", name)
    entries: List[Entry] = []
    for number, (line, following) in enumerate(zip(lines[1:], [*lines[2:], None]), 2):
        if not line.strip() or (following == b"" and _is_torn(line)):
            continue
        try:
            told = codec.decode(line)
            # Two that began to add to a file at the same time have both written how it begins.
            if "kind" in told or "lgsync" not in told:
                entries.append(_read_entry(told, header))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ConfigurationError(
                f"Line {number} of the recording {name} cannot be read ({type(exc).__name__}: {exc}); record it anew"
            ) from exc
    return Recording(header, tuple(entries))


def _is_torn(line: bytes) -> bool:
    try:
        codec.decode(line)
    except ValueError:
        return True
    return False


def _read_header(line: bytes, name: str) -> Header:
    try:
        told = codec.decode(line)
    except ValueError:
        told = None
    if not (isinstance(told, dict) and told.get("lgsync") == "recording" and isinstance(told.get("version"), int)):
        raise ConfigurationError(f"{name} is no recording of lgsync's: its first line is not the one that says so")
    if told["version"] > VERSION:
        raise ConfigurationError(
            f"The recording {name} has version {told['version']}, and this lgsync reads up to {VERSION}: "
            "update lgsync, or record it anew"
        )
    try:
        limits = dict(told["capabilities"])
        options = limits["run_options"]
        limits["stream_modes"] = frozenset(limits["stream_modes"])
        limits["default_modes"] = tuple(limits["default_modes"])
        limits["run_options"] = None if options is None else frozenset(options)
        return Header(told["transport"], Capabilities(**limits), told["url"], told["recorded"], told["version"])
    except (KeyError, TypeError, ValueError) as exc:
        raise ConfigurationError(f"The first line of the recording {name} lacks something ({exc})") from exc


def _read_entry(told: Dict[str, Any], header: Header) -> Entry:
    kind, t = told["kind"], told["t"]
    error, source = _read_error(told.get("error")), _read_source(told.get("source"))
    hidden = tuple(told.get("hidden", ()))
    if kind == "call":
        request = told["request"]
        asked = (request["method"], request["path"], request.get("params", {}), request.get("json"))
        url = header.url + request["path"]
        return Call(t, *asked, told["seconds"], _read_response(told.get("response"), url), error, hidden)
    stream = told["stream"]
    if kind == "open":
        return Opened(t, stream, _read_request(told), told["seconds"], source, error, hidden)
    if kind == "part":
        return Given(t, stream, _read_part(told), source)
    if kind == "sign":
        return Sign(t, stream, source)
    if kind == "end":
        return Ended(t, stream, told["how"], source, error)
    if kind == "last":
        return LastParts(t, stream, tuple(_read_part(part) for part in told["parts"]))
    raise ValueError(f"a line of kind {kind!r} is unknown")


def _read_response(told: Optional[Dict[str, Any]], url: str) -> Optional[Response]:
    if told is None:
        return None
    if "json" in told:
        body = json.dumps(told["json"]).encode("ascii")
    elif "text" in told:
        body = told["text"].encode("utf-8")
    else:
        body = base64.b64decode(told.get("base64", ""))
    return Response(told["status"], told["headers"], body, url)


def _read_request(told: Dict[str, Any]) -> StreamRequest:
    kind = next(name for name in _REQUESTS if name in told)
    fields = dict(told[kind])
    if "modes" in fields:
        fields["modes"] = tuple(fields["modes"])
    request: StreamRequest = _REQUESTS[kind](**fields)
    return request


def _read_part(told: Dict[str, Any]) -> StreamPart:
    data = Undecoded(told["text"]) if "text" in told else told["data"]
    return StreamPart(told["event"], data, told["id"])


def _read_source(told: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    known = {name: value for name, value in (told or {}).items() if name in SOURCE_FIELDS}
    if "not_kept" in known:
        known["not_kept"] = frozenset(known["not_kept"])
    return known


def _read_error(told: Optional[Dict[str, Any]]) -> Optional[LgsyncError]:
    if told is None:
        return None
    cls = getattr(errors, told["class"])
    if not (isinstance(cls, type) and issubclass(cls, LgsyncError)):
        raise ValueError(f"{told['class']!r} is no error of lgsync's")
    fields = dict(told["fields"])
    if "alternatives" in fields:
        fields["alternatives"] = tuple(fields["alternatives"])
    return errors.rebuilt(cls, told["message"], fields)
