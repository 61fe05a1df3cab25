"""bcc in a process of its own: compile the probes, load and attach them, hand over the file descriptors.

LLVM takes 100 MB and more, changes the current directory, prints freely and may abort; all of that ends with this
process. The descriptors keep alive what the kernel holds. Imports only the standard library, modules that do so too,
and the distribution's bcc.

By hand, as root: `python -I -B -m tracer.record.capture.bpf.bcc_loader` shows all output of the compiler and the
verifier.
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
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.bpf.library import EMPTY_PROGRAM, Library, declare
from tracer.record.capture.bpf.programs import (
    FREEING_TRACEPOINTS,
    RECEIVE_TRACEPOINTS,
    SEND_FUNCTIONS,
    SEND_TRACEPOINT,
    SOURCES,
    TOLERATED_MISSES,
    TRACEPOINTS,
    WAKE_UP_TRACEPOINTS,
    forbidden,
)

MAPS: Final = ("events", "lost", "tallies", "controls", "interpreters", "setups")
"""The maps whose descriptors are handed over first, in this order."""

TYPES: Final = (
    *("task_struct", "signal_struct", "pid", "upid", "pid_namespace", "files_struct", "fdtable", "pt_regs"),
    *("file", "inode", "socket", "socket_alloc", "sock", "proto", "inet_sock", "unix_sock", "unix_address", "net"),
    *("iovec", "user_msghdr", "mmsghdr"),
)
"""The structs that the probes read: the kernel's, and those that programs pass to it."""

_PREFIX: Final = "svc_"  # of the programs' names
_LEARN_REGISTERS: Final = "svc_learn_registers"
_SEND_ENDS: Final = "svc_send_ends"
_ARCHITECTURES: Final = {"x86_64": "x86", "aarch64": "arm64"}  # of uname(2) → of the probes


SHOW_ALL: Final = f"Run this to see all messages: sudo {sys.executable} -I -B -m {__spec__.name}."
INSTALL_BCC: Final = (
    "Install it: apt-get install python3-bpfcc (Debian, Ubuntu) or dnf install python3-bcc (Fedora); "
    "PyPI's package named bcc is another program."
)
_RELEASE: Final = os.uname().release
INSTALL_HEADERS: Final = (
    f"Install them: apt-get install linux-headers-{_RELEASE} (Debian, Ubuntu) "
    f"or dnf install kernel-devel-{_RELEASE} (Fedora)."
)


class Descriptors(NamedTuple):
    """File descriptors of what the kernel was given."""

    maps: list[int]  # in the order of MAPS
    programs: list[int]  # those whose missed calls are lost events
    links: list[int]  # they keep the programs attached
    wake_ups: bool  # they include the program WAKING


def types_from_btf() -> str | None:
    """The kernel's own types as C, with this kernel's layout; None without BTF, or without libbpf, which reads it."""
    try:
        return Library().definitions(TYPES)
    except SvcTraceError:
        return None


