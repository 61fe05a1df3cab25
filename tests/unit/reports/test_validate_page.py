from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console
from suites import RUN, classification, evidence, facts, result, verdict, verification

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification
from tracer.classify.services.config import load_config
from tracer.classify.services.rules import AssumptionRule, Contract, Rules, ServiceRule
from tracer.classify.services.values import Host
from tracer.commands.options import FAIL_ON
from tracer.reports.formats import markdown
from tracer.reports.formats.terminal import print_page
from tracer.reports.pages.validate import ValidationDocument
from tracer.reports.rule_toml import rule_lines, service_lines
from tracer.trace.endpoint import Endpoint

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

PAGE = """
svc-trace: 8 tests compared with the rules of svc-trace.toml

Rule      Precision  Recall  Confirmed  Blind  Over  Neither  Ambient  Undecided
kafka           50%     33%          1      2     1        2        1          1
postgres         0%      0%          0      1     3        3        0          1
Confirmed: claimed and used; Blind: used, but not claimed (blind spots); Over:
claimed, but not used (over-assumptions); Neither: not claimed and not used;
Ambient: only ambient evidence; Undecided: not used, but the test did not run to
its end.

kafka: 2 blind spots
  in the call, the test's thread sent to tcp://127.0.0.1:5432 (2)
    tests/test_orders.py::TestCheckout::test_stores
    tests/test_orders.py::TestCheckout::test_stores_two
  Proposed rule (catches 2 of 2 blind spots, 1 false positive):
    [assumptions.kafka]
    fixtures = ["broker", "stream"]
    markers = ["requires_kafka"]
    classes = [
      "test_orders.TestCheckout",  # catches 2 blind spots, 1 false positive
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


def validation(
    one: Classification, *accepted: Finding, rules_file: str | None = "svc-trace.toml"
) -> ValidationDocument:
    compared = compare_with_baseline(find(one), accepted, FAIL_ON)
    return ValidationDocument(one, check_in_detail(one, accepted), compared, rules_file, bool(accepted))


def printed(document: ValidationDocument, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_page(document.page(), console)
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def test_rules_are_shown_with_their_blind_spots_and_proposals() -> None:
    assert printed(validation(suite())).startswith(PAGE)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_of_a_table_is_lost_on_a_narrow_terminal(width: int) -> None:
    output = printed(validation(suite()), width)
    assert max(len(line) for line in output.splitlines() if line.startswith(("Rule", "kafka  ", "postgres  "))) <= width
    for word in ["Rule", "Precision", "Recall", "Confirmed", "Blind", "Over", "Neither", "Ambient", "Undecided"]:
        assert word in output
    assert " 33%" in output


def section(title: str, output: str) -> list[str]:
    """The lines below a heading, up to the next."""
    return output.partition(f"\n{title}\n")[2].partition("\n\n")[0].splitlines()


def test_over_assumptions_are_listed_by_entry() -> None:
    assert section("kafka: 1 over-assumption", printed(validation(suite()))) == [
        "  marker requires_kafka: 1 of the 3 tests that it claims use kafka; these do not",
        "    tests/test_events.py::test_encoding",
        "  fixture broker: 1 of the 3 tests that it claims use kafka; these do not",
        "    tests/test_events.py::test_encoding",
    ]


def test_the_other_findings_have_a_section_each() -> None:
    output = printed(validation(suite()))
    assert section("kafka: 1 test with only ambient evidence", output) == ["    tests/test_misc.py::test_leaked_into"]
    assert section("1 unknown endpoint", output) == ["    tcp://10.0.0.1:70: 1 test"]
    assert section("Entries that match no test", output) == ["    kafka: fixture stream"]
    assert section("Contracts", output)[:3] == [
        "Contract              Tests  Violations",
        "marker:unit=none          3           2",
        "fixture:broker=kafka      3           1",
    ]
    assert "  fixture:broker=kafka: uses no service (1)" in output


def test_accepted_findings_are_only_counted() -> None:
    one = suite()
    gone = Finding("blind-spots", "kafka", "tests/test_gone.py::test_it")
    output = printed(validation(one, *find(one), gone))
    assert "blind spots\n" not in output
    assert "1 over-assumption" not in output
    assert "2     1 " in output, "the table has all"
    assert section("Baseline: 11 accepted, 0 new, 1 of tests that are gone", output) == [
        "  These tests do not exist any more. Remove the lines:",
        "    blind-spots kafka tests/test_gone.py::test_it",
    ]
    (first, *others) = sorted(find(one))
    output = printed(validation(one, *others))
    assert section("kafka: 1 blind spot", output)[1] == f"    {first.nodeid}"


def test_an_incomplete_run_says_so() -> None:
    one = replace(suite(), run=replace(RUN, complete=False))
    assert "The run is NOT COMPLETE" in printed(validation(one))


def test_without_rules_it_says_where_they_go() -> None:
    assert "Add [assumptions.SERVICE]" in printed(validation(classification({}, (), Rules()), rules_file=None))


def test_blind_spots_without_a_proposal_are_listed() -> None:
    tests = {f"t.py::{n}": result(["kafka"] if n == 0 else [], facts=0, evidence=[SAVED] * (n == 0)) for n in range(3)}
    output = printed(validation(classification(tests, FACTS[2:], RULES)))
    left = (
        "No proposal for 1 blind spot: each entry would have more false positives than it catches. "
        "Give the test the marker requires_kafka"
    )
    assert f"  {left}:\n    t.py::0\n" in output


def test_long_lists_are_cut_and_say_how_much_is_missing() -> None:
    tests = {f"t.py::{n:02}": result(["kafka"], facts=0, evidence=[SAVED]) for n in range(23)}
    output = printed(validation(classification(tests, FACTS[2:], RULES)))
    assert "    t.py::09\n    and 13 more\n" in output


def test_the_page_in_markdown() -> None:
    output = "".join(markdown.render(validation(suite()).page()))
    assert "| Rule | Precision |" in output
    assert "| kafka | 50% | 33% | 1 | 2 | 1 | 2 | 1 | 1 |" in output
    assert "### kafka: 2 blind spots" in output
    assert "* `tests/test_orders.py::TestCheckout::test_stores`" in output
    assert tomllib.loads(output.partition("```toml\n")[2].partition("```")[0])["assumptions"]["kafka"] == {
        "fixtures": ["broker", "stream"],
        "markers": ["requires_kafka"],
        "classes": ["test_orders.TestCheckout"],
    }


def named(*places: tuple[str, int]) -> Classification:
    """A test for each host and port, which no rule names."""
    tests = {}
    for number, (host, port) in enumerate(places):
        service = f"unknown:tcp://{host}:{port}"
        seen = replace(evidence(service), host=host, endpoint=Endpoint("tcp", "192.0.2.1", port))
        tests[f"t.py::{number}"] = result([service], evidence=[seen])
    return classification(tests, (), Rules())


def test_services_are_proposed_for_hosts_with_names() -> None:
    one = named(("api.example.com", 443), ("api.example.com", 80), ("db.internal", 5433), ("db.internal", 9999))
    output = printed(validation(one))
    assert section("4 unknown endpoints", output)[4:] == [
        "  Proposed services, for the next run and `svc-trace report TRACE`:",
        '    [services."api.example.com"]',
        '    hosts = ["api.example.com"]',
        '    [services."db.internal-5433"]',
        '    hosts = ["db.internal"]',
        "    ports = [5433]",
        '    [services."db.internal-9999"]',
        '    hosts = ["db.internal"]',
        "    ports = [9999]",
    ]
    assert "Proposed services" not in printed(validation(one, *find(one)))
    assert "Proposed services" not in printed(validation(suite()))


@pytest.mark.parametrize("pyproject", [False, True])
def test_a_proposed_service_can_be_pasted(tmp_path: Path, pyproject: bool) -> None:
    hosts = "api.example.com", "_ldap.internal", "plain"
    text = "\n".join(service_lines([(host, 443) for host in hosts], pyproject=pyproject))
    file = tmp_path / ("pyproject.toml" if pyproject else "svc-trace.toml")
    file.write_text(text)
    services = load_config(file, tmp_path).services
    expected = ServiceRule(hosts=(Host(["_ldap.internal"]),))
    assert list(services)[:3] == ["ldap.internal", "api.example.com", "plain"]
    assert services["ldap.internal"] == expected


def test_the_json_has_everything() -> None:
    output = json.loads(b"".join(validation(suite()).json()))
    kafka = output["services"]["kafka"]
    assert output["schema"] == "svc-trace-validation/1"
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
    assert {"kind": "unknown", "subject": "tcp://10.0.0.1:70", "nodeid": ""} in output["findings"]["new"]
    assert output["proposed_services"] is None
    output = json.loads(b"".join(validation(named(("plain", 443))).json()))
    assert tomllib.loads(output["proposed_services"]) == {"services": {"plain": {"hosts": ["plain"]}}}


@pytest.mark.parametrize("pyproject", [False, True])
def test_a_proposed_rule_can_be_pasted(tmp_path: Path, pyproject: bool) -> None:
    """The configuration reads it, with all that was there and all that is proposed."""
    odd = 'tests/\u00e9 "[x]\x7f\t.py'
    rule = AssumptionRule(frozenset({"b", "a"}), frozenset({"m"}), ("x.Y",), ("tests/*",), True)
    tests = {"t": result(["kafka"], facts=0)}
    one = classification(tests, [facts(odd)], Rules({"kafka": replace(rule, paths=(), in_class=False)}))
    (proposal,) = check_in_detail(one)[0].proposals
    text = "\n".join(rule_lines("my.kafka", rule, [proposal], pyproject=pyproject))
    file = tmp_path / ("pyproject.toml" if pyproject else "svc-trace.toml")
    file.write_text(f'[{"tool.svc-trace." if pyproject else ""}services."my.kafka"]\n\n{text}\n')
    pasted = load_config(file, tmp_path).rules.assumptions["my.kafka"]
    assert pasted == replace(rule, paths=(*rule.paths, proposal.entry.value))


VERIFIED = """
Rule   Needed  Only used  Not used  Missed  Maybe missed
kafka       0          1         2       2             1
Needed: claimed and needed; Only used: claimed and used, but not needed; Not
used: claimed, but not used; Missed: needed, but not claimed; Maybe missed:
used, not claimed, no verdict.

