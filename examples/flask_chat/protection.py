"""What any app with sessions needs: a key, tokens against forged requests, headers that narrow what a page may do."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from pathlib import Path

from flask import Flask, Response, abort, request, session

_logger = logging.getLogger(__name__)

_HEADERS = {
    # No script but the app's own, none inline: markup that slipped into the page would not run.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def secret_key(folder: str) -> str:
    """The key that signs sessions: CHAT_SECRET_KEY, or else one that is made once and kept in a file.

    It must be the same in all workers, and after a restart.
    """
    key = os.environ.get("CHAT_SECRET_KEY")
    if key:
        return key
    file = Path(folder) / "secret_key"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _create(file, secrets.token_hex(32))
    _logger.warning("CHAT_SECRET_KEY is not set: sessions are signed with the key in %s", file)
    return file.read_text(encoding="ascii")


def _create(file: Path, text: str) -> None:
    """Several workers may do this at once: the first one wins, and none sees half a key."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def protect(app: Flask) -> None:
    """Refuse requests that another site made a browser send, and narrow what pages may do."""
    app.before_request(_refuse_forged_requests)
    app.after_request(_add_headers)
    app.jinja_env.globals["csrf_token"] = csrf_token


def csrf_token() -> str:
    """What a page of ours sends along, and no other site can know."""
    return str(session.setdefault("csrf_token", secrets.token_urlsafe(32)))


def _refuse_forged_requests() -> None:
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    sent = request.headers.get("X-CSRF-Token", "")
    if not hmac.compare_digest(sent.encode(), csrf_token().encode()):
        abort(403, "The page is out of date: please reload it")


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    # What a conversation says is nobody else's: no cache keeps it.
    response.headers.setdefault("Cache-Control", "no-store")
    return response
