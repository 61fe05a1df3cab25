"""The command line's frame: a group that loads a command when it is called, and whose default command is `run`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

from tracer import __version__
from tracer.commands.options import ARGUMENTS
from tracer.commands.privileges import give_up_root

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final[Mapping[str, str]] = {
    "init": "tracer.commands.init",
    "run": "tracer.commands.run",
    "report": "tracer.commands.report",
    "merge": "tracer.commands.merge",
    "validate": "tracer.commands.validate",
    "explain": "tracer.commands.explain",
    "diff": "tracer.commands.diff",
    "select": "tracer.commands.select",
    "plan": "tracer.commands.plan",
    "verify": "tracer.commands.verify",
    "export": "tracer.commands.export",
    "config": "tracer.commands.config",
    "doctor": "tracer.commands.doctor",
}
"""Command → its module, which has the command under the name `command`."""
_OWN_OPTIONS: Final = ("-h", "--help", "--version", "--verbose")
_VERBOSE: Final = "svc-trace.verbose"
"""The key of `--verbose` in a context's `meta`."""


class RunByDefault(click.Group):
    """A group that loads a command's module when it needs the command, and whose default command is `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let `svc-trace [options] -- CMD` mean `svc-trace run [options] -- CMD`, and `svc-trace` ask for help.

        As soon as the command is known, root is given up; its object is the invoking user.

        Raises:
            click.UsageError: the first word is neither an option nor a program, but almost the name of a command.
        """
        if not args:
            args = ["--help"]
        elif args[0] not in COMMANDS and args[0] not in _OWN_OPTIONS:
            completes = ctx.resilient_parsing  # a line that is not finished
            program = completes or args[0].startswith("-") or os.sep in args[0]
            if not program and (near := _nearest_command(args[0])):
                trace = f"To trace a program of this name, write: svc-trace -- {args[0]}"
                raise click.UsageError(f"There is no command {args[0]!r}. Did you mean {near!r}? {trace}", ctx)
            args = ["run", *args]
        ctx.meta[ARGUMENTS] = list(args)
        ctx.obj = give_up_root(args[0])
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so; also the options of `run`, which is the default."""
        run = self.get_command(ctx, "run")
        assert run is not None
        found = run.shell_complete(click.Context(run, parent=ctx), incomplete) + super().shell_complete(ctx, incomplete)
        return [*{item.value: item for item in found}.values()]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order in which a user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


def _nearest_command(word: str) -> str | None:
    """The command that is almost this word; None if the word is a program, or no command is near."""
    from shutil import which

    if which(word):
        return None
    from tracer.commands.nearest import nearest

    return nearest(word, COMMANDS)


def _keep(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    context.meta[_VERBOSE] = given  # known before --version is looked at, because it is eager


def _print_version(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    """Print it, and with --verbose what a report of an error needs."""
    if not given or context.resilient_parsing:
        return
    if context.meta[_VERBOSE]:
        from tracer.commands.version import version_lines

        for line in version_lines(context.obj):
            click.echo(line)
    else:
        click.echo(f"svc-trace, version {__version__}")
    context.exit()


@click.command(
    cls=RunByDefault,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="-- CMD... | COMMAND [ARGS]...",
)
@click.option(
    "--verbose",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_keep,
    help="With --version: also print what a report of an error needs.",
)
@click.option("--version", is_flag=True, expose_value=False, callback=_print_version, help="Print the version.")
def cli() -> None:
    """Report which external services each test of a suite uses, as the kernel sees it.

    `svc-trace -- pytest ...` means `svc-trace run -- pytest ...`.
    """
