"""The tree of commands. A command's module is imported when it is used or its help is shown, not before."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any, Dict, List, Optional, Tuple

import click

from .._version import version

__all__ = ["lgsync"]

#: Each command of the tree: what its line in ``lgsync --help`` says. It is defined in the module of its name.
_COMMANDS: Dict[str, str] = {
    "demo": "See a run stream into your terminal, from a server that is started for it.",
    "chat": "Talk to a graph on a thread, answer its questions, stop it with Ctrl-C.",
    "stream": "Run a graph once and show what it says as it comes.",
    "join": "Show a run that was started elsewhere, from its start and on.",
    "threads": "List, show and delete threads.",
    "runs": "List, show and delete the runs of a thread.",
    "assistants": "List, show and delete assistants.",
    "graph": "Draw a graph.",
    "record": "Run a graph once and write all that came into a file.",
    "replay": "Show a recorded run again, at any speed, without a server.",
    "doctor": "Find out why a server cannot be reached or does not stream.",
    "completion": "Print the script that makes a shell complete lgsync's commands.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> List[str]:  # noqa: ARG002 (click's signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:  # noqa: ARG002 (click's signature)
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f".{cmd_name}", __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's signature)
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: List[str]
    ) -> Tuple[Optional[str], Optional[click.Command], List[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], _COMMANDS, n=1)
            advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(_COMMANDS)}"
            ctx.fail(f"there is no command {args[0]!r}; {advice}")
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, _param: Any, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"lgsync {version()}")
        ctx.exit()


@click.group(
    cls=_Commands,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="""\b
Exit codes:
  0    done
  1    something else failed; lgsync doctor: something is wrong
  2    wrong usage, refused by the server, or something is not installed
  3    the run is paused: it waits for an answer
  4    the run failed, or was cancelled
  5    no connection to the server, or it was lost for good
  130  ended by Ctrl-C

\b
Environment:
  LANGGRAPH_URL      the server, if --url is not given
  LANGGRAPH_API_KEY  the key, if --api-key is not given: this way it stays
                     out of your shell's history
  NO_COLOR           if set: no colours

\b
Examples:
  lgsync demo
  lgsync chat agent --url http://localhost:2024
  lgsync stream agent "what's the weather in sf"
""",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show which.")
def lgsync() -> None:
    """The blocking client for LangGraph servers."""
