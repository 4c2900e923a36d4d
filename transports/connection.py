"""One WebSocket: JSON frames out and in, pings, and a close that any thread may call."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import logging
import os
import re
import socket
import ssl
import threading
import time
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Type, cast
from urllib.parse import urljoin, urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from websockets import exceptions as websockets_errors
from websockets.client import ClientProtocol
from websockets.frames import Close, CloseCode
from websockets.http11 import Response as Handshake
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from .. import codec
from ..answers import SNIPPET_CHARS, error_of
from ..bodies import text_of
from ..errors import (
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DecodeError,
    EventTooLarge,
    LgsyncError,
    ResponseError,
    status_error,
)
from ..paths import shown_url
from ..request_log import RequestLine, request_line
from ..transport import Response, Timeout
from ._failures import translated
from ._hiding import Secrets
from .frames import Event, Intake, Message
from .http import MAX_REDIRECTS, REDIRECTS, dated, origin_of, restore_path
from .inbox import Inbox

__all__ = ["Connection", "Target", "open_connection"]

_CLOSE_SECONDS = 0.5

_SHORTEST_WAIT = 0.001

# How often a reader looks whether the connection is being closed.
_GLANCE_SECONDS = 0.5

# How long a peer that reads nothing may keep a command from being sent, and a ping or the closing frame.
_SEND_SECONDS = 10.0
_BLOCKED_SECONDS = 0.1

# What the handshake has of its own, and what only concerns HTTP bodies.
_NOT_FOR_THE_HANDSHAKE = frozenset(
    {
        "accept",
        "accept-encoding",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "host",
        "upgrade",
        "user-agent",
    }
)

_TOO_OLD = (
    'this server has no event streaming over WebSocket (it is too old, or switched off): use transport="sse". '
    "Or the path is wrong"
)


class Target(NamedTuple):
    """Where to connect, as a ``requests`` session would: its URL (http or https), headers, certificates and proxy."""

    url: str
    headers: Dict[str, str]
    tls: Optional[ssl.SSLContext]
    proxy: Optional[str]

    def __repr__(self) -> str:
        """Tools that log the variables of a failure show these: the headers by name alone."""
        return f"Target({self.shown_url!r}, headers={sorted(self.headers)!r})"

    @classmethod
    def of(
        cls, session: requests.Session, url: str, headers: Mapping[str, str], params: Optional[Mapping[str, Any]] = None
    ) -> Target:
        """What the session would send to ``url``: its own headers, cookies and credentials are among it."""
        with translated(url):
            prepared = session.prepare_request(
                requests.Request(
                    "GET", url, headers=headers, params=dict(params or {}), auth=_own_auth(session, headers)
                )
            )
            restore_path(prepared, url)
            settings = session.merge_environment_settings(prepared.url, {}, False, None, None)
            tls = _tls(settings["verify"], settings["cert"]) if url.startswith("https:") else None
            proxy = select_proxy(str(prepared.url), settings["proxies"])
        return cls(str(prepared.url), {name: _text(value) for name, value in prepared.headers.items()}, tls, proxy)

    @property
    def websocket_url(self) -> str:
        return "ws" + self.url[len("http") :]

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine, as far as its name or address tells."""
        host = urlsplit(self.url).hostname or ""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(host).is_loopback
        return host == "localhost" or host.endswith(".localhost")

    @property
    def shown_url(self) -> str:
        """The URL for messages: a query may hold what is not for every eye."""
        return urlsplit(self.websocket_url)._replace(query="", fragment="").geturl()


