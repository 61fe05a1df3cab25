"""Socket events are summed to flows, so memory does not grow with the number of sends."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from tracer.record.capture.protocol import UNKNOWN_CAUSE, Kind, SocketEvent
from tracer.record.names.openings import host_in
from tracer.record.processes import Processes
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NO_PROCESS, NetworkNamespace, ProcessId, SocketInode, SpanId, Tid
from tracer.trace.records import Flow, Listen
from tracer.trace.timeline import Timeline

_HEADS: Final = 32
"""Different first bytes kept of a flow. A connection has few kinds of requests."""
_RUNNERS_SENDS: Final = 2
"""The first bytes of a runner's own sends are kept for flows with at most so many: they may be goodbyes."""
_PREFIX: Final = 32
"""Bytes of a prefix (SVC_PREFIX_LEN). A longer send of a TCP socket has an OPENING, too."""
_OPEN_FLOWS: Final = 4096
"""Flows kept for the same spans; if there are more, all of them are written. Flows add up, so nothing is lost."""

_Key = tuple[ProcessId, Tid, SocketInode, Endpoint]
_Spans = tuple[SpanId, ...]


class _Flow(Struct):
    """A flow that may still grow."""

    first_ns: int
    last_ns: int
    network: NetworkNamespace
    sends: int = 0
    bytes: int = 0
    connects: int = 0
    established: int = 0
    peer: ProcessId = NO_PROCESS
    prefixes: tuple[str, ...] = ()
    heads: dict[str, int] = {}
    errors: dict[str, int] = {}
    local: bool = False
    asked: int | None = None
    unsure: int = 0
    host: str = ""

    def record(self, key: _Key, spans: _Spans) -> Flow:
        process, tid, socket, endpoint = key
        return Flow(process=process, tid=tid, socket=socket, endpoint=endpoint, spans=spans, **asdict(self))


class Flows:
    """The flows that may still grow, by the spans to which they belong.

    Attributes:
        reached: endpoints of this machine that the tree used or tried to use, including unix sockets.
    """

    def __init__(self, timeline: Timeline, processes: Processes) -> None:
        self._timeline = timeline
        self._processes = processes
        self._open: dict[_Spans, dict[_Key, _Flow]] = {}
        self._connecting: dict[SocketInode, _Spans] = {}  # socket → the spans in which its attempt began
        self._opening: dict[SocketInode, _Flow] = {}  # socket → the flow of a send whose OPENING comes next
        self.reached: set[Endpoint] = set()

    def add(self, event: SocketEvent) -> Listen | None:
        """Add an event to its flow. An event of a listening socket belongs to no flow: return its record."""
        if event.kind in (Kind.LISTEN, Kind.LISTEN_END):
            begins = event.kind == Kind.LISTEN
            return Listen(event.process, event.endpoint, event.network, event.ns, begins)
        if event.kind == Kind.OPENING:
            self._add_opening(event)
            return None
        spans, asked, unsure = self._spans(event)
        flow = self._flow(event, spans, event.since_ns or event.ns)
        flow.last_ns = max(flow.last_ns, event.ns, event.last_ns)
        flow.local = flow.local or event.local
        if flow.asked is None and event.cause_ns != UNKNOWN_CAUSE:
            flow.asked = 0
        if event.local or event.endpoint.protocol == "unix":
            self.reached.add(event.endpoint)
        if event.kind != Kind.SEND and event.endpoint.protocol == "udp":
            return None  # connect sends nothing here (udp(7)); the flow shows that the socket was opened
        if asked:
            flow.asked = (flow.asked or 0) + event.sends
        if unsure:
            flow.unsure += event.sends
        if event.result < 0:
            name = errno.errorcode.get(-event.result, str(-event.result))
            flow.errors[name] = flow.errors.get(name, 0) + 1
        if event.kind == Kind.SEND:
            self._add_send(flow, event)
        elif event.kind == Kind.CONNECT:
            flow.connects += 1
        else:
            flow.connects += not event.since_ns  # an attempt without a CONNECT event
            flow.established += event.result == 0
        if event.peer_pid and not flow.peer:
            flow.peer = self._processes.by_host_pid(event.peer_pid, event.ns, event.peer_generation)
        return None

    def _spans(self, event: SocketEvent) -> tuple[_Spans, bool, bool]:
        """The spans of an event, whether one of them asked for it (then it is the first), and whether one may have.

        The result of an attempt has the spans in which the attempt began, perhaps long ago.
        """
        if event.kind == Kind.CONNECT_RESULT and event.socket in self._connecting:
            return self._connecting.pop(event.socket), False, False
        spans = self._timeline.at(event.process, event.tid, event.ns)
        asking = self._timeline.asking(event.cause_process, event.cause_tid, event.cause_ns, event.ns)
        asked = asking in spans
        unsure = False
        if asked:
            spans = (asking, *(span for span in spans if span != asking))
        elif event.unsure_to_ns:
            interval = event.unsure_from_ns, event.unsure_to_ns
            unsure = self._timeline.is_unsure(event.process, event.tid, *interval, event.ns)
        if event.kind == Kind.CONNECT:
            self._connecting[event.socket] = spans
        return spans, asked, unsure

    def _flow(self, event: SocketEvent, spans: _Spans, began_ns: int) -> _Flow:
        flows = self._open.setdefault(spans, {})
        key = (event.process, event.tid, event.socket, event.endpoint)
        flow = flows.get(key)
        if flow is None:
            flow = flows[key] = _Flow(began_ns, event.ns, event.network)
        return flow

    def _add_send(self, flow: _Flow, event: SocketEvent) -> None:
        if event.result >= 0:
            flow.sends += event.sends
            flow.bytes += event.result
        if event.prefix:
            flow.prefixes += (event.prefix.hex(),)
            if event.result > _PREFIX and event.endpoint.protocol == "tcp":
                self._opening[event.socket] = flow
        elif event.head:
            self._add_head(flow, event)

    def _add_opening(self, event: SocketEvent) -> None:
        """Find the host's name in more bytes of the send whose event came before."""
        flow = self._opening.pop(event.socket, None)
        if flow is not None and not flow.host:
            flow.host = host_in(event.prefix)

    def _add_head(self, flow: _Flow, event: SocketEvent) -> None:
        if self._timeline.owns_spans(event.process, event.tid, event.ns):
            if flow.sends > _RUNNERS_SENDS:
                flow.heads.clear()
                return
            if event.last_ns:  # a runner's tally counts sends of different beginnings
                return
        head = event.head.hex()
        if head in flow.heads or len(flow.heads) < _HEADS:
            flow.heads[head] = flow.heads.get(head, 0) + event.sends

    def take(self, closed: set[SpanId]) -> Iterable[Flow]:
        """Remove and return the flows of closed spans, and those of spans that have too many."""
        for spans, flows in list(self._open.items()):
            if not closed.isdisjoint(spans) or len(flows) > _OPEN_FLOWS:
                yield from self._take(spans)

    def take_all(self) -> Iterable[Flow]:
        """Remove and return every flow."""
        for spans in list(self._open):
            yield from self._take(spans)

    def _take(self, spans: _Spans) -> Iterable[Flow]:
        return [flow.record(key, spans) for key, flow in self._open.pop(spans).items()]
