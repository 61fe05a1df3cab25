from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from suites import RUN, classification, evidence, refused, result, verdict

from tracer.classify.merge import merge
from tracer.classify.model import Classification, Evidence, Outcome, Reason, TestResult, TestVerdict, Verification
from tracer.classify.services.rules import Rules
from tracer.classify.verdicts import compare_trials, decide
from tracer.trace.endpoint import Endpoint

TEST = "tests/a.py::x"
USED = evidence("redis")
FAILED = refused("redis")
OUTCOMES: Sequence[Outcome] = (
    "passed",
    "failed",
    "error",
    "skipped",
    "xfailed",
    "xpassed",
    "interrupted",
    "crashed",
    "not run",
)


def run(tests: Mapping[str, TestResult], *outside: Evidence, complete: bool = True) -> Classification:
    return replace(
        classification(tests, (), Rules(), replace(RUN, complete=complete)), run_evidence=outside, generated_at="now"
    )


def ran(outcome: Outcome = "passed", *seen: Evidence, duration_s: float = 0.25) -> TestResult:
    services = sorted({one.service for one in seen if one.is_need})
    return replace(result(services, outcome=outcome, evidence=seen), duration_s=duration_s)


def compared(
    before: Sequence[Classification],
    after: Sequence[Classification],
    *services: str,
    selected: Collection[str] | None = None,
    endpoints: Mapping[Endpoint, str] | None = None,
) -> Verification:
    moment = datetime(2026, 11, 21, 22, tzinfo=UTC)
    return compare_trials(
        before,
        after,
        services or ["redis"],
        command=["pytest"],
        generated_at=moment,
        endpoints=endpoints,
        selected=selected,
    )


def verdict_of(
    before: TestResult, after: TestResult, *services: str, endpoints: Mapping[Endpoint, str] | None = None
) -> TestVerdict:
    """The verdict of a test by two runs."""
    return compared([run({TEST: before})], [run({TEST: after})], *services, endpoints=endpoints).tests[TEST]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # with the services, without them: the verdict and why it is undecided
        ("passed", "passed", ("tolerates", None)),
        ("passed", "failed", ("needs", None)),
        ("passed", "error", ("needs", None)),
        ("passed", "skipped", ("needs", None)),
        ("passed", "crashed", ("needs", None)),
        ("passed", "xfailed", ("needs", None)),
        ("passed", "xpassed", ("tolerates", None)),
        ("xpassed", "xpassed", ("tolerates", None)),
        ("xpassed", "xfailed", ("needs", None)),
        ("xpassed", "failed", ("needs", None)),
        ("passed", "interrupted", ("undecided", "cut-short")),
        ("passed", "not run", ("undecided", "cut-short")),
        ("interrupted", "failed", ("undecided", "cut-short")),
        ("not run", "not run", ("undecided", "cut-short")),
        ("failed", "failed", ("undecided", "failed")),
        ("failed", "passed", ("undecided", "failed")),
        ("error", "error", ("undecided", "failed")),
        ("crashed", "passed", ("undecided", "failed")),
        ("xfailed", "xfailed", ("undecided", "failed")),
        ("skipped", "skipped", ("undecided", "skipped")),
        ("skipped", "passed", ("undecided", "skipped")),
    ],
)
def test_the_outcomes_decide(before: Outcome, after: Outcome, expected: tuple[str, Reason | None]) -> None:
    assert decide([before], [after]) == expected
    found = verdict_of(ran(before, USED), ran(after, FAILED))
    assert (found.verdict, found.reason) == expected
    assert (found.outcome_with, found.outcome_without) == (before, after)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["passed", "failed"], ["failed"], ("undecided", "flaky")),
        (["passed"], ["failed", "passed"], ("undecided", "flaky")),
        (["passed", "skipped"], ["failed"], ("undecided", "flaky")),
        (["passed", "xpassed"], ["failed", "skipped", "error"], ("needs", None)),
        (["passed", "interrupted"], ["failed", "interrupted"], ("needs", None)),
        (["failed", "skipped"], ["failed"], ("undecided", "failed")),
        ([], ["failed"], ("undecided", "missing-with")),
        (["passed"], [], ("undecided", "missing-without")),
        ([], [], ("undecided", "missing-with")),
    ],
)
def test_repeated_runs_must_agree(
    before: list[Outcome], after: list[Outcome], expected: tuple[str, Reason | None]
) -> None:
    assert decide(before, after) == expected


