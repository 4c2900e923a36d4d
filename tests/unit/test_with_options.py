"""A view of a client has settings of its own, and nothing else: it costs nothing, and closing it closes nothing."""

from __future__ import annotations

import pickle
import threading
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

import pytest
from rawserver import Connection, RawServer, answer
from scripted import RUN, THREAD, ScriptedSource, ScriptedTransport, answered, run_answers
from thread_server import ThreadServer

from lgsync.client import Client
from lgsync.errors import ClientClosed, ConfigurationError, DeadlineExceeded
from lgsync.resources.runs import RunsClient
from lgsync.run_defaults import RunDefaults
from lgsync.transport import PartSource, Response, RunJoin, RunStart, Timeout

pytestmark = pytest.mark.usefixtures("no_leaks")

FOR_EVER = Timeout(None, None)

A_THREAD = {"thread_id": THREAD}


class Noting(ScriptedTransport):
    """Notes the headers and timeouts that calls and streams are made with."""

    timeout = Timeout(5.0, 300.0)

    def __init__(self, source: Any = None, answers: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(source or ScriptedSource([]), {**run_answers(), **(answers or {})})
        self.seen: List[Dict[str, str]] = []
        self.timeouts: List[Optional[Timeout]] = []
        self.closed = False

    def request(self, method: str, path: str, **call: Any) -> Response:
        self.seen.append(dict(call.get("headers") or {}))
        self.timeouts.append(call.get("timeout"))
        super().request(method, path, **call)
        known = self.answers.get(f"{method} {path}", (200, {"thread_id": THREAD, "run_id": RUN, "status": "success"}))
        return answered(path, *known)

    def open_run(self, start: Union[RunStart, RunJoin]) -> PartSource:
        self.seen.append(dict(start.headers))
        self.timeouts.append(start.timeout)
        return super().open_run(start)

    def close(self) -> None:
        self.closed = True


Use = Callable[[Client], Any]

#: What makes requests of its own, each in another part of the package.
USES: Dict[str, Use] = {
    "a call": lambda c: c.threads.get(THREAD),
    "a wait": lambda c: c.runs.wait(THREAD, "agent"),
    "a join": lambda c: c.runs.join(THREAD, RUN),
    "a stream": lambda c: c.runs.stream(THREAD, "agent").wait(),
    "a joined stream": lambda c: c.runs.join_stream(THREAD, RUN).wait(),
    "an answer of no interest": lambda c: c.runs.cancel(THREAD, RUN),
    "the server itself": lambda c: c.info(),
}

every_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


# -- headers -----------------------------------------------------------------------------------------------------------


@every_use
def test_the_headers_of_a_view_go_with_all_that_it_asks(use: Use) -> None:
    transport = Noting()
    client = Client(transport=transport)
    use(client.with_options(headers={"X-Tenant": "a"}))
    assert transport.seen
    assert all(headers.get("X-Tenant") == "a" for headers in transport.seen)
    transport.seen.clear()
    use(client)
    assert not any("X-Tenant" in headers for headers in transport.seen)


def test_leaving_a_run_says_the_headers_of_the_view() -> None:
    transport = Noting(ScriptedSource([threading.Event()]))
    view = Client(transport=transport).with_options(headers={"X-Tenant": "a"})
    view.runs.stream(THREAD, "agent").close()
    assert transport.cancelled.is_set()
    assert [headers.get("X-Tenant") for headers in transport.seen] == ["a", "a"]


def test_headers_are_the_same_however_they_are_spelled() -> None:
    transport = Noting()
    view = Client(transport=transport).with_options(headers={"X-Tenant": "a", "X-Team": "1"})
    narrower = view.with_options(headers={"x-tenant": "b"})
    narrower.threads.get(THREAD)
    narrower.threads.get(THREAD, headers={"X-TENANT": "c"})
    assert transport.seen == [{"x-tenant": "b", "X-Team": "1"}, {"X-TENANT": "c", "X-Team": "1"}]


def test_headers_of_a_view_win_over_those_of_its_client_on_the_wire() -> None:
    with RawServer(answer(200, A_THREAD)) as server:
        with Client(server.url, api_key="k1", headers={"X-Tenant": "a", "X-Team": "1"}) as client:
            client.with_options(headers={"x-tenant": "b", "USER-AGENT": "mine"}).threads.get(THREAD)
        (request,) = server.requests
    sent = {name: request.headers.get(name) for name in ("x-tenant", "x-team", "user-agent", "x-api-key")}
    assert sent == {"x-tenant": "b", "x-team": "1", "user-agent": "mine", "x-api-key": "k1"}


def test_a_websocket_shows_the_headers_of_the_view_in_its_handshake_and_everywhere() -> None:
    with ThreadServer() as server, Client(server.url, transport="websocket", headers={"X-Tenant": "a"}) as client:
        client.with_options(headers={"x-tenant": "b"}).runs.stream(
            THREAD, "agent", input={}, on_close="continue"
        ).close()
        assert {asked.headers["x-tenant"] for asked in server.asked} == {"b"}
        assert "websocket" in {asked.headers.get("upgrade", "").lower() for asked in server.asked}


@pytest.mark.parametrize("name", ["x-api-key", "X-API-Key"])
def test_the_key_of_a_client_cannot_be_changed_by_a_view(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"reserved: pass api_key=… to Client") as caught:
        Client("http://server", api_key="k1").with_options(headers={name: "k-secret"})
    assert "k-secret" not in str(caught.value)


@pytest.mark.parametrize("headers", [{"X-Count": 3}, {1: "x"}, {"X-None": None}])
def test_a_header_that_is_no_text_is_refused(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be text"):
        Client("http://server").with_options(headers=headers)


def test_headers_that_change_later_do_not_change_the_view() -> None:
    transport = Noting()
    headers = {"X-Tenant": "a"}
    view = Client(transport=transport).with_options(headers=headers)
    headers["X-Tenant"] = "b"
    view.threads.get(THREAD)
    assert transport.seen == [{"X-Tenant": "a"}]


# -- timeouts and deadlines --------------------------------------------------------------------------------------------


@every_use
def test_the_timeout_of_a_view_is_that_of_all_that_it_asks(use: Use) -> None:
    transport = Noting()
    use(Client(transport=transport).with_options(timeout=(1, 2)))
    first = transport.timeouts[0]
    assert first is not None
    assert first[:2] == (1, 2)
    # What is asked about a stream's run may be given up sooner.
    assert all(t is not None and t.read is not None and t.read <= 10 for t in transport.timeouts)


@every_use
def test_no_timeout_waits_for_ever(use: Use) -> None:
    transport = Noting()
    use(Client(transport=transport).with_options(timeout=None))
    assert transport.timeouts[0] == FOR_EVER


def test_a_stream_without_a_timeout_is_not_watched() -> None:
    patience: List[Optional[float]] = []

    def note() -> None:
        assert source.patience is not None
        patience.append(source.patience(source))

    source = ScriptedSource([note])
    view = Client(transport=Noting(source)).with_options(timeout=None)
    view.runs.stream(THREAD, "agent").wait()
    assert patience == [None]


@pytest.mark.parametrize(("timeout", "expected"), [(3, (3, 3)), ((1, None), (1, None)), (Timeout(4, 5), (4, 5))])
def test_a_calls_own_timeout_wins(timeout: Any, expected: Any) -> None:
    transport = Noting()
    view = Client(transport=transport).with_options(timeout=9)
    view.threads.get(THREAD, timeout=timeout)
    view.runs.stream(THREAD, "agent", timeout=timeout, on_close="continue").close()
    assert [each and each[:2] for each in transport.timeouts] == [expected, expected]


def test_a_view_that_says_nothing_of_timeouts_has_its_clients() -> None:
    transport = Noting()
    client = Client(transport=transport)
    client.with_options(headers={"X": "1"}).threads.get(THREAD)
    client.with_options(timeout=2).with_options(headers={"X": "1"}).threads.get(THREAD)
    assert [each and each[:2] for each in transport.timeouts] == [(5.0, 300.0), (2, 2)]


@pytest.mark.parametrize("timeout", [0, -1, (1, 2, 3), "5", True])
def test_a_timeout_that_makes_no_sense_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        Client("http://server").with_options(timeout=timeout)


@pytest.mark.parametrize("deadline", [0, -1, "5", True])
def test_a_deadline_that_makes_no_sense_is_refused(deadline: Any) -> None:
    with pytest.raises(ConfigurationError, match="deadline"):
        Client("http://server").with_options(deadline=deadline)


def test_the_deadline_of_a_view_bounds_its_calls_and_its_streams() -> None:
    def say_nothing(connection: Connection) -> None:
        connection.read_request()
        assert connection.peer_closed()

    with RawServer(say_nothing) as server, Client(server.url) as client:
        view = client.with_options(deadline=0.05)
        for use in (USES["a call"], USES["a wait"], USES["a stream"], USES["the server itself"]):
            with pytest.raises(DeadlineExceeded, match=r"deadline of 0\.05 s"):
                use(view)


def test_a_view_may_have_no_deadline() -> None:
    transport = Noting()
    view = Client(transport=transport, deadline=100).with_options(deadline=None)
    view.threads.get(THREAD)
    assert transport.timeouts == [Timeout(5.0, 300.0)]


def test_a_calls_own_deadline_wins() -> None:
    transport = Noting()
    view = Client(transport=transport, deadline=100).with_options(deadline=50)
    view.threads.get(THREAD)
    view.threads.get(THREAD, deadline=20)
    Client(transport=transport, deadline=100).with_options(timeout=1000).threads.get(THREAD)
    totals = [each.total for each in transport.timeouts if each is not None and each.total is not None]
    assert totals == pytest.approx([50, 20, 100], abs=1)


def test_the_rest_is_that_of_the_client() -> None:
    source = ScriptedSource([])
    transport = Noting(source)
    client = Client(transport=transport, run_defaults=RunDefaults(stream_mode="values", on_close="continue"))
    view = client.with_options(timeout=3)
    view.runs.stream(THREAD, "agent").close()
    (started,) = transport.started
    assert started.modes == ("values",)
    assert not transport.cancelled.is_set()


# -- what a view is not ------------------------------------------------------------------------------------------------


def test_a_view_has_no_connections_of_its_own() -> None:
    with RawServer(answer(200, A_THREAD)) as server, Client(server.url) as client:
        client.threads.get(THREAD)
        for number in range(3):
            view = client.with_options(headers={"X-Number": str(number)}, timeout=3)
            assert view.transport is client.transport
            view.threads.get(THREAD)
        assert len(server.requests) == 4
        assert len(server.connections) == 1


def test_closing_a_view_closes_nothing() -> None:
    transport = Noting()
    client = Client(transport=transport)
    view = client.with_options(timeout=3)
    with view, view.with_options(timeout=4) as narrower:
        narrower.close()
    view.close()
    assert not transport.closed
    view.threads.get(THREAD)
    client.close()
    assert transport.closed


def test_closing_a_client_closes_its_views() -> None:
    with RawServer(answer(200, A_THREAD)) as server:
        client = Client(server.url)
        view = client.with_options(timeout=3).with_options(headers={"X": "1"})
        view.threads.get(THREAD)
        client.close()
        with pytest.raises(ClientClosed):
            view.threads.get(THREAD)


def test_a_view_outlives_the_name_of_its_client() -> None:
    with RawServer(answer(200, A_THREAD)) as server:
        client = Client(server.url)
        view = client.with_options(timeout=3)
        transport = client.transport
        del client
        assert view.threads.get(THREAD).thread_id == THREAD
        transport.close()


def test_a_view_of_a_view_has_what_both_say() -> None:
    transport = Noting()
    view = Client(transport=transport).with_options(headers={"X-A": "1"}, timeout=7)
    both = view.with_options(headers={"X-B": "2"})
    both.threads.get(THREAD)
    view.threads.get(THREAD)
    assert transport.seen == [{"X-A": "1", "X-B": "2"}, {"X-A": "1"}]
    assert [each and each[:2] for each in transport.timeouts] == [(7, 7), (7, 7)]


def test_a_view_is_a_client_of_its_clients_class() -> None:
    class Mine(Client):
        pass

    view = Mine("http://server").with_options(timeout=3)
    assert type(view) is Mine
    assert isinstance(view.runs, RunsClient)
    assert repr(view) == repr(Mine("http://server"))


# -- pickled -----------------------------------------------------------------------------------------------------------


def test_a_pickled_view_has_the_settings_of_the_view_and_its_client() -> None:
    with RawServer(answer(200, A_THREAD)) as server:
        client = Client(server.url, api_key="k1", headers={"X-Team": "a"}, retries=0, deadline=90)
        view = client.with_options(headers={"X-Tenant": "b"}, timeout=(3, 4), deadline=60)
        again = pickle.loads(pickle.dumps(view))
        client.close()
        with again:
            again.threads.get(THREAD)
        (request,) = server.requests
    sent = {name: request.headers.get(name) for name in ("x-tenant", "x-team", "x-api-key")}
    assert sent == {"x-tenant": "b", "x-team": "a", "x-api-key": "k1"}
    assert again._rest.settings._replace(tracing=None) == view._rest.settings._replace(tracing=None)


@pytest.mark.parametrize("timeout", [None, 3])
def test_a_timeout_survives_pickling_none_too(timeout: Any) -> None:
    view = Client("http://server").with_options(timeout=timeout)
    again = pickle.loads(pickle.dumps(view))
    assert again._rest.timeout == Timeout.of(timeout)
    assert pickle.loads(pickle.dumps(Client("http://server")))._rest.timeout == Timeout()


def test_what_comes_out_of_a_pickle_frees_its_own_connections() -> None:
    with RawServer(answer(200, A_THREAD)) as server:
        client = Client(server.url)
        again = pickle.loads(pickle.dumps(client.with_options(timeout=3)))
        again.threads.get(THREAD)
        again.close()
        with pytest.raises(ClientClosed):
            again.threads.get(THREAD)
        assert client.threads.get(THREAD).thread_id == THREAD
        client.close()
