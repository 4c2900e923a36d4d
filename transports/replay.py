"""A transport without a server: it plays what :class:`~lgsync.transports.RecordingTransport` wrote down."""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NoReturn, Optional, Sequence, Tuple, Union

from .. import codec
from ..closing import Closing
from ..errors import (
    ClientClosed,
    ConfigurationError,
    ConnectionLost,
    ConnectionTimeout,
    LgsyncError,
    NotRecorded,
    PositionLost,
    rebuilt,
)
from ..parts import StreamPart, Undecoded
from ..recording import (
    Call,
    Opened,
    Recording,
    StreamRequest,
    kind_of_request,
    line_of,
    read,
    written,
    written_request,
)
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
)
from ._run_log import Reel, RunLog, Step, key_of, logs_of, reels_of
from ._same_request import Ids
from ._scrubbing import Scrubber

__all__ = ["ReplayTransport"]

_ANEW = (
    "If the program is meant to ask that, record it anew: run it with RecordingTransport in place of this one "
    "(in pytest, with --lgsync-record)."
)

# How long a stream that was left early waits to be left again, before it says that it has no more.
_TO_BE_LEFT = 5.0

_SHOWN_CHARS = 300
_SHOWN_REQUESTS = 8

# A question changes nothing, so its last answer still holds when it is put once more.
_READS = ("/search", "/count", "/history")