def open_connection(
    target: Target, *, timeout: Timeout, max_event_bytes: int, compression: Optional[str] = None
) -> Connection:
    """Connect; returns once the server has accepted the handshake. ``compression`` is "deflate", or None for none.

    A redirect is followed within the server's origin; ``timeout.total`` bounds all of it. Raises ConnectionFailed if
    there is no connection, APIStatusError if the server refuses, ResponseError for a redirect elsewhere: the key goes
    nowhere but where it was given for.
    """
    end = None if timeout.total is None else time.monotonic() + timeout.total
    for _ in range(MAX_REDIRECTS):
        if end is not None:
            # Zero would be refused, or taken for no timeout at all.
            left = max(end - time.monotonic(), _SHORTEST_WAIT)
            timeout = timeout._replace(connect=left if timeout.connect is None else min(timeout.connect, left))
        try:
            return _connected(target, timeout, max_event_bytes, compression)
        except _Redirected as exc:
            target = target._replace(url=exc.url)
    url = target.shown_url
    raise ResponseError(f"{url} redirects again and again: a circle, it seems", url=url, status=307)


def _connected(target: Target, timeout: Timeout, max_event_bytes: int, compression: Optional[str]) -> Connection:
    url = target.shown_url
    agent = next((value for name, value in target.headers.items() if name.lower() == "user-agent"), None)
    headers = {name: value for name, value in target.headers.items() if name.lower() not in _NOT_FOR_THE_HANDSHAKE}
    with request_line("GET") as line, contextlib.ExitStack() as entered, _handshake_translated(target, timeout, line):
        line.sending(target.websocket_url)
        # Entered as a context manager: websockets 17 warns of any other use.
        connection: Any = entered.enter_context(
            connect(
                target.websocket_url,
                additional_headers=headers,
                user_agent_header=agent,
                ssl=target.tls,
                proxy=target.proxy,
                compression=compression,
                open_timeout=timeout.connect,
                # Silence is answered by pings of our own, and only where somebody reads.
                ping_interval=None,
                close_timeout=_CLOSE_SECONDS,
                max_size=max_event_bytes,
                # What is kept for a slow reader is bounded by the inbox.
                max_queue=None,
                create_connection=cast("Type[ClientConnection]", functools.partial(_Guarded, longest=max_event_bytes)),
                logger=_WithoutDebug(logging.getLogger("websockets.client"), {}),
            )
        )
        line.answered(101)
        stack = entered.pop_all()
    return Connection(connection, stack, url, max_event_bytes, Secrets(target.headers))


@contextlib.contextmanager
def _handshake_translated(target: Target, timeout: Timeout, line: RequestLine) -> Iterator[None]:
    """Turn what websockets raises while it connects into ConnectionFailed, or the error of the server's refusal."""
    url = target.shown_url
    try:
        with translated(url, timeout), _as_requests_raises():
            yield
    except _Refused as exc:
        line.answered(exc.response.status_code)
        elsewhere = _redirect(target.url, exc.response)
        if elsewhere is not None:
            raise _Redirected(elsewhere) from exc
        # In the exception itself, which will be shown as the cause.
        secrets, answer = Secrets(target.headers), exc.response
        answer.body = secrets.hidden(bytes(answer.body or b""))
        refusal = _refusal(url, answer)
        if any(secrets.hidden_in_text(value) != value for _, value in answer.headers.raw_items()):
            # Some releases of websockets let none be put there that no server should have sent.
            answer.headers = type(answer.headers)()
        raise refusal from exc.__cause__
    except (websockets_errors.ProxyError, websockets_errors.InvalidProxy) as exc:
        why = "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY; NO_PROXY exempts hosts."
        raise ConnectionFailed(f"Cannot connect to {url}: the proxy did not connect ({exc}). {why}", url=url) from exc
    except websockets_errors.WebSocketException as exc:
        why = f"the server does not speak WebSocket here ({exc})"
        raise ConnectionFailed(f"Cannot connect to {url}: {why}", url=url) from exc
    except ImportError as exc:
        raise ConfigurationError(f"Cannot connect to {url} through the proxy of the environment: {exc}") from exc
    except ConnectionLost as exc:
        # Nothing is started by a handshake, so one that breaks has changed nothing.
        raise ConnectionFailed(str(exc), url=url) from exc.__cause__


