"""What was refused to a run: its services, and at which endpoints."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address, ip_network

from tracer.classify.model import ALL_UNKNOWN, RefusedService
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Refused


class RefusedEndpoints:
    """The endpoints that were refused to a run."""

    def __init__(self, records: Iterable[Refused]) -> None:
        records = list(records)
        self._paths = {record.path: record.service for record in records if record.path and record.service}
        self._peers = [record for record in records if record.protocols and record.service]
        self.service_of = cache(self._service_of)

    def _service_of(self, endpoint: Endpoint) -> str | None:
        """The refused service at an endpoint; None: another one, or none. The smallest network decides."""
        if endpoint.protocol == "unix":
            return self._paths.get(endpoint.path)
        within = [record for record in self._peers if _contains(record, endpoint)]
        return max(within, key=_length, default=Refused("")).service or None


def refused_services(records: Iterable[Refused]) -> tuple[RefusedService, ...]:
    """Each refused service with the number of its refused calls, sorted; `(unknown)` is everything without a name."""
    calls: dict[str, int | None] = {}
    for record in records:
        name = record.service or ALL_UNKNOWN
        before = calls.get(name, 0)
        calls[name] = None if before is None or record.calls is None else before + record.calls
    return tuple(RefusedService(name, count) for name, count in sorted(calls.items()))


def _contains(record: Refused, endpoint: Endpoint) -> bool:
    if endpoint.protocol not in record.protocols or not record.first_port <= endpoint.port <= record.last_port:
        return False
    return not record.network or ip_address(endpoint.host) in ip_network(record.network)


def _length(record: Refused) -> int:
    return ip_network(record.network).prefixlen if record.network else -1
