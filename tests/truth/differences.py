"""The differences between a report and the truth that a scenario states, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import asdict

from tracer.classify.model import Classification, Evidence, TestResult, TestVerdict, Verification
from truth.glob import matches
from truth.matching import unmatched
from truth.scenario import ExpectedEvidence, ExpectedVerdict, Scenario, Test, with_causes

_ESSENCE = ("service", "how", "via", "phase", "self_hosted", "ambiguous")


def differences(scenario: Scenario, report: Classification) -> Iterator[str]:
    """Yield a line for each difference between a scenario and the report of its run."""
    run = report.run
    scenario = with_causes(scenario, not run.lacks_causes)
    if run.exit_status not in scenario.exit_statuses:
        yield f"the run: exit status {run.exit_status}, not {' or '.join(map(str, scenario.exit_statuses))}"
    if run.complete != scenario.complete:
        yield f"the run: complete is {run.complete}, {run.lost_events} events are lost"
    if run.missing_tests != scenario.missing_tests:
        yield f"the run: {run.missing_tests} tests are missing, not {scenario.missing_tests}"
    warnings = sorted(warning.slug for warning in run.warnings)
    if warnings != list(scenario.warnings):
        yield f"the run: warnings {warnings}, not {list(scenario.warnings)}"
    yield from _evidence("the run", scenario.run_evidence, report.run_evidence)
    if scenario.tiers not in (None, report.summary.tiers):
        yield f"the run: tiers {report.summary.tiers}, not {scenario.tiers}"
    if scenario.variants != tuple(report.variants.differing):
        yield f"the run: variants of {[*report.variants.differing]} differ, not of {[*scenario.variants]}"
    violations = {contract.name: contract.violations for contract in report.contracts if contract.violations}
    for name in sorted(violations.keys() | scenario.violations.keys()):
        broken, expected = violations.get(name, ()), scenario.violations.get(name, ())
        if broken != expected:
            yield f"the run: contract {name} is broken by {[*broken]}, not by {[*expected]}"
    yield from _tests(scenario.tests, report.tests)


def differences_of_trial(scenario: Scenario, trial: Verification) -> Iterator[str]:
    """Yield a line for each difference between a scenario and the verdicts of its trial."""
    if trial.complete != scenario.complete:
        yield f"the trial: complete is {trial.complete}"
    for nodeid in sorted(scenario.verdicts.keys() | trial.tests.keys()):
        expected, found = scenario.verdicts.get(nodeid), trial.tests.get(nodeid)
        if expected is None:
            yield f"{nodeid}: a test that is not expected"
        elif found is None:
            yield f"{nodeid}: no verdict"
        else:
            yield from _verdict(nodeid, expected, found)


def _verdict(nodeid: str, expected: ExpectedVerdict, found: TestVerdict) -> Iterator[str]:
    if found.verdict != expected.verdict:
        yield f"{nodeid}: {found.verdict}, not {expected.verdict}"
    if found.through != expected.through:
        yield f"{nodeid}: through {found.through}, not {expected.through}"
    if found.reason != expected.reason:
        yield f"{nodeid}: because {found.reason}, not {expected.reason}"
    if found.tried != expected.tried:
        yield f"{nodeid}: tried {[*found.tried]}, not {[*expected.tried]}"
    if found.outcome_with != expected.outcome:
        yield f"{nodeid}: {found.outcome_with} with the services, not {expected.outcome}"
    if found.outcome_without != expected.outcome_without:
        yield f"{nodeid}: {found.outcome_without} without the services, not {expected.outcome_without}"
    if expected.refused not in (None, found.refused):
        yield f"{nodeid}: {found.refused} attempts were refused, not {expected.refused}"
    if found.is_surprise:
        yield f"{nodeid}: a surprise"


def _tests(expected: Mapping[str, Test], found: Mapping[str, TestResult]) -> Iterator[str]:
    unexpected = dict(found)
    single = {name for name, test in expected.items() if test.count is None}
    for name, test in expected.items():
        others = () if test.count is None else single
        nodeids = [nodeid for nodeid in found if nodeid not in others and test.named(name, nodeid)]
        if len(nodeids) != (1 if test.count is None else test.count):
            yield f"{name}: {len(nodeids)} tests in the report" + ("" if test.count is None else f", not {test.count}")
        for nodeid in nodeids:
            unexpected.pop(nodeid, None)
            yield from _test(nodeid, test.about(name, nodeid), found[nodeid])
    for nodeid in unexpected:
        yield f"{nodeid}: a test that is not expected"


def _test(nodeid: str, expected: Test, found: TestResult) -> Iterator[str]:
    if found.outcome != expected.outcome:
        yield f"{nodeid}: {found.outcome}, not {expected.outcome}"
    if found.attempts != expected.attempts:
        yield f"{nodeid}: {found.attempts} attempts, not {expected.attempts}"
    if found.assumed != expected.assumed:
        yield f"{nodeid}: assumed {[*found.assumed]}, not {[*expected.assumed]}"
    if expected.services is None:
        yield from _evidence(nodeid, expected.evidence, found.evidence)
    elif found.services != expected.services:
        yield f"{nodeid}: uses {[*found.services]}, not {[*expected.services]}"


def _evidence(where: str, expected: Sequence[ExpectedEvidence], evidence: Sequence[Evidence]) -> Iterator[str]:
    """Pair expected and real evidence one-to-one, and yield what is left over."""
    real = [_facts(entry) for entry in evidence]
    required: list[ExpectedEvidence] = []
    allowed: list[ExpectedEvidence] = []
    for entry in expected:
        (allowed if entry.optional else required).extend([entry] * entry.times)
        if entry.any_number:
            allowed.extend([entry] * len(real))
    missing, unexpected = unmatched(required, allowed, real, _fits)
    for facts in unexpected:
        repeated = any(_fits(entry, facts) for entry in expected)
        yield f"{where}: {'repeated:  ' if repeated else 'unexpected:'} {_describe(facts)}"
    for entry in missing:
        yield f"{where}: missing:    {_describe(entry.facts)}"


def _facts(evidence: Evidence) -> dict[str, object]:
    facts = asdict(evidence)
    via = None if evidence.via is None else str(evidence.via)
    return facts | {"via": via, "endpoint": str(evidence.endpoint), "transport": evidence.endpoint.protocol}


def _fits(expected: ExpectedEvidence, facts: Mapping[str, object]) -> bool:
    return all(_equals(value, facts[name]) for name, value in expected.facts.items())


def _equals(expected: object, fact: object) -> bool:
    if isinstance(expected, str) and isinstance(fact, str):
        return matches(expected, fact)
    return expected == fact


def _describe(facts: Mapping[str, object]) -> str:
    via = f" via {facts['via']}" if facts["via"] is not None else ""
    flags = "".join(f", {flag}" for flag in ("self_hosted", "ambiguous") if facts[flag])
    others = "".join(f", {name} {value}" for name, value in facts.items() if name not in _ESSENCE and value is not None)
    return f"{facts['service']} {facts['how']}{via} in {facts['phase'] or 'no phase'}{flags}{others}"
