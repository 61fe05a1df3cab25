from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from stored_reports import stored, svc_trace, using

from tracer.errors import SvcTraceError

TERMINAL = "1 of 2 tests needs redis"


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """The options for two runs: without Redis, one of two tests fails."""
    both = {"a.py::needs": using("redis"), "a.py::passes": using()}
    refused = {"a.py::needs": using("redis", outcome="failed"), "a.py::passes": using()}
    before, after = stored(tmp_path / "with.json", both), stored(tmp_path / "without.json", refused)
    return ["--against", before, "-o", str(tmp_path / "verdicts.json"), after]


def test_verdicts_are_written_and_printed(runs: list[str], tmp_path: Path) -> None:
    result = svc_trace("verify", "--without", "redis", *runs)
    assert result.return_value == 0
    assert TERMINAL in result.stdout
    verdicts = json.loads((tmp_path / "verdicts.json").read_text())
    assert (verdicts["command"], verdicts["without"]) == (["pytest"], ["redis"])
    assert {nodeid: test["verdict"] for nodeid, test in verdicts["tests"].items()} == {
        "a.py::needs": "needs",
        "a.py::passes": "unaffected",
    }
    assert json.loads(svc_trace("verify", "--without", "redis", *runs, "--format", "json").stdout)["tests"]


def test_several_services(runs: list[str], tmp_path: Path) -> None:
    svc_trace("verify", "--without", "redis, postgres", *runs)
    assert json.loads((tmp_path / "verdicts.json").read_text())["without"] == ["postgres", "redis"]


@pytest.mark.parametrize("services", ["redsi", "", "redis,"])
def test_a_service_that_does_not_exist(services: str, runs: list[str], tmp_path: Path) -> None:
    error = svc_trace("verify", "--without", services, *runs).exception
    assert isinstance(error, click.UsageError)
    assert not (tmp_path / "verdicts.json").exists()


def test_a_report_that_does_not_exist(runs: list[str]) -> None:
    error = svc_trace("verify", "--without", "redis", *runs[:-1], "missing.json").exception
    assert isinstance(error, SvcTraceError)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("-- pytest", "Give one of --without and --tier."),
        ("--without redis --tier postgres_only -- pytest", "Give one of --without and --tier."),
        ("--without redis", "Give either `-- CMD...`, or REPORTs"),
        ("--without redis --", "Give either `-- CMD...`, or REPORTs"),
        ("--without redis {without} -- pytest", "Give either `-- CMD...`, or REPORTs"),
        ("--without redis --against {with} sh", "To run 'sh', write `--` before it."),
        ("--without redis {without}", "--against must name a report"),
        ("--tier postgres_only --against {with} {without}", "--tier needs a CMD."),
        ("--without redis --repeat 2 --against {with} {without}", "--repeat needs a CMD."),
        ("--without redis --strict -- pytest", "--strict needs --tier."),
        ("--tier postgres_only --all -- pytest", "--tier runs all tests of the tier"),
        ("--tier postgres_onyl -- pytest", "no tier 'postgres_onyl'. Did you mean 'postgres_only'?"),
        ("--without redsi --against {with} -- pytest", "no service 'redsi'. Did you mean 'redis'?"),
        ("--without redsi -- pytest", "no service 'redsi'. Did you mean 'redis'?"),
    ],
)
def test_wrong_usage(line: str, problem: str, runs: list[str]) -> None:
    _, before, _, _, after = runs
    error = svc_trace("verify", *line.format(**{"with": before, "without": after}).split()).exception
    assert isinstance(error, click.UsageError)
    assert problem in error.message


@pytest.mark.parametrize(
    ("line", "slug"),
    [
        ("--without redis -- pytest -x", "stops-early"),
        ("--tier the_rest --config {config} -- pytest", "unlimited-tier"),
        ("--without redis --against missing.json -- pytest", "cannot-read"),
        ("--without redis -o missing/out.json -- pytest", "cannot-write"),
        ("--without redis --config missing.toml -- pytest", "config-unreadable"),
    ],
)
def test_an_error_before_anything_runs(line: str, slug: str, tmp_path: Path) -> None:
    config = tmp_path / "svc-trace.toml"
    config.write_text("[[tiers]]\nname = 'the_rest'\n")
    error = svc_trace("verify", *line.format(config=config).split()).exception
    assert isinstance(error, SvcTraceError)
    assert error.slug == slug
