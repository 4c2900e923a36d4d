"""What the REST API answers, as pydantic models with two faces.

As attributes the fields are typed: timestamps are aware datetimes (of one without an offset, UTC is taken), nested
answers are models, and what is absent or null is None, or empty. As a dictionary (``thread["created_at"]``,
``.get("…")``, ``in``, ``.items()``, ``dict(thread)``, ``for``) an answer is the very JSON that the server sent, as in
the official client. Fields that no model knows are kept in both.

One odd field makes no answer useless: what does not fit its type is the attribute just as it was sent. Only the id of
a thread, a run, an assistant or a cron must be there and be text; and the values of a state must fit the model of your
own that was given for them.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Dict,
    Generic,
    ItemsView,
    Iterator,
    KeysView,
    List,
    Mapping,
    Optional,
    Tuple,
    TypeVar,
    Union,
    cast,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .parsing import PARTIAL
from .schema import MultitaskStrategy, OnCompletionBehavior, RunStatus, ThreadStatus

if TYPE_CHECKING:
    # Before pydantic 2.10 not to be had from pydantic itself.
    from pydantic.functional_validators import ModelWrapValidatorHandler
    from typing_extensions import Self
    from typing_extensions import TypeVar as TypeVarWithDefault

    State = TypeVarWithDefault("State", default=Any)
else:
    State = TypeVar("State")

__all__ = [
    "Assistant",
    "AssistantsSearchResponse",
    "Checkpoint",
    "Cron",
    "Graph",
    "GraphSchema",
    "Interrupt",
    "Item",
    "ListNamespaceResponse",
    "Model",
    "Record",
    "Run",
    "SearchItem",
    "SearchItemsResponse",
    "ServerInfo",
    "Thread",
    "ThreadPruneResponse",
    "ThreadState",
    "ThreadStorage",
    "ThreadTask",
    "ThreadUpdateStateResponse",
]


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


Timestamp = Annotated[datetime, AfterValidator(_aware)]


class Model(BaseModel):
    """The base: attributes are typed, ``[]`` and its kin show what was sent. It cannot be changed."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=(), frozen=True)

    #: The field without which data is no such model; None only where a caller asked for some of the others.
    _identified_by: ClassVar[Optional[str]] = None

    #: Further fields that must fit their types.
    _strict: ClassVar[Tuple[str, ...]] = ()

    _sent: Dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _with_what_was_sent(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """A field that is null is as if it were absent; one that does not fit is taken as it is."""
        if not isinstance(data, Mapping):
            return handler(data)
        if cls._identified_by and data.get(cls._identified_by) is None and info.context != PARTIAL:
            raise ValueError(f"{cls._identified_by} is missing")
        fields = cls.model_fields
        given = {name: value for name, value in data.items() if value is not None or name not in fields}
        try:
            model = handler(given)
        except ValidationError as exc:
            odd = {str(each["loc"][0]) for each in exc.errors(include_url=False, include_context=False) if each["loc"]}
            odd -= {cls._identified_by, *cls._strict}
            model = handler({name: value for name, value in given.items() if name not in odd})
            # Past the validation that they failed.
            vars(model).update({name: given[name] for name in odd})
        model._sent = dict(data)
        return model

    def __getitem__(self, key: str) -> Any:
        return self._sent[key]

    def __contains__(self, key: object) -> bool:
        return key in self._sent

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return iter(self._sent)

    def __len__(self) -> int:
        return len(self._sent)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Model):
            return self._sent == other._sent
        return self._sent == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Mapping[str, Any]) -> Dict[str, Any]:
        return {**self._sent, **other}

    def __ror__(self, other: Mapping[str, Any]) -> Dict[str, Any]:
        return {**other, **self._sent}

    def get(self, key: str, default: Any = None) -> Any:
        """The field as it was sent, or ``default`` if it was not."""
        return self._sent.get(key, default)

    def keys(self) -> KeysView[str]:
        """The names of the fields that the server sent; makes ``dict(model)`` work."""
        return self._sent.keys()


