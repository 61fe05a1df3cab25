"""Exported reports: their rows are those of the JSON report, for any report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
import suites
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tracer.classify.classification import assemble
from tracer.classify.model import Classification, Evidence, RefusedService, RunInfo, RunResult, TestResult
from tracer.classify.services.rules import Rules
from tracer.classify.via import Via
from tracer.reports.history import rows
from tracer.reports.history.partition import write_run
from tracer.reports.history.rows import run_id
from tracer.reports.json_report import render
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import RunWarning

HIGHEST = (1 << 63) - 1
COUNTS = st.integers(0, HIGHEST)
INTEGERS = st.integers(-HIGHEST, HIGHEST)
SECONDS = st.floats(-1e12, 1e12)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)  # also lone surrogates
SORTED = st.lists(TEXTS, max_size=3).map(tuple)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda one: f"{one:%Y-%m-%dT%H:%M:%SZ}")
EVIDENCE = st.builds(
    Evidence,
    service=TEXTS,
    endpoint=st.sampled_from(
        [Endpoint("tcp", "::1", 5432), Endpoint("unix", path="/run/\udce9"), Endpoint("udp", "x", 1)]
    ),
    host=st.none() | TEXTS,
    protocol=st.none() | TEXTS,
    how=st.sampled_from(["direct", "inherited", "ambient", "goodbye"]),
    via=st.none() | st.builds(Via, st.sampled_from(["fixture", "module"]), TEXTS),
    phase=st.sampled_from(["collection", "setup", "call", "teardown", None]),
    fixture=st.none() | TEXTS,
    thread=st.sampled_from(["test", "other"]),
    asked=st.none() | st.booleans(),
    command=TEXTS,
    strength=st.sampled_from(["sent", "connected", "attempted"]),
    self_hosted=st.booleans(),
    ambiguous=st.booleans(),
    connects=COUNTS,
    sends=COUNTS,
    bytes=COUNTS,
    operations=SORTED,
    other_sends=COUNTS,
    errno=st.none() | TEXTS,
    needed_below=SORTED,
    first_s=st.none() | SECONDS,
    listener=st.none() | TEXTS,
)
PIECES = st.lists(EVIDENCE, max_size=3).map(tuple)
RUNS = st.builds(
    RunInfo,
    command=SORTED,
    backend=TEXTS,
    kernel=TEXTS,
    started_at=TIMES,
    duration_s=SECONDS,
    exit_status=st.none() | INTEGERS,
    complete=st.booleans(),
    lost_events=COUNTS,
    warnings=st.lists(st.builds(RunWarning, TEXTS, TEXTS, TEXTS), max_size=2).map(tuple),
    pytest_reported=st.booleans(),
    missing_tests=st.none() | COUNTS,
    lacks_causes=TEXTS,
    last_test_s=st.none() | SECONDS,
    refused=st.lists(st.builds(RefusedService, TEXTS, st.none() | COUNTS), max_size=2).map(tuple),
    session_s=st.none() | SECONDS,
    partial=st.booleans(),
)
TESTS = st.builds(
    TestResult,
    outcome=st.sampled_from(["passed", "skipped", "not run"]),
    duration_s=SECONDS,
    shared_s=SECONDS,
    attempts=COUNTS,
    services=SORTED,
    ambient=SORTED,
    self_hosted=SORTED,
    assumed=SORTED,
    evidence=PIECES,
)


@st.composite
def classifications(draw: st.DrawFn) -> Classification:
    tests = draw(st.dictionaries(TEXTS, TESTS, max_size=4))
    runs = tuple(draw(st.lists(RUNS, max_size=2)))
    if runs:
        tests = {name: replace(test, runs=(RunResult(0, test.outcome, 0.5, 1),)) for name, test in tests.items()}
    return assemble(
        tests,
        (),
        Rules(),
        run=draw(RUNS),
        run_evidence=draw(PIECES),
        generated_at=draw(TIMES),
        runs=runs,
    )


def exported(report: Classification, repository: str = "") -> dict[str, list[dict[str, Any]]]:
    """The rows of each table."""
    with TemporaryDirectory() as directory:
        run = write_run(report, repository, Path(directory))
        assert sorted(path.name for path in Path(directory).iterdir()) == ["evidence", "runs", "tests"]
        return {
            path.name: pq.ParquetFile(path / f"run={run}" / "part-0.parquet").read().to_pylist()
            for path in Path(directory).iterdir()
        }


def text(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """A value of the JSON report with the texts that the tables have."""
    if isinstance(value, dict):
        return {name: text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [text(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def moment(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)


def with_defaults(value: dict[str, Any]) -> dict[str, Any]:
    """A piece of evidence in the JSON report, with the fields that are absent."""
    absent = {
        "host": None,
        "asked": None,
        "listener": None,
        "self_hosted": False,
        "ambiguous": False,
        "needed_below": None,
    }
    return absent | {"operations": [], "other_sends": 0} | value


@settings(max_examples=150)
@given(classifications(), TEXTS)
def test_the_tables_have_what_the_json_report_has(report: Classification, repository: str) -> None:
    source = json.loads(b"".join(render(report)))
    common = {"repository": text(repository), "started_at": moment(source["run"]["started_at"])}
    tables = exported(report, repository)
    assert tables["runs"] == [
        text(source["run"])
        | common
        | {
            "generated_at": moment(source["generated_at"]),
            "refused": text(source["run"].get("refused")) or None,
            "partial": source["run"].get("partial", False),
            "session_s": source["run"].get("session_s"),
            "total_tests": source["summary"]["total_tests"],
            "merged_runs": len(source.get("runs", [])) or 1,
        }
    ]
    expected = []
    pieces: list[dict[str, Any]] = []
    for nodeid, test in source["tests"].items():
        pieces += ({"nodeid": text(nodeid)} | text(one) for one in test.pop("evidence"))
        for name in ("facts", "runs", "set_ups"):
            test.pop(name, None)
        expected.append(common | {"nodeid": text(nodeid), "shared_s": 0.0} | text(test))
    pieces += ({"nodeid": None} | text(one) for one in source["run_evidence"])
    assert tables["tests"] == expected
    for row in tables["evidence"]:
        assert row.pop("used") == (row["how"] in ("direct", "inherited") and not row["self_hosted"])
    assert tables["evidence"] == [common | with_defaults(one) for one in pieces]


def test_many_rows_are_several_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROWS", 10)
    tests = {f"a.py::{n}": suites.result(["redis"], evidence=[suites.evidence("redis")] * 3) for n in range(25)}
    report = suites.classification(tests, (), Rules())
    run = write_run(report, "", tmp_path)
    for table, sizes in (("tests", [10, 10, 5]), ("evidence", [10] * 7 + [5]), ("runs", [1])):
        file = pq.ParquetFile(tmp_path / table / f"run={run}" / "part-0.parquet")
        assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == sizes


def test_a_run_keeps_its_name_with_other_rules_and_a_newer_version() -> None:
    tests = {"a.py::x": suites.result(["redis"]), "a.py::y": suites.result()}
    report = suites.classification(tests, (), Rules())
    name = run_id(report, "shop")
    assert name.startswith("20261120T214500Z-")
    later = replace(report, generated_at="2027-01-01T00:00:00Z", run=replace(report.run, last_test_s=1.0))
    assert run_id(later, "shop") == name
    assert run_id(replace(report, tests=dict(reversed(tests.items()))), "shop") == name


def test_different_runs_have_different_names() -> None:
    report = suites.classification({"a.py::x": suites.result()}, (), Rules())
    others = [
        replace(report, run=replace(report.run, started_at="2026-11-20T21:45:01Z")),
        replace(report, run=replace(report.run, command=("pytest", "-x"))),
        replace(report, run=replace(report.run, duration_s=1.6)),
        replace(report, tests={"a.py::y": suites.result()}),
        replace(report, runs=(report.run, report.run)),
    ]
    names = [run_id(one, "shop") for one in [report, *others]] + [run_id(report, "other")]
    assert len({*names}) == 7


@pytest.mark.parametrize("time", ["yesterday", "2026-11-20T21:45:00", "0001-01-01T00:00:00+23:00", ""])
def test_a_time_that_is_none_is_an_error(time: str) -> None:
    report = suites.classification({}, (), Rules())
    with pytest.raises(ValueError, match=r"isoformat|time zone|out of range"):
        exported(replace(report, run=replace(report.run, started_at=time)))
    with pytest.raises(ValueError, match=r"isoformat|time zone|out of range"):
        exported(replace(report, generated_at=time))
