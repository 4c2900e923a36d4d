"""A transport that writes down all that goes through another one, to be replayed without a server."""

from __future__ import annotations

import base64
import functools
import itertools
import os
import time
import weakref
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from ..errors import ConfigurationError, LgsyncError
from ..parts import StreamPart
from ..recording import (
    SOURCE_FIELDS,
    TORN,
    Call,
    Ended,
    Entry,
    Given,
    Header,
    LastParts,
    Opened,
    Sign,
    StreamRequest,
    kind_of_request,
    line_of,
    read,
    source_fields,
    written,
)
from ..request_log import without_secrets
from ..transport import (
    Capabilities,
    PartSource,
    Response,
    RunJoin,
    RunStart,
    ThreadJoin,
    Timeout,
    Transport,
    TransportConfig,
    TransportFactory,
    resolve,
)
from ._same_request import differences
from ._scrubbing import Scrubber

__all__ = ["RecordingTransport"]

# Of an answer's headers, those that say something to a client; others may hold cookies, or name a machine.
_HEADERS = ("content-type", "content-location", "location", "date", "retry-after", "x-request-id")
_PAGES = "x-pagination-"

_FIELDS = tuple(SOURCE_FIELDS)


class RecordingTransport(Transport):
    """Passes everything on to another transport, and back, and writes it to a file as it goes by.

    ::

        Client(url, transport=partial(RecordingTransport, path="run.jsonl"))

    ``inner`` is the transport that is recorded: a name, a class, or an object. The file at ``path`` is begun anew when
    this is built, unless ``append`` says otherwise; it is readable at any time, also after a crash, and
    :class:`~lgsync.transports.ReplayTransport` plays it. Its form is that of :mod:`lgsync.recording`.

    Keys, cookies and what is named like a secret are not written, nor are they where an answer quotes them. What users
    and models say is. Raises ConfigurationError if the file cannot be written.
    """

    def __init__(
        self,
        config: TransportConfig,
        *,
        path: Union[str, os.PathLike[str]],
        inner: Union[str, Transport, TransportFactory] = "sse",
        append: bool = False,
    ) -> None:
        self.config = config
        self.inner = resolve(inner, config)
        self.path = Path(path)
        self.name = self.inner.name
        self.timeout = self.inner.timeout
        self._choice = inner
        self._tape = _Tape(self.path, self._header(), append=append)
        self._scrubber = Scrubber(config)
        self._sources: weakref.WeakSet[_RecordedSource] = weakref.WeakSet()

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[Timeout] = None,
    ) -> Response:
        self._scrubber.learn(headers)
        begun = self._tape.now()
        asked = functools.partial(Call, begun, method, path, params or {}, json)
        try:
            response = self.inner.request(method, path, params=params, json=json, headers=headers, timeout=timeout)
        except LgsyncError as exc:
            self._note_request(asked(self._tape.now() - begun, None, exc), "request")
            raise
        told = response._replace(headers=_telling(response.headers))
        self._note_request(asked(self._tape.now() - begun, told), "request")
        return response

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        return self._opened(start, lambda: self.inner.open_run(start))

    def open_thread(self, join: ThreadJoin) -> PartSource:
        return self._opened(join, lambda: self.inner.open_thread(join))

    def close(self) -> None:
        self.inner.close()
        for source in list(self._sources):
            source.note_closed()
        self._tape.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        # A copy goes on with what this has begun.
        return functools.partial(type(self), path=self.path, inner=self._choice, append=True), (self.config,)

    def __repr__(self) -> str:
        return f"RecordingTransport({self.inner!r}, path={str(self.path)!r})"

    def _header(self) -> Header:
        now = datetime.now(timezone.utc).isoformat()
        return Header(self.inner.name, self.inner.capabilities, without_secrets(self.config.url), now)

    def _opened(self, request: StreamRequest, opening: Callable[[], PartSource]) -> PartSource:
        self._scrubber.learn(request.headers)
        begun, stream = self._tape.now(), self._tape.new_stream()
        opened, kind = functools.partial(Opened, begun, stream, request), kind_of_request(request)
        try:
            inner = opening()
        except LgsyncError as exc:
            self._note_request(opened(self._tape.now() - begun, {}, exc), kind)
            raise
        source = _RecordedSource(inner, stream, self._tape, self._scrubber)
        self._note_request(opened(self._tape.now() - begun, source.news()), kind)
        self._sources.add(source)
        return source

    def _note_request(self, entry: Union[Call, Opened], name: str) -> None:
        try:
            line = written(entry)
        except ConfigurationError:
            # It could not be sent, and whoever replays it is told so again.
            return
        asked = line[name]
        line[name] = self._scrubber.request(asked)
        hidden = list(differences(asked, line[name]))
        if hidden:
            line["hidden"] = hidden
        response = line.get("response", {})
        if "base64" in response:
            body = self._scrubber.body(base64.b64decode(response["base64"]))
            response["base64"] = base64.b64encode(body).decode("ascii")
        self._tape.write(self._scrubber.line(line))


