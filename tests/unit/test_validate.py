"""`svc-trace validate` and `explain` as commands, and what `--fail-on` makes of the exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from suites import RUN, classification, evidence, facts, result

from tracer.classify.model import Classification, RefusedService, RefusedUse
from tracer.classify.services.rules import AssumptionRule, Contract, Rules
from tracer.commands import main
from tracer.errors import ExitStatus
from tracer.reports.json_report import render

RULES = Rules({"kafka": AssumptionRule(markers=frozenset({"kafka"}))}, contracts=(Contract("marker", "unit", "none"),))
BLIND = "tests/test_orders.py::TestCheckout::test_stores"
OVER = "tests/test_events.py::test_encoding"


def suite(*, complete: bool = True) -> Classification:
    known = [
        facts("tests/test_orders.py", markers=["unit"], bases=["test_orders.TestCheckout"]),
        facts("tests/test_events.py", markers=["kafka"]),
    ]
    told = {
        BLIND: result(["kafka"], facts=0, evidence=[evidence("kafka")]),
        OVER: result(facts=1),
        "tests/test_events.py::test_read": result(["kafka", "unknown:tcp://10.0.0.1:70"], facts=1),
    }
    return classification(told, known, RULES, replace(RUN, complete=complete))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a report, and no configuration in sight."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "report.json").write_bytes(b"".join(render(suite())))
    return tmp_path


@pytest.mark.parametrize("command", [["validate", "report.json"], ["report", "report.json"]])
@pytest.mark.parametrize(
    ("fail_on", "status", "told"),
    [
        ("", 0, ""),
        ("loss", 0, ""),
        ("blind-spots", ExitStatus.BLIND_SPOTS, f"1 blind spot, such as kafka {BLIND} [findings]"),
        ("contracts", ExitStatus.CONTRACT_BROKEN, "1 broken contract, such as marker:unit=none "),
        ("over-assumed", ExitStatus.OVER_ASSUMED, f"1 over-assumption, such as kafka {OVER}"),
        ("unknown", ExitStatus.UNKNOWN_ENDPOINT, "1 unknown endpoint, such as tcp://10.0.0.1:70 [findings]"),
        ("refused", 0, ""),
        ("unknown, over-assumed,blind-spots", ExitStatus.BLIND_SPOTS, "1 blind spot, 1 over-assumption, 1 unknown"),
    ],
)
def test_findings_give_their_status(
    here: Path, capfd: pytest.CaptureFixture[str], command: list[str], fail_on: str, status: int, told: str
) -> None:
    assert main([*command, *(["--fail-on", fail_on] if fail_on else [])]) == status
    error = capfd.readouterr().err
    assert told in error
    assert bool(error) == bool(status)


def test_uses_of_refused_services_give_their_status(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = replace(suite().run, refused=(RefusedService("redis", 1),))
    refused = {"redis": RefusedUse((BLIND,), 1, {"itself": 1}, 0, ())}
    (here / "report.json").write_bytes(b"".join(render(replace(suite(), run=run, refused=refused))))
    assert main(["report", "report.json", "--fail-on", "refused"]) == ExitStatus.REFUSED
    assert f"1 use of a refused service, such as redis {BLIND}" in capfd.readouterr().err


def test_a_loss_goes_before_all_else(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "report.json").write_bytes(b"".join(render(suite(complete=False))))
    assert main(["validate", "report.json", "--fail-on", "blind-spots,loss"]) == ExitStatus.INCOMPLETE
    assert "the run is not complete" in capfd.readouterr().err


def test_a_kind_that_is_none_is_wrong_usage(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "report.json", "--fail-on", "blindspots"]) == ExitStatus.USAGE
    assert "'blindspots' is not one of loss, blind-spots" in capfd.readouterr().err


def test_what_the_baseline_accepts_does_not_fail(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fail_on = ["--fail-on", "blind-spots,over-assumed"]
    assert main(["validate", "report.json", *fail_on, "--write-baseline", "accepted"]) == 0
    lines = [line for line in (here / "accepted").read_text().splitlines() if not line.startswith("#")]
    assert lines == [f"blind-spots kafka {BLIND}", f"over-assumed kafka {OVER}"]
    for command in ("validate", "report"):
        assert main([command, "report.json", *fail_on, "--baseline", "accepted"]) == 0
    gone = "tests/test_orders.py::test_gone"
    (here / "accepted").write_text(f"{lines[1]}\nblind-spots kafka {gone}\n")
    assert capfd.readouterr().err == "svc-trace: wrote 2 findings to accepted\n"
    assert main(["validate", "report.json", *fail_on, "--baseline", "accepted"]) == ExitStatus.BLIND_SPOTS
    told = capfd.readouterr().out
    assert "Baseline: 1 accepted, 3 new, 1 of tests that are gone" in told
    assert f"    blind-spots kafka {gone}\n" in told


def test_only_tests_that_ran_can_make_a_line_of_the_baseline_obsolete(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "tests").mkdir()
    (here / "tests/test_orders.py").touch()
    (here / "tests/test_other_shard.py").touch()
    one = suite()
    skipped = "tests/test_events.py::test_skipped"
    tests = {**one.tests, skipped: result(outcome="skipped", facts=1)}
    (here / "report.json").write_bytes(b"".join(render(classification(tests, one.facts, RULES))))
    absent = {
        "fixed": "tests/test_events.py::test_read",
        "gone": "tests/test_orders.py::test_gone tests/test_removed.py::test_gone",
        "skipped": skipped,
        "not_run": "tests/test_other_shard.py::test_it",
    }
    lines = [f"blind-spots kafka {nodeid}\n" for nodeids in absent.values() for nodeid in nodeids.split()]
    (here / "accepted").write_text("".join(lines))
    assert main(["validate", "report.json", "--baseline", "accepted", "--format", "json"]) == 0
    findings = json.loads(capfd.readouterr().out)["findings"]
    assert {key: " ".join(one["nodeid"] for one in findings[key]) for key in absent} == absent
    assert main(["validate", "report.json", "--baseline", "accepted"]) == 0
    page = capfd.readouterr().out
    assert "1 no longer found, 2 of tests that are gone, 1 of skipped tests, 1 of tests that did not run" in page


def unruled(here: Path) -> None:
    one = suite()
    (here / "report.json").write_bytes(b"".join(render(classification(one.tests, one.facts, Rules()))))


@pytest.mark.parametrize("command", ["validate", "report"])
@pytest.mark.parametrize("kind", ["blind-spots", "over-assumed", "contracts"])
def test_a_gate_without_rules_is_an_error(
    here: Path, capfd: pytest.CaptureFixture[str], command: str, kind: str
) -> None:
    unruled(here)
    assert main([command, "report.json", "--fail-on", kind]) == ExitStatus.BAD_CONFIG
    error = capfd.readouterr().err
    assert f"--fail-on {kind} has nothing to check" in error
    assert "[no-rules]" in error
    assert (str(here) in error) == (command == "validate")  # `report` reads no configuration for a report


def test_a_gate_that_needs_no_rules_is_open(here: Path) -> None:
    unruled(here)
    assert main(["validate", "report.json", "--fail-on", "loss"]) == 0


def test_a_configuration_without_assumptions_is_named(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "svc-trace.toml").write_text("[services.billing]\nports = [7070]\n")
    assert main(["validate", "report.json", "--fail-on", "blind-spots"]) == ExitStatus.BAD_CONFIG
    assert "svc-trace.toml has no assumptions" in capfd.readouterr().err


def test_without_kinds_all_findings_are_accepted(here: Path) -> None:
    assert main(["validate", "report.json", "--write-baseline", "accepted"]) == 0
    kinds = "blind-spots,contracts,over-assumed,unknown"
    assert main(["validate", "report.json", "--fail-on", kinds, "--baseline", "accepted"]) == 0


def test_the_rules_are_those_of_the_configuration_here(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "svc-trace.toml").write_text('[assumptions.kafka]\npaths = ["tests/**"]\n')
    assert main(["validate", "report.json", "--format", "json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["rules"] == "svc-trace.toml"
    assert (told["services"]["kafka"]["confirmed"], told["services"]["kafka"]["blind_spots"]) == (2, {})
    assert told["contracts"] == []


def test_without_a_configuration_they_are_those_of_the_report(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "report.json", "--format", "json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["rules"] is None
    assert list(told["services"]["kafka"]["blind_spots"]) == [BLIND]
    assert told["contracts"][0]["violations"] == [BLIND]


def test_several_reports_are_merged(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one = suite()
    mended = {BLIND: replace(one.tests[OVER], services=("kafka",))}
    (here / "report2.json").write_bytes(b"".join(render(replace(one, tests=mended))))
    assert main(["validate", "report*.json", "--format", "markdown"]) == 0
    assert "svc-trace: 3 tests compared with the rules of the report" in capfd.readouterr().out


def test_a_test_is_explained(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "report.json", BLIND]) == 0
    told = capfd.readouterr().out
    assert re.search(r"It uses kafka\.$", told, re.MULTILINE)
    assert "No rule claims that it uses kafka: a blind spot." in told
    assert (
        "    in the call, the test's thread sent to tcp://127.0.0.1:5432: 1 connect, 3 sends, 120 bytes; "
        "first 0.001 s after the test began\n"
    ) in told
    assert main(["explain", "report.json", OVER]) == 0
    told = capfd.readouterr().out
    assert "It uses no service" in told
    assert "The rules claim that it uses kafka (marker kafka). It does not." in told


@pytest.mark.parametrize("wrong", ["test_stores", "tests/test_orders.py::TestCheckout::test_store", "test_storse"])
def test_of_an_unknown_test_the_nearest_are_named(here: Path, capfd: pytest.CaptureFixture[str], wrong: str) -> None:
    assert main(["explain", "report.json", wrong]) == ExitStatus.USAGE
    error = capfd.readouterr().err
    assert f"report.json has no test {wrong} [unknown-test]" in error
    assert BLIND in error
