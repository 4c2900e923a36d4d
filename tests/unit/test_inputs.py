"""What users may pass in, and what they are told of what they may not: where it stands, and what to do."""

from __future__ import annotations

import array
import collections
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import io
import ipaddress
import json
import pathlib
import re
import sys
import types
import uuid
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Type, TypedDict

import pytest
from pydantic import AnyUrl, BaseModel, Field, RootModel, SecretStr
from rawserver import RawServer, answer
from scripted import THREAD, ScriptedTransport
from thread_server import ThreadServer

from lgsync import Client, codec
from lgsync.accumulate import MessageAccumulator
from lgsync.errors import ConfigurationError, WrongType
from lgsync.models import Thread
from lgsync.parts import StreamPart

UTC = dt.timezone.utc
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


class City(BaseModel):
    name: str
    founded: Optional[dt.date] = None


class Trip(BaseModel):
    to: City
    at: dt.datetime = dt.datetime(2026, 1, 2, tzinfo=UTC)
    tags: Any = ()
    by: str = Field(default="train", serialization_alias="means")


@dataclasses.dataclass
class Plan:
    trip: Trip
    days: List[dt.date]
    _cache: int = 0
    kind: Any = None


@dataclasses.dataclass
class Link:
    next: Any


class Typed(TypedDict):
    city: City


class Point(NamedTuple):
    x: int
    y: int


class Color(enum.Enum):
    RED = "red"
    ONE = 1


class Level(enum.IntEnum):
    HIGH = 3


class Mode(str, enum.Enum):
    FAST = "fast"


class OldModel:
    """As pydantic 1 and others had it."""

    def dict(self) -> Dict[str, Any]:
        return {"old": City(name="sf")}


class Record:
    def to_dict(self) -> Dict[str, Any]:
        return {"record": 1}


class Row:
    """As databases give them: neither dict nor Mapping, but dict() takes it."""

    def keys(self) -> List[str]:
        return ["id"]

    def __getitem__(self, name: str) -> int:
        return {"id": 7}[name]


