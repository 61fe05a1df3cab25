"""`svc-trace plan`: its shards, their files, and what it says about them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace
from stored_reports import stored, svc_trace, using
from suites import evidence, facts

from tracer.classify.classification import assemble
from tracer.classify.model import RunInfo
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports import json_report

COSTS = ("--start-up", "snuba=60", "--start-up", "postgres=10")
TESTS = {
    **{f"tests/test_a.py::TestA::test_{n}": using("postgres", duration_s=4.0) for n in range(20)},
    **{f"tests/test_b.py::test_b[{n}]": using("snuba", "postgres", duration_s=2.0) for n in range(5)},
    **{f"tests/test_c.py::test_{n}": using(duration_s=1.0) for n in range(10)},
}


@pytest.fixture
def report(tmp_path: Path) -> str:
    return stored(tmp_path / "r.json", TESTS)


def planned(*arguments: str | Path) -> dict[str, Any]:
    result = svc_trace("plan", *arguments, "--format", "json")
    assert result.exception is None, result.exception
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["schema"] == "svc-trace-plan/1"
    return document


def error(*arguments: str | Path) -> str:
    exception = svc_trace("plan", *arguments).exception
    assert isinstance(exception, click.UsageError | SvcTraceError), exception
    return str(exception.format_message() if isinstance(exception, click.UsageError) else exception)


def test_each_test_is_in_one_shard_that_has_its_services(report: str) -> None:
    plan = planned(report, "--shards", "3", *COSTS)
    assert sorted(test for shard in plan["shards"] for test in shard["tests"]) == sorted(TESTS)
    for shard in plan["shards"]:
        assert set(shard["services"]) == {service for test in shard["tests"] for service in TESTS[test].services}
        assert shard["total_s"] == pytest.approx(shard["start_up_s"] + shard["tests_s"])
    assert plan["makespan_s"] == max(shard["total_s"] for shard in plan["shards"])
    assert plan["lower_bound_s"] <= plan["makespan_s"] < plan["everything_s"] <= plan["by_count_s"]
    assert ["snuba" in shard["services"] for shard in plan["shards"]] == [True, False, False]


def test_the_page_says_what_is_saved(report: str) -> None:
    text = svc_trace("plan", report, "--shards", "3", *COSTS).stdout
    assert re.search(r"3 shards, the slowest takes 1 min 1\d s: -\d+% wall clock, -\d+% machine\s+minutes", text)
    assert "guesses" not in text


def test_the_page_says_that_nothing_is_saved(tmp_path: Path) -> None:
    report = stored(tmp_path / "r.json", {f"a.py::test_{n}": using("postgres", duration_s=2.0) for n in range(10)})
    text = svc_trace("plan", report, "--shards", "2", *COSTS).stdout
    assert "no better than every service in every shard" in " ".join(text.split())
    assert "this one is the best" in text


def test_costs_that_were_not_measured_are_named(report: str) -> None:
    text = " ".join(svc_trace("plan", report, "--shards", "2", "--start-up", "snuba=60").stdout.split())
    assert "start-up costs are guesses: postgres 5 s" in text
    assert planned(report, "--shards", "2")["guessed_start_up"] == ["postgres", "snuba"]


def test_costs_of_the_configuration(report: str, tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[services.postgres]\nstart_up_s = 3\n[services.snuba]\nstart_up_s = 100\n")
    plan = planned(report, "--shards", "2", "--config", config, "--start-up", "postgres=4")
    assert plan["start_up_s"] == {"postgres": 4, "snuba": 100}


def test_services_start_at_once_or_one_by_one(report: str) -> None:
    assert planned(report, "--shards", "1", *COSTS)["shards"][0]["start_up_s"] == 60
    assert planned(report, "--shards", "1", *COSTS, "--one-by-one")["shards"][0]["start_up_s"] == 70


def test_workers_share_the_tests(report: str) -> None:
    one, two = (planned(report, "--shards", "1", *COSTS, "--workers", n)["shards"][0]["tests_s"] for n in "12")
    assert (one, two) == (100.0, 50.0)


@pytest.mark.parametrize(("unit", "names"), [("class", 12), ("file", 3), ("test", 35)])
def test_files_name_whole_units(report: str, tmp_path: Path, unit: str, names: int) -> None:
    svc_trace("plan", report, "--shards", "3", "--by", unit, "-o", tmp_path / "out", *COSTS)
    lines = [line for path in (tmp_path / "out").iterdir() for line in path.read_text().splitlines()]
    assert len(lines) == len(set(lines)) == names


def test_no_file_is_empty_and_none_is_left(report: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "shard-9.txt").write_text("tests/test_gone.py")
    (out / "shard-notes.txt").write_text("mine")
    svc_trace("plan", report, "--shards", "9", "--by", "file", "-o", out, *COSTS)
    written = {path.name: path.read_text() for path in out.iterdir()}
    assert set(written) <= {"shard-1.txt", "shard-2.txt", "shard-3.txt", "shard-notes.txt"}
    assert all(written.values())
    assert written["shard-notes.txt"] == "mine"


def test_a_fixture_that_makes_all_tests_need_a_service(tmp_path: Path) -> None:
    wait = evidence("kafka", phase="setup", fixture="wait_for_services", via="fixture:wait_for_services@")
    own = evidence("kafka")
    tests = {
        f"a.py::test_{n}": using("kafka", duration_s=1.0, evidence=(wait, own) if n == 0 else (wait,)) for n in range(9)
    }
    report = stored(tmp_path / "r.json", tests)
    costs = ("--start-up", "kafka=30")
    text = svc_trace("plan", report, "--shards", "2", *costs).stdout
    assert re.search(r"^wait_for_services +8 +kafka$", text, re.MULTILINE)
    plan = planned(report, "--shards", "2", *costs, "--without-fixture", "wait_for_services")
    supposed = plan["without_fixture"]
    assert (supposed["fixture"], supposed["freed"]) == ("wait_for_services", 8)
    assert supposed["makespan_before_s"] > plan["makespan_s"] == 31.0
    assert [shard["services"] for shard in plan["shards"]] == [["kafka"], []]
    assert "Did you mean 'wait_for_services'?" in error(
        report, "--shards", "2", "--without-fixture", "wait_for_service"
    )


def test_tiers(report: str) -> None:
    plan = planned(report, "--shards", "4", "--tiers", "2", *COSTS)
    assert [len(tier["sets"]) for tier in plan["tiers"]][:2] == [1, 2]
    assert len({tuple(shard["services"]) for shard in plan["shards"]}) <= 2
    text = " ".join(svc_trace("plan", report, "--shards", "4", "--tiers", "2", *COSTS).stdout.split())
    assert "Another tier would save nothing." in text or "Another tier would not help." in text


def test_the_cheapest_number_of_shards(report: str) -> None:
    plan = planned(report, "--shards", "auto", "--deadline", "75", *COSTS)
    assert plan["makespan_s"] <= 75
    assert len(plan["shards"]) == 3
    assert planned(report, "--shards", "2", *COSTS)["makespan_s"] > 75
    assert len(planned(report, "--shards", "auto", *COSTS)["shards"]) == 1  # the report is of one run
    assert "the least possible is 62.0 s" in error(report, "--shards", "auto", "--deadline", "61.5", *COSTS)


def test_unknown_tests_run_where_everything_starts(report: str, tmp_path: Path) -> None:
    collected = tmp_path / "collected"
    collected.write_text(
        "tests/test_a.py::TestA::test_0\ntests/test_a.py::TestA::test_new\ntests/test_new.py::test_x\n"
    )
    options = ("--shards", "2", "--collected", collected, *COSTS)
    plan = planned(report, *options)
    assert plan["unknown_tests"] == 2
    (everything,) = [shard for shard in plan["shards"] if "tests/test_new.py::test_x" in shard["tests"]]
    assert everything["services"] == ["postgres", "snuba"]
    guessed = planned(report, *options, "--guess")
    assert guessed["guesses"] == {"class": {"tests": 1, "known": 20, "sufficed": 20}}
    assert guessed["unknown_tests"] == 1
    text = " ".join(svc_trace("plan", report, *options, "--guess").stdout.split())
    assert "1 test by the tests of its class, which suffices for 100% of 20 known tests" in text


def test_durations_of_pytest_split_come_and_go(report: str, tmp_path: Path) -> None:
    text = svc_trace("plan", report, "--shards", "1", "--format", "pytest-split").stdout
    durations = json.loads(text)
    assert durations == {nodeid: test.duration_s for nodeid, test in TESTS.items()}
    assert text == json.dumps(durations, sort_keys=True, indent=4) + "\n"
    file = tmp_path / ".test_durations"
    file.write_text(json.dumps({nodeid: 10 * seconds for nodeid, seconds in durations.items()}))
    assert planned(report, "--shards", "1", "--durations", file)["shards"][0]["tests_s"] == 1000.0
    file.write_text(json.dumps([[nodeid, 1.0] for nodeid in durations]))  # before pytest-split 0.7
    assert planned(report, "--shards", "1", "--durations", file)["shards"][0]["tests_s"] == 35.0
    file.write_text('{"a": -1}')
    assert "as durations" in error(report, "--shards", "1", "--durations", file)


def test_what_ci_reads(report: str) -> None:
    options = ("plan", report, "--shards", "3", *COSTS, "--format")
    (line,) = svc_trace(*options, "github").stdout.splitlines()
    jobs = json.loads(line)["include"]
    assert [job["shard"] for job in jobs] == list(range(1, len(jobs) + 1))
    assert jobs[0] == {"shard": 1, "services": "postgres snuba", "file": "shard-1.txt"}
    commands = svc_trace(*options, "compose").stdout.splitlines()
    assert commands[0] == "docker compose up --detach --wait postgres snuba"
    assert len(commands) == len(jobs)
    gitlab = svc_trace(*options, "gitlab").stdout
    assert gitlab.startswith('.svc-trace-plan:\n  parallel:\n    matrix:\n      - SHARD: "1"\n        SERVICES: ')


def test_a_shard_without_services_starts_nothing(tmp_path: Path) -> None:
    report = stored(tmp_path / "r.json", {"a.py::x": using(), "a.py::y": using("unknown:tcp://10.0.0.1:70")})
    assert svc_trace("plan", report, "--shards", "1", "--format", "compose").stdout == "true\n"
    assert '"services":""' in svc_trace("plan", report, "--shards", "1", "--format", "github").stdout
    assert planned(report, "--shards", "1")["shards"][0]["services"] == ["(unknown)"]
    assert "endpoints that no rule names" in " ".join(svc_trace("plan", report, "--shards", "1").stdout.split())


def test_wrong_options(report: str, tmp_path: Path) -> None:
    assert "Did you mean 'postgres'?" in error(report, "--shards", "2", "--start-up", "postgress=5")
    assert "SERVICE=SECONDS" in error(report, "--shards", "2", "--start-up", "postgres")
    assert "'auto'" in error(report, "--shards", "0")
    assert "--deadline needs" in error(report, "--shards", "2", "--deadline", "5")
    assert "not complete" in error(stored(tmp_path / "i.json", TESTS, complete=False), "--shards", "2", "--strict")


def test_no_tests_is_an_error(tmp_path: Path) -> None:
    exception = svc_trace("plan", stored(tmp_path / "r.json", {}), "--shards", "2").exception
    assert isinstance(exception, SvcTraceError)
    assert exception.exit_code == ExitStatus.NOTHING_SELECTED


def with_groups(path: Path) -> Path:
    """Ten tests, those with odd numbers in one group of xdist."""
    known = (facts("test_a.py"), replace(facts("test_a.py"), group="odd"))
    tests = {f"test_a.py::test_{n}": using("postgres", duration_s=3.0, facts=n % 2) for n in range(10)}
    run = RunInfo(("pytest",), "libbpf", "6.18", "2026-11-20T21:45:00Z", 1.5, 0, True, 0, (), lacks_causes="")
    one = assemble(tests, known, Rules(), run=run, run_evidence=(), generated_at="2026-11-20T22:00:00Z")
    path.write_bytes(b"".join(json_report.render(one)))
    return path


def test_a_group_of_xdist_stays_together(tmp_path: Path) -> None:
    plan = planned(with_groups(tmp_path / "r.json"), "--shards", "3", *COSTS)
    odd = [{int(test[-1]) % 2 for test in shard["tests"]} for shard in plan["shards"]]
    assert sum(1 in numbers for numbers in odd) == 1
    alone = planned(with_groups(tmp_path / "r.json"), "--shards", "1", "--workers", "10", *COSTS)
    assert alone["shards"][0]["tests_s"] == 15.0  # one worker has the whole group


ODD_NAMES = """
import pytest