@contextlib.contextmanager
def _as_requests_raises() -> Iterator[None]:
    """Wrap what the network does as requests would, so that one translation and one advice serves both."""
    try:
        yield
    except TimeoutError as exc:
        raise requests.exceptions.ConnectTimeout(exc) from exc
    except OSError as exc:
        raise requests.exceptions.ConnectionError(exc) from exc


class Connection:
    """An open WebSocket. One thread receives; any thread closes.

    ``ended`` becomes True when the server has closed it cleanly (code 1000); ``close_code`` is the code of any end that
    was not of our own choice: the server's, that with which a breach of the protocol was refused, or 1006.
    """

    def __init__(
        self,
        socket: _Guarded,
        stack: contextlib.ExitStack,
        url: str,
        max_event_bytes: int,
        secrets: Secrets,
    ) -> None:
        self.url = url
        self.ended = False
        self.close_code: Optional[int] = None
        #: time.monotonic() of the last frame.
        self.last_activity = time.monotonic()
        self._socket = socket
        self._at_hand = socket.inbox.at_hand
        self._stack = stack
        self._secrets = secrets
        self.max_event_bytes = max_event_bytes
        #: How many bytes of frames were received so far.
        self.received = 0
        self._pid = os.getpid()
        self._closed = False
        self._receiving = threading.Lock()

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send one JSON frame, as text: servers break off at binary ones."""
        if self._blocked(_SEND_SECONDS):
            raise ConnectionTimeout(f"{self.url} reads nothing of what is sent to it", url=self.url)
        try:
            self._socket.send(codec.encode(frame), text=True)
        except websockets_errors.ConnectionClosed as exc:
            raise self._lost(exc) from exc

    def take(self) -> Optional[Dict[str, Any]]:
        """The next frame if it came together with the last one; None if it has to be fetched, or after :meth:`close`.

        Raises what :meth:`receive` raises for a frame that is none.
        """
        return self._frame(self._at_hand.popleft()) if self._at_hand and not self._closed else None

    def receive(self, timeout: Optional[float]) -> Optional[Dict[str, Any]]:
        """The next frame; None if none came in time, if the server closed cleanly, or after :meth:`close`.

        Raises ConnectionLost for any other end, the status' own error if the close code names one, EventTooLarge for a
        frame over the limit, DecodeError for one that is no JSON, and ResponseError for JSON that is no object.
        """
        with self._receiving:
            if self._closed:
                return None
            try:
                data = self._receive(timeout)
            except TimeoutError:
                return None
            except websockets_errors.ConnectionClosed as exc:
                self._note_end(exc)
                return None
        return None if self._closed else self._frame(data)

    def _receive(self, timeout: Optional[float]) -> Message:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _GLANCE_SECONDS if deadline is None else deadline - time.monotonic()
            try:
                return self._socket.recv(min(left, _GLANCE_SECONDS), decode=False)
            except TimeoutError:
                if self._socket.state is not State.OPEN:
                    # Whoever was to end the connection by now does not: websockets would wait for it for ever.
                    self._leave()
                elif left <= _GLANCE_SECONDS and deadline is not None:
                    raise

    def ping(self) -> threading.Event:
        """Ask the server for a sign of life; the event is set when it comes."""
        if self._blocked():
            # A server that does not read gives none.
            return threading.Event()
        try:
            return self._socket.ping()
        except websockets_errors.ConnectionClosed:
            # Whoever receives next learns why.
            return threading.Event()

    def close(self) -> None:
        """Free the socket, its thread and a blocked reader; idempotent, within a second."""
        self._closed = True
        if os.getpid() != self._pid:
            # The parent still talks over this socket.
            return
        if not self._receiving.acquire(blocking=False):
            # A reader waits: a closing handshake would keep it waiting for as long as a dead peer takes.
            self._break()
            self._leave()
            return
        try:
            self._leave()
        finally:
            self._receiving.release()

    def _leave(self) -> None:
        if self._blocked():
            self._break()
        if threading.current_thread() is self._socket.recv_events_thread:
            # Garbage may be collected in any thread; this one frees the rest itself, once it sees the socket's end.
            self._break()
            return
        with contextlib.suppress(OSError, websockets_errors.WebSocketException):
            self._stack.close()

    def _blocked(self, seconds: float = _BLOCKED_SECONDS) -> bool:
        """Whether nothing can be sent, as what is being sent does not leave: the pongs of a flood of pings, say."""
        if not self._socket.protocol_mutex.acquire(timeout=seconds):
            return True
        self._socket.protocol_mutex.release()
        return False

    def _break(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.socket.shutdown(socket.SHUT_RDWR)

    def _frame(self, data: Message) -> Dict[str, Any]:
        self.last_activity = time.monotonic()
        self.received += len(data)
        try:
            frame = codec.decode(data)
        except (ValueError, RecursionError) as exc:
            text = self._secrets.hidden(bytes(data)).decode("utf-8", "replace")
            raise DecodeError(self._strange(text), url=self.url, status=101, text=text) from exc
        if not isinstance(frame, dict):
            text = self._secrets.hidden(bytes(data)).decode("utf-8", "replace")
            raise ResponseError(self._strange(text), url=self.url, status=101, snippet=text[:SNIPPET_CHARS])
        return frame

    def _strange(self, text: str) -> str:
        return f"{self.url} sent a frame that is no JSON object: {text[:SNIPPET_CHARS]!r}. Is it a LangGraph server?"

    def _note_end(self, exc: websockets_errors.ConnectionClosed) -> None:
        if self._closed:
            return
        lost = self._lost(exc)
        self.ended = self.close_code == CloseCode.NORMAL_CLOSURE
        if not self.ended:
            raise lost from exc

    def _lost(self, exc: websockets_errors.ConnectionClosed) -> LgsyncError:
        for each in filter(None, (exc.rcvd, exc.sent)):
            # In the exception itself, which will be shown as the cause.
            each.reason = self._secrets.hidden_in_text(each.reason)
        # A code of our own is a refusal, whatever the server answers to it; its own we only send back.
        echoed = exc.rcvd_then_sent and exc.rcvd == exc.sent
        refused = exc.sent is not None and not echoed
        close = exc.sent if refused else exc.rcvd
        self.close_code = CloseCode.ABNORMAL_CLOSURE.value if close is None else int(close.code)
        if close is None:
            return ConnectionLost(
                f"The WebSocket {self.url} broke off without a closing frame (code 1006)", url=self.url
            )
        if close.code == CloseCode.MESSAGE_TOO_BIG:
            return self._too_large(close, refused)
        if 4400 <= close.code < 4600:
            body = {"detail": close.reason} if close.reason else ""
            return status_error(close.code - 4000, method="GET", url=self.url, body=body)
        breach = refused and not self._closed
        what = "was given up, as the server broke its rules:" if breach else "was closed with"
        return ConnectionLost(f"The WebSocket {self.url} {what} {_said(close)}", url=self.url)

    def _too_large(self, close: Close, refused: bool) -> EventTooLarge:
        limit = f"max_event_bytes, {self.max_event_bytes} bytes"
        if refused:
            message = (
                f"{self.url} sent an event larger than the transport takes ({limit}); build the transport with a "
                f"larger max_event_bytes if that is meant to be ({_said(close)})"
            )
        else:
            message = (
                f"The WebSocket {self.url} was closed with {_said(close)}: a message was larger than the server, or a "
                f"proxy in between, lets pass. The transport's own limit ({limit}) is another, which may be raised too"
            )
        return EventTooLarge(message, url=self.url, status=101)


def _said(close: Close) -> str:
    return f"code {int(close.code)}" + (f", {close.reason!r}" if close.reason else "")


class _WithoutDebug(logging.LoggerAdapter):  # type: ignore[type-arg]
    """What websockets logs, but for its DEBUG lines: these show the headers of handshakes, with the key, and frames."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 (logging's own name)
        return level > logging.DEBUG and super().isEnabledFor(level)


