from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suites import result, verdict, verification

from tracer.classify.model import TestVerdict, Verdict, Verification
from tracer.classify.verified import Verified, unite

KAFKA = "kafka"
REDIS = "redis"

VERDICTS = st.one_of(
    st.builds(
        verdict,
        st.sampled_from(["needs", "tolerates", "unaffected"]),
        st.sampled_from([KAFKA, REDIS]),
        refused=st.integers(0, 2),
        through=st.sampled_from([None, "session"]),
        outcome_without=st.sampled_from(["passed", "failed", None]),
    ),
    st.builds(
        verdict,
        st.just("undecided"),
        reason=st.sampled_from([None, "failed", "flaky", "missing-with", "missing-without", "conflict"]),
        refused=st.integers(0, 1),
        outcome_with=st.sampled_from(["passed", "failed", None]),
    ),
)
VERIFICATIONS = st.builds(
    lambda tests, without, **others: verification(dict(sorted(tests.items())), *without, **others),
    st.dictionaries(st.sampled_from("abc"), VERDICTS),
    st.sampled_from([(KAFKA,), (KAFKA, REDIS)]),
    complete=st.booleans(),
    generated_at=st.sampled_from(["2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"]),
    runs_with=st.integers(1, 3),
    command=st.sampled_from([("pytest",), ("pytest", "-x"), ()]),
)


def united(one: TestVerdict, other: TestVerdict) -> TestVerdict:
    (both,) = unite([verification({"a": one}, REDIS), verification({"a": other}, REDIS)])
    return both.tests["a"]


def missing(reason: str) -> TestVerdict:
    return verdict("undecided", reason=reason, outcome_without=None)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (verdict("needs"), verdict("needs"), ("needs", None)),
        (verdict("unaffected"), verdict("tolerates", REDIS), ("tolerates", None)),
        (verdict("needs"), verdict("tolerates", REDIS), ("undecided", "conflict")),
        (verdict("needs"), verdict("unaffected"), ("undecided", "conflict")),
        (verdict("needs"), verdict("undecided", reason="flaky"), ("undecided", "conflict")),
        (verdict("undecided", reason="failed"), verdict("undecided", reason="flaky"), ("undecided", "conflict")),
        (verdict("needs"), missing("missing-without"), ("needs", None)),
        (verdict("undecided", reason="failed"), missing("missing-with"), ("undecided", "failed")),
        (missing("missing-with"), missing("missing-without"), ("undecided", "missing-without")),
    ],
)
def test_two_verdicts_of_a_test_are_one(one: TestVerdict, other: TestVerdict, expected: tuple[str, str]) -> None:
    for both in (united(one, other), united(other, one)):
        assert (both.verdict, both.reason) == expected


def test_the_other_fields_are_those_of_the_result_that_tried_more() -> None:
    tried = verdict("tolerates", REDIS, refused=2, duration_with_s=0.1)
    assert united(verdict("unaffected", duration_with_s=9.0), tried) == tried
    found = verdict("needs", duration_with_s=0.1)
    assert united(found, missing("missing-without")) == found


def test_shards_are_one_verification_and_other_services_another() -> None:
    first = verification({"b": verdict("needs")}, REDIS, command=("pytest", "b"), runs_without=2)
    second = verification({"a": verdict("needs")}, REDIS, complete=False, generated_at="2027-01-01T00:00:00Z")
    other = verification({"a": verdict("needs")}, KAFKA)
    one, both = unite([first, second, other])
    assert one == other
    assert list(both.tests) == ["a", "b"]
    assert (both.command, both.complete, both.runs_without, both.generated_at) == ((), False, 2, "2027-01-01T00:00:00Z")


@given(st.lists(VERIFICATIONS, max_size=4))
def test_order_groups_and_repeats_do_not_matter(parts: list[Verification]) -> None:
    whole = unite(parts)
    assert unite(reversed(parts)) == whole
    assert unite([*unite(parts[:2]), *unite(parts[2:]), *parts[:1]]) == whole
    assert unite(whole) == whole


def needs(*parts: Verification, uses: Sequence[str] = (), services: Sequence[str] | None = None) -> set[str]:
    """The services that the test `a` still needs."""
    test = result(uses)
    of = uses if services is None else services
    return set(of) - Verified(parts).not_needed("a", test, of)


def trial(word: Verdict, *without: str, tried: Sequence[str] = ()) -> Verification:
    return verification({"a": verdict(word, *tried)}, *without)


