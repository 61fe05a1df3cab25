"""Attribution: which test each flow belongs to, and how. The rules are those of docs/attribution.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tracer.classify.model import Evidence, How, Strength
from tracer.classify.places import NOBODYS, RUN, Place, Places, Taker
from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.protocols import IS_ORDER
from tracer.classify.sockets import Sockets
from tracer.trace.records import Attempt, Flow, Trace


@dataclass(frozen=True, slots=True)
class Attribution:
    """Every flow of a trace in exactly one place; only those that are ambiguous are in several.

    What tests inherit stands here once, as its heirs have it.
    """

    attempts: tuple[Attempt, ...]
    _taken: Mapping[Taker, tuple[Evidence, ...]]
    _inherited: Mapping[int, tuple[Evidence, ...]]  # test span → in the order of time; tests share them

    @property
    def run(self) -> tuple[Evidence, ...]:
        """What happened outside every test and fixture, or in the collection of a module of which no test ran."""
        return self._taken.get(RUN, ())

    def of(self, attempt: Attempt) -> tuple[Evidence, ...]:
        """A test's evidence: its own, then what it inherits; both in the order of time."""
        return self._taken.get(Taker("test", attempt.span), ()) + self._inherited[attempt.span]


def attribute(trace: Trace, identifier: Identifier) -> Attribution:
    """Give each flow to the test, fixture instance, module or run that it belongs to."""
    return _Attributor(trace, identifier).attribute()


