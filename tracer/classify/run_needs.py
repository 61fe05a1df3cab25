"""Run needs: services without which no session begins, so that all tests below some directories need them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from tracer.classify.directories import directory_of, with_parents
from tracer.classify.model import Evidence
from tracer.classify.services.rules import Tier
from tracer.classify.tiers import tier_of

_NONE: Final[frozenset[str]] = frozenset()


def find_run_needs(run_evidence: Iterable[Evidence]) -> dict[str, tuple[str, ...]]:
    """Service → the directories whose tests need it, sorted, none below another; `.`: all tests."""
    needs: dict[str, set[str]] = {}
    for one in run_evidence:
        if one.needed_below and one.is_need:
            needs.setdefault(one.service, set()).update(one.needed_below)
    return {service: tuple(_outermost(needs[service])) for service in sorted(needs)}


class RunNeeds:
    """The services that tests need because no session begins without them."""

    def __init__(self, needs: Mapping[str, Collection[str]]) -> None:
        self._needs = needs
        self._of_directories: dict[str, frozenset[str]] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._needs)

    def of(self, nodeid: str) -> frozenset[str]:
        """Those of a test."""
        return self.of_directory(directory_of(nodeid)) if self._needs else _NONE

    def tier_of_test(self, nodeid: str, services: Collection[str], tiers: Iterable[Tier]) -> str:
        """The tier of a test that uses some services: its session has to begin, too."""
        return tier_of(self.of(nodeid).union(services), tiers)

    def of_directory(self, directory: str) -> frozenset[str]:
        """Those of the tests in a directory."""
        known = self._of_directories.get(directory)
        if known is None:
            parents = {*with_parents(directory)}
            known = frozenset(service for service, below in self._needs.items() if not parents.isdisjoint(below))
            self._of_directories[directory] = known
        return known


NO_RUN_NEEDS: Final = RunNeeds({})


def _outermost(directories: Collection[str]) -> Iterator[str]:
    """The directories that are below no other, sorted."""
    for directory in sorted(directories):
        above = {*with_parents(directory)} - {directory}
        if above.isdisjoint(directories):
            yield directory
