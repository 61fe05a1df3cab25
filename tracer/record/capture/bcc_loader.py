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
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).with_name("probes")
"""The probes' text, copied here when the package is built."""
MAPS: Final = ("events", "lost", "tallies", "controls", "givens")
"""The maps whose descriptors are handed over first, in this order."""

BTF: Final = Path("/sys/kernel/btf/vmlinux")

TYPES: Final = (
    *("task_struct", "signal_struct", "pid", "upid", "pid_namespace", "files_struct", "fdtable", "pt_regs"),
    *("file", "inode", "socket", "socket_alloc", "sock", "proto", "inet_sock", "unix_sock", "unix_address", "net"),
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
    "svc_syscall_exit": "sys_exit",
}
"""Program → its raw tracepoint."""
_SEND_TRACEPOINT: Final = "sock_send_length"  # Linux 6.3, commit 6e6eda44b939
_SEND_FUNCTIONS: Final = {
    "inet_sendmsg": "svc_send_begins",
    "inet6_sendmsg": "svc_send_begins",
    "unix_stream_sendmsg": "svc_send_begins",
    "unix_seqpacket_sendmsg": "svc_send_begins",
    "unix_dgram_sendmsg": "svc_dgram_send_begins",
    "inet_sendpage": "svc_page_send_begins",
    "unix_stream_sendpage": "svc_send_begins",
}
"""Function that sends, the sendmsg or sendpage of a struct proto_ops → program at its beginning.

Their first argument is the struct socket. Which of them there are depends on the kernel.
"""
_ENTRY, _RETURN = 0, 1  # enum bpf_probe_attach_type (bcc's libbpf.h)
_KPROBE: Final = 2  # BPF_PROG_TYPE_KPROBE
_NOTHING: Final = bytes.fromhex("b700000000000000 9500000000000000")  # r0 = 0; exit
_RAW_TRACEPOINT: Final = 17  # BPF_PROG_TYPE_RAW_TRACEPOINT (include/uapi/linux/bpf.h)
_LICENSE: Final = b"Dual MIT/GPL"
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
    for name in TYPES:
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


class _Library:
    """bcc's C interface (its bcc_common.h and libbpf.h), which its Python module uses too."""

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL("libbcc.so.0", use_errno=True)
        except OSError as error:
            raise Failed("no-bcc", str(error)) from None
        self.compile = _declare(
            *(library.bpf_module_create_c_from_string, c_void_p),
            *(c_char_p, c_uint, POINTER(c_char_p), c_int, c_bool, c_char_p),
        )
        self.function_start = _declare(library.bpf_function_start, c_void_p, c_void_p, c_char_p)
        self.function_size = _declare(library.bpf_function_size, c_size_t, c_void_p, c_char_p)
        self.load = _declare(
            *(library.bcc_prog_load, c_int, c_int, c_char_p, c_void_p, c_int, c_char_p, c_uint),
            *(c_int, c_char_p, c_uint),
        )
        self.map_fd = _declare(library.bpf_table_fd, c_int, c_void_p, c_char_p)
        self._attach_tracepoint = _declare(library.bpf_attach_raw_tracepoint, c_int, c_int, c_char_p)
        self._attach_kprobe = _declare(
            library.bpf_attach_kprobe, c_int, c_int, c_int, c_char_p, c_char_p, c_uint64, c_int
        )

    def has_tracepoint(self, name: str) -> bool:
        """Whether the kernel has a raw tracepoint of that name: a program that does nothing is attached."""
        program = self.load(_RAW_TRACEPOINT, b"svc_nothing", _NOTHING, len(_NOTHING), _LICENSE, 0, 0, None, 0)
        if program < 0:
            raise Failed("load-failed", _error_name(ctypes.get_errno()))
        try:
            link = self._attach_tracepoint(program, name.encode())
            if link >= 0:
                os.close(link)
            return int(link) >= 0
        finally:
            os.close(program)

    def attach_tracepoint(self, program: int, name: str) -> int:
        """The descriptor of a program's link to a raw tracepoint."""
        return self._held(self._attach_tracepoint(program, name.encode()), name)

    def attach_kprobe(self, program: int, where: int, function: str) -> int | None:
        """The descriptor that holds a program to the entry or return of a function; None: the kernel has it not."""
        name = f"svc_{os.getpid()}_{function}".encode()
        found = self._attach_kprobe(program, where, name, function.encode(), 0, 0)
        if found < 0 and ctypes.get_errno() in (errno.ENOENT, errno.EINVAL):
            return None
        return self._held(found, function)

    @staticmethod
    def _held(descriptor: int, where: str) -> int:
        if descriptor < 0:
            raise Failed("load-failed", f"{where}: {_error_name(ctypes.get_errno())}")
        return descriptor


