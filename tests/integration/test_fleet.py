"""The queries of docs/fleet.md return the correct rows, in DuckDB, and with `--sql-engine spark` in Spark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fleet_engines import ENGINES, QUERIES, Rows, in_duckdb
from msgspec.structs import replace
from suites import RUN, classification, evidence, result
from test_example_classification import traced

from tracer.classify.model import Evidence, Outcome, RefusedService, TestResult
from tracer.classify.services.rules import Rules
from tracer.reports import json_report
from tracer.reports.output import write_file

SAVE, LIST, PRICE, EVENT = (f"tests/test_shop.py::test_{name}" for name in ("save", "list", "price", "event"))
FLUSH = evidence("redis", fixture="flush_redis", phase="teardown")
USES = """
SELECT tests.nodeid, tests.services, list_sort(array_agg(uses.service) FILTER (WHERE uses.service IS NOT NULL))
FROM tests LEFT JOIN uses ON uses.run = tests.run AND uses.nodeid = tests.nodeid
GROUP BY tests.nodeid, tests.services
"""


def using(*seen: Evidence, seconds: float = 100.0, outcome: Outcome = "passed") -> TestResult:
    services = sorted({one.service for one in seen if one.is_need})
    ambient = sorted({one.service for one in seen if one.how == "ambient"} - {*services})
    return replace(result(services, outcome=outcome, ambient=ambient, evidence=seen), duration_s=seconds)


def export(directory: Path, repository: str, *reports: Path) -> None:
    command = [sys.executable, "-m", "tracer", "export", *reports, "--repository", repository, "-o", "history"]
    subprocess.run(list(map(str, command)), cwd=directory, check=True)


def night(directory: Path, day: str, tests: dict[str, TestResult], *outside: Evidence, **run: Any) -> Path:  # noqa: ANN401
    about = replace(RUN, started_at=f"{day}T02:17:00Z", **run)
    path = directory / f"{day}.json.gz"
    write_file(path, json_report.render(replace(classification(tests, (), Rules(), about), run_evidence=outside)))
    return path


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `history`, the tables of three repositories."""
    directory = tmp_path_factory.mktemp("fleet")
    postgres, redis, kafka = evidence("postgres"), evidence("redis"), evidence("kafka")
    first = {SAVE: using(postgres), LIST: using(postgres), PRICE: using(), EVENT: using(kafka)}
    nights = [
        night(directory, "2026-10-30", first),
        night(directory, "2026-10-31", {name: using(outcome="skipped") for name in first}),
        night(directory, "2026-11-01", first | {SAVE: using(postgres, FLUSH)}),
        night(directory, "2026-11-02", {name: using() for name in first}, complete=False),
        night(directory, "2026-11-03", {name: using() for name in first}, refused=(RefusedService("kafka", 3),)),
        night(
            directory,
            "2026-11-04",
            {
                SAVE: using(postgres, FLUSH),
                LIST: using(postgres, FLUSH, redis),
                PRICE: using(evidence("redis", ambient=True)),
                EVENT: using(evidence("kafka", via="fixture:broker@", fixture="broker", phase="setup")),
            },
        ),
    ]
    export(directory, "shop", *nights)
    (directory / "other").mkdir()
    conftest = replace(postgres, phase="collection", needed_below=(".",))
    bill = {"tests/test_bill.py::test_pay": using(redis, seconds=3.0)}
    billing = night(directory / "other", "2026-11-02", bill, conftest, replace(kafka, phase=None))
    export(directory, "billing", billing)
    return directory


@pytest.fixture(scope="module")
def rows(sql_engine: str, history: Path) -> dict[str, Rows]:
    """The rows of each query."""
    return ENGINES[sql_engine](history, QUERIES)


def answer(rows: dict[str, Rows], question: str) -> Rows:
    (name,) = [heading for heading in rows if question in heading]
    return rows[name]


def test_tests_that_change_services(rows: dict[str, Rows]) -> None:
    """Skipped tests, a night that is not complete, and one without Kafka are not compared."""
    assert answer(rows, "change services between nights") == [
        ["shop", SAVE, "2026-11-01 02:17:00", ["postgres"], ["postgres", "redis"]],
        ["shop", LIST, "2026-11-04 02:17:00", ["postgres"], ["postgres", "redis"]],
    ]


def test_services_whose_share_grows(rows: dict[str, Rows]) -> None:
    assert answer(rows, "share grows") == [["shop", "redis", 0.0, 50.0]]


def minutes(*seconds: float) -> float:
    return round(sum(seconds) / 60, 1)


def test_what_plans_would_have_saved(rows: dict[str, Rows]) -> None:
    """At present 4 shards begin in 60 + 240 s each, and share 400 s of tests: they end after 400 s.

    Until then, a shard without services (60 s) can run 340 s of tests, one with Postgres 335 s, one with Kafka 295 s.
    So each group of tests needs one shard. The test of `billing` needs Postgres, because its conftest does.
    """
    present = 4 * 300
    nothing = 60
    usual = 60 + 65 + 105  # nothing, Postgres, Kafka; Redis costs nothing, because no time is given for it
    assert answer(rows, "month of plans") == [
        ["billing", "2026-11-01 00:00:00", 1, minutes(present, 3), minutes(present - 65)],
        ["shop", "2026-10-01 00:00:00", 2, minutes(2 * (present + 400)), minutes(2 * present - usual - 2 * nothing)],
        ["shop", "2026-11-01 00:00:00", 2, minutes(2 * (present + 400)), minutes(2 * (present - usual))],
    ]


def test_fixtures_that_make_tests_use_a_service(rows: dict[str, Rows]) -> None:
    """LIST also uses Redis itself, and PRICE only has ambient evidence."""
    assert answer(rows, "fixtures") == [["shop", "kafka", "broker", 1], ["shop", "redis", "flush_redis", 1]]


def test_repositories_that_use_redis(rows: dict[str, Rows]) -> None:
    assert answer(rows, "Redis") == [
        ["shop", "2026-11-04 02:17:00", 2, 4, 3, 9],
        ["billing", "2026-11-02 02:17:00", 1, 1, 1, 3],
    ]


@pytest.mark.kernel
def test_a_real_report(shop_services: dict[str, str], tmp_path: Path) -> None:
    """The view `uses` agrees with the services in the JSON report of the example suite."""
    report = traced(shop_services, tmp_path / "svc-trace.json")
    export(tmp_path, "shop", tmp_path / "svc-trace.json")
    rows = in_duckdb(tmp_path, {**QUERIES, "uses": USES})
    assert {nodeid: services for nodeid, services, _ in rows["uses"]} == {
        nodeid: test["services"] for nodeid, test in report["tests"].items()
    }
    assert all(services == (uses or []) for _, services, uses in rows["uses"])
    assert ["shop", "postgres", "db", 1] in answer(rows, "fixtures")
    assert answer(rows, "change services between nights") == []
