"""When the run itself listened at which place."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from math import inf

from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NetworkNamespace
from tracer.trace.records import Flow, Listen

Place = tuple[NetworkNamespace, Endpoint]  # in another network namespace, an address is another machine's


class Listening:
    """When the run listened at which place. Several sockets may listen at one place."""

    def __init__(self, listens: Iterable[Listen]) -> None:
        self._intervals: dict[Place, tuple[list[int], list[float]]] = {}  # begins and ends, each in the order of time
        listening: Counter[Place] = Counter()
        for listen in sorted(listens, key=lambda listen: listen.start_ns):
            place = place_of(listen)
            begins, ends = self._intervals.setdefault(place, ([], []))
            if listen.begins:
                if not listening[place]:
                    begins.append(listen.start_ns)
                    ends.append(inf)
                listening[place] += 1
            elif listening[place]:
                listening[place] -= 1
                if not listening[place]:
                    ends[-1] = listen.start_ns

    def at(self, place: Place, at_ns: int | None) -> bool:
        """Whether the run listened there at a time; None: at any time."""
        begins, ends = self._intervals.get(place, ((), ()))
        if at_ns is None:
            return bool(begins)
        begun = bisect_right(begins, at_ns)
        return begun > 0 and at_ns <= ends[begun - 1]


def place_of(at: Flow | Listen) -> Place:
    """The place that a flow reaches, or at which a socket listens."""
    return at.network, at.endpoint
