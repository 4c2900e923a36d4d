"""What can be wrong between here and a LangGraph server, looked at one by one; nothing is run on the server unasked."""

from __future__ import annotations

import os
import socket
import ssl
import time
import uuid
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

from ..client import API_KEY_VARIABLES, DEFAULT_URL
from ..errors import (
    APIStatusError,
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    LgsyncError,
    NotFoundError,
    PermissionDeniedError,
    RunError,
    UnprocessableEntityError,
)
from ..in_thread import done_within
from ..request_log import without_secrets
from ..transport import STREAM_MODES, PartSource, ThreadJoin, Timeout
from .options import Settings

if TYPE_CHECKING:
    from ..client import Client

__all__ = ["NOTE", "OK", "WRONG", "Finding", "findings"]

OK, NOTE, WRONG = "ok", "note", "wrong"

_CONNECT_SECONDS = 5.0
# So often servers send a heartbeat.
_BEAT_SECONDS = 5.0
# All at once within this time, though the run took longer: somebody has kept it back.
_TOGETHER_SECONDS = 0.1

_BUFFERS = (
    "Something in between keeps the stream back. Switch its buffering off for this server: nginx: proxy_buffering off; "
    "and proxy_cache off; Apache: flushpackets=on; a CDN or a load balancer: no caching, no compression and no "
    "inspection of responses of the type text/event-stream. Or go past it."
)


class Finding(NamedTuple):
    """What was looked at, how it is (OK, NOTE or WRONG), what was seen, and what to change."""

    check: str
    state: str
    seen: str
    advice: str = ""


def findings(settings: Settings, graph: Optional[str], wait: float) -> Iterator[Finding]:
    """Look at one thing after the other, and end where nothing that follows can be right."""
    url = settings.url or os.environ.get("LANGGRAPH_URL") or DEFAULT_URL
    source = "--url" if settings.url else "$LANGGRAPH_URL" if os.environ.get("LANGGRAPH_URL") else "the default"
    try:
        client = settings.client(timeout=(_CONNECT_SECONDS, settings.timeout or 15.0))
    except LgsyncError as exc:
        yield Finding("url", WRONG, str(exc), "Give the server's address: --url http://localhost:2024")
        return
    with client:
        yield Finding("url", OK, f"{url}, from {source}")
        proxy = _proxy_for(url)
        yield _proxy(url, proxy)
        if proxy is None:
            network = list(_network(url))
            yield from network
            if any(finding.state == WRONG for finding in network):
                return
        server = list(_server(client, settings))
        yield from server
        if any(finding.state == WRONG for finding in server):
            return
        yield from _streams(client, settings, graph, wait)


# -- the way there ----------------------------------------------------------------------------------------------


def _proxy_for(url: str) -> Optional[str]:
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(url, get_environ_proxies(url, None))


def _proxy(url: str, proxy: Optional[str]) -> Finding:
    if proxy is None:
        return Finding("proxy", OK, "none is set for this address")
    seen = f"requests go through {without_secrets(proxy)}, from HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
    host = urlsplit(url).hostname or ""
    if _is_here(host):
        return Finding("proxy", WRONG, seen, f"The server is on this machine: set NO_PROXY={host}")
    return Finding("proxy", NOTE, seen, f"If it gets in the way: NO_PROXY={host}")


def _network(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = done_within(
            _CONNECT_SECONDS,
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
            lambda _: None,
            lambda: TimeoutError(f"no answer within {_CONNECT_SECONDS:g} s"),
        )
    except OSError as exc:
        advice = "Check the host name in the URL, and this machine's name servers (or VPN)."
        yield Finding("dns", WRONG, f"{host} is not known: {exc.strerror or exc}", advice)
        return
    addresses = ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))
    yield Finding("dns", OK, addresses if addresses != host else f"{host} is an address")
    began = time.monotonic()
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
    except ConnectionRefusedError:
        advice = "Start the server (langgraph dev listens on port 2024), or correct the port in the URL."
        yield Finding("connection", WRONG, f"nothing listens on port {port} of {host}", advice)
        return
    except OSError as exc:
        advice = "Is the host up, and does a firewall stand in between?"
        yield Finding("connection", WRONG, f"port {port} of {host}: {exc.strerror or exc}", advice)
        return
    with connection:
        yield Finding("connection", OK, f"port {port} answered in {1000 * (time.monotonic() - began):.0f} ms")
        yield _tls(connection, host) if parts.scheme == "https" else _no_tls(host)


