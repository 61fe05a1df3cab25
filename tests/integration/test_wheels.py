"""What scripts/build-wheels publishes: the contents of each wheel, the same hashes in each directory, and a run."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tracer import __version__

ROOT = Path(__file__).parents[2]
NAME = f"svc_trace-{__version__}"
ANY = f"{NAME}-py3-none-any.whl"
MACHINES = {"x86_64": 62, "aarch64": 183}  # → e_machine of elf(5)
OBJECTS = ("svc_trace.bpf.o", "svc_refuse.bpf.o")
BPF = "tracer/record/capture/bpf"
HOME = "https://forge.example/svc-trace"
COMMAND = f"{NAME}.data/scripts/svc-trace"


def wheel_of(machine: str) -> str:
    return f"{NAME}-py3-none-manylinux_2_17_{machine}.whl"


def build(checkout: Path, directory: Path, umask: int) -> Path:
    subprocess.run(
        [checkout / "scripts" / "build-wheels", directory],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000", "PROJECT_URL": HOME},
        check=True,
        umask=umask,
    )
    return directory


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheels"), 0o022)


def read(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def test_these_files_are_published(wheels: Path) -> None:
    expected = {ANY, f"{NAME}.tar.gz", *map(wheel_of, MACHINES)}
    assert {path.name for path in wheels.iterdir()} == expected


def test_another_directory_and_umask_give_the_same_hashes(wheels: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "checkout"
    caches = (".*_cache", ".hypothesis", "__pycache__", "build", "dist")
    without = shutil.ignore_patterns(".git", ".venv", *caches, "*.json")
    shutil.copytree(ROOT, copy, ignore=without, copy_function=shutil.copy)  # with other times
    (copy / ".venv").symlink_to(sys.prefix)
    again = build(copy, tmp_path / "again", 0o077)
    hashes = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
        for directory in (wheels, again)
    ]
    assert hashes[0] == hashes[1]


def test_links_and_pictures_of_the_description_work_outside_of_the_repository(wheels: Path) -> None:
    metadata = read(wheels / ANY, f"{NAME}.dist-info/METADATA").decode()
    assert f"Project-URL: Source, {HOME}\n" in metadata
    targets = re.findall(r"\]\(([^)]*)\)", metadata)
    assert f"{HOME}/raw/main/docs/pictures/summary.svg" in targets
    assert f"{HOME}/blob/main/docs/tutorial.md" in targets
    assert [target for target in targets if not target.startswith(HOME)] == []


@pytest.mark.parametrize("machine", MACHINES)
def test_a_wheel_for_an_architecture_has_its_probes_and_needs_no_library(machine: str, wheels: Path) -> None:
    wheel = wheels / wheel_of(machine)
    launcher = read(wheel, COMMAND)
    assert launcher[:4] == b"\x7fELF"
    assert struct.unpack_from("<H", launcher, 18) == (MACHINES[machine],)  # e_machine
    offset, size, count = struct.unpack_from("<Q", launcher, 32) + struct.unpack_from("<HH", launcher, 54)
    segments = {struct.unpack_from("<I", launcher, offset + size * number)[0] for number in range(count)}
    assert not segments & {2, 3}  # PT_DYNAMIC, PT_INTERP: it is linked statically
    with zipfile.ZipFile(wheel) as archive:
        assert archive.getinfo(COMMAND).external_attr >> 16 & 0o111 == 0o111
        assert f"{BPF}/probes/svc_trace.bcc.c" in archive.namelist()
    for name in OBJECTS:
        assert str(ROOT).encode() not in read(wheel, f"{BPF}/{name}")


def test_the_probes_of_the_architectures_read_other_registers(wheels: Path) -> None:
    objects = [read(wheels / wheel_of(machine), f"{BPF}/svc_trace.bpf.o") for machine in MACHINES]
    assert [b"user_pt_regs" in one for one in objects] == [False, True]  # linux/arch/arm64/…/ptrace.h


def test_the_wheel_without_probes_is_for_reading_reports(wheels: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheels / ANY) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".o", ".c", ".h"))]
    venv.create(tmp_path / "venv", with_pip=True)
    bin = tmp_path / "venv" / "bin"
    subprocess.run([bin / "pip", "install", "-q", "--disable-pip-version-check", wheels / ANY], check=True)
    command = str(bin / "svc-trace")
    traced = subprocess.run(
        [command, "--backend", "strace", "-q", "--", "true"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (traced.returncode, traced.stderr) == (0, "")
    done = subprocess.run(
        [command, "report", "svc-trace.json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "traced by strace" in done.stdout
    page = subprocess.run(
        ["man", "-M", bin.parent / "share" / "man", "svc-trace-report"], capture_output=True, check=True
    )
    assert b"--directories DEPTH" in page.stdout
