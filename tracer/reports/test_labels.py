"""What formats of test results say of a test: the parts of its name, its services, needs and tier."""

from __future__ import annotations

from typing import Final

from tracer.classify.model import Classification
from tracer.classify.run_needs import RunNeeds
from tracer.classify.selection import ANYTHING, TestNeeds
from tracer.classify.tiers import chosen_tiers

ANY: Final = "(any)"
"""In place of the needs of a test that was cut off in every run."""


def names_of(nodeid: str) -> tuple[str, ...]:
    """The parts of a node id: the file, classes, and the function with its parameters, which may contain `::`."""
    file, separator, rest = nodeid.partition("::")
    names, bracket, parameters = rest.partition("[")
    *outer, last = names.split("::")
    return (file, *outer, f"{last}{bracket}{parameters}") if separator else (file,)


class Labels:
    """The services, needs and tier of each test of a report."""

    def __init__(self, classification: Classification) -> None:
        self._tests, self._tiers = classification.tests, chosen_tiers(classification.rules.tiers)
        self._needs, self._run_needs = TestNeeds(classification), RunNeeds(classification.run_needs)

    def of(self, nodeid: str) -> dict[str, tuple[str, ...]]:
        """`services`: used; `needs`: as for `select`; `tier`: one, without it if the rules have no tiers."""
        services, needs = self._tests[nodeid].services, self._needs.of(nodeid)
        labels = {"services": services, "needs": (ANY,) if ANYTHING in needs else tuple(sorted(needs))}
        if self._tiers:
            labels["tier"] = (self._run_needs.tier_of_test(nodeid, services, self._tiers),)
        return labels