kafka: 2 blind spots
"""


def verified_suite() -> Classification:
    """Of the tests with kafka, the one that the rule claims tolerates its absence."""
    tests = {
        "tests/test_events.py::test_read": verdict("tolerates", "kafka"),
        "tests/test_orders.py::TestCheckout::test_stores": verdict("needs", "kafka"),
        "tests/test_misc.py::test_leaked_into": verdict("needs", "kafka"),
    }
    return replace(suite(), verified=(verification(tests, "kafka"),))


def test_rules_are_compared_with_the_verdicts() -> None:
    output = printed(validation(verified_suite()))
    assert VERIFIED in output
    assert section("kafka: claimed and used, but not needed (1)", output) == ["    tests/test_events.py::test_read"]
    assert section("kafka: needed, but neither claimed nor used (1)", output) == [
        "    tests/test_misc.py::test_leaked_into"
    ]
    markdown_output = "".join(markdown.render(validation(verified_suite()).page()))
    assert "| kafka | 0 | 1 | 2 | 2 | 1 |" in markdown_output
    assert "Needed: claimed and needed" not in printed(validation(suite()))


def test_the_json_has_the_needs_of_services_with_verdicts() -> None:
    services = json.loads(b"".join(validation(verified_suite()).json()))["services"]
    assert services["kafka"]["needs"] == {
        "claimed_needed": 0,
        "claimed_only_used": ["tests/test_events.py::test_read"],
        "claimed_unverified": 0,
        "claimed_unused": 2,
        "missed": ["tests/test_misc.py::test_leaked_into", "tests/test_orders.py::TestCheckout::test_stores"],
        "missed_unverified": 1,
        "unclaimed_only_used": 0,
    }
    assert "needs" not in services["postgres"]


def test_entries_that_are_mostly_wrong_are_shown_with_the_rule_that_replaces_them() -> None:
    known = [facts("a.py", fixtures=["broker"], markers=["sends"]), facts("b.py", fixtures=["broker"])]
    tests = {f"a.py::{number}": result(["kafka"], facts=0) for number in range(2)}
    tests |= {f"b.py::{number}": result(facts=1) for number in range(12)}
    one = classification(tests, known, Rules({"kafka": AssumptionRule(fixtures=frozenset({"broker"}))}))
    assert section("kafka: entries that are mostly wrong", printed(validation(one)))[:2] == [
        "    fixture broker: correct for 2 of 14",
        "  Proposed rule, which claims all tests that use the service and were claimed before:",
    ]
    output = printed(validation(one))
    assert '    "sends",  # correct for 2 tests, no false positives\n' in output
    assert "broker" not in output.partition("[assumptions.kafka]")[2].partition("\n\n")[0]
