"""REST calls: a transport's answer becomes data, or one typed error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Type, TypedDict, TypeVar

from .answers import SNIPPET_CHARS, data_of, refuse_unless_ok
from .deadline import Deadline
from .errors import ConnectionTimeout, ResponseError
from .transport import Response, Timeout, Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["CallOptions", "Rest"]

M = TypeVar("M")


class CallOptions(TypedDict, total=False):
    """What one call may carry beside its method and path: see :meth:`lgsync.transport.Transport.request`."""

    params: Optional[Mapping[str, Any]]
    json: Any
    headers: Optional[Mapping[str, str]]
    timeout: Optional[Timeout]
    deadline: Optional[float]


class Rest:
    """Calls of one client over its transport; each must be over within ``deadline`` seconds, unless it has its own."""

    def __init__(self, transport: Transport, deadline: Optional[float] = None) -> None:
        self.transport = transport
        self.deadline = deadline

    def call(self, method: str, path: str, **options: Unpack[CallOptions]) -> Any:
        """Make one call; returns the decoded JSON, or None for 204.

        Raises APIStatusError for a refusal, ResponseError for an answer that is not this API's, DeadlineExceeded, and
        whatever :meth:`Transport.request` raises.
        """
        return data_of(self._answer(method, path, **options), method)

    def accepted(self, method: str, path: str, **options: Unpack[CallOptions]) -> None:
        """Make one call whose answer has no content of interest (a delete, a cancel)."""
        self._answer(method, path, **options)

    def model(self, model: Type[M], method: str, path: str, **options: Unpack[CallOptions]) -> M:
        """Make one call and read its answer as ``model``."""
        response = self._answer(method, path, **options)
        return _parse(model, data_of(response, method), method, response)

    def _answer(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[Timeout] = None,
        deadline: Optional[float] = None,
    ) -> Response:
        end = Deadline(self.deadline if deadline is None else deadline)
        if end.seconds is not None:
            timeout = end.within(timeout or self.transport.timeout)
        try:
            response = self.transport.request(method, path, params=params, json=json, headers=headers, timeout=timeout)
        except ConnectionTimeout as exc:
            if end.passed:
                raise end.exceeded(f"{method} {path}") from exc
            raise
        refuse_unless_ok(response, method)
        return response


def _parse(model: Type[M], data: Any, method: str, response: Response) -> M:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(model).validate_python(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        raise ResponseError(
            f"{method} {response.url} answered with data that is no {getattr(model, '__name__', model)} "
            f"({where}: {first['msg']}). Does the URL point at a LangGraph server?",
            url=response.url,
            status=response.status,
            content_type=response.headers.get("content-type", ""),
            snippet=str(data)[:SNIPPET_CHARS],
        ) from exc
