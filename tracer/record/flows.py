"""Socket events fold into flows: the number of sends costs no memory."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tracer.record.capture.protocol import Kind, SocketEvent
from tracer.record.processes import Processes
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Flow, Listen
from tracer.trace.timeline import Timeline

_HEADS: Final = 32
"""Different first bytes kept of a flow: a connection asks few different things of one server."""
_OPEN_FLOWS: Final = 4096
"""Flows kept open in one place; beyond that all of it is written. Flows add up, so nothing is lost."""

_Key = tuple[int, int, int, Endpoint]  # process, tid, socket, endpoint


@dataclass(slots=True)
class _Flow:
    """A flow in the making."""

    first_ns: int
    last_ns: int
    network: int
    sends: int = 0
    bytes: int = 0
    connects: int = 0
    established: int = 0
    peer: int = 0
    prefixes: list[str] = field(default_factory=list)
    heads: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    local: bool = False

    def finish(self, key: _Key, spans: tuple[int, ...]) -> Flow:
        return Flow(
            *key,
            spans,
            self.first_ns,
            self.last_ns,
            self.sends,
            self.bytes,
            self.connects,
            self.established,
            self.network,
            self.peer,
            tuple(self.prefixes),
            self.heads,
            self.errors,
            self.local,
        )


class Flows:
    """The flows of all open spans, by the spans they fall into."""

    def __init__(self, timeline: Timeline, processes: Processes) -> None:
        self._timeline = timeline
        self._processes = processes
        self._open: dict[tuple[int, ...], dict[_Key, _Flow]] = {}
        self._connecting: dict[int, tuple[int, ...]] = {}  # socket → the spans in which its attempt began
        self.reached: set[Endpoint] = set()  # endpoints of this machine, unix ones too

    def fold(self, event: SocketEvent) -> Listen | None:
        """Add an event to its flow. Returns a record where the event is of no flow: a listening socket's."""
        if event.kind in (Kind.LISTEN, Kind.LISTEN_END):
            begins = event.kind == Kind.LISTEN
            return Listen(event.process, event.endpoint, event.network, event.ns, begins)
        flow = self._flow(event, self._spans(event), event.since_ns or event.ns)
        flow.last_ns = max(flow.last_ns, event.ns, event.last_ns)
        flow.local = flow.local or event.local
        if event.local or event.endpoint.protocol == "unix":
            self.reached.add(event.endpoint)
        if event.kind != Kind.SEND and event.endpoint.protocol == "udp":
            return None  # it reaches nobody (udp(7)), but the socket is opened here
        if event.result < 0:
            name = errno.errorcode.get(-event.result, str(-event.result))
            flow.errors[name] = flow.errors.get(name, 0) + 1
        if event.kind == Kind.SEND:
            self._add_send(flow, event)
        elif event.kind == Kind.CONNECT:
            flow.connects += 1
        else:
            flow.connects += not event.since_ns  # its beginning was not told
            flow.established += event.result == 0
        if event.peer_pid and not flow.peer:
            flow.peer = self._processes.by_host_pid(event.peer_pid, event.ns, event.peer_generation)
        return None

    def _spans(self, event: SocketEvent) -> tuple[int, ...]:
        """Where an event belongs. The result of an attempt belongs where it began, which may be long ago."""
        if event.kind == Kind.CONNECT_RESULT and event.socket in self._connecting:
            return self._connecting.pop(event.socket)
        spans = self._timeline.at(event.process, event.tid, event.ns)
        if event.kind == Kind.CONNECT:
            self._connecting[event.socket] = spans
        return spans

    def _flow(self, event: SocketEvent, spans: tuple[int, ...], began_ns: int) -> _Flow:
        flows = self._open.get(spans)
        if flows is None:
            flows = self._open[spans] = {}
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
            flow.prefixes.append(event.prefix.hex())
        if event.head and not self._timeline.owns_spans(event.process, event.tid):
            head = event.head.hex()
            if head in flow.heads or len(flow.heads) < _HEADS:
                flow.heads[head] = flow.heads.get(head, 0) + event.sends

    def take(self, closed: set[int]) -> Iterable[Flow]:
        """Remove and return the flows of closed spans, and those of any place that has grown too large."""
        for spans in [spans for spans in self._open if not closed.isdisjoint(spans)]:
            yield from self._finish(spans)
        for spans in [spans for spans, flows in self._open.items() if len(flows) > _OPEN_FLOWS]:
            yield from self._finish(spans)

    def take_all(self) -> Iterable[Flow]:
        """Remove and return every flow."""
        for spans in list(self._open):
            yield from self._finish(spans)

    def _finish(self, spans: tuple[int, ...]) -> Iterable[Flow]:
        return [flow.finish(key, spans) for key, flow in self._open.pop(spans).items()]
