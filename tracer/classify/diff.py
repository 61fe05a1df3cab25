"""The difference between two classifications, for example between the reports of two nights.

Only tests and their services are compared. Counts, bytes, times, phases, threads and ambient services differ from run
to run. Endpoints that no rule names often have another port in each run, so all of them count as one service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from tracer.classify.checks import CUT_SHORT
from tracer.classify.model import ALL_UNKNOWN, Classification, Outcome, TestResult, is_unknown
from tracer.classify.presence import Presence, Presences
from tracer.classify.run_needs import RunNeeds


class Change(Struct, frozen=True):
    """A test of both classifications, whose services differ."""

    gained: tuple[str, ...]  # sorted
    lost: tuple[str, ...]  # sorted
    old_tier: str
    new_tier: str
    old_outcome: Outcome
    new_outcome: Outcome


class Totals(Struct, frozen=True):
    """A number of tests in the old and in the new classification."""

    old: int
    new: int


class Side(Struct, frozen=True):
    """One of the two classifications."""

    started_at: str
    total_tests: int
    complete: bool


class Difference(Struct, frozen=True):
    """The differences; tests by node id, sorted."""

    old: Side
    new: Side
    same_rules: bool
    added: Mapping[str, tuple[str, ...]]  # tests only of the new one → services
    removed: Mapping[str, tuple[str, ...]]  # tests that are gone from the new one → services
    skipped: Mapping[str, tuple[str, ...]]  # tests that ran in the old one, and were skipped in the new one → services
    not_run: Mapping[str, tuple[str, ...]]  # the same, of tests that did not run in the new one
    changed: Mapping[str, Change]
    services: Mapping[str, Totals]  # all services, those with the most tests first
    tiers: Mapping[str, Totals]  # in the order of the new one, then those only of the old one

    def __bool__(self) -> bool:
        """Whether a test was added or removed, or has other services."""
        return bool(self.added or self.removed or self.changed)


def compare(old: Classification, new: Classification, exists: Callable[[str], bool] = lambda _: True) -> Difference:
    """Compare two classifications. `exists`: whether a file exists, by its path from pytest's rootdir.

    A test that was skipped or cut short in the new one has lost no services: it did not run to its end.
    """
    then, now = old.tests, new.tests
    needs = RunNeeds(old.run_needs), RunNeeds(new.run_needs)
    changes = {
        nodeid: change
        for nodeid in sorted(then.keys() & now.keys())
        if (change := _change(nodeid, old, new, *needs)) is not None
    }
    before, presences = Presences(old), Presences(new, exists)
    absent: dict[Presence, list[str]] = defaultdict(list)
    for nodeid in sorted(then):
        if nodeid not in now or before.of(nodeid) == "ran":
            absent[presences.of(nodeid)].append(nodeid)
    old_services, new_services = (_count(one.tests.values()) for one in (old, new))
    ranked = sorted(old_services | new_services, key=lambda name: (-new_services[name], -old_services[name], name))
    tiers = dict.fromkeys([*new.summary.tiers, *old.summary.tiers])
    return Difference(
        old=_side(old),
        new=_side(new),
        same_rules=old.rules == new.rules,
        added={nodeid: _services(now[nodeid]) for nodeid in sorted(now.keys() - then.keys())},
        removed={nodeid: _services(then[nodeid]) for nodeid in absent["gone"]},
        skipped={nodeid: _services(then[nodeid]) for nodeid in absent["skipped"]},
        not_run={nodeid: _services(then[nodeid]) for nodeid in absent["not run"]},
        changed=changes,
        services={name: Totals(old_services[name], new_services[name]) for name in ranked},
        tiers={name: Totals(old.summary.tiers.get(name, 0), new.summary.tiers.get(name, 0)) for name in tiers},
    )


def _change(
    nodeid: str, old: Classification, new: Classification, old_needs: RunNeeds, new_needs: RunNeeds
) -> Change | None:
    then, now = old.tests[nodeid], new.tests[nodeid]
    if then.services == now.services:
        return None
    before, after = set(_services(then)), set(_services(now))
    gained, lost = after - before, set() if now.outcome in CUT_SHORT else before - after
    if not gained and not lost:
        return None
    return Change(
        gained=tuple(sorted(gained)),
        lost=tuple(sorted(lost)),
        old_tier=old_needs.tier_of_test(nodeid, then.services, old.rules.tiers),
        new_tier=new_needs.tier_of_test(nodeid, now.services, new.rules.tiers),
        old_outcome=then.outcome,
        new_outcome=now.outcome,
    )


def _services(test: TestResult) -> tuple[str, ...]:
    known = [service for service in test.services if not is_unknown(service)]
    return tuple(known) if len(known) == len(test.services) else (*known, ALL_UNKNOWN)


def _count(tests: Iterable[TestResult]) -> Counter[str]:
    return Counter(service for test in tests for service in _services(test))


def _side(one: Classification) -> Side:
    return Side(one.run.started_at, one.summary.total_tests, one.run.complete)
