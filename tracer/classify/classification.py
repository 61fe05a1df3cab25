"""From a trace and a configuration to a classification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from tracer.classify.assumptions import assumed_services
from tracer.classify.attribution import attribute
from tracer.classify.checks import check_assumptions, check_contracts
from tracer.classify.combinations import count_combinations
from tracer.classify.directories import ROOT, count_by_directory
from tracer.classify.evidence import services_in
from tracer.classify.model import (
    Classification,
    Directory,
    Evidence,
    Outcome,
    RunInfo,
    SetUp,
    Summary,
    TestResult,
    Verification,
)
from tracer.classify.refused import refused_services, refused_uses
from tracer.classify.run_needs import RunNeeds, find_run_needs
from tracer.classify.services.config import Config
from tracer.classify.services.identify import Identifier
from tracer.classify.services.rules import Rules
from tracer.classify.set_ups import SetUps
from tracer.classify.variants import compare_variants
from tracer.classify.why import explain_needs
from tracer.trace.garbage import uncollected
from tracer.trace.records import Attempt, StaticFacts, Trace

_UNFAILED: Final[Mapping[str, Outcome]] = {
    "skipped": "skipped",
    "xfailed": "xfailed",
    "xpassed": "xpassed",
    "not run": "not run",
}


@uncollected()
def classify(trace: Trace, config: Config, *, generated_at: datetime, take_flows: bool = False) -> Classification:
    """Which services each test uses, and why.

    `take_flows`: the trace is not used again, so its flows are freed on the way: they are half of its memory.
    """
    attribution = attribute(trace, Identifier(config), take_flows=take_flows)
    facts = tuple(sorted({known for attempt in attribution.attempts if (known := trace.facts_of(attempt))}))
    numbers = {known: number for number, known in enumerate(facts)}
    assumed = [assumed_services(known, config.rules) for known in facts]
    set_ups = SetUps(trace, attribution.places)
    attempts: dict[str, list[Attempt]] = {}
    for attempt in attribution.attempts:
        attempts.setdefault(attempt.nodeid, []).append(attempt)

    def result(attempts: list[Attempt]) -> TestResult:
        spans = [trace.spans[attempt.span] for attempt in attempts]
        # Attempts that use the same fixture inherit the same objects.
        evidence = tuple({id(one): one for attempt in attempts for one in attribution.of(attempt)}.values())
        services, ambient, self_hosted = services_in(evidence)
        known = trace.facts_of(attempts[-1])
        return TestResult(
            outcome=_outcome(trace, attempts[-1]),
            duration_s=round(sum((span.end_ns - span.start_ns) / 1e9 for span in spans), 6),
            attempts=len(attempts),
            services=services,
            ambient=ambient,
            self_hosted=self_hosted,
            assumed=assumed[numbers[known]] if known else (),
            facts=numbers[known] if known else None,
            set_ups=set_ups.of(attempts),
            shared_s=set_ups.shared_s(attempts),
            evidence=evidence,
        )

    return assemble(
        {nodeid: result(of_test) for nodeid, of_test in attempts.items()},
        facts,
        config.rules,
        set_ups=set_ups.all,
        run=_run_info(trace, attribution.attempts, set_ups),
        run_evidence=attribution.run,
        generated_at=iso_time(generated_at),
    )


def assemble(
    tests: Mapping[str, TestResult],
    facts: tuple[StaticFacts, ...],
    rules: Rules,
    *,
    run: RunInfo,
    run_evidence: tuple[Evidence, ...],
    generated_at: str,
    set_ups: tuple[SetUp, ...] = (),
    runs: tuple[RunInfo, ...] = (),
    verified: tuple[Verification, ...] = (),
) -> Classification:
    """A classification of these tests, with all tables and checks. The tests' `assumed` must follow from `rules`."""
    run_needs = find_run_needs(run_evidence)
    summary = summarise(tests, rules, RunNeeds(run_needs))
    return Classification(
        generated_at=generated_at,
        run=run,
        rules=rules,
        facts=facts,
        set_ups=set_ups,
        tests=tests,
        run_evidence=run_evidence,
        run_needs=run_needs,
        summary=summary,
        validation=check_assumptions(tests, rules.assumptions),
        variants=compare_variants(tests, rules.variants),
        runs=runs,
        contracts=check_contracts(tests, facts, rules.contracts),
        why=explain_needs(tests, facts, summary.services),
        refused=refused_uses(tests, run_evidence, runs or (run,)),
        verified=verified,
    )