class _Refused(Exception):
    """The server answered the handshake with something else than an upgrade."""

    def __init__(self, response: Handshake) -> None:
        super().__init__(response.status_code)
        self.response = response


class _Redirected(Exception):
    """The handshake is to be made at another path of the same server."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class _Guarded(ClientConnection):
    """A connection that follows no redirect by itself (with the key), and that no server can make grow without end."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol, *, longest: int, **options: Any) -> None:
        self._intake = Intake(protocol, longest)
        # websockets has no option for a protocol of one's own.
        protocol.receive_data = self._intake.receive_data  # type: ignore[method-assign,assignment]
        protocol.events_received = self._events_received  # type: ignore[method-assign,assignment]
        super().__init__(sock, protocol, **options)
        # Before the handshake nothing is put there.
        self.inbox = Inbox(self.recv_flow_control.acquire, self.recv_flow_control.release)
        self.recv_messages = self.inbox  # type: ignore[assignment]

    def handshake(self, *args: Any, **options: Any) -> None:
        try:
            super().handshake(*args, **options)
        except websockets_errors.InvalidStatus as exc:
            raise _Refused(exc.response) from exc
        except BaseException:
            # An interrupt from the keyboard, too: of that websockets does not think here.
            self.close_socket()
            raise

    def _events_received(self) -> List[Event]:
        """What websockets is to look at; messages are brought right here, before it sends its answers to the rest.

        It drops what it has not looked at where these cannot be sent, as when a server closes behind its messages.
        """
        events: List[Event] = []
        for event in self._intake.events_received():
            if isinstance(event, list):
                self.inbox.put(event)
            else:
                events.append(event)
        return events


