"""A run's payload as commands of the thread event protocol: ``run.start`` and ``input.respond``."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Mapping

from ..errors import APIStatusError, ConfigurationError, status_error
from ..transport import RunStart, refuse

__all__ = ["check_start", "is_answer", "protocol_error", "respond_params", "start_params"]

Interrupt = Mapping[str, Any]

#: Payload keys that the protocol has under these names.
_SAME = ("assistant_id", "input", "config", "metadata", "langsmith_tracer")

_STATUS = re.compile(r"(?P<status>[45]\d\d): (?P<detail>.*)", re.DOTALL)

#: The status that a protocol error's code would have over HTTP.
_STATUS_OF = {
    "invalid_argument": 422,
    "no_such_interrupt": 409,
    "no_such_run": 404,
    "no_such_subscription": 404,
    "not_supported": 501,
    "resume_gap": 410,
    "unknown_command": 404,
    "unsupported": 501,
}


def check_start(start: RunStart, transport: str) -> None:
    """Raise UnsupportedByTransport for what the protocol has no word for, though other values of it are carried."""
    payload = start.payload
    if start.thread_id is None:
        refuse("thread_id=None (a run without a thread)", transport, hint="Or create a thread first.")
    if payload.get("stream_resumable") is False:
        refuse("stream_resumable=False", transport, hint="Its runs can always be resumed.")
    if payload.get("on_disconnect") == "cancel":
        refuse('on_disconnect="cancel"', transport, hint="Its runs outlive the connection; cancel them instead.")
    if payload.get("durability") not in (None, "async"):
        refuse(f"durability={payload['durability']!r}", transport)
    if payload.get("command") and not is_answer(payload):
        refuse("command without resume", transport)


def is_answer(payload: Mapping[str, Any]) -> bool:
    """Whether the run resumes from an interrupt."""
    command = payload.get("command")
    return isinstance(command, Mapping) and "resume" in command


def start_params(payload: Mapping[str, Any], pending: Iterable[Interrupt]) -> Dict[str, Any]:
    """The params of ``run.start``. Raises ConfigurationError where the server would take the input for an answer."""
    waiting = list(pending)
    if waiting and payload.get("input") is not None:
        raise ConfigurationError(
            f"The thread waits for an answer, and the server would take input= for it: {_listed(waiting)}. Answer with "
            'command={"resume": …}, or pass input=None to ask again; nothing was sent'
        )
    params = {key: payload[key] for key in _SAME if key in payload}
    # Said even where it is None: that continues from the last checkpoint.
    params.setdefault("input", None)
    if "multitask_strategy" in payload:
        params["multitaskStrategy"] = payload["multitask_strategy"]
    if payload.get("checkpoint_id") is not None:
        config = dict(params.get("config") or {})
        configurable = {**(config.get("configurable") or {}), "checkpoint_id": payload["checkpoint_id"]}
        params["config"] = {**config, "configurable": configurable}
    return params


def respond_params(payload: Mapping[str, Any], pending: Iterable[Interrupt]) -> Dict[str, Any]:
    """The params of ``input.respond``, which answers by id; raises ConfigurationError if it is not clear whom."""
    command = payload["command"]
    params = {key: command[key] for key in ("update", "goto") if command.get(key) is not None}
    params.update({key: payload[key] for key in ("config", "metadata") if key in payload})
    answers = _answers(command["resume"], list(pending))
    params["responses"] = [{"interrupt_id": key, "response": value} for key, value in answers.items()]
    return params


def _answers(resume: Any, pending: List[Interrupt]) -> Dict[str, Any]:
    ids = [str(interrupt.get("id")) for interrupt in pending]
    if not pending:
        raise ConfigurationError('command={"resume": …} has nothing to answer: the thread waits for nothing')
    if isinstance(resume, Mapping) and resume and set(resume) <= set(ids):
        return dict(resume)
    if len(ids) == 1:
        return {ids[0]: resume}
    raise ConfigurationError(
        f"The thread waits for {len(ids)} answers, so resume must be a dict of them by id: {_listed(pending)}"
    )


def _listed(pending: List[Interrupt]) -> str:
    return "; ".join(f"{interrupt.get('id')} asks {interrupt.get('value')!r}" for interrupt in pending)


def protocol_error(envelope: Mapping[str, Any], *, request: str, url: str, command: str) -> APIStatusError:
    """The typed error for ``{"type": "error", "error": code, "message": text}``; a text may begin with its status.

    ``request`` is the HTTP method with which ``command`` went to ``url``.
    """
    code, text = str(envelope.get("error") or "unknown_error"), str(envelope.get("message") or "")
    found = _STATUS.match(text)
    status = int(found["status"]) if found else _STATUS_OF.get(code, 500)
    detail = found["detail"] if found else f"{text} ({code})"
    error = status_error(status, method=request, url=f"{url} ({command})", body={"detail": detail, "code": code})
    error.url = url
    return error