def recheck(classification: Classification, rules: Rules, *, always: bool = False) -> Classification:
    """The same tests, checked by other rules. Tests whose facts were lost keep their assumed services.

    `always`: also if the rules are the same, because the tests are others.
    """
    if rules == classification.rules and not always:
        return classification
    assumed = [assumed_services(facts, rules) for facts in classification.facts]
    tests = {
        nodeid: test
        if test.facts is None or test.assumed == assumed[test.facts]
        else replace(test, assumed=assumed[test.facts])
        for nodeid, test in classification.tests.items()
    }
    return assemble(
        tests,
        classification.facts,
        rules,
        run=classification.run,
        run_evidence=classification.run_evidence,
        generated_at=classification.generated_at,
        set_ups=classification.set_ups,
        runs=classification.runs,
        verified=classification.verified,
    )


def summarise(tests: Mapping[str, TestResult], rules: Rules, run_needs: RunNeeds) -> Summary:
    """Count tests by service, by tier, by directory and by combination."""
    directories = count_by_directory(tests, rules.tiers, run_needs.of_directory)
    whole = directories.get(ROOT, Directory(0, {}, {}))
    return Summary(
        total_tests=whole.tests,
        services=whole.services,
        tiers={**{tier.name: 0 for tier in rules.tiers}, **whole.tiers},
        directories=directories,
        combinations=count_combinations(tests, run_needs),
    )


def _outcome(trace: Trace, attempt: Attempt) -> Outcome:
    """One word for the phases, as pytest's summary has it: a failure outside the call is an error."""
    if trace.spans[attempt.span].crashed:
        return "crashed"
    call = attempt.outcomes.get("call")
    if call == "failed":
        return "failed"
    if "failed" in (attempt.outcomes.get("setup"), attempt.outcomes.get("teardown")):
        return "error"
    if "interrupted" in attempt.outcomes.values():
        return "interrupted"
    return _UNFAILED.get(attempt.outcomes.get("setup") or call or "", "passed")


def _run_info(trace: Trace, attempts: Iterable[Attempt], set_ups: SetUps) -> RunInfo:
    tests = [trace.spans[attempt.span] for attempt in attempts]
    last_test_ns = max((test.end_ns for test in tests), default=None)
    last_ns = (
        trace.end.end_ns
        if trace.end
        else max((span.end_ns for span in trace.spans.values()), default=trace.run.start_ns)
    )
    return RunInfo(
        command=trace.run.command,
        backend=trace.run.backend,
        kernel=trace.run.kernel,
        started_at=iso_time(datetime.fromtimestamp(trace.run.started_at, UTC)),
        duration_s=round((last_ns - trace.run.start_ns) / 1e9, 3),
        exit_status=trace.end.exit_status if trace.end else None,
        complete=trace.complete,
        lost_events=trace.end.lost_events if trace.end else 0,
        warnings=trace.warnings,
        pytest_reported=trace.end is None or trace.end.pytest_reported,
        lacks_causes=trace.run.lacks_causes,
        missing_tests=trace.end.missing_tests if trace.end else None,
        last_test_s=None if last_test_ns is None else round((last_test_ns - trace.run.start_ns) / 1e9, 6),
        session_s=None
        if last_test_ns is None
        else round(set_ups.before_s(min(tests, key=lambda test: test.start_ns)) + (last_ns - last_test_ns) / 1e9, 6),
        refused=refused_services(trace.refused),
        partial=trace.end is not None and trace.end.partial,
    )


def iso_time(moment: datetime) -> str:
    """A time as reports have it: ISO 8601, UTC, with a `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
