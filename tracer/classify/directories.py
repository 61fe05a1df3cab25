"""The suite's directories, and the services that the tests in each of them use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from tracer.classify.model import Directory, TestResult
from tracer.classify.services.rules import Tier
from tracer.classify.tiers import UNTIERED, tier_of

ROOT: Final = "."
"""pytest's rootdir."""


def directory_of(nodeid: str) -> str:
    """The directory of a test's file, relative to pytest's rootdir, with forward slashes."""
    return nodeid.partition("::")[0].rpartition("/")[0] or ROOT


def count_by_directory(
    tests: Mapping[str, TestResult],
    tiers: Sequence[Tier],
    needed: Callable[[str], frozenset[str]] = lambda _: frozenset(),
    *,
    depth: int | None = None,
) -> dict[str, Directory]:
    """The services that the tests of each directory use; directories by path, sorted.

    Args:
        tests: the tests of the suite.
        tiers: the tiers to count.
        needed: the services that the tests in a directory need besides those they use, for the tiers.
        depth: None: every directory, with the tests of all directories below it. Otherwise only directories of up to
            this many levels, and each test counts in exactly one: the deepest that contains it.
    """
    kinds = Counter((directory_of(nodeid), test.services) for nodeid, test in tests.items())
    by_service: dict[str, Counter[str]] = defaultdict(Counter)  # directory → service → tests
    by_tier: dict[str, Counter[str]] = defaultdict(Counter)  # directory → tier → tests
    for (directory, services), number in kinds.items():
        tier = tier_of(needed(directory).union(services), tiers)
        for path in with_parents(directory) if depth is None else ("/".join(directory.split("/")[:depth]),):
            by_tier[path][tier] += number
            by_service[path].update(dict.fromkeys(services, number))
    names = [*(tier.name for tier in tiers), UNTIERED]
    return {
        path: Directory(
            tests=counts.total(),
            services=most_first(by_service[path]),
            tiers={name: counts[name] for name in names if name in counts},
        )
        for path, counts in sorted(by_tier.items())
    }


def most_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by name, the greatest first; equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def with_parents(directory: str) -> Iterator[str]:
    """A directory, its parents, and the root."""
    while directory != ROOT:
        yield directory
        directory = directory.rpartition("/")[0] or ROOT
    yield ROOT
