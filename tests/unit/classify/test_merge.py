from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import suites
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from suites import RUN

from tracer.classify.classification import assemble, recheck
from tracer.classify.merge import merge
from tracer.classify.model import Classification, Evidence, RefusedService, RunInfo, RunResult, TestResult, Verification
from tracer.classify.services.rules import AssumptionRule, Rules, Tier
from tracer.classify.verified import unite
from tracer.trace.records import RunWarning

RULES = Rules(
    assumptions={"kafka": AssumptionRule(markers=frozenset({"requires_kafka"}))},
    tiers=(Tier("no_services", within=frozenset()), Tier("rest")),
)
EARLY = replace(RUN, command=("pytest", "--shard=1"), started_at="2026-11-20T21:00:00Z")
LATE = replace(RUN, command=("pytest", "--shard=2"), started_at="2026-11-20T22:00:00Z")
KAFKA_FACTS = suites.facts("a.py", markers=["requires_kafka"])
PLAIN_FACTS = suites.facts("a.py")

EVIDENCE = st.builds(
    replace,
    st.just(suites.evidence("postgres")),
    service=st.sampled_from(["postgres", "kafka", "redis"]),
    how=st.sampled_from(["direct", "ambient"]),
    self_hosted=st.booleans(),
    phase=st.sampled_from(["setup", "call", None]),
    errno=st.sampled_from([None, "ECONNREFUSED"]),
    operations=st.sampled_from([(), ("SELECT",), ("INSERT", "SELECT")]),
    other_sends=st.integers(0, 1),
    first_s=st.sampled_from([None, 0.0, 0.25]),
)
RUNS = st.builds(
    replace,
    st.just(RUN),
    command=st.sampled_from([("pytest",), ("pytest", "-n2")]),
    backend=st.sampled_from(["libbpf", "strace"]),
    started_at=st.sampled_from(["2026-11-20T21:00:00Z", "2026-11-20T22:00:00Z"]),
    duration_s=st.sampled_from([0.1, 0.2, 0.7]),
    exit_status=st.sampled_from([None, 0, 1]),
    complete=st.booleans(),
    lost_events=st.integers(0, 2),
    warnings=st.sampled_from([(), (RunWarning("no-hook", "m"),), (RunWarning("no-hook", "n"),)]),
    pytest_reported=st.booleans(),
    missing_tests=st.sampled_from([0, 2, None]),
    lacks_causes=st.sampled_from(["", "strace", "kernel"]),
)


@st.composite
def results(draw: st.DrawFn) -> TestResult:
    evidence = tuple(draw(st.lists(EVIDENCE, max_size=3)))
    external = {one.service for one in evidence if not one.self_hosted}
    services = {one.service for one in evidence if not one.self_hosted and one.how != "ambient"}
    facts = draw(st.sampled_from([None, 0, 1]))
    return replace(
        suites.result(
            sorted(services),
            ["kafka"] if facts == 0 else [],
            draw(st.sampled_from(["passed", "failed", "skipped"])),
            ambient=sorted(external - services),
            self_hosted=sorted({one.service for one in evidence if one.self_hosted}),
            facts=facts,
            evidence=evidence,
        ),
        duration_s=draw(st.sampled_from([0.1, 0.2, 0.7])),
        attempts=draw(st.integers(1, 2)),
    )


VERIFICATIONS = st.builds(
    lambda tests, without: suites.verification(dict(sorted(tests.items())), without),
    st.dictionaries(
        st.sampled_from(["a.py::x", "a.py::y"]),
        st.sampled_from([suites.verdict("needs"), suites.verdict("tolerates", "kafka"), suites.verdict("unaffected")]),
    ),
    st.sampled_from(["kafka", "redis"]),
)


@st.composite
def classifications(draw: st.DrawFn) -> Classification:
    return part(
        draw(st.dictionaries(st.sampled_from(["a.py::x", "a.py::y", "b.py::é\udce9[\n]"]), results())),
        draw(RUNS),
        tuple(draw(st.lists(EVIDENCE, max_size=2))),
        draw(st.sampled_from(["2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"])),
        unite(draw(st.lists(VERIFICATIONS, max_size=2))),
    )


def part(
    tests: dict[str, TestResult],
    run: RunInfo = EARLY,
    run_evidence: tuple[Evidence, ...] = (),
    generated_at: str = "2026-11-20T23:00:00Z",
    verified: tuple[Verification, ...] = (),
) -> Classification:
    facts = (KAFKA_FACTS, PLAIN_FACTS)
    return assemble(
        tests, facts, RULES, run=run, run_evidence=run_evidence, generated_at=generated_at, verified=verified
    )


@given(st.permutations(range(4)), st.lists(classifications(), min_size=4, max_size=4))
def test_the_order_does_not_matter(order: Sequence[int], parts: list[Classification]) -> None:
    assert merge(parts[number] for number in order) == merge(parts)


@given(classifications(), classifications(), classifications())
def test_the_grouping_does_not_matter(one: Classification, two: Classification, three: Classification) -> None:
    merged = merge([one, two, three])
    assert merge([merge([one, two]), three]) == merged
    assert merge([one, merge([three, two])]) == merged
    assert merge([merge([one, two]), merge([two, three])]) == merged


