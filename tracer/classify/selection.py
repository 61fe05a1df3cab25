"""Selection: the services that each test needs, according to a report.

A test that is not in the report, or was interrupted or crashed in every run, may need any service. Its needs are
`ANYTHING`, which no rule names. So no selection with certain services contains it. Its tier is the one for the rest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from tracer.classify.combinations import combination_of
from tracer.classify.model import Classification, Outcome, TestResult, unknown_service
from tracer.classify.refusals import covers
from tracer.classify.verified import Verified

Unit = Literal["test", "class", "file"]
Needs = frozenset[str]
"""The services that a test needs, or all tests of a unit together."""

ANYTHING: Final = unknown_service("")
"""A service that is not known at all: it may be any."""

_FINISHED: Final[frozenset[Outcome]] = frozenset({"passed", "xfailed", "xpassed"})
_CUT_OFF: Final[frozenset[Outcome]] = frozenset({"interrupted", "crashed", "not run"})
_GROUPED: Final = re.compile(r"(.*::[^\W\d]\w*(?:\[.*\])?)@[^@\]]*", re.DOTALL)


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
    tests, verified = classification.tests, Verified(classification.verified)
    return {nodeid: _needs(nodeid, tests.get(nodeid), ambient, verified) for nodeid in _present(tests, collected)}


def uses_of_tests(classification: Classification, collected: Iterable[str] | None = None) -> dict[str, Needs]:
    """The combination of services that each test used, by node id; `ANYTHING` for tests that are not in the report."""
    tests = classification.tests
    return {
        nodeid: frozenset(combination_of(tests[nodeid].services)) if nodeid in tests else frozenset({ANYTHING})
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


def _present(tests: Mapping[str, TestResult], collected: Iterable[str] | None) -> Iterable[str]:
    return tests if collected is None else dict.fromkeys(_plain(nodeid, tests) for nodeid in collected)


def _needs(nodeid: str, test: TestResult | None, ambient: bool, verified: Verified) -> Needs:
    if test is None:
        return frozenset({ANYTHING})
    services = frozenset({*test.services, *(test.ambient if ambient else ())})
    outcomes = {test.outcome, *(one.outcome for one in test.runs)}
    is_cut_off = outcomes <= _CUT_OFF
    if not outcomes & _FINISHED and not is_cut_off:
        services |= frozenset(test.assumed)
    if verified:
        needed = {service for service in verified.needed(nodeid) if not any(covers({service}, one) for one in services)}
        services = services - verified.not_needed(nodeid, test, services) | needed
    return services | {ANYTHING} if is_cut_off else services


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
