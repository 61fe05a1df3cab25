from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from stored_reports import stored, svc_trace, using

from tracer.classify.services.rules import Rules
from tracer.commands import main
from tracer.errors import ExitStatus, SvcTraceError

TESTS = {
    "tests/a.py::x": using(),
    "tests/a.py::A::y[1]": using("postgres"),
    "tests/b.py::x": using("postgres", ambient=("kafka",)),
    "tests/b.py::B::y": using("snuba"),
}


@pytest.fixture
def report(tmp_path: Path) -> str:
    return stored(tmp_path / "r.json", TESTS)


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        ("--tier no_services", "tests/a.py::x"),
        ("--tier postgres_only", "tests/a.py::A::y[1]"),
        ("--tier postgres_only --no-ambient", "tests/a.py::A::y[1] tests/b.py::x"),
        ("--tier no_services --tier snuba_tier", "tests/a.py::x tests/b.py::B::y"),
        ("--tier the_rest", "tests/b.py::x"),
        ("--within postgres", "tests/a.py::x tests/a.py::A::y[1]"),
        ("--within postgres,kafka", "tests/a.py::x tests/a.py::A::y[1] tests/b.py::x"),
        ("--within postgres --invert", "tests/b.py::x tests/b.py::B::y"),
        ("--within postgres --by class", "tests/a.py::x tests/a.py::A"),
        ("--within postgres --by file", "tests/a.py"),
        ("--tier snuba_tier --by file", "tests/b.py"),
        ("--exactly postgres", "tests/a.py::A::y[1] tests/b.py::x"),
        ("--exactly postgres --invert", "tests/a.py::x tests/b.py::B::y"),
        ("--exactly postgres --by class", "tests/a.py::A tests/b.py::x"),
        ("--exactly snuba,postgres --by file", "tests/b.py"),
    ],
)
def test_what_is_selected(report: str, options: str, selected: str) -> None:
    result = svc_trace("select", report, *options.split())
    assert result.return_value == 0
    assert result.stdout.splitlines() == selected.split()


def test_each_test_is_in_one_tier_whatever_the_unit(report: str) -> None:
    tiers = ("no_services", "postgres_only", "snuba_tier", "the_rest")
    for unit, number in (("test", 4), ("class", 4), ("file", 2)):
        told = [svc_trace("select", report, "--tier", tier, "--by", unit).stdout.split() for tier in tiers]
        assert len({name for names in told for name in names}) == sum(map(len, told)) == number


def test_no_services_are_given_as_nothing(report: str) -> None:
    assert svc_trace("select", report, "--within", "").stdout == "tests/a.py::x\n"


def test_one_test_is_one_test(tmp_path: Path) -> None:
    report = stored(tmp_path / "r.json", {"tests/a.py::x": using()})
    for unit, noun in (("test", "test"), ("class", "class or function"), ("file", "file")):
        told = svc_trace("select", report, "--within", "", "--by", unit).stderr
        assert told == f"svc-trace: selected 1 of 1 {noun}\n"


COMBINATIONS = {  # what the summary calls it → the tests that use exactly this
    "none": {"a.py::none", "a.py::ambient", "a.py::own"},
    "postgres": {"a.py::pg", "b.py::crashed"},
    "(unknown)": {"b.py::unknown", "b.py::other"},
    "postgres + (unknown)": {"b.py::both"},
    "postgres + redis": {"c.py::redis[a b]"},
}


def combined(path: Path) -> str:
    return stored(
        path,
        {
            "a.py::none": using(assumed=("postgres",), outcome="failed"),
            "a.py::ambient": using(ambient=("kafka",)),
            "a.py::own": using(self_hosted=("redis", "unknown:tcp://127.0.0.1:41000")),
            "a.py::pg": using("postgres"),
            "b.py::crashed": using("postgres", outcome="crashed"),
            "b.py::unknown": using("unknown:unix:///tmp/a,b (c)"),
            "b.py::other": using("unknown:tcp://10.0.0.1:70", "unknown:tcp://10.0.0.1:71"),
            "b.py::both": using("postgres", "unknown:tcp://10.0.0.1:70"),
            "c.py::redis[a b]": using("postgres", "redis"),
        },
        Rules(),
    )