class _Taking(NamedTuple):
    """A flow in one of its places."""

    flow: Flow
    service: Identification
    place: Place
    own_thread: bool
    ambient: bool
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class _Key:
    """What makes two flows of one taker the same evidence; Evidence has the words."""

    service: Identification
    endpoint: str
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
        takings: dict[Taker, list[_Taking]] = {}
        for flow in _summed(self._trace.flows):
            for taker, taking in self._takings(flow).items():
                takings.setdefault(taker, []).append(taking)
        taken = {taker: self._sum_up(taker, takings.pop(taker)) for taker in list(takings)}
        return Attribution(tuple(self._attempts.values()), taken, self._inherited(taken))

    def _inherited(self, taken: Mapping[Taker, tuple[Evidence, ...]]) -> dict[int, tuple[Evidence, ...]]:
        """Test span → what it inherits; tests with the same fixtures and module have the very same."""
        shared: dict[tuple[Taker, frozenset[int]], tuple[Evidence, ...]] = {}
        inherited = {}
        for attempt in self._attempts.values():
            left = self._places.collection(attempt.span), self._places.instances(attempt.span)
            if left not in shared:
                takers = [left[0], *(Taker("instance", instance) for instance in sorted(left[1]))]
                found = [one for taker in takers for one in taken.get(taker, ())]
                shared[left] = tuple(sorted(found, key=lambda one: (one.first_s, one.endpoint)))
            inherited[attempt.span] = shared[left]
        return inherited

    def _takings(self, flow: Flow) -> dict[Taker, _Taking]:
        """Who takes a flow, and where; each of them once."""
        service = self._sockets.identify(flow)
        if service.ignored or _is_silent(flow):
            return {}
        taken: dict[Taker, tuple[Place, bool, bool]] = {}
        for innermost in self._places_of(flow):
            own_thread = (flow.process, flow.tid) == (innermost.process, innermost.tid)
            doer = innermost if own_thread else self._doer(flow, innermost, service)
            place = doer or innermost.outside()
            taken.setdefault(self._taker(place), (place, own_thread, doer is None))
        return {taker: _Taking(flow, service, *how, ambiguous=len(taken) > 1) for taker, how in taken.items()}

    def _places_of(self, flow: Flow) -> list[Place]:
        """The places of a flow, one for each taker; that of the run only where there is no other."""
        places = [self._places.of(span) for span in flow.spans if span in self._trace.spans]
        takers = {self._taker(place): place for place in reversed(places)}
        thread = flow.process, flow.tid
        run = takers.pop(RUN, Place(*thread) if thread in self._runners else NOBODYS)
        return list(takers.values()) or [run]

    def _taker(self, place: Place) -> Taker:
        """Who takes what happens in a place: the run what happens in a module that has no tests to inherit it."""
        taker = place.taker
        return RUN if taker.kind == "module" and taker.module not in self._modules else taker

    def _doer(self, flow: Flow, place: Place, service: Identification) -> Place | None:
        """The place whose doing it is what another thread sends: this one, else the test around it, else None.

        It is a place's doing if the thread, or the process it is in, began within it. Of what an older thread sends it
        is what somebody ordered, where the protocol tells (Kafka, HTTP/2), and what goes over a connection that was
        opened within the place; but Kafka's housekeeping, attempts to connect too, is the client's own on any.
        """
        kafka = service.protocol == "kafka" or (service.declared == "kafka" and not flow.sends)
        for candidate in (place, place.outside()):
            if candidate.taker == RUN or self._began_within(flow, candidate) or _is_ordered(flow, service.protocol):
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
            began_ns = (thread.line_ns or thread.start_ns) if thread else flow.first_ns
        else:
            while (known := self._trace.processes.get(process)) and known.parent not in (0, place.process):
                process = known.parent
            began_ns = (known.line_ns or known.start_ns) if known else flow.first_ns
        return any(span.start_ns <= began_ns <= span.end_ns for span in self._places.spans(place.taker))

    def _sum_up(self, taker: Taker, takings: Iterable[_Taking]) -> tuple[Evidence, ...]:
        sums: dict[_Key, _Sum] = {}
        for taking in takings:
            total = sums.setdefault(self._key(taking), _Sum(taking.flow.first_ns))
            total.add(taking.flow)
            if taking.service.unknown and total.listener is None:
                total.listener = self._sockets.listener(taking.flow)
        return tuple(self._evidence(taker, key, total) for key, total in sums.items())

    def _key(self, taking: _Taking) -> _Key:
        return _Key(
            taking.service,
            taking.flow.endpoint,
            "ambient" if taking.ambient else "direct",
            taking.place,
            taking.own_thread,
            self._command(taking.flow),
            self._sockets.is_self_hosted(taking.flow),
            taking.ambiguous,
        )

    def _command(self, flow: Flow) -> str:
        """The name that the sending process had, which may have executed another program since."""
        process = self._trace.processes.get(flow.process)
        if process is None:
            return ""
        earlier = zip(process.earlier, process.earlier_until_ns, strict=False)
        return next((command for command, until_ns in earlier if flow.first_ns < until_ns), process.command)

    def _evidence(self, taker: Taker, key: _Key, sums: _Sum) -> Evidence:
        since_ns = self._trace.spans[taker.id].start_ns if taker.kind == "test" else self._trace.run.start_ns
        return Evidence(
            service=key.service.name,
            endpoint=key.endpoint,
            protocol=key.service.protocol,
            how="inherited" if taker.kind in ("instance", "module") else key.how,
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

    def _via(self, place: Place) -> str | None:
        """The wide fixture or the module whose doing it is, for tests to inherit; None where it is neither's."""
        if place.instance:
            fixture = self._trace.instances[place.instance]
            return f"fixture:{fixture.name}@{fixture.baseid}"
        return None if place.module is None else f"module:{place.module}"


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


def _is_ordered(flow: Flow, protocol: str | None) -> bool:
    """Whether somebody asked for one of a flow's sends at least, as the protocol tells."""
    is_order = IS_ORDER.get(protocol or "")
    return is_order is not None and any(is_order(bytes.fromhex(head)) for head in flow.heads)


def _is_silent(flow: Flow) -> bool:
    """Whether a flow never tried to send: to connect a UDP socket reaches nobody (udp(7)).

    getaddrinfo does it with every address, to sort them (RFC 6724), and fails for those without a route.
    """
    failed_sends = sum(flow.errors.values()) - (flow.connects - flow.established)
    return flow.endpoint.startswith("udp://") and flow.sends == 0 and failed_sends <= 0