@given(st.lists(st.sampled_from(OUTCOMES)), st.lists(st.sampled_from(OUTCOMES)), st.randoms())
def test_the_order_of_runs_does_not_matter(before: list[Outcome], after: list[Outcome], chance: Random) -> None:
    assert decide(before, after) == decide(chance.sample(before, len(before)), chance.sample(after, len(after)))
    verdict, reason = decide(before, after)
    assert (verdict == "undecided") == (reason is not None)


@given(st.lists(st.sampled_from(OUTCOMES)), st.lists(st.sampled_from(OUTCOMES)), st.sampled_from(OUTCOMES))
def test_a_repeat_makes_needs_of_nothing_else(before: list[Outcome], after: list[Outcome], more: Outcome) -> None:
    """More runs may show that a test is flaky, or add what was missing; they never show that it needs a service."""
    known = decide(before, after)[1] not in ("missing-with", "missing-without", "cut-short")
    for again in (decide([*before, more], after), decide(before, [*after, more])):
        if known and decide(before, after)[0] != "needs":
            assert again[0] != "needs"


def test_a_test_that_tried_tolerates_and_one_that_did_not_is_unaffected() -> None:
    assert verdict_of(ran("passed", USED), ran("passed", FAILED)).verdict == "tolerates"
    assert verdict_of(ran(), ran("passed", FAILED)).verdict == "tolerates", "only the run without shows it"
    assert verdict_of(ran("passed", USED), ran()).verdict == "tolerates", "it gave up before it tried"
    assert verdict_of(ran(), ran()).verdict == "unaffected"
    other = evidence("postgres")
    assert verdict_of(ran("passed", other), ran("passed", other)).verdict == "unaffected"


@pytest.mark.parametrize(
    "one", [evidence("redis", ambient=True), replace(USED, how="goodbye"), evidence("redis", self_hosted=True)]
)
def test_what_is_no_use_of_a_service_does_not_count(one: Evidence) -> None:
    failed = replace(one, strength="attempted", errno="ECONNREFUSED")
    found = verdict_of(ran("passed", one), ran("passed", failed))
    assert (found.verdict, found.refused, found.tried) == ("unaffected", 0, ())


@pytest.mark.parametrize(
    ("errno", "counts"), [("ECONNREFUSED", 1), ("ENOENT", 1), ("EPERM", 1), ("ENOBUFS", 1), ("ETIMEDOUT", 0)]
)
def test_only_what_looks_like_a_refusal_is_counted(errno: str, counts: int) -> None:
    found = verdict_of(ran("passed", USED), ran("failed", refused("redis", errno=errno)))
    assert (found.verdict, found.refused) == ("needs", counts)


def test_attempts_are_counted_in_the_run_that_refused_the_most() -> None:
    inherited = refused("redis", via="fixture:pool@", phase="setup", fixture="pool", connects=2)
    failed, lost = refused("redis", connects=0, errno="ENOBUFS"), replace(USED, strength="attempted", sends=4)
    attempts = refused("redis", connects=3), inherited, failed, lost
    runs = [run({TEST: ran("failed", *attempts)}), run({TEST: ran("failed")})]
    found = compared([run({TEST: ran("passed", USED)})], runs).tests[TEST]
    assert found.refused == 3 + 2 + 1 + 4
    assert compared([run({TEST: ran("passed", USED)})], runs[::-1]).tests[TEST] == found


