"""Options that several commands share, as decorators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from tracer.errors import ExitStatus

FAIL_ON: Final[Mapping[str, ExitStatus]] = {
    "loss": ExitStatus.INCOMPLETE,
    "blind-spots": ExitStatus.BLIND_SPOTS,
    "contracts": ExitStatus.CONTRACT_BROKEN,
    "over-assumed": ExitStatus.OVER_ASSUMED,
    "unknown": ExitStatus.UNKNOWN_ENDPOINT,
}
"""Kind of finding → exit status. Of several kinds the first decides: those before it in doubt say more than it."""
ALL_SERVICES: Final = ""
"""The value of a bare `--tests`."""


class OptionalValueCommand(click.Command):
    """A command whose options with an optional value take it only when attached: `--tests`, `--tests=kafka`.

    click would take the next word for the value, and that is the command to be traced.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Attach an empty value to each bare option with an optional one."""
        return super().parse_args(ctx, list(self._attached(args)))

    def _attached(self, args: list[str]) -> Iterator[str]:
        options = [parameter for parameter in self.params if isinstance(parameter, click.Option)]
        optional = {name for option in options if _has_optional_value(option) for name in option.opts}
        valued = {name for option in options if not option.is_flag for name in option.opts} - optional
        words = iter(args)
        for word in words:
            if word == "--" or not (word.startswith("-") or self.allow_interspersed_args):
                yield word
                yield from words
                return
            yield f"{word}=" if word in optional else word
            if _wants_next_word(word, valued):
                yield from islice(words, 1)


def _has_optional_value(option: click.Option) -> bool:
    return not option.is_flag and option.flag_value == ALL_SERVICES


def _wants_next_word(word: str, valued: set[str]) -> bool:
    """Whether an option's value is the word after it: `--output F`, `-o F`, `-qo F`, but not `-oF`."""
    if word.startswith("--") or not word.startswith("-"):
        return word in valued
    letters = word[1:]
    return next((place == len(letters) for place, letter in enumerate(letters, 1) if f"-{letter}" in valued), False)


def config_option(function: Any) -> Any:  # noqa: ANN401 -- as click's own decorators
    """`--config PATH`."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="The configuration. Default: svc-trace.toml or pyproject.toml, here or in a parent directory.",
    )(function)


def tests_option(function: Any) -> Any:  # noqa: ANN401
    """`--tests[=SERVICE]`: None without it, `ALL_SERVICES` for all."""
    return click.option(
        "--tests",
        is_flag=False,
        flag_value=ALL_SERVICES,
        metavar="[=SERVICE]",
        help="List the tests of each service, or of one, before the summary.",
    )(function)


def format_option(*forms: str, help: str = "What is printed.") -> Callable[[Any], Any]:
    """`--format FORM`, given as `form`: one of these, the first without it."""
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], show_default=True, help=help)


def printing_options(function: Any) -> Any:  # noqa: ANN401
    """What is printed of a classification: `--format`, `--directories` and `--tests`."""
    form = format_option(
        "terminal",
        "markdown",
        "json",
        "sentry",
        help="What is printed; sentry is the report of Sentry's in-process classifier.",
    )
    directories = click.option(
        "--directories",
        type=click.IntRange(min=1),
        metavar="DEPTH",
        help="Tell what the tests of each folder use, down to so many levels. In markdown they are always told, to 2.",
    )
    return form(directories(tests_option(function)))


def fail_on_options(function: Any) -> Any:  # noqa: ANN401
    """`--fail-on KINDS`, a tuple of keys of `FAIL_ON`, empty without it; and `--baseline FILE`."""
    fail_on = click.option(
        "--fail-on",
        metavar="KINDS",
        default="",
        callback=_kinds,
        help=f"End with a status of its own if there are findings of these kinds: {', '.join(FAIL_ON)}.",
    )
    baseline = click.option(
        "--baseline",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Findings that are accepted, as `svc-trace validate --write-baseline` writes them.",
    )
    return fail_on(baseline(function))


def _kinds(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in value.split(",")) if value else ()
    if wrong := [kind for kind in kinds if kind not in FAIL_ON]:
        raise click.BadParameter(f"{wrong[0]!r} is not one of {', '.join(FAIL_ON)}", context, parameter)
    return kinds


def by_service(tests: str | None) -> bool | str:
    """The value of `--tests` as the terminal report takes it."""
    return True if tests == ALL_SERVICES else tests or False