class ReplayTransport(Transport):
    """Answers from the recording at ``path``, without any network.

    ::

        Client(transport=partial(ReplayTransport, path="run.jsonl"))

    ``speed`` is 1.0 for the pauses of the recording, 10.0 for a tenth of them, None for none. ``cut_after=n`` breaks
    the first stream after n parts; several numbers stand for as many streams, None for one that is left whole. What
    follows is joined from the recording, as from a server. ``corrupt_after`` counts in the same way, and makes the next
    part arrive as no JSON.

    A request is found by its method, path, query and body. Ids that the client makes up may differ, and so may what was
    not written as it is secret. Each recorded call is answered once; a question that is asked more often gets its last
    answer again. ``beside`` is another replay of the same recording, of which each call is answered by either.

    Raises NotRecorded for any other request, and ConfigurationError if ``path`` holds no recording.
    """

    name = "replay"

    def __init__(
        self,
        config: TransportConfig,
        *,
        path: Union[str, os.PathLike[str], None] = None,
        speed: Optional[float] = None,
        cut_after: Union[int, Sequence[Optional[int]], None] = None,
        corrupt_after: Union[int, Sequence[Optional[int]], None] = None,
        beside: Optional[ReplayTransport] = None,
    ) -> None:
        self.config = config
        self.timeout = config.timeout
        self.path = _given(path)
        self.speed = _checked_speed(speed)
        self._faults: Dict[str, Any] = {"cut_after": cut_after, "corrupt_after": corrupt_after}
        self._cuts, self._corruptions = (_counts(name, value) for name, value in self._faults.items())
        self._played: _Played = _Played(_loaded(self.path)) if beside is None else beside._played
        self._ids, self._lock = self._played.ids, self._played.lock
        self.header = self._played.header
        #: That of the transport that was recorded: a cursor is one of its positions.
        self.name = self.header.transport
        self._scrubber = Scrubber(config)
        self._closing = Closing()
        self._sources: List[_ReplaySource] = []

    @property
    def capabilities(self) -> Capabilities:
        return self.header.capabilities

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
        self._refuse_if_closed()
        self._scrubber.learn(headers)
        asked = self._scrubber.request(written(Call(0.0, method, path, params or {}, json))["request"])
        with self._lock:
            call = self._recorded_call(asked)
        self._take_time(call.seconds, timeout, path)
        if call.error is not None:
            raise self._raised(call.error)
        if call.response is None:
            raise self._unknown(f"{method} {path} was never answered", "")
        return self._answer(call.response, path)

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        return self._open(start)

    def open_thread(self, join: ThreadJoin) -> PartSource:
        return self._open(join)

    def close(self) -> None:
        self._closing.set()
        for source in list(self._sources):
            source.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        # A copy plays from the start.
        build = functools.partial(type(self), path=self.path, speed=self.speed, **self._faults)
        return build, (self.config,)

    def __repr__(self) -> str:
        return f"ReplayTransport({str(self.path)!r})"

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _recorded_call(self, asked: Dict[str, Any]) -> Call:
        latest: Optional[Call] = None
        nearest = ""
        for number, (call, recorded) in enumerate(zip(self._played.calls, self._played.requests)):
            if (call.method, call.path.count("/")) != (asked["method"], asked["path"].count("/")):
                continue
            where = self._ids.difference(recorded, asked, call.hidden)
            if where is None and not self._played.answered[number]:
                self._played.answered[number] = True
                return call
            if where is None:
                latest = call
            elif not nearest and where != "path":
                nearest = f"Nearest is one that differs at {where}: {_shown(recorded)}. "
        if latest is not None and (latest.method == "GET" or latest.path.endswith(_READS)):
            return latest
        left = [call for call, answered in zip(self._played.calls, self._played.answered) if not answered]
        more = f"(once more than it was recorded, {self._times(latest)} times) " if latest else ""
        has = nearest or _listed("What has not been asked for yet: ", [f"{each.method} {each.path}" for each in left])
        raise self._unknown(f"{more}{_shown(asked)}", has)

    def _times(self, call: Call) -> int:
        return self._played.requests.count(written(call)["request"])

    def _answer(self, response: Response, path: str) -> Response:
        from requests.structures import CaseInsensitiveDict

        headers = CaseInsensitiveDict(self._ids.mine(dict(response.headers)))
        # Bytes that are no text hold no ids.
        body = self._ids.mine(response.body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return Response(response.status, headers, body, self.header.url + path)

    def _take_time(self, seconds: float, timeout: Optional[Timeout], path: str) -> None:
        if self.speed is None:
            return
        wait, total = seconds / self.speed, None if timeout is None else timeout.total
        self._closing.wait(wait if total is None else min(wait, total))
        self._refuse_if_closed()
        if total is not None and wait > total:
            url = self.header.url + path
            raise ConnectionTimeout(f"{url} did not answer within {total:g} s in this replay", url=url)

    # -- streams -------------------------------------------------------------------------------------------------------

    def _open(self, request: StreamRequest) -> PartSource:
        self._refuse_if_closed()
        self._scrubber.learn(request.headers)
        with self._lock:
            reel, log = self._recorded_stream(request)
        self._take_time(reel.opened.seconds, request.timeout, "")
        if reel.opened.error is not None:
            raise self._raised(reel.opened.error)
        with self._lock:
            source = _ReplaySource(self, reel, log, next(self._cuts), next(self._corruptions))
            self._sources.append(source)
        if self._closing.is_set():
            source.close()
            self._refuse_if_closed()
        return source

    def _recorded_stream(self, request: StreamRequest) -> Tuple[Reel, Optional[RunLog]]:
        kind = kind_of_request(request)
        asked = self._scrubber.request(written_request(request)[kind])
        nearest = ""
        for reel in self._played.reels:
            recorded = written_request(reel.opened.request)
            if reel.used or kind not in recorded:
                continue
            where = self._ids.difference(recorded[kind], asked, reel.opened.hidden)
            if where is None:
                reel.used = True
                return reel, self._log_of(reel.opened)
            nearest = nearest or f"Nearest is one that differs at {where}: {_shown(recorded[kind])}. "
        if not isinstance(request, RunStart):
            return self._joined(request)
        left = [reel for reel in self._played.reels if not reel.used]
        has = nearest or _listed("Not opened yet: ", [_shown(written_request(each.opened.request)) for each in left])
        raise self._unknown(f"a run that is started with {_shown(asked)}", has)

    def _joined(self, join: Union[RunJoin, ThreadJoin]) -> Tuple[Reel, RunLog]:
        log = self._played.logs.get(self._ids.recorded(key_of(join)))
        if log is None:
            known = _listed("Its streams are of: ", [" ".join(self._ids.mine(key)) for key in self._played.logs])
            raise self._unknown(f"the stream of {' '.join(key_of(join))}", known)
        reel = log.joined(join)
        if reel is None:
            raise PositionLost(f"{self.path} has no position {join.position!r} to go on from", url=self.header.url)
        return reel, log

    def _log_of(self, opened: Opened) -> Optional[RunLog]:
        request, source = opened.request, opened.source
        key = (source.get("thread_id"), source.get("run_id")) if isinstance(request, RunStart) else key_of(request)
        return self._played.logs.get(tuple(map(str, key)))

    # -- errors --------------------------------------------------------------------------------------------------------

    def _refuse_if_closed(self) -> None:
        if self._closing.is_set():
            raise ClientClosed(f"The replay of {self.path} was closed; build a new one")

    def _raised(self, error: LgsyncError) -> LgsyncError:
        return rebuilt(type(error), self._ids.mine(str(error)), self._ids.mine(dict(vars(error))))

    def _unknown(self, asked: str, has: str) -> NotRecorded:
        return NotRecorded(f"The recording {self.path} does not hold what was asked for: {asked}. {has}{_ANEW}")


class _Played:
    """A recording, and what of it was asked for so far."""

    def __init__(self, recording: Recording) -> None:
        self.header = recording.header
        self.calls = [entry for entry in recording.entries if isinstance(entry, Call)]
        self.requests = [written(call)["request"] for call in self.calls]
        self.answered = [False] * len(self.calls)
        self.reels = reels_of(recording.entries)
        self.logs = logs_of(self.reels)
        self.ids = Ids(_told(recording))
        # A signal handler that asks for something may have interrupted another question.
        self.lock = threading.RLock()


class _ReplaySource(PartSource):
    """One stream of the recording, from its first part to how it ended."""

    def __init__(
        self, tape: ReplayTransport, reel: Reel, log: Optional[RunLog], cut: Optional[int], corrupt: Optional[int]
    ) -> None:
        self.last_activity = time.monotonic()
        self._tape = tape
        self._ids = tape._ids
        self._steps = iter(reel.steps)
        self._last = reel.last
        self._log = log
        self._cut = cut
        self._corrupt = corrupt
        self._given = 0
        self._closing = Closing()
        self._over = False
        self._take_over(reel.opened.source)

    def __next__(self) -> StreamPart:
        while not (self._closing.is_set() or self._over):
            if self._given == self._cut:
                self._over = True
                raise ConnectionLost(
                    f"The replay has cut the connection after {self._given} parts, as it was to",
                    url=self._tape.header.url,
                )
            part = self._stepped(next(self._steps, None))
            if part is not None:
                return part
        raise StopIteration

    def finish(self) -> List[StreamPart]:
        return [self._made_mine(part) for part in self._last]

    def close(self) -> None:
        self._closing.set()

    def _stepped(self, step: Optional[Step]) -> Optional[StreamPart]:
        if step is None:
            self._no_more("breaks off here, as its program did")
        if self._tape.speed is not None:
            self._wait(step.pause / self._tape.speed)
        if self._closing.is_set():
            return None
        self.last_activity = time.monotonic()
        if step.part is not None:
            self.position = self.position if step.part.id is None else step.part.id
            self._note_shown(step.place)
        self._take_over(step.source)
        if step.end is not None:
            self._end(step)
        return None if step.part is None else self._counted(self._made_mine(step.part))

    def _end(self, step: Step) -> None:
        assert step.end is not None
        if step.end.how == "closed":
            self._no_more("ends here, for its program left the stream")
        self._over = True
        if step.end.error is not None:
            raise self._tape._raised(step.end.error)

    def _no_more(self, why: str) -> NoReturn:
        """The program that was recorded went no further; that it is about to leave is not told at once."""
        longest = None if self.patience is None else self.patience(self)
        if self._closing.wait(_TO_BE_LEFT if longest is None else min(longest, _TO_BE_LEFT)):
            raise StopIteration
        self._over = True
        run = f"run {self.run_id}" if self.run_id else f"thread {self.thread_id}"
        raise self._tape._unknown(f"more of the stream of {run}", f"It {why}. ")

    def _wait(self, seconds: float) -> None:
        longest = None if self.patience is None else self.patience(self)
        if longest is None or longest >= seconds:
            self._closing.wait(seconds)
        elif not self._closing.wait(longest):
            self._over = True
            raise ConnectionTimeout("The replay was silent for as long as was to be waited", url=self._tape.header.url)

    def _counted(self, part: StreamPart) -> StreamPart:
        number, self._given = self._given, self._given + 1
        if number != self._corrupt:
            return part
        text = codec.encode(part.data).decode("utf-8", "replace")
        return part._replace(data=Undecoded(text[:-1]))

    def _note_shown(self, place: int) -> None:
        if self._log is not None:
            with self._tape._lock:
                self._log.shown = max(self._log.shown, place + 1)

    def _made_mine(self, part: StreamPart) -> StreamPart:
        event, data, position = part
        text = type(data) is Undecoded
        return StreamPart(event, data if text else self._ids.mine(data), position)

    def _take_over(self, source: Mapping[str, Any]) -> None:
        for name, value in source.items():
            setattr(self, name, self._ids.mine(value) if name in ("thread_id", "run_id") else value)


def _given(path: Union[str, os.PathLike[str], None]) -> Path:
    if path is None:
        raise ConfigurationError(
            'transport="replay" needs a recording: Client(transport=partial(ReplayTransport, path="run.jsonl")), with '
            "ReplayTransport from lgsync.transports"
        )
    return Path(path)


def _loaded(path: Path) -> Recording:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(
            f"The recording {path} cannot be read: {exc.strerror}. Record it by running the program with "
            "RecordingTransport in place of ReplayTransport (in pytest, with --lgsync-record)"
        ) from exc
    return read(data, str(path))


def _checked_speed(speed: Optional[float]) -> Optional[float]:
    if speed is None or speed == math.inf:
        return None
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not speed > 0:
        raise ConfigurationError(f"speed must be a number above 0, or None for no pauses at all; not {speed!r}")
    return speed


def _counts(name: str, value: Union[int, Sequence[Optional[int]], None]) -> Iterator[Optional[int]]:
    """For each stream, in turn, after how many parts."""
    counts: List[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    for count in counts:
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise ConfigurationError(f"{name} must be a number of parts, or one for each stream; not {value!r}")
    return itertools.chain(counts, itertools.repeat(None))


def _told(recording: Recording) -> Iterator[Tuple[bool, str]]:
    """Each text of the recording, and whether the client said it."""
    for entry in recording.entries:
        line = written(entry)
        if isinstance(entry, (Call, Opened)):
            name = "request" if isinstance(entry, Call) else kind_of_request(entry.request)
            yield True, line_of(line[name]).decode("utf-8")
        yield False, line_of(line).decode("utf-8")


def _shown(request: Any) -> str:
    if isinstance(request, dict) and "method" in request:
        body = request.get("json")
        rest = "" if body is None else f" with {_shown(body)}"
        query = f" ?{_shown(request['params'])}" if request.get("params") else ""
        return f"{request['method']} {request['path']}{query}{rest}"
    text = line_of(request).decode("utf-8").strip()
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _listed(beginning: str, things: List[str]) -> str:
    if not things:
        return "Nothing is left of it. "
    more = f", and {len(things) - _SHOWN_REQUESTS} more" if len(things) > _SHOWN_REQUESTS else ""
    return f"{beginning}{', '.join(things[:_SHOWN_REQUESTS])}{more}. "
