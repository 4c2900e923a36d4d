"""Data read as a model: one of ours, or one that a user has for a graph's state."""

from __future__ import annotations

import functools
from typing import Any, Hashable, Type, TypeVar, cast

from .answers import SNIPPET_CHARS
from .errors import ConfigurationError, ResponseError, StateMismatch
from .transport import Response

__all__ = ["PARTIAL", "parse", "state_as"]

M = TypeVar("M")

#: The context in which a model is read that lacks what was not asked for.
PARTIAL = "lgsync: only some fields"


def parse(model: Type[M], data: Any, method: str, response: Response, *, partial: bool = False) -> M:
    """``data``, which ``response`` brought, as ``model``; raises ResponseError if it does not fit.

    ``partial`` says that only some fields were asked for, so that the id may be missing.
    """
    from pydantic import ValidationError

    try:
        return _validated(model, data, partial=partial)
    except ValidationError as exc:
        where, why = _first(exc)
        name = getattr(model, "__name__", model)
        raise ResponseError(
            f"{method} {response.url} answered with data that is no {name} ({where}: {why}). "
            "Does the URL point at a LangGraph server?",
            url=response.url,
            status=response.status,
            content_type=response.headers.get("content-type", ""),
            snippet=str(data)[:SNIPPET_CHARS],
        ) from exc


def state_as(model: Type[M], values: Any, what: str) -> M:
    """The values of a state as a model of the user's own; raises StateMismatch, in which ``what`` names the state."""
    from pydantic import ValidationError

    try:
        return _validated(model, values)
    except ValidationError as exc:
        where, why = _first(exc)
        name = getattr(model, "__name__", model)
        raise StateMismatch(f"{what} is no {name} ({where}: {why})") from exc


def _validated(model: Type[M], data: Any, *, partial: bool = False) -> M:
    from pydantic import PydanticUserError

    try:
        adapter = _adapter(cast(Hashable, model))
    except PydanticUserError as exc:
        raise ConfigurationError(f"{model!r} cannot serve as a model: {exc.message}") from exc
    validated: M = adapter.validate_python(data, context=PARTIAL if partial else None)
    return validated


@functools.lru_cache(maxsize=256)
def _adapter(model: Hashable) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cast(Any, model))


def _first(error: Any) -> Any:
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(str(step) for step in first["loc"]) or "the whole", first["msg"]
