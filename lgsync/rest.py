"""REST calls: a transport's answer becomes data, or one typed error."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Type, TypeVar

from . import codec
from .errors import APIStatusError, ResponseError, status_error
from .transport import Response, Timeout, Transport

__all__ = ["Rest", "error_of", "refuse_unless_ok"]

M = TypeVar("M")

_SNIPPET_CHARS = 200


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
        return _data_of(response, method)

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


def refuse_unless_ok(response: Response, method: str) -> None:
    """Raise the error that stands for the response's status, unless it is 2xx."""
    if not 200 <= response.status < 300:
        raise error_of(response, method)


def error_of(response: Response, method: str) -> APIStatusError:
    """The typed error for a response whose status is a refusal."""
    try:
        body: Any = codec.decode(response.body)
    except ValueError:
        body = response.body.decode("utf-8", "replace")
    return status_error(
        response.status,
        method=method,
        url=response.url,
        body=body,
        request_id=response.headers.get("x-request-id"),
        retry_after=response.headers.get("retry-after"),
    )


def _data_of(response: Response, method: str) -> Any:
    if response.status == 204:
        return None
    try:
        return codec.decode(response.body)
    except ValueError as exc:
        content_type = response.headers.get("content-type", "")
        snippet = response.body.decode("utf-8", "replace")[:_SNIPPET_CHARS]
        what = f"{content_type or 'a body of no type'}: {snippet!r}" if response.body.strip() else "an empty body"
        raise ResponseError(
            f"{method} {response.url} answered {response.status} with {what}, where JSON was due. "
            "Does the URL point at a LangGraph server, and does a proxy stand in between?",
            url=response.url,
            status=response.status,
            content_type=content_type,
            snippet=snippet,
        ) from exc


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
            snippet=str(data)[:_SNIPPET_CHARS],
        ) from exc
