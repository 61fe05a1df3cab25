"""The protocol that was spoken nearest in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.classify.spoken import Spoken

times = st.integers(0, 30)


@pytest.mark.parametrize(
    ("ns", "protocol"),
    [(0, "http"), (10, "http"), (20, "http"), (25, "http"), (26, "redis"), (30, "redis"), (40, "http"), (99, "http")],
)
def test_the_nearest_in_time(ns: int, protocol: str) -> None:
    spoken = Spoken([("a", 10, "http"), ("a", 20, "http"), ("a", 30, "redis"), ("a", 40, "http")])
    assert spoken.nearest("a", ns) == protocol


def test_places_have_their_own() -> None:
    spoken = Spoken([("a", 10, "http"), ("b", 11, "redis")])
    assert [spoken.nearest(place, 11) for place in "abc"] == ["http", "redis", None]


@given(st.lists(st.tuples(times, st.sampled_from(["http", "redis", "postgres"])), min_size=1), times)
def test_nothing_that_was_spoken_is_nearer(spoken: list[tuple[int, str]], ns: int) -> None:
    spoken.sort(key=lambda one: one[0])
    nearest = Spoken([("a", at_ns, protocol) for at_ns, protocol in spoken]).nearest("a", ns)
    distance = min(abs(at_ns - ns) for at_ns, _ in spoken)
    assert nearest in {protocol for at_ns, protocol in spoken if abs(at_ns - ns) == distance}
