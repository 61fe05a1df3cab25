"""What docs/messages.md advises if pytest does not load the hook: each line of the table, with the real tools."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from environments import environment_with

pytestmark = pytest.mark.kernel

MESSAGES: Final = Path(__file__).parents[2] / "docs" / "messages.md"
TOOLS: Final = ("tox", "nox", "uv", "poetry", "pytest")

TOX: Final = "[tox]\nno_package = true\n[testenv]\nallowlist_externals = pytest\n{}\n"
NOX: Final = "import os\nimport nox\n\n@nox.session(venv_backend='none')\ndef tests(session):\n    {}\n"
MAKE: Final = "test:\n\t{}\n"
START: Final = {"tox.ini": "tox", "noxfile.py": "nox", "Makefile": "make"}
"""File → the command that runs the suite as the file says."""


def remedies() -> list[tuple[str, str, str]]:
    """The lines of the table: a file or `shell`, and its lines without and with the remedy."""
    section = MESSAGES.read_text().partition("## If pytest does not load the hook\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\w.]+) \| (`.*`) \| (`.*`) \|$", section, re.MULTILINE)
    return [(where, *("\n".join(re.findall("`(.*?)`", cell)) for cell in cells)) for where, *cells in rows]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A project with one test. tox and nox run pytest, if a test does not replace their files."""
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:cacheprovider\n")
    (tmp_path / "tox.ini").write_text(TOX.format("commands = pytest"))
    (tmp_path / "noxfile.py").write_text(NOX.format('session.run("pytest")'))
    (tmp_path / "Makefile").write_text(MAKE.format("pytest"))
    project = '[project]\nname = "suite"\nversion = "1"\n\n[tool.poetry]\npackage-mode = false\n'
    (tmp_path / "pyproject.toml").write_text(project)
    return tmp_path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Environment variables with which a shell finds the tools, svc-trace and pytest. They need no network."""
    python, programs = environment_with(sys.executable, TOOLS), tmp_path_factory.mktemp("programs")
    words = {"python": f"{python}"} | {tool: f"{python} -m {tool}" for tool in TOOLS}
    for name, command in words.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SUDO_"))}
    return inherited | {
        "PATH": os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"])),
        "POETRY_VIRTUALENVS_CREATE": "false",
        "UV_OFFLINE": "1",
        "UV_PYTHON": str(python),
    }


def reported(suite: Path, environment: Mapping[str, str], line: str) -> bool:
    """Trace a shell's line. Returns whether pytest reported the test."""
    traced = line if "svc-trace" in line else f"svc-trace -q -- sh -c {shlex.quote(line)}"
    done = subprocess.run(["sh", "-c", traced], cwd=suite, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    report = json.loads((suite / "svc-trace.json").read_text())
    assert [warning["slug"] for warning in report["run"]["warnings"]] == ([] if report["tests"] else ["no-hook"])
    return list(report["tests"]) == ["test_it.py::test_it"]


def write(suite: Path, where: str, lines: str) -> str:
    """Write lines to a file of the project; returns the command that uses it."""
    if where == "shell":
        return lines
    text = {"tox.ini": TOX, "noxfile.py": NOX, "Makefile": MAKE}[where]
    (suite / where).write_text(text.format(lines))
    return START[where]


def test_the_table_is_read() -> None:
    assert {where for where, *_ in remedies()} == {*START, "shell"}


@pytest.mark.parametrize(("where", "without", "with_remedy"), remedies())
def test_with_the_remedy_pytest_reports(
    suite: Path, environment: Mapping[str, str], where: str, without: str, with_remedy: str
) -> None:
    assert not reported(suite, environment, write(suite, where, without))
    assert reported(suite, environment, write(suite, where, with_remedy))


@pytest.mark.parametrize("line", ["nox", "uv run --no-project pytest", "poetry run pytest", "make"])
def test_it_reports_without_a_remedy(suite: Path, environment: Mapping[str, str], line: str) -> None:
    assert reported(suite, environment, line)
