"""The client: one server, one transport, and the resources behind it."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, List, Mapping, NamedTuple, Optional, Tuple, Type, Union
from urllib.parse import urlsplit

from ._version import version
from .deadline import checked
from .errors import (
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    DeadlineExceeded,
    InternalServerError,
    NotFoundError,
    ResponseError,
    WrongType,
)
from .paths import shown_url
from .resources._options import call_options
from .resources.assistants import AssistantsClient
from .resources.crons import CronsClient
from .resources.http import HTTPClient
from .resources.runs import RunsClient
from .resources.store import StoreClient
from .resources.threads import ThreadsClient
from .rest import CallSettings, Rest, named_headers
from .retry import NEVER, Retry
from .run_defaults import RunDefaults
from .tracing import Tracing
from .transport import Timeout, TimeoutValue, Transport, TransportConfig, TransportFactory, resolve

if TYPE_CHECKING:
    import requests

    from .models import ServerInfo

__all__ = ["Client"]

DEFAULT_URL = "http://localhost:2024"
API_KEY_HEADER = "x-api-key"
API_KEY_VARIABLES = ("LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")


class _FromEnvironment(str):
    """The default of ``api_key``: look in the environment."""

    def __repr__(self) -> str:
        return "<from the environment>"


FROM_ENVIRONMENT = _FromEnvironment()


class _Unchanged:
    """The default of what a view of a client may have of its own."""

    def __repr__(self) -> str:
        return "<unchanged>"


UNCHANGED: Any = _Unchanged()
DEFAULT_TIMEOUT = Timeout()
_RUN_DEFAULTS = RunDefaults()

_RESOURCES = ("assistants", "threads", "runs", "crons", "store", "http")
_ITS_OWN = frozenset([*_RESOURCES, "transport", "_common", "_owns_transport", "_rest"])


class Client:
    """A blocking client for one LangGraph server.

    ::

        client = Client("http://localhost:2024")
        thread = client.threads.create()
        with client.runs.stream(thread.thread_id, "agent", input={"messages": [...]}) as run:
            for piece in run.text():
                print(piece, end="", flush=True)

    :param url: the server's base URL, path prefix included. Default: ``$LANGGRAPH_URL``, else http://localhost:2024.
    :param transport: ``"sse"`` or ``"websocket"``, the name of an installed one, or a Transport (class or object).
    :param api_key: sent as ``x-api-key``. Default: the first of ``$LANGGRAPH_API_KEY``, ``$LANGSMITH_API_KEY`` and
        ``$LANGCHAIN_API_KEY`` that is set. None sends none.
    :param headers: sent with every request, and in a WebSocket's handshake.
    :param timeout: seconds, for connecting and for the next sign of life (heartbeats of the server count); a (connect,
        read) pair; or None to wait for ever.
    :param deadline: seconds after which a call must be over, however its time is spent: a whole stream too. Each call
        can have its own. Default: none.
    :param reconnect: for how many seconds a run's stream that broke is taken up again, counted from the last sign of
        life, before StreamLost is raised. 0 does not try.
    :param retries: how often a call that changes nothing (GET, and searches and counts, which are POSTs) is made again
        when its connection breaks, or the server answers 408, 425, 429, 502, 503 or 504 (``Retry-After`` is kept to, up
        to 30 s); and any call that was refused before anything of it was sent. Default: 2 times, GET and refused ones
        alone. 0 is never. No call that may have had an effect is ever made again.
    :param run_defaults: what runs are started and streamed with where the call does not say.
    :param tracing: True tells OpenTelemetry (``pip install 'lgsync[otel]'``) of each call and each streamed run, and
        sends ``traceparent`` on; a TracerProvider of yours does so too.
    :param session: a ``requests.Session`` of yours, for proxies, certificates or adapters.

    One client serves many threads. It can be pickled, survives a fork, and is a context manager.
    Raises ConfigurationError for a bad argument; no connection is made before the first call.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        transport: Union[str, Transport, TransportFactory] = "sse",
        api_key: Optional[str] = FROM_ENVIRONMENT,
        headers: Optional[Mapping[str, str]] = None,
        timeout: TimeoutValue = DEFAULT_TIMEOUT,
        deadline: Optional[float] = None,
        reconnect: float = 60.0,
        retries: Optional[int] = None,
        run_defaults: RunDefaults = _RUN_DEFAULTS,
        tracing: object = False,
        session: Optional[requests.Session] = None,
    ) -> None:
        _refuse_strange(session, run_defaults)
        common = _Common(checked(deadline), _budget(reconnect), retries, run_defaults, tracing)
        if isinstance(transport, Transport):
            given = {"url": url, "headers": headers, "session": session}
            names = [name for name, value in given.items() if value is not None]
            names += ["api_key"] if api_key is not FROM_ENVIRONMENT and api_key is not None else []
            names += ["timeout"] if timeout is not DEFAULT_TIMEOUT else []
            _refuse_beside_an_object(names)
            self._use(transport, common.settings(), common)
            return
        config = TransportConfig(
            url=_base_url(url if url is not None else os.environ.get("LANGGRAPH_URL") or DEFAULT_URL),
            headers=_headers(api_key, headers),
            timeout=Timeout.of(timeout),
            session=session,
        )
        self._use(resolve(transport, config), common.settings(), common)

    def _use(self, transport: Transport, settings: CallSettings, common: _Common, *, owns: bool = True) -> None:
        self.transport = transport
        self._common = common
        self._owns_transport = owns
        self._rest = rest = Rest(transport, settings)
        self.assistants = AssistantsClient(rest)
        self.threads = ThreadsClient(rest, common.reconnect)
        self.runs = RunsClient(rest, common.reconnect, common.run_defaults)
        self.crons = CronsClient(rest)
        self.store = StoreClient(rest)
        self.http = HTTPClient(rest)

    def with_options(
        self,
        *,
        headers: Optional[Mapping[str, str]] = None,
        timeout: TimeoutValue = UNCHANGED,
        deadline: Optional[float] = UNCHANGED,
    ) -> Client:
        """This client with other settings, over the same connections: cheap enough to be made for one call.

        ``headers`` are added to its own, and win over them; None lifts a ``timeout`` or a ``deadline``. Closing what
        this returns closes nothing; closing the client it came from closes it.
        """
        settings = self._rest.settings
        if headers is not None:
            settings = settings._replace(headers=self._rest.headers(_checked_headers(headers)))
        if timeout is not UNCHANGED:
            settings = settings._replace(timeout=Timeout.of(timeout))
        if deadline is not UNCHANGED:
            settings = settings._replace(deadline=checked(deadline))
        view = Client.__new__(type(self))
        # What a class of the caller's keeps besides goes along.
        vars(view).update(vars(self))
        view._use(self.transport, settings, self._common, owns=False)
        return view

    def info(
        self,
        *,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> ServerInfo:
        """What the server says of itself: its version, and what it can do (``GET /info``)."""
        from .models import ServerInfo

        return self._rest.model(ServerInfo, "GET", "/info", **call_options(headers, params, timeout, deadline))

    def ok(
        self,
        *,
        check_db: bool = False,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        timeout: TimeoutValue = None,
        deadline: Optional[float] = None,
    ) -> bool:
        """Whether the server is there and well (``GET /ok``); ``check_db=True`` makes it look at its database too.

        False if it cannot be reached, does not answer in time, or is no LangGraph server; it is asked once. Raises the
        other errors of 4xx.
        """
        query = {"check_db": 1 if check_db else None}
        options = call_options(headers, params, timeout, deadline, query)
        try:
            answer = Rest(self.transport, self._rest.settings._replace(retry=NEVER)).call("GET", "/ok", **options)
        except (
            ConnectionFailed,
            ConnectionLost,
            DeadlineExceeded,
            InternalServerError,
            NotFoundError,
            ResponseError,
        ):
            return False
        return isinstance(answer, dict) and answer.get("ok") is True

    def close(self) -> None:
        """Free every connection, open streams too. Later use raises ClientClosed."""
        if self._owns_transport:
            self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.transport!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        settings = self._rest.settings
        own = {"headers": settings.headers, "timeout": settings.timeout, "deadline": settings.deadline}
        besides = {name: value for name, value in vars(self).items() if name not in _ITS_OWN}
        return _client_over, (type(self), self.transport, own, self._common), besides or None


def _client_over(cls: Type[Client], transport: Transport, own: Mapping[str, Any], common: _Common) -> Client:
    client = cls.__new__(cls)
    client._use(transport, common.settings()._replace(**own), common)
    return client


class _Common(NamedTuple):
    """What a client and the views of it have in common, as it was given: these pickle."""

    deadline: Optional[float]
    reconnect: float
    retries: Optional[int]
    run_defaults: RunDefaults
    tracing: object

    def settings(self) -> CallSettings:
        return CallSettings(deadline=self.deadline, retry=Retry.of(self.retries), tracing=_tracing(self.tracing))


def _tracing(tracing: object) -> Tracing:
    if tracing is False or tracing is None:
        return Tracing()
    from .otel import OpenTelemetry

    return OpenTelemetry(None if tracing is True else tracing)


def _refuse_strange(session: object, run_defaults: object) -> None:
    # A class of the user's own need not be one of requests, but must do what that does.
    if session is not None and not hasattr(session, "prepare_request"):
        raise WrongType(f"session must be a requests.Session, not {type(session).__name__}")
    if not isinstance(run_defaults, RunDefaults):
        raise WrongType(f"run_defaults must be RunDefaults(…), not {type(run_defaults).__name__}")


def _budget(seconds: float) -> float:
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not (number and 0 <= seconds < float("inf")):
        raise ConfigurationError(f"reconnect must be a number of seconds, 0 for not at all; not {seconds!r}")
    return seconds


def _refuse_beside_an_object(settings: List[str]) -> None:
    if settings:
        raise ConfigurationError(
            f"{', '.join(settings)} cannot be given beside a transport object, which has its own; "
            "give its class instead, or set them where the object is built"
        )


def _base_url(url: str) -> str:
    if not isinstance(url, str):
        raise ConfigurationError(f"url must be text such as {DEFAULT_URL!r}, not {type(url).__name__}")
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        # Nothing of what is wrong with it either: that may be the password.
        place = shown_url(url.strip()).rpartition("@")[2]
        raise ConfigurationError(f"url {place} cannot be read; it must be such as {DEFAULT_URL!r}") from None
    # Nothing that may be a secret is repeated: no user name, no password, no query.
    place = (parts.netloc or parts.path).rpartition("@")[2]
    if "@" in url:
        raise ConfigurationError(
            f"The url for {place or 'the server'} holds a user name or password, which would end up in logs; "
            "send them as headers={'Authorization': …} instead"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"url must be a base without query or fragment; {place} was given with one")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(_scheme_advice(url.strip(), parts.scheme))
    try:
        parts.port  # noqa: B018 (reading it is what checks it)
    except ValueError as exc:
        raise ConfigurationError(f"url {url!r} has no valid port: {exc}") from exc
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _scheme_advice(url: str, scheme: str) -> str:
    if scheme in ("ws", "wss"):
        return (
            f"url {url!r}: give the server's http:// or https:// address and choose the WebSocket "
            'with transport="websocket"'
        )
    return f'url {url!r} does not begin with http:// or https://; did you mean "http://{url.rpartition("//")[2]}"?'


def _headers(api_key: Optional[str], headers: Optional[Mapping[str, str]]) -> Mapping[str, str]:
    merged = {"User-Agent": f"lgsync/{version()}"}
    key = _key_from_environment() if api_key is FROM_ENVIRONMENT else api_key
    if key is not None:
        if not isinstance(key, str) or not key.strip():
            raise ConfigurationError("api_key must be a non-empty string, or None to send none")
        if key != key.strip() or "\n" in key or "\r" in key:
            raise ConfigurationError("api_key begins or ends with a blank, or holds a line break; strip() it")
        merged[API_KEY_HEADER] = key
    for name, value in _checked_headers(headers or {}).items():
        merged = {known: v for known, v in merged.items() if known.lower() != name.lower()}
        merged[name] = value
    return merged


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in named_headers(headers).items():
        if name.lower() == API_KEY_HEADER:
            raise ConfigurationError(f"The header {name!r} is reserved: pass api_key=… to Client instead")
        if not isinstance(value, str):
            raise ConfigurationError(f"The header {name!r} must be text, not {type(value).__name__}")
    return headers


def _key_from_environment() -> Optional[str]:
    for variable in API_KEY_VARIABLES:
        key = os.environ.get(variable, "").strip().strip("\"'").strip()
        if key:
            return key
    return None