def test_a_service_that_is_only_tolerated_is_not_needed() -> None:
    assert needs(trial("tolerates", REDIS), uses=[REDIS, KAFKA]) == {KAFKA}
    assert needs(trial("tolerates", KAFKA, REDIS), uses=[REDIS, KAFKA]) == set()
    assert needs(trial("needs", REDIS), uses=[REDIS]) == {REDIS}
    assert needs(trial("undecided", REDIS), uses=[REDIS]) == {REDIS}
    assert needs(verification({"b": verdict("tolerates")}, REDIS), uses=[REDIS]) == {REDIS}, "another test"


def test_a_test_that_uses_a_service_was_changed_since_it_was_unaffected() -> None:
    assert needs(trial("unaffected", REDIS), uses=[REDIS]) == {REDIS}
    assert needs(trial("unaffected", REDIS), services=[REDIS]) == set(), "ambient, or assumed"


def test_the_endpoints_without_a_name_are_covered_by_one_name() -> None:
    unknown = "unknown:tcp://10.0.0.1:70"
    assert needs(trial("tolerates", "(unknown)"), uses=[unknown, REDIS]) == {REDIS}
    assert needs(trial("tolerates", REDIS), uses=[unknown, REDIS]) == {unknown}


def test_of_alternatives_that_can_each_be_left_out_all_remain() -> None:
    alone = trial("tolerates", KAFKA), trial("tolerates", REDIS)
    together = trial("needs", KAFKA, REDIS, tried=[KAFKA, REDIS])
    assert needs(*alone, uses=[KAFKA, REDIS]) == set()
    assert needs(*alone, together, uses=[KAFKA, REDIS]) == {KAFKA, REDIS}
    assert needs(alone[0], together, uses=[KAFKA, REDIS]) == {REDIS}
    assert needs(alone[0], together, uses=[KAFKA]) == {KAFKA}, "it does not use the other one any more"


def test_a_test_needs_for_certain_what_is_the_only_possibility() -> None:
    assert Verified([trial("needs", REDIS)]).needed("a") == {REDIS}
    assert Verified([trial("needs", KAFKA, REDIS, tried=[REDIS])]).needed("a") == {REDIS}
    assert Verified([trial("needs", KAFKA, REDIS, tried=[KAFKA, REDIS])]).needed("a") == set()
    assert Verified([trial("tolerates", REDIS)]).needed("a") == set()
    assert Verified([trial("needs", REDIS)]).needed("b") == set()


def test_what_was_refused_in_a_trial_is_known() -> None:
    verified = Verified([trial("needs", REDIS), trial("needs", "(unknown)")])
    assert verified.concerns(REDIS)
    assert verified.concerns("unknown:tcp://10.0.0.1:70")
    assert not verified.concerns(KAFKA)
    assert verified
    assert not Verified([])


@given(st.lists(VERIFICATIONS, max_size=4), st.sets(st.sampled_from([KAFKA, REDIS, "postgres"])))
def test_verdicts_remove_only_what_a_test_passed_without(parts: list[Verification], uses: set[str]) -> None:
    test = result(sorted(uses))
    for nodeid in "abcd":
        left_out = Verified(unite(parts)).not_needed(nodeid, test, uses)
        passed = {
            service
            for part in unite(parts)
            for service in part.without
            if nodeid in part.tests and part.tests[nodeid].verdict in ("tolerates", "unaffected")
        }
        assert left_out <= uses & passed


def need(service: str, *parts: Verification, uses: Sequence[str] = ()) -> str:
    return Verified(parts).need_of("a", result(uses), service)


def test_a_service_is_needed_not_needed_or_unknown() -> None:
    assert need(REDIS, trial("needs", REDIS)) == "needed"
    assert need(REDIS, trial("tolerates", REDIS), uses=[REDIS]) == "not needed"
    assert need(REDIS, trial("unaffected", REDIS)) == "not needed"
    assert need(REDIS, trial("unaffected", REDIS), uses=[REDIS]) == "unknown"
    assert need(REDIS, trial("undecided", REDIS), uses=[REDIS]) == "unknown"
    assert need(REDIS, trial("needs", KAFKA), uses=[REDIS]) == "unknown"
    assert need(REDIS, uses=[REDIS]) == "unknown"


def test_one_of_several_services_counts_as_needed_if_it_is_used() -> None:
    both = trial("needs", KAFKA, REDIS, tried=[KAFKA, REDIS])
    assert need(REDIS, both, uses=[KAFKA, REDIS]) == "needed"
    assert need(REDIS, both, uses=[KAFKA]) == "unknown"
    assert need(REDIS, both, trial("tolerates", REDIS), uses=[KAFKA, REDIS]) == "not needed"
    assert need(REDIS, trial("needs", KAFKA, REDIS, tried=[KAFKA]), uses=[KAFKA, REDIS]) == "unknown"
    assert need("unknown:tcp://10.0.0.1:70", trial("needs", "(unknown)")) == "needed"
