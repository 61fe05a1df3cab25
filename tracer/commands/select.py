"""`svc-trace select`: the tests that need only certain services, for pytest's command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from tracer.classify.guesses import needs_with_guesses
from tracer.classify.model import ALL_UNKNOWN, Classification, is_unknown
from tracer.classify.selection import ANYTHING, Needs, Unit, by_unit, needs_of_tests, uses_of_tests
from tracer.classify.service_names import NewNames, renamed
from tracer.classify.tiers import UNTIERED, tier_of
from tracer.commands.collected import collected_option, note_places, read_collected
from tracer.commands.inputs import read_reports, with_verdicts
from tracer.commands.nearest import check_names
from tracer.commands.options import complete_option, map_option, no_ambient_option, unit_option, verified_option
from tracer.commands.services import check_services
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.guess_text import guess_text
from tracer.reports.pytest_arguments import pytest_arguments
from tracer.reports.text import counted

_UNITS: Final[Mapping[Unit, tuple[str, str]]] = {  # one, several
    "test": ("test", "tests"),
    "class": ("class or function", "classes and functions"),
    "file": ("file", "files"),
}


@click.command("select")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@click.option("--tier", "tiers", multiple=True, metavar="NAME", help="Select the tests of this tier; may be repeated.")
@click.option(
    "--within",
    metavar="SERVICE,...",
    help="Select the tests that need no other services than these; '' for no service.",
)
@click.option(
    "--exactly",
    metavar="SERVICE,...",
    help=f"Select the tests that used exactly these services; '' for none, {ALL_UNKNOWN} for endpoints without a name.",
)
@click.option("--invert", is_flag=True, help="Select what the other options do not select.")
@unit_option("Select whole units. A unit needs all services that its tests need.")
@collected_option
@click.option(
    "--guess", is_flag=True, help="Guess what unknown tests need. Default: they may need any service, see `plan`."
)
@no_ambient_option
@verified_option
@map_option
@complete_option
@click.option("-0", "nul", is_flag=True, help="End each name with NUL instead of a newline, for xargs -0.")
def command(
    reports: tuple[str, ...],
    tiers: tuple[str, ...],
    within: str | None,
    exactly: str | None,
    invert: bool,
    unit: Unit,
    collected: Path | None,
    guess: bool,
    no_ambient: bool,
    verified: tuple[str, ...],
    names: NewNames,
    strict: bool,
    nul: bool,
) -> int:
    """Print the tests of REPORTs that need only certain services, one per line, as arguments for pytest.

    A test that is not in the reports may need any service. So --within and --exactly never select it, and --tier
    selects it only with the tier that takes all other tests.
    """
    if bool(tiers) + (within is not None) + (exactly is not None) != 1:
        raise click.UsageError("Give one of --tier, --within and --exactly.")
    if guess and exactly is not None:
        raise click.UsageError("--guess is for --within and --tier: --exactly selects by what tests used.")
    classification = with_verdicts(read_reports(reports), verified)
    check_names("tier", tiers, [*(tier.name for tier in classification.rules.tiers), UNTIERED])
    named = frozenset(filter(None, map(str.strip, (within or exactly or "").split(","))))
    if exactly is not None and any(map(is_unknown, named)):
        raise click.UsageError(f"--exactly does not distinguish endpoints without a name: give {ALL_UNKNOWN!r}.")
    given = named.difference(names.values(), () if exactly is None else (ALL_UNKNOWN,))
    check_services((*names, *given), None, classification)
    check_complete(classification, strict)
    listed = None if collected is None else read_collected(collected, classification.tests)
    present = None if listed is None else listed.nodeids
    known = _needs(classification, present, exactly=exactly is not None, guess=guess, ambient=not no_ambient)
    needs = {nodeid: renamed(services, names) for nodeid, services in known.items()}
    units = by_unit(needs, unit)

    def fits(services: Needs) -> bool:
        if tiers:
            return tier_of(services, classification.rules.tiers) in tiers
        return services == named if exactly is not None else services <= named

    selected = [name for name, services in units.items() if fits(services) != invert]
    sys.stdout.buffer.writelines(pytest_arguments(selected, b"\0" if nul else b"\n"))
    unknown = sum(ANYTHING in services for services in needs.values())
    note = f"; nothing is known about {counted(unknown, 'test')}, which may need any service" if unknown else ""
    click.echo(
        f"svc-trace: selected {len(selected):,} of {len(units):,} {_UNITS[unit][len(units) != 1]}{note}", err=True
    )
    if listed is not None:
        note_places(listed)
    if not selected:
        raise nothing_selected("no test is selected")
    return 0


def _needs(
    classification: Classification, present: Sequence[str] | None, *, exactly: bool, guess: bool, ambient: bool
) -> Mapping[str, Needs]:
    """What each test needs, guessed if that is asked for; with --exactly, what it used."""
    if exactly:
        return uses_of_tests(classification, present)
    if not guess:
        return needs_of_tests(classification, present, ambient=ambient)
    guesses = needs_with_guesses(classification, present, ambient=ambient)
    if text := guess_text(guesses):
        click.echo(f"svc-trace: guessed {text}", err=True)
    return guesses.needs


def nothing_selected(message: str) -> SvcTraceError:
    """The error if no test is left."""
    return SvcTraceError(
        message,
        hint="Do not start pytest: without arguments it would run every test.",
        slug="nothing-selected",
        exit_code=ExitStatus.NOTHING_SELECTED,
    )


def check_complete(classification: Classification, strict: bool) -> None:
    """Warn if a report is not complete; fail, if `strict`."""
    if classification.run.complete:
        return
    message = "the report is not complete: its tests may need more services than it says"
    if strict:
        raise SvcTraceError(
            message,
            hint="Select from an earlier, complete report, or run every test with all services.",
            slug="incomplete",
            exit_code=ExitStatus.INCOMPLETE,
        )
    click.echo(f"svc-trace: warning: {message}", err=True)
