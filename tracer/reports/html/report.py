"""The page of a report: of a run, of merged runs, and of a check of rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import compare_with_baseline, find
from tracer.reports.blocks import Block, Headline, plain_text
from tracer.reports.html import costs, findings, glance, tests_data
from tracer.reports.html.contents import Contents
from tracer.reports.pages.needs import need_lists, need_table, verdict_table
from tracer.reports.pages.notes import notes
from tracer.reports.pages.refused import refused_blocks
from tracer.reports.pages.summary import SummaryDocument, headline
from tracer.reports.pages.validate import ValidationDocument, baseline_lines, confusion_table, remarks
from tracer.reports.pages.verify import VerifyDocument

_KINDS: Final = ("blind-spots", "over-assumed", "contracts", "unknown")


def of_summary(document: SummaryDocument) -> Contents:
    """The page of a report. All findings of its rules are new."""
    classification = document.classification
    baseline = compare_with_baseline(find(classification), (), _KINDS)
    checks = check_in_detail(classification)
    return of_validation(ValidationDocument(classification, checks, baseline, None, has_baseline=False))


def of_validation(document: ValidationDocument) -> Contents:
    """The page of a report whose rules were checked. Findings that the baseline accepts are only counted."""
    one = document.classification
    first = headline(one)
    values: dict[str, Any] = {
        "headline": first,
        "refused": tuple(refused_blocks(one)),
        "run": one.run,
        "runs": one.runs,
        "generated_at": one.generated_at,
        "total": one.summary.total_tests,
        "seconds": sum(test.duration_s for test in one.tests.values()),
        "known": one.tests.keys(),
        "above": 2,  # the level of the headings above blocks
        "services": glance.service_rows(one),
        "tiers": glance.tier_rows(one),
        "combinations": glance.combination_rows(one),
        "durations": glance.duration_rows(one),
        "slowest": tuple(glance.slowest(one)),
        "blind_spots": tuple(findings.blind_spots(document)),
        "over_assumptions": tuple(findings.over_assumptions(document)),
        "contracts": tuple(findings.contracts(document)),
        "unknown": findings.unknown_endpoints(document),
        "listed": findings.LISTED,
        "rules": _rules(document),
        "rules_file": document.rules_file,
        "notes": notes(one),
        "costs": costs.of_fixtures(one),
        "only_through": costs.only_through(one),
        "needs": tuple(_needs(document)),
        "variants": one.variants,
    }
    data = {"index": tests_data.index(one, findings.by_kind(document)), "details": tests_data.details(one)}
    return Contents(f"{plain_text(first.text)}: svc-trace", "report.html.jinja", values, data)


def _rules(document: ValidationDocument) -> tuple[Block, ...]:
    """The numbers of each rule, and remarks about them."""
    one = document.classification
    return (
        *(confusion_table(one) if one.validation else ()),
        *remarks(one, document.checks),
        *(baseline_lines(document.baseline) if document.has_baseline else ()),
    )


def _needs(document: ValidationDocument) -> Iterable[Block]:
    """What trials without services showed: of all together, then of each."""
    one = document.classification
    if not one.verified:
        return
    yield verdict_table(one)
    checks = {check.service: check.needs for check in document.checks if check.needs is not None}
    if checks:
        yield from need_table(checks)
    for service, check in checks.items():
        yield from need_lists(service, check, one.validation[service].blind_spots)
    for trial in one.verified:
        yield from (block for block in VerifyDocument(trial).page() if not isinstance(block, Headline))