def kernel_headers() -> str | None:
    """Where bcc finds the running kernel's headers: a directory, or the archive of CONFIG_IKHEADERS; None: nowhere."""
    places = [
        *(Path("/lib/modules", _RELEASE, name, "include/linux/kconfig.h") for name in ("source", "build")),
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
    packages, reason = installed(), "no python3*/*-packages/bcc in /usr/lib"
    if packages is not None:
        sys.path.append(str(packages))
        try:
            return importlib.import_module("bcc")
        except (ImportError, OSError, AttributeError) as error:  # made for another Python, or without libbcc.so.0
            reason = str(error)
    raise cannot_trace(f"bcc is not installed, or cannot be used: {reason}", INSTALL_BCC, "no-bcc")


class _Probes:
    """The compiled probes.

    Raises:
        SvcTraceError: no-bcc, no-kernel-headers, bpf-forbidden or compile-failed; the methods: load-failed or
            kernel-too-old.
    """

    def __init__(self, cpus: int, ring_bytes: int) -> None:
        self._bcc = _import_bcc()
        self._has_send_tracepoint = self._has_tracepoint(SEND_TRACEPOINT)
        numbered = 1 << max(cpus - 1, 1).bit_length()
        flags = ["-w", "-g0", f"-I{SOURCES}", f"-DSVC_CPUS={numbered}", f"-DSVC_RING_BYTES={ring_bytes}"]
        if os.uname().machine in _ARCHITECTURES:
            flags.append(f"-D__TARGET_ARCH_{_ARCHITECTURES[os.uname().machine]}")
        if not self._has_send_tracepoint:
            flags.append("-DSVC_SEND_FUNCTIONS")
        types = types_from_btf()
        if types is not None:
            if " __state;" not in types:  # before Linux 5.14
                flags.append("-D__state=state")
            os.environ["BCC_KERNEL_SOURCE"] = str(SOURCES / "bcc_kernel")
        elif kernel_headers() is not None:
            flags.append("-DSVC_KERNEL_HEADERS")
        else:
            message = f"this kernel ({_RELEASE}) does not describe its types, and its headers are not installed"
            raise cannot_trace(message, INSTALL_HEADERS, "no-kernel-headers")
        text = (types or "") + (SOURCES / "svc_trace.bcc.c").read_text()
        try:
            self._bpf = self._bcc.BPF(text=text, cflags=flags)
        except Exception:  # bcc raises no other
            raise cannot_trace("bcc could not compile the probes", SHOW_ALL, "compile-failed") from None
        atexit.unregister(self._bpf.cleanup)  # it would detach the probes, which outlive this process

    def attach(self) -> Descriptors:
        """Load and attach all programs."""
        learning = self._attach_to_tracepoint(_LEARN_REGISTERS, "sys_exit")
        os.getppid()  # any system call
        os.close(learning)
        links = [
            self._attach_to_tracepoint(_PREFIX + program, tracepoint)
            for program, tracepoint in (TRACEPOINTS | FREEING_TRACEPOINTS).items()
            if self._has_send_tracepoint or tracepoint != SEND_TRACEPOINT
        ]
        if not self._has_send_tracepoint:
            links += self._attach_to_functions()
        links += [
            self._attach_to_tracepoint(_PREFIX + program, tracepoint)
            for program, tracepoint in RECEIVE_TRACEPOINTS.items()
            if self._has_tracepoint(tracepoint)
        ]
        wake_ups = [*self._attach_to_wake_ups()]
        tolerated = {_LEARN_REGISTERS, *(_PREFIX + program for program in TOLERATED_MISSES)}
        return Descriptors(
            maps=[self._bcc.lib.bpf_table_fd(self._bpf.module, name.encode()) for name in MAPS],
            programs=[function.fd for name, function in self._bpf.funcs.items() if name.decode() not in tolerated],
            links=links + wake_ups,
            wake_ups=bool(wake_ups),
        )

    def _attach_to_wake_ups(self) -> Iterator[int]:
        """Attach the optional programs, WAKING first, that the kernel accepts."""
        for program, tracepoint in WAKE_UP_TRACEPOINTS.items():
            if not self._has_tracepoint(tracepoint):
                continue
            try:
                yield self._attach_to_tracepoint(_PREFIX + program, tracepoint)
            except SvcTraceError:
                return

    def _has_tracepoint(self, name: str) -> bool:
        """Whether the kernel has a raw tracepoint of that name; attaches an empty program for a moment."""
        load = declare(
            *(self._bcc.lib.bcc_prog_load, c_int, c_int, c_char_p, c_char_p, c_int, c_char_p, c_uint),
            *(c_int, c_char_p, c_uint),
        )
        size = len(EMPTY_PROGRAM)
        program = load(self._bcc.BPF.RAW_TRACEPOINT, b"svc_nothing", EMPTY_PROGRAM, size, b"GPL", 0, 0, None, 0)
        if program < 0:
            raise forbidden(_error_name())
        link: int = self._bcc.lib.bpf_attach_raw_tracepoint(program, name.encode())
        os.close(program)
        if link >= 0:
            os.close(link)
        return link >= 0

    def _attach_to_tracepoint(self, program: str, tracepoint: str) -> int:
        """Without bcc's method of that name, which attaches only one program to a tracepoint."""
        with _refusal_of(program):
            loaded = self._bpf.load_func(program, self._bpf.RAW_TRACEPOINT)
        link: int = self._bcc.lib.bpf_attach_raw_tracepoint(loaded.fd, tracepoint.encode())
        if link < 0:
            raise _refused(tracepoint)
        return link

    def _attach_to_functions(self) -> list[int]:
        for program in (*(_PREFIX + begins for begins in SEND_FUNCTIONS.values()), _SEND_ENDS):
            with _refusal_of(program):
                self._bpf.load_func(program, self._bpf.KPROBE)
        for function, begins in SEND_FUNCTIONS.items():
            try:
                self._bpf.attach_kprobe(event=function, fn_name=_PREFIX + begins)
            except Exception:
                if ctypes.get_errno() in (errno.ENOENT, errno.EINVAL):  # the kernel lacks this function
                    continue
                raise _refused(function) from None
            with _refusal_of(f"{function} can be probed at its beginning, but not at its end"):
                self._bpf.attach_kretprobe(event=function, fn_name=_SEND_ENDS)
        if not self._bpf.kprobe_fds:  # function → program → descriptor
            message = f"this kernel ({_RELEASE}) has no tracepoint {SEND_TRACEPOINT} and no kprobes to replace it"
            raise cannot_trace(message, "Run it on Linux 6.3 or later.", "kernel-too-old")
        return [link for programs in self._bpf.kprobe_fds.values() for link in programs.values()]


@contextmanager
def _refusal_of(what: str) -> Iterator[None]:
    """Turn bcc's exceptions into load-failed."""
    try:
        yield
    except Exception:
        raise _refused(what) from None


def _refused(what: str) -> SvcTraceError:
    return cannot_trace(f"the kernel refused the probes ({what}: {_error_name()})", SHOW_ALL, "load-failed")


def _error_name() -> str:
    code = ctypes.get_errno()
    return errno.errorcode.get(code, str(code))


def main() -> None:
    """Arguments: CPUS RING_BYTES SOCKET. Send the descriptors to the socket, with the error's fields or null."""
    cpus, ring_bytes, *channel = map(int, sys.argv[1:] or (os.cpu_count() or 1, 1 << 20))
    loaded, failure = Descriptors([], [], [], False), None
    try:
        loaded = _Probes(cpus, ring_bytes).attach()
    except SvcTraceError as error:
        failure = error.message, error.hint, error.slug
    if not channel:
        sys.exit(failure[0] if failure else "the probes were compiled, loaded and attached: they end with this process")
    answer = {"failure": failure, "programs": len(loaded.programs), "wake_ups": loaded.wake_ups}
    with socket.socket(fileno=channel[0]) as sending:
        descriptors = [*loaded.maps, *loaded.programs, *loaded.links]
        socket.send_fds(sending, [json.dumps(answer).encode()], descriptors)


if __name__ == "__main__":
    main()
