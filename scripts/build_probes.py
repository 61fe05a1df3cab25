"""The wheel's build step: compile the CO-RE probes with clang, so that a run needs neither compiler nor headers.

The text goes along: bcc compiles it again on kernels that the object does not fit.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "probes" / "svc_trace.bpf.c"
OBJECT = ROOT / "tracer" / "record" / "capture" / "bpf" / "svc_trace.bpf.o"
COPY = OBJECT.with_name("probes")
REMEDY = "install what compiles the probes: apt-get install clang llvm libbpf-dev"

# uname's machine → the name libbpf's headers use, as in the kernel's arch/ folder.
ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64"}


class BuildError(Exception):
    """The probes cannot be compiled; the message says why and what to do."""


def compile_probes(source: Path = SOURCE, target: Path = OBJECT) -> None:
    """Compile the probes for this machine's architecture; debug sections but BTF are stripped.

    Raises:
        BuildError: clang or libbpf's headers are missing, the architecture is unknown, or clang refused.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise BuildError(f"no probes for {machine}: supported are {', '.join(ARCHITECTURES)}")
    clang, strip = shutil.which("clang"), shutil.which("llvm-strip")
    if clang is None or strip is None:
        raise BuildError(f"{'clang' if clang is None else 'llvm-strip'} is not installed; {REMEDY}")
    made = target.with_name(f"{target.name}.{os.getpid()}")
    command = [
        *(clang, "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror"),
        *("-Wno-unused-parameter", "-Wno-address-of-packed-member"),
        *(f"-D__TARGET_ARCH_{ARCHITECTURES[machine]}", f"-I{source.parent}"),
        *("-c", str(source), "-o", str(made)),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "bpf/bpf_helpers.h' file not found" in result.stderr:
        raise BuildError(f"libbpf's headers are not installed; {REMEDY}")
    if result.returncode:
        raise BuildError(f"clang could not compile {source}:\n{result.stderr}")
    subprocess.run([strip, "-g", str(made)], check=True)
    made.replace(target)  # somebody may be loading it


def copy_probes(target: Path = COPY) -> None:
    """Put the probes' text beside the code that has bcc compile it, in place of an older one.

    File by file, each at once: somebody may be compiling it.
    """
    source = SOURCE.parent
    names = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for name in names:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        made = target.with_name(f"{name.name}.{os.getpid()}")
        shutil.copyfile(source / name, made)
        made.replace(copy)
    for path in [path for path in target.rglob("*") if path.is_file() and path.relative_to(target) not in names]:
        path.unlink(missing_ok=True)


class ProbesBuildHook(BuildHookInterface[Any]):
    """Called by hatchling for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile and copy the probes, and mark the wheel as this platform's."""
        if self.target_name != "wheel":
            return
        try:
            compile_probes()
        except BuildError as error:
            raise SystemExit(f"svc-trace: {error}") from None
        copy_probes()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    try:
        compile_probes()
    except BuildError as error:
        sys.exit(f"svc-trace: {error}")
    copy_probes()
