"""HTTP, for every transport: REST calls and byte streams over one ``requests.Session`` per process."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import socket
import threading
import time
import weakref
from email.utils import formatdate
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Type, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import PoolManager
from urllib3.response import HTTPResponse
from urllib3.util.wait import wait_for_read

from .. import codec
from ..cutting import current, freed_by
from ..errors import ClientClosed, ConfigurationError, ConnectionTimeout, LgsyncError, ResponseError
from ..in_thread import done_aside, done_within
from ..paths import join_url, shown_url
from ..request_log import RequestLine, request_line
from ..transport import Response, Timeout, Transport, TransportConfig
from ._failures import translated
from ._hiding import Secrets
from .chunked import ChunkedBody

__all__ = ["MAX_REDIRECTS", "REDIRECTS", "ByteStream", "HTTPTransport", "dated", "origin_of", "restore_path"]

T = TypeVar("T")

# One connection is kept for each of so many threads at once; more connect anew rather than wait.
_POOL_SIZE = 512

MAX_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)

_READ_BYTES = 65536

_SHORTEST_WAIT = 0.001

# By how many seconds a read may wait too long.
_WAIT_TOLERANCE = 0.05

# A reader freed by shutdown leaves at once; this only bounds close() where the platform has no shutdown.
_CLOSE_SECONDS = 0.5

# What may stand in a path as it is: all that is quoted already, and what needs no quoting.
_PATH_CHARS = "/%:@!$&'()*+,;=~"

# What a stream depends on; no header of the caller's replaces it.
_STREAM_HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store", "Accept-Encoding": "identity"}


class HTTPTransport(Transport):
    """REST calls and byte streams to one server. The base of the transports; it starts no runs itself.

    Proxies and certificate authorities come from the environment, as ``requests`` takes them, or from the user's own
    session. A redirect is followed only within the server's origin, so no key reaches another one.
    """

    def __init__(self, config: TransportConfig) -> None:
        self.config = config
        self.timeout = config.timeout
        self._closed = False
        # By process id. A child made by fork leaves its parent's entry alone: those sockets and locks are not its own.
        self._processes: Dict[int, _Process] = {os.getpid(): _Process(config.session or _new_session())}

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
        fields = self._headers({"Accept": "application/json"}, headers)
        call = _Call.of(method, path, params, json, fields, timeout or self.config.timeout)
        return self._in_time(call, lambda: self._exchange(call), lambda _: None)

    def _exchange(self, call: _Call) -> Response:
        url = self.url_of(call.path)
        with contextlib.closing(self._send(call)) as answer, self._closing_noticed(), translated(url, call.timeout):
            if answer.status_code >= 500:
                _expect_the_end(answer)
            may_be_cut = call.end is not None or current() is not None
            body = _read_until(call, ByteStream(answer, url)) if may_be_cut else (answer.content or b"")
        return Response(answer.status_code, dated(answer.headers), _told(answer, body), url)

    def open_stream(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[Timeout] = None,
    ) -> ByteStream:
        """Make one call and leave its body open, whatever its status. Raises what :meth:`request` raises.

        ``timeout.total`` bounds all up to the head of the answer. The caller closes the stream; closing the transport
        does so too.
        """
        fields = self._headers({}, headers)
        fields.update(_STREAM_HEADERS)
        process = self._process()
        call = _Call.of(method, path, params, json, fields, timeout or self.config.timeout)
        answer = self._in_time(call, lambda: self._send(call), requests.Response.close)
        stream = ByteStream(answer, self.url_of(path))
        freed_by(stream.close)
        process.keep(stream)
        if self._closed:
            stream.close()
            raise _closed_error(self.config.url)
        return stream

    def url_of(self, path: str) -> str:
        """The whole URL of a path of this API."""
        return join_url(self.config.url, path)

    def close(self) -> None:
        """Free every connection, open streams too; a session of the user's own stays open."""
        self._closed = True
        process = self._processes.get(os.getpid())
        if process is not None:
            process.close(and_session=self.config.session is None)

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.config,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config.url!r})"

    def _process(self) -> _Process:
        if self._closed:
            raise _closed_error(self.config.url)
        pid = os.getpid()
        process = self._processes.get(pid)
        if process is None:
            # setdefault is atomic: threads that race here get the same one.
            process = self._processes.setdefault(pid, _Process(_session_after_fork(self.config.session)))
        return process

    @contextlib.contextmanager
    def _closing_noticed(self) -> Iterator[None]:
        try:
            yield
        except LgsyncError as exc:
            if self._closed:
                raise _closed_error(self.config.url) from exc
            raise

    def _headers(self, defaults: Mapping[str, str], call: Optional[Mapping[str, str]]) -> CaseInsensitiveDict[str]:
        merged: CaseInsensitiveDict[str] = CaseInsensitiveDict(defaults)
        merged.update(self.config.headers)
        merged.update(call or {})
        return merged

    def _in_time(self, call: _Call, work: Callable[[], T], discard: Callable[[T], None]) -> T:
        """What ``work`` returns, whose sockets' timeouts do not bound it where the call has an end."""
        if call.timeout.total is None:
            return work()
        return done_within(call.timeout.total, work, discard, lambda: _too_late(call, self.url_of(call.path)))

    def _send(self, call: _Call) -> requests.Response:
        """The answer, its body not read yet, after redirects that may be followed."""
        session = self._process().session
        url = asked = self.url_of(call.path)
        hops = 0
        while True:
            with request_line(call.method) as line, self._closing_noticed(), translated(asked, call.timeout):
                answer, location = _send_once(session, url, call, line, params=None if hops else call.params)
            if answer.status_code < 200:
                raise _interim_error(answer, asked)
            target = _redirect_target(answer, location, call.method, asked, url)
            if target is None:
                return answer
            hops += 1
            if hops > MAX_REDIRECTS:
                raise _redirect_error(answer, asked, target, f"after {MAX_REDIRECTS} redirects: a circle, it seems")
            answer.close()
            url = target