def test_a_client_that_waits_for_no_answer_tolerates_lost_datagrams() -> None:
    lost = replace(USED, strength="attempted", connects=0)
    assert verdict_of(ran("passed", USED), ran("passed", lost)).verdict == "tolerates"
    assert verdict_of(ran("passed", USED), ran("failed", lost)).verdict == "needs"


def test_a_service_that_was_reached_in_spite_of_the_refusal_is_no_proof() -> None:
    found = verdict_of(ran("passed", USED), ran("passed", USED))
    assert (found.verdict, found.reason) == ("undecided", "reached")
    assert verdict_of(ran("passed", USED), ran("failed", USED, FAILED)).verdict == "needs"


def test_an_endpoint_that_only_its_bytes_name_is_known_by_its_address() -> None:
    unnamed = refused("unknown:tcp://127.0.0.1:5432")
    found = verdict_of(ran("passed", USED), ran("failed", unnamed))
    assert (found.refused, found.tried) == (1, ("redis",))
    elsewhere = replace(unnamed, endpoint=Endpoint("tcp", "127.0.0.1", 41001))
    assert verdict_of(ran("passed", USED), ran("failed", elsewhere)).refused == 0
    found = verdict_of(ran("passed", USED), ran("failed", elsewhere), endpoints={elsewhere.endpoint: "redis"})
    assert (found.refused, found.tried) == (1, ("redis",))


def test_all_endpoints_without_a_name_are_one_service() -> None:
    one = evidence("unknown:tcp://127.0.0.1:5432")
    found = verdict_of(ran("passed", one), ran("failed", refused(one.service)), "(unknown)", "redis")
    assert (found.verdict, found.refused, found.tried) == ("needs", 1, ("(unknown)",))
    assert verdict_of(ran("passed", one), ran("passed", one), "redis").verdict == "unaffected"


def test_of_several_services_those_that_it_tried_are_named() -> None:
    seen = (USED, evidence("postgres"))
    found = verdict_of(ran("passed", *seen), ran("failed", refused("kafka")), "kafka", "redis", "smtp")
    assert found.tried == ("kafka", "redis")


def test_durations_are_medians() -> None:
    before = [run({TEST: ran("passed", duration_s=seconds)}) for seconds in (0.1, 9.0, 0.2)]
    after = [merge([run({TEST: ran(duration_s=1.0)}), run({TEST: ran(duration_s=2.0)}, complete=False)])]
    found = compared(before, after)
    assert (found.tests[TEST].duration_with_s, found.tests[TEST].duration_without_s) == (0.2, 1.5)
    assert (found.runs_with, found.runs_without, found.complete) == (3, 2, False)
    assert found.without == ("redis",)
    assert (found.generated_at, found.command) == ("2026-11-21T22:00:00Z", ("pytest",))


def test_a_merged_report_has_several_outcomes_of_a_test() -> None:
    flaky = merge([run({TEST: ran("failed")}), run({TEST: ran("passed")}, complete=False)])
    assert compared([run({TEST: ran("passed", USED)})], [flaky]).tests[TEST].reason == "flaky"


def test_only_selected_tests_and_those_that_ran_have_a_verdict() -> None:
    before = run({nodeid: ran() for nodeid in ("a", "b", "c", "d")})
    after = run({"b": ran(), "e": ran()})
    assert {nodeid: one.reason for nodeid, one in compared([before], [after], selected={"a"}).tests.items()} == {
        "a": "missing-without",
        "b": None,
        "e": "missing-with",
    }
    assert list(compared([before], [after]).tests) == ["a", "b", "c", "d", "e"]


def test_a_test_that_needs_what_it_never_used_is_a_surprise() -> None:
    assert verdict_of(ran(), ran("failed")).is_surprise
    assert verdict_of(ran("passed", evidence("redis", ambient=True)), ran("failed")).is_surprise
    for before, after in [
        (ran("passed", USED), ran("failed")),
        (ran(), ran("failed", FAILED)),
        (ran(), ran()),
        (ran("failed"), ran("failed")),
    ]:
        assert not verdict_of(before, after).is_surprise


