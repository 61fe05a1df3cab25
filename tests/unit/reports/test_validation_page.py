from __future__ import annotations

import io
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from suites import RUN, classification, evidence, facts, result

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification
from tracer.classify.services.config import AssumptionRule, Contract, Rules, load_config
from tracer.commands.options import FAIL_ON
from tracer.reports import validation_json
from tracer.reports.page import markdown_page, print_page
from tracer.reports.toml import assumption
from tracer.reports.validation_page import Validated, page

RULES = Rules(
    {
        "kafka": AssumptionRule(markers=frozenset({"requires_kafka"}), fixtures=frozenset({"broker", "stream"})),
        "postgres": AssumptionRule(in_class=True),
    },
    contracts=(Contract("marker", "unit", "none"), Contract("fixture", "broker", ("kafka",))),
)
FACTS = (
    facts("tests/test_orders.py", markers=["unit"], bases=["test_orders.TestCheckout"]),
    facts("tests/test_events.py", markers=["requires_kafka"], fixtures=["broker"]),
    facts("tests/test_misc.py"),
)
SAVED = evidence("kafka")
FETCHED = evidence("kafka", ambient=True)

PAGE = """\
svc-trace: 8 tests held against the rules of svc-trace.toml
Rule      Precision  Recall  Confirmed  Blind  Over  Neither  Ambient  Undecided
kafka           50%     33%          1      2     1        2        1          1
postgres         0%      0%          0      1     3        3        0          1

kafka: 2 blind spots
  in its call, its thread sent to tcp://127.0.0.1:5432
    tests/test_orders.py::TestCheckout::test_stores
    tests/test_orders.py::TestCheckout::test_stores_two
  A rule that would have caught 2 of 2, and claims 1 more test in vain:
    [assumptions.kafka]
    fixtures = ["broker", "stream"]
    markers = ["requires_kafka"]
    classes = [
      "test_orders.TestCheckout",  # catches 2 blind spots, claims 1 test in vain
    ]
"""


def suite() -> Classification:
    checkout = "tests/test_orders.py::TestCheckout::"
    tests = {
        f"{checkout}test_stores": result(["kafka"], facts=0, evidence=[SAVED]),
        f"{checkout}test_stores_two": result(["kafka"], facts=0, evidence=[SAVED, FETCHED]),
        f"{checkout}test_empty": result(facts=0),
        "tests/test_events.py::test_read": result(["kafka"], facts=1, evidence=[SAVED]),
        "tests/test_events.py::test_encoding": result(facts=1),
        "tests/test_events.py::test_other_brokers": result(outcome="skipped", facts=1),
        "tests/test_misc.py::test_leaked_into": result(ambient=["kafka"], facts=2, evidence=[FETCHED]),
        "tests/test_misc.py::test_report": result(
            ["postgres", "unknown:tcp://10.0.0.1:70"], facts=2, evidence=[evidence("postgres")]
        ),
    }
    return classification(tests, FACTS, RULES)


def validated(one: Classification, *accepted: Finding, source: str | None = "svc-trace.toml") -> Validated:
    return Validated(
        one, check_in_detail(one, accepted), compare_with_baseline(find(one), accepted, FAIL_ON), source, bool(accepted)
    )


