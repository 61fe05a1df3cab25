"""`svc-trace init`: write a first configuration for a suite, from what can be seen before a traced run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from tracer.classify.first_rules import ComposeService, FirstRules, Found, first_rules
from tracer.classify.service_words import PROGRAMS
from tracer.classify.services.config import default_services, load_config
from tracer.commands.first_file import append, create_file, fits
from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.invoker import Invoker
from tracer.record.listeners import tcp_listeners
from tracer.record.names.compose import compose_files, declared_in
from tracer.record.suite import Listing, Suite, collect, marker_names, pytest_program, registered_markers
from tracer.reports.first_configuration import first_configuration
from tracer.reports.formats.terminal import ReportConsole, print_page
from tracer.reports.pages.init import page

_PYPROJECT, _OWN_FILE = "pyproject.toml", "svc-trace.toml"
_COMPOSE_PLACES: Final = ("tests", "test", "docker")
"""Directories in which suites have Compose files of their own: pytest-docker's default is `tests`."""


@click.command("init")
@click.argument(
    "directory", metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path()
)
@click.option("--print", "only_print", is_flag=True, help="Write nothing: print the configuration to stdout.")
@click.option(
    "--collect-for",
    "seconds",
    type=click.IntRange(min=0),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="How long `pytest --collect-only` may take; 0: do not start it.",
)
@click.pass_obj
def command(invoker: Invoker, directory: Path, only_print: bool, seconds: int) -> int:
    """Write a first configuration for the suite in DIR (default: the working directory).

    It is appended to pyproject.toml; without that file, or if it cannot be extended, it is svc-trace.toml. Nothing is
    overwritten.
    """
    directory = directory.absolute()
    existing = load_config(None, directory).source
    program = pytest_program(directory, invoker.environment)
    suite = _collected(program, directory, invoker, seconds)
    found = _found(suite, directory, invoker)
    file, lines = _file(directory, first_rules(found), existing)
    commands = [
        *([f"cd {shlex.quote(str(directory))}"] if directory != Path.cwd() else ()),
        *_commands(directory, program),
    ]
    if only_print:
        if suite.problem:
            click.echo(f"svc-trace: the tests are not known: {suite.problem}", err=True)
        for line in lines:
            click.echo(line)
        return 0
    if existing is None:
        _write(file, lines)
        place = f"wrote {_named(file)}"
    else:
        place = f"{_shown(existing)} has a configuration already: nothing was written"
    print_page(page(found, suite.problem, suite.listing.errors, lines, place, commands), ReportConsole())
    if existing is not None:
        raise SvcTraceError(
            f"{_shown(existing)} has a configuration already",
            hint="Take what you miss from the configuration above, or print it alone: svc-trace init --print.",
            slug="configuration-exists",
            exit_code=ExitStatus.CANNOT_WRITE,
        )
    return 0


def _collected(program: str | None, directory: Path, invoker: Invoker, seconds: int) -> Suite:
    if seconds == 0:
        return Suite(Listing(), "--collect-for is 0")
    if invoker.unknown:
        return Suite(Listing(), "it is not known who you are, and the suite is not to run as root")
    if program is None:
        return Suite(Listing(), "there is no pytest in PATH")
    click.echo(f"svc-trace: {_relative(program, directory)} --collect-only, for {seconds} s at most", err=True)
    return collect(program, directory, invoker.environment, seconds)


def _found(suite: Suite, directory: Path, invoker: Invoker) -> Found:
    listing = suite.listing
    return Found(
        listing.facts(),
        marker_names(listing.markers) if not suite.problem else registered_markers(directory),
        listing.modules,
        listing.databases,
        tuple(_compose(directory, invoker)),
        tuple(_servers()),
    )


def _servers() -> Iterator[tuple[str, int]]:
    """The known servers that listen on this machine, and their ports."""
    found = {(one.command, one.endpoint.port) for one in tcp_listeners()}
    yield from sorted(one for one in found if one[0] in PROGRAMS)


def _compose(directory: Path, invoker: Invoker) -> Iterator[ComposeService]:
    """The services of the Compose files in the directory, and of those that suites have for themselves."""
    seen = set[Path]()
    for place in (directory, *(directory / name for name in _COMPOSE_PLACES)):
        if place.is_dir():
            for path, text, variables in compose_files(place, invoker.environment):
                if path not in seen:
                    seen.add(path)
                    for one in declared_in(text, variables):
                        ports = tuple(range(published.first, published.last + 1) for published in one.published)
                        yield ComposeService(_relative(path, directory), one.service, one.image, ports, one.own_ports)


def _file(directory: Path, rules: FirstRules, existing: str | None) -> tuple[Path, list[str]]:
    """Where the configuration belongs, or the file that has one, and its lines there."""
    known = default_services()
    if existing is not None:
        is_pyproject = Path(existing).name == _PYPROJECT
        return Path(existing), [*first_configuration(rules, known, pyproject=is_pyproject)]
    if (directory / _PYPROJECT).exists():
        lines = [*first_configuration(rules, known, pyproject=True)]
        if fits(directory / _PYPROJECT, lines):
            return directory / _PYPROJECT, lines
    return directory / _OWN_FILE, [*first_configuration(rules, known, pyproject=False)]


def _write(file: Path, lines: list[str]) -> None:
    if file.name == _PYPROJECT:
        append(file, lines)
    else:
        create_file(file, lines)


def _commands(directory: Path, program: str | None) -> list[str]:
    words = ["svc-trace", *([] if os.geteuid() == 0 else ["--sudo"]), "--", _word(program, directory)]
    return [shlex.join(words), "svc-trace validate svc-trace.json"]


def _word(program: str | None, directory: Path) -> str:
    """The word for pytest on a command line in the directory."""
    if program is not None and Path(program).is_relative_to(directory / ".venv"):
        return str(Path(program).relative_to(directory))
    return "pytest"


def _relative(path: str | Path, directory: Path) -> str:
    return str(Path(path).relative_to(directory)) if Path(path).is_relative_to(directory) else str(path)


def _shown(path: str | Path) -> str:
    return _relative(path, Path.cwd())


def _named(file: Path) -> str:
    return f"[tool.svc-trace] to {_shown(file)}" if file.name == _PYPROJECT else _shown(file)
