"""The build step: compile the CO-RE probes and the launcher into `build/`, and include them in the wheel.

With the probes' objects, a run needs neither a compiler nor headers. bcc compiles their sources, which the wheel has
too, on kernels without BTF. Checkouts and editable installs use `build/` and `probes/` themselves
(tracer/record/capture/bpf/programs.py). The launcher is installed as the command `svc-trace`. All wheels have the man
pages (scripts/manual.py).

A wheel is built for this machine, unless SVC_TRACE_WHEEL names what scripts/build-wheels publishes: `x86_64` or
`aarch64`, for each Linux of that architecture, or `any`, without probes. Their objects are compiled on any machine. The
probes read registers, so each architecture has its own. The launcher is linked with musl, statically: it needs no C
library of the machine on which it runs.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "probes"
SOURCE = SOURCES / "svc_trace.bpf.c"
REFUSAL_SOURCE = SOURCES / "svc_refuse.bpf.c"
OBJECT = ROOT / "build" / "svc_trace.bpf.o"
REFUSAL = ROOT / "build" / "svc_refuse.bpf.o"  # loaded only by a run that refuses services
LAUNCHER_SOURCE = ROOT / "launcher" / "svc-trace.c"
LAUNCHER = ROOT / "build" / "svc-trace"
SCRIPT = ROOT / "launcher" / "svc-trace.py"  # the command in the wheel without probes
MANUAL = ROOT / "build" / "man"
PACKAGE = "tracer/record/capture/bpf"  # in the wheel: the directory for the objects and the probes' sources
REMEDY = "Install what compiles the probes: apt-get install clang llvm libbpf-dev."
WARNINGS = ("-Wall", "-Wextra", "-Werror")

# uname's machine → the name libbpf's headers use, as in the kernel's arch/ directory.
ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64"}

WHEEL_VARIABLE = "SVC_TRACE_WHEEL"
WITHOUT_PROBES = "any"
PLATFORM = "manylinux_2_17"  # the oldest glibc of which PyPI takes wheels with aarch64; ours need none


class BuildError(Exception):
    """Something cannot be compiled; the message says why and what to do."""


def compile_probes(source: Path = SOURCE, target: Path = OBJECT, machine: str = platform.machine()) -> None:
    """Compile the probes for one architecture; debug sections but BTF are stripped, and BTF names no directory.

    Raises:
        BuildError: clang or libbpf's headers are missing, the architecture is unknown, or clang refused.
    """
    if machine not in ARCHITECTURES:
        raise BuildError(f"no probes for {machine}: supported are {', '.join(ARCHITECTURES)}")
    for program in ("clang", "llvm-strip"):
        if shutil.which(program) is None:
            raise BuildError(f"{program} is not installed; {REMEDY}")
    _compile(
        *(source, target, "bpf/bpf_helpers.h", f"libbpf's headers are not installed; {REMEDY}"),
        options=(
            *("-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11", *WARNINGS),
            *("-Wno-unused-parameter", "-Wno-address-of-packed-member", f"-ffile-prefix-map={ROOT}=."),
            *(f"-D__TARGET_ARCH_{ARCHITECTURES[machine]}", f"-I{source.parent}", "-c"),
        ),
        strip=("llvm-strip", "-g"),
    )


def compile_everything() -> None:
    """Compile all that a checkout or a wheel contains.

    Raises:
        BuildError: see the two functions that it calls.
    """
    compile_probes()
    compile_probes(REFUSAL_SOURCE, REFUSAL)
    compile_launcher()


def compile_portable_launcher(target: Path, machine: str) -> None:
    """Compile the command `svc-trace` for any Linux of this architecture, with zig's musl.

    Raises:
        BuildError: the package ziglang is not installed, or zig refused.
    """
    if find_spec("ziglang") is None:
        raise BuildError("zig is not installed; Install it: pip install --group wheels.")
    caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(ROOT / "build" / "zig"))
    command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-musl", "-static", "-s"]
    _compile(
        *(LAUNCHER_SOURCE, target, "stdio.h", "zig has no C library; Install it again."),
        options=("-O2", "-std=gnu11", *WARNINGS),
        compiler=command,
        environment=caches,
    )


def compile_launcher() -> None:
    """Compile the command `svc-trace` for this machine, with the system's C library.

    Raises:
        BuildError: the C library's headers are missing, or clang refused.
    """
    missing = "the C library's headers are not installed; Install them: apt-get install libc6-dev."
    _compile(
        *(LAUNCHER_SOURCE, LAUNCHER, "stdio.h", missing),
        options=("-O2", "-std=gnu11", *WARNINGS),
        strip=("llvm-strip",),
    )


def _compile(
    source: Path,
    target: Path,
    header: str,
    without_header: str,
    *,
    options: Sequence[str],
    strip: Sequence[str] = (),
    compiler: Sequence[str] = ("clang",),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Compile and strip one file. `header` is one that a package has; the text says what to do without it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    command = [*compiler, *options, str(source), "-o", str(partial)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    if f"'{header}' file not found" in result.stderr:
        raise BuildError(without_header)
    if result.returncode:
        raise BuildError(f"{compiler[0]} could not compile {source}:\n{result.stderr}")
    if strip:
        subprocess.run([*strip, str(partial)], check=True)
    partial.replace(target)  # at once: a run may be loading it


class NativeBuildHook(BuildHookInterface[Any]):
    """Called by hatchling for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile what this wheel has. Only the one without probes is for all platforms."""
        if self.target_name != "wheel":
            return
        write_manual = [sys.executable, str(ROOT / "scripts" / "manual.py"), str(MANUAL)]
        for page in subprocess.run(write_manual, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
            build_data["shared_data"][page] = f"share/man/man1/{Path(page).name}"
        machine = os.environ.get(WHEEL_VARIABLE)
        if machine == WITHOUT_PROBES:
            build_data["shared_scripts"][str(SCRIPT)] = LAUNCHER.name
            return
        directory = ROOT / "build" / machine if machine else LAUNCHER.parent
        objects = (directory / OBJECT.name, directory / REFUSAL.name)
        try:
            if machine:
                for source, target in zip((SOURCE, REFUSAL_SOURCE), objects, strict=True):
                    compile_probes(source, target, machine)
                compile_portable_launcher(directory / LAUNCHER.name, machine)
            else:
                compile_everything()
        except BuildError as error:
            raise SystemExit(f"svc-trace: {error}") from None
        if version != "editable":
            for compiled in objects:
                build_data["force_include"][str(compiled)] = f"{PACKAGE}/{compiled.name}"
            build_data["force_include"][str(SOURCES)] = f"{PACKAGE}/probes"
        build_data["shared_scripts"][str(directory / LAUNCHER.name)] = LAUNCHER.name
        build_data["pure_python"] = False
        here = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{f'{PLATFORM}_{machine}' if machine else here}"


if __name__ == "__main__":
    try:
        compile_everything()
    except BuildError as error:
        sys.exit(f"svc-trace: {error}")
