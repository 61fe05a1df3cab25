"""How the hook is loaded: its distribution, and Pythons and pytests that it does not support."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from environments import MINORS, environment_with, interpreter, versions

from hook.suites import Environment, run
from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.messages import Inactive
from tracer.record.boundary.packets import Decoder
from tracer.record.run_directory import RunDirectory

DISTRIBUTIONS: Final = """
from importlib.metadata import distributions
found = {one.metadata["Name"]: [str(file.locate()) for file in one.files] for one in distributions()}
print(*found["svc_trace_hook"], sep="\\n")
"""
OLD_PYTHONS: Final = [version for version in ("2.7", "3.7") if versions(version)]


def in_child(environment: Environment, *options: str, hooked: bool) -> str:
    """What Python prints with these options, with or without the variables that load the hook."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_EXCLUDE"))}
    added = environment.run_directory.hook_environment(bare) if hooked else {}
    command = [str(environment.python), *options]
    return subprocess.run(command, env=bare | added, capture_output=True, text=True, check=True).stdout


def test_its_distribution_lists_its_files(environment: Environment) -> None:
    files = in_child(environment, "-c", DISTRIBUTIONS, hooked=True).split()
    assert {Path(file).name for file in files} == {"METADATA", "RECORD", "entry_points.txt"}
    assert all(Path(file).is_file() for file in files)


@pytest.mark.parametrize("command", ["list", "freeze"])
def test_pip_does_not_list_it(environment: Environment, command: str) -> None:
    options = ("-m", "pip", command, "--exclude", "iniconfig")
    listed = in_child(environment, *options, hooked=True)
    assert "pytest" in listed
    assert listed == in_child(environment, *options, hooked=False)


@pytest.fixture(scope="session")
def old_pytest(run_directory: RunDirectory) -> Environment:
    return Environment(environment_with(interpreter(MINORS), ("pytest==6.2.*",)), run_directory)


def old_python(version: str, run_directory: RunDirectory) -> Environment:
    """An environment of a Python that svc-trace does not support."""
    (python,) = versions(version)[-1:]
    if version != "2.7":
        return Environment(environment_with(str(python), ("pytest",)), run_directory)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svc-trace-tests" / "python2.7"
    wrapper = base / "python"
    if not wrapper.exists():  # it has no venv
        own = os.environ | {"PYTHONUSERBASE": str(base)}
        install = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--user", "pytest==4.6.*")
        subprocess.run([python, *install], env=own, check=True)
        wrapper.write_text(f'#!/bin/sh\nPYTHONUSERBASE="{base}" exec "{python}" "$@"\n')
        wrapper.chmod(0o755)
    return Environment(wrapper, run_directory)


def test_an_old_pytest_runs_as_without_the_hook(old_pytest: Environment, tmp_path: Path) -> None:
    reported = run(old_pytest, tmp_path, "def test_a(): pass")
    assert reported.status == 0, reported.output
    (inactive,) = reported.messages()
    assert isinstance(inactive, Inactive)
    assert inactive.pytest.startswith("6.2.")
    assert (reported.lost, reported.malformed, reported.off) == (0, 0, False)


@pytest.mark.parametrize("version", OLD_PYTHONS)
def test_an_old_python_runs_as_without_the_hook(run_directory: RunDirectory, tmp_path: Path, version: str) -> None:
    reported = run(old_python(version, run_directory), tmp_path, "def test_a(): pass")
    assert reported.status == 0, reported.output
    (inactive,) = reported.messages()
    assert isinstance(inactive, Inactive)
    assert inactive.python.startswith(f"{version}.")
    assert (reported.lost, reported.malformed, reported.off) == (0, 0, False)


def test_a_version_that_the_child_changes_is_the_one_that_counts(newest: Environment, tmp_path: Path) -> None:
    """On any machine, also on one without an old Python."""
    source = "import sys\nsys.version_info = (3, 7, 17)\ndef test_a(): pass"
    reported = run(newest, tmp_path, source, "-p", "test_it", "--assert=plain")
    assert reported.status == 0, reported.output
    assert [message.python for message in reported.messages() if isinstance(message, Inactive)] == ["3.7.17"]


def test_a_full_fifo_does_not_stop_an_unsupported_pytest(old_pytest: Environment, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_a(): pass")
    with Fifo(tmp_path / "fifo") as fifo:
        writing = os.open(fifo.path, os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while os.write(writing, b"\n" * 4096):
                pass
        os.close(writing)
        status, output = old_pytest.run(tmp_path, fifo=fifo.path)
        assert (status, fifo.silenced) == (0, True), output
        assert not Decoder().feed(fifo.read())


def test_coverage_does_not_measure_it(run_directory: RunDirectory, tmp_path: Path) -> None:
    environment = Environment(environment_with(interpreter(MINORS[::-1]), ("pytest", "coverage")), run_directory)
    (tmp_path / "test_it.py").write_text("def test_a(): pass")
    python = str(environment.python)
    with Fifo(tmp_path / "fifo") as fifo:
        hooked = os.environ | run_directory.hook_environment({}) | {"SVC_TRACE_FIFO": str(fifo.path)}
        measured = (python, "-m", "coverage", "run", "-m", "pytest", "-p", "no:cacheprovider")
        subprocess.run(measured, cwd=tmp_path, env=hooked, check=True, stdout=subprocess.DEVNULL)
        assert fifo.read()
    report = subprocess.run(
        [python, "-m", "coverage", "report"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "test_it.py" in report.stdout
    assert "svc_trace_hook" not in report.stdout
