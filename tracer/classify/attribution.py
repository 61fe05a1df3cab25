"""Attribution: which test each flow belongs to, and how. The rules are those of docs/attribution.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from tracer.classify.model import Evidence, How, Strength, Via, is_unknown
from tracer.classify.places import OUTSIDE, RUN, Owner, Place, Places
from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.protocols import IS_REQUEST
from tracer.classify.sockets import Sockets
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import InstanceId, SpanId
from tracer.trace.records import Attempt, Flow, Trace


@dataclass(frozen=True, slots=True)
class Attribution:
    """The evidence of each owner. Each flow counts for exactly one owner; ambiguous flows count for several.

    Evidence of fixture instances and modules is stored once, as the tests inherit it.
    """

    attempts: tuple[Attempt, ...]
    _owned: Mapping[Owner, tuple[Evidence, ...]]
    _inherited: Mapping[SpanId, tuple[Evidence, ...]]  # test span → evidence in the order of time

    @property
    def run(self) -> tuple[Evidence, ...]:
        """Evidence outside of all tests and fixtures, or in the collection of a module without a test that ran."""
        return self._owned.get(RUN, ())

    def of(self, attempt: Attempt) -> tuple[Evidence, ...]:
        """A test's evidence: its own, then the inherited; both in the order of time."""
        return self._owned.get(Owner("test", attempt.span), ()) + self._inherited[attempt.span]


def attribute(trace: Trace, identifier: Identifier) -> Attribution:
    """Find the test, fixture instance, module or run to which each flow belongs."""
    return _Attributor(trace, identifier).attribute()


class _PlacedFlow(NamedTuple):
    """A flow in one of its places."""

    flow: Flow
    service: Identification
    place: Place
    own_thread: bool
    ambient: bool
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class _Key:
    """The values by which flows of one owner are summed to one evidence. See Evidence."""

    service: Identification
    endpoint: Endpoint
    how: How
    place: Place
    own_thread: bool
    command: str
    self_hosted: bool
    ambiguous: bool


@dataclass(slots=True)
class _Sum:
    """The flows of one evidence."""

    first_ns: int
    connects: int = 0
    established: int = 0
    sends: int = 0
    bytes: int = 0
    errno: str | None = None
    listener: str | None = None

    def add(self, flow: Flow) -> None:
        self.first_ns = min(self.first_ns, flow.first_ns)
        self.connects += flow.connects
        self.established += flow.established
        self.sends += flow.sends
        self.bytes += flow.bytes
        self.errno = self.errno or next(iter(flow.errors), None)

    @property
    def strength(self) -> Strength:
        if self.sends:
            return "sent"
        return "connected" if self.established else "attempted"


