"""The package as users get it: built, installed, and run on a project that knows nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tracer.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def pip(*arguments: str | Path, python: Path | str = sys.executable) -> None:
    subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", *arguments], check=True)


def environment(directory: Path, *requirements: str | Path) -> Path:
    """A new virtual environment; returns its directory of programs."""
    venv.create(directory, with_pip=True)
    pip("install", *requirements, python=directory / "bin" / "python")
    return directory / "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", directory, ROOT)
    (built,) = directory.iterdir()
    return built


def test_the_wheel_has_the_compiled_probes_and_their_text(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"tracer/record/capture/bpf/{name}.bpf.o" for name in ("svc_trace", "svc_refuse")} <= names
    assert {"svc_trace.bcc.c", "bcc_kernel/include/asm/page.h"} <= {
        name.partition("tracer/record/capture/bpf/probes/")[2] for name in names
    }
    name = wheel.name.rpartition("-py3")[0]
    assert {name.partition("/")[0] for name in names} == {"tracer", f"{name}.dist-info", f"{name}.data"}
    manual = {
        f"{name}.data/data/share/man/man1/{page}.1" for page in ("svc-trace", *(f"svc-trace-{c}" for c in COMMANDS))
    }
    assert {path for path in names if ".data/" in path} == {f"{name}.data/scripts/svc-trace"} | manual
    assert f"linux_{os.uname().machine}" in wheel.name


def test_a_build_without_clang_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    result = subprocess.run(
        [sys.executable, ROOT / "scripts" / "build_native.py"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "clang is not installed" in result.stderr
    assert "apt-get install clang llvm libbpf-dev" in result.stderr


@pytest.mark.kernel
def test_installed_it_traces_a_project_with_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    tool = environment(tmp_path / "tool", wheel)
    project = tmp_path / "project"
    project.mkdir()
    own = environment(project / ".venv", "pytest")
    (project / "test_it.py").write_text(
        "import socket\n\ndef test_refused():\n    assert socket.socket().connect_ex(('127.0.0.9', 6379))\n\n"
        "def test_pure():\n    pass\n"
    )
    before = {path.name for path in project.iterdir()}
    command: list[str | Path] = [tool / "svc-trace", "--", own / "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run(
        command, cwd=project, check=True, capture_output=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    )
    tests = json.loads((project / "svc-trace.json").read_text())["tests"]
    assert {name: test["services"] for name, test in tests.items()} == {
        "test_it.py::test_refused": ["redis"],
        "test_it.py::test_pure": [],
    }
    assert {path.name for path in project.iterdir()} - before == {"svc-trace.json"}