class _Call(NamedTuple):
    method: str
    path: str
    params: Optional[Mapping[str, Any]]
    json: Any
    headers: CaseInsensitiveDict[str]
    timeout: Timeout
    #: time.monotonic() by which all must be over.
    end: Optional[float]

    def __repr__(self) -> str:
        """Tools that log the variables of a failure show these: the headers by name alone, as the query."""
        return (
            f"_Call({self.method} {self.path}, params={sorted(self.params or ())!r}, "
            f"headers={sorted(self.headers)!r}, timeout={self.timeout!r})"
        )

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        params: Optional[Mapping[str, Any]],
        json: Any,
        headers: CaseInsensitiveDict[str],
        timeout: Timeout,
    ) -> _Call:
        end = None if timeout.total is None else time.monotonic() + timeout.total
        return cls(method, path, params, json, headers, timeout, end)

    def left(self, seconds: Optional[float], url: str) -> Optional[float]:
        """``seconds``, or what is left of the call's time; raises ConnectionTimeout if nothing is."""
        if self.end is None:
            return seconds
        left = self.end - time.monotonic()
        if left <= 0:
            raise _too_late(self, url)
        return left if seconds is None else min(seconds, left)


class _Process:
    """What one process owns: its session, and the streams open on it."""

    def __init__(self, session: requests.Session) -> None:
        self.session = session
        self._lock = threading.Lock()
        self._streams: weakref.WeakSet[ByteStream] = weakref.WeakSet()

    def keep(self, stream: ByteStream) -> None:
        with self._lock:
            self._streams.add(stream)

    def close(self, *, and_session: bool) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.close()
        if and_session:
            self.session.close()


