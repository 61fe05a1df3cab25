"""The validation as a page: each rule's confusion table, its findings with their evidence, and what would mend it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from tracer.classify.detailed_checks import DetailedCheck, EntryCheck
from tracer.classify.findings import BaselineComparison, Finding
from tracer.classify.model import UNKNOWN, Classification, is_unknown
from tracer.reports.page import Block, Code, Heading, Line, Names, Table
from tracer.reports.story import doings
from tracer.reports.tables import described_unknown
from tracer.reports.toml import assumption
from tracer.reports.wording import counted, named, percent

_LISTED = 10
"""How many tests a group lists; the JSON has all."""


@dataclass(frozen=True, slots=True)
class Validated:
    """All that a validation has to tell."""

    classification: Classification
    judgements: tuple[DetailedCheck, ...]
    held: BaselineComparison  # its findings against the baseline
    source: str | None  # the configuration's file; None: the rules are those of the reports
    baseline: bool  # whether there is one: what it accepts is counted, and told no further


def page(validated: Validated) -> Iterator[Block]:
    """The whole page."""
    classification, new = validated.classification, set(validated.held.new)
    tests = counted(classification.summary.total_tests, "test")
    rules = f"the rules of {validated.source}" if validated.source else "the rules of the report"
    complete = classification.run.complete
    yield Line(f"svc-trace: {tests} held against {rules}")
    if not complete:
        yield Line("The run is NOT COMPLETE: tests may use more services than is told here.", "bold red")
    if classification.rules.assumptions:
        yield _table(classification)
    else:
        yield Line("There are no static rules: give [assumptions.SERVICE] in the configuration.")
    for judgement in validated.judgements:
        yield from _blind_spots(judgement, validated.source)
    for judgement in validated.judgements:
        yield from _over_assumptions(judgement, new)
    for service, held in classification.validation.items():
        if held.ambient_only:
            yield Heading(f"{service}: {counted(len(held.ambient_only), 'test')} with ambient evidence alone")
            yield Names(held.ambient_only, _LISTED)
    yield from _contracts(classification, new)
    yield from _unknown(classification, new)
    yield from _remarks(validated)


def _table(classification: Classification) -> Table:
    header = ["Rule", "Precision", "Recall", "Confirmed", "Blind", "Over", "Neither"]
    validation = classification.validation.values()
    optional = {
        "Ambient": any(held.ambient_only for held in validation),
        "Undecided": any(held.undecided for held in validation),
    }
    rows = []
    for service, held in classification.validation.items():
        blind, over = len(held.blind_spots), len(held.over_assumed)
        cells = {"Ambient": len(held.ambient_only), "Undecided": held.undecided}
        rows.append(
            (
                service,
                percent(held.confirmed, held.confirmed + over) if held.precision is not None else "-",
                percent(held.confirmed, held.confirmed + blind) if held.recall is not None else "-",
                *(f"{cell:,}" for cell in (held.confirmed, blind, over, held.neither)),
                *(f"{cell:,}" for name, cell in cells.items() if optional[name]),
            )
        )
    return Table((*header, *(name for name, told in optional.items() if told)), tuple(rows))


def _blind_spots(judgement: DetailedCheck, source: str | None) -> Iterator[Block]:
    blind = judgement.blind_spots
    if not blind:
        return
    yield Heading(f"{judgement.service}: {counted(len(blind), 'blind spot')}", style="bold red")
    groups: dict[tuple[str, ...], list[str]] = {}
    for nodeid, told in blind.items():
        groups.setdefault(doings(told), []).append(nodeid)
    for way, nodeids in sorted(groups.items(), key=lambda group: -len(group[1])):
        yield Heading("; ".join(way), 2)
        yield Names(tuple(nodeids), _LISTED)
    if judgement.proposals:
        caught = sum(len(proposal.caught) for proposal in judgement.proposals)
        vain = sum(len(proposal.over_assumed) for proposal in judgement.proposals)
        found = f"{caught:,} of {len(blind):,}" if len(blind) > 1 else "it"
        in_vain = f"claims {counted(vain, 'more test')} in vain" if vain else "claims no test in vain"
        yield Heading(f"A rule that would have caught {found}, and {in_vain}:", 2)
        pyproject = source is not None and PurePath(source).name == "pyproject.toml"
        yield Code(tuple(assumption(judgement.service, judgement.rule, judgement.proposals, pyproject=pyproject)))
    if judgement.left:
        markers = ", ".join(sorted(judgement.rule.markers)) or "a marker of their own"
        left = counted(len(judgement.left), "blind spot")
        yield Heading(f"{left} that no entry would tell from as many other tests; mark with {markers}:", 2)
        yield Names(judgement.left, _LISTED)


def _over_assumptions(judgement: DetailedCheck, new: Collection[Finding]) -> Iterator[Block]:
    service = judgement.service

    def in_vain(entry: EntryCheck) -> tuple[str, ...]:
        return tuple(nodeid for nodeid in entry.over_assumed if Finding("over-assumed", service, nodeid) in new)

    over = {nodeid for entry in judgement.entries for nodeid in in_vain(entry)}
    if not over:
        return
    yield Heading(f"{service}: {counted(len(over), 'over-assumption')}", style="bold yellow")
    for entry in sorted(judgement.entries, key=lambda entry: -len(entry.over_assumed)):
        if told := in_vain(entry):
            never = ", and never rightly" if not entry.confirmed else f", {entry.confirmed:,} of them rightly"
            yield Heading(f"{entry.entry} claims {counted(entry.claimed, 'test')}{never}", 2)
            yield Names(told, _LISTED)


def _contracts(classification: Classification, new: Collection[Finding]) -> Iterator[Block]:
    if not classification.contracts:
        return
    yield Heading("Contracts", style="bold")
    rows = tuple((held.name, f"{held.tests:,}", f"{len(held.violations):,}") for held in classification.contracts)
    yield Table(("Contract", "Tests", "Violations"), rows)
    for held in classification.contracts:
        told: dict[str, list[str]] = {}
        for nodeid in held.violations:
            if Finding("contracts", held.name, nodeid) in new:
                services = ", ".join(classification.tests[nodeid].services) or "nothing"
                told.setdefault(services, []).append(nodeid)
        for services, nodeids in told.items():
            yield Heading(f"{held.name}: {counted(len(nodeids), 'test')} with {services}", 2)
            yield Names(tuple(nodeids), _LISTED)


def _unknown(classification: Classification, new: Collection[Finding]) -> Iterator[Block]:
    endpoints = {
        service: tests
        for service, tests in classification.summary.services.items()
        if is_unknown(service) and Finding("unknown", service.removeprefix(UNKNOWN), "") in new
    }
    if endpoints:
        yield Heading(f"{counted(len(endpoints), 'endpoint')} that no rule names", style="bold yellow")
        told = described_unknown(classification, endpoints)
        yield Names(tuple(named(told, "test")), _LISTED)


def _remarks(validated: Validated) -> Iterator[Block]:
    never = {
        judgement.service: [str(entry.entry) for entry in judgement.entries if not entry.claimed]
        for judgement in validated.judgements
    }
    if any(never.values()):
        yield Heading("Entries that match no test")
        yield Names(tuple(f"{service}: {', '.join(told)}" for service, told in never.items() if told))
    ruled = validated.classification.rules.assumptions
    unruled = {
        service: tests
        for service, tests in validated.classification.summary.services.items()
        if service not in ruled and not is_unknown(service)
    }
    if ruled and unruled:
        yield Heading("Used, and no rule says so")
        yield Names((", ".join(named(unruled, "test")),))
    if validated.baseline:
        held = validated.held
        yield Heading(f"Baseline: {held.accepted:,} accepted, {len(held.new):,} new, {len(held.gone):,} gone")
        if held.gone:
            yield Heading("no longer found: take them out", 2)
            yield Names(tuple(" ".join(word for word in finding if word) for finding in held.gone), _LISTED)
