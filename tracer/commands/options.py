"""Options that several commands share, as decorators. `run` imports them before the traced command begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tracer.errors import ExitStatus

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tracer.classify.findings import Finding

FAIL_ON: Final[Mapping[str, ExitStatus]] = {
    "loss": ExitStatus.INCOMPLETE,
    "blind-spots": ExitStatus.BLIND_SPOTS,
    "contracts": ExitStatus.CONTRACT_BROKEN,
    "over-assumed": ExitStatus.OVER_ASSUMED,
    "unknown": ExitStatus.UNKNOWN_ENDPOINT,
    "refused": ExitStatus.REFUSED,
}
"""Kind of finding → exit status. If several kinds occur, the first in this list sets the exit status."""


_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

INPUT: Final = click.Path(path_type=Path)
OUTPUT: Final = click.Path(path_type=Path, dir_okay=False)

config_option: Final = click.option(
    "--config",
    type=INPUT,
    metavar="PATH",
    help="The configuration. Default: svc-trace.toml or pyproject.toml, here or in a parent directory.",
)


backend_option: Final = click.option(
    "--backend",
    type=click.Choice(["auto", "libbpf", "bcc", "strace"]),
    default="auto",
    show_default=True,
    help="What records the socket events; auto takes the first that this machine can run.",
)


def _words(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """The words of a command; none if it is not given."""
    if value is None:
        return ()
    import shlex

    try:
        words = tuple(shlex.split(value))
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}", context, parameter) from None
    if not words:
        raise click.BadParameter("it is empty", context, parameter)
    return words


enter_option: Final = click.option(
    "--enter",
    metavar="COMMAND",
    callback=_words,
    help="Run CMD in a container, by a command that enters it, such as 'docker compose exec web'.",
)


no_ambient_option: Final = click.option(
    "--no-ambient", is_flag=True, help="Ignore services that were only ambient in a test."
)


complete_option: Final = click.option(
    "--strict", is_flag=True, help="Fail with status 80 if the report is not complete."
)


def unit_option(help_text: str) -> Callable[[_Decorated], _Decorated]:
    """`--by`, given as `unit`: the unit that is selected, or that stays together."""
    return click.option(
        "--by",
        "unit",
        type=click.Choice(["test", "class", "file"]),
        default="test",
        show_default=True,
        help=help_text,
    )


verified_option: Final = click.option(
    "--verified",
    multiple=True,
    metavar="FILE",
    help="Verdicts that `svc-trace verify` wrote: a path or a quoted pattern; may be repeated.",
)


ARGUMENTS: Final = "svc-trace.arguments"
"""The key in a context's `meta` of svc-trace's arguments: a list that begins with the command's name."""


def sudo_option(function: Any) -> Any:  # noqa: ANN401 -- as click's own decorators
    """`--sudo`: for an ordinary user, start again as root in place of calling the command, which gets no value."""

    @click.option(
        "--sudo", is_flag=True, help="Start again as root, through sudo, doas or run0. CMD still runs as you."
    )
    @wraps(function)
    def command(*positional: Any, sudo: bool, **values: Any) -> Any:  # noqa: ANN401
        if sudo and 0 not in os.getresuid():
            from tracer.commands.elevation import start_as_root

            context = click.get_current_context()
            start_as_root(_arguments_without_sudo(context), context.obj.environment)
        return function(*positional, **values)

    return command


def _arguments_without_sudo(context: click.Context) -> Sequence[str]:
    """Svc-trace's arguments without those words `--sudo` that are the option, and no value or word of CMD.

    With them, a program that does not make the user root would be started endlessly.
    """

    def parsed(words: list[str]) -> tuple[dict[str, Any], list[str]]:
        options, arguments, _ = context.command.make_parser(context).parse_args(words)
        options.pop("sudo", None)
        return options, arguments

    name, *words = context.meta[ARGUMENTS]
    for at in range(len(words) - 1, -1, -1):
        others = words[:at] + words[at + 1 :]
        with suppress(click.UsageError):  # it was the value of another option
            if words[at] == "--sudo" and parsed([*others]) == parsed([*words]):
                words = others
    return [name, *words]


def _new_names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    names = {}
    for value in values:
        service, separator, name = value.partition("=")
        if not service or not separator:
            raise click.BadParameter(f"{value!r} is not SERVICE=NAME or SERVICE=", context, parameter)
        names[service] = name
    return names


map_option: Final = click.option(
    "--map",
    "names",
    multiple=True,
    metavar="SERVICE=NAME",
    callback=_new_names,
    help="Call a service by another name, such as that of a service which includes it; SERVICE= leaves it out. May be "
    "repeated.",
)
"""`--map`, given as `names`: service → its other name, or empty (`classify/service_names.py`)."""


def complete_files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a path, as for the words of any other command."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def tests_options(function: Any) -> Any:  # noqa: ANN401 -- as click's own decorators
    """`--tests` and `--service NAME`, combined in `list_tests`: services, empty for all; None without `--tests`."""
    service = click.option(
        "--service",
        "list_tests",
        multiple=True,
        metavar="NAME",
        callback=_listed_services,
        help="With --tests: list the tests of this service only; may be repeated.",
    )
    tests = click.option("--tests", is_flag=True, is_eager=True, help="List each service's tests before the summary.")
    return tests(service(function))


def _listed_services(context: click.Context, _: click.Parameter, services: tuple[str, ...]) -> tuple[str, ...] | None:
    tests = context.params.pop("tests")  # known by now, because it is eager
    if services and not tests:
        raise click.UsageError("--service needs --tests.", context)
    return services if tests else None


def fail_on_options(function: Any) -> Any:  # noqa: ANN401 -- as of `tests_options`
    """`--fail-on KINDS`, a tuple of keys of `FAIL_ON`, and `--baseline FILE`, given as `accepted` findings or None."""
    fail_on = click.option(
        "--fail-on",
        metavar="KINDS",
        default="",
        callback=_kinds,
        help=f"Fail with a separate exit status if there are findings of these kinds: {', '.join(FAIL_ON)}.",
    )
    baseline = click.option(
        "--baseline",
        "accepted",
        type=INPUT,
        metavar="FILE",
        callback=_read_baseline,
        help="Accepted findings, as `svc-trace validate --write-baseline` writes them.",
    )
    return fail_on(baseline(function))


def _kinds(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in value.split(",")) if value else ()
    if wrong := [kind for kind in kinds if kind not in FAIL_ON]:
        raise click.BadParameter(f"{wrong[0]!r} is not one of {', '.join(FAIL_ON)}", context, parameter)
    return kinds


def _read_baseline(context: click.Context, parameter: click.Parameter, file: Path | None) -> frozenset[Finding] | None:
    if file is None:
        return None
    from tracer.reports.baseline import read_baseline

    return read_baseline(file)
