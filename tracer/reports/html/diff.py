"""The page of a difference: totals, and the tests that differ, old beside new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tracer.classify.diff import Difference
from tracer.reports.html.contents import Contents
from tracer.reports.html.numbered import Numbered
from tracer.reports.pages.diff import DiffDocument, headline, notices
from tracer.reports.text import printable

_KINDS: Final = ("other services", "new", "gone", "skipped", "not run")


def of_difference(document: DiffDocument) -> Contents:
    """The page of a difference."""
    one = document.difference
    text = headline(one)
    values = {
        "headline": text,
        "notices": [*notices(one)],
        "old": one.old,
        "new": one.new,
        "services": one.services,
        "tiers": one.tiers,
        "known": frozenset[str](),
        "above": 2,
    }
    return Contents(f"{text}: svc-trace", "diff.html.jinja", values, {"diff": _data(one)})


def _data(one: Difference) -> dict[str, Any]:
    """A row for each test: node id, kind, services only of the old and only of the new report, tiers, outcomes."""
    names = Numbered[str]()
    rows = [
        [
            printable(nodeid),
            _KINDS.index(kind),
            *([names.number(printable(service)) for service in services] for services in (old, new)),
            *map(printable, others),
        ]
        for nodeid, kind, old, new, others in _rows(one)
    ]
    return {"rows": rows, "services": names.values, "kinds": _KINDS}


def _rows(one: Difference) -> Iterator[tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, str, str, str]]]:
    for nodeid, change in one.changed.items():
        others = (change.old_tier, change.new_tier, change.old_outcome, change.new_outcome)
        yield nodeid, "other services", change.lost, change.gained, others
    for nodeid, services in one.added.items():
        yield nodeid, "new", (), services, ("", "", "", "")
    for kind, tests in (("gone", one.removed), ("skipped", one.skipped), ("not run", one.not_run)):
        for nodeid, services in tests.items():
            yield nodeid, kind, services, (), ("", "", "", "")
