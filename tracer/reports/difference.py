"""The difference between two reports: the page that tells it to people, and its JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from tracer.classify.diff import Difference, Totals
from tracer.reports.page import Block, Heading, Line, Names, Table
from tracer.reports.wording import counted
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-diff/1"
_LISTED: Final = 20
"""How many tests the page names of each kind. JSON has all."""

_Groups = dict[str, list[str]]
"""What there is to say of tests → their node ids."""


def render_json(difference: Difference) -> bytes:
    """All of it, field by field."""
    return dump({"schema": SCHEMA, **asdict(difference)}, indent=True)


def page(difference: Difference) -> Iterator[Block]:
    """What changed: in a line, in numbers, and test by test."""
    yield Line(f"svc-trace: {_headline(difference)}", "bold")
    for note in _notes(difference):
        yield Line(f"warning: {note}", "yellow")
    for title, totals in _tables(difference).items():
        rows = ((name, f"{one.old:,}", f"{one.new:,}", f"{one.new - one.old:+,}") for name, one in totals.items())
        yield Heading(f"By {title.lower()}")
        yield Table((title, "Old", "New", "+/-"), tuple(rows))
    for title, groups in _lists(difference).items():
        yield Heading(title)
        for told, nodeids in groups.items():
            yield Heading(f"{told} ({len(nodeids):,})", 2)
            yield Names(tuple(nodeids), _LISTED)


def _headline(difference: Difference) -> str:
    if not difference:
        return f"no difference: the same {counted(difference.new.total_tests, 'test')} with the same services"
    changed, added, removed = len(difference.changed), len(difference.added), len(difference.removed)
    told = [
        f"{counted(changed, 'test')} with other services" if changed else "",
        f"{counted(added, 'new test')}" if added else "",
        f"{counted(removed, 'test')} gone" if removed else "",
    ]
    return ", ".join(filter(None, told))


def _notes(difference: Difference) -> list[str]:
    told = {
        "the old report is not complete: what seems gained may have been missed then": not difference.old.complete,
        "the new report is not complete: what seems lost may have been missed now": not difference.new.complete,
        "the reports were made by different rules: tiers may differ for that alone": not difference.same_rules,
    }
    return [note for note, holds in told.items() if holds]


def _tables(difference: Difference) -> dict[str, dict[str, Totals]]:
    """The totals that are not what they were."""
    tables = {"Service": difference.services, "Tier": difference.tiers}
    moved = {
        title: {name: one for name, one in totals.items() if one.old != one.new} for title, totals in tables.items()
    }
    return {title: totals for title, totals in moved.items() if totals}


def _lists(difference: Difference) -> dict[str, _Groups]:
    """Title → tests, together those of which there is the same to say."""
    gained: dict[str, _Groups] = defaultdict(lambda: defaultdict(list))
    lost: dict[str, _Groups] = defaultdict(lambda: defaultdict(list))
    for nodeid, change in difference.changed.items():
        moved = change.old_tier != change.new_tier
        told = f"{change.old_tier} -> {change.new_tier}" if moved else f"still {change.new_tier}"
        for services, changes in ((change.gained, gained), (change.lost, lost)):
            for service in services:
                changes[service][told].append(nodeid)
    lists = {f"{service}: used now by {_tests(groups)}": groups for service, groups in sorted(gained.items())}
    lists |= {f"{service}: no longer used by {_tests(groups)}": groups for service, groups in sorted(lost.items())}
    for title, tests in (("New", difference.added), ("Gone", difference.removed)):
        by_services: _Groups = defaultdict(list)
        for nodeid, services in tests.items():
            by_services[", ".join(services) or "no services"].append(nodeid)
        if tests:
            lists[f"{title}: {_tests(by_services)}"] = by_services
    return lists


def _tests(groups: _Groups) -> str:
    return counted(sum(map(len, groups.values())), "test")