def plain_of(value: Any) -> Any:
    """What the server reads."""
    return json.loads(codec.encode({"input": value}))["input"]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (City(name="sf"), {"name": "sf", "founded": None}),
        (Trip(to=City(name="sf")), {"to": {"name": "sf", "founded": None}, "at": "2026-01-02T00:00:00+00:00"}),
        (RootModel[List[int]]([1, 2]), [1, 2]),
        (Typed(city=City(name="sf")), {"city": {"name": "sf", "founded": None}}),
        (OldModel(), {"old": {"name": "sf", "founded": None}}),
        (Record(), {"record": 1}),
        (Row(), {"id": 7}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Point(1, 2), [1, 2]),
        ((1, (2,)), [1, [2]]),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (array.array("d", [1.5, 2.5]), [1.5, 2.5]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("ba"), ["a", "b"]),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006"),
        (dt.datetime(2026, 1, 2, tzinfo=INDIA), "2026-01-02T00:00:00+05:30"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(3, 4, tzinfo=UTC), "03:04:00+00:00"),
        (dt.timedelta(hours=1), "PT1H"),
        (ID, str(ID)),
        (Color.RED, "red"),
        (Color.ONE, 1),
        (Level.HIGH, 3),
        (Mode.FAST, "fast"),
        (decimal.Decimal("1.50"), "1.50"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (ipaddress.ip_address("127.0.0.1"), "127.0.0.1"),
        (AnyUrl("http://host/x"), "http://host/x"),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        ("9" * 40, "9" * 40),
        (0.00012345678901234567, 0.00012345678901234567),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_made_such(value: Any, plain: Any) -> None:
    sent = plain_of(value)
    assert {name: sent[name] for name in plain} == plain if isinstance(value, Trip) else sent == plain


def test_models_and_dataclasses_may_hold_each_other() -> None:
    plan = Plan(Trip(to=City(name="sf"), tags={"b", "a"}), [dt.date(2026, 1, 2)], kind=Color.RED)
    trip = {
        "to": {"name": "sf", "founded": None},
        "at": "2026-01-02T00:00:00+00:00",
        "tags": ["a", "b"],
        "by": "train",
    }
    assert plain_of([plan]) == [{"trip": trip, "days": ["2026-01-02"], "kind": "red"}]
    assert plain_of(Trip(to=City(name="sf"), tags=[plan]))["tags"][0]["trip"] == trip


def test_members_of_a_set_that_cannot_be_compared_come_in_the_sets_own_order() -> None:
    assert sorted(plain_of({1, "a"}), key=str) == [1, "a"]


def test_an_array_is_known_by_what_it_can_do() -> None:
    class Dtype:
        kind = "f"

    class Array:
        dtype = Dtype()

        def __init__(self, items: Any) -> None:
            self.items = items

        def tolist(self) -> Any:
            return self.items

    assert plain_of({"scalar": Array(1.5), "array": Array([[1, 2], [3, 4]])}) == {
        "scalar": 1.5,
        "array": [[1, 2], [3, 4]],
    }
    assert plain_of({Array(3): "a"}) == {"3": "a"}


def test_times_that_an_array_counts_in_nanoseconds_are_sent_as_times() -> None:
    class Dtype:
        kind = "M"

    class Times:
        dtype = Dtype()
        unit = "ns"

        def astype(self, dtype: str) -> Times:
            converted = Times()
            converted.unit = dtype
            return converted

        def tolist(self) -> Any:
            return [dt.datetime(2026, 1, 2)] if self.unit == "datetime64[us]" else [1767312000000000000]

    assert plain_of(Times()) == ["2026-01-02T00:00:00"]


def test_a_time_that_is_none_is_refused_alone_and_in_an_array() -> None:
    class NaT(dt.datetime):
        """As that of pandas."""

        def __ne__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class Found:
        def any(self) -> bool:
            return True

    class Dtype:
        def __init__(self, kind: str) -> None:
            self.kind = kind

    class Times:
        """As numpy's, whose comparisons are arrays."""

        def __init__(self, kind: str) -> None:
            self.dtype = Dtype(kind)

        def __ne__(self, other: object) -> Any:
            return Found()

        def tolist(self) -> Any:
            return [None]

        __hash__ = None  # type: ignore[assignment]

    for value in (NaT(2026, 1, 2), Times("M"), Times("m")):
        assert failure({"at": value}) == "input.at: NaT is no time; pass None instead, or leave it out"


def test_a_message_of_a_stream_can_be_passed_back() -> None:
    accumulator = MessageAccumulator()
    data = [{"type": "human", "id": "h1", "content": "hi"}]
    accumulator.feed(StreamPart("values", {"messages": data}, None))
    (message,) = accumulator.messages
    assert plain_of([message]) == [message.to_dict()]
    assert plain_of([message])[0]["content"] == "hi"


def test_a_result_of_the_api_is_passed_back_as_it_was_sent() -> None:
    record = {"thread_id": "t", "created_at": "2026-01-02T03:04:05.60Z", "new_field": {"deep": None}}
    assert plain_of(Thread.model_validate(record)) == record


# Keys


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (1, "1"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (1.5, "1.5"),
        (Level.HIGH, "3"),
        (Mode.FAST, "fast"),
        (Color.RED, "red"),
        (Color.ONE, "1"),
        (ID, str(ID)),
        (dt.datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(3, 4), "03:04:00"),
    ],
)
def test_a_key_that_is_no_text_becomes_text(key: Any, text: str) -> None:
    assert plain_of({key: {"in": [City(name="sf")]}}) == {text: {"in": [{"name": "sf", "founded": None}]}}


def test_keys_that_would_become_the_same_are_refused() -> None:
    assert failure({Color.ONE: "a", "1": "b"}) == "input: two of its keys are '1' in JSON; keep one of them"


# What is refused


async def nothing() -> None:
    """A coroutine function."""


@contextlib.contextmanager
def a_coroutine() -> Iterator[Any]:
    coroutine = nothing()
    yield coroutine
    coroutine.close()


def failure(value: Any, kind: Optional[Type[ConfigurationError]] = None) -> str:
    """What is said of an input."""
    with pytest.raises(ConfigurationError) as caught:
        codec.encode({"assistant_id": "agent", "input": value})
    if kind is not None:
        assert type(caught.value) is kind
    return str(caught.value)


class Box:
    pass


LIST = "make a list() of it"
CALL = "call it and pass its result, or pass its name"
ANOTHER = "pass a dict, a dataclass or a pydantic model, or its text"
BYTES = "decode() them to text, or base64 them"


