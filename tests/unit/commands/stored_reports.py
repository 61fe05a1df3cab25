"""Small reports, as files: tests by node id and the services that they use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tracer.classify.classification import assemble
from tracer.classify.model import RunInfo, TestResult
from tracer.classify.services.rules import Rules, Tier
from tracer.cli import cli
from tracer.reports import json_report
from tracer.reports.output import write_file

RULES = Rules(
    tiers=(
        Tier("no_services", within=frozenset()),
        Tier("postgres_only", within=frozenset({"postgres"})),
        Tier("snuba_tier", any=frozenset({"snuba"})),
        Tier("the_rest"),
    )
)


def using(*services: str, **others: Any) -> TestResult:  # noqa: ANN401 -- a test's other fields
    told = {"outcome": "passed", "ambient": (), "self_hosted": (), "assumed": (), "facts": None, "evidence": ()}
    return TestResult(attempts=1, services=services, **{"duration_s": 0.25, **told, **others})


def stored(path: Path, tests: Mapping[str, TestResult], rules: Rules = RULES, **run: Any) -> str:  # noqa: ANN401
    """Write a report, packed if it is named so; returns its path."""
    about: dict[str, Any] = {
        "command": ("pytest",),
        "backend": "libbpf",
        "kernel": "6.18.0",
        "started_at": "2026-11-20T21:45:00Z",
        "duration_s": 1.5,
        "exit_status": 0,
        "complete": True,
        "lost_events": 0,
        "warnings": (),
        "lacks_causes": "",
    }
    one = assemble(
        tests, (), rules, run=RunInfo(**{**about, **run}), run_evidence=(), generated_at="2026-11-20T22:00:00Z"
    )
    path.parent.mkdir(exist_ok=True)
    write_file(path, json_report.render(one))
    return str(path)


def svc_trace(*arguments: str | Path) -> Result:
    """Run a command in this process; an error is the result's exception."""
    return CliRunner().invoke(cli, list(map(str, arguments)), standalone_mode=False)
