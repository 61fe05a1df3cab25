"""Assumptions: what the suite's static rules claim, and how that holds against what was observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from tracer.classify.model import StaticFacts, TestResult, Validation
from tracer.classify.services.config import AssumptionRule, Rules


def assumed_services(facts: StaticFacts, rules: Rules) -> tuple[str, ...]:
    """The services, sorted, that the static rules claim for a test with these facts."""
    return tuple(sorted(service for service, rule in rules.assumptions.items() if _claims(rule, facts)))


def validate(tests: Mapping[str, TestResult], services: Iterable[str]) -> dict[str, Validation]:
    """Hold the static rules of some services against what was observed; node ids come sorted.

    A skipped test that was not seen using a service it is assumed to need counts nowhere: it did not run far enough
    to tell.
    """
    return {service: _validation(tests, service) for service in services}


@lru_cache(maxsize=65536)  # rules × files of a suite
def matches_path(path: str, pattern: str) -> bool:
    """Whether a path relative to pytest's rootdir matches a glob.

    `**` as a whole part stands for any number of folders, none included; within a part `*`, `?` and `[…]` stand for
    what they do in a shell, never for a slash.
    """
    return _matches(tuple(path.split("/")), tuple(pattern.split("/")))


def _matches(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _matches(parts, patterns[1:]) or (bool(parts) and _matches(parts[1:], patterns))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])


def _claims(rule: AssumptionRule, facts: StaticFacts) -> bool:
    return (
        not rule.fixtures.isdisjoint(facts.fixtures)
        or not rule.markers.isdisjoint(facts.markers)
        or (rule.in_class and bool(facts.bases))
        or any(_is_class(base, name) for name in rule.classes for base in facts.bases)
        or any(matches_path(facts.path, pattern) for pattern in rule.paths)
    )


def _is_class(base: str, name: str) -> bool:
    """Whether a qualified base is the class that a rule names.

    A rule without a dot gives the last component. One with dots may name a package that re-exports the class from a
    module within: `unittest.TestCase` is defined in, and qualified as, `unittest.case.TestCase`.
    """
    package, _, last = name.rpartition(".")
    return base.rpartition(".")[2] == last and (not package or base.startswith(f"{package}."))


def _validation(tests: Mapping[str, TestResult], service: str) -> Validation:
    assumed = {nodeid for nodeid, test in tests.items() if service in test.assumed}
    observed = {nodeid for nodeid, test in tests.items() if service in test.services}
    confirmed = len(assumed & observed)
    over_assumed = sorted(nodeid for nodeid in assumed - observed if tests[nodeid].outcome != "skipped")
    judged = confirmed + len(over_assumed)
    return Validation(
        confirmed=confirmed,
        blind_spots=tuple(sorted(observed - assumed)),
        over_assumed=tuple(over_assumed),
        precision=confirmed / judged if judged else None,
        recall=confirmed / len(observed) if observed else None,
    )
