"""The transport interface, and the registry that finds one by name.

A transport opens connections and translates. It never retries and never filters. It reports what its wire says of a
run's end; where the protocol leaves the end unsaid, or says the same of different ends, it may ask the run's status
(and, of a failure or a pause, the state), never anything else. What is still open then, :mod:`lgsync.delivery` finds
out, once for every transport. A transport is safe to use from many threads.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    NoReturn,
    Optional,
    Tuple,
    Union,
    get_args,
)

from .errors import ConfigurationError, UnsupportedByTransport
from .parts import StreamPart
from .schema import StreamMode

__all__ = [
    "Capabilities",
    "PartSource",
    "Quiet",
    "Response",
    "RunJoin",
    "RunStart",
    "ThreadJoin",
    "Timeout",
    "TimeoutValue",
    "Transport",
    "TransportConfig",
    "TransportFactory",
    "factory_of",
    "resolve",
]


#: Every stream mode of the runs API.
STREAM_MODES: Tuple[str, ...] = get_args(StreamMode)

#: The positions that stand for a run's start, as servers take them.
RUN_STARTS = ("-1", "0", "-", "0-0")


#: Seconds that a wait may take at most: no socket can be told to wait longer.
LONGEST_WAIT = 2_147_483


class Timeout(NamedTuple):
    """Seconds to wait for a connection, and for the next byte; ``total`` bounds a whole call. None waits for ever."""

    connect: Optional[float] = 5.0
    read: Optional[float] = 300.0
    total: Optional[float] = None

    @classmethod
    def of(cls, value: TimeoutValue) -> Timeout:
        """Read what users write: a number for both, a (connect, read) pair, or None to wait for ever."""
        if isinstance(value, Timeout):
            return value
        pair = value if isinstance(value, tuple) else (value, value)
        if len(pair) != 2:
            raise ConfigurationError(f"timeout must be a number of seconds or a (connect, read) pair, not {value!r}")
        for seconds in pair:
            number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
            if seconds is not None and not (number and 0 < seconds <= LONGEST_WAIT):
                raise ConfigurationError(
                    f"timeout must be positive seconds (up to {LONGEST_WAIT}), a (connect, read) pair, or None to wait "
                    f"for ever; not {value!r}"
                )
        return cls(*pair)


#: A timeout as users write it.
TimeoutValue = Union[float, Tuple[Optional[float], Optional[float]], Timeout, None]


@dataclass(frozen=True)
class TransportConfig:
    """All that a transport is built from; it pickles with these.

    ``url`` is the API's base (scheme, host, optional path prefix, no trailing slash), ``headers`` go with every
    request (the key is among them), ``session`` is a ``requests.Session`` of the user's own.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: Timeout = field(default_factory=Timeout)
    session: Optional[Any] = None

    def __repr__(self) -> str:
        return f"TransportConfig(url={self.url!r}, headers={sorted(self.headers)!r}, timeout={self.timeout!r})"


class Response(NamedTuple):
    """An HTTP answer as it came; mapping its status to an error is not the transport's affair."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True)
class RunStart:
    """A run to start and stream.

    ``payload`` is the body of ``POST /threads/{thread_id}/runs/stream`` with unset fields left out; a ``thread_id``
    of None is a run without a thread of its own. ``headers`` and ``params`` are the caller's for this call.
    """

    thread_id: Optional[str]
    payload: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeout: Optional[Timeout] = None

    @property
    def modes(self) -> Tuple[str, ...]:
        """The stream modes asked for; the server's own default is ``values``."""
        modes = self.payload.get("stream_mode") or ("values",)
        return (modes,) if isinstance(modes, str) else tuple(modes)

    @property
    def stream_subgraphs(self) -> bool:
        """Whether what subgraphs say is asked for."""
        return bool(self.payload.get("stream_subgraphs"))


@dataclass(frozen=True)
class RunJoin:
    """A run to join: from ``position`` on, from the start (``"-1"``), or (None) from now on.

    ``modes`` are what the run was started with, unless ``narrowed`` says that they are fewer: then the server is asked
    to leave out the rest.
    """

    thread_id: str
    run_id: str
    modes: Tuple[str, ...] = ()
    position: Optional[str] = None
    narrowed: bool = True
    stream_subgraphs: bool = False
    cancel_on_disconnect: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeout: Optional[Timeout] = None


