"""The build step: compile the CO-RE probes into `build/`, and include them and their sources in the wheel.

With the object, a run needs neither a compiler nor headers. bcc compiles the sources, on kernels without BTF. Checkouts
and editable installs use `build/` and `probes/` themselves (tracer/record/capture/bpf/programs.py).
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
OBJECT = ROOT / "build" / "svc_trace.bpf.o"
PACKAGE = "tracer/record/capture/bpf"  # in the wheel: the directory for both
REMEDY = "Install what compiles the probes: apt-get install clang llvm libbpf-dev."

# uname's machine → the name libbpf's headers use, as in the kernel's arch/ directory.
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
    target.parent.mkdir(exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    command = [
        *(clang, "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror"),
        *("-Wno-unused-parameter", "-Wno-address-of-packed-member"),
        *(f"-D__TARGET_ARCH_{ARCHITECTURES[machine]}", f"-I{source.parent}"),
        *("-c", str(source), "-o", str(partial)),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "bpf/bpf_helpers.h' file not found" in result.stderr:
        raise BuildError(f"libbpf's headers are not installed; {REMEDY}")
    if result.returncode:
        raise BuildError(f"clang could not compile {source}:\n{result.stderr}")
    subprocess.run([strip, "-g", str(partial)], check=True)
    partial.replace(target)  # at once: a run may be loading it


class ProbesBuildHook(BuildHookInterface[Any]):
    """Called by hatchling for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the probes; a wheel includes them and is for this platform only."""
        if self.target_name != "wheel":
            return
        try:
            compile_probes()
        except BuildError as error:
            raise SystemExit(f"svc-trace: {error}") from None
        if version != "editable":
            build_data["force_include"][str(OBJECT)] = f"{PACKAGE}/{OBJECT.name}"
            build_data["force_include"][str(SOURCE.parent)] = f"{PACKAGE}/probes"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    try:
        compile_probes()
    except BuildError as error:
        sys.exit(f"svc-trace: {error}")
