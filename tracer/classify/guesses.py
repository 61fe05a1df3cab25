"""Guesses: what a test that is not in the report probably needs, and how often such guesses suffice.

A guess is what the known tests of its function, class or file need together; for a cut-off test, also those with the
same fixtures. For a test in a new file, rules that read only paths and classes decide, if they claim every known test
that needs their service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from tracer.classify.assumptions import assumed_services
from tracer.classify.model import Classification, is_unknown
from tracer.classify.selection import ANYTHING, Needs, needs_of_tests, unit_of
from tracer.classify.services.rules import AssumptionRule
from tracer.trace.records import StaticFacts

Basis = Literal["function", "class", "fixtures", "file", "rules"]

BASES: Final[tuple[Basis, ...]] = ("function", "class", "fixtures", "file", "rules")
"""From the most similar tests to the least: the first one with known tests gives the guess."""


class Recall(NamedTuple):
    """Known tests, each guessed as if it were unknown."""

    tests: int
    sufficed: int  # the guess had every service that the test needs


class Guesses(NamedTuple):
    """The needs of tests, guessed ones included."""

    needs: Mapping[str, Needs]
    guessed: Mapping[Basis, int]  # basis → unknown tests whose needs were guessed so
    recall: Mapping[Basis, Recall]  # of each basis that was used
    left: int  # unknown tests that may still need anything


def guess_needs(classification: Classification, needs: Mapping[str, Needs], known: Mapping[str, Needs]) -> Guesses:
    """The needs of tests, with a guess for each that may need anything.

    Args:
        classification: the report.
        needs: of the present tests.
        known: of the report's tests.
    """
    certain = {nodeid: one for nodeid, one in known.items() if ANYTHING not in one}
    groups = {basis: _Groups(classification, certain, basis) for basis in BASES[:-1]}
    rules = _Rules(classification, certain)
    guessed: Counter[Basis] = Counter()
    united = dict(needs)
    for nodeid, services in needs.items():
        if ANYTHING in services:
            basis, guess = _guess(nodeid, groups, rules)
            if basis is not None:
                guessed[basis] += 1
                united[nodeid] = services - {ANYTHING} | guess
    recall = {basis: rules.recall() if basis == "rules" else groups[basis].recall() for basis in guessed}
    left = sum(ANYTHING in services for services in united.values())
    ordered = {basis: guessed[basis] for basis in BASES if basis in guessed}
    return Guesses(united, ordered, {basis: recall[basis] for basis in ordered}, left)


def needs_with_guesses(classification: Classification, present: Iterable[str] | None, *, ambient: bool) -> Guesses:
    """The needs of the present tests, with guesses for unknown ones. The arguments are those of `needs_of_tests`."""
    known = needs_of_tests(classification, ambient=ambient)
    return guess_needs(classification, needs_of_tests(classification, present, ambient=ambient), known)


def _guess(nodeid: str, groups: Mapping[Basis, _Groups], rules: _Rules) -> tuple[Basis | None, Needs]:
    for basis, known in groups.items():
        if (guess := known.guess(nodeid)) is not None:
            return basis, guess
    guess = rules.guess(nodeid)
    return (None, frozenset()) if guess is None else ("rules", guess)


class _Groups:
    """Known tests, grouped by one basis."""

    def __init__(self, classification: Classification, certain: Mapping[str, Needs], basis: Basis) -> None:
        self._one, self._certain, self._basis = classification, certain, basis
        self._counts: dict[Hashable, Counter[str]] = defaultdict(Counter)  # group → service → tests
        self._sizes: Counter[Hashable] = Counter()
        for nodeid, needs in certain.items():
            if (group := self._group(nodeid)) is not None:
                self._counts[group].update(needs)
                self._sizes[group] += 1

    def guess(self, nodeid: str) -> Needs | None:
        group = self._group(nodeid)
        return None if group is None or group not in self._sizes else frozenset(self._counts[group])

    def recall(self) -> Recall:
        """Each test is left out; for the file, with all tests of its class: an unknown test's class is unknown, too."""
        tests = sufficed = 0
        classes: dict[Hashable, Counter[str]] = defaultdict(Counter)
        class_sizes: Counter[Hashable] = Counter()
        for nodeid, needs in self._certain.items():
            classes[self._left_out(nodeid)].update(needs)
            class_sizes[self._left_out(nodeid)] += 1
        for nodeid, needs in self._certain.items():
            group, left_out = self._group(nodeid), self._left_out(nodeid)
            if group is not None and self._sizes[group] > class_sizes[left_out]:
                tests += 1
                sufficed += all(self._counts[group][one] > classes[left_out][one] for one in needs)
        return Recall(tests, sufficed)

    def _left_out(self, nodeid: str) -> str:
        return unit_of(nodeid, "class") if self._basis == "file" else nodeid

    def _group(self, nodeid: str) -> Hashable:
        match self._basis:
            case "function":
                return nodeid.partition("[")[0] if "[" in nodeid else None
            case "class":
                name = unit_of(nodeid, "class")
                return name if name != nodeid.partition("[")[0] else None
            case "file":
                return unit_of(nodeid, "file")
            case _:
                test = self._one.tests.get(nodeid)
                facts = None if test is None or test.facts is None else self._one.facts[test.facts]
                return (facts.fixtures, facts.bases) if facts is not None and facts.fixtures else None


class _Rules:
    """The services whose rules can be read without pytest, and which claim each known test that needs them."""

    def __init__(self, classification: Classification, certain: Mapping[str, Needs]) -> None:
        self._one, self._certain = classification, certain
        self._services = {service for needs in certain.values() for service in needs}
        rules = classification.rules.assumptions
        candidates = {service for service in self._services if service in rules and _is_readable(rules[service])}
        for nodeid, needs in certain.items():
            candidates -= (candidates & needs) - self._claimed(nodeid)
        self._decided = frozenset(candidates)

    def guess(self, nodeid: str) -> Needs | None:
        if not self._decided or any(map(is_unknown, self._services - self._decided)):
            return None
        return frozenset(self._services - self._decided) | (self._claimed(nodeid) & self._decided)

    def recall(self) -> Recall:
        """Of all known tests: rules that miss a test are not used, so the guess always suffices for them."""
        guesses = ((self.guess(nodeid), needs) for nodeid, needs in self._certain.items())
        sufficed = sum(guess is not None and needs <= guess for guess, needs in guesses)
        return Recall(len(self._certain), sufficed)

    def _claimed(self, nodeid: str) -> Needs:
        file, _, names = nodeid.partition("::")
        bases = tuple(_classes(names))
        return frozenset(assumed_services(StaticFacts(file, (), (), bases), self._one.rules))


def _is_readable(rule: AssumptionRule) -> bool:
    return not (rule.fixtures or rule.markers or rule.classes)


def _classes(names: str) -> Iterator[str]:
    """The test's class, if it has any."""
    parts: Iterable[str] = names.partition("[")[0].split("::")[:-1]
    yield from list(parts)[-1:]
