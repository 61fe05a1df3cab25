"""Selection: which tests run with which services, by a report and the tests that there are now.

What is not known of a test is on the safe side: a test that the report does not have, or that never ran to its end, may
use anything. It counts as using a service that no rule names, so it is in no tier and no selection that takes only
certain services, and in the tier that takes the rest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from tracer.classify.model import Classification, Outcome, TestResult, unknown_service

Unit = Literal["test", "class", "file"]
Needs = frozenset[str]
"""The services that must be there for a test, or for all of a unit."""

ANYTHING: Final = unknown_service(None)
"""A service that is not known at all: it may be any."""

_FINISHED: Final[frozenset[Outcome]] = frozenset({"passed", "xfailed", "xpassed"})
_CUT_OFF: Final[frozenset[Outcome]] = frozenset({"interrupted", "crashed"})
_GROUPED: Final = re.compile(r"(.*::[^\W\d]\w*(?:\[.*\])?)@[^@\]]*", re.DOTALL)


def needs_of_tests(
    classification: Classification, collected: Iterable[str] | None = None, *, ambient: bool = True
) -> dict[str, Needs]:
    """What each test needs, by its node id.

    Args:
        classification: what was seen of the tests.
        collected: the node ids of the tests that there are now, in their order; those of the classification if None.
            xdist's `@group` at their ends is left out.
        ambient: whether services that were only ambient in a test are needed for it.
    """
    tests = classification.tests
    nodeids = tests if collected is None else dict.fromkeys(_plain(nodeid, tests) for nodeid in collected)
    return {nodeid: _needs(tests.get(nodeid), ambient) for nodeid in nodeids}


def by_unit(needs: Mapping[str, Needs], unit: Unit) -> dict[str, Needs]:
    """What each test, class or file needs: all that any of its tests does, by what selects it in pytest.

    The unit `class` is an outermost class, or a function that is in none, with all its parameters.
    """
    united: dict[str, Needs] = defaultdict(Needs)
    for nodeid, services in needs.items():
        united[_NAMES[unit](nodeid)] |= services
    return dict(united)


def _needs(test: TestResult | None, ambient: bool) -> Needs:
    if test is None:
        return frozenset({ANYTHING})
    seen = frozenset({*test.services, *(test.ambient if ambient else ())})
    outcomes = {test.outcome, *(one.outcome for one in test.runs)}
    if outcomes & _FINISHED:
        return seen
    return seen | (frozenset({ANYTHING}) if outcomes <= _CUT_OFF else frozenset(test.assumed))


def _plain(nodeid: str, tests: Mapping[str, TestResult]) -> str:
    """The node id by which pytest selects a test: on older pytests xdist appends @group to it."""
    if nodeid not in tests and (grouped := _GROUPED.fullmatch(nodeid)):
        return grouped[1]
    return nodeid


def _class(nodeid: str) -> str:
    """The file and the first name in it. Behind the first bracket are parameters, which may hold anything."""
    file, separator, names = nodeid.partition("::")
    return file + separator + names.partition("[")[0].partition("::")[0]


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


_NAMES: Final[Mapping[Unit, Callable[[str], str]]] = {"test": str, "class": _class, "file": _file}
