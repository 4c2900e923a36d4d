"""One WebSocket: JSON frames out and in, pings, and a close that any thread may call."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import threading
import time
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional
from urllib.parse import urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from websockets import exceptions as websockets_errors
from websockets.http11 import Response as Handshake
from websockets.sync.client import ClientConnection, connect

from .. import codec
from ..errors import ConfigurationError, ConnectionFailed, ConnectionLost, LgsyncError, ResponseError, status_error
from ..transport import Timeout
from ._failures import translated

__all__ = ["Connection", "Target", "open_connection"]

# Frames kept for a slow reader before it slows the server down.
_QUEUED_FRAMES = 8192

_CLOSE_SECONDS = 0.5

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
    target: Target, *, timeout: Timeout, max_message_bytes: int, compression: Optional[str] = None
) -> Connection:
    """Connect; returns once the server has accepted the handshake. ``compression`` is "deflate", or None for none.

    Raises ConnectionFailed if there is no connection, APIStatusError if the server refuses, ResponseError for a
    redirect: the key goes nowhere but where it was given for.
    """
    url = target.shown_url
    agent = next((value for name, value in target.headers.items() if name.lower() == "user-agent"), None)
    headers = {name: value for name, value in target.headers.items() if name.lower() not in _NOT_FOR_THE_HANDSHAKE}
    stack = contextlib.ExitStack()
    with _handshake_translated(url, timeout):
        # Entered as a context manager: websockets 17 warns of any other use.
        socket = stack.enter_context(
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
                max_size=max_message_bytes,
                max_queue=_QUEUED_FRAMES,
                create_connection=_Unredirected,
            )
        )
    return Connection(socket, stack, url)


@contextlib.contextmanager
def _handshake_translated(url: str, timeout: Timeout) -> Iterator[None]:
    """Turn what websockets raises while it connects into ConnectionFailed, or the error of the server's refusal."""
    try:
        with translated(url, timeout), _as_requests_raises():
            yield
    except _Refused as exc:
        raise _refusal(url, exc.response) from exc.__cause__
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
        raise ConnectionFailed(str(exc), url=url) from exc


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

    ``ended`` becomes True when the server has closed it cleanly (code 1000).
    """

    def __init__(self, socket: ClientConnection, stack: contextlib.ExitStack, url: str) -> None:
        self.url = url
        self.ended = False
        #: time.monotonic() of the last frame.
        self.last_activity = time.monotonic()
        self._socket = socket
        self._stack = stack
        self._pid = os.getpid()
        self._closed = False
        self._receiving = threading.Lock()

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send one JSON frame, as text: servers break off at binary ones."""
        try:
            self._socket.send(codec.encode(frame), text=True)
        except websockets_errors.ConnectionClosed as exc:
            raise self._lost(exc) from exc

    def receive(self, timeout: Optional[float]) -> Optional[Dict[str, Any]]:
        """The next frame; None if none came in time, if the server closed cleanly, or after :meth:`close`.

        Raises ConnectionLost for any other end, the status' own error if the close code names one, and ResponseError
        for a frame that is no JSON object.
        """
        with self._receiving:
            if self._closed:
                return None
            try:
                text = self._socket.recv(timeout, decode=False)
            except TimeoutError:
                return None
            except websockets_errors.ConnectionClosed as exc:
                self._note_end(exc)
                return None
        self.last_activity = time.monotonic()
        return self._frame(text)

    def ping(self) -> threading.Event:
        """Ask the server for a sign of life; the event is set when it comes."""
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
            with contextlib.suppress(OSError):
                self._socket.socket.shutdown(2)
            self._leave()
            return
        try:
            self._leave()
        finally:
            self._receiving.release()

    def _leave(self) -> None:
        with contextlib.suppress(OSError, websockets_errors.WebSocketException):
            self._stack.close()

    def _frame(self, text: bytes) -> Dict[str, Any]:
        try:
            frame = codec.decode(text)
        except ValueError as exc:
            raise self._strange(text) from exc
        if not isinstance(frame, dict):
            raise self._strange(text)
        return frame

    def _strange(self, text: bytes) -> ResponseError:
        snippet = text[:200].decode("utf-8", "replace")
        message = f"{self.url} sent a frame that is no JSON object: {snippet!r}. Is it a LangGraph server?"
        return ResponseError(message, url=self.url, status=101, snippet=snippet)

    def _note_end(self, exc: websockets_errors.ConnectionClosed) -> None:
        close = exc.rcvd or exc.sent
        if close is not None and close.code == 1000:
            self.ended = True
        elif not self._closed:
            raise self._lost(exc) from exc

    def _lost(self, exc: websockets_errors.ConnectionClosed) -> LgsyncError:
        close = exc.rcvd or exc.sent
        if close is None:
            return ConnectionLost(
                f"The WebSocket {self.url} broke off without a closing frame (code 1006)", url=self.url
            )
        if 4400 <= close.code < 4600:
            body = {"detail": close.reason} if close.reason else ""
            return status_error(close.code - 4000, method="GET", url=self.url, body=body)
        said = f"code {close.code}" + (f", {close.reason!r}" if close.reason else "")
        hint = ""
        if close.code == 1009:
            hint = ": a message was larger than the transport's max_message_bytes, which can be raised"
        return ConnectionLost(f"The WebSocket {self.url} was closed with {said}{hint}", url=self.url)


class _Refused(Exception):
    """The server answered the handshake with something else than an upgrade."""

    def __init__(self, response: Handshake) -> None:
        super().__init__(response.status_code)
        self.response = response


class _Unredirected(ClientConnection):
    """A connection that follows no redirect: websockets would send the key along to another origin."""

    def handshake(self, *args: Any, **options: Any) -> None:
        try:
            super().handshake(*args, **options)
        except websockets_errors.InvalidStatus as exc:
            raise _Refused(exc.response) from exc


def _refusal(url: str, response: Handshake) -> LgsyncError:
    status = response.status_code
    body = (response.body or b"").decode("utf-8", "replace")
    if 300 <= status < 400:
        where = urlsplit(response.headers.get("Location", ""))._replace(query="", fragment="").geturl()
        return ResponseError(
            f"{url} redirects to {where or 'nowhere'}. Give the client the URL of the API itself.",
            url=url,
            status=status,
        )
    if status == 200:
        return ResponseError(
            f"{url} answered 200 where a WebSocket was due. Does a proxy stand in between that cannot pass it on?",
            url=url,
            status=status,
            snippet=body[:200],
        )
    told: Any = body
    with contextlib.suppress(ValueError):
        told = codec.decode(body)
    if status == 404:
        told = {"detail": _TOO_OLD}
    return status_error(status, method="GET", url=url, body=told)


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
