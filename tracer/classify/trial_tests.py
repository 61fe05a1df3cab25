"""The tests that a trial runs without some services: those that used them, a sample of the others, and repeats."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b

from tracer.classify.model import Classification, Verification
from tracer.classify.refusals import covers


def users(reports: Iterable[Classification], services: Collection[str]) -> list[str]:
    """The tests that used at least one of some services, also those with only ambient evidence.

    Ambient ones, because such a test is known to do without the service only when it has a verdict.
    """
    found = {
        nodeid: None
        for report in reports
        for nodeid, test in report.tests.items()
        if any(covers(services, service) for service in (*test.services, *test.ambient))
    }
    return list(found)


def sample(reports: Collection[Classification], services: Collection[str], size: int) -> list[str]:
    """At most `size` of the other tests that passed; the same ones each time, as long as the suite has them.

    Without the services, they must pass, too: else a report lacks a use.
    """
    using = set(users(reports, services))
    passed = {
        nodeid: None
        for report in reports
        for nodeid, test in report.tests.items()
        if test.outcome == "passed" and nodeid not in using
    }
    chosen = set(sorted(passed, key=_digest)[:size])
    return [nodeid for nodeid in passed if nodeid in chosen]


def differing(verification: Verification) -> list[str]:
    """The tests whose outcomes differ: they failed without the services only. Repeated runs show which are flaky."""
    return [nodeid for nodeid, test in verification.tests.items() if test.verdict == "needs"]


def _digest(nodeid: str) -> bytes:
    return blake2b(nodeid.encode("utf-8", "surrogatepass"), digest_size=8).digest()
