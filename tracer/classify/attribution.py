"""Attribution: which test each flow belongs to, and how. The rules are those of docs/attribution.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tracer.classify.model import Evidence, How, Strength
from tracer.classify.places import RUN, Place, Places, Taker
from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.protocols import KAFKA_PRODUCE, kafka_api_key
from tracer.classify.sockets import Sockets
from tracer.trace.records import Attempt, Flow, Trace


@dataclass(frozen=True, slots=True)
class Attribution:
    """Every flow of a trace in exactly one place; only those that are ambiguous are in several.

    What tests inherit stands here once; `of` adds it to each.
    """

    attempts: tuple[Attempt, ...]
    _taken: Mapping[Taker, tuple[Evidence, ...]]
    _instances: Mapping[int, frozenset[int]]  # test span → wide fixture instances
    _trace: Trace

    @property
    def run(self) -> tuple[Evidence, ...]:
        """What happened outside every test, fixture and module."""
        return self._taken.get(RUN, ())

    def of(self, attempt: Attempt) -> tuple[Evidence, ...]:
        """A test's evidence: its own, then what it inherits; both in the order of time."""
        inherited: list[Evidence] = []
        for instance in self._instances[attempt.span]:
            fixture = self._trace.instances[instance]
            inherited += self._inherited(Taker("instance", instance), f"fixture:{fixture.name}@{fixture.baseid}")
        module = attempt.nodeid.partition("::")[0]
        collector = Taker("module", self._trace.spans[attempt.span].process, module)
        inherited += self._inherited(collector, f"module:{module}")
        inherited.sort(key=lambda one: (one.first_s, one.endpoint))
        return (*self._taken.get(Taker("test", attempt.span), ()), *inherited)

    def _inherited(self, taker: Taker, via: str) -> Iterable[Evidence]:
        return (replace(one, how="inherited", via=via) for one in self._taken.get(taker, ()))


def attribute(trace: Trace, identifier: Identifier) -> Attribution:
    """Give each flow to the test, fixture instance, module or run that it belongs to."""
    return _Attributor(trace, identifier).attribute()


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
        self._sockets = Sockets(trace, identifier)
        self._attempts = {attempt.span: attempt for attempt in self._places.attempts()}
        self._instances = {span: self._places.instances(span) for span in self._attempts}
        self._sums: dict[Taker, dict[_Key, _Sum]] = {}

    def attribute(self) -> Attribution:
        for flow in sorted(self._trace.flows, key=lambda flow: flow.first_ns):
            self._add(flow)
        taken = {
            taker: tuple(self._evidence(taker, key, sums) for key, sums in by_key.items())
            for taker, by_key in self._sums.items()
        }
        return Attribution(tuple(self._attempts.values()), taken, self._instances, self._trace)

    def _add(self, flow: Flow) -> None:
        service = self._sockets.identify(flow.endpoint)
        if service.ignored or _is_silent(flow):
            return
        places = self._places_of(flow)
        for innermost in places:
            own_thread = (flow.process, flow.tid) == (innermost.process, innermost.tid)
            place = innermost if own_thread else self._doer(flow, innermost, service)
            ambient = place is None
            place = place or innermost.outside()
            process = self._trace.processes.get(flow.process)
            key = _Key(
                service,
                flow.endpoint,
                "ambient" if ambient else "direct",
                place,
                own_thread,
                process.command if process else "",
                self._sockets.is_self_hosted(flow),
                len(places) > 1,
            )
            self._sums.setdefault(place.taker, {}).setdefault(key, _Sum(flow.first_ns)).add(flow)

    def _places_of(self, flow: Flow) -> list[Place]:
        """The places of a flow, those that say something before those that only say `run`."""
        places = [self._places.of(span) for span in flow.spans if span in self._trace.spans]
        telling = [place for place in places if place.taker != RUN]
        return telling or places[:1] or [Place(flow.process, flow.tid)]

    def _doer(self, flow: Flow, place: Place, service: Identification) -> Place | None:
        """The place whose doing it is what another thread sends: this one, else the test around it, else None.

        It is a place's doing if the thread, or the process it is in, began within it. What an older thread sends, the
        bytes decide where the protocol is understood (Kafka: only a Produce is somebody's order, all else is the
        client's own housekeeping); elsewhere, whether the connection was opened within the place.
        """
        for candidate in (place, place.outside()):
            if candidate.taker == RUN or self._began_within(flow, candidate):
                return candidate
            if service.protocol == "kafka":
                if any(kafka_api_key(bytes.fromhex(head)) == KAFKA_PRODUCE for head in flow.heads):
                    return candidate
            elif any(
                self._places.includes(candidate, self._places.of(span)) for span in self._sockets.opener(flow).spans
            ):
                return candidate
        return None

    def _began_within(self, flow: Flow, place: Place) -> bool:
        """Whether the flow's thread or, where it is in another process, that process's line began within a place."""
        process = flow.process
        if process == place.process:
            thread = self._trace.threads.get((process, flow.tid))
            began_ns = thread.start_ns if thread else flow.first_ns
        else:
            while (known := self._trace.processes.get(process)) and known.parent not in (0, place.process):
                process = known.parent
            began_ns = known.start_ns if known else flow.first_ns
        return any(span.start_ns <= began_ns <= span.end_ns for span in self._places.spans(place.taker))

    def _evidence(self, taker: Taker, key: _Key, sums: _Sum) -> Evidence:
        since_ns = self._trace.spans[taker.id].start_ns if taker.kind == "test" else self._trace.run.start_ns
        return Evidence(
            service=key.service.name,
            endpoint=key.endpoint,
            protocol=key.service.protocol,
            how=key.how,
            via=None,
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
        )


def _is_silent(flow: Flow) -> bool:
    """Whether a flow never tried to send: to connect a UDP socket reaches nobody (udp(7)).

    getaddrinfo does it with every address, to sort them (RFC 6724), and fails for those without a route.
    """
    failed_sends = sum(flow.errors.values()) - (flow.connects - flow.established)
    return flow.endpoint.startswith("udp://") and flow.sends == 0 and failed_sends <= 0