class _Attributor:
    def __init__(self, trace: Trace, identifier: Identifier) -> None:
        self._trace = trace
        self._places = Places(trace)
        self._span_threads = {(span.process, span.tid) for span in trace.spans.values()}
        self._sockets = Sockets(trace, identifier)
        self._attempts = {attempt.span: attempt for attempt in self._places.attempts()}
        self._modules = {self._places.collection(test).module for test in self._attempts}  # with tests that ran

    def attribute(self) -> Attribution:
        placed_flows: dict[Owner, list[_PlacedFlow]] = {}
        for flow in _summed(self._trace.flows):
            for owner, placed in self._placed(flow).items():
                placed_flows.setdefault(owner, []).append(placed)
        owned = {owner: self._sum_up(owner, placed_flows.pop(owner)) for owner in list(placed_flows)}
        return Attribution(tuple(self._attempts.values()), owned, self._inherited(owned))

    def _inherited(self, owned: Mapping[Owner, tuple[Evidence, ...]]) -> dict[SpanId, tuple[Evidence, ...]]:
        """Test span → inherited evidence. Tests with the same fixtures and module share one tuple."""
        shared: dict[tuple[Owner, frozenset[InstanceId]], tuple[Evidence, ...]] = {}
        inherited = {}
        for attempt in self._attempts.values():
            sources = module, instances = self._places.collection(attempt.span), self._places.instances(attempt.span)
            if sources not in shared:
                owners = [module, *(Owner("instance", instance) for instance in sorted(instances))]
                evidence = [one for owner in owners for one in owned.get(owner, ())]
                shared[sources] = tuple(sorted(evidence, key=lambda one: (one.first_s, one.endpoint)))
            inherited[attempt.span] = shared[sources]
        return inherited

    def _placed(self, flow: Flow) -> dict[Owner, _PlacedFlow]:
        """The owners of a flow, and its place in each."""
        service = self._sockets.identify(flow)
        if service.ignored or _is_silent(flow):
            return {}
        owned: dict[Owner, tuple[Place, bool, bool]] = {}
        for innermost in self._places_of(flow):
            own_thread = (flow.process, flow.tid) == (innermost.process, innermost.tid)
            origin = innermost if own_thread else self._origin(flow, innermost, service)
            place = origin or innermost.outside()
            owned.setdefault(self._owner(place), (place, own_thread, origin is None))
        return {owner: _PlacedFlow(flow, service, *how, ambiguous=len(owned) > 1) for owner, how in owned.items()}

    def _places_of(self, flow: Flow) -> list[Place]:
        """The places of a flow, one for each owner. The run's place is included only if there is no other."""
        places = [self._places.of(span) for span in flow.spans if span in self._trace.spans]
        owners = {self._owner(place): place for place in reversed(places)}
        thread = flow.process, flow.tid
        run = owners.pop(RUN, Place(*thread) if thread in self._span_threads else OUTSIDE)
        return list(owners.values()) or [run]

    def _owner(self, place: Place) -> Owner:
        """The owner of evidence in a place. If it is a module without a test that ran, it is the run."""
        owner = place.owner
        return RUN if owner.kind == "module" and owner.module not in self._modules else owner

    def _origin(self, flow: Flow, place: Place, service: Identification) -> Place | None:
        """The place that caused the sends of another thread: this place, else the test around it; None: neither.

        A place caused them in three cases. The thread, or its process, began within the place. The sends are requests,
        for protocols whose bytes show that (Kafka, HTTP/2). The connection was opened within the place; this does not
        apply to Kafka's housekeeping, including attempts to connect.
        """
        kafka = service.protocol == "kafka" or (service.declared == "kafka" and not flow.sends)
        for candidate in (place, place.outside()):
            if candidate.owner == RUN or self._began_within(flow, candidate) or _is_requested(flow, service.protocol):
                return candidate
            if not kafka and any(
                self._places.includes(candidate, self._places.of(span)) for span in self._sockets.opener(flow).spans
            ):
                return candidate
        return None

    def _began_within(self, flow: Flow, place: Place) -> bool:
        """Whether the lineage of the flow's thread, or of its process if that is another one, began within a place."""
        process = flow.process
        if process == place.process:
            thread = self._trace.threads.get((process, flow.tid))
            began_ns = (thread.lineage_ns or thread.start_ns) if thread else flow.first_ns
        else:
            while (known := self._trace.processes.get(process)) and known.parent not in (0, place.process):
                process = known.parent
            began_ns = (known.lineage_ns or known.start_ns) if known else flow.first_ns
        return any(span.start_ns <= began_ns <= span.end_ns for span in self._places.spans(place.owner))

    def _sum_up(self, owner: Owner, placed_flows: Iterable[_PlacedFlow]) -> tuple[Evidence, ...]:
        sums: dict[_Key, _Sum] = {}
        for placed in placed_flows:
            key = _Key(
                service=placed.service,
                endpoint=placed.flow.endpoint,
                how="ambient" if placed.ambient else "direct",
                place=placed.place,
                own_thread=placed.own_thread,
                command=self._command(placed.flow),
                self_hosted=self._sockets.is_self_hosted(placed.flow),
                ambiguous=placed.ambiguous,
            )
            total = sums.setdefault(key, _Sum(placed.flow.first_ns))
            total.add(placed.flow)
            if is_unknown(placed.service.name) and total.listener is None:
                total.listener = self._sockets.listener(placed.flow)
        return tuple(self._evidence(owner, key, total) for key, total in sums.items())

    def _command(self, flow: Flow) -> str:
        """The name that the sending process had. It may have executed another program since."""
        process = self._trace.processes.get(flow.process)
        if process is None:
            return ""
        earlier = zip(process.earlier, process.earlier_until_ns, strict=False)
        return next((command for command, until_ns in earlier if flow.first_ns < until_ns), process.command)

    def _evidence(self, owner: Owner, key: _Key, sums: _Sum) -> Evidence:
        since_ns = self._trace.spans[SpanId(owner.id)].start_ns if owner.kind == "test" else self._trace.run.start_ns
        return Evidence(
            service=key.service.name,
            endpoint=key.endpoint,
            protocol=key.service.protocol,
            how="inherited" if owner.kind in ("instance", "module") else key.how,
            via=self._via(key.place),
            phase=key.place.phase,
            fixture=key.place.fixture,
            thread="test" if key.own_thread else "other",
            command=key.command,
            strength=sums.strength,
            self_hosted=key.self_hosted,
            ambiguous=key.ambiguous,
            connects=sums.connects,
            sends=sums.sends,
            bytes=sums.bytes,
            errno=sums.errno,
            first_s=round(max(0, sums.first_ns - since_ns) / 1e9, 6),
            listener=sums.listener,
        )

    def _via(self, place: Place) -> Via | None:
        """The wide fixture or the module that a place lies in, from which tests inherit; None: it is in neither."""
        if place.instance:
            fixture = self._trace.instances[place.instance]
            return Via("fixture", fixture.name, fixture.baseid)
        return None if place.module is None else Via("module", place.module)


def _summed(flows: Iterable[Flow]) -> Iterable[Flow]:
    """Flows in the order of time, with those of the same key added up: each may have a part of the facts."""
    sums: dict[tuple[object, ...], Flow] = {}
    for flow in sorted(flows, key=lambda flow: flow.first_ns):
        key = (flow.process, flow.tid, flow.socket, flow.endpoint, flow.spans)
        known = sums.get(key)
        sums[key] = flow if known is None else _sum(known, flow)
    return sums.values()


def _sum(flow: Flow, later: Flow) -> Flow:
    return replace(
        flow,
        last_ns=max(flow.last_ns, later.last_ns),
        sends=flow.sends + later.sends,
        bytes=flow.bytes + later.bytes,
        connects=flow.connects + later.connects,
        established=flow.established + later.established,
        peer=flow.peer or later.peer,
        local=flow.local or later.local,
        prefixes=flow.prefixes + later.prefixes,
        heads=dict(Counter(flow.heads) + Counter(later.heads)),
        errors=dict(Counter(flow.errors) + Counter(later.errors)),
    )


def _is_requested(flow: Flow, protocol: str | None) -> bool:
    """Whether at least one of a flow's sends is a request, for protocols whose bytes show that."""
    is_request = IS_REQUEST.get(protocol or "")
    return is_request is not None and any(is_request(bytes.fromhex(head)) for head in flow.heads)


def _is_silent(flow: Flow) -> bool:
    """Whether a flow never tried to send. Connecting a UDP socket sends nothing (udp(7)).

    getaddrinfo connects a UDP socket to each address, to sort them (RFC 6724), and fails for those without a route.
    """
    failed_sends = sum(flow.errors.values()) - (flow.connects - flow.established)
    return flow.endpoint.protocol == "udp" and flow.sends == 0 and failed_sends <= 0