@pytest.mark.parametrize(
    ("value", "what", "advice"),
    [
        (City, "the class City cannot be written as JSON", "pass an instance of it"),
        (Color, "the class Color cannot be written as JSON", "pass an instance of it"),
        (b"secret", "bytes cannot be written as JSON", BYTES),
        (bytearray(b"secret"), "bytearray cannot be written as JSON", BYTES),
        (memoryview(b"secret"), "memoryview cannot be written as JSON", BYTES),
        (iter(["secret"]), "an iterator cannot be written as JSON", LIST),
        (lambda: 1, "a function cannot be written as JSON", CALL),
        (nothing, "a function cannot be written as JSON", CALL),
        (Box(), "a Box cannot be written as JSON", ANOTHER),
        (object(), "an object cannot be written as JSON", ANOTHER),
        ({}.values(), "a dict_values cannot be written as JSON", ANOTHER),
        (
            SecretStr("secret"),
            "a SecretStr is kept secret",
            "pass its get_secret_value() if it is meant to be sent",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("within", ["alone", "list", "model", "dataclass", "mapping"])
def test_a_value_of_a_type_that_json_has_not_is_refused_by_its_path(
    value: Any, what: str, advice: str, within: str
) -> None:
    trip = Trip(to=City(name="sf"))
    wrapped: Tuple[str, Any] = {
        "alone": ("input", value),
        "list": ("input.messages[1].content", {"messages": [{}, {"content": value}]}),
        "model": ("input.tags[0]", Trip(to=City(name="sf"), tags=[value])),
        "dataclass": ("input.kind['a b']", Plan(trip, [], kind={"a b": value})),
        "mapping": ("input.a", types.MappingProxyType({"a": value})),
    }[within]
    path, whole = wrapped
    assert failure(whole, WrongType) == f"{path}: {what}; {advice}"
    assert "secret" not in failure(whole).replace("kept secret", "").replace("get_secret_value", "")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((x for x in "secret"), f"a generator cannot be written as JSON; {LIST}"),
        (io.StringIO("secret"), "a StringIO cannot be written as JSON; read() it, and pass what it holds"),
    ],
)
def test_what_can_be_read_only_once_is_not_read(value: Any, said: str) -> None:
    assert failure([value], WrongType) == f"input[0]: {said}"
    assert next(iter(value)).startswith("s")


def test_a_coroutine_is_to_be_awaited() -> None:
    with a_coroutine() as coroutine:
        assert failure([coroutine]) == "input[0]: a coroutine cannot be written as JSON; await it, and pass its result"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), decimal.Decimal("nan")])
def test_what_is_no_number_is_refused(value: Any) -> None:
    said = f"input.scores.a: {value} is no number in JSON; pass None or text instead, or leave it out"
    assert failure({"scores": {"a": value}}, ConfigurationError) == said
    assert failure(Trip(to=City(name="sf"), tags=value)).startswith("input.tags: ")


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**30, 10**5000], ids=range(4))
@pytest.mark.parametrize("beside", [{}, {Color.RED: 1}])
def test_an_integer_that_would_lose_digits_is_refused(value: int, beside: Dict[Any, int]) -> None:
    said = "an integer of more than 64 bits would reach the graph as a float; pass it as text"
    assert failure({"ids": [1, value], **beside}, ConfigurationError) == f"input.ids[1]: {said}"


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
@pytest.mark.parametrize(
    "around",
    [
        lambda value: value,
        lambda value: [value],
        lambda value: [1, value, 1],
        lambda value: {"a": value},
        lambda value: {"a": 1, "b": [[value]]},
        lambda value: ["9" * 40, value],
    ],
)
def test_such_an_integer_is_found_wherever_it_stands(value: int, around: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigurationError, match="more than 64 bits"):
        codec.encode(around(value))


@pytest.mark.parametrize("text", ["{}", ":{},", '":{},"', "[{}]", "-{}", "{}.5", "a{}", " {} "])
def test_digits_in_a_text_are_no_integer(text: str) -> None:
    digits = text.format("9" * 30)
    assert plain_of({"a": digits, digits: [digits]}) == {"a": digits, digits: [digits]}


@pytest.mark.parametrize(("value", "path"), [(["ab\ud83d"], "input[0]"), ({"ab\ud83d": 1}, "input")])
def test_half_a_character_is_refused(value: Any, path: str) -> None:
    said = failure(value, ConfigurationError)
    assert said.startswith(f"{path}: the text holds '\\ud83d' at 2, half of a character")
    said.encode()
    mended = "ab\ud83d".encode("utf-8", "replace").decode()
    assert plain_of(mended) == mended


@pytest.mark.parametrize(
    ("key", "kind"), [((1, 2), "a tuple"), (b"x", "bytes"), (frozenset(), "a frozenset"), (City, "a ModelMetaclass")]
)
def test_a_key_that_json_has_not_is_refused(key: Any, kind: str) -> None:
    said = failure({"by": {"x": 1, key: 2}}, WrongType)
    assert said == f"input.by: {kind} cannot be a key in JSON; use text, a number, a date, a UUID or an enum"


