from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from suites import classification, evidence, facts, result, verdict, verification

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import Finding, find
from tracer.classify.model import Classification, TestVerdict, Verification
from tracer.classify.need_checks import NeedCheck, check_needs
from tracer.classify.services.rules import AssumptionRule, Rules

RULES = Rules({"redis": AssumptionRule(markers=frozenset({"redis"})), "kafka": AssumptionRule(in_class=True)})
FACTS = (facts("tests/a.py", fixtures=["client"]), facts("tests/a.py", markers=["redis"]), facts("tests/b.py"))
USES = [evidence("redis")]
TESTS = {
    "claimed, needed": result(["redis"], facts=1, evidence=USES),
    "claimed, only used": result(["redis"], facts=1, evidence=USES),
    "claimed, no verdict": result(["redis"], facts=1, evidence=USES),
    "claimed, undecided": result(["redis"], facts=1, evidence=USES),
    "claimed, unused": result(facts=1),
    "claimed, needed by the session": result(facts=1),
    "missed": result(["redis"], facts=0, evidence=USES),
    "missed by the report": result(facts=2),
    "no verdict": result(["redis"], facts=2, evidence=USES),
    "only used": result(["redis"], facts=0, evidence=USES),
    "rest": result(facts=2),
}
VERDICTS = verification(
    {
        "claimed, needed": verdict("needs", "redis"),
        "claimed, only used": verdict("tolerates", "redis"),
        "claimed, undecided": verdict("undecided", "redis", reason="flaky"),
        "claimed, unused": verdict("unaffected"),
        "claimed, needed by the session": verdict("needs", "redis", through="session"),
        "missed": verdict("needs", "redis"),
        "missed by the report": verdict("needs"),
        "only used": verdict("tolerates", "redis"),
        "rest": verdict("unaffected"),
    },
    "redis",
)


def suite(*verified: Verification) -> Classification:
    return replace(classification(TESTS, FACTS, RULES), verified=verified)


def test_a_rule_is_compared_with_the_verdicts() -> None:
    assert check_needs(suite(VERDICTS), "redis") == NeedCheck(
        claimed_needed=2,
        claimed_only_used=("claimed, only used",),
        claimed_unverified=2,
        claimed_unused=1,
        missed=("missed", "missed by the report"),
        missed_unverified=1,
        unclaimed_only_used=1,
    )


def test_without_a_trial_of_the_service_there_is_nothing_to_compare() -> None:
    assert check_needs(suite(), "redis") is None
    assert check_needs(suite(VERDICTS), "kafka") is None
    redis, kafka = check_in_detail(suite(VERDICTS))
    assert redis.needs is not None
    assert kafka.needs is None


def test_findings_are_about_needs() -> None:
    blind = {nodeid for kind, service, nodeid in find(suite(VERDICTS)) if (kind, service) == ("blind-spots", "redis")}
    over = {nodeid for kind, service, nodeid in find(suite(VERDICTS)) if (kind, service) == ("over-assumed", "redis")}
    assert blind == {"missed", "no verdict"}
    assert over == {"claimed, unused"}
    assert find(suite()) - find(suite(VERDICTS)) == {
        Finding("blind-spots", "redis", "only used"),
        Finding("over-assumed", "redis", "claimed, needed by the session"),
    }


def test_a_proposal_that_claims_a_test_which_only_uses_the_service_has_a_false_positive() -> None:
    (before, _), (after, _) = check_in_detail(suite()), check_in_detail(suite(VERDICTS))
    client = next(one for one in before.proposals if one.entry.value == "client")
    assert (client.caught, client.over_assumed) == (("missed", "only used"), ())
    client = next(one for one in after.proposals if one.entry.value == "client")
    assert (client.caught, client.over_assumed) == (("missed",), ("only used",))
    assert list(after.blind_spots) == ["missed", "no verdict"]
    assert after.blind_spots["missed"] == tuple(USES)


@given(
    st.dictionaries(
        st.sampled_from(list(TESTS)), st.sampled_from([verdict("needs"), verdict("tolerates"), verdict("unaffected")])
    )
)
def test_each_test_that_is_claimed_or_used_is_in_one_group(tests: dict[str, TestVerdict]) -> None:
    one = suite(replace(VERDICTS, tests=tests))
    check = check_needs(one, "redis")
    assert check is not None
    claimed = sum("redis" in test.assumed for test in one.tests.values())
    found = check.claimed_needed + len(check.claimed_only_used) + check.claimed_unverified + check.claimed_unused
    assert found == claimed
    unclaimed = len(check.missed) + check.missed_unverified + check.unclaimed_only_used
    used = sum("redis" in test.services and "redis" not in test.assumed for test in one.tests.values())
    assert used <= unclaimed <= len(TESTS) - claimed
