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
    tests = classification.tests
    return {nodeid: _needs(tests.get(nodeid), ambient) for nodeid in _present(tests, collected)}


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


def _needs(test: TestResult | None, ambient: bool) -> Needs:
    if test is None:
        return frozenset({ANYTHING})
    seen = frozenset({*test.services, *(test.ambient if ambient else ())})
    outcomes = {test.outcome, *(one.outcome for one in test.runs)}
    if outcomes & _FINISHED:
        return seen
    return seen | (frozenset({ANYTHING}) if outcomes <= _CUT_OFF else frozenset(test.assumed))


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