@pytest.mark.parametrize("width", ["80", "200"])
def test_the_summarys_commands_print_the_tests_of_each_combination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    report = combined(tmp_path / "a report.json")
    summary = svc_trace("report", report).stdout
    commands = re.findall(r"svc-trace (select .*)", summary)
    printed = [frozenset(svc_trace(*shlex.split(command)).stdout.splitlines()) for command in commands]
    assert set(printed) == set(map(frozenset, COMBINATIONS.values()))
    assert len(printed) == len(COMBINATIONS)
    for name, tests in COMBINATIONS.items():
        assert re.search(rf"^{re.escape(name)} +{len(tests)}\b", summary, re.MULTILINE)


def test_the_commands_in_markdown_are_the_same(tmp_path: Path) -> None:
    report = combined(tmp_path / "r.json")
    terminal = svc_trace("report", report).stdout
    markdown = svc_trace("report", report, "--format", "markdown").stdout
    assert re.findall(r"svc-trace select .*", terminal) == re.findall(r"`(svc-trace select .*)`", markdown)


def test_a_report_that_was_written_is_what_the_commands_name(tmp_path: Path) -> None:
    report, other = combined(tmp_path / "r.json"), str(tmp_path / "o.json")
    assert f"svc-trace select {other} --exactly ''" in svc_trace("report", report, "-o", other).stdout
    merged = svc_trace("merge", report, "-o", other).stdout
    assert f"svc-trace select {other} --exactly ''" in merged


def test_a_combination_has_no_test_that_the_report_lacks(tmp_path: Path) -> None:
    report = combined(tmp_path / "r.json")
    (tmp_path / "collected").write_text("a.py::new\na.py::pg\nb.py::both\n\n")
    options = ("--collected", tmp_path / "collected")
    assert svc_trace("select", report, "--exactly", "postgres", *options).stdout == "a.py::pg\n"
    assert svc_trace("select", report, "--exactly", "postgres,(unknown)", *options).stdout == "b.py::both\n"
    assert svc_trace("select", report, "--exactly", "(unknown)", *options).stdout == ""


def test_several_reports_are_one(report: str, tmp_path: Path) -> None:
    other = stored(tmp_path / "o.json", {"tests/a.py::x": using("redis")}, started_at="2026-11-21T00:00:00Z")
    assert svc_trace("select", report, other, "--within", "postgres").stdout == "tests/a.py::A::y[1]\n"


