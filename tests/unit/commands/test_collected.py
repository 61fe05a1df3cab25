"""What `--collected` accepts, and `--map`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from stored_reports import stored, svc_trace, using

from tracer.commands.collected import Collected, read_collected
from tracer.errors import SvcTraceError

KNOWN = ["a.py::x", "db/a.py::A::y[1]", "db/a.py::A::y[2]", "db/a.py::A::B::z", "db/sub/b.py::x", "dbx/c.py::x"]


def read(directory: Path, *lines: str) -> Collected:
    (directory / "list").write_text("".join(f"{line}\n" for line in lines))
    return read_collected(directory / "list", KNOWN)


@pytest.mark.parametrize(
    ("entry", "nodeids"),
    [
        ("a.py", KNOWN[:1]),
        ("./db", KNOWN[1:5]),
        ("db/sub/", KNOWN[4:5]),
        (".", KNOWN),
        ("db/a.py", KNOWN[1:4]),
        ("db/a.py::A", KNOWN[1:4]),
        ("db/a.py::A::B", KNOWN[3:4]),
        ("db/a.py::A::y", KNOWN[1:3]),
        ("db/a.py::A::y[2]", KNOWN[2:3]),
        ("db/a.py::A::new", ["db/a.py::A::new"]),
        ("db/new.py", ["db/new.py"]),
    ],
)
def test_an_entry_of_a_list_stands_for_its_tests(tmp_path: Path, entry: str, nodeids: list[str]) -> None:
    assert list(read(tmp_path, entry).nodeids) == nodeids


def test_a_list_has_each_test_once_in_its_order(tmp_path: Path) -> None:
    found = read(tmp_path, "", "db/sub", "a.py", "db/sub/b.py::x", "")
    assert found == Collected((KNOWN[4], KNOWN[0]), ("db/sub", "a.py"))


def test_pytests_own_output_is_no_list(tmp_path: Path) -> None:
    found = read(tmp_path, "some noise", "a.py::x", "a.py::new", "", "warning: b.py::x", "2 tests collected in 0.1s")
    assert found == Collected(("a.py::x", "a.py::new"), ())


@pytest.mark.parametrize("line", ["README", "a.py: 5", "A", "x" * 300, "x\0"])
def test_a_line_that_names_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SvcTraceError, match="is no test, file or directory"):
        read(tmp_path, "a.py", line)


@pytest.mark.parametrize("end", ["", "1 test collected in 0.1s"])
def test_pytests_tree_is_an_error(tmp_path: Path, end: str) -> None:
    """With -v in its configuration, pytest prints one. A parameter may look like a node id."""
    with pytest.raises(SvcTraceError, match="has a tree of tests"):
        read(tmp_path, "<Module a.py>", "  <Function x[web::shop]>", end)


TESTS = {
    "a.py::x": using("redis"),
    "a.py::y": using("kafka", "postgres"),
    "a.py::z": using("snuba", ambient=("redis",)),
}


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        ("--within postgres --map redis= --map kafka=", "a.py::x a.py::y"),
        ("--within postgres,snuba --map kafka=snuba --map redis=", "a.py::x a.py::y a.py::z"),
        ("--tier snuba_tier --map kafka=snuba", "a.py::y a.py::z"),
        ("--tier no_services --map redis=", "a.py::x"),
        ("--within cache --map redis=cache", "a.py::x"),
        ("--exactly postgres --map kafka=", "a.py::y"),
    ],
)
def test_services_may_be_renamed_and_left_out(tmp_path: Path, options: str, selected: str) -> None:
    report = stored(tmp_path / "r.json", TESTS)
    assert svc_trace("select", report, *options.split()).stdout.split() == selected.split()


@pytest.mark.parametrize("form", ["sentry", "sentry-tests"])
def test_the_report_for_sentry_has_the_new_names(tmp_path: Path, form: str) -> None:
    report = stored(tmp_path / "r.json", TESTS)
    printed = svc_trace("report", report, "--format", form, "--map", "kafka=snuba", "--map", "redis=")
    found = json.loads(printed.stdout)
    assert found["tests"] == {"a.py::x": [], "a.py::y": ["postgres", "snuba"], "a.py::z": ["snuba"]}
    assert list(found) == ["generated_at", "total_tests", *(["summary"] if form == "sentry" else []), "tests"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("select {} --within postgres --map kafak=snuba", "Did you mean 'kafka'?"),
        ("select {} --within postgras", "Did you mean 'postgres'?"),
        ("select {} --exactly postgras", "Did you mean 'postgres'?"),
        ("select {} --tier snuba_teir", "Did you mean 'snuba_tier'?"),
        ("report {} --tests --service kafak", "Did you mean 'kafka'?"),
        ("report {} --format sentry --map kafak=", "Did you mean 'kafka'?"),
        ("verify {} --against {} --without kafak", "Did you mean 'kafka'?"),
        ("select {} --within postgres --map kafka", "is not SERVICE=NAME"),
        ("report {} --map kafka=", "--map works only with --format sentry"),
    ],
)
def test_a_misspelt_name_is_an_error(tmp_path: Path, command: str, problem: str) -> None:
    report = stored(tmp_path / "r.json", TESTS)
    result = svc_trace(*(word.format(report) for word in command.split()))
    assert isinstance(result.exception, click.UsageError)
    assert problem in result.exception.format_message()


def test_new_tests_of_a_listed_file_are_mentioned(tmp_path: Path) -> None:
    report = stored(tmp_path / "r.json", TESTS)
    (tmp_path / "list").write_text("a.py\n")
    result = svc_trace("select", report, "--within", "redis", "--collected", tmp_path / "list")
    assert result.stdout == "a.py::x\n"
    assert "only the report's tests in them" in result.stderr