class _Passed:
    """An attribute of the source that is recorded."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, source: Any, owner: Any) -> Any:
        return self if source is None else getattr(source.inner, self._name)

    def __set__(self, source: Any, value: Any) -> None:
        setattr(source.inner, self._name, value)


class _Patience:
    """What a reader has its waits bounded by."""

    def __get__(self, source: Any, owner: Any) -> Any:
        return self if source is None else source.asked

    def __set__(self, source: Any, value: Any) -> None:
        source.be_patient(value)


class _RecordedSource(PartSource):
    """A source that is written down as it is read. All but what stands here is the inner source's own affair."""

    def __init__(self, inner: PartSource, stream: str, tape: _Tape, scrubber: Scrubber) -> None:
        self.inner = inner
        self._stream = stream
        self._tape = tape
        self._scrubber = scrubber
        self._known: Tuple[Any, ...] = tuple(SOURCE_FIELDS.values())
        self.asked: Optional[Callable[[PartSource], Optional[float]]] = None
        self._closed = False
        # Emptied, in one step, by whoever comes to the end first.
        self._open = [True]

    def be_patient(self, asked: Optional[Callable[[PartSource], Optional[float]]]) -> None:
        """From now on, ask this before each wait for the wire; that is also where signs of life show."""
        self.asked = asked
        # Not a method of this object: that would keep both alive.
        self.inner.patience = functools.partial(_asked_of, weakref.ref(self))

    def __next__(self) -> StreamPart:
        try:
            part = next(self.inner)
        except StopIteration:
            self._note_end("clean")
            raise
        except LgsyncError as exc:
            self._note_end("error", exc)
            raise
        self._note(Given(self._tape.now(), self._stream, part, self.news(part.id)))
        return part

    def at_hand(self) -> List[StreamPart]:
        # Each part is written with what the source was when it was read.
        return []

    def finish(self) -> List[StreamPart]:
        parts = self.inner.finish()
        if parts:
            self._note(LastParts(self._tape.now(), self._stream, tuple(parts)))
        return parts

    def close(self) -> None:
        self._closed = True
        self.inner.close()
        self.note_closed()

    def note_closed(self) -> None:
        """The client, or its transport, has closed this, unless it had ended before."""
        self._closed = True
        self._note_end("closed")

    def news(self, position: Optional[str] = None) -> Dict[str, Any]:
        """What has changed of the source since it was told last; ``position`` goes without saying."""
        known, now = self._known, source_fields(self.inner)
        if position is not None:
            known = (position, *known[1:])
        self._known = now
        if now == known:
            return {}
        return {name: value for name, value, before in zip(_FIELDS, now, known) if value != before}

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def ask_patience(self) -> Optional[float]:
        """How long the inner source may wait now."""
        news = self.news()
        if news:
            self._note(Sign(self._tape.now(), self._stream, news))
        # With this source: a reader may look for what it has set.
        return None if self.asked is None else self.asked(self)

    def _note_end(self, how: str, error: Optional[LgsyncError] = None) -> None:
        try:
            self._open.pop()
        except IndexError:
            return
        if self._closed:
            how, error = "closed", None
        self._note(Ended(self._tape.now(), self._stream, how, self.news(), error))

    def _note(self, entry: Entry) -> None:
        self._tape.write(self._scrubber.line(written(entry)))