class ByteStream:
    """The body of one answer, read as it arrives. One thread reads; any thread closes.

    ``status`` and ``headers`` are the answer's, ``url`` what was asked for, without its query.
    """

    def __init__(self, answer: requests.Response, url: str) -> None:
        self.status = answer.status_code
        self.headers: Mapping[str, str] = answer.headers
        self.url = url
        #: To be hidden wherever an error shows what was answered.
        self.secrets = _secrets_of(answer)
        #: time.monotonic() of the last bytes, or of the answer's head.
        self.last_activity = time.monotonic()
        self._answer = answer
        # Whoever takes it out is the one to close it.
        self._unreleased = [answer]
        self._chunked = ChunkedBody.of(answer.raw)
        self._pieces: Optional[Iterator[bytes]] = None
        # As it was set last; not known yet.
        self._longest_wait = -1.0
        self._closed = False
        self._ended = False
        # Held while reading, so that the response is never closed under a reader: that would block.
        self._reading = threading.Lock()

    def read(self, patience: Optional[float] = None) -> bytes:
        """What has arrived, as soon as anything has; ``b""`` at a clean end, and once the stream is closed.

        Raises ConnectionLost if the body breaks off, ConnectionTimeout if nothing comes within ``patience`` seconds, or
        within the read timeout of the call if there is no such number.
        """
        with self._reading:
            if patience is not None:
                self._wait_no_longer_than(patience)
            data = self._read_unless_closed()
        if self._closed:
            self._release()
            return b""
        self.last_activity = time.monotonic()
        return data

    def ready_within(self, seconds: float) -> Optional[bool]:
        """Whether a read would return at once, after waiting so long for that; None where that cannot be told."""
        with self._reading:
            chunks = self._chunked
            # Only there it is known that all that has arrived was read: nothing is kept in buffers on the way.
            if self._closed or self._ended:
                return True
            if chunks is None or not chunks.drained:
                return None
            found = _socket_of(self._answer)
            pending = getattr(found, "pending", int)
            # Closed by another thread meanwhile, there is nothing to wait for.
            with contextlib.suppress(OSError, ValueError):
                return found is None or pending() > 0 or wait_for_read(found, seconds)
            return True

    def _wait_no_longer_than(self, seconds: float) -> None:
        # Nearly the same, as it is from read to read, is left: to set it hands all other threads the interpreter.
        if seconds <= self._longest_wait <= seconds + min(_WAIT_TOLERANCE, seconds / 100):
            return
        found = _socket_of(self._answer)
        if found is not None:
            self._longest_wait = max(seconds, _SHORTEST_WAIT)
            # Closed by another thread meanwhile, it ends the read in its own way. Zero would mean not to wait at all.
            with contextlib.suppress(OSError):
                found.settimeout(self._longest_wait)

    def _read_unless_closed(self) -> bytes:
        data = b""
        try:
            if not (self._closed or self._ended):
                with translated(self.url, reading=True):
                    data = self._read_raw()
        except Exception:
            # A reader that close() has freed sees a broken connection, in one of many forms, and that is no news.
            if not self._closed:
                raise
        finally:
            self._ended = not data
        return data

    def _read_raw(self) -> bytes:
        if self._chunked is not None:
            return self._chunked.read(_READ_BYTES)
        raw = self._answer.raw
        if isinstance(raw, HTTPResponse):
            # The only read that gives what is there in every framing: chunked, compressed, or up to the end.
            return raw.read1(_READ_BYTES, decode_content=True) or b""
        if self._pieces is None:
            self._pieces = self._answer.iter_content(_READ_BYTES)
        return next(self._pieces, b"")

    def read_all(self, limit: int) -> bytes:
        """The rest of the body, up to about ``limit`` bytes, for an error to tell; then close."""
        pieces, size = [], 0
        with contextlib.closing(self):
            while size < limit:
                data = self.read()
                if not data:
                    break
                pieces.append(data)
                size += len(data)
        return self.secrets.hidden(b"".join(pieces))

    def close(self) -> None:
        """Free the connection and a reader that waits for it; idempotent, from any thread, within a second."""
        self._closed = True
        # At its end a body gives its connection back to the pool, where it may serve another call by now.
        if not self._ended:
            # Looked up first: a reader that is freed may take what it got for the end, and give the connection back.
            found = _socket_of(self._answer)
            # Closing the response would wait for a reader. Each of the errors says that there is nothing to shut down.
            with contextlib.suppress(AttributeError, ValueError, RuntimeError, OSError):
                self._answer.raw.shutdown()
                # That shuts one way only, and what a server still sends would go on to be read.
                _break(found)
        if self._reading.acquire(timeout=_CLOSE_SECONDS):
            self._reading.release()
            self._release()

    def _release(self) -> None:
        # Two threads that close at once: the slower one would close the connection when it serves another call already.
        with contextlib.suppress(IndexError):
            self._unreleased.pop().close()


def dated(headers: Mapping[str, str]) -> Mapping[str, str]:
    """An answer's headers, with the time when it came if they tell none (RFC 9110, 6.6.1)."""
    return headers if "date" in headers else CaseInsensitiveDict({**headers, "Date": formatdate(usegmt=True)})