@dataclass(frozen=True)
class ThreadJoin:
    """A thread to stream: from ``position`` on, from its first run (``"-"``), or (None) from now on.

    ``modes`` are some of "run_modes", "lifecycle" and "state_update".
    """

    thread_id: str
    modes: Tuple[str, ...] = ("run_modes",)
    position: Optional[str] = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeout: Optional[Timeout] = None


@dataclass(frozen=True)
class Capabilities:
    """What a transport can carry. ``run_options`` of None means all of them.

    ``run_options`` are keys of a run's payload. ``default_modes`` is what a run asks for when its caller names no
    stream mode. ``names_nodes`` says whether messages tell their node and tags. ``hints`` says, for a mode or an
    option that cannot be carried, what to do instead.
    """

    stream_modes: FrozenSet[str]
    default_modes: Tuple[str, ...]
    run_options: Optional[FrozenSet[str]] = None
    stateless_runs: bool = True
    names_nodes: bool = True
    hints: Mapping[str, str] = field(default_factory=dict)


class Quiet(Exception):
    """Not an error: nothing came for a source's ``beat_seconds``. It goes on where it was when it is asked again."""


class PartSource(ABC):
    """The parts of one connection, in order: of a run, or of a thread. Iterate it; close it from any thread.

    Iteration ends normally only if the peer closed cleanly or the wire said that the run is over. Everything else
    raises: ConnectionLost with the cause, PositionLost if the server no longer has what was asked for, the error of a
    status that the wire named, or ResponseError. After ``close()`` a blocked reader returns at once, as if at the end.
    """

    #: Set by the reader, and asked before each wait for the wire, with this source: how many seconds that wait may take
    #: before it raises ConnectionTimeout (None: for ever).
    patience: Optional[Callable[[PartSource], Optional[float]]] = None
    #: Set by the reader, at any time: ``__next__`` then raises Quiet whenever so many seconds brought no part, and goes
    #: on when it is called again. A source need not heed it; its reader then learns of a quiet run with the next part.
    beat_seconds: Optional[float] = None
    #: Kinds of parts that the server does not keep, so that no later join shows them again.
    not_kept: FrozenSet[str] = frozenset()
    #: The pause before a reconnection that the server asked for, in milliseconds.
    retry: Optional[int] = None

    #: Known as soon as the source is open, unless the server tells neither (a stateless run's thread).
    thread_id: Optional[str] = None
    run_id: Optional[str] = None
    #: What to hand to RunJoin.position, or ThreadJoin.position, to go on after the last part that was read.
    position: Optional[str] = None
    #: time.monotonic() of the last byte or frame; heartbeats count.
    last_activity: float = 0.0
    #: How many heartbeats were seen.
    heartbeats: int = 0
    #: "success", "interrupted", "cancelled" or "error" if the wire itself said how the run ended; None if it cannot.
    outcome: Optional[str] = None
    #: True if a clean end without an outcome still means that nothing more was to come, on this wire.
    conclusive: bool = False
    #: False if some messages came in a form that lacks fields which the thread's state has.
    exact: bool = True

    def __iter__(self) -> Iterator[StreamPart]:
        return self

    @abstractmethod
    def __next__(self) -> StreamPart: ...

    def at_hand(self) -> List[StreamPart]:
        """Take the parts that have come by now, behind those that were read, without waiting; there may be none.

        Never raises: what is met in looking further, the next read raises.
        """
        return []

    def finish(self) -> List[StreamPart]:
        """The last parts of a run that has ended, if there are some that can only be told by then."""
        return []

    @abstractmethod
    def close(self) -> None:
        """Free the connection; idempotent, from any thread, within a second."""


