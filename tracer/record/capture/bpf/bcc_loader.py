"""bcc in a process of its own: compile the probes, load and attach them, hand over the file descriptors.

LLVM takes 100 MB and more, changes the current directory, prints freely and may abort; all of that ends with this
process. The descriptors keep alive what the kernel holds. Imports only the standard library, modules that do so too,
and the distribution's bcc.

By hand, as root: `python -m tracer.record.capture.bpf.bcc_loader` shows all output of the compiler and the verifier.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import importlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_int, c_uint
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from tracer.errors import SvcTraceError
from tracer.record.capture.bpf.library import EMPTY_PROGRAM, Library, declare
from tracer.record.capture.bpf.programs import (
    FREEING_TRACEPOINTS,
    SEND_FUNCTIONS,
    SEND_TRACEPOINT,
    SOURCES,
    TOLERATED_MISSES,
    TRACEPOINTS,
)

MAPS: Final = ("events", "lost", "tallies", "controls", "setups")
"""The maps whose descriptors are handed over first, in this order."""

BTF: Final = Path("/sys/kernel/btf/vmlinux")

TYPES: Final = (
    *("task_struct", "signal_struct", "pid", "upid", "pid_namespace", "files_struct", "fdtable", "pt_regs"),
    *("file", "inode", "socket", "socket_alloc", "sock", "proto", "inet_sock", "unix_sock", "unix_address", "net"),
    *("iovec", "user_msghdr", "mmsghdr"),
)
"""The structs that the probes read: the kernel's, and those that programs pass to it."""

_PREFIX: Final = "svc_"  # of the programs' names
_LEARN_REGISTERS: Final = "svc_learn_registers"
_SEND_ENDS: Final = "svc_send_ends"


@dataclass(frozen=True, slots=True)
class Failed(Exception):
    """The probes cannot be loaded here."""

    slug: str
    detail: str


@dataclass(frozen=True, slots=True)
class Descriptors:
    """File descriptors of what the kernel was given."""

    maps: list[int]  # in the order of MAPS
    programs: list[int]  # those whose missed calls are lost events
    links: list[int]  # they keep the programs attached


class _Function(Protocol):
    """A loaded program."""

    fd: int


class _Bpf(Protocol):
    """The members of bcc's class BPF that are used: the compiled text, and what of it is attached."""

    RAW_TRACEPOINT: int
    KPROBE: int
    module: int
    funcs: dict[bytes, _Function]
    kprobe_fds: dict[bytes, dict[bytes, int]]
    """Where → program → descriptor."""

    def cleanup(self) -> None: ...
    def load_func(self, func_name: str, prog_type: int) -> _Function: ...
    def attach_kprobe(self, event: str, *, fn_name: str) -> object: ...
    def attach_kretprobe(self, event: str, *, fn_name: str) -> object: ...


def types_from_btf() -> str | None:
    """The kernel's own types as C, with this kernel's layout; None without BTF, or without libbpf, which reads it."""
    try:
        return Library().definitions(TYPES)
    except SvcTraceError:
        return None


def kernel_headers() -> str | None:
    """Where bcc finds the running kernel's headers: a directory, or the archive of CONFIG_IKHEADERS; None: nowhere."""
    release = os.uname().release
    places = [
        *(Path("/lib/modules", release, name, "include/linux/kconfig.h") for name in ("source", "build")),
        Path("/sys/kernel/kheaders.tar.xz"),
    ]
    return next((str(place) for place in places if place.exists()), None)


def installed() -> Path | None:
    """The distribution's directory of packages that contains its `bcc`; None: it is not installed.

    A virtual environment may contain PyPI's package of that name instead, which has no libbcc.
    """
    libraries = sorted(Path("/usr/lib").glob("python3*/*-packages/bcc/libbcc.py"))
    return libraries[0].parents[1] if libraries else None


def _import_bcc() -> ModuleType:
    packages = installed()
    if packages is None:
        raise Failed("no-bcc", "no python3*/*-packages/bcc in /usr/lib")
    sys.path.append(str(packages))
    try:
        return importlib.import_module("bcc")
    except (ImportError, OSError, AttributeError) as error:  # made for another Python, or without libbcc.so.0
        raise Failed("no-bcc", str(error)) from None


def load(cpus: int, ring_bytes: int) -> Descriptors:
    """Compile, load and attach.

    Raises:
        Failed: with slug no-bcc, no-kernel-headers, kernel-too-old, bpf-forbidden, compile-failed or load-failed.
    """
    bcc = _import_bcc()
    has_send_tracepoint = _has_tracepoint(bcc, SEND_TRACEPOINT)
    bpf = _compile(bcc, cpus, ring_bytes, [] if has_send_tracepoint else ["-DSVC_SEND_FUNCTIONS"])
    atexit.unregister(bpf.cleanup)  # it would detach the probes, which outlive this process
    learning = _attach_to_tracepoint(bcc, bpf, _LEARN_REGISTERS, "sys_exit")
    os.getppid()  # any system call
    os.close(learning)
    links = [
        _attach_to_tracepoint(bcc, bpf, _PREFIX + program, tracepoint)
        for program, tracepoint in (TRACEPOINTS | FREEING_TRACEPOINTS).items()
        if has_send_tracepoint or tracepoint != SEND_TRACEPOINT
    ]
    if not has_send_tracepoint:
        links += _attach_to_functions(bpf)
    tolerated = {_LEARN_REGISTERS, *(_PREFIX + program for program in TOLERATED_MISSES)}
    return Descriptors(
        maps=[bcc.lib.bpf_table_fd(bpf.module, name.encode()) for name in MAPS],
        programs=[function.fd for name, function in bpf.funcs.items() if name.decode() not in tolerated],
        links=links,
    )


