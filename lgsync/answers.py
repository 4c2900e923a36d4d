"""What an HTTP answer means: data, or one typed error."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any, Mapping, Optional

from . import codec
from .bodies import SNIPPET_CHARS, shown, text_of
from .errors import APIStatusError, ResponseError, status_error
from .transport import Response

__all__ = ["SNIPPET_CHARS", "data_of", "error_of", "refuse_unless_ok", "strange_answer"]

# Seconds that a server may ask to wait; a longer number means nothing.
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def refuse_unless_ok(response: Response, method: str) -> None:
    """Raise the error that stands for the response's status, unless it is 2xx."""
    if not 200 <= response.status < 300:
        raise error_of(response, method)


def error_of(response: Response, method: str) -> APIStatusError:
    """The typed error for a response whose status is a refusal."""
    try:
        body: Any = codec.decode(response.body)
    except ValueError:
        body = text_of(response.body, response.headers.get("content-type", ""))
    return status_error(
        response.status,
        method=method,
        url=response.url,
        body=body,
        request_id=response.headers.get("x-request-id"),
        retry_after=_retry_after(response.headers),
    )


def _retry_after(headers: Mapping[str, str]) -> Optional[float]:
    """Seconds that the server asks to wait; it names them, or a date, which counts from that of the answer."""
    asked = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(asked):
        return float(asked)
    try:
        pause = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, pause.total_seconds())


def data_of(response: Response, method: str) -> Any:
    """The decoded JSON of a response, None for 204; raises ResponseError if it is none."""
    if response.status == 204:
        return None
    try:
        return codec.decode(response.body, strict=True)
    except ValueError as exc:
        raise strange_answer(response, method, "JSON") from exc


def strange_answer(response: Response, method: str, due: str) -> ResponseError:
    """The error for an answer that has another body than was ``due``."""
    content_type = response.headers.get("content-type", "")
    text = text_of(response.body, content_type)
    return ResponseError(
        f"{method} {response.url} answered {response.status} with {shown(text, content_type)}, where {due} was due. "
        "Does the URL point at a LangGraph server, and does a proxy stand in between?",
        url=response.url,
        status=response.status,
        content_type=content_type,
        snippet=text[:SNIPPET_CHARS],
    )