@given(classifications(), classifications())
def test_repetition_does_not_matter(one: Classification, two: Classification) -> None:
    merged = merge([one, two])
    assert merge([merged]) == merged
    assert merge([merged, merged, two, one, one]) == merged


@given(st.lists(classifications(), min_size=1, max_size=4))
def test_nothing_is_lost_and_nothing_made_up(parts: list[Classification]) -> None:
    merged = merge(parts)
    assert set(merged.tests) == {nodeid for part in parts for nodeid in part.tests}
    assert {*merged.run_evidence} == {one for part in parts for one in part.run_evidence}
    assert merged.run.complete == all(part.run.complete for part in parts)
    for nodeid, test in merged.tests.items():
        united = [part.tests[nodeid] for part in parts if nodeid in part.tests]
        assert {*test.evidence} == {one for each in united for one in each.evidence}
        assert {*test.services} == {one for each in united for one in each.services}
        assert {*test.services, *test.ambient} == {one for each in united for one in (*each.services, *each.ambient)}
        assert {*test.self_hosted} == {one for each in united for one in each.self_hosted}


def test_a_test_of_two_runs_has_the_services_of_both_and_the_last_ones_outcome() -> None:
    failed = suites.result(["redis"], [], "failed", ambient=["postgres"], facts=1)
    passed = suites.result(["postgres"], ["kafka"], "passed", ambient=["smtp"], facts=0)
    merged = merge([part({"a.py::x": passed}, LATE), part({"a.py::x": failed}, EARLY)])
    test = merged.tests["a.py::x"]
    assert (test.services, test.ambient) == (("postgres", "redis"), ("smtp",))
    assert (test.outcome, test.assumed, test.attempts, test.duration_s) == ("passed", ("kafka",), 2, 0.5)
    assert test.facts is not None
    assert merged.facts[test.facts] == KAFKA_FACTS
    assert test.runs == (RunResult(0, "failed", 0.25, 1), RunResult(1, "passed", 0.25, 1))
    assert merged.runs == (EARLY, LATE)
    assert merged.validation["kafka"].over_assumed == ("a.py::x",)


def test_shards_are_told_as_one_run() -> None:
    lossy = replace(LATE, backend="strace", complete=False, lost_events=3, exit_status=1, lacks_causes="strace")
    merged = merge([part({"b.py::y": suites.result(["postgres"])}, lossy), part({"a.py::x": suites.result()})])
    assert merged.run == RunInfo(
        command=(),
        backend="libbpf, strace",
        kernel="6.18.0",
        started_at="2026-11-20T21:00:00Z",
        duration_s=3.0,
        exit_status=1,
        complete=False,
        lost_events=3,
        warnings=(),
        lacks_causes="strace",
    )
    assert list(merged.tests) == ["a.py::x", "b.py::y"]
    assert merged.summary.tiers == {"no_services": 1, "rest": 1}


@pytest.mark.parametrize(
    ("statuses", "united"), [((0, 0), 0), ((0, 5), 5), ((2, 1), 2), ((1, None), None), ((None, None), None)]
)
def test_the_exit_status_is_the_highest_unless_a_trace_was_cut_off(
    statuses: tuple[int | None, ...], united: int | None
) -> None:
    parts = [part({}, replace(RUN, exit_status=status, duration_s=n)) for n, status in enumerate(statuses)]
    assert merge(parts).run.exit_status == united


@pytest.mark.parametrize(("missing", "united"), [((0, 0), 0), ((3, 4), 7), ((3, None), None)])
def test_missing_tests_are_added_unless_their_number_is_unknown(
    missing: tuple[int | None, ...], united: int | None
) -> None:
    parts = [part({}, replace(RUN, missing_tests=tests, duration_s=n)) for n, tests in enumerate(missing)]
    assert merge(parts).run.missing_tests == united


def test_what_was_refused_to_any_run_is_united() -> None:
    refused: tuple[dict[str, int | None], ...] = ({"kafka": 1, "redis": 2}, {}, {"redis": 3, "smtp": None})
    parts = [
        part({}, replace(RUN, refused=tuple(RefusedService(*one) for one in services.items()), duration_s=n))
        for n, services in enumerate(refused)
    ]
    united = merge(parts).run.refused
    assert united == (RefusedService("kafka", 1), RefusedService("redis", 5), RefusedService("smtp", None))


@pytest.mark.parametrize("changes", [{}, {"attempts": 3}])
def test_a_run_that_is_given_twice_counts_once(changes: dict[str, Any]) -> None:
    one = part({"a.py::x": replace(suites.result(["postgres"]), **changes)})
    merged = merge([one, one])
    assert merged.runs == (EARLY,)
    assert merged.tests["a.py::x"].attempts == changes.get("attempts", 1)


def test_nothing_to_merge_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to merge"):
        merge([])


def test_the_verdicts_of_shards_are_united() -> None:
    first = suites.verification({"a": suites.verdict("needs"), "b": suites.verdict("needs")}, "redis")
    second = suites.verification({"b": suites.verdict("tolerates", "redis"), "c": suites.verdict("needs")}, "redis")
    merged = merge([part({}, EARLY, verified=(first,)), part({}, LATE, verified=(second,))])
    (verified,) = merged.verified
    assert [one.verdict for one in verified.tests.values()] == ["needs", "undecided", "needs"]
    assert recheck(merged, Rules()).verified == merged.verified
