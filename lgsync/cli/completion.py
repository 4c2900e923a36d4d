"""``lgsync completion``: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click

from .options import example

__all__ = ["command"]


@click.command(
    "completion",
    epilog=example(
        "lgsync completion bash >> ~/.bashrc",
        "lgsync completion zsh  >> ~/.zshrc",
        "lgsync completion fish > ~/.config/fish/completions/lgsync.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete lgsync's commands and options."""
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None
    root = context.find_root()
    script = complete(root.command, {}, "lgsync", "_LGSYNC_COMPLETE")
    # Not source(): that looks for the shell on this machine first.
    click.echo(script.source_template % script.source_vars())