def _redirect(url: str, response: Handshake) -> Optional[str]:
    """Where the handshake is to be made instead, if that is the same origin."""
    places = response.headers.get_all("Location")
    if response.status_code not in REDIRECTS or len(places) != 1 or not places[0]:
        return None
    try:
        # A WebSocket's scheme has its twin among those of HTTP.
        there = re.sub(r"^ws(?=s?:)", "http", urljoin(url, places[0]), flags=re.IGNORECASE)
        # Older releases of websockets give bytes that are no text as what no text can hold; that is a ValueError too.
        return there if origin_of(there) == origin_of(url) and there.encode("utf-8") else None
    except ValueError:
        return None


def _refusal(url: str, response: Handshake) -> LgsyncError:
    status = response.status_code
    if 300 <= status < 400:
        where = response.headers.get_all("Location")[:1]
        place = shown_url(where[0]) if where else "nowhere"
        shown = place.encode("utf-8", "replace").decode("utf-8")
        return ResponseError(
            f"{url} redirects to {shown or 'itself'}. Give the client the URL of the API itself.",
            url=url,
            status=status,
        )
    if status < 300:
        return ResponseError(
            f"{url} answered {status} where a WebSocket was due. Does a proxy stand in between that cannot pass it on?",
            url=url,
            status=status,
            content_type=", ".join(response.headers.get_all("Content-Type")),
            snippet=text_of(bytes(response.body or b""), "")[:SNIPPET_CHARS],
        )
    fields = {name.lower(): value for name, value in response.headers.raw_items()}
    body = codec.encode({"detail": _TOO_OLD}) if status == 404 else bytes(response.body or b"")
    return error_of(Response(status, dated(fields), body, url), "GET")


def _own_auth(session: requests.Session, headers: Mapping[str, str]) -> Any:
    """An ``auth`` that adds nothing, where a header says it already: requests would prefer an entry of ~/.netrc."""
    named = any(name.lower() == "authorization" for name in (*headers, *(session.headers if not session.auth else ())))
    return (lambda prepared: prepared) if named else None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _tls(verify: Any, cert: Any) -> ssl.SSLContext:
    """What requests would trust: an authority's file or folder, certifi's, or (verify=False) anybody."""
    bundle = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
    folder = os.path.isdir(bundle)
    context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context
