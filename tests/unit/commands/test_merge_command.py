from __future__ import annotations

import gzip
import json
from pathlib import Path

import click
import pytest
from stored_reports import RULES, stored, svc_trace, using

from tracer.classify.services.rules import Rules
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.json_report import read_classification


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    """Two shards' reports, the second packed and of a run that lost events."""
    return [
        stored(tmp_path / "shard-1" / "r.json", {"tests/a.py::x": using("postgres"), "tests/a.py::y": using()}),
        stored(
            tmp_path / "shard-2" / "r.json.gz",
            {"tests/snuba/b.py::x": using("snuba")},
            started_at="2026-11-20T21:46:00Z",
            complete=False,
            lost_events=7,
        ),
    ]


def failure(*arguments: str | Path) -> SvcTraceError:
    error = svc_trace(*arguments).exception
    assert isinstance(error, SvcTraceError)
    return error


def test_shards_become_one_report(shards: list[str], tmp_path: Path) -> None:
    result = svc_trace("merge", *shards, "-o", tmp_path / "all.json")
    assert result.return_value == 0
    assert "svc-trace: 3 tests of 2 runs in 3.00 s, traced by libbpf: NOT COMPLETE" in result.stdout
    assert f"report: {tmp_path}/all.json" in result.stdout
    merged = read_classification(tmp_path / "all.json")
    assert list(merged.tests) == ["tests/a.py::x", "tests/a.py::y", "tests/snuba/b.py::x"]
    assert [run.complete for run in merged.runs] == [True, False]
    assert merged.summary.tiers == {"no_services": 1, "postgres_only": 1, "snuba_tier": 1, "the_rest": 0}


def test_every_way_to_name_and_group_them_gives_the_same_bytes(shards: list[str], tmp_path: Path) -> None:
    svc_trace("merge", *shards, "-o", tmp_path / "all.json")
    svc_trace("merge", tmp_path / "**" / "r.json*", "-o", tmp_path / "found.json.gz")
    svc_trace("merge", shards[1], tmp_path / "all.json", shards[1], "-o", tmp_path / "again.json")
    expected = (tmp_path / "all.json").read_bytes()
    assert gzip.decompress((tmp_path / "found.json.gz").read_bytes()) == expected
    assert (tmp_path / "again.json").read_bytes() == expected


def test_a_merged_report_is_reported_as_any_other(shards: list[str], tmp_path: Path) -> None:
    printed = svc_trace("merge", *shards, "-o", tmp_path / "all.json", "--format", "markdown").stdout
    assert svc_trace("report", tmp_path / "all.json", "--format", "markdown").stdout == printed
    assert "| `tests/snuba` | 1 | snuba 1 (100%) | snuba_tier 1 (100%) |" in printed
    sentry = svc_trace("report", tmp_path / "all.json", "--format", "sentry").stdout
    assert json.loads(sentry)["tests"]["tests/a.py::x"] == ["postgres"]
    folders = svc_trace("report", tmp_path / "all.json", "--directories", "1").stdout
    assert "\ntests  3 tests\n  postgres 1 (33%), snuba 1 (33%)\n" in folders


@pytest.mark.parametrize(("expect", "fails"), [(1, False), (2, False), (3, True)])
def test_missing_shards_are_an_error(shards: list[str], tmp_path: Path, expect: int, fails: bool) -> None:
    error = svc_trace("merge", *shards, "-o", tmp_path / "all.json", "--expect", str(expect)).exception
    assert (tmp_path / "all.json").exists()
    assert isinstance(error, SvcTraceError) == fails
    if isinstance(error, SvcTraceError):
        assert error.message == "the report has 2 runs, not 3"
        assert (error.slug, error.exit_code) == ("missing-runs", ExitStatus.INCOMPLETE)