def _secrets_of(answer: requests.Response) -> Secrets:
    # What a session's own adapter answers may lack the request.
    return Secrets(getattr(answer.request, "headers", None) or {})


def _told(answer: requests.Response, body: bytes) -> bytes:
    """The body; of one that is no data, which an error will show, without the secrets that it may quote."""
    is_data = answer.ok and "json" in answer.headers.get("content-type", "").lower()
    return body if is_data else _secrets_of(answer).hidden(body)


def _socket_of(answer: requests.Response) -> Optional[socket.socket]:
    """The socket that an answer's body still comes from; None if it was given back, or if there is none."""
    raw = answer.raw
    connection = getattr(raw, "connection", None)
    if connection is None:
        return None
    found = getattr(connection, "sock", None)
    if found is None:
        # An answer that ends with its connection has taken the socket over, and keeps only how to shut it down.
        found = getattr(getattr(raw, "_sock_shutdown", None), "__self__", None)
    return found if hasattr(found, "settimeout") else None


def _read_until(call: _Call, stream: ByteStream) -> bytes:
    """The whole body, if it comes by the end of the call; raises ConnectionTimeout otherwise."""
    freed_by(stream.close)
    pieces: List[bytes] = []
    while True:
        try:
            data = stream.read(call.left(call.timeout.read, stream.url))
        except ConnectionTimeout:
            # Of the last wait, what was left was the limit.
            call.left(None, stream.url)
            raise
        if not data:
            return b"".join(pieces)
        pieces.append(data)


def _expect_the_end(answer: requests.Response) -> None:
    """Servers hang up after an error of their own, without saying so: the next call would be lost to that."""
    connection = getattr(answer.raw, "connection", None)
    if connection is not None:
        connection.hangs_up = True


def _too_late(call: _Call, url: str) -> ConnectionTimeout:
    return ConnectionTimeout(
        f"{url} did not answer in full within {call.timeout.total or 0:g} s; allow it a larger deadline", url=url
    )


