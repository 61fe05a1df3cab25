from __future__ import annotations

import gzip
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import click
import pyarrow.dataset
import pytest
from stored_reports import stored, svc_trace, using

from tracer.classify.services.rules import Rules
from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.destination import BUFFER

WITHOUT_PYARROW = """
import runpy, sys
sys.modules["pyarrow"] = None
runpy.run_module("tracer", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def nights(tmp_path: Path) -> str:
    """The pattern of two nights' reports, the second packed."""
    tests = {"tests/a.py::x": using("postgres"), "tests/a.py::y": using()}
    stored(tmp_path / "nights" / "1.json", tests)
    stored(tmp_path / "nights" / "2.json.gz", tests, started_at="2026-11-21T21:45:00Z", complete=False)
    return str(tmp_path / "nights" / "*.json*")


def failure(*arguments: str | Path) -> SvcTraceError:
    error = svc_trace("export", *arguments).exception
    assert isinstance(error, SvcTraceError)
    return error


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def column(directory: Path, table: str, name: str) -> list[object]:
    """A column of a table, as an engine reads it."""
    found = pyarrow.dataset.dataset(directory / table, partitioning="hive").to_table().column(name)
    values: list[object] = found.to_pylist()
    return values


def test_each_report_is_a_run(nights: str, tmp_path: Path) -> None:
    done = svc_trace("export", nights, "--format", "parquet", "-o", tmp_path / "h", "--repository", "shop")
    assert done.return_value == 0
    assert done.stdout == f"svc-trace: 2 runs, 4 tests: {tmp_path / 'h'}\n"
    assert len({*column(tmp_path / "h", "runs", "run")}) == 2
    assert sorted(map(str, column(tmp_path / "h", "runs", "complete"))) == ["False", "True"]
    assert column(tmp_path / "h", "tests", "repository") == ["shop"] * 4
    assert len(files(tmp_path / "h")) == 6


def test_a_report_that_is_exported_again_is_there_once(nights: str, tmp_path: Path) -> None:
    svc_trace("export", nights, nights, "-o", tmp_path / "h")
    first = files(tmp_path / "h")
    plain = tmp_path / "copy.json"
    plain.write_bytes(gzip.decompress((tmp_path / "nights" / "2.json.gz").read_bytes()))
    done = svc_trace("export", nights, plain, "-o", tmp_path / "h")
    assert done.stdout == f"svc-trace: 2 runs, 4 tests: {tmp_path / 'h'}\n"
    assert files(tmp_path / "h") == first


def test_the_same_run_with_other_services_replaces_its_rows(nights: str, tmp_path: Path) -> None:
    svc_trace("export", nights, "-o", tmp_path / "h")
    named = {"tests/a.py::x": using("orders"), "tests/a.py::y": using()}
    again = stored(tmp_path / "again.json", named, Rules())
    assert svc_trace("export", again, "-o", tmp_path / "h").return_value == 0
    services = sorted(map(str, column(tmp_path / "h", "tests", "services")))
    assert services == ["['orders']", "['postgres']", "[]", "[]"]


def test_the_same_report_of_two_repositories_is_two_runs(nights: str, tmp_path: Path) -> None:
    for name in ("shop", "billing"):
        svc_trace("export", nights, "-o", tmp_path / "h", "--repository", name)
    assert len(column(tmp_path / "h", "runs", "run")) == 4


def test_a_merged_report_is_one_run(nights: str, tmp_path: Path) -> None:
    svc_trace("merge", nights, "-o", tmp_path / "merged.json")
    assert svc_trace("export", tmp_path / "merged.json", "-o", tmp_path / "h").return_value == 0
    assert column(tmp_path / "h", "runs", "merged_runs") == [2]
    assert column(tmp_path / "h", "tests", "attempts") == [2, 2]