def test_strict_asks_for_complete_runs(shards: list[str], tmp_path: Path) -> None:
    output = tmp_path / "all.json"
    assert svc_trace("merge", shards[0], "-o", output, "--strict").return_value == 0
    error = failure("merge", *shards, "-o", output, "--strict")
    assert (error.slug, error.exit_code) == ("incomplete", ExitStatus.INCOMPLETE)
    assert output.exists()


def test_reports_of_different_rules_are_refused(shards: list[str], tmp_path: Path) -> None:
    other = stored(tmp_path / "other.json", {"tests/a.py::x": using("redis")}, Rules())
    error = failure("merge", shards[0], other, "-o", tmp_path / "all.json")
    assert error.message == f"{shards[0]} and {other} were made with different rules"
    assert (error.slug, error.exit_code) == ("different-rules", ExitStatus.BAD_INPUT)
    assert not (tmp_path / "all.json").exists()


def test_a_configuration_judges_what_different_rules_made(shards: list[str], tmp_path: Path) -> None:
    other = stored(tmp_path / "other.json", {"tests/a.py::x": using("redis")}, Rules())
    (tmp_path / "svc-trace.toml").write_text('[[tiers]]\nname = "light"\nwithin = ["postgres", "redis"]\n')
    config = ("--config", tmp_path / "svc-trace.toml")
    assert svc_trace("merge", shards[0], other, "-o", tmp_path / "all.json", *config).return_value == 0
    merged = read_classification(tmp_path / "all.json")
    assert merged.tests["tests/a.py::x"].services == ("postgres", "redis")
    assert merged.summary.tiers == {"light": 2}
    assert svc_trace("merge", tmp_path / "all.json", shards[1], "-o", tmp_path / "b.json", *config).return_value == 0
    assert len(read_classification(tmp_path / "b.json").runs) == 2


@pytest.mark.parametrize(("name", "slug"), [("nothing-*.json", "no-reports"), ("nothing.json", "cannot-read")])
def test_a_missing_file_is_an_error(shards: list[str], tmp_path: Path, name: str, slug: str) -> None:
    error = failure("merge", shards[0], tmp_path / name, "-o", tmp_path / "all.json")
    assert str(tmp_path / name) in error.message
    assert (error.slug, error.exit_code) == (slug, ExitStatus.BAD_INPUT)


def test_a_damaged_report_is_named_and_nothing_written(shards: list[str], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(Path(shards[0]).read_bytes()[:-200])
    error = failure("merge", *shards, damaged, "-o", tmp_path / "all.json")
    assert (error.slug, str(damaged) in error.message) == ("bad-report", True)
    assert not (tmp_path / "all.json").exists()


def test_a_file_may_be_named_like_a_pattern(tmp_path: Path) -> None:
    odd = stored(tmp_path / "shard[1].json", {"a.py::x": using()}, RULES)
    assert svc_trace("merge", odd, "-o", tmp_path / "all.json").return_value == 0


def test_a_misspelt_service_is_wrong_usage_and_nothing_written(shards: list[str], tmp_path: Path) -> None:
    result = svc_trace(
        "merge", *shards, "-o", tmp_path / "all.json", "--tests", "--service", "snuba", "--service", "snub"
    )
    assert isinstance(result.exception, click.UsageError)
    assert "There is no service 'snub'. Did you mean 'snuba'?" in result.exception.message
    assert not (tmp_path / "all.json").exists()


def test_no_report_at_all_is_wrong_usage(tmp_path: Path) -> None:
    assert isinstance(svc_trace("merge", "-o", tmp_path / "all.json").exception, click.UsageError)


@pytest.mark.parametrize("form", ["json", "sentry", "markdown"])
def test_options_that_a_format_cannot_follow_are_wrong_usage(shards: list[str], tmp_path: Path, form: str) -> None:
    option = ["--tests"] if form == "markdown" else ["--directories", "2"]
    result = svc_trace("merge", *shards, "-o", tmp_path / "all.json", "--format", form, *option)
    assert isinstance(result.exception, click.UsageError)
    assert not (tmp_path / "all.json").exists()