def test_a_key_that_is_no_number_is_refused() -> None:
    assert failure({"by": {float("nan"): 1}}).startswith("input.by: nan is no number in JSON")


# Circles and depths


def circles() -> Iterator[Tuple[str, Any, str]]:
    """A name, a value, and the path to where the value is met again."""
    ring: List[Any] = [1]
    ring.append({"back": ring})
    yield "list", {"ring": ring}, "input.ring[1].back: it holds input.ring again, in a circle"
    table: Dict[str, Any] = {}
    table["self"] = table
    yield "dict", table, "input.self: it holds input again, in a circle"
    plan = Plan(Trip(to=City(name="sf")), [])
    plan.kind = [plan]
    yield "dataclass", plan, "input.kind[0]: it holds input again, in a circle"

    class Same:
        def to_dict(self) -> Any:
            return self

    yield "to_dict", [Same()], "input[0]: it holds input[0] again, in a circle"


@pytest.mark.parametrize(("value", "said"), [pytest.param(v, said, id=name) for name, v, said in circles()])
def test_a_circle_is_refused_with_both_its_ends(value: Any, said: str) -> None:
    assert failure(value, ConfigurationError) == f"{said}; pass an id in this place, or leave it out"


def test_a_circle_of_models_is_refused() -> None:
    trip = Trip(to=City(name="sf"))
    trip.tags = [1, trip]
    assert re.match(r"input(\.tags\[1\])+: it holds input(\.tags\[1\])* again, in a circle", failure(trip))


def test_what_is_met_twice_is_no_circle() -> None:
    shared = {"a": City(name="sf")}
    assert plain_of([shared, {Color.RED: shared}])[1]["red"] == plain_of(shared)


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda inner: [inner], "input" + "[0]" * 8 + "…" + "[0]" * 3),
        (lambda inner: {"k": inner}, "input" + ".k" * 8 + "….k.k.k"),
        (lambda inner: Link(inner), "input" + ".next" * 8 + "….next.next.next"),
    ],
    ids=["list", "dict", "dataclass"],
)
def test_what_is_nested_too_deeply_is_refused(wrap: Callable[[Any], Any], path: str) -> None:
    value = nested(100_000, wrap)
    said = failure(value, ConfigurationError)
    assert said == f"{path}: it is nested more than 1000 levels deep; make it flatter, or pass it as text"
    unwrap(value)


def unwrap(value: Any) -> None:
    """Take a deep value apart: freed as a whole, it would be freed level within level."""
    while not isinstance(value, int):
        inner = value.next if isinstance(value, Link) else value[0] if isinstance(value, list) else value["k"]
        if isinstance(value, Link):
            value.next = None
        else:
            value.clear()
        value = inner


def test_what_makes_itself_anew_without_end_is_refused() -> None:
    class Endless:
        def to_dict(self) -> Endless:
            return Endless()

    assert failure({"a": Endless()}).startswith("input.a: it is nested more than 1000 levels deep")


def test_a_depth_that_only_this_stack_is_too_small_for_is_refused_in_words() -> None:
    value = {Color.RED: nested(900, lambda inner: [inner])}

    def with_little_room() -> str:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(_frames() + 120)
        try:
            codec.encode(value)
        except ConfigurationError as error:
            return str(error)
        finally:
            sys.setrecursionlimit(limit)
        return ""

    said = with_little_room()
    # Later Pythons have room of another kind for what is written in C.
    assert said == "" or "cannot be written as JSON" in said
    assert (said == "") == (sys.version_info >= (3, 12))


def _frames() -> int:
    frame: Any = sys._getframe()
    count = 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count


def test_a_model_that_cannot_write_itself_is_refused_in_its_own_words() -> None:
    class Stubborn(BaseModel):
        a: int = 1

        def model_dump(self, **options: Any) -> Any:
            raise ValueError("not today")

    assert failure([Stubborn()]) == "input[0]: a Stubborn cannot be written as JSON; it says: not today"


def test_the_failure_of_a_users_own_code_is_not_hidden() -> None:
    class Broken:
        def to_dict(self) -> Any:
            return self.nowhere  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="nowhere"):
        codec.encode({"input": Broken()})


def test_a_long_key_is_not_shown_whole() -> None:
    said = failure({"x y" * 100: b""})
    assert said.startswith("input['x yx yx y")
    assert len(said) < 150


def test_a_value_that_is_no_field_of_anything_is_called_the_body() -> None:
    with pytest.raises(WrongType, match="^The request body: bytes cannot"):
        codec.encode(b"x")
    with pytest.raises(WrongType, match=r"^\[1\]\.input: bytes cannot"):
        codec.encode([{}, {"input": b"x"}])