def _tls(connection: socket.socket, host: str) -> Finding:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    at = {"capath" if os.path.isdir(bundle) else "cafile": bundle}
    try:
        context = ssl.create_default_context(**at)  # type: ignore[arg-type]
        with context.wrap_socket(connection, server_hostname=host) as secured:
            until = (secured.getpeercert() or {}).get("notAfter")
            return Finding("tls", OK, f"{secured.version()}, certificate valid until {until}")
    except ssl.SSLCertVerificationError as exc:
        advice = "For an authority of your own set REQUESTS_CA_BUNDLE to its file."
        return Finding("tls", WRONG, f"the certificate is not trusted: {exc.verify_message}", advice)
    except ssl.SSLError as exc:
        advice = "Does this port speak TLS? If not, use http:// in the URL."
        return Finding("tls", WRONG, f"no TLS connection: {exc.reason or exc}", advice)
    except OSError as exc:
        return Finding("tls", WRONG, f"no TLS connection: {exc.strerror or exc}", f"Check {bundle}, and the port.")


def _no_tls(host: str) -> Finding:
    if _is_here(host):
        return Finding("tls", OK, "not needed on this machine")
    return Finding("tls", NOTE, "not used: the key and all messages can be read on the way", "Use https:// in the URL.")


def _is_here(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


# -- the server -------------------------------------------------------------------------------------------------


def _server(client: Client, settings: Settings) -> Iterator[Finding]:
    try:
        info: Mapping[str, Any] = dict(client.info())
    except (AuthenticationError, PermissionDeniedError) as exc:
        yield _refused(exc, settings)
        return
    except NotFoundError as exc:
        advice = "If its API has a path prefix, the URL must hold it: https://host/prefix."
        yield Finding("server", WRONG, f"there is no LangGraph API at this address ({_short(exc)})", advice)
        return
    except LgsyncError as exc:
        advice = "Is this the server's address, with its path prefix if it has one? Or a proxy has answered."
        yield Finding("server", WRONG, _short(exc), advice)
        return
    versions = [f"version {info.get('version') or 'not told'}"]
    for name, language in (("langgraph_py_version", "Python"), ("langgraph_js_version", "JavaScript")):
        versions += [f"LangGraph {info[name]} ({language})"] if info.get(name) else []
    yield Finding("server", OK, ", ".join(versions))
    try:
        found = client.assistants.search(limit=1)
    except (AuthenticationError, PermissionDeniedError) as exc:
        yield _refused(exc, settings)
        return
    except LgsyncError as exc:
        yield Finding(
            "key", WRONG, f"whether it is taken could not be found out: {_short(exc)}", "See the server's log."
        )
        return
    source = _key_source(settings)
    yield Finding("key", OK, f"taken, from {source}" if source else "none is sent, and none is asked for")
    if not found:
        yield Finding("graphs", NOTE, "the server has no assistant that this key may see", "Check its langgraph.json.")


def _key_source(settings: Settings) -> str:
    if settings.api_key:
        return "--api-key"
    return next((f"${name}" for name in API_KEY_VARIABLES if os.environ.get(name, "").strip()), "")


def _refused(error: APIStatusError, settings: Settings) -> Finding:
    source = _key_source(settings)
    seen = f"the server refuses the key from {source}" if source else "the server asks for a key, and none is set"
    other = f"Correct {source}" if source else "Set LANGGRAPH_API_KEY, or give --api-key"
    return Finding(
        "key", WRONG, f"{seen} (status {error.status_code}: {error.detail or 'no reason given'})", f"{other}."
    )


def _short(error: LgsyncError) -> str:
    return " ".join(str(error).split())[:300]


# -- streams ----------------------------------------------------------------------------------------------------


def _streams(client: Client, settings: Settings, graph: Optional[str], wait: float) -> Iterator[Finding]:
    try:
        thread_id = client.threads.create(metadata={"made_by": "lgsync doctor"}).thread_id
    except LgsyncError as exc:
        yield Finding(
            "streams", WRONG, f"no thread could be made to try them on: {_short(exc)}", "See the server's log."
        )
        return
    try:
        yield _modes(client, thread_id)
        yield _websocket(settings, thread_id)
        yield _heartbeats(client, thread_id, wait)
        if graph is not None:
            yield _run(client, thread_id, graph)
    finally:
        client.threads.delete(thread_id)


def _modes(client: Client, thread_id: str) -> Finding:
    """Ask for a run of an assistant that there is not: a mode that the server does not know is refused before that."""
    taken: List[str] = []
    unknown: List[str] = []
    unclear: Dict[str, str] = {}
    for mode in STREAM_MODES:
        body = {"assistant_id": str(uuid.uuid4()), "stream_mode": [mode], "input": {}}
        try:
            client.http.post(f"/threads/{thread_id}/runs/stream", json=body)
        except NotFoundError:
            taken.append(mode)
        except UnprocessableEntityError:
            unknown.append(mode)
        except ConnectionLost as exc:
            unclear[mode] = _short(exc)
            # Each of the others might take as long to fail.
            break
        except LgsyncError as exc:
            unclear[mode] = _short(exc)
        else:
            unclear[mode] = "the server did not say that there is no such assistant"
    seen = "; ".join(
        f"{word}: {', '.join(modes)}"
        for word, modes in (("known", taken), ("not known", unknown), ("not clear", list(unclear)))
        if modes
    )
    if {"messages-tuple", "values"} <= set(taken):
        return Finding("stream modes", OK, seen)
    reasons = "; ".join(sorted(set(unclear.values())))
    advice = "lgsync needs messages-tuple and values to show messages: update the server."
    return Finding("stream modes", NOTE if unclear else WRONG, f"{seen}{f' ({reasons})' if reasons else ''}", advice)


def _websocket(settings: Settings, thread_id: str) -> Finding:
    advice = "Until then use --transport sse, which needs no WebSocket."
    with settings.client("websocket", timeout=(_CONNECT_SECONDS, 10.0)) as client:
        try:
            client.runs.stream(thread_id, str(uuid.uuid4()), input={}).close()
        except APIStatusError as exc:
            # The command goes out when the socket is open and the subscription has been sent.
            if exc.url.endswith("/commands"):
                return Finding("websocket", OK, "the thread event protocol is spoken")
            if isinstance(exc, (AuthenticationError, PermissionDeniedError)):
                advice = f"A proxy may keep the key from the handshake, or refuse WebSockets. {advice}"
            return Finding("websocket", _needed(settings), _short(exc), advice)
        except LgsyncError as exc:
            return Finding("websocket", _needed(settings), _short(exc), f"A proxy may refuse WebSockets. {advice}")
    return Finding("websocket", OK, "the thread event protocol is spoken")


def _needed(settings: Settings) -> str:
    return WRONG if settings.transport == "websocket" else NOTE


class _Beats:
    """When heartbeats came; asked by the reader of a stream, before each wait."""

    def __init__(self, seconds: float) -> None:
        self.began = time.monotonic()
        self.at: List[float] = []
        self._end = self.began + seconds

    def patience(self, source: PartSource) -> float:
        if source.heartbeats > len(self.at):
            self.at += [time.monotonic() - self.began] * (source.heartbeats - len(self.at))
        # One that comes is enough: none of them is kept back.
        return 0.001 if self.at else max(self._end - time.monotonic(), 0.001)


def _heartbeats(client: Client, thread_id: str, wait: float) -> Finding:
    beats = _Beats(wait)
    try:
        source = client.transport.open_thread(ThreadJoin(thread_id, timeout=Timeout(_CONNECT_SECONDS, wait)))
        source.patience = beats.patience
        try:
            for _ in source:
                pass
        finally:
            source.close()
    except ConnectionLost:
        if not beats.at:
            return _no_heartbeat(client, wait)
    except LgsyncError as exc:
        return Finding("heartbeats", NOTE, f"could not be listened to: {_short(exc)}", "--graph NAME measures a run.")
    if not beats.at:
        return Finding("heartbeats", WRONG, "the stream ended before one came", _BUFFERS)
    return Finding("heartbeats", OK, f"the first came after {beats.at[0]:.1f} s: the stream is passed on as it comes")


def _no_heartbeat(client: Client, wait: float) -> Finding:
    info = dict(client.info())
    if info.get("langgraph_js_version") or info.get("context") == "js":
        seen = "JavaScript servers send none, so this does not tell whether streams are kept back"
        return Finding("heartbeats", NOTE, seen, "--graph NAME measures a run.")
    seen = f"none came within {wait:g} s, and servers send one every {_BEAT_SECONDS:g} s"
    if wait <= _BEAT_SECONDS:
        return Finding("heartbeats", NOTE, seen, "Wait for longer to find out: --wait 12.")
    return Finding("heartbeats", WRONG, seen, _BUFFERS)


def _run(client: Client, thread_id: str, graph: str) -> Finding:
    """Run the graph, and see whether its parts come one by one."""
    began = time.monotonic()
    came: List[float] = []
    hello = {"messages": [{"role": "user", "content": "Hello"}]}
    try:
        with client.runs.stream(thread_id, graph, input=hello) as run:
            came += [time.monotonic() - began for _ in run]
    except RunError as exc:
        return Finding("run", NOTE, f"{graph} failed: {exc.error}: {exc.detail}"[:300], "Look into the server's log.")
    except (ConnectionFailed, ConnectionLost) as exc:
        return Finding("run", WRONG, _short(exc), _BUFFERS)
    except LgsyncError as exc:
        return Finding("run", WRONG, _short(exc), "lgsync assistants ls shows what can be run.")
    return judged(graph, came, time.monotonic() - began)


def judged(graph: str, came: Sequence[float], took: float) -> Finding:
    """Whether the parts of a run that took so long, and came at these seconds of it, were passed on as they came."""
    if not came:
        return Finding("run", WRONG, f"{graph} sent nothing in {took:.1f} s", _BUFFERS)
    seen = f"{graph} sent {len(came)} parts in {took:.1f} s, the first after {came[0]:.1f} s"
    if took > 10 * _TOGETHER_SECONDS and came[-1] - came[0] < _TOGETHER_SECONDS:
        return Finding("run", WRONG, f"{seen}, all of them at once", _BUFFERS)
    return Finding("run", OK, seen)
