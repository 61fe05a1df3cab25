"""`svc-trace select`: the tests that run with certain services, for pytest's command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click

from tracer.classify.model import Classification
from tracer.classify.selection import ANYTHING, Needs, Unit, by_unit, needs_of_tests
from tracer.classify.tiers import UNTIERED, tier_of
from tracer.commands.inputs import read_reports
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.arguments import arguments
from tracer.reports.wording import counted
from tracer.trace.storage import open_input

_STDIN: Final = Path("-")


@click.command("select")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@click.option("--tier", "tiers", multiple=True, metavar="NAME", help="The tests of this tier; may be repeated.")
@click.option("--within", metavar="SERVICE,...", help="The tests that need no other services than these; '' for none.")
@click.option("--invert", is_flag=True, help="What the other options do not select.")
@click.option(
    "--by",
    "unit",
    type=click.Choice(["test", "class", "file"]),
    default="test",
    show_default=True,
    help="What is selected as a whole; it needs all that any of its tests does.",
)
@click.option(
    "--collected",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="The tests that there are now: the output of `pytest --collect-only -q`; - for stdin.",
)
@click.option("--no-ambient", is_flag=True, help="Leave out services that were only ambient in a test.")
@click.option("--strict", is_flag=True, help="Fail with status 80 if the report is not complete.")
@click.option("-0", "nul", is_flag=True, help="End each with a NUL instead of a newline, for xargs -0.")
def command(
    reports: tuple[str, ...],
    tiers: tuple[str, ...],
    within: str | None,
    invert: bool,
    unit: Unit,
    collected: Path | None,
    no_ambient: bool,
    strict: bool,
    nul: bool,
) -> int:
    """Print the tests of REPORTs that run with certain services, one per line, as arguments for pytest.

    Tests that the reports do not know may need anything: they are in no tier and no selection that takes only certain
    services.
    """
    if bool(tiers) == (within is not None):
        raise click.UsageError("Give either --tier or --within.")
    classification = read_reports(reports)
    _check_tiers(tiers, classification)
    _check_complete(classification, strict)
    present = None if collected is None else _collected(collected)
    needs = needs_of_tests(classification, present, ambient=not no_ambient)
    units = by_unit(needs, unit)
    allowed = frozenset(filter(None, (within or "").split(",")))

    def fits(services: Needs) -> bool:
        return (tier_of(services, classification.rules.tiers) in tiers if tiers else services <= allowed) != invert

    selected = [name for name, services in units.items() if fits(services)]
    sys.stdout.buffer.writelines(arguments(selected, b"\0" if nul else b"\n"))
    _tell(len(selected), len(units), unit, needs)
    if not selected:
        raise SvcTraceError(
            "nothing is selected",
            hint="Don't start pytest: without arguments it would run every test.",
            slug="nothing-selected",
            exit_code=ExitStatus.NOTHING_SELECTED,
        )
    return 0


def _check_tiers(tiers: Sequence[str], classification: Classification) -> None:
    known = [*(tier.name for tier in classification.rules.tiers), UNTIERED]
    for name in tiers:
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            raise click.UsageError(
                f"The report has no tier {name!r}. "
                + (f"Did you mean {nearest[0]!r}? " if nearest else "")
                + f"It has: {', '.join(known)}."
            )


def _check_complete(classification: Classification, strict: bool) -> None:
    if classification.run.complete:
        return
    if strict:
        raise SvcTraceError(
            "the report is not complete: its tests may need more services than it says",
            hint="Select from an earlier report that is, or run every test with all services.",
            slug="incomplete",
            exit_code=ExitStatus.INCOMPLETE,
        )
    click.echo("svc-trace: warning: the report is not complete: its tests may need more than it says", err=True)


def _collected(path: Path) -> list[str]:
    """The node ids in the output of `pytest --collect-only -q`: up to the first empty line behind them."""
    if path == _STDIN:
        output = sys.stdin.buffer.read()
    else:
        with open_input(path) as file:
            output = file.read()
    nodeids: list[str] = []
    for line in output.decode("utf-8", "surrogateescape").split("\n"):
        if "::" in line:
            nodeids.append(line)
        elif nodeids and not line:
            break
    if not nodeids:
        raise SvcTraceError(
            f"{'stdin' if path == _STDIN else path} names no tests",
            hint="Make it by `pytest --collect-only -q`, with exactly one -q, those of the configuration included.",
            slug="no-collection",
            exit_code=ExitStatus.BAD_INPUT,
        )
    return nodeids


def _tell(number: int, units: int, unit: Unit, needs: Mapping[str, Needs]) -> None:
    """Say on stderr how many were selected, and of how many tests nothing is known."""
    many = {"test": "tests", "class": "classes and functions", "file": "files"}[unit]
    unknown = sum(ANYTHING in services for services in needs.values())
    rest = f"; of {counted(unknown, 'test')} nothing is known: they may need any service" if unknown else ""
    click.echo(f"svc-trace: selected {number:,} of {units:,} {many}{rest}", err=True)
