"""`svc-trace plan`: shards for CI, each of which starts only the services that its tests need."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct
from msgspec.structs import replace

from tracer.classify.guesses import Guesses, needs_with_guesses
from tracer.classify.model import Classification
from tracer.classify.plan.fixtures import fixtures_with_evidence, freed_tests, without_fixture
from tracer.classify.plan.plan import Plan, Wishes, plan_suite
from tracer.classify.plan.start_ups import start_up_costs
from tracer.classify.plan.units import Suite, services_of
from tracer.classify.selection import ANYTHING, Needs, Unit, needs_of_tests
from tracer.classify.service_names import NewNames, renamed
from tracer.classify.services.config import load_config
from tracer.commands.collected import collected_option, note_places, read_collected
from tracer.commands.inputs import read_reports, with_verdicts
from tracer.commands.nearest import check_names
from tracer.commands.options import (
    INPUT,
    complete_option,
    config_option,
    map_option,
    no_ambient_option,
    unit_option,
    verified_option,
)
from tracer.commands.output import format_option
from tracer.commands.select import check_complete, nothing_selected
from tracer.commands.services import check_services
from tracer.reports.durations import read_durations
from tracer.reports.fixture_names import known_fixture
from tracer.reports.formats import Format
from tracer.reports.pages.plan import PlanDocument
from tracer.reports.shard_files import is_argument, write_shards

_AUTO: Final = "auto"


class _Shards(click.ParamType[Any]):
    """A number of shards, or `auto` (None)."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:  # noqa: ANN401
        """The number; `auto` as it is."""
        if value == _AUTO:
            return _AUTO
        try:
            number = int(value)
        except ValueError:
            number = 0
        if not 1 <= number <= 1000:
            self.fail(f"{value!r} is neither a number from 1 to 1000 nor {_AUTO!r}", param, ctx)
        return number


class _Cost(click.ParamType[Any]):
    """`SERVICE=SECONDS`."""

    name = "SERVICE=SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:  # noqa: ANN401
        """The service and its seconds."""
        if isinstance(value, tuple):
            return value
        service, separator, seconds = str(value).rpartition("=")
        try:
            cost = float(seconds)
        except ValueError:
            cost = -1.0
        if not separator or not 0 <= cost <= 86_400:
            self.fail(f"{value!r} is not SERVICE=SECONDS, such as postgres=5", param, ctx)
        return service, cost


class _Question(Struct, frozen=True):
    """What the options ask for."""

    classification: Classification
    present: Sequence[str] | None  # node ids; None: those of the report
    ambient: bool
    guess: bool
    durations: Mapping[str, float]
    known_costs: Mapping[str, float]
    names: NewNames
    wishes: Wishes


@click.command("plan")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@click.option(
    "--shards",
    type=_Shards(),
    metavar="N|auto",
    required=True,
    help="How many shards, at most; auto: the fewest that end by --deadline.",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), metavar="W", default=1, help="Workers of xdist in each shard. Default: 1."
)
@unit_option("What stays together in one shard.")
@click.option(
    "--start-up",
    "costs",
    type=_Cost(),
    multiple=True,
    help="Seconds until a service is ready; may be repeated. Default: start_up_s in the configuration, or a guess.",
)
@click.option("--one-by-one", is_flag=True, help="Services start one after the other, not at once.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --shards auto: when all shards must have ended. Default: what the report's runs would take.",
)
@click.option(
    "--tiers", type=click.IntRange(1, 8), metavar="N", help="Start at most so many different sets of services."
)
@click.option("--without-fixture", "fixture", metavar="NAME", help="Plan as if this fixture used no service.")
@collected_option
@click.option("--guess", is_flag=True, help="Guess what unknown tests need. Default: they need every service.")
@click.option(
    "--durations", type=INPUT, metavar="FILE", help="Take durations from this file of pytest-split, .test_durations."
)
@no_ambient_option
@verified_option
@map_option
@config_option
@complete_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the arguments of each shard to DIR/shard-N.txt, for `pytest @FILE`.",
)
@format_option(PlanDocument)
def command(
    reports: tuple[str, ...],
    shards: int | str,
    workers: int,
    unit: Unit,
    costs: tuple[tuple[str, float], ...],
    one_by_one: bool,
    deadline: float | None,
    tiers: int | None,
    fixture: str | None,
    collected: Path | None,
    guess: bool,
    durations: Path | None,
    no_ambient: bool,
    verified: tuple[str, ...],
    names: NewNames,
    config: Path | None,
    strict: bool,
    output: Path | None,
    form: Format,
) -> int:
    """Distribute the tests of REPORTs over shards that start few services and end at about the same time.

    The plan is compared with shards that all start every service. Several reports are merged.
    """
    if deadline is not None and shards != _AUTO:
        raise click.UsageError("--deadline needs --shards auto.")
    classification = with_verdicts(read_reports(reports), verified)
    given = {service for service, _ in costs}.difference(names.values())
    check_services((*names, *given), config, classification)
    check_complete(classification, strict)
    listed = None if collected is None else read_collected(collected, classification.tests)
    question = _Question(
        classification=classification,
        present=None if listed is None else listed.nodeids,
        ambient=not no_ambient,
        guess=guess,
        durations={} if durations is None else read_durations(durations),
        known_costs=_configured_costs(config) | dict(costs),
        names=names,
        wishes=Wishes(
            seconds={},
            shards=shards if isinstance(shards, int) else None,
            workers=workers,
            kind=unit,
            one_by_one=one_by_one,
            tiers=tiers,
            deadline_s=deadline,
        ),
    )
    document = _answer(question, fixture)
    if listed is not None:
        note_places(listed)
    if output is not None:
        write_shards(output, document.plan.shards, unit)
    form.print(document, sys.stdout)
    return 0