def printed(told: Validated, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_page(page(told), console)
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def test_rules_are_told_with_their_blind_spots_and_what_would_mend_them() -> None:
    assert printed(validated(suite())).startswith(PAGE)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_of_a_table_is_lost_on_a_narrow_terminal(width: int) -> None:
    told = printed(validated(suite()), width)
    assert max(len(line) for line in told.splitlines() if line.startswith(("Rule", "kafka  ", "postgres  "))) <= width
    for word in ["Rule", "Precision", "Recall", "Confirmed", "Blind", "Over", "Neither", "Ambient", "Undecided"]:
        assert word in told
    assert " 33%" in told


def section(title: str, told: str) -> list[str]:
    """The lines below a heading, up to the next."""
    return told.partition(f"\n{title}\n")[2].partition("\n\n")[0].splitlines()


def test_over_assumptions_are_told_by_the_entries_that_made_them() -> None:
    assert section("kafka: 1 over-assumption", printed(validated(suite()))) == [
        "  marker requires_kafka claims 3 tests, 1 of them rightly",
        "    tests/test_events.py::test_encoding",
        "  fixture broker claims 3 tests, 1 of them rightly",
        "    tests/test_events.py::test_encoding",
    ]


def test_what_else_there_is_to_know_is_told() -> None:
    told = printed(validated(suite()))
    assert section("kafka: 1 test with ambient evidence alone", told) == ["    tests/test_misc.py::test_leaked_into"]
    assert section("1 endpoint that no rule names", told) == ["    tcp://10.0.0.1:70 (1 test)"]
    assert section("Entries that match no test", told) == ["    kafka: fixture stream"]
    assert section("Contracts", told)[:3] == [
        "Contract              Tests  Violations",
        "marker:unit=none          3           2",
        "fixture:broker=kafka      3           1",
    ]
    assert "  fixture:broker=kafka: 1 test with nothing" in told


def test_what_the_baseline_accepts_is_counted_and_told_no_further() -> None:
    one = suite()
    gone = Finding("blind-spots", "kafka", "tests/test_gone.py::test_it")
    told = printed(validated(one, *find(one), gone))
    assert "blind spots\n" not in told
    assert "over-assumption" not in told
    assert "2     1 " in told, "the table has all"
    assert section("Baseline: 11 accepted, 0 new, 1 gone", told) == [
        "  no longer found: take them out",
        "    blind-spots kafka tests/test_gone.py::test_it",
    ]
    (first, *others) = sorted(find(one))
    told = printed(validated(one, *others))
    assert section("kafka: 1 blind spot", told)[1] == f"    {first.nodeid}"


def test_an_incomplete_run_says_so() -> None:
    one = replace(suite(), run=replace(RUN, complete=False))
    assert "The run is NOT COMPLETE" in printed(validated(one))


def test_without_rules_it_says_where_they_go() -> None:
    assert "give [assumptions.SERVICE]" in printed(validated(classification({}, (), Rules()), source=None))


def test_blind_spots_that_share_nothing_of_their_own_are_told() -> None:
    tests = {f"t.py::{n}": result(["kafka"] if n == 0 else [], facts=0, evidence=[SAVED] * (n == 0)) for n in range(3)}
    told = printed(validated(classification(tests, FACTS[2:], RULES)))
    left = "1 blind spot that no entry would tell from as many other tests; mark with requires_kafka"
    assert f"  {left}:\n    t.py::0\n" in told


def test_long_lists_are_cut_and_say_how_much_is_missing() -> None:
    tests = {f"t.py::{n:02}": result(["kafka"], facts=0, evidence=[SAVED]) for n in range(23)}
    told = printed(validated(classification(tests, FACTS[2:], RULES)))
    assert "    t.py::09\n    and 13 more\n" in told


def test_the_page_in_markdown() -> None:
    told = "".join(markdown_page(page(validated(suite()))))
    assert "| Rule | Precision |" in told
    assert "| kafka | 50% | 33% | 1 | 2 | 1 | 2 | 1 | 1 |" in told
    assert "### kafka: 2 blind spots" in told
    assert "* `tests/test_orders.py::TestCheckout::test_stores`" in told
    assert tomllib.loads(told.partition("```toml\n")[2].partition("```")[0])["assumptions"]["kafka"] == {
        "fixtures": ["broker", "stream"],
        "markers": ["requires_kafka"],
        "classes": ["test_orders.TestCheckout"],
    }


def test_the_json_has_everything() -> None:
    told = json.loads(b"".join(validation_json.render(validated(suite()))))
    kafka = told["services"]["kafka"]
    assert told["schema"] == "svc-trace-validation/1"
    assert (kafka["confirmed"], kafka["neither"], kafka["undecided"]) == (1, 2, 1)
    assert kafka["over_assumed"] == ["tests/test_events.py::test_encoding"]
    (shown,) = kafka["blind_spots"]["tests/test_orders.py::TestCheckout::test_stores"]
    assert (shown["phase"], shown["thread"], shown["command"]) == ("call", "test", "pytest")
    assert kafka["proposals"][0]["kind"] == "class"
    assert [(one["value"], one["claimed"]) for one in kafka["entries"]] == [
        ("requires_kafka", 3),
        ("broker", 3),
        ("stream", 0),
    ]
    assert {"kind": "unknown", "subject": "tcp://10.0.0.1:70", "nodeid": ""} in told["findings"]["new"]


@pytest.mark.parametrize("pyproject", [False, True])
def test_a_proposed_rule_can_be_pasted(tmp_path: Path, pyproject: bool) -> None:
    """The configuration reads it, with all that was there and all that is proposed."""
    odd = 'tests/\u00e9 "[x]\x7f\t.py'
    rule = AssumptionRule(frozenset({"b", "a"}), frozenset({"m"}), ("x.Y",), ("tests/*",), True)
    tests = {"t": result(["kafka"], facts=0)}
    one = classification(tests, [facts(odd)], Rules({"kafka": replace(rule, paths=(), in_class=False)}))
    (proposal,) = check_in_detail(one)[0].proposals
    text = "\n".join(assumption("my.kafka", rule, [proposal], pyproject=pyproject))
    file = tmp_path / ("pyproject.toml" if pyproject else "svc-trace.toml")
    file.write_text(f'[{"tool.svc-trace." if pyproject else ""}services."my.kafka"]\n\n{text}\n')
    pasted = load_config(file, tmp_path).assumptions["my.kafka"]
    assert pasted == replace(rule, paths=(*rule.paths, proposal.entry.value))
