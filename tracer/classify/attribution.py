"""Attribution: which test each flow belongs to, and how. The rules are those of docs/attribution.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tracer.classify.model import Evidence, How, Strength, Via
from tracer.classify.places import OUTSIDE, RUN, Owner, Place, Places
from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.protocols import IS_REQUEST
from tracer.classify.sockets import Sockets
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Attempt, Flow, Trace


@dataclass(frozen=True, slots=True)
class Attribution:
    """Every flow of a trace in exactly one place; only those that are ambiguous are in several.

    What tests inherit stands here once, as its heirs have it.
    """

    attempts: tuple[Attempt, ...]
    _owned: Mapping[Owner, tuple[Evidence, ...]]
    _inherited: Mapping[int, tuple[Evidence, ...]]  # test span → in the order of time; tests share them

    @property
    def run(self) -> tuple[Evidence, ...]:
        """What happened outside every test and fixture, or in the collection of a module of which no test ran."""
        return self._owned.get(RUN, ())

    def of(self, attempt: Attempt) -> tuple[Evidence, ...]:
        """A test's evidence: its own, then what it inherits; both in the order of time."""
        return self._owned.get(Owner("test", attempt.span), ()) + self._inherited[attempt.span]


def attribute(trace: Trace, identifier: Identifier) -> Attribution:
    """Give each flow to the test, fixture instance, module or run that it belongs to."""
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
    """What makes two flows of one owner the same evidence; Evidence has the words."""

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
        self._runners = {(span.process, span.tid) for span in trace.spans.values()}  # with their threads
        self._sockets = Sockets(trace, identifier)
        self._attempts = {attempt.span: attempt for attempt in self._places.attempts()}
        self._modules = {self._places.collection(test).module for test in self._attempts}  # of which a test ran

    def attribute(self) -> Attribution:
        placed_flows: dict[Owner, list[_PlacedFlow]] = {}
        for flow in _summed(self._trace.flows):
            for owner, placed in self._placed(flow).items():
                placed_flows.setdefault(owner, []).append(placed)
        owned = {owner: self._sum_up(owner, placed_flows.pop(owner)) for owner in list(placed_flows)}
        return Attribution(tuple(self._attempts.values()), owned, self._inherited(owned))

    def _inherited(self, owned: Mapping[Owner, tuple[Evidence, ...]]) -> dict[int, tuple[Evidence, ...]]:
        """Test span → what it inherits; tests with the same fixtures and module have the very same."""
        shared: dict[tuple[Owner, frozenset[int]], tuple[Evidence, ...]] = {}
        inherited = {}
        for attempt in self._attempts.values():
            left = self._places.collection(attempt.span), self._places.instances(attempt.span)
            if left not in shared:
                owners = [left[0], *(Owner("instance", instance) for instance in sorted(left[1]))]
                found = [one for owner in owners for one in owned.get(owner, ())]
                shared[left] = tuple(sorted(found, key=lambda one: (one.first_s, one.endpoint)))
            inherited[attempt.span] = shared[left]
        return inherited

    def _placed(self, flow: Flow) -> dict[Owner, _PlacedFlow]:
        """Who takes a flow, and where; each of them once."""
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
        """The places of a flow, one for each owner; that of the run only where there is no other."""
        places = [self._places.of(span) for span in flow.spans if span in self._trace.spans]
        owners = {self._owner(place): place for place in reversed(places)}
        thread = flow.process, flow.tid
        run = owners.pop(RUN, Place(*thread) if thread in self._runners else OUTSIDE)
        return list(owners.values()) or [run]

    def _owner(self, place: Place) -> Owner:
        """Who takes what happens in a place: the run what happens in a module that has no tests to inherit it."""
        owner = place.owner
        return RUN if owner.kind == "module" and owner.module not in self._modules else owner

    def _origin(self, flow: Flow, place: Place, service: Identification) -> Place | None:
        """The place whose doing it is what another thread sends: this one, else the test around it, else None.

        It is a place's doing if the thread, or the process it is in, began within it. Of what an older thread sends it
        is what somebody ordered, where the protocol tells (Kafka, HTTP/2), and what goes over a connection that was
        opened within the place; but Kafka's housekeeping, attempts to connect too, is the client's own on any.
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
        """Whether the flow's thread or, where it is in another process, that process's line began within a place."""
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
            total = sums.setdefault(self._key(placed), _Sum(placed.flow.first_ns))
            total.add(placed.flow)
            if placed.service.unknown and total.listener is None:
                total.listener = self._sockets.listener(placed.flow)
        return tuple(self._evidence(owner, key, total) for key, total in sums.items())

    def _key(self, placed: _PlacedFlow) -> _Key:
        return _Key(
            placed.service,
            placed.flow.endpoint,
            "ambient" if placed.ambient else "direct",
            placed.place,
            placed.own_thread,
            self._command(placed.flow),
            self._sockets.is_self_hosted(placed.flow),
            placed.ambiguous,
        )

    def _command(self, flow: Flow) -> str:
        """The name that the sending process had, which may have executed another program since."""
        process = self._trace.processes.get(flow.process)
        if process is None:
            return ""
        earlier = zip(process.earlier, process.earlier_until_ns, strict=False)
        return next((command for command, until_ns in earlier if flow.first_ns < until_ns), process.command)

    def _evidence(self, owner: Owner, key: _Key, sums: _Sum) -> Evidence:
        since_ns = self._trace.spans[owner.id].start_ns if owner.kind == "test" else self._trace.run.start_ns
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
    """Flows in the order of time, each key's as one: what is asked of a flow may stand in any part of it."""
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
    """Whether somebody asked for one of a flow's sends at least, as the protocol tells."""
    is_request = IS_REQUEST.get(protocol or "")
    return is_request is not None and any(is_request(bytes.fromhex(head)) for head in flow.heads)


def _is_silent(flow: Flow) -> bool:
    """Whether a flow never tried to send: to connect a UDP socket reaches nobody (udp(7)).

    getaddrinfo does it with every address, to sort them (RFC 6724), and fails for those without a route.
    """
    failed_sends = sum(flow.errors.values()) - (flow.connects - flow.established)
    return flow.endpoint.protocol == "udp" and flow.sends == 0 and failed_sends <= 0