@pytest.mark.parametrize("p", ["a b", "[x]", "d::e[1]", "#", "-x", "@y", "é", "tab\\t", "'\\"", "\\\\"])
def test_odd(p): pass

@pytest.mark.parametrize("p", [pytest.param(1, id="line\\u2028break"), pytest.param(2, id="plain")])
def test_line(p): pass

class TestMore:
    def test_one(self): pass
    def test_two(self): pass
"""


def test_real_pytest_runs_each_test_of_the_files_once(tmp_path: Path) -> None:
    """Also tests with names that `@FILE` would break: they are selected with their whole function."""
    suite = tmp_path / "a suite"
    suite.mkdir()
    (suite / "test_odd names.py").write_text(ODD_NAMES)
    options = ("-o", "disable_test_id_escaping_and_forfeit_all_rights_to_community_support=true")
    pytest_ = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir", str(suite), *options)

    def run(*arguments: str) -> list[str]:
        """The node ids of the tests that ran."""
        reporter = tmp_path / "reporter.py"
        reporter.write_text(
            "import os\n"
            "def pytest_runtest_logreport(report):\n"
            "    if report.when == 'call':\n"
            "        with open(os.environ['RAN'], 'a', encoding='utf-8') as file:\n"
            "            file.write(ascii(report.nodeid) + '\\n')\n"
        )
        ran = tmp_path / "ran"
        ran.unlink(missing_ok=True)
        environment = os.environ | {"RAN": str(ran), "PYTHONPATH": str(tmp_path)}
        command = [*pytest_, "-p", "reporter", *arguments]
        subprocess.run(command, cwd=suite, env=environment, check=True, capture_output=True)
        return [eval(line) for line in ran.read_text(encoding="utf-8").splitlines()]

    known = run()
    assert len(known) == 14
    services = ((), ("postgres",), ("snuba",))
    report = stored(tmp_path / "r.json", {nodeid: using(*services[n % 3]) for n, nodeid in enumerate(known)})
    out = tmp_path / "out"
    svc_trace("plan", report, "--shards", "4", "-o", out, *COSTS)
    ran = [nodeid for path in sorted(out.iterdir()) for nodeid in run(f"@{path}")]
    assert Counter(ran) == Counter(known)


def test_a_rule_decides_for_new_files(tmp_path: Path) -> None:
    rules = Rules({"snuba": AssumptionRule(paths=("tests/test_b*.py",))})
    tests = {
        **{f"tests/test_a.py::test_{n}": using("postgres", facts=None) for n in range(3)},
        **{f"tests/test_b.py::test_{n}": using("snuba", assumed=("snuba",)) for n in range(3)},
    }
    report = stored(tmp_path / "r.json", tests, rules)
    collected = tmp_path / "collected"
    collected.write_text("tests/test_x.py::test_new\n")
    plan = planned(report, "--shards", "1", "--collected", collected, "--guess")
    assert plan["shards"][0]["services"] == ["postgres"]
    assert plan["guesses"] == {"rules": {"tests": 1, "known": 6, "sufficed": 6}}


def test_services_may_have_other_names_or_none(report: str) -> None:
    plan = planned(report, "--shards", "3", *COSTS, "--map", "postgres=", "--map", "snuba=backend")
    assert {service for shard in plan["shards"] for service in shard["services"]} == {"backend"}
    assert "Did you mean 'snuba'?" in error(report, "--shards", "3", "--map", "snubba=")


def test_other_names_count_where_everything_starts_too(report: str, tmp_path: Path) -> None:
    collected = tmp_path / "collected"
    collected.write_text("tests/new.py::test_x\n")
    options = ("--shards", "1", "--collected", collected, "--start-up", "postgres=1")
    omitted = planned(report, *options, "--map", "snuba=")
    assert (omitted["shards"][0]["services"], omitted["start_up_s"]) == (["postgres"], {"postgres": 1})
    renamed = planned(report, *options, "--map", "snuba=stack", "--start-up", "stack=50")
    assert renamed["shards"][0]["services"] == ["postgres", "stack"]
    assert renamed["shards"][0]["start_up_s"] == 50
