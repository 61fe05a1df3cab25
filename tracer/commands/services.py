"""The names of services that options accept."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from tracer.classify.model import Classification, is_unknown
from tracer.classify.services.config import load_config
from tracer.classify.services.rules import Rules
from tracer.commands.nearest import check_names
from tracer.reports.pages.services import seen_services


def check_services(names: Collection[str], config: Path | None, report: Classification | None = None) -> None:
    """Do nothing if each service occurs in the report or in its rules, or is configured.

    Without a report, before a run, every endpoint may still occur (`unknown:…`).

    Raises:
        click.UsageError: one does not; names the nearest.
        SvcTraceError: the configuration cannot be used.
    """
    known = (
        [*seen_services(report), *report.run_needs, *_of_rules(report.rules)]
        if report
        else list(filter(is_unknown, names))
    )
    if not set(names) <= set(known):
        configured = load_config(config, Path.cwd())
        known += [name for name, rule in configured.services.items() if not rule.ignore]
        known += _of_rules(configured.rules)
    check_names("service", names, known)


def _of_rules(rules: Rules) -> Iterator[str]:
    yield from rules.assumptions
    for tier in rules.tiers:
        yield from sorted((tier.within or frozenset()) | (tier.any or frozenset()))
    for contract in rules.contracts:
        yield from () if isinstance(contract.services, str) else contract.services
