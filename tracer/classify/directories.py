"""The suite's folders: what the tests in each use, to hold against what its name promises."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tracer.classify.model import Directory, TestResult
from tracer.classify.services.config import Tier
from tracer.classify.tiers import tier_of

ROOT: Final = "."
"""pytest's rootdir, with the whole suite below it."""


def directory_of(nodeid: str) -> str:
    """The folder that a test's file is in, relative to pytest's rootdir, with forward slashes."""
    return nodeid.partition("::")[0].rpartition("/")[0] or ROOT


def count_by_directory(
    tests: Mapping[str, TestResult], tiers: Sequence[Tier], *, depth: int | None = None
) -> dict[str, Directory]:
    """What the tests of each folder use, by its path and in the order of paths.

    Args:
        tests: those of the suite.
        tiers: to count by.
        depth: None: every folder with all that is below it, so that the root holds the whole suite. Else the folders
            down to so many levels, each test in exactly one: the deepest of them that it is in.
    """
    kinds = Counter((directory_of(nodeid), test.services) for nodeid, test in tests.items())
    counts: dict[str, _Count] = defaultdict(_Count)
    for (directory, services), number in kinds.items():
        tier = tier_of(services, tiers)
        for folder in _with_parents(directory) if depth is None else ("/".join(directory.split("/")[:depth]),):
            counts[folder].add(services, tier, number)
    order = {tier.name: place for place, tier in enumerate(tiers)}
    return {folder: counts[folder].directory(order) for folder in sorted(counts)}


class _Count:
    """What is counted of one folder."""

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
    """A folder, those it is in, and the root."""
    while directory != ROOT:
        yield directory
        directory = directory.rpartition("/")[0] or ROOT
    yield ROOT