def test_what_pytest_collects_now_is_what_is_selected_from(tmp_path: Path) -> None:
    """Through pytest and back: new and renamed tests are in the widest tier only, and tests that are gone in none."""
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('p', ['b c', 'd::e[1]', 'é\\n'])\n"
        "def test_known(p): pass\n"
        "class TestNew:\n"
        "    def test_renamed(self): pass\n"
    )
    pytest_ = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir", str(tmp_path))
    collected = subprocess.run([*pytest_, "--collect-only"], cwd=tmp_path, capture_output=True, check=True).stdout
    known = [r"test_a.py::test_known[\xe9\n]", "test_a.py::test_known[b c]", "test_a.py::test_known[d::e[1]]"]
    report = stored(tmp_path / "r.json", {nodeid: using() for nodeid in [*known, "test_a.py::test_gone"]})
    (tmp_path / "collected").write_bytes(collected)

    narrow = svc_trace("select", report, "--tier", "no_services", "--collected", tmp_path / "collected")
    assert sorted(narrow.stdout.splitlines()) == known
    assert "selected 3 of 4 tests; nothing is known about 1 test," in narrow.stderr
    for unit, widest in (("test", "test_a.py::TestNew::test_renamed\n"), ("file", "test_a.py\n")):
        options = ("--by", unit, "--collected", tmp_path / "collected")
        assert svc_trace("select", report, "--tier", "the_rest", *options).stdout == widest

    (tmp_path / "selected").write_bytes(narrow.stdout_bytes)
    ran = subprocess.run([*pytest_, f"@{tmp_path}/selected"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "3 passed" in ran.stdout


def test_the_collection_may_come_by_a_pipe(report: str) -> None:
    collected = "some noise\ntests/a.py::x\ntests/new.py::x\n\nwarning: tests/b.py::x\n2 tests collected in 0.1s\n"
    program = (
        sys.executable,
        "-m",
        "tracer",
        "select",
        report,
        "--tier",
        "no_services",
        "--invert",
        "--collected",
        "-",
    )
    result = subprocess.run(program, input=collected, capture_output=True, text=True, check=True)
    assert result.stdout == "tests/new.py::x\n"


@pytest.mark.parametrize("collected", ["", "tests/a.py: 5\n\n", "no tests collected in 0.1s\n"])
def test_a_collection_without_node_ids_is_an_error(report: str, tmp_path: Path, collected: str) -> None:
    (tmp_path / "collected").write_text(collected)
    error = svc_trace("select", report, "--within", "redis", "--collected", tmp_path / "collected").exception
    assert isinstance(error, SvcTraceError)
    assert (error.slug, error.exit_code) == ("no-collection", ExitStatus.BAD_INPUT)


def test_nothing_selected_has_a_status_of_its_own(report: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["select", report, "--tier", "no_services", "--by", "file"]) == ExitStatus.NOTHING_SELECTED
    told = capfd.readouterr()
    assert told.out == ""
    assert "no test is selected [nothing-selected]" in told.err


def test_names_end_in_nul_on_request(report: str) -> None:
    assert svc_trace("select", report, "--within", "", "-0").stdout == "tests/a.py::x\0"


def test_an_incomplete_report_is_a_warning_and_with_strict_an_error(tmp_path: Path) -> None:
    report = stored(tmp_path / "r.json", TESTS, complete=False, lost_events=1)
    result = svc_trace("select", report, "--within", "")
    assert result.stdout == "tests/a.py::x\n"
    assert "warning: the report is not complete" in result.stderr
    error = svc_trace("select", report, "--within", "", "--strict").exception
    assert isinstance(error, SvcTraceError)
    assert (error.slug, error.exit_code) == ("incomplete", ExitStatus.INCOMPLETE)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("", "Give one of --tier, --within and --exactly."),
        ("--tier a --within b", "Give one of --tier, --within and --exactly."),
        ("--exactly a --within b", "Give one of --tier, --within and --exactly."),
        ("--exactly postgers", "There is no service 'postgers'. Did you mean 'postgres'?"),
        ("--exactly unknown:tcp://10.0.0.1:70", "give '(unknown)'"),
        ("--within postgers,kafka", "There is no service 'postgers'. Did you mean 'postgres'?"),
        (
            "--tier postgres-only",
            "no tier 'postgres-only'. Did you mean 'postgres_only'?",
        ),
    ],
)
def test_wrong_usage_is_an_error(report: str, options: str, problem: str) -> None:
    error = svc_trace("select", report, *options.split()).exception
    assert isinstance(error, click.UsageError)
    assert problem in error.message


def test_unknown_tests_may_be_guessed(report: str, tmp_path: Path) -> None:
    collected = tmp_path / "collected"
    collected.write_text("tests/a.py::A::new\ntests/b.py::B::y\ntests/new.py::z\n")
    options = ("--within", "postgres", "--collected", collected)
    assert svc_trace("select", report, *options).stdout == ""
    guessed = svc_trace("select", report, *options, "--guess")
    assert guessed.stdout == "tests/a.py::A::new\n"
    assert "guessed 1 test by the tests of its class, not checked" in guessed.stderr  # it has only one known test
    assert "nothing is known about 1 test" in guessed.stderr
    assert isinstance(svc_trace("select", report, "--exactly", "", "--guess").exception, click.UsageError)
