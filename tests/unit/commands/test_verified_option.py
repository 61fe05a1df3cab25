"""`--verified FILE` of every command that has it: what its output says, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from stored_reports import RULES, stored, svc_trace, using
from suites import evidence, verdict, verification

from tracer.classify.model import TestVerdict
from tracer.commands import main
from tracer.errors import ExitStatus
from tracer.reports.json_report import read_classification
from tracer.reports.output import write_file
from tracer.reports.verify_json import render

REDIS = (evidence("redis"),)
TESTS = {
    "tests/a.py::cached": using("postgres", "redis", evidence=REDIS),
    "tests/a.py::flushed": using("postgres", "redis", evidence=REDIS),
    "tests/a.py::new": using("redis", evidence=REDIS),
    "tests/a.py::odd": using("redis", evidence=REDIS),
    "tests/b.py::leaked": using(ambient=("redis",)),
    "tests/b.py::plain": using(),
    "tests/b.py::session": using(),
}
VERDICTS = {
    "tests/a.py::cached": verdict("needs", "redis"),
    "tests/a.py::flushed": verdict(
        "tolerates", "redis", refused=2, through="fixture:flush", duration_with_s=0.01, duration_without_s=2.5
    ),
    "tests/a.py::odd": verdict("undecided", "redis", reason="flaky"),
    "tests/a.py::gone": verdict("tolerates", "redis"),
    "tests/b.py::leaked": verdict("unaffected"),
    "tests/b.py::session": verdict("needs", "redis", through="session", refused=1),
}


def written(path: Path, tests: Mapping[str, TestVerdict], *without: str) -> str:
    write_file(path, render(verification(tests, *without)))
    return str(path)


@pytest.fixture
def report(tmp_path: Path) -> str:
    return stored(tmp_path / "r.json", TESTS)


@pytest.fixture
def verdicts(tmp_path: Path) -> str:
    return written(tmp_path / "v.json", VERDICTS, "redis")


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        ("--within postgres", ["a.py::flushed", "b.py::leaked", "b.py::plain"]),
        ("--within ''", ["b.py::leaked", "b.py::plain"]),
        ("--within redis,postgres", ["a.py::" + name for name in ("cached", "flushed", "new", "odd")] + ["b"]),
        ("--tier postgres_only", ["a.py::flushed"]),
        ("--tier no_services --no-ambient", ["b.py::leaked", "b.py::plain"]),
        ("--exactly postgres,redis", ["a.py::cached", "a.py::flushed"]),
        ("--within postgres --by file --invert", ["a.py", "b.py"]),
    ],
)
def test_select_leaves_out_services_that_are_not_needed(
    report: str, verdicts: str, options: str, selected: list[str]
) -> None:
    arguments = [option.strip("'") for option in options.split()]
    result = svc_trace("select", report, *arguments, "--verified", verdicts)
    assert result.return_value == 0
    others = ["b.py::leaked", "b.py::plain", "b.py::session"] if selected[-1] == "b" else []
    expected = [*(name for name in selected if name != "b"), *others]
    assert result.stdout.splitlines() == [f"tests/{name}" for name in expected]


def test_select_without_verdicts_is_as_before(report: str) -> None:
    assert svc_trace("select", report, "--within", "postgres").stdout == "tests/b.py::plain\ntests/b.py::session\n"


def test_several_services_that_were_refused_together(report: str, tmp_path: Path) -> None:
    tests = {"tests/a.py::cached": verdict("needs", "postgres", "redis"), "tests/a.py::flushed": verdict("tolerates")}
    both = written(tmp_path / "v.json", tests, "postgres", "redis")
    selected = svc_trace("select", report, "--within", "", "--verified", both).stdout.split()
    assert selected == ["tests/a.py::flushed", "tests/b.py::plain", "tests/b.py::session"]
    assert svc_trace("select", report, "--exactly", "", "--verified", both).return_value == 0


def test_verdicts_of_shards_are_found_by_a_pattern_and_united(report: str, tmp_path: Path) -> None:
    written(tmp_path / "v1.json", {"tests/a.py::flushed": verdict("tolerates", "redis")}, "redis")
    written(
        tmp_path / "v2.json.gz",
        {name: verdict("needs") for name in ("tests/a.py::new", "tests/a.py::flushed")},
        "redis",
    )
    options = ("--within", "postgres", "--verified")
    assert "flushed" in svc_trace("select", report, *options, tmp_path / "v1*").stdout
    assert "flushed" not in svc_trace("select", report, *options, tmp_path / "v*").stdout, "they conflict"
    twice = svc_trace("select", report, *options, tmp_path / "v1.json", "--verified", tmp_path / "v2.json.gz")
    assert twice.stdout == svc_trace("select", report, *options, tmp_path / "v*").stdout


@pytest.mark.parametrize("command", ["merge", "report"])
def test_the_report_that_is_written_has_the_verdicts(report: str, verdicts: str, tmp_path: Path, command: str) -> None:
    output = tmp_path / "o.json"
    result = svc_trace(command, report, "-o", output, "--verified", verdicts)
    assert result.return_value == 0
    assert "\nWithout  Need it  Tolerate  Unaffected  Undecided  No verdict\n" in result.stdout
    assert "\nredis          2         1           1          1           2\n" in result.stdout
    assert read_classification(output).verified == (verification(dict(sorted(VERDICTS.items())), "redis"),)
    selected = svc_trace("select", output, "--within", "postgres")
    assert selected.stdout == svc_trace("select", report, "--within", "postgres", "--verified", verdicts).stdout
    again = svc_trace(command, output, "-o", tmp_path / "again.json", "--verified", verdicts)
    assert again.return_value == 0
    assert read_classification(tmp_path / "again.json").verified == read_classification(output).verified


def test_the_summary_counts_the_tests_that_need_a_service(report: str, verdicts: str) -> None:
    listed = svc_trace("report", report, "--tests", "--service", "redis", "--verified", verdicts).stdout
    assert listed.startswith("\nredis: 4 tests; 2 need it, 1 only use it\n")
    plain = svc_trace("report", report, "--tests", "--service", "redis").stdout
    assert plain.startswith("\nredis: 4 tests\n")
    assert "Need it" not in plain
    markdown = svc_trace("report", report, "--format", "markdown", "--verified", verdicts).stdout
    assert "| redis | 2 | 1 | 1 | 1 | 2 |" in markdown


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ("a.py::cached", "It needs redis: without, it failed.\n"),
        (
            "a.py::flushed",
            "It uses redis through fixture flush, but does not need it: without, it passed in\n"
            "2.50 s instead of 10 ms. 2 attempts were refused.\n",
        ),
        ("a.py::odd", "Whether it needs redis is undecided: flaky: equal runs had different outcomes.\n"),
        ("b.py::leaked", "It does not need redis, and does not use it: without, it passed.\n"),
        (
            "b.py::session",
            "It needs redis through what pytest does outside of tests: without, it failed. 1\nattempt was refused.\n",
        ),
    ],
)
def test_explain_says_what_became_of_a_test(report: str, verdicts: str, test: str, sentence: str) -> None:
    result = svc_trace("explain", report, f"tests/{test}", "--verified", verdicts)
    assert result.return_value == 0
    assert sentence in result.stdout
    assert sentence not in svc_trace("explain", report, f"tests/{test}").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("select", "REPORT", "--within", ""),
        ("validate", "REPORT"),
        ("explain", "REPORT", "tests/a.py::odd"),
        ("report", "REPORT"),
        ("merge", "REPORT", "-o", "/dev/null"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_each_status(
    report: str, verdicts: str, tmp_path: Path, arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.json").write_text(Path(verdicts).read_text().replace("verify/1", "verify/2"))
    command = [report if word == "REPORT" else word for word in arguments]
    for file, status, message in (
        (verdicts, 0, ""),
        (str(tmp_path / "wrong.json"), ExitStatus.BAD_INPUT, "not 'svc-trace-verify/1' [bad-verdicts]"),
        (report, ExitStatus.BAD_INPUT, "its schema is 'svc-trace/1', not 'svc-trace-verify/1' [bad-verdicts]"),
        (str(tmp_path / "missing.json"), ExitStatus.BAD_INPUT, "No such file or directory [cannot-read]"),
        (str(tmp_path / "missing-*"), ExitStatus.BAD_INPUT, "missing-* [no-reports]"),
    ):
        assert main([*command, "--verified", file]) == status
        error = capfd.readouterr().err
        assert message in error
        if status:
            assert len(error.splitlines()) == 2


def test_nothing_selected_has_its_status_with_verdicts_too(report: str, tmp_path: Path) -> None:
    needed = written(tmp_path / "v.json", {nodeid: verdict("needs", "redis") for nodeid in TESTS}, "redis")
    assert main(["select", report, "--within", "postgres", "--verified", needed]) == ExitStatus.NOTHING_SELECTED


def test_the_rules_of_the_reports_are_unchanged(report: str, verdicts: str, tmp_path: Path) -> None:
    svc_trace("merge", report, "-o", tmp_path / "o.json", "--verified", verdicts)
    text = json.loads((tmp_path / "o.json").read_text())
    assert read_classification(tmp_path / "o.json").rules == RULES
    assert text["summary"]["services"] == {"redis": 4, "postgres": 2}, "what tests use"
