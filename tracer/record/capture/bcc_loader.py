"""What bcc does, in a process of its own: compile the probes, load them, attach them, hand over the file descriptors.

LLVM takes 100 MB and more, changes the current directory and prints as it likes, and may abort; all of that ends with
this process. What the kernel holds for it lives on in the descriptors. Imports nothing but the standard library.

By hand, as root: `python -m tracer.record.capture.bcc_loader` shows all that the compiler and the verifier say.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).with_name("probes")
"""The probes' text, copied here when the package is built."""
MAPS: Final = ("events", "lost", "tallies", "controls", "givens")
"""The maps whose descriptors are handed over first, in this order."""

BTF: Final = Path("/sys/kernel/btf/vmlinux")

_TYPES: Final = (
    *("task_struct", "signal_struct", "pid", "upid", "pid_namespace", "files_struct", "fdtable", "pt_regs"),
    *("file", "inode", "socket", "sock", "inet_sock", "unix_sock", "unix_address", "net"),
    *("iovec", "user_msghdr", "mmsghdr"),
)
"""The kernel's structs that the probes read, or that user space gives to it."""

_HEADERS: Final = """
/*
 * Types that the kernel's own bpf.h has and the one that bcc brings along may lack: complete, whatever is in them, or
 * <net/sock.h> does not compile. They get another name, because they may be there too.
 */
#define bpf_wq svc_bpf_wq
#define bpf_rb_root svc_bpf_rb_root
#define bpf_rb_node svc_bpf_rb_node
#define bpf_refcount svc_bpf_refcount
struct bpf_wq { __u64 opaque[2]; };
struct bpf_rb_root { __u64 opaque[2]; };
struct bpf_rb_node { __u64 opaque[4]; };
struct bpf_refcount { __u32 opaque[1]; };
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/pid_namespace.h>
#include <linux/fs.h>
#include <linux/fdtable.h>
#include <linux/socket.h>
#include <linux/net.h>
#include <linux/in6.h>
#include <net/sock.h>
#include <net/inet_sock.h>
#include <net/af_unix.h>
#include <net/tcp_states.h>
#define SVC_KERNEL_HEADERS
"""

_TRACEPOINTS: Final = {
    "svc_process_fork": "sched_process_fork",
    "svc_process_exec": "sched_process_exec",
    "svc_process_exit": "sched_process_exit",
    "svc_process_free": "sched_process_free",
    "svc_socket_state": "inet_sock_set_state",
    "svc_socket_free": "tcp_destroy_sock",
    "svc_socket_send": "sock_send_length",
    "svc_syscall_exit": "sys_exit",
}
"""Program → its raw tracepoint."""
_RAW_TRACEPOINT: Final = 17  # BPF_PROG_TYPE_RAW_TRACEPOINT (include/uapi/linux/bpf.h)
_STRUCT: Final = 4  # BTF_KIND_STRUCT (include/uapi/linux/btf.h)


@dataclass(frozen=True, slots=True)
class Failed(Exception):
    """The probes can't be loaded here."""

    slug: str
    detail: str


def _declare(function: ctypes._NamedFuncPointer, result: object, *arguments: object) -> ctypes._NamedFuncPointer:
    function.restype = result  # type: ignore[assignment]  # any ctypes type
    function.argtypes = arguments  # type: ignore[assignment]
    return function


def types_from_btf() -> str | None:
    """The kernel's own types as C, with this kernel's layout; None where there is no BTF or nothing that reads it."""
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError:
        return None
    write_t = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)  # btf_dump_printf_fn_t; va_list decays to a pointer
    load = _declare(library.btf__load_vmlinux_btf, c_void_p)
    find = _declare(library.btf__find_by_name_kind, c_int, c_void_p, c_char_p, c_uint32)
    make_dump = _declare(library.btf_dump__new, c_void_p, c_void_p, write_t, c_void_p, c_void_p)
    dump_type = _declare(library.btf_dump__dump_type, c_int, c_void_p, c_uint32)
    vsnprintf = _declare(ctypes.CDLL(None).vsnprintf, c_int, c_char_p, c_size_t, c_char_p, c_void_p)
    _declare(library.libbpf_set_print, c_void_p, c_void_p)(None)
    written: list[bytes] = []
    buffer = ctypes.create_string_buffer(1 << 16)

    def keep(_: int, form: bytes, arguments: int) -> None:
        vsnprintf(buffer, len(buffer), form, arguments)
        written.append(buffer.value)

    callback = write_t(keep)
    btf = load()
    if not btf:
        return None
    dump = make_dump(btf, callback, None, None)
    for name in _TYPES:
        number = find(btf, name.encode(), _STRUCT)
        if number < 0 or dump_type(dump, number):
            return None
    return b"".join(written).decode()


def kernel_headers() -> str | None:
    """Where bcc finds the running kernel's headers: a folder, or the archive of CONFIG_IKHEADERS; None: nowhere."""
    release = os.uname().release
    places = [
        *(Path("/lib/modules", release, folder, "include/linux/kconfig.h") for folder in ("source", "build")),
        Path("/sys/kernel/kheaders.tar.xz"),
    ]
    return next((str(place) for place in places if place.exists()), None)


