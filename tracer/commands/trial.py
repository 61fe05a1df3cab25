"""A trial from start to end: a run with all services, a run without some of them, repetitions, and the verdicts."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from tracer.classify.model import ALL_UNKNOWN, Classification, Verification
from tracer.classify.services.config import Config, load_config
from tracer.classify.tier_trial import TierTrial, attempts_of_tests, nodeids_of_tier
from tracer.classify.trial_tests import differing, sample, users
from tracer.classify.verdicts import compare_trials
from tracer.commands.inputs import read_reports
from tracer.commands.nearest import check_names
from tracer.commands.refusals import PlannedRefusal, other_services, plan_refusal
from tracer.commands.services import check_services
from tracer.commands.stopping import check_goes_on
from tracer.commands.trial_run import Runs, say
from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.invoker import Invoker
from tracer.record.refusal.targets import Refusal
from tracer.reports import verify_json
from tracer.reports.formats import Format
from tracer.reports.output import write_file
from tracer.reports.pages.tier import TierDocument, only
from tracer.reports.pages.verify import VerifyDocument
from tracer.reports.text import counted
from tracer.reports.verdict_text import any_of
from tracer.trace.destination import check_writable

_PREFIX: Final = "svc-trace-verify-"


class TrialOptions(Struct, frozen=True):
    """What the user wants to try."""

    command: tuple[str, ...]
    against: tuple[str, ...]  # reports of runs with the services
    sample: int | None  # how many tests that did not use the services run without them; None: all tests run
    repeat: int  # the highest number of repetitions
    keep: Path | None  # where the reports of the runs are kept
    config: Path | None
    backend: str
    output: Path  # the verdicts'


class Choice(Struct, frozen=True):
    """What the run without the services is."""

    planned: PlannedRefusal
    services: tuple[str, ...]  # the refused ones
    tests: frozenset[str] | None  # node ids of the tests that run; None: all
    title: str  # such as `without redis: 21 tests`


Choose = Callable[[Sequence[Classification]], Choice]
"""Chooses the run without the services, by the reports of runs with them."""


def verify_services(services: Sequence[str], options: TrialOptions, invoker: Invoker, form: Format) -> None:
    """Find the tests that need at least one of some services; write and print the verdicts.

    Raises:
        SvcTraceError: a run cannot be made, or has no tests.
        click.UsageError: there is no such service.
    """

    def choose(reports: Sequence[Classification]) -> Choice:
        planned, named = plan_refusal(services, trial.configuration, reports), tuple(services)
        without = f"without {any_of(services)}"
        if options.sample is None:
            return Choice(planned, named, None, f"{without}: all tests")
        using, others = users(reports, services), sample(reports, services, options.sample)
        title = f"{without}: {counted(len(using), 'test')} that used it, and a sample of {len(others):,} others"
        return Choice(planned, named, frozenset((*using, *others)), title)

    with _reports_in(options.keep) as directory:
        trial = Trial(options, invoker, directory)
        check_services(services, options.config, trial.with_services[0] if trial.with_services else None)
        verification = trial.conduct(choose)
        write_file(options.output, verify_json.render(verification))
        form.print(VerifyDocument(verification, options.output), sys.stdout)


def verify_tier(name: str, options: TrialOptions, invoker: Invoker, form: Format, *, strict: bool) -> None:
    """Check that the tests of a tier need only its services; write the verdicts, and print what they tried.

    Args:
        name: the tier's.
        options: what else the user wants.
        invoker: the user.
        form: how to print it.
        strict: whether all endpoints that no rule names are refused, too.

    Raises:
        SvcTraceError: the tier needs others, or as of `verify_services`.
        click.UsageError: there is no such tier.
    """
    with _reports_in(options.keep) as directory:
        trial = Trial(options, invoker, directory)
        own = _services_of_tier(name, trial.configuration)
        others = {*other_services(own, trial.configuration), *([ALL_UNKNOWN] if strict else [])}

        def choose(reports: Sequence[Classification]) -> Choice:
            tests = nodeids_of_tier(reports, trial.configuration.rules.tiers, name)
            planned = plan_refusal(others, trial.configuration, reports, everything=strict)
            refused = tuple(one for one in planned.services if one not in planned.unknown)
            return Choice(planned, refused, tests, f"with {only(own)}: {counted(len(tests), 'test')} of tier {name}")

        verification = trial.conduct(choose)
        attempts = attempts_of_tests(trial.with_services, trial.without, verification.without)
        tried = TierTrial(name, own, verification, attempts)
        write_file(options.output, verify_json.render(verification))
        form.print(TierDocument(tried, options.output), sys.stdout)
    if not tried.is_proven:
        raise SvcTraceError(
            f"{len(tried.broken) + len(tried.unproven):,} of {counted(len(verification.tests), 'test')} of tier {name} "
            f"did not pass with {only(own)}",
            hint="Give these tests another tier, or remove what they need. Repeat flaky ones with --repeat.",
            slug="tier-broken",
            exit_code=ExitStatus.TIER_BROKEN,
        )


class Trial:
    """Runs with some services, and without them.

    Attributes:
        configuration: the present one.
        with_services: the reports of the runs with the services, in the order of time.
        without: those of the runs without.
    """

    def __init__(self, options: TrialOptions, invoker: Invoker, directory: Path) -> None:
        """Check all that can be checked before a run; `directory` is for the runs' reports.

        Raises:
            SvcTraceError: the options cannot be used, or this machine cannot refuse services.
        """
        check_goes_on(options.command)
        check_writable(options.output)
        self.configuration = load_config(options.config, Path.cwd())
        self.with_services = [read_reports([one]) for one in options.against]
        self.without: list[Classification] = []
        self._options, self._directory = options, directory
        self._runs = Runs(options.command, self.configuration, options.backend, invoker)

    def conduct(self, choose: Choose) -> Verification:
        """Make all runs, and compare them.

        Raises:
            SvcTraceError: a run cannot be made, or has no tests.
        """
        self._runs.rehearse()
        total = 1 if self.with_services else 2
        if not self.with_services:
            self._run_with(f"run 1 of {total}, with all services")
        if not any(report.tests for report in self.with_services):
            raise _no_tests("the run with the services has no tests", "Trace a command that runs pytest.")
        choice = choose(self.with_services)
        if choice.tests is not None and not choice.tests:
            raise SvcTraceError(
                f"there is nothing to try: {choice.title}",
                hint="Check the report of the run with the services, and the names in the configuration.",
                slug="nothing-to-try",
                exit_code=ExitStatus.NOTHING_SELECTED,
            )
        for line in choice.planned.lines():
            say(line)
        self._run_without(f"run {total} of {total}, {choice.title}", choice.tests, choice)
        verification = self._compare(choice)
        if all(test.reason == "missing-without" for test in verification.tests.values()):
            hint = "Read its output: pytest ended before the tests, but not because a service was refused."
            raise _no_tests("the run without the services has no tests", hint)
        return self._repeat(choice, verification)

    def _repeat(self, choice: Choice, verification: Verification) -> Verification:
        """Repeat what differs, with the services and without; some tests may be flaky."""
        for number in range(1, self._options.repeat + 1):
            tests = frozenset(differing(verification))
            if not tests:
                break
            title = f"repetition {number} of at most {self._options.repeat}"
            self._run_with(f"{title}, with all services: {counted(len(tests), 'test')}", tests)
            self._run_without(f"{title}, without: {counted(len(tests), 'test')}", tests, choice)
            verification = self._compare(choice)
        return verification

    def _run_with(self, title: str, tests: frozenset[str] | None = None) -> None:
        self._run(self.with_services, "with", title, tests, None)

    def _run_without(self, title: str, tests: frozenset[str] | None, choice: Choice) -> None:
        self._run(self.without, "without", title, tests, choice.planned.refusal)

    def _run(
        self,
        reports: list[Classification],
        name: str,
        title: str,
        tests: frozenset[str] | None,
        refusal: Refusal | None,
    ) -> None:
        say(title)
        number = f"-{len(reports) + 1}" if reports else ""
        report = self._runs.run(self._directory / f"{name}{number}.json", tests, refusal)
        for warning in report.run.warnings:
            say(f"warning: {warning.message} [{warning.slug}]")
        reports.append(report)

    def _compare(self, choice: Choice) -> Verification:
        return compare_trials(
            self.with_services,
            self.without,
            choice.services,
            command=self._options.command,
            generated_at=datetime.now(UTC),
            selected=choice.tests,
        )


def _services_of_tier(name: str, configuration: Config) -> tuple[str, ...]:
    tiers = {tier.name: tier for tier in configuration.rules.tiers}
    check_names("tier", [name], tiers)
    within = tiers[name].within
    if within is None:
        raise SvcTraceError(
            f"the tier {name} does not limit its services, so there is nothing to check",
            hint="Give the name of a tier that has `within` in the configuration.",
            slug="unlimited-tier",
            exit_code=ExitStatus.USAGE,
        )
    return tuple(sorted(within))


def _no_tests(message: str, hint: str) -> SvcTraceError:
    return SvcTraceError(message, hint=hint, slug="no-tests", exit_code=ExitStatus.INCOMPLETE)


@contextmanager
def _reports_in(keep: Path | None) -> Iterator[Path]:
    """The directory for the runs' reports: the user's, or one for this trial, which stays if the trial fails."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        yield directory
    except BaseException:
        if (directory / "with.json").exists():
            say(f"the reports of the runs are kept: go on with --against {shlex.quote(f'{directory}/with.json')}")
        else:
            shutil.rmtree(directory)
        raise
    shutil.rmtree(directory)
