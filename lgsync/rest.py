"""REST calls: a transport's answer becomes data, or one typed error."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Type, TypeVar

from .answers import SNIPPET_CHARS, data_of, refuse_unless_ok
from .errors import ResponseError
from .transport import Timeout, Transport

__all__ = ["Rest"]

M = TypeVar("M")


class Rest:
    """Calls of one client over its transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[Timeout] = None,
    ) -> Any:
        """Make one call; returns the decoded JSON, or None for 204.

        Raises APIStatusError for a refusal, ResponseError for an answer that is not this API's, and whatever
        :meth:`Transport.request` raises.
        """
        response = self.transport.request(method, path, params=params, json=json, headers=headers, timeout=timeout)
        refuse_unless_ok(response, method)
        return data_of(response, method)

    def accepted(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[Timeout] = None,
    ) -> None:
        """Make one call whose answer has no content of interest (a delete, a cancel)."""
        response = self.transport.request(method, path, params=params, json=json, headers=headers, timeout=timeout)
        refuse_unless_ok(response, method)

    def model(self, model: Type[M], method: str, path: str, **options: Any) -> M:
        """Make one call and read its answer as ``model``."""
        return _parse(model, self.call(method, path, **options), f"{method} {path}")


def _parse(model: Type[M], data: Any, call: str) -> M:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(model).validate_python(data)
    except ValidationError as exc:
        raise ResponseError(
            f"{call} answered with data that is no {getattr(model, '__name__', model)}: {exc}",
            url=call.partition(" ")[2],
            status=200,
            content_type="application/json",
            snippet=str(data)[:SNIPPET_CHARS],
        ) from exc