class _Program:
    """The compiled program, by libbcc's C interface (bcc_common.h, libbpf.h of bcc): the one its Python module uses."""

    def __init__(self, text: str, flags: Sequence[str]) -> None:
        try:
            library = ctypes.CDLL("libbcc.so.0", use_errno=True)
        except OSError as error:
            raise Failed("no-bcc", str(error)) from None
        create = _declare(
            *(library.bpf_module_create_c_from_string, c_void_p),
            *(c_char_p, c_uint, POINTER(c_char_p), c_int, c_bool, c_char_p),
        )
        self._start = _declare(library.bpf_function_start, c_void_p, c_void_p, c_char_p)
        self._size = _declare(library.bpf_function_size, c_size_t, c_void_p, c_char_p)
        self._load = _declare(
            *(library.bcc_func_load, c_int, c_void_p, c_int, c_char_p, c_void_p, c_int, c_char_p, c_uint),
            *(c_int, c_char_p, c_uint, c_char_p, c_int),
        )
        self._map_fd = _declare(library.bpf_table_fd, c_int, c_void_p, c_char_p)
        self._attach = _declare(library.bpf_attach_raw_tracepoint, c_int, c_int, c_char_p)
        encoded = [flag.encode() for flag in flags]
        array = (c_char_p * len(encoded))(*encoded)
        self._module = create(text.encode(), 0, array, len(encoded), True, None)
        if not self._module:
            raise Failed("compile-failed", "")

    def map_fd(self, name: str) -> int:
        """The descriptor of a map."""
        return int(self._map_fd(self._module, name.encode()))

    def load(self, name: str, kind: int) -> int:
        """The descriptor of a program of this text, loaded."""
        start, size = self._start(self._module, name.encode()), self._size(self._module, name.encode())
        kernel_sees = name.encode()[:15]  # BPF_OBJ_NAME_LEN - 1
        fd = int(self._load(self._module, kind, kernel_sees, start, size, b"Dual MIT/GPL", 0, 0, None, 0, None, -1))
        if fd < 0:
            raise Failed("load-failed", f"{name}: {_error_name(ctypes.get_errno())}")
        return fd

    def attach(self, name: str, tracepoint: str) -> int:
        """The descriptor of a program's link to a raw tracepoint; -ENOENT if the kernel has no such tracepoint."""
        fd = int(self._attach(self.load(name, _RAW_TRACEPOINT), tracepoint.encode()))
        code = ctypes.get_errno()
        if fd < 0 and code != errno.ENOENT:
            raise Failed("load-failed", f"{name}: {_error_name(code)}")
        return fd


def _error_name(code: int) -> str:
    return errno.errorcode.get(code, str(code))


def load(cpus: int, ring_bytes: int) -> Iterator[int]:
    """Compile, load and attach; the descriptors of MAPS, then those that hold the programs.

    Raises:
        Failed: with slug no-bcc, no-kernel-headers, kernel-too-old, compile-failed or load-failed.
    """
    types = types_from_btf()
    if types is not None:
        os.environ["BCC_KERNEL_SOURCE"] = str(SOURCES / "bcc_kernel")
    elif kernel_headers() is None:
        raise Failed("no-kernel-headers", os.uname().release)
    numbered = 1 << max(cpus - 1, 1).bit_length()
    flags = ["-w", f"-I{SOURCES}", f"-DSVC_CPUS={numbered}", f"-DSVC_RING_BYTES={ring_bytes}", *_architecture()]
    program = _Program((_HEADERS if types is None else types) + (SOURCES / "svc_trace.bcc.c").read_text(), flags)
    yield from map(program.map_fd, MAPS)
    learn = program.attach("svc_learn_registers", "sys_exit")
    os.getppid()  # any system call
    os.close(learn)
    for name, tracepoint in _TRACEPOINTS.items():
        fd = program.attach(name, tracepoint)
        if fd < 0:
            raise Failed("kernel-too-old", f"tracepoint {tracepoint}")
        yield fd


def _architecture() -> list[str]:
    names = {"x86_64": "x86", "aarch64": "arm64"}
    machine = os.uname().machine
    return [f"-D__TARGET_ARCH_{names[machine]}"] if machine in names else []


def main() -> None:
    """Send the descriptors to the socket that is named on the command line, with a word on how it went."""
    cpus, ring_bytes, *channel = map(int, sys.argv[1:] or (os.cpu_count() or 1, 1 << 20))
    try:
        descriptors = list(load(cpus, ring_bytes))
    except Failed as failed:
        descriptors, answer = [], [failed.slug, failed.detail]
    else:
        answer = []
    if not channel:
        sys.exit(": ".join(answer) or "the probes were compiled, loaded and attached; now they go again")
    with socket.socket(fileno=channel[0]) as sending:
        socket.send_fds(sending, [json.dumps(answer).encode()], descriptors)


if __name__ == "__main__":
    main()
