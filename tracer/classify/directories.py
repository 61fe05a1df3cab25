"""The suite's directories, and the services that the tests in each of them use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tracer.classify.model import Directory, TestResult
from tracer.classify.services.config import Tier
from tracer.classify.tiers import tier_of

ROOT: Final = "."
"""pytest's rootdir."""


def directory_of(nodeid: str) -> str:
    """The directory of a test's file, relative to pytest's rootdir, with forward slashes."""
    return nodeid.partition("::")[0].rpartition("/")[0] or ROOT


def count_by_directory(
    tests: Mapping[str, TestResult], tiers: Sequence[Tier], *, depth: int | None = None
) -> dict[str, Directory]:
    """The services that the tests of each directory use; directories by path, sorted.

    Args:
        tests: the tests of the suite.
        tiers: the tiers to count.
        depth: None: every directory, with the tests of all directories below it. Otherwise only directories of up to
            this many levels, and each test counts in exactly one: the deepest that contains it.
    """
    kinds = Counter((directory_of(nodeid), test.services) for nodeid, test in tests.items())
    counts: dict[str, _Count] = defaultdict(_Count)
    for (directory, services), number in kinds.items():
        tier = tier_of(services, tiers)
        for path in _with_parents(directory) if depth is None else ("/".join(directory.split("/")[:depth]),):
            counts[path].add(services, tier, number)
    order = {tier.name: place for place, tier in enumerate(tiers)}
    return {path: counts[path].directory(order) for path in sorted(counts)}


class _Count:
    """The counts of one directory."""

    def __init__(self) -> None:
        self._tests = 0
        self._services: Counter[str] = Counter()
        self._tiers: Counter[str] = Counter()

    def add(self, services: tuple[str, ...], tier: str, tests: int) -> None:
        self._tests += tests
        self._tiers[tier] += tests
        for service in services:
            self._services[service] += tests

    def directory(self, order: Mapping[str, int]) -> Directory:
        return Directory(
            tests=self._tests,
            services=dict(sorted(self._services.items(), key=lambda item: (-item[1], item[0]))),
            tiers=dict(sorted(self._tiers.items(), key=lambda item: order.get(item[0], len(order)))),
        )


def _with_parents(directory: str) -> Iterator[str]:
    """A directory, its parents, and the root."""
    while directory != ROOT:
        yield directory
        directory = directory.rpartition("/")[0] or ROOT
    yield ROOT
