"""The difference between two reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from msgspec.structs import asdict

from tracer.classify.diff import Difference
from tracer.reports.annotations import Annotation, AnnotationsDocument, Place, file_of
from tracer.reports.blocks import Block, Heading, Headline, Notice, Styled, Table, groups
from tracer.reports.text import counted
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-diff/1"
_LISTED: Final = 20
"""How many tests of a group the page lists. JSON has all."""


@dataclass(frozen=True, slots=True)
class DiffDocument(AnnotationsDocument):
    """What changed between two reports."""

    difference: Difference
    place: Callable[[str], Place] = file_of  # of a test by its node id

    def page(self) -> Iterator[Block]:
        """A sentence, the totals that changed, and the tests."""
        difference = self.difference
        yield Headline(Styled(headline(difference), "strong"))
        yield from notices(difference)
        for title, totals in (("Service", difference.services), ("Tier", difference.tiers)):
            changed = {name: one for name, one in totals.items() if one.old != one.new}
            rows = ((name, f"{one.old:,}", f"{one.new:,}", f"{one.new - one.old:+,}") for name, one in changed.items())
            if changed:
                yield Heading(f"By {title.lower()}")
                yield Table((title, "Old", "New", "+/-"), tuple(rows))
        for title, tests in _lists(difference).items():
            if tests:
                yield Heading(f"{title} {counted(len(tests), 'test')}")
                yield from groups(tests, _LISTED)

    def json(self) -> Iterator[bytes]:
        """The difference, field by field."""
        yield dump({"schema": SCHEMA, **asdict(self.difference)}, indent=True)

    def annotations(self) -> Iterator[Annotation]:
        """Services that tests began to use, or use no longer, and those of new tests."""
        texts = {
            "now uses": {nodeid: change.gained for nodeid, change in self.difference.changed.items()},
            "no longer uses": {nodeid: change.lost for nodeid, change in self.difference.changed.items()},
            "is new, and uses": self.difference.added,
        }
        for text, tests in texts.items():
            for nodeid, services in tests.items():
                for service in services:
                    yield Annotation("changed", service, nodeid, self.place(nodeid), f"{text} {service}")


def notices(difference: Difference) -> Iterator[Notice]:
    """What may explain a difference, besides the tests."""
    if not difference.old.complete:
        yield Notice("the old report is not complete: services that seem new may have been used before")
    if not difference.new.complete:
        yield Notice("the new report is not complete: services that seem gone may still be used")
    if not difference.same_rules:
        yield Notice("the reports were made with different rules: a tier may differ only for this reason")


def headline(difference: Difference) -> str:
    """How many tests differ, and how."""
    if not difference:
        return f"no difference: the same {counted(difference.new.total_tests, 'test')} with the same services"
    changed, added, removed = len(difference.changed), len(difference.added), len(difference.removed)
    counts = (
        f"{counted(changed, 'test')} with other services" if changed else "",
        f"{counted(added, 'new test')}" if added else "",
        f"{counted(removed, 'test')} gone" if removed else "",
    )
    return ", ".join(filter(None, counts))


def _lists(difference: Difference) -> dict[str, list[tuple[str, str]]]:
    """Title, without the number of tests → the tests: a text about each, and its node id."""
    lists: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for title in ("now used by", "no longer used by"):
        changes = {test: one.gained if title == "now used by" else one.lost for test, one in difference.changed.items()}
        for service, nodeid in sorted((service, test) for test, services in changes.items() for service in services):
            old_tier, tier = difference.changed[nodeid].old_tier, difference.changed[nodeid].new_tier
            tiers = f"tier {tier}, as before" if tier == old_tier else f"tier {old_tier} -> {tier}"
            lists[f"{service}: {title}"].append((tiers, nodeid))
    others = {
        "New:": difference.added,
        "Gone:": difference.removed,
        "Skipped in the new run:": difference.skipped,
        "Not in the new run, by its selection or its shard:": difference.not_run,
    }
    for title, tests in others.items():
        lists[title] = [(", ".join(services) or "no services", nodeid) for nodeid, services in tests.items()]
    return lists