class Transport(ABC):
    """One way to a server. Build it from a :class:`TransportConfig`; it pickles by it and notices a fork."""

    #: The name users choose it by.
    name: str = ""
    #: What a call waits that names no timeout of its own.
    timeout: Timeout = Timeout()
    #: Whether each wait of its calls is told to :func:`lgsync.cutting.freed_by`. Then a stream that may be closed any
    #: time makes them on its reader's own thread, and else in a thread for each.
    cuttable: bool = False

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this transport can carry."""

    @abstractmethod
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
        """One REST call, tried once. ``path`` begins with a slash and is already quoted.

        ``timeout.total`` bounds the call as a whole, its body too. Raises ConnectionFailed, ConnectionLost,
        ConfigurationError or ClientClosed; never for a status.
        """

    @abstractmethod
    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        """Start a run and stream it, or join one. Returns once the server has accepted it.

        Raises what ``request`` raises, APIStatusError for a refusal and ResponseError for a body that is no stream.
        ConnectionFailed says that no run was started, so that its caller may try again.
        """

    def open_thread(self, join: ThreadJoin) -> PartSource:
        """Stream what happens on a thread, run after run, until the source is closed. Returns once that is accepted.

        Raises what ``open_run`` raises for a join. A transport need not be able to: then this raises
        UnsupportedByTransport, and sends nothing.
        """
        refuse(f"the stream of a thread ({join.thread_id})", self.name, alternatives=("sse", "websocket"))

    @abstractmethod
    def close(self) -> None:
        """Free everything; later use raises ClientClosed."""


TransportFactory = Callable[[TransportConfig], Transport]

_BUILT_IN: Dict[str, str] = {
    "replay": "lgsync.transports.replay:ReplayTransport",
    "sse": "lgsync.transports.sse:SSETransport",
    "websocket": "lgsync.transports.websocket:WebSocketTransport",
}

ENTRY_POINT_GROUP = "lgsync.transports"


def resolve(transport: Union[str, Transport, TransportFactory], config: TransportConfig) -> Transport:
    """The transport of that name, built from ``config``; or one from a class or factory; or the object itself."""
    if isinstance(transport, Transport):
        return transport
    factory = factory_of(transport) if isinstance(transport, str) else transport
    if not callable(factory):
        raise ConfigurationError(f"transport must be a name, a Transport or a class of one, not {transport!r}")
    built = factory(config)
    if not isinstance(built, Transport):
        raise ConfigurationError(f"{transport!r} built a {type(built).__name__}, which is no lgsync Transport")
    return built


def factory_of(name: str) -> TransportFactory:
    """What builds the transport of that name; raises ConfigurationError, with the names there are."""
    target = _BUILT_IN.get(name)
    if target is None:
        return _installed_factory(name)
    module, _, attribute = target.partition(":")
    try:
        factory: TransportFactory = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as exc:
        if exc.name != "lgsync.transports":
            raise
        raise ConfigurationError(
            "Python found lgsync in its checkout, where the transports lie elsewhere: start the program from another "
            "folder, or install the checkout with pip install --editable"
        ) from exc
    return factory


def _installed_factory(name: str) -> TransportFactory:
    from importlib.metadata import entry_points

    found: Any = entry_points()
    # Python 3.9 gives a dict of groups, later versions an object to select from.
    group = found.select(group=ENTRY_POINT_GROUP) if hasattr(found, "select") else found.get(ENTRY_POINT_GROUP, ())
    installed = {entry.name: entry for entry in group}
    if name not in installed:
        names = ", ".join(sorted({*_BUILT_IN, *installed}))
        raise ConfigurationError(f"There is no transport named {name!r}; there are: {names}")
    factory: TransportFactory = installed[name].load()
    return factory


def refuse(option: str, transport: str, *, hint: str = "", alternatives: Tuple[str, ...] = ("sse",)) -> NoReturn:
    """Raise UnsupportedByTransport for ``option``: one wording for every refusal."""
    instead = " or ".join(f'transport="{name}"' for name in alternatives)
    message = f'The "{transport}" transport cannot carry {option}; nothing was sent. Use {instead}.'
    raise UnsupportedByTransport(
        f"{message} {hint}".strip(), option=option, transport=transport, alternatives=alternatives
    )