def _configured_costs(config: Path | None) -> dict[str, float]:
    services = load_config(config, Path.cwd()).services
    return {name: rule.start_up_s for name, rule in services.items() if rule.start_up_s is not None}


def _answer(question: _Question, fixture: str | None) -> PlanDocument:
    classification = question.classification
    document, needs = _planned(question, {})
    if fixture is None:
        return replaced(document, fixtures=freed_tests(classification, needs))
    names = fixtures_with_evidence(classification)
    real = {known_fixture(name): name for name in names} | {name: name for name in names}
    check_names("fixture", [fixture], real)
    supposed = replace(question, classification=without_fixture(classification, real[fixture]))
    after, less = _planned(supposed, document.start_up_s)
    freed = sum(less[nodeid] != needs[nodeid] for nodeid in needs)
    return replaced(after, without=fixture, before=document.plan, freed=freed)


def _planned(question: _Question, costs: Mapping[str, float]) -> tuple[PlanDocument, Mapping[str, Needs]]:
    """The plan, and what each test needs. `costs`: of the services in any case."""
    one = question.classification
    guesses = needs_with_guesses(one, question.present, ambient=question.ambient) if question.guess else None
    known = guesses.needs if guesses else needs_of_tests(one, question.present, ambient=question.ambient)
    needs = {nodeid: renamed(services, question.names) for nodeid, services in known.items()}
    suite = Suite(one, needs, question.durations, question.names, is_argument)
    services = services_of(suite, costs)
    seconds, guessed = start_up_costs(services, question.known_costs)
    plan = plan_suite(suite, replace(question.wishes, seconds=seconds))
    if not plan.shards:
        raise nothing_selected("there are no tests to plan")
    return _document(question, plan, seconds, guessed, guesses, needs), needs


def _document(
    question: _Question,
    plan: Plan,
    seconds: Mapping[str, float],
    guessed: tuple[str, ...],
    guesses: Guesses | None,
    needs: Mapping[str, Needs],
) -> PlanDocument:
    one = question.classification
    started = {service for shard in plan.shards for service in shard.services}
    return PlanDocument(
        plan=plan,
        unit=question.wishes.kind,
        workers=question.wishes.workers,
        start_up_s=seconds,
        guessed_costs=tuple(service for service in guessed if service in started),
        guesses=guesses,
        unknown_tests=sum(ANYTHING in services for services in needs.values()),
        is_complete=one.run.complete,
        has_set_ups=all(run.session_s is not None for run in one.each_run),
        durations=_durations(one, question.durations),
    )


def _durations(one: Classification, others: Mapping[str, float]) -> Mapping[str, float]:
    """Each test's mean duration in its runs."""
    own = {nodeid: round(test.duration_s / max(1, len(test.runs)), 6) for nodeid, test in one.tests.items()}
    return {**own, **others}
