"""The options that every command has, declared once, and what a command gets of them."""

from __future__ import annotations

import functools
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, TypeVar, Union

import click

from .outage import RECONNECT_SECONDS
from .telling import Invocation

if TYPE_CHECKING:
    from ..client import Client
    from ..transport import TransportFactory

__all__ = ["DEFAULT_URL", "Settings", "example", "json_object", "seconds", "settings_options"]

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_URL = "http://localhost:2024"

_URL_HELP = f"The server. [default: $LANGGRAPH_URL, or {DEFAULT_URL}]"


@dataclass(frozen=True)
class Settings:
    """The common options, as they were given."""

    url: Optional[str]
    api_key: Optional[str]
    transport: str
    timeout: Optional[float]
    json: bool
    color: bool

    def client(self, transport: Union[str, TransportFactory, None] = None, **options: Any) -> Client:
        """A client for the server that was named; raises ConfigurationError for what cannot be used."""
        from ..client import Client

        given: Dict[str, Any] = {"url": self.url, "transport": transport or self.transport}
        given["reconnect"] = RECONNECT_SECONDS
        # Left out, the client looks into the environment, and has a timeout of its own.
        given.update({"api_key": self.api_key} if self.api_key else {})
        given.update({"timeout": self.timeout} if self.timeout is not None else {})
        return Client(**{**given, **options})


def json_object(text: str) -> Any:
    """The type of an option that takes a JSON object."""
    try:
        read = json.loads(text)
    except ValueError as exc:
        raise click.BadParameter(f"{text!r} is not JSON: {exc}") from exc
    if not isinstance(read, dict):
        raise click.BadParameter(f'{text!r} is JSON, but no object such as {{"key": "value"}}')
    return read


def seconds(text: str) -> float:
    """The type of an option that takes a time to wait for."""
    from ..transport import LONGEST_WAIT

    try:
        read = float(text)
    except ValueError:
        read = 0.0
    if not 0 < read <= LONGEST_WAIT:
        raise click.BadParameter(f"{text!r} is no number of seconds above 0, and up to {LONGEST_WAIT}")
    return read


def _transport_name(name: str) -> str:
    from ..errors import ConfigurationError
    from ..transport import factory_of

    if name == "replay":
        raise click.BadParameter("lgsync replay shows a recording; the other commands talk to a server")
    try:
        factory_of(name)
    except ConfigurationError as exc:
        raise click.BadParameter(str(exc).replace(" replay,", "")) from exc
    return name


def _address(_ctx: click.Context, _param: click.Parameter, url: Optional[str]) -> Optional[str]:
    if url is not None and not url.strip():
        raise click.BadParameter("it is empty: give the server's URL, or leave the option out")
    return url


def settings_options(command: F) -> F:
    """Give a command the common options; it is called with a :class:`Settings` before all else."""

    @_common
    @functools.wraps(command)
    def run(
        *args: Any,
        url: Optional[str],
        api_key: Optional[str],
        transport: str,
        timeout: Optional[float],
        as_json: bool,
        no_color: bool,
        **own: Any,
    ) -> Any:
        return command(Settings(url, api_key, transport, timeout, as_json, not no_color), *args, **own)

    return run  # type: ignore[return-value]


def example(*lines: str) -> str:
    """The end of a command's help: what to type, line by line."""
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def _debug(ctx: click.Context, _param: Any, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        ctx.ensure_object(Invocation).debug = True
        logging.getLogger("lgsync").setLevel(logging.DEBUG)


def _common(command: F) -> F:
    options = [
        click.option(
            "--url", metavar="URL", callback=_address, help=f"The server. [default: $LANGGRAPH_URL, or {DEFAULT_URL}]"
        ),
        click.option("--api-key", metavar="KEY", help="Sent as x-api-key. [default: $LANGGRAPH_API_KEY]"),
        click.option(
            "--transport",
            type=_transport_name,
            metavar="NAME",
            default="sse",
            shell_complete=lambda _ctx, _param, begun: [
                name for name in ("sse", "websocket") if name.startswith(begun)
            ],
            help="sse, websocket or an installed one. [default: sse]",
        ),
        click.option("--timeout", metavar="SECONDS", type=seconds, help="For connecting and the next sign of life."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON, one object on each line."),
        click.option("--no-color", is_flag=True, help="No colours; so does $NO_COLOR."),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_debug,
            help="Show each request, and the traceback of an error.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