def test_the_cause_is_what_kept_the_json_from_being_written() -> None:
    with pytest.raises(ConfigurationError) as caught:
        codec.encode({"input": float("nan")})
    assert isinstance(caught.value.__cause__, ValueError)


# Through the client: the parameter is named, and nothing is sent

CALLS: List[Tuple[str, Callable[[Client], Any]]] = [
    ("input.a", lambda c: c.runs.create(THREAD, "agent", input={"a": b"x"})),
    ("input.a", lambda c: c.runs.wait(None, "agent", input={"a": b"x"})),
    ("input.a", lambda c: c.runs.stream(THREAD, "agent", input={"a": b"x"})),
    ("command.resume", lambda c: c.runs.stream(THREAD, "agent", command={"resume": b"x"})),
    ("config.configurable.k", lambda c: c.runs.create(THREAD, "agent", config={"configurable": {"k": b"x"}})),
    ("context.k", lambda c: c.runs.create(THREAD, "agent", context={"k": b"x"})),
    ("metadata.k", lambda c: c.threads.create(metadata={"k": b"x"})),
]


@pytest.mark.parametrize(("path", "call"), CALLS)
def test_the_path_begins_with_the_parameter_and_nothing_is_sent(path: str, call: Callable[[Client], Any]) -> None:
    with RawServer(answer()) as server, Client(server.url) as client:
        with pytest.raises(WrongType, match=f"^{re.escape(path)}: bytes cannot be written as JSON; decode"):
            call(client)
        assert server.requests == []


NO_MAPPING: Any = [("x-team", "a")]
NO_CALLBACK: Any = "print"
MISTAKES: List[Tuple[str, Callable[[Client], Any]]] = [
    ("headers must be a mapping such as a dict, not list", lambda c: c.threads.get(THREAD, headers=NO_MAPPING)),
    ("headers must be a mapping such as a dict, not list", lambda c: c.with_options(headers=NO_MAPPING)),
    (
        "headers must be a mapping such as a dict, not list",
        lambda c: c.runs.stream(THREAD, "agent", input={}, headers=NO_MAPPING),
    ),
    ("The name of a header must be text, not int", lambda c: c.threads.get(THREAD, headers={1: "a"})),
    ("metadata must be a mapping such as a dict, not list", lambda c: c.threads.create(metadata=NO_MAPPING)),
    ("checkpoint must be a checkpoint, .* not str; .* checkpoint_id=", lambda c: c.threads.get_state(THREAD, "c1")),
    (
        "on_run_created must be a function, not str",
        lambda c: c.runs.create(THREAD, "agent", on_run_created=NO_CALLBACK),
    ),
    ("on_run_created must be a function, not str", lambda c: c.runs.wait(THREAD, "agent", on_run_created=NO_CALLBACK)),
    (
        "on_run_created must be a function, not str",
        lambda c: c.runs.stream(THREAD, "agent", on_run_created=NO_CALLBACK),
    ),
    ("run_defaults must be RunDefaults", lambda c: Client("http://nowhere.test", run_defaults={"on_close": "cancel"})),
    ("session must be a requests.Session, not object", lambda c: Client("http://nowhere.test", session=object())),
]


@pytest.mark.parametrize(("said", "call"), MISTAKES)
def test_an_argument_of_a_wrong_type_is_named_and_nothing_is_sent(said: str, call: Callable[[Client], Any]) -> None:
    with RawServer(answer()) as server, Client(server.url) as client:
        with pytest.raises(WrongType, match=said):
            call(client)
        assert server.requests == []


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("input.a", {"input": {"a": b"x"}}),
        ("metadata.k", {"input": {}, "metadata": {"k": b"x"}}),
        ("command.resume.a", {"command": {"resume": {"a": b"x"}}}),
    ],
)
def test_over_a_websocket_the_path_is_the_same_and_nothing_is_sent(path: str, options: Any) -> None:
    with ThreadServer() as server:
        start = server.start(**options)
        with pytest.raises(WrongType, match=f"^{re.escape(path)}: bytes cannot"):
            server.transport().open_run(start)
        assert server.asked == []


def test_a_model_is_an_input_by_itself() -> None:
    transport = ScriptedTransport(answers={"POST /threads": (200, {"thread_id": THREAD})})
    Client(transport=transport).threads.create(metadata=collections.ChainMap({"city": City(name="sf")}))
    (request,) = transport.requests
    assert json.loads(codec.encode(request[2]))["metadata"] == {"city": {"name": "sf", "founded": None}}