class Record(Model):
    """The base of all models but those with a field named ``items``."""

    def items(self) -> ItemsView[str, Any]:
        """The fields as they were sent, each with its name."""
        return self._sent.items()


class Interrupt(Record):
    """A pause of a run: ``value`` is what the graph passed to ``interrupt(...)``."""

    value: Any = None
    id: Optional[str] = None
    response_schema: Optional[Dict[str, Any]] = None


class Checkpoint(Record):
    """A point in a thread's history."""

    thread_id: Optional[str] = None
    checkpoint_ns: Optional[str] = None
    checkpoint_id: Optional[str] = None
    checkpoint_map: Optional[Dict[str, Any]] = None


class Thread(Record):
    """A thread: ``status`` is "idle", "busy", "interrupted" or "error"; ``values`` its latest state.

    ``interrupts`` maps task ids to what is waiting for an answer. ``extracted`` is what a search's ``extract`` found.
    """

    _identified_by: ClassVar[Optional[str]] = "thread_id"

    thread_id: str = cast(Any, None)
    created_at: Optional[Timestamp] = None
    updated_at: Optional[Timestamp] = None
    state_updated_at: Optional[Timestamp] = None
    metadata: Optional[Dict[str, Any]] = None
    status: Union[ThreadStatus, str, None] = None
    config: Optional[Dict[str, Any]] = None
    context: Optional[Dict[str, Any]] = None
    values: Any = None
    interrupts: Dict[str, List[Interrupt]] = {}
    error: Any = None
    extracted: Optional[Dict[str, Any]] = None
    ttl: Optional[Dict[str, Any]] = None

    @field_validator("interrupts", mode="before")
    @classmethod
    def _none_waits(cls, interrupts: Any) -> Any:
        """A task whose list is null waits for nothing."""
        return (
            {task: waiting or [] for task, waiting in interrupts.items()}
            if isinstance(interrupts, dict)
            else interrupts
        )


class ThreadTask(Record):
    """A task that is next in a thread: a node that waits, failed or was interrupted.

    ``state`` is its subgraph's, or the checkpoint of that, if subgraphs were asked for.
    """

    id: Optional[str] = None
    name: Optional[str] = None
    path: List[Any] = []
    error: Any = None
    interrupts: List[Interrupt] = []
    checkpoint: Optional[Checkpoint] = None
    state: Any = None
    result: Any = None


class ThreadState(Record, Generic[State]):
    """A thread's state at one checkpoint: ``values``, the nodes that are ``next``, and their ``tasks``.

    ``values`` is a model of yours where a method was given one.
    """

    _strict: ClassVar[Tuple[str, ...]] = ("values",)

    values: State = cast(Any, None)
    next: List[str] = []
    tasks: List[ThreadTask] = []
    metadata: Optional[Dict[str, Any]] = None
    created_at: Optional[Timestamp] = None
    checkpoint: Optional[Checkpoint] = None
    parent_checkpoint: Optional[Checkpoint] = None
    checkpoint_id: Optional[str] = None
    parent_checkpoint_id: Optional[str] = None
    interrupts: List[Interrupt] = []


class ThreadUpdateStateResponse(Record):
    """What an update of a thread's state came to: the new checkpoint."""

    checkpoint: Optional[Checkpoint] = None


class ThreadPruneResponse(Record):
    """How many threads were pruned."""

    pruned_count: Optional[int] = None


class ThreadStorage(Record):
    """How much room a thread takes: ``total_bytes``, and what that is made of."""

    thread_id: Optional[str] = None
    total_bytes: Optional[int] = None
    checkpoints: Optional[Dict[str, Any]] = None
    channel_values: Optional[Dict[str, Any]] = None
    pending_writes: Optional[Dict[str, Any]] = None


