"""Refusals: what tests tried while some services were refused to them, and through what."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from msgspec import Struct

from tracer.classify.model import ALL_UNKNOWN, Classification, Evidence, TestResult, Through, is_unknown
from tracer.trace.endpoint import Endpoint

_ERRNOS: Final = frozenset({"ECONNREFUSED", "ENOENT", "EPERM", "ENOBUFS"})
"""How the kernel refuses: as a stopped service; a hidden path; before Linux 5.18; a datagram, if IP_RECVERR is set."""
_ORDER: Final[Mapping[str | None, int]] = {"setup": 0, "call": 0, "teardown": 1, "collection": 2}
"""Phases in which a fixture (in the call: by getfixturevalue) or an import is refused, the most likely cause first."""


def covers(services: Collection[str], service: str) -> bool:
    """Whether these services include one, which may be an endpoint that no rule names: `(unknown)` includes all."""
    return service in services or (ALL_UNKNOWN in services and is_unknown(service))


class Refused(Struct, frozen=True):
    """The services that are refused to a run."""

    services: frozenset[str]  # `(unknown)`: all endpoints that no rule names
    endpoints: Mapping[Endpoint, str]  # where runs with the services met them → service

    @classmethod
    def of(
        cls, services: Iterable[str], reports: Iterable[Classification], endpoints: Mapping[Endpoint, str]
    ) -> Refused:
        """The refused services, with these endpoints and those at which runs with the services met them.

        Without the bytes that a refused client would have sent, an endpoint may have no name, or another one.
        """
        names = frozenset(services)
        met = {
            one.endpoint: one.service
            for report in reports
            for one in chain(report.run_evidence, *(test.evidence for test in report.tests.values()))
            if one.service in names and not one.self_hosted
        }
        return cls(names, {**met, **endpoints})

    def service_of(self, evidence: Evidence) -> str | None:
        """The refused service that evidence is about; None: another one, or one that the run itself hosts."""
        if evidence.self_hosted:
            return None
        if evidence.service in self.services:
            return evidence.service
        known = self.endpoints.get(evidence.endpoint)
        return ALL_UNKNOWN if known is None and covers(self.services, evidence.service) else known

    def uses(self, test: TestResult) -> list[Evidence]:
        """A test's own and inherited evidence of the refused services."""
        return [one for one in test.evidence if one.is_need and self.service_of(one) is not None]

    def attempts(self, evidence: Iterable[Evidence]) -> list[Evidence]:
        """The evidence of refused attempts, without ambient evidence and goodbyes."""
        return [one for one in evidence if _is_refused(one) and one.is_need and self.service_of(one) is not None]


def _is_refused(evidence: Evidence) -> bool:
    return evidence.errno in _ERRNOS or _lost(evidence) > 0


def _lost(evidence: Evidence) -> int:
    """The number of lost datagrams: what was sent and did not arrive."""
    return evidence.sends if evidence.strength == "attempted" else 0


def count_attempts(attempts: Iterable[Evidence]) -> int:
    """The number of refused attempts: connects and datagrams. Datagrams that failed are one for each evidence."""
    return sum(max(1, one.connects, _lost(one)) for one in attempts)


def through(test: TestResult, attempts: Sequence[Evidence]) -> Through | None:
    """Through what a test was refused; None: itself, or a hook. docs/verify.md has the rule.

    Args:
        test: its result in the run without the services.
        attempts: the evidence of its refused attempts.
    """
    order = dict(_ORDER)
    if test.outcome == "error":  # a set-up failed; or, if the call began, a teardown
        if any(one.phase == "call" and one.via is None for one in test.evidence):
            order["teardown"] = -1
    elif any(one.phase == "call" and one.via is None and one.fixture is None for one in attempts):
        return None
    possible = [one for one in attempts if one.via is not None or one.fixture is not None]
    if not possible:
        return None
    # Of several, the last one: the set-ups before it have not failed. Wider fixtures are set up first.
    cause = min(possible, key=lambda one: (order.get(one.phase, 3), one.via is not None, -(one.first_s or 0)))
    return str(cause.via) if cause.via is not None else f"fixture:{cause.fixture}"


def refused_imports(run: Classification, refused: Refused) -> dict[str, list[Evidence]]:
    """Module of which no test ran → refused attempts of its import."""
    modules: dict[str, list[Evidence]] = {}
    for one in refused.attempts(run.run_evidence):
        if one.via is not None and one.via.kind == "module":
            modules.setdefault(one.via.name, []).append(one)
    return modules


def outside_attempts(run: Classification, refused: Refused) -> list[Evidence]:
    """Refused attempts outside of tests, fixtures and modules: in a conftest's import or a hook of the session."""
    return [one for one in refused.attempts(run.run_evidence) if one.via is None]
