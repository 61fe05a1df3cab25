"""What scripts/ci-rehearsal does not accept."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ci_rehearsal import Rehearsal, Shard

SUITE = ("tests/test_a.py::test_a", "tests/test_a.py::test_b")


def shard(tests: Sequence[str] = SUITE, *, reachable: Sequence[str] = ("redis",), status: int = 0) -> Shard:
    return Shard(("redis",), tuple(reachable), {"redis": 0.5}, 2.0, tuple(tests), status)


def faults(*shards: Shard) -> list[str]:
    return Rehearsal({}, shards, (shard(),), (shard(SUITE[:1]), shard(SUITE[1:]))).faults(SUITE)


def test_each_test_once_with_the_planned_services_is_right() -> None:
    assert faults(shard()) == []


@pytest.mark.parametrize("tests", [SUITE[:1], (*SUITE, SUITE[0]), (*SUITE, "tests/test_a.py::test_c")])
def test_missing_repeated_and_other_tests_are_faults(tests: Sequence[str]) -> None:
    assert faults(shard(tests)) == ["shards: not every test ran exactly once"]


def test_a_test_in_two_shards_is_a_fault() -> None:
    assert faults(shard(), shard(SUITE[:1])) == ["shards: not every test ran exactly once"]


@pytest.mark.parametrize("reachable", [(), ("postgres", "redis")])
def test_missing_and_further_services_are_faults(reachable: Sequence[str]) -> None:
    (fault,) = faults(shard(reachable=reachable))
    assert fault.endswith("in place of redis")


def test_a_failed_session_is_a_fault() -> None:
    assert faults(shard(status=1)) == ["shards: pytest ended with status 1"]
