"""Owners: the test, fixture instance, module or run that a flow belongs to, and whether that place caused it."""

from __future__ import annotations

from msgspec import Struct

from tracer.classify.places import OUTSIDE, RUN, Owner, Place, Places
from tracer.classify.services.identify import Identification
from tracer.classify.services.requests import IS_REQUEST, OWN_THREADS, Kind, kind_of
from tracer.classify.sockets import NamedFlow
from tracer.trace.records import Flow, Trace


class OwnedFlow(Struct, frozen=True, gc=False):
    """A flow, and how it belongs to one owner. The other facts are those of a NamedFlow."""

    flow: Flow
    service: Identification
    self_hosted: bool
    listener: str | None
    lost: bool
    place: Place
    own_thread: bool  # the runner's thread sent it
    ambient: bool  # another thread or process sent it, and the place did not cause it
    ambiguous: bool  # it belongs to several owners, of which one caused it
    goodbye: bool = False  # it only closes a connection which the owner did not use otherwise (`goodbyes.py`)


class Owners:
    """Decides to what each flow belongs: rules 2 to 5 of docs/attribution.md."""

    def __init__(self, trace: Trace, places: Places) -> None:
        self._trace = trace
        self._places = places
        self._span_threads = {(span.process, span.tid) for span in trace.spans.values()}
        self._modules = {places.collection(attempt.span).module for attempt in places.attempts}  # with tests that ran

    def of(self, named: NamedFlow) -> dict[Owner, OwnedFlow]:
        """The owners of a flow, and how it belongs to each."""
        flow = named.flow
        owned: dict[Owner, tuple[Place, bool, bool]] = {}
        for innermost in self._innermost_places(flow):
            own_thread = (flow.process, flow.tid) == (innermost.process, innermost.tid)
            origin = innermost if own_thread else self._origin(named, innermost)
            place = origin or innermost.outside()
            owned.setdefault(self._owner(place), (place, own_thread, origin is None))
        ambiguous = len(owned) > 1
        facts = flow, named.service, named.self_hosted, named.listener, named.lost
        return {owner: OwnedFlow(*facts, *how, ambiguous) for owner, how in owned.items()}

    def _innermost_places(self, flow: Flow) -> list[Place]:
        """The places of a flow, one for each owner. The run's place is included only if there is no other.

        If one of several spans asked for the flow, it is the first, and the only one that counts.
        """
        spans = flow.spans[:1] if flow.asked else flow.spans
        places = [self._places.of(span) for span in spans if span in self._trace.spans]
        if len(places) == 1:
            return places
        owners = {self._owner(place): place for place in reversed(places)}
        thread = flow.process, flow.tid
        run = owners.pop(RUN, Place(*thread) if thread in self._span_threads else OUTSIDE)
        return list(owners.values()) or [run]

    def _owner(self, place: Place) -> Owner:
        """The owner of evidence in a place. If it is a module without a test that ran, it is the run."""
        owner = place.owner
        return RUN if owner.kind == "module" and owner.module not in self._modules else owner

    def _origin(self, named: NamedFlow, place: Place) -> Place | None:
        """The place that caused the sends of another thread: this place, else the test around it; None: neither.

        It is the place within which the sender's lineage began, or the place that asked for the sends.
        """
        for candidate in (place, place.outside()):
            if candidate.owner == RUN or self._began_within(named.flow, candidate) or self._asked(named, candidate):
                return candidate
        return None

    def _asked(self, named: NamedFlow, place: Place) -> bool:
        """Whether a place asked for at least one of a flow's sends or attempts.

        The bytes of a request show that, for protocols whose clients also send requests when a timer wakes them (Kafka,
        HTTP/2). Otherwise the wake-ups show it. If they were not observed, or are unsure, a request of a client's own
        threads shows it, and the place counts as asking if the connection was opened within it. This does not apply to
        housekeeping alone. Kafka's includes attempts to connect.
        """
        flow, service = named.flow, named.service
        if _is_requested(flow, service.protocol):
            return True
        if flow.asked:
            return True
        if flow.asked == 0 and not flow.unsure:
            return False
        kinds = _kinds(flow, service.protocol)
        if "request" in kinds and service.protocol in OWN_THREADS:
            return True
        if kinds == {"housekeeping"} and not flow.connects:
            return False
        if service.protocol == "kafka" or (service.declared == "kafka" and not flow.sends):
            return False
        return any(self._places.includes(place, self._places.of(span)) for span in named.opener.spans)

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


def _kinds(flow: Flow, protocol: str | None) -> set[Kind | None]:
    """What a flow's sends are; None: at least one is unknown."""
    beginnings = list(flow.beginnings())
    kinds = {kind_of(protocol, bytes.fromhex(head)) for head, _ in beginnings}
    return kinds if sum(count for _, count in beginnings) == flow.sends else {*kinds, None}


def _is_requested(flow: Flow, protocol: str | None) -> bool:
    """Whether at least one of a flow's sends is a request, for protocols whose bytes show that."""
    is_request = IS_REQUEST.get(protocol or "")
    return is_request is not None and any(is_request(bytes.fromhex(head)) for head, _ in flow.beginnings())
