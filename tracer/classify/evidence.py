"""Sums up the flows of one owner: flows with the same service, place and thread become one evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from tracer.classify.model import Evidence, How, Strength
from tracer.classify.owners import OwnedFlow
from tracer.classify.places import Owner, Place
from tracer.classify.services.identify import Identification
from tracer.classify.services.operations import list_operations, operation_of
from tracer.classify.via import Via
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import SpanId
from tracer.trace.records import Flow, Trace


class EvidenceServices(NamedTuple):
    """The services in evidence, as fields of a `TestResult`; each sorted."""

    services: tuple[str, ...]
    ambient: tuple[str, ...]  # without `services`
    self_hosted: tuple[str, ...]


def services_in(evidence: Collection[Evidence]) -> EvidenceServices:
    """The services that a test with this evidence uses."""
    services, ambient, hosted = set(), set(), set()
    for one in evidence:
        if one.self_hosted:
            hosted.add(one.service)
        elif one.is_need:
            services.add(one.service)
        elif one.how == "ambient":
            ambient.add(one.service)
    return EvidenceServices(*(_sorted(frozenset(names)) for names in (services, ambient - services, hosted)))


@lru_cache(maxsize=4096)  # many tests use the same
def _sorted(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def sum_up(
    trace: Trace,
    owner: Owner,
    flows: Iterable[OwnedFlow],
    needed_below: Callable[[OwnedFlow], tuple[str, ...]] | None = None,
) -> tuple[Evidence, ...]:
    """The evidence of an owner. `needed_below` is only for the run: the directories whose tests need a flow."""
    sums: dict[_Key, _Sum] = {}
    for owned in flows:
        flow, service = owned.flow, owned.service
        key = _Key(
            service,
            flow.endpoint,
            "goodbye" if owned.goodbye else "ambient" if owned.ambient else "direct",
            owned.place,
            owned.own_thread,
            _command(trace, flow),
            owned.self_hosted,
            owned.ambiguous,
        )
        total = sums.get(key)
        if total is None:
            total = sums[key] = _Sum(flow.first_ns, owned.lost)
        total.add(flow, service.likely_protocol)
        if needed_below is not None:
            total.needed_below += needed_below(owned)
        total.listener = total.listener or owned.listener
    return tuple(_evidence(trace, owner, key, total) for key, total in sums.items())


class _Key(Struct, frozen=True):
    """The values by which flows of one owner are summed to one evidence. See Evidence."""

    service: Identification
    endpoint: Endpoint
    how: How
    place: Place
    own_thread: bool
    command: str
    self_hosted: bool
    ambiguous: bool


class _Sum(Struct):
    """The flows of one evidence."""

    first_ns: int
    lost: bool  # the datagrams; all flows of one evidence have the same endpoint
    connects: int = 0
    established: int = 0
    sends: int = 0
    bytes: int = 0
    errno: str | None = None
    asked: int | None = 0
    unsure: int = 0
    listener: str | None = None
    needed_below: tuple[str, ...] = ()
    operations: dict[str, int] = {}  # operation → sends that are known to begin with it

    def add(self, flow: Flow, protocol: str | None) -> None:
        self.first_ns = min(self.first_ns, flow.first_ns)
        self.connects += flow.connects
        self.established += flow.established
        self.sends += flow.sends
        self.bytes += flow.bytes
        self.errno = self.errno or next(iter(flow.errors), None)
        self.asked = None if self.asked is None or flow.asked is None else self.asked + flow.asked
        self.unsure += flow.unsure
        for head, count in flow.beginnings() if protocol else ():
            if (operation := _operation(protocol, head)) is not None:
                self.operations[operation] = self.operations.get(operation, 0) + count

    @property
    def is_asked(self) -> bool | None:
        """Whether the owner asked for at least one of the sends; None: unknown."""
        return True if self.asked else None if self.asked is None or self.unsure else False

    @property
    def strength(self) -> Strength:
        if self.sends and not self.lost:
            return "sent"
        return "connected" if self.established else "attempted"


def _evidence(trace: Trace, owner: Owner, key: _Key, sums: _Sum) -> Evidence:
    operations, other_sends = list_operations(sums.operations, sums.sends)
    since_ns = trace.spans[SpanId(owner.id)].start_ns if owner.kind == "test" else trace.run.start_ns
    return Evidence(
        service=key.service.name,
        endpoint=key.endpoint,
        host=key.service.host,
        protocol=key.service.protocol,
        how="inherited" if owner.kind in ("instance", "module") and key.how != "goodbye" else key.how,
        via=_via(trace, key.place),
        phase=key.place.phase,
        fixture=key.place.fixture,
        thread="test" if key.own_thread else "other",
        asked=None if key.own_thread else sums.is_asked,
        command=key.command,
        strength=sums.strength,
        self_hosted=key.self_hosted,
        ambiguous=key.ambiguous,
        connects=sums.connects,
        sends=sums.sends,
        bytes=sums.bytes,
        operations=operations,
        other_sends=other_sends,
        errno=sums.errno,
        first_s=round(max(0, sums.first_ns - since_ns) / 1e9, 6),
        listener=sums.listener,
        needed_below=tuple(sorted({*sums.needed_below})) if sums.needed_below else (),
    )


@lru_cache(maxsize=1 << 14)  # a client's sends have few beginnings
def _operation(protocol: str | None, head: str) -> str | None:
    return operation_of(protocol, bytes.fromhex(head))


def _command(trace: Trace, flow: Flow) -> str:
    """The name that the sending process had. It may have executed another program since."""
    process = trace.processes.get(flow.process)
    if process is None:
        return ""
    if not process.earlier:
        return process.command
    earlier = zip(process.earlier, process.earlier_until_ns, strict=False)
    return next((command for command, until_ns in earlier if flow.first_ns < until_ns), process.command)


def _via(trace: Trace, place: Place) -> Via | None:
    """The wide fixture or the module that a place lies in, from which tests inherit; None: it is in neither."""
    if place.instance:
        fixture = trace.instances[place.instance]
        return Via("fixture", fixture.name, fixture.baseid)
    return None if place.module is None else Via("module", place.module)
