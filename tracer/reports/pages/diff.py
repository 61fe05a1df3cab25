"""The difference between two reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from tracer.classify.diff import Difference
from tracer.reports.blocks import Block, Heading, Headline, Names, Notice, Styled, Table
from tracer.reports.text import counted
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-diff/1"
_LISTED: Final = 20
"""How many tests of each kind the page lists. JSON has all."""

_Groups = dict[str, list[str]]
"""A text about tests → their node ids."""


@dataclass(frozen=True, slots=True)
class DiffDocument:
    """What changed between two reports."""

    difference: Difference

    def page(self) -> Iterator[Block]:
        """A sentence, the totals that changed, and the tests."""
        difference = self.difference
        yield Headline(Styled(_headline(difference), "strong"))
        yield from map(Notice, _notices(difference))
        for title, totals in (("Service", difference.services), ("Tier", difference.tiers)):
            changed = {name: one for name, one in totals.items() if one.old != one.new}
            rows = ((name, f"{one.old:,}", f"{one.new:,}", f"{one.new - one.old:+,}") for name, one in changed.items())
            if changed:
                yield Heading(f"By {title.lower()}")
                yield Table((title, "Old", "New", "+/-"), tuple(rows))
        for title, groups in _lists(difference).items():
            yield Heading(f"{title} {counted(sum(map(len, groups.values())), 'test')}")
            for subtitle, nodeids in groups.items():
                yield Heading(f"{subtitle} ({len(nodeids):,})", 2)
                yield Names(tuple(nodeids), _LISTED)

    def json(self) -> Iterator[bytes]:
        """The difference, field by field."""
        yield dump({"schema": SCHEMA, **asdict(self.difference)}, indent=True)


def _headline(difference: Difference) -> str:
    if not difference:
        return f"no difference: the same {counted(difference.new.total_tests, 'test')} with the same services"
    changed, added, removed = len(difference.changed), len(difference.added), len(difference.removed)
    counts = (
        f"{counted(changed, 'test')} with other services" if changed else "",
        f"{counted(added, 'new test')}" if added else "",
        f"{counted(removed, 'test')} gone" if removed else "",
    )
    return ", ".join(filter(None, counts))


def _notices(difference: Difference) -> Iterator[str]:
    if not difference.old.complete:
        yield "the old report is not complete: services that seem new may have been used before"
    if not difference.new.complete:
        yield "the new report is not complete: services that seem gone may still be used"
    if not difference.same_rules:
        yield "the reports were made by different rules: tiers may differ for that reason alone"


def _lists(difference: Difference) -> dict[str, _Groups]:
    """Title, without the number of tests → subtitle → node ids."""
    gained: dict[str, _Groups] = defaultdict(lambda: defaultdict(list))
    lost: dict[str, _Groups] = defaultdict(lambda: defaultdict(list))
    for nodeid, change in difference.changed.items():
        moved = change.old_tier != change.new_tier
        tiers = f"{change.old_tier} -> {change.new_tier}" if moved else f"still {change.new_tier}"
        for services, changes in ((change.gained, gained), (change.lost, lost)):
            for service in services:
                changes[service][tiers].append(nodeid)
    lists = {f"{service}: used now by": groups for service, groups in sorted(gained.items())}
    lists |= {f"{service}: no longer used by": groups for service, groups in sorted(lost.items())}
    for title, tests in (("New:", difference.added), ("Gone:", difference.removed)):
        by_services: _Groups = defaultdict(list)
        for nodeid, used in tests.items():
            by_services[", ".join(used) or "no services"].append(nodeid)
        if tests:
            lists[title] = by_services
    return lists