class _Module:
    """The compiled text."""

    def __init__(self, library: _Library, text: str, flags: Sequence[str]) -> None:
        self._library = library
        array = (c_char_p * len(flags))(*(flag.encode() for flag in flags))
        self._module = library.compile(text.encode(), 0, array, len(flags), True, None)
        if not self._module:
            raise Failed("compile-failed", "")

    def map_fd(self, name: str) -> int:
        """The descriptor of a map."""
        return int(self._library.map_fd(self._module, name.encode()))

    def load(self, name: str, kind: int) -> int:
        """The descriptor of a program."""
        library, known_as = self._library, name.encode()
        start, size = library.function_start(self._module, known_as), library.function_size(self._module, known_as)
        fd = int(library.load(kind, known_as[:15], start, size, _LICENSE, 0, 0, None, 0))
        if fd < 0:
            raise Failed("load-failed", f"{name}: {_error_name(ctypes.get_errno())}")
        return fd


def _error_name(code: int) -> str:
    return errno.errorcode.get(code, str(code))


def load(cpus: int, ring_bytes: int) -> Iterator[int]:
    """Compile, load and attach; the descriptors of MAPS, then those that hold the programs.

    Raises:
        Failed: with slug no-bcc, no-kernel-headers, kernel-too-old, compile-failed or load-failed.
    """
    library = _Library()
    types = types_from_btf()
    if types is not None:
        os.environ["BCC_KERNEL_SOURCE"] = str(SOURCES / "bcc_kernel")
    elif kernel_headers() is None:
        raise Failed("no-kernel-headers", os.uname().release)
    tells_sends = library.has_tracepoint(_SEND_TRACEPOINT)
    numbered = 1 << max(cpus - 1, 1).bit_length()
    flags = ["-w", "-g0", f"-I{SOURCES}", f"-DSVC_CPUS={numbered}", f"-DSVC_RING_BYTES={ring_bytes}", *_architecture()]
    if not tells_sends:
        flags.append("-DSVC_SEND_FUNCTIONS")
    text = (SOURCES / "svc_trace.bcc.c").read_text()
    module = _Module(library, (_HEADERS if types is None else types) + text, flags)
    yield from map(module.map_fd, MAPS)
    learn = library.attach_tracepoint(module.load("svc_learn_registers", _RAW_TRACEPOINT), "sys_exit")
    os.getppid()  # any system call
    os.close(learn)
    for name, tracepoint in _TRACEPOINTS.items():
        yield library.attach_tracepoint(module.load(name, _RAW_TRACEPOINT), tracepoint)
    if tells_sends:
        yield library.attach_tracepoint(module.load("svc_socket_send", _RAW_TRACEPOINT), _SEND_TRACEPOINT)
    else:
        yield from _attach_to_functions(library, module)


def _attach_to_functions(library: _Library, module: _Module) -> Iterator[int]:
    programs = {name: module.load(name, _KPROBE) for name in {*_SEND_FUNCTIONS.values(), "svc_send_ends"}}
    found = False
    for function, begins in _SEND_FUNCTIONS.items():
        begin = library.attach_kprobe(programs[begins], _ENTRY, function)
        if begin is None:
            continue
        end = library.attach_kprobe(programs["svc_send_ends"], _RETURN, function)
        if end is None:
            raise Failed("load-failed", f"{function}: its beginning can be probed, its end cannot")
        found = True
        yield from (begin, end)
    if not found:
        raise Failed("kernel-too-old", f"tracepoint {_SEND_TRACEPOINT}, and no kprobes in its place")


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