class _KnownConnection:
    """A pool that tells whose connection is in use, so that another thread can end a call."""

    def _get_conn(self, timeout: Optional[float] = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        freed_by(lambda: _break(connection.sock))
        return connection

    def _put_conn(self, conn: Any) -> None:
        # From now on it may serve another call.
        freed_by(_nothing)
        if getattr(conn, "hangs_up", False):
            # It is connected anew for the next call.
            conn.hangs_up = False
            conn.close()
        super()._put_conn(conn)  # type: ignore[misc]

    @property
    def ConnectionCls(self) -> Type[Any]:  # noqa: N802 (urllib3's name)
        return _connected_aside(super().ConnectionCls)  # type: ignore[misc]


class _ConnectedAside:
    """A connection that is made in a thread of its own where the call may be ended: names are looked up without limit,
    and that cannot be cut."""

    def connect(self) -> None:
        connect = super().connect  # type: ignore[misc]
        done_aside(lambda: [connect()], lambda _: self.close())  # type: ignore[attr-defined]
        freed_by(lambda: _break(self.sock))  # type: ignore[attr-defined]


@functools.cache
def _connected_aside(connection: Type[Any]) -> Type[Any]:
    return type(connection.__name__, (_ConnectedAside, connection), {})


@functools.cache
def _known(pool: Type[Any]) -> Type[Any]:
    return pool if issubclass(pool, _KnownConnection) else type(pool.__name__, (_KnownConnection, pool), {})


def _nothing() -> None:
    """Of a call that waits for nothing, there is nothing to end."""


def _break(sock: Optional[socket.socket]) -> None:
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _knowing(manager: PoolManager) -> None:
    kinds = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _known(pool) for scheme, pool in kinds.items()}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _knowing(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        _knowing(manager)
        return manager

    def close(self) -> None:
        """Close every idle connection now; left to itself, urllib3 waits until no answer of a pool is referred to."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (this container cannot be iterated)
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()


def _new_session() -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_maxsize=_POOL_SIZE, max_retries=0))
    return session


def _session_after_fork(own: Optional[requests.Session]) -> requests.Session:
    if own is None:
        return _new_session()
    try:
        copy: requests.Session = pickle.loads(pickle.dumps(own))  # noqa: S301 (what was dumped just here)
    except (TypeError, AttributeError, pickle.PicklingError) as exc:
        raise ConfigurationError(
            f"The session given to the client cannot be carried over a fork ({exc}); build a client in the child"
        ) from exc
    return copy


def _closed_error(url: str) -> ClientClosed:
    return ClientClosed(f"The client for {url} was closed; build a new one")


def _send_once(
    session: requests.Session, url: str, call: _Call, line: RequestLine, *, params: Optional[Mapping[str, Any]]
) -> Tuple[requests.Response, Optional[str]]:
    """The answer, and where it redirects to."""
    body = None if call.json is None else codec.encode(call.json)
    if body is not None:
        call.headers.setdefault("Content-Type", "application/json")
    places: List[str] = []

    def keep_location(answer: requests.Response, **_: Any) -> None:
        # Where it saw one, requests would look where it leads though it may not go there, and for that read the body of
        # the redirect to its end, however long that is.
        if answer.status_code in REDIRECTS and "location" in answer.headers:
            places[:] = [answer.headers.pop("location")]

    auth = _as_it_is if _has_authorization(session, call.headers) else None
    prepared = session.prepare_request(
        requests.Request(call.method, url, headers=call.headers, params=_query(params), data=body, auth=auth)
    )
    prepared.hooks["response"].append(keep_location)
    restore_path(prepared, url)
    settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
    wait = call.left(call.timeout.connect, url), call.left(call.timeout.read, url)
    line.sending(str(prepared.url))
    answer = session.send(prepared, timeout=wait, allow_redirects=False, **settings)
    line.answered(answer.status_code, answer.headers)
    return answer, (places[0] if places and answer.status_code in REDIRECTS else None)


def _query(params: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        return str(value).lower() if isinstance(value, bool) else value

    return {name: plain(value) for name, value in (params or {}).items()}


def _has_authorization(session: requests.Session, headers: Mapping[str, str]) -> bool:
    return "Authorization" in headers or ("Authorization" in session.headers and session.auth is None)


def _as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """An ``auth`` that adds nothing: given none, requests would replace the header by an entry of ~/.netrc."""
    return prepared


def restore_path(prepared: requests.PreparedRequest, url: str) -> None:
    """Undo what requests does to an encoded dot: it would decode it, and the id ``..`` would climb up the path."""
    path = urlsplit(url).path
    if "%2E" in path and prepared.url is not None:
        prepared.url = urlsplit(prepared.url)._replace(path=quote(path, safe=_PATH_CHARS)).geturl()


def _redirect_target(
    answer: requests.Response, location: Optional[str], method: str, asked: str, url: str
) -> Optional[str]:
    """Where to go on, or None if the answer is no redirect; raises ResponseError if it must not be followed."""
    if not location:
        return None
    try:
        target = urljoin(url, location)
        same_origin = origin_of(target) == origin_of(url)
    except ValueError as exc:
        raise _redirect_error(answer, asked, location, f"which is no URL ({exc})") from exc
    if not same_origin:
        raise _redirect_error(answer, asked, target, "which is another origin, and the key is not sent there")
    if answer.status_code not in (307, 308) and method.upper() not in ("GET", "HEAD"):
        raise _redirect_error(answer, asked, target, f"with a status that would turn {method} into GET")
    return target


def _interim_error(answer: requests.Response, asked: str) -> ResponseError:
    # The answer itself is still to come on this connection, and must not answer another call.
    answer.raw.close()
    answer.close()
    return ResponseError(
        f"{asked} answered {answer.status_code} first, which only says that an answer will follow and was not asked "
        "for. Does a proxy stand in between?",
        url=asked,
        status=answer.status_code,
    )


def _redirect_error(answer: requests.Response, asked: str, target: str, why: str) -> ResponseError:
    answer.close()
    return ResponseError(
        f"{asked} redirects to {shown_url(target)}, {why}. Give the client the URL of the API itself.",
        url=asked,
        status=answer.status_code,
        content_type=answer.headers.get("content-type", ""),
    )


def origin_of(url: str) -> Tuple[str, Optional[str], Optional[int]]:
    """Scheme, host and port, which two URLs of one server have in common; raises ValueError for what is no URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
