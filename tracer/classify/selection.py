"""Selection: the services that each test needs, according to a report.

A test that is not in the report, or was interrupted or crashed in every run, may need any service. Its needs are
`ANYTHING`, which no rule names. So no selection with certain services contains it. Its tier is the one for the rest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal

from tracer.classify.assumptions import concerns
from tracer.classify.combinations import combination_of
from tracer.classify.model import CUT_OFF, Classification, Outcome, TestResult, unknown_service
from tracer.classify.refusals import covers
from tracer.classify.run_needs import RunNeeds
from tracer.classify.verified import Verified

Unit = Literal["test", "class", "file"]
Needs = frozenset[str]
"""The services that a test needs, or all tests of a unit together."""

ANYTHING: Final = unknown_service("")
"""A service that is not known at all: it may be any."""

_FINISHED: Final[frozenset[Outcome]] = frozenset({"passed", "xfailed", "xpassed"})
_GROUPED: Final = re.compile(r"(.*::[^\W\d]\w*(?:\[.*\])?)@[^@\]]*", re.DOTALL)


class TestNeeds:
    """What each test of a report needs to run.

    It needs the services that it used, and those without which its session does not begin (`run_needs`). A test that
    did not finish in any run also needs what assumptions claim and contracts demand. Verdicts of trials correct this.
    """

    __test__ = False  # not for pytest to collect

    def __init__(self, classification: Classification, *, ambient: bool = True) -> None:
        self._tests, self._ambient = classification.tests, ambient
        self._facts, self._contracts = classification.facts, classification.rules.contracts
        self._verified = Verified(classification.verified)
        self._run_needs = RunNeeds(classification.run_needs)

    def of(self, nodeid: str) -> Needs:
        """The services that a test needs; `ANYTHING` if the report does not have it, or it was cut off."""
        test = self._tests.get(nodeid)
        if test is None:
            return frozenset({ANYTHING})
        services = self._run_needs.of(nodeid).union(test.services, test.ambient if self._ambient else ())
        outcomes = {test.outcome, *(one.outcome for one in test.runs)}
        is_cut_off = outcomes <= CUT_OFF
        if not outcomes & _FINISHED and not is_cut_off:
            services = services.union(test.assumed, self._demanded(test))
        if self._verified:
            needed = self._verified.needed(nodeid)
            missing = {service for service in needed if not any(covers({service}, one) for one in services)}
            services = services - self._verified.not_needed(nodeid, test, services) | missing
        return services | {ANYTHING} if is_cut_off else services

    def _demanded(self, test: TestResult) -> Iterator[str]:
        """The services that the contracts of a test name."""
        if test.facts is not None:
            for contract in self._contracts:
                if not isinstance(contract.services, str) and concerns(contract, self._facts[test.facts]):
                    yield from contract.services


def needs_of_tests(
    classification: Classification, collected: Iterable[str] | None = None, *, ambient: bool = True
) -> dict[str, Needs]:
    """The services that each test needs, by node id.

    Args:
        classification: the report.
        collected: the node ids of the present tests, in their order; None: those of the classification. xdist's
            `@group` at their ends is removed.
        ambient: whether a test needs the services for which it has only ambient evidence.
    """
    needs = TestNeeds(classification, ambient=ambient)
    return {nodeid: needs.of(nodeid) for nodeid in _present(classification.tests, collected)}


def uses_of_tests(classification: Classification, collected: Iterable[str] | None = None) -> dict[str, Needs]:
    """The combination of services that each test used, with those without which its session does not begin.

    By node id; `ANYTHING` for tests that are not in the report.
    """
    tests, run_needs = classification.tests, RunNeeds(classification.run_needs)
    return {
        nodeid: frozenset(combination_of(run_needs.of(nodeid).union(tests[nodeid].services)))
        if nodeid in tests
        else frozenset({ANYTHING})
        for nodeid in _present(tests, collected)
    }


def by_unit(needs: Mapping[str, Needs], unit: Unit) -> dict[str, Needs]:
    """The services that each test, class or file needs, by the argument that selects it in pytest.

    The unit `class` is an outermost class, or a function outside of classes with all its parameters.
    """
    united: dict[str, Needs] = defaultdict(Needs)
    for nodeid, services in needs.items():
        united[_NAMES[unit](nodeid)] |= services
    return dict(united)


def unit_of(nodeid: str, unit: Unit) -> str:
    """The name of a test's unit."""
    return _NAMES[unit](nodeid)


def _present(tests: Mapping[str, TestResult], collected: Iterable[str] | None) -> Iterable[str]:
    return tests if collected is None else dict.fromkeys(_plain(nodeid, tests) for nodeid in collected)


def _plain(nodeid: str, tests: Mapping[str, TestResult]) -> str:
    """The node id by which pytest selects a test. On older versions of pytest, xdist appends @group to it."""
    if nodeid not in tests and (grouped := _GROUPED.fullmatch(nodeid)):
        return grouped[1]
    return nodeid


def _class(nodeid: str) -> str:
    """The file and the first name in it. After the first bracket are parameters, with any characters."""
    file, separator, names = nodeid.partition("::")
    return file + separator + names.partition("[")[0].partition("::")[0]


_NAMES: Final[Mapping[Unit, Callable[[str], str]]] = {
    "test": str,
    "class": _class,
    "file": lambda nodeid: nodeid.partition("::")[0],
}