def test_a_damaged_report_is_named(nights: str, tmp_path: Path) -> None:
    damaged = tmp_path / "nights" / "3.json"
    damaged.write_text("{}")
    error = failure(nights, "-o", tmp_path / "h")
    assert (error.slug, str(damaged) in error.message) == ("bad-report", True)
    assert len(files(tmp_path / "h")) == 6, "those before it are complete"


def test_a_report_without_a_time_is_named_and_nothing_written(tmp_path: Path) -> None:
    report = stored(tmp_path / "r.json", {}, started_at="last night")
    error = failure(report, "-o", tmp_path / "h")
    assert error.message == f"cannot export {report}: Invalid isoformat string: 'last night'"
    assert (error.slug, error.exit_code) == ("bad-report", ExitStatus.BAD_INPUT)
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize("make", ["file", "missing parent", "link", "table link", "partition link", "part is a FIFO"])
def test_a_place_that_cannot_be_written(make: str, nights: str, tmp_path: Path) -> None:
    place = tmp_path / "h"
    others = tmp_path / "others"
    others.mkdir()
    match make:
        case "file":
            place.mkdir()
            (place / "evidence").touch()
        case "missing parent":
            place = tmp_path / "missing" / "h"
        case "link":
            place = others / "h"
            place.symlink_to(tmp_path)
        case "table link":
            place = others
            (others / "evidence").symlink_to(tmp_path)
        case "partition link":
            svc_trace("export", nights, "-o", place)
            (partition, _) = sorted((place / "tests").iterdir())
            os.rename(partition, tmp_path / "elsewhere")  # noqa: PTH104
            partition.symlink_to(tmp_path / "elsewhere")
            partition.parent.chmod(0o777)
        case "part is a FIFO":
            svc_trace("export", nights, "-o", place)
            (part, _) = sorted((place / "runs").glob("*/*"))
            part.unlink()
            os.mkfifo(part)
    others.chmod(0o777)  # in which another user may have made the link
    error = failure(nights, "-o", place)
    assert (error.slug, error.exit_code) == ("cannot-write", ExitStatus.CANNOT_WRITE)
    assert str(place) in error.message
    assert not list(tmp_path.rglob("*.partial"))


def test_a_full_disk_leaves_the_files_that_were_there(nights: str, tmp_path: Path) -> None:
    """The limit of a file's size refuses writes as a full disk does."""
    svc_trace("export", nights, "-o", tmp_path / "h")
    before = files(tmp_path / "h")
    many = {f"tests/{sha256(b'%d' % n).hexdigest()}.py::x": using("postgres") for n in range(20_000)}
    larger = stored(tmp_path / "larger.json", many)
    assert BUFFER < 300 << 10, "the error occurs while pyarrow writes"
    command = 'ulimit -f 300; exec "$@"'
    done = subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-m", "tracer", "export", larger, "-o", tmp_path / "h"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitStatus.CANNOT_WRITE, done.stderr
    assert "File too large [cannot-write]" in done.stderr
    after = files(tmp_path / "h")
    assert {name: after[name] for name in before} == before
    assert not list(tmp_path.rglob("*.partial"))
    assert all("evidence" in name for name in after.keys() - before.keys()), "the run is not in `runs`"


def test_without_pyarrow_the_error_says_what_to_install(nights: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_PYARROW, "export", nights, "-o", tmp_path / "h"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert "Parquet needs pyarrow, which cannot be imported: " in done.stderr
    assert "[no-pyarrow]\n" in done.stderr
    assert "pip install 'svc-trace[parquet]'" in done.stderr
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize("arguments", [[], ["x.json"], ["-o", "h"], ["x.json", "-o", "h", "--format", "csv"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert isinstance(svc_trace("export", *arguments).exception, click.UsageError)


def test_the_output_is_no_file(nights: str, tmp_path: Path) -> None:
    (tmp_path / "h").touch()
    assert isinstance(svc_trace("export", nights, "-o", tmp_path / "h").exception, click.UsageError)