def _asked_of(source: weakref.ref[_RecordedSource], _: PartSource) -> Optional[float]:
    recorded = source()
    return None if recorded is None else recorded.ask_patience()


def _pass_all_others() -> None:
    """Whatever sources have, now or later, and is not told above."""
    setattr(_RecordedSource, "patience", _Patience())  # noqa: B010 (to a type checker it is the plain attribute)
    for name in vars(PartSource):
        if not name.startswith("_") and name not in vars(_RecordedSource):
            setattr(_RecordedSource, name, _Passed(name))


_pass_all_others()


class _Tape:
    """The file, to which each line is added in one write: whoever dies meanwhile leaves whole lines.

    There is no lock, for a stream may be closed by a signal handler that interrupted a write.
    """

    def __init__(self, path: Path, header: Header, *, append: bool) -> None:
        self._path = path
        self._numbers = itertools.count(1)
        self._prefix = ""
        self._process = os.getpid()
        self._closed = False
        self._torn = False
        try:
            held = path.read_bytes() if append and path.exists() else b""
            # Unbuffered; where it ends, is looked up by each write.
            self._file = open(path, "ab" if append else "wb", buffering=0)  # noqa: SIM115 (closed with the transport)
            if not append:
                # From now on others may add to it.
                self._file.close()
                self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed with the transport)
        except OSError as exc:
            raise ConfigurationError(f"The recording {path} cannot be written: {exc.strerror}") from exc
        weakref.finalize(self, self._file.close)
        if held:
            header = _continued(read(held, str(path)).header, header, path)
            self._prefix = f"{os.getpid()}-{time.time_ns() // 1000 % 1_000_000}-"
            # Nothing is cut off: what lies there may be a line that another one is just writing.
            self._torn = not held.endswith(b"\n")
        began = datetime.fromisoformat(header.recorded).timestamp()
        self._zero = time.monotonic() - max(0.0, time.time() - began)
        if not held:
            self.write(line_of(written(header)))

    def now(self) -> float:
        """Seconds since the recording was begun."""
        return time.monotonic() - self._zero

    def new_stream(self) -> str:
        """A name that no other stream of this file has."""
        if os.getpid() != self._process:
            # Made by a fork, this goes on with its parent's numbers.
            self._process, self._prefix = os.getpid(), f"{self._prefix}{os.getpid()}-"
        return f"{self._prefix}{next(self._numbers)}"

    def write(self, line: bytes) -> None:
        if self._closed:
            return
        try:
            self._add(TORN + line if self._torn else line)
        except ValueError:
            # Closed by another thread just now; what it ended is no longer of interest.
            if not self._closed:
                raise
        except OSError as exc:
            raise ConfigurationError(f"The recording {self._path} cannot be written: {exc.strerror}") from exc

    def close(self) -> None:
        self._closed = True
        self._file.close()

    def _add(self, data: bytes) -> None:
        """All of it: a file takes less than it is given where its disk is full, or the line is very long."""
        taken = self._file.write(data)
        while taken < len(data):
            self._torn = True
            data = data[taken:]
            taken = self._file.write(data)
        self._torn = False


def _continued(begun: Header, now: Header, path: Path) -> Header:
    if begun.transport != now.transport:
        raise ConfigurationError(
            f'The recording {path} was begun over transport="{begun.transport}" and cannot go on over '
            f'"{now.transport}"; give each a file of its own'
        )
    return begun


def _telling(headers: Mapping[str, str]) -> Dict[str, str]:
    named = {name.lower(): value for name, value in headers.items()}
    kept = {name: value for name, value in named.items() if name in _HEADERS or name.startswith(_PAGES)}
    for name in ("location", "content-location"):
        if name in kept:
            kept[name] = without_secrets(kept[name])
    return kept
