"""The verdicts of earlier trials on other pages: on the summary, and on the check of rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from tracer.classify.model import Classification
from tracer.classify.need_checks import NeedCheck
from tracer.reports.blocks import Block, Heading, Line, Names, Styled, Table
from tracer.reports.verdict_text import any_of

_LISTED: Final = 10
"""How many tests of a group the page lists; the JSON has all."""


def verdict_table(classification: Classification) -> Table:
    """For each set of refused services, the numbers of the report's tests by verdict."""
    rows = []
    for one in classification.verified:
        known = (one.tests[nodeid].verdict for nodeid in classification.tests if nodeid in one.tests)
        counts = Counter[str](known)
        none = len(classification.tests) - counts.total()
        numbers = (counts["needs"], counts["tolerates"], counts["unaffected"], counts["undecided"], none)
        rows.append((any_of(one.without), *(f"{number:,}" for number in numbers)))
    return Table(("Without", "Need it", "Tolerate", "Unaffected", "Undecided", "No verdict"), tuple(rows))


def need_table(checks: Mapping[str, NeedCheck]) -> Iterator[Block]:
    """The rules compared with the verdicts, and what the columns mean.

    Args:
        checks: service → its check; at least one.
    """
    of = checks.values()
    numbers = {
        ("Needed", "claimed and needed"): [check.claimed_needed for check in of],
        ("Only used", "claimed and used, but not needed"): [len(check.claimed_only_used) for check in of],
        ("Not used", "claimed, but not used"): [check.claimed_unused for check in of],
        ("Missed", "needed, but not claimed"): [len(check.missed) for check in of],
        ("No verdict", "claimed and used"): [check.claimed_unverified for check in of],
        ("Maybe missed", "used, not claimed, no verdict"): [check.missed_unverified for check in of],
    }
    rare = ("No verdict", "Maybe missed")  # these columns are shown only if a rule has such tests
    shown = {title: column for title, column in numbers.items() if any(column) or title[0] not in rare}
    columns = {"Rule": list(checks)} | {
        title: [f"{number:,}" for number in column] for (title, _), column in shown.items()
    }
    yield Table(tuple(columns), tuple(zip(*columns.values(), strict=True)))
    yield Line(Styled("; ".join(f"{title}: {meaning}" for title, meaning in shown) + ".", "dim"))


def need_lists(service: str, check: NeedCheck, blind_spots: Collection[str]) -> Iterator[Block]:
    """The tests for which a rule claims too much, and those for which it claims too little and that are not listed yet.

    Args:
        service: the rule's.
        check: the rule's check.
        blind_spots: the tests that use the service and that the rule does not claim.
    """
    if check.claimed_only_used:
        yield Heading(f"{service}: claimed and used, but not needed ({len(check.claimed_only_used):,})")
        yield Names(check.claimed_only_used, _LISTED)
    if unseen := tuple(nodeid for nodeid in check.missed if nodeid not in blind_spots):
        yield Heading(Styled(f"{service}: needed, but neither claimed nor used ({len(unseen):,})", "bad"))
        yield Names(unseen, _LISTED)
