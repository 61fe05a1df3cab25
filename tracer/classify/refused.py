"""What was refused to a run: its services, and at which endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Final

from tracer.classify.directories import most_first
from tracer.classify.model import ALL_UNKNOWN, Evidence, RefusedService, RefusedUse, RunInfo, TestResult
from tracer.classify.refusals import Refused as Refusals
from tracer.classify.refusals import count_attempts, through
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Refused

_REACHED: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Who connects or sends to the first address reaches the second (ip(7), ipv6(7))."""


class RefusedEndpoints:
    """The endpoints that were refused to a run."""

    def __init__(self, records: Iterable[Refused]) -> None:
        records = list(records)
        self._paths = {record.path: record.service for record in records if record.path and record.service}
        self._peers = [record for record in records if record.protocols and not record.excepted]
        self._exceptions = [record for record in records if record.excepted]
        self.service_of = cache(self._service_of)
        self.loses = cache(self._loses)

    def _service_of(self, endpoint: Endpoint) -> str | None:
        """The refused service at an endpoint; None: another one, or none. The smallest network decides."""
        if endpoint.protocol == "unix":
            return self._paths.get(endpoint.path)
        within = [record for record in self._peers if record.service and _contains(record, endpoint)]
        if not within or self._is_excepted(endpoint):
            return None
        return max(within, key=_length).service

    def _loses(self, endpoint: Endpoint) -> bool:
        """Whether datagrams to an endpoint did not arrive. Their senders met no error."""
        if endpoint.protocol != "udp" or not any(_contains(record, endpoint) for record in self._peers):
            return False
        return not self._is_excepted(endpoint)

    def _is_excepted(self, endpoint: Endpoint) -> bool:
        return any(_contains(record, endpoint) for record in self._exceptions)


def refused_uses(
    tests: Mapping[str, TestResult], run_evidence: Iterable[Evidence], runs: Iterable[RunInfo]
) -> dict[str, RefusedUse]:
    """Refused service → what was tried of it, sorted by service; only those that were tried or reached.

    Args:
        tests: node id → result.
        run_evidence: what was used outside of tests.
        runs: all runs of these tests. A service can be reached in a run to which it was not refused.
    """
    of_runs = [{one.service for one in run.refused} for run in runs]
    always = set.intersection(*of_runs)
    outside = list(run_evidence)
    uses = {}
    for service in sorted(set.union(*of_runs)):
        refused = Refusals(frozenset({service}), {})
        tried = {nodeid: attempts for nodeid, test in tests.items() if (attempts := refused.attempts(test.evidence))}
        reached = (nodeid for nodeid, test in tests.items() if any(map(is_use, refused.uses(test))))
        through_what = Counter(through(tests[nodeid], attempts) or "itself" for nodeid, attempts in tried.items())
        use = RefusedUse(
            tuple(sorted(tried)),
            sum(map(count_attempts, tried.values())),
            most_first(through_what),
            count_attempts(refused.attempts(outside)),
            tuple(sorted(reached)) if service in always else (),
        )
        if use.tests or use.outside or use.reached:
            uses[service] = use
    return uses


def is_use(evidence: Evidence) -> bool:
    """Whether a service was reached: not only tried."""
    return evidence.strength != "attempted"


def refused_services(records: Iterable[Refused]) -> tuple[RefusedService, ...]:
    """Each refused service with the number of its refused calls, sorted; `(unknown)` is everything without a name."""
    calls: dict[str, int | None] = {}
    for record in records:
        if record.excepted:
            continue
        name = record.service or ALL_UNKNOWN
        before = calls.get(name, 0)
        calls[name] = None if before is None or record.calls is None else before + record.calls
    return tuple(RefusedService(name, count) for name, count in sorted(calls.items()))


def _contains(record: Refused, endpoint: Endpoint) -> bool:
    if endpoint.protocol not in record.protocols or not record.first_port <= endpoint.port <= record.last_port:
        return False
    host = _REACHED.get(endpoint.host, endpoint.host)
    return not record.network or ip_address(host) in ip_network(record.network)


def _length(record: Refused) -> int:
    return ip_network(record.network).prefixlen if record.network else -1
