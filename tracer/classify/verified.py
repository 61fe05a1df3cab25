"""The verdicts of several trials together, and what follows from them: which services a test needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Literal

from msgspec.structs import replace

from tracer.classify.model import Reason, TestResult, TestVerdict, Verdict, Verification
from tracer.classify.refusals import covers
from tracer.trace.json_codec import dump

Need = Literal["needed", "not needed", "unknown"]

_MISSING: Final = ("missing-with", "missing-without")


def unite(verifications: Iterable[Verification]) -> tuple[Verification, ...]:
    """One verification for each set of services, sorted.

    Uniting is commutative, associative and idempotent. Of two verdicts for a test, `tolerates` replaces `unaffected`,
    any verdict replaces one of a missing test, and all others conflict: then the test is undecided.
    """
    united: dict[tuple[str, ...], Verification] = {}
    for one in verifications:
        known = united.get(one.without)
        united[one.without] = one if known is None else _united(known, one)
    return tuple(united[services] for services in sorted(united))


class Verified:
    """The verdicts of united trials, by test and service."""

    def __init__(self, verifications: Iterable[Verification]) -> None:
        self._verifications = tuple(verifications)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._verifications)

    def concerns(self, service: str) -> bool:
        """Whether a trial refused this service."""
        return any(covers(one.without, service) for one in self._verifications)

    def needed(self, nodeid: str) -> frozenset[str]:
        """The services that a test needs for certain: it needs some services, and they are one, or it tried only one.

        `(unknown)` stands for endpoints that no rule names.
        """
        return frozenset(
            candidates[0]
            for without, test in self._of(nodeid)
            if test.verdict == "needs" and len(candidates := test.tried or without) == 1
        )

    def not_needed(self, nodeid: str, test: TestResult, services: Collection[str]) -> frozenset[str]:
        """Those of these services that a test does not need: it passed while they were refused.

        The verdict `unaffected` does not apply to a service that the test uses: then it is not the test that was tried.
        If it needs one of several services, and each could be left out alone, it is unknown which it needs: all remain.
        """
        removed: set[str] = set()
        for without, one in self._of(nodeid):
            if one.verdict in ("tolerates", "unaffected"):
                used = test.services if one.verdict == "unaffected" else ()
                removed.update(service for service in services if covers(without, service) and service not in used)
        for without, one in self._of(nodeid):
            if one.verdict == "needs":
                candidates = {service for service in services if covers(one.tried or without, service)}
                if candidates <= removed:
                    removed -= candidates
        return frozenset(removed)

    def need_of(self, nodeid: str, test: TestResult, service: str) -> Need:
        """Whether a test needs a service; also `needed` if it uses the service and needs one of several."""
        services = {service, *test.services, *test.ambient}
        if service in self.not_needed(nodeid, test, services):
            return "not needed"
        if covers(self.needed(nodeid), service):
            return "needed"
        possible = (one.tried or without for without, one in self._of(nodeid) if one.verdict == "needs")
        used = service in test.services and any(covers(services, service) for services in possible)
        return "needed" if used else "unknown"

    def _of(self, nodeid: str) -> Iterator[tuple[tuple[str, ...], TestVerdict]]:
        for one in self._verifications:
            if (test := one.tests.get(nodeid)) is not None:
                yield one.without, test


def _united(one: Verification, other: Verification) -> Verification:
    tests = dict(one.tests)
    for nodeid, test in other.tests.items():
        known = tests.get(nodeid)
        tests[nodeid] = test if known is None else _united_test(known, test)
    return Verification(
        generated_at=max(one.generated_at, other.generated_at),
        command=one.command if one.command == other.command else (),
        without=one.without,
        complete=one.complete and other.complete,
        runs_with=max(one.runs_with, other.runs_with),
        runs_without=max(one.runs_without, other.runs_without),
        tests=dict(sorted(tests.items())),
    )


def _united_test(one: TestVerdict, other: TestVerdict) -> TestVerdict:
    """One of two results of a test, with the verdict that follows from both."""
    verdict, reason = _united_verdict((one.verdict, one.reason), (other.verdict, other.reason))
    return replace(max(one, other, key=_rank), verdict=verdict, reason=reason)


def _united_verdict(
    one: tuple[Verdict, Reason | None], other: tuple[Verdict, Reason | None]
) -> tuple[Verdict, Reason | None]:
    """The least verdict that is not below either: missing ones are below all others, `conflict` is above."""
    if one == other:
        return one
    missing = [verdict for verdict in (one, other) if verdict[1] in _MISSING]
    if len(missing) == 1:
        return other if missing[0] == one else one
    if missing:
        return max(one, other, key=lambda verdict: verdict[1] or "")
    if {one[0], other[0]} == {"tolerates", "unaffected"}:
        return "tolerates", None
    return "undecided", "conflict"


def _rank(test: TestVerdict) -> tuple[Any, ...]:
    """Orders results of one test, whatever their verdicts are; equal only for equal ones."""
    plain = replace(test, verdict="undecided", reason=None)
    found = test.outcome_with is not None and (test.outcome_without is not None or test.refused > 0)
    return found, test.refused, test.tried, dump(plain)
