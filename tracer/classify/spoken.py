"""What the bytes of sockets show at a place, and when. It counts for the sockets there whose own bytes show nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable


class Spoken:
    """The protocols, or the names of hosts, that the bytes at each place contain, in the order of time.

    One place can be several servers, one after the other: ports are used again.
    """

    def __init__(self, spoken: Iterable[tuple[Hashable, int, str]]) -> None:
        """`spoken`: place, time in ns, protocol or name; in the order of time."""
        self._periods: dict[Hashable, tuple[list[int], list[int], list[str]]] = {}  # first times, last times, words
        for place, ns, word in spoken:
            begins, ends, words = self._periods.setdefault(place, ([], [], []))
            if words and words[-1] == word:
                ends[-1] = ns
            else:
                begins.append(ns)
                ends.append(ns)
                words.append(word)

    def nearest(self, place: Hashable, ns: int) -> str | None:
        """What was spoken nearest in time, the earlier if two are equally near; None: nothing was."""
        if place not in self._periods:
            return None
        begins, ends, words = self._periods[place]
        after = bisect_right(begins, ns)
        if after == 0:
            return words[0]
        is_nearer_after = after < len(begins) and begins[after] - ns < ns - ends[after - 1]
        return words[after if is_nearer_after else after - 1]