def _compile(bcc: ModuleType, cpus: int, ring_bytes: int, flags: list[str]) -> _Bpf:
    """Compile with the kernel's types: from its BTF, or else from its headers."""
    types = types_from_btf()
    if types is not None:
        os.environ["BCC_KERNEL_SOURCE"] = str(SOURCES / "bcc_kernel")
    elif kernel_headers() is None:
        raise Failed("no-kernel-headers", os.uname().release)
    else:
        flags.append("-DSVC_KERNEL_HEADERS")
    numbered = 1 << max(cpus - 1, 1).bit_length()
    flags += ["-w", "-g0", f"-I{SOURCES}", f"-DSVC_CPUS={numbered}", f"-DSVC_RING_BYTES={ring_bytes}"]
    text = (types or "") + (SOURCES / "svc_trace.bcc.c").read_text()
    with _failing_as("compile-failed", ""):
        bpf: _Bpf = bcc.BPF(text=text, cflags=[*flags, *_architecture()])
    return bpf


def _has_tracepoint(bcc: ModuleType, name: str) -> bool:
    """Whether the kernel has a raw tracepoint of that name; attaches an empty program for a moment."""
    load = declare(
        *(bcc.lib.bcc_prog_load, c_int, c_int, c_char_p, c_char_p, c_int, c_char_p, c_uint),
        *(c_int, c_char_p, c_uint),
    )
    size = len(EMPTY_PROGRAM)
    program = load(bcc.BPF.RAW_TRACEPOINT, b"svc_nothing", EMPTY_PROGRAM, size, b"GPL", 0, 0, None, 0)
    if program < 0:
        raise Failed("bpf-forbidden", _error_name())
    link: int = bcc.lib.bpf_attach_raw_tracepoint(program, name.encode())
    os.close(program)
    if link >= 0:
        os.close(link)
    return link >= 0


def _attach_to_tracepoint(bcc: ModuleType, bpf: _Bpf, program: str, tracepoint: str) -> int:
    """Without bcc's method of that name, which attaches only one program to a tracepoint."""
    with _failing_as("load-failed", program):
        loaded = bpf.load_func(program, bpf.RAW_TRACEPOINT)
    link: int = bcc.lib.bpf_attach_raw_tracepoint(loaded.fd, tracepoint.encode())
    if link < 0:
        raise Failed("load-failed", f"{tracepoint}: {_error_name()}")
    return link


def _attach_to_functions(bpf: _Bpf) -> list[int]:
    for program in (*(_PREFIX + begins for begins in SEND_FUNCTIONS.values()), _SEND_ENDS):
        with _failing_as("load-failed", program):
            bpf.load_func(program, bpf.KPROBE)
    for function, begins in SEND_FUNCTIONS.items():
        try:
            with _failing_as("load-failed", function):
                bpf.attach_kprobe(event=function, fn_name=_PREFIX + begins)
        except Failed as failed:
            if failed.detail.endswith(("ENOENT", "EINVAL")):  # the kernel lacks this function
                continue
            raise
        with _failing_as("load-failed", f"{function} can be probed at its beginning, but not at its end"):
            bpf.attach_kretprobe(event=function, fn_name=_SEND_ENDS)
    if not bpf.kprobe_fds:
        raise Failed("kernel-too-old", f"tracepoint {SEND_TRACEPOINT} and no kprobes, which could replace it")
    return [link for programs in bpf.kprobe_fds.values() for link in programs.values()]


@contextmanager
def _failing_as(slug: str, what: str) -> Iterator[None]:
    """Turn bcc's exceptions into `Failed`, with the kernel's error."""
    try:
        yield
    except Exception:  # bcc raises no other
        raise Failed(slug, f"{what}: {_error_name()}" if what else "") from None


def _error_name() -> str:
    code = ctypes.get_errno()
    return errno.errorcode.get(code, str(code))


def _architecture() -> list[str]:
    names = {"x86_64": "x86", "aarch64": "arm64"}
    machine = os.uname().machine
    return [f"-D__TARGET_ARCH_{names[machine]}"] if machine in names else []


def main() -> None:
    """Arguments: CPUS RING_BYTES SOCKET. Send the descriptors to the socket, with the failure or null."""
    cpus, ring_bytes, *channel = map(int, sys.argv[1:] or (os.cpu_count() or 1, 1 << 20))
    loaded, failure = Descriptors([], [], []), None
    try:
        loaded = load(cpus, ring_bytes)
    except Failed as failed:
        failure = failed.slug, failed.detail
    if not channel:
        sys.exit(": ".join(failure or ("the probes were compiled, loaded and attached", "they end with this process")))
    answer = {"failure": failure, "programs": len(loaded.programs)}
    with socket.socket(fileno=channel[0]) as sending:
        descriptors = [*loaded.maps, *loaded.programs, *loaded.links]
        socket.send_fds(sending, [json.dumps(answer).encode()], descriptors)


if __name__ == "__main__":
    main()
