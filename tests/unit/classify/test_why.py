from __future__ import annotations

from msgspec.structs import replace
from suites import evidence, facts, result

from tracer.classify.model import Why
from tracer.classify.why import explain_needs

POOL = evidence("redis", phase="setup", fixture="pool", via="fixture:pool@tests")
FLUSH = evidence("redis", phase="teardown", fixture="flush")
IMPORT = evidence("redis", phase="collection", via="module:tests/test_a.py")


def test_what_makes_tests_need_a_service() -> None:
    tests = {
        "t::asks": result(["redis"], evidence=[evidence("redis"), FLUSH]),
        "t::flushes": result(["redis"], evidence=[FLUSH, FLUSH]),
        "t::flushes_too": result(["redis"], evidence=[FLUSH]),
        "t::pool": result(["redis"], evidence=[FLUSH, POOL, evidence("redis", phase="setup", fixture="flush")]),
        "t::imported": result(["redis"], evidence=[IMPORT]),
        "t::ambient": result(ambient=["redis"], evidence=[evidence("redis", ambient=True)]),
        "t::unasked": result(["redis"], evidence=[FLUSH], facts=0),
        "t::own": result(self_hosted=["redis"], evidence=[evidence("redis", self_hosted=True)]),
    }
    assert explain_needs(tests, [facts("t.py", fixtures=["flush"], autouse=["flush"])], ["redis"]) == {
        "redis": Why(
            tests=6,
            by_phase={"collection": 1, "setup": 1, "call": 1, "teardown": 5},
            by_fixture={"flush": 5, "pool": 1},
            only_through={
                "fixture flush (teardown)": 2,
                "autouse fixture flush (teardown)": 1,
                "fixture flush (setup, teardown) and fixture pool (setup)": 1,
                "import of the module": 1,
            },
        )
    }


def test_operations_are_named_where_all_are_known_and_few() -> None:
    flush = replace(FLUSH, operations=("FLUSHDB",))
    drop = replace(FLUSH, fixture="drop", operations=("DEL", "UNLINK"))
    connect = replace(FLUSH, phase="setup", sends=0, strength="connected")
    tests = {
        "t::1": result(["redis"], evidence=[flush]),
        "t::2": result(["redis"], evidence=[flush, POOL]),
        "t::3": result(["redis"], evidence=[flush, connect]),
        "t::4": result(["redis"], evidence=[drop]),
        "t::5": result(["redis"], evidence=[replace(drop, operations=("SET",))]),
        "t::6": result(["redis"], evidence=[drop, replace(POOL, operations=("GET",), other_sends=1)]),
        "t::7": result(["redis"], evidence=[replace(flush, fixture="many", operations=("A", "B", "C", "D"))]),
        "t::8": result(["redis"], evidence=[replace(flush, fixture="odd"), replace(FLUSH, fixture="odd")]),
    }
    (why,) = explain_needs(tests, [], ["redis"]).values()
    assert why.only_through == {
        "fixture drop (teardown: DEL + SET + UNLINK)": 2,
        "fixture drop (teardown: DEL + UNLINK) and fixture pool (setup)": 1,
        "fixture flush (setup, teardown: FLUSHDB)": 1,
        "fixture flush (teardown: FLUSHDB)": 1,
        "fixture flush (teardown: FLUSHDB) and fixture pool (setup)": 1,
        "fixture many (teardown)": 1,
        "fixture odd (teardown)": 1,
    }


def test_self_hosted_and_ambient_evidence_says_nothing_of_a_need() -> None:
    found = [FLUSH, evidence("redis", ambient=True), evidence("redis", self_hosted=True)]
    (why,) = explain_needs({"t": result(["redis"], evidence=found)}, [], ["redis"]).values()
    assert why.only_through == {"fixture flush (teardown)": 1}
    assert why.by_phase == {"teardown": 1}


def test_what_hooks_send_around_a_test_is_told_as_theirs() -> None:
    hook = evidence("redis", phase="teardown")
    tests = {
        "t::1": result(["redis"], evidence=[hook]),
        "t::2": result(["redis"], evidence=[hook, POOL]),
        "t::3": result(["redis"], evidence=[hook, evidence("redis")]),
    }
    (why,) = explain_needs(tests, [], ["redis"]).values()
    assert why.only_through == {"fixture pool (setup) and hooks (teardown)": 1, "hooks (teardown)": 1}