OUTSIDE = replace(FAILED, phase=None)
IMPORTED = replace(FAILED, phase="collection", via=evidence("redis", via="module:tests/a.py").via)


def test_a_session_that_was_refused_explains_what_its_tests_do_not() -> None:
    before = [run({TEST: ran(), "tests/b.py::y": ran("passed", USED)})]
    after = run({TEST: ran("failed"), "tests/b.py::y": ran("failed", FAILED)}, OUTSIDE)
    found = compared(before, [after]).tests
    assert found[TEST] == verdict(
        "needs", "redis", refused=1, through="session", duration_with_s=0.25, duration_without_s=0.25
    )
    assert found["tests/b.py::y"].through is None
    other = run(after.tests, replace(OUTSIDE, thread="other"))
    assert compared(before, [other]).tests[TEST].is_surprise, "another part of the command was refused"


def test_a_session_that_ended_before_all_tests_is_needed_by_all() -> None:
    before = [run({TEST: ran(), "tests/b.py::y": ran("failed")})]
    found = compared(before, [run({}, replace(OUTSIDE, thread="other"))]).tests
    assert (found[TEST].verdict, found[TEST].through, found[TEST].outcome_without) == ("needs", "session", None)
    assert found["tests/b.py::y"].verdict == "undecided"
    assert compared(before, [run({})]).tests[TEST].reason == "missing-without", "it was not refused"


def test_a_module_whose_import_failed_is_what_its_tests_need_it_for() -> None:
    before = [run({TEST: ran("passed", USED), "tests/b.py::y": ran()})]
    after = [run({"tests/b.py::y": ran()}, IMPORTED)]
    found = compared(before, after).tests
    assert found[TEST] == verdict(
        "needs",
        "redis",
        outcome_without=None,
        refused=1,
        through="module:tests/a.py",
        duration_with_s=0.25,
    )
    assert found["tests/b.py::y"].verdict == "unaffected"


def test_if_the_collection_was_interrupted_one_module_must_be_the_reason() -> None:
    other = replace(IMPORTED, via=evidence("redis", via="module:tests/b.py").via)
    before = [run({TEST: ran("passed", USED), "tests/b.py::y": ran(), "tests/c.py::z": ran()})]
    found = compared(before, [run({}, IMPORTED, OUTSIDE)]).tests
    assert [one.verdict for one in found.values()] == ["needs", "undecided", "undecided"]
    found = compared(before, [run({}, IMPORTED, other, OUTSIDE)]).tests
    assert {one.reason for one in found.values()} == {"missing-without"}


RESULTS = st.builds(
    ran,
    st.sampled_from(OUTCOMES),
    st.sampled_from([USED, FAILED, evidence("postgres"), refused("redis", via="module:a.py", phase="collection")]),
)
RUNS = st.lists(
    st.builds(run, st.dictionaries(st.sampled_from(["a.py::x", "a.py::y", "b.py::x"]), RESULTS)), min_size=1, max_size=3
)


@given(RUNS, RUNS)
def test_each_test_has_one_verdict_whatever_the_order_of_tests(
    before: list[Classification], after: list[Classification]
) -> None:
    found = compared(before, after)
    assert set(found.tests) == {nodeid for one in (*before, *after) for nodeid in one.tests}
    turned = [[replace(one, tests=dict(reversed(list(one.tests.items())))) for one in runs] for runs in (before, after)]
    assert compared(turned[0], turned[1]) == found
    assert list(found.tests) == sorted(found.tests)
    for one in found.tests.values():
        assert (one.reason is not None) == (one.verdict == "undecided")
        assert one.verdict != "unaffected" or not one.tried
        assert one.verdict != "tolerates" or one.tried
