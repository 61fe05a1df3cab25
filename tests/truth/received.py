"""Compares a trace with an independent count: the peers count the connections and bytes that reach them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tracer.trace.endpoint import Endpoint
from tracer.trace.file import read_records
from tracer.trace.ids import UNKNOWN_NETWORK, NetworkNamespace
from tracer.trace.records import Flow

Received = Counter[tuple[Endpoint, str]]
"""Endpoint of a peer, and `connections` or `bytes` → how many arrived there."""

_LIMIT_S: Final = 10.0
"""The peers read what the suite has sent within this time after its end."""


def disagreements(trace: Path, before: Received, received: Callable[[], Received]) -> Iterator[str]:
    """Yield a line for each peer at which something else arrived than the trace says.

    Args:
        trace: the trace file of a run that has ended.
        before: what had arrived before the run.
        received: counts what has arrived by now.
    """
    deadline = time.monotonic() + _LIMIT_S
    while True:
        now = received()
        sent = _sent(trace, now)
        arrived = now - before
        if sent == arrived or time.monotonic() > deadline:
            break
    for endpoint, unit in sorted((sent | arrived).keys(), key=str):
        if sent[endpoint, unit] != arrived[endpoint, unit]:
            yield f"{endpoint}: {sent[endpoint, unit]} {unit} in the trace, but {arrived[endpoint, unit]} arrived"


def _sent(trace: Path, counted: Received) -> Received:
    """What a trace has of the units that peers counted. They are in the network namespace of this process.

    Other network namespaces have other peers, except at the paths of unix sockets (network_namespaces(7)).
    """
    own = NetworkNamespace(Path("/proc/self/ns/net").stat().st_ino)
    sums = Received()
    for flow in read_records(trace):
        if isinstance(flow, Flow) and (flow.network in (own, UNKNOWN_NETWORK) or flow.endpoint.path.startswith("/")):
            sums[flow.endpoint, "connections"] += flow.established
            sums[flow.endpoint, "bytes"] += flow.bytes
    return Received({unit: number for unit, number in sums.items() if number and unit in counted})
