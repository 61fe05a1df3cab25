"""The check of rules and contracts: each rule's confusion table, its findings with their evidence, and proposals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from msgspec.structs import asdict

from tracer.classify.detailed_checks import DetailedCheck, EntryCheck
from tracer.classify.findings import BaselineComparison, Finding
from tracer.classify.model import Classification, is_unknown, unknown_place
from tracer.classify.proposals import Proposal
from tracer.reports.annotations import Annotation, AnnotationsDocument, Place, file_of
from tracer.reports.blocks import Block, Code, Heading, Headline, Line, Names, Styled, Table, group
from tracer.reports.finding_annotations import annotate
from tracer.reports.pages import problems
from tracer.reports.pages.needs import need_lists, need_table
from tracer.reports.pages.notes import described_unknown
from tracer.reports.pages.problems import Group
from tracer.reports.rule_toml import rule_lines, service_lines
from tracer.reports.text import counted, joined, percent
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-validation/1"
_LISTED: Final = 10
"""How many tests of a group the page lists; the JSON has all."""
_ABSENT: Final = ("fixed", "gone", "skipped", "not_run")


@dataclass(frozen=True, slots=True)
class ValidationDocument(AnnotationsDocument):
    """The check of all rules and contracts. Findings that the baseline accepts are only counted."""

    classification: Classification
    checks: tuple[DetailedCheck, ...]
    baseline: BaselineComparison  # its findings compared with the baseline
    rules_file: str | None  # the configuration's file; None: the rules are those of the reports
    has_baseline: bool
    kinds: tuple[str, ...] = ()  # annotate only findings of these kinds; empty: all
    place: Callable[[str], Place] = file_of  # of a test by its node id, or of a file

    def page(self) -> Iterator[Block]:
        """Totals, blind spots, over-assumptions, contracts, unknown endpoints, remarks."""
        classification, new = self.classification, set(self.baseline.new)
        tests = counted(classification.summary.total_tests, "test")
        incomplete = Styled("The run is NOT COMPLETE: tests may use more services than this page shows.", "strong bad")
        details = () if classification.run.complete else (incomplete,)
        yield Headline(f"{tests} compared with the rules of {self.rules_file or 'the report'}", details)
        if classification.rules.assumptions:
            yield from confusion_table(classification)
        else:
            yield Line("There are no rules. Add [assumptions.SERVICE] to the configuration.")
        needs = {check.service: check.needs for check in self.checks if check.needs is not None}
        if needs:
            yield from need_table(needs)
        for check in self.checks:
            yield from _blind_spots(check, self.rules_file)
        for check in self.checks:
            yield from _mostly_wrong(check, self.rules_file)
        for check in self.checks:
            yield from _over_assumptions(check, new)
        for service, need in needs.items():
            yield from need_lists(service, need, classification.validation[service].blind_spots)
        for service, totals in classification.validation.items():
            if totals.ambient_only:
                yield Heading(f"{service}: {counted(len(totals.ambient_only), 'test')} with only ambient evidence")
                yield Names(totals.ambient_only, _LISTED)
        yield from _contracts(classification, new)
        yield from _unknown_endpoints(classification, new, self.rules_file)
        yield from remarks(classification, self.checks)
        if self.has_baseline:
            yield from baseline_lines(self.baseline)

    def json(self) -> Iterator[bytes]:
        """Everything, without limits. docs/report.md explains the fields."""
        classification, baseline = self.classification, self.baseline
        unknown = unknown_services(classification, set(baseline.new))
        yield dump(
            {
                "schema": SCHEMA,
                "generated_at": classification.generated_at,
                "rules": self.rules_file,
                "total_tests": classification.summary.total_tests,
                "complete": classification.run.complete,
                "services": {check.service: _service_json(check) for check in self.checks},
                "contracts": classification.contracts,
                "proposed_services": "\n".join(proposed_services(classification, unknown, None)) or None,
                "findings": {
                    "new": [finding._asdict() for finding in baseline.new],
                    "accepted": baseline.accepted,
                    **{name: [one._asdict() for one in getattr(baseline, name)] for name in _ABSENT},
                },
            },
            indent=True,
        )

    def annotations(self) -> Iterator[Annotation]:
        """The new findings. Those that are about no test are at the configuration."""
        new = [finding for finding in self.baseline.new if not self.kinds or finding.kind in self.kinds]
        return annotate(new, self.classification, self.checks, self.rules_file, self.place)


def confusion_table(classification: Classification) -> Iterator[Block]:
    """The numbers of each rule, and what the columns mean: full words would be too wide for a terminal."""
    checks = classification.validation.values()
    numbers = {
        ("Confirmed", "claimed and used"): [check.confirmed for check in checks],
        ("Blind", "used, but not claimed (blind spots)"): [len(check.blind_spots) for check in checks],
        ("Over", "claimed, but not used (over-assumptions)"): [len(check.over_assumed) for check in checks],
        ("Neither", "not claimed and not used"): [check.neither for check in checks],
        ("Ambient", "only ambient evidence"): [len(check.ambient_only) for check in checks],
        ("Undecided", "not used, but the test did not run to its end"): [check.undecided for check in checks],
    }
    rare = ("Ambient", "Undecided")  # these columns are shown only if a rule has such tests
    shown = {title: column for title, column in numbers.items() if any(column) or title[0] not in rare}
    columns = {
        "Rule": list(classification.validation),
        "Precision": [_share(check.confirmed, len(check.over_assumed)) for check in checks],
        "Recall": [_share(check.confirmed, len(check.blind_spots)) for check in checks],
    }
    columns |= {title: [f"{number:,}" for number in column] for (title, _), column in shown.items()}
    yield Table(tuple(columns), tuple(zip(*columns.values(), strict=True)))
    yield Line(Styled("; ".join(f"{title}: {meaning}" for title, meaning in shown) + ".", "dim"))


def _share(part: int, others: int) -> str:
    return percent(part, part + others) if part + others else "-"


def _blind_spots(check: DetailedCheck, rules_file: str | None) -> Iterator[Block]:
    if not check.blind_spots:
        return
    yield Heading(Styled(f"{check.service}: {counted(len(check.blind_spots), 'blind spot')}", "bad"))
    yield from _counted_groups(problems.blind_spots(check))
    if check.proposals and not check.dropped:
        yield Heading(f"Proposed rule ({problems.effect(check)}):", 2)
        yield Code(tuple(proposed_rule(check, rules_file)))
    if check.left:
        yield from group(f"{problems.unsolved(check)}:", check.left, _LISTED)


def _counted_groups(found: Iterable[Group], subject: str = "") -> Iterator[Block]:
    for one in found:
        yield from group(f"{subject}{one.text} ({len(one.nodeids):,})", one.nodeids, _LISTED)


def proposed_rule(check: DetailedCheck, rules_file: str | None) -> Iterator[str]:
    """The rule with the proposals, as TOML."""
    return rule_lines(
        check.service,
        check.rule,
        check.proposals,
        pyproject=_is_pyproject(rules_file),
        dropped=check.dropped,
        blind_spots=check.blind_spots,
    )


def _mostly_wrong(check: DetailedCheck, rules_file: str | None) -> Iterator[Block]:
    """Entries for which more tests do not use the service than use it, and the rule without them."""
    wrong = [one for one in check.entries if one.is_mostly_wrong]
    if not wrong:
        return
    yield Heading(Styled(f"{check.service}: entries that are mostly wrong", "warning"))
    decided = {one.entry: one.confirmed + len(one.over_assumed) for one in wrong}
    yield Names(tuple((str(one.entry), f"correct for {one.confirmed:,} of {decided[one.entry]:,}") for one in wrong))
    if check.dropped:
        yield Heading("Proposed rule, which claims all tests that use the service and were claimed before:", 2)
        yield Code(tuple(proposed_rule(check, rules_file)))
    if kept := [str(entry) for entry in decided if entry not in check.dropped]:
        yield Line(
            f"No narrower entry can replace {joined(kept)}. Give the tests that use {check.service} a marker, and put "
            "it in the place of the entry."
        )


def _is_pyproject(rules_file: str | None) -> bool:
    return rules_file is not None and PurePath(rules_file).name == "pyproject.toml"


def _over_assumptions(check: DetailedCheck, new: Collection[Finding]) -> Iterator[Block]:
    found = problems.over_assumptions(check, new)
    if not found:
        return
    tests = {nodeid for one in found for nodeid in one.nodeids}
    yield Heading(Styled(f"{check.service}: {counted(len(tests), 'over-assumption')}", "warning"))
    for one in found:
        yield from group(one.text, one.nodeids, _LISTED)


def _contracts(classification: Classification, new: Collection[Finding]) -> Iterator[Block]:
    if not classification.contracts:
        return
    yield Heading("Contracts")
    rows = tuple((one.name, f"{one.tests:,}", f"{len(one.violations):,}") for one in classification.contracts)
    yield Table(("Contract", "Tests", "Violations"), rows)
    for contract in classification.contracts:
        yield from _counted_groups(problems.violations(classification, contract, new), f"{contract.name}: ")


def _unknown_endpoints(
    classification: Classification, new: Collection[Finding], rules_file: str | None
) -> Iterator[Block]:
    endpoints = unknown_services(classification, new)
    if not endpoints:
        return
    yield Heading(Styled(counted(len(endpoints), "unknown endpoint"), "warning"))
    described = described_unknown(classification, endpoints)
    yield Names(tuple((endpoint, counted(tests, "test")) for endpoint, tests in described.items()), _LISTED)
    if lines := tuple(proposed_services(classification, list(endpoints)[:_LISTED], rules_file)):
        yield Heading("Proposed services, for the next run and `svc-trace report TRACE`:", 2)
        yield Code(lines)


def unknown_services(classification: Classification, new: Collection[Finding]) -> dict[str, int]:
    """Unknown services that are new findings → tests."""
    services = classification.summary.services.items()
    return {
        service: tests
        for service, tests in services
        if is_unknown(service) and Finding("unknown", unknown_place(service), "") in new
    }


def proposed_services(
    classification: Classification, unknown: Collection[str], rules_file: str | None
) -> Iterator[str]:
    """Services for the unknown ones whose hosts have names."""
    places = {
        (one.host, one.endpoint.port)
        for test in classification.tests.values()
        for one in test.evidence
        if one.host is not None and one.service in unknown
    }
    return service_lines(places, pyproject=_is_pyproject(rules_file))


def remarks(classification: Classification, checks: Iterable[DetailedCheck]) -> Iterator[Block]:
    """Entries that match no test, and services that no rule is about."""
    rules, services = classification.rules.assumptions, classification.summary.services
    unmatched = {
        one.service: ", ".join(str(entry.entry) for entry in one.entries if not entry.claimed) for one in checks
    }
    if entries := tuple((service, entries) for service, entries in unmatched.items() if entries):
        yield Heading("Entries that match no test")
        yield Names(entries)
    unruled = {name: tests for name, tests in services.items() if name not in rules and not is_unknown(name)}
    if rules and unruled:
        yield Heading("Services without a rule")
        yield Names(tuple((service, counted(tests, "test")) for service, tests in unruled.items()))


def baseline_lines(baseline: BaselineComparison) -> Iterator[Block]:
    """The findings compared with the baseline: how many there are, and those of it that were not found."""
    groups = {
        "no longer found": (baseline.fixed, "The tests ran without these. Remove the lines from the baseline:"),
        "of tests that are gone": (baseline.gone, "These tests do not exist any more. Remove the lines:"),
        "of skipped tests": (baseline.skipped, "These tests were skipped. Keep the lines:"),
        "of tests that did not run": (baseline.not_run, "This run did not have these tests. Keep the lines:"),
    }
    counts = [f"{len(findings):,} {words}" for words, (findings, _) in groups.items() if findings]
    yield Heading(f"Baseline: {', '.join((f'{baseline.accepted:,} accepted', f'{len(baseline.new):,} new', *counts))}")
    for findings, title in groups.values():
        if findings:
            yield from group(title, (" ".join(filter(None, finding)) for finding in findings), _LISTED)


def _service_json(check: DetailedCheck) -> dict[str, Any]:
    needs = {} if check.needs is None else {"needs": check.needs}
    return (
        asdict(check.validation)
        | needs
        | {
            "blind_spots": check.blind_spots,
            "entries": [_entry_json(entry) for entry in check.entries],
            "dropped": [entry._asdict() for entry in check.dropped],
            "proposals": [_entry_json(proposal) for proposal in check.proposals],
            "left": check.left,
            "proposed_rule": "\n".join(proposed_rule(check, None)) if check.proposals or check.dropped else None,
        }
    )


def _entry_json(check: EntryCheck | Proposal) -> dict[str, Any]:
    values = asdict(check)
    return {**values.pop("entry")._asdict(), **values}