class Run(Record):
    """A run: ``status`` is "pending", "running", "success", "error", "timeout" or "interrupted" (cancelled)."""

    _identified_by: ClassVar[Optional[str]] = "run_id"

    run_id: str = cast(Any, None)
    thread_id: Optional[str] = None
    assistant_id: Optional[str] = None
    created_at: Optional[Timestamp] = None
    updated_at: Optional[Timestamp] = None
    status: Union[RunStatus, str, None] = None
    metadata: Optional[Dict[str, Any]] = None
    multitask_strategy: Union[MultitaskStrategy, str, None] = None
    cancel_reason: Optional[str] = None
    kwargs: Optional[Dict[str, Any]] = None


class Assistant(Record):
    """A graph with a configuration; each update makes a new ``version``."""

    _identified_by: ClassVar[Optional[str]] = "assistant_id"

    assistant_id: str = cast(Any, None)
    graph_id: Optional[str] = None
    name: Optional[str] = None
    description: Optional[str] = None
    config: Optional[Dict[str, Any]] = None
    context: Optional[Dict[str, Any]] = None
    metadata: Optional[Dict[str, Any]] = None
    version: Optional[int] = None
    created_at: Optional[Timestamp] = None
    updated_at: Optional[Timestamp] = None


class AssistantsSearchResponse(Record):
    """A page of assistants; ``next`` is the offset of the next page, None on the last one."""

    _strict: ClassVar[Tuple[str, ...]] = ("assistants",)

    assistants: List[Assistant] = []
    next: Optional[str] = None


class Graph(Record):
    """A graph as it can be drawn: its ``nodes``, and its ``edges`` with the ids of their ends."""

    nodes: List[Dict[str, Any]] = []
    edges: List[Dict[str, Any]] = []


class GraphSchema(Record):
    """The JSON schemas of what a graph takes and gives; None where it has none."""

    graph_id: Optional[str] = None
    input_schema: Optional[Dict[str, Any]] = None
    output_schema: Optional[Dict[str, Any]] = None
    state_schema: Optional[Dict[str, Any]] = None
    config_schema: Optional[Dict[str, Any]] = None
    context_schema: Optional[Dict[str, Any]] = None


class Cron(Record):
    """A schedule of runs; ``payload`` is what each of them is started with."""

    _identified_by: ClassVar[Optional[str]] = "cron_id"

    cron_id: str = cast(Any, None)
    assistant_id: Optional[str] = None
    thread_id: Optional[str] = None
    on_run_completed: Union[OnCompletionBehavior, str, None] = None
    end_time: Optional[Timestamp] = None
    schedule: Optional[str] = None
    timezone: Optional[str] = None
    created_at: Optional[Timestamp] = None
    updated_at: Optional[Timestamp] = None
    payload: Optional[Dict[str, Any]] = None
    user_id: Optional[str] = None
    next_run_date: Optional[Timestamp] = None
    metadata: Optional[Dict[str, Any]] = None
    enabled: Optional[bool] = None


class Item(Record):
    """A document of the store: ``value``, under ``key`` in ``namespace``."""

    namespace: List[str] = []
    key: Optional[str] = None
    value: Dict[str, Any] = {}
    created_at: Optional[Timestamp] = None
    updated_at: Optional[Timestamp] = None


class SearchItem(Item):
    """A document that a search found; ``score`` says how well, if the store compares meanings."""

    score: Optional[float] = None


class SearchItemsResponse(Model):
    """A page of what a search of the store found."""

    _strict: ClassVar[Tuple[str, ...]] = ("items",)

    items: List[SearchItem] = []


class ListNamespaceResponse(Record):
    """A page of the store's namespaces, each a path."""

    _strict: ClassVar[Tuple[str, ...]] = ("namespaces",)

    namespaces: List[List[str]] = []


class ServerInfo(Record):
    """What a server says of itself; ``flags`` tell what it can do."""

    version: Optional[str] = None
    langgraph_py_version: Optional[str] = None
    langgraph_js_version: Optional[str] = None
    context: Optional[str] = None
    flags: Dict[str, Any] = {}
    host: Optional[Dict[str, Any]] = None
    metadata: Optional[Dict[str, Any]] = None
