from __future__ import annotations

import pytest
from msgspec.structs import replace
from suites import evidence, refused, result

from tracer.classify.model import Evidence, Outcome
from tracer.classify.refusals import through

ITSELF = refused("redis")
HOOK = refused("redis", phase="setup")
DB = refused("redis", phase="setup", fixture="db")
FLUSH = refused("redis", phase="teardown", fixture="flush")
IN_CALL = refused("redis", fixture="lazy")
POOL = refused("redis", phase="setup", fixture="pool", via="fixture:pool@tests")
INNER = refused("redis", phase="setup", fixture="client", via="fixture:pool@tests")
CLOSED = refused("redis", phase="teardown", fixture="pool", via="fixture:pool@tests")
MODULE = refused("redis", phase="collection", via="module:tests/a.py")
CALLED = evidence("postgres")


@pytest.mark.parametrize(
    ("outcome", "attempts", "others", "expected"),
    [
        # what the test itself tried decides, unless its set-up or teardown failed
        ("failed", [ITSELF, DB, POOL, MODULE], [], None),
        ("skipped", [ITSELF, DB], [], None),
        ("crashed", [ITSELF, DB], [], None),
        ("passed", [ITSELF, FLUSH], [], None),
        ("failed", [DB], [], "fixture:db"),
        ("failed", [IN_CALL], [], "fixture:lazy"),
        ("skipped", [POOL], [], "fixture:pool@tests"),
        ("failed", [INNER], [], "fixture:pool@tests"),
        ("failed", [MODULE], [], "module:tests/a.py"),
        ("failed", [POOL, DB, MODULE], [], "fixture:db"),
        ("failed", [POOL, MODULE], [], "fixture:pool@tests"),
        ("failed", [FLUSH, POOL], [], "fixture:pool@tests"),
        ("passed", [FLUSH], [], "fixture:flush"),
        ("passed", [FLUSH, MODULE], [], "fixture:flush"),
        ("passed", [HOOK], [], None),
        ("passed", [], [], None),
        # the set-up failed
        ("error", [DB], [], "fixture:db"),
        ("error", [POOL], [], "fixture:pool@tests"),
        ("error", [DB, FLUSH], [], "fixture:db"),
        ("error", [HOOK], [], None),
        # the call began, so a teardown failed
        ("error", [ITSELF, FLUSH], [], "fixture:flush"),
        ("error", [DB, FLUSH], [CALLED], "fixture:flush"),
        ("error", [DB, CLOSED], [CALLED], "fixture:pool@tests"),
        ("error", [DB], [CALLED], "fixture:db"),
    ],
)
def test_through_what_a_test_was_refused(
    outcome: Outcome, attempts: list[Evidence], others: list[Evidence], expected: str | None
) -> None:
    for order in (attempts, attempts[::-1]):
        assert through(result(outcome=outcome, evidence=[*order, *others]), order) == expected


def test_of_several_set_ups_the_last_one_failed() -> None:
    first = replace(refused("redis", phase="setup", fixture="cache"), first_s=0.1)
    last = replace(DB, first_s=0.2)
    for order in ([first, last], [last, first]):
        assert through(result(outcome="error", evidence=order), order) == "fixture:db"
