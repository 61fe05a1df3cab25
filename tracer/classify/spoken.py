"""Spoken protocols: what was spoken at a place, and when. It names the sockets there whose own bytes name nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable


class SpokenProtocols:
    """The protocols that were spoken at each place, in the order of time.

    One place can be several servers, one after the other: ports are used again.
    """

    def __init__(self, spoken: Iterable[tuple[Hashable, int, str]]) -> None:
        """`spoken`: place, time in ns, protocol; in the order of time."""
        self._periods: dict[Hashable, tuple[list[int], list[int], list[str]]] = {}  # first times, last times, protocols
        for place, ns, protocol in spoken:
            begins, ends, protocols = self._periods.setdefault(place, ([], [], []))
            if protocols and protocols[-1] == protocol:
                ends[-1] = ns
            else:
                begins.append(ns)
                ends.append(ns)
                protocols.append(protocol)

    def nearest(self, place: Hashable, ns: int) -> str | None:
        """The protocol that was spoken nearest in time, the earlier one if two are equally near; None: none was."""
        if place not in self._periods:
            return None
        begins, ends, protocols = self._periods[place]
        after = bisect_right(begins, ns)
        if after == 0:
            return protocols[0]
        is_nearer_after = after < len(begins) and begins[after] - ns < ns - ends[after - 1]
        return protocols[after if is_nearer_after else after - 1]
