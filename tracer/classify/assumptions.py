"""Assumptions: the services that the static rules claim for a test, and the entries that claim them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal, NamedTuple

from tracer.classify.services.rules import AssumptionRule, Contract, Rules
from tracer.trace.records import StaticFacts

EntryKind = Literal["marker", "class", "fixture", "path", "in_class"]


class Entry(NamedTuple):
    """One entry of a rule. A single entry that matches a test is enough for the claim."""

    kind: EntryKind
    value: str = ""  # as in the rule; empty for `in_class`

    def __str__(self) -> str:
        return f"{self.kind} {self.value}" if self.value else "being in a class"


def entries(rule: AssumptionRule) -> tuple[Entry, ...]:
    """All entries of a rule."""
    return (
        *(Entry("marker", name) for name in sorted(rule.markers)),
        *(Entry("class", name) for name in rule.classes),
        *(Entry("fixture", name) for name in sorted(rule.fixtures)),
        *(Entry("path", pattern) for pattern in rule.paths),
        *((Entry("in_class"),) if rule.in_class else ()),
    )


def claims(rule: AssumptionRule, facts: StaticFacts) -> tuple[Entry, ...]:
    """The entries of a rule that claim a test with these facts."""
    classes = {name for base in facts.bases for name in _names(base, rule.classes)} if rule.classes else ()
    return (
        *(Entry("marker", name) for name in facts.markers if name in rule.markers),
        *(Entry("class", name) for name in rule.classes if name in classes),
        *(Entry("fixture", name) for name in facts.fixtures if name in rule.fixtures),
        *(Entry("path", pattern) for pattern in rule.paths if matches_path(facts.path, pattern)),
        *((Entry("in_class"),) if rule.in_class and facts.bases else ()),
    )


def assumed_services(facts: StaticFacts, rules: Rules) -> tuple[str, ...]:
    """The services, sorted, that the static rules claim for a test with these facts."""
    return tuple(sorted(service for service, rule in rules.assumptions.items() if claims(rule, facts)))


def concerns(contract: Contract, facts: StaticFacts) -> bool:
    """Whether a contract applies to a test with these facts."""
    match contract.selector:
        case "marker" if contract.value.startswith("not "):
            return contract.value.removeprefix("not ") not in facts.markers
        case "marker":
            return contract.value in facts.markers
        case "fixture":
            return contract.value in facts.fixtures
        case "path":
            return matches_path(facts.path, contract.value)


@lru_cache(maxsize=65536)  # rules × files of a suite
def matches_path(path: str, pattern: str) -> bool:
    """Whether a path relative to pytest's rootdir matches a glob.

    A part `**` matches any number of directories, including none. Within a part `*`, `?` and `[…]` match as in a shell,
    but never a slash.
    """
    patterns = pattern.split("/")
    places = _next_places(patterns, {0})  # how many of the patterns may match what was read so far
    for part in path.split("/"):
        stay = {place for place in places if place < len(patterns) and patterns[place] == "**"}
        go_on = {place + 1 for place in places if place < len(patterns) and fnmatchcase(part, patterns[place])}
        places = _next_places(patterns, stay | go_on)
    return len(patterns) in places


def _next_places(patterns: list[str], places: set[int]) -> set[int]:
    """These places, and those behind each `**`, which may match nothing."""
    found = set(places)
    for place in places:
        while place < len(patterns) and patterns[place] == "**":
            place += 1
            found.add(place)
    return found


@lru_cache(maxsize=65536)  # rules × classes of a suite
def _names(base: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names in a rule that match this qualified class.

    A name without a dot is the class's own name. A name with dots may begin with a package that re-exports the class
    from one of its modules: `unittest.TestCase` matches `unittest.case.TestCase`.
    """
    return tuple(name for name in names if _is_class(base, name))


def _is_class(base: str, name: str) -> bool:
    package, _, last = name.rpartition(".")
    return base.rpartition(".")[2] == last and (not package or base.startswith(f"{package}."))
