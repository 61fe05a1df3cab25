"""What bcc does, in a process of its own: compile the probes, load them, attach them, hand over the file descriptors.

LLVM takes 100 MB and more, changes the current directory and prints as it likes, and may abort; all of that ends with
this process. What the kernel holds for it lives on in the descriptors. Imports nothing but the standard library, and
bcc's Python module, wherever the distribution put it.

By hand, as root: `python -m tracer.record.capture.bpf.bcc_loader` shows all that the compiler and the verifier say.
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
from ctypes import c_char_p, c_int, c_size_t, c_uint, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

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
    "svc_socket_state_again": "inet_sock_set_state",
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
_SEND_ENDS: Final = "svc_send_ends"
_NOBODYS_LOSS: Final = {
    "svc_learn_registers",
    *("svc_socket_state", "svc_socket_state_again"),  # stand in for each other
    *("svc_socket_free", "svc_process_free"),  # whose entries are left over are known by that
}
"""Programs of which the kernel may miss calls, as it does while what they interrupted is one of the same."""
_NOTHING: Final = bytes.fromhex("b700000000000000 9500000000000000")  # r0 = 0; exit
_STRUCT: Final = 4  # BTF_KIND_STRUCT (include/uapi/linux/btf.h)


@dataclass(frozen=True, slots=True)
class Failed(Exception):
    """The probes can't be loaded here."""

    slug: str
    detail: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """File descriptors of what the kernel was given."""

    maps: list[int]
    """Those of MAPS."""
    programs: list[int]
    """Those of which every call tells something."""
    links: list[int]
    """What holds the programs to what they are attached to."""


class _Function(Protocol):
    """A program that is loaded."""

    fd: int


class _Bpf(Protocol):
    """What is used of bcc's class BPF: the compiled text, and what of it is attached."""

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


def installed() -> Path | None:
    """The folder of packages that has the distribution's `bcc`; None: nowhere.

    A virtual environment does not show it, and PyPI's package of that name, which may be in one, has no libbcc.
    """
    found = sorted(Path("/usr/lib").glob("python3*/*-packages/bcc/libbcc.py"))
    return found[0].parents[1] if found else None


def _import_bcc() -> ModuleType:
    packages = installed()
    if packages is None:
        raise Failed("no-bcc", "no python3*/*-packages/bcc in /usr/lib")
    sys.path.append(str(packages))
    try:
        return importlib.import_module("bcc")
    except (ImportError, OSError, AttributeError) as error:  # made for another Python, or without libbcc.so.0
        raise Failed("no-bcc", str(error)) from None


def load(cpus: int, ring_bytes: int) -> Loaded:
    """Compile, load and attach.

    Raises:
        Failed: with slug no-bcc, no-kernel-headers, kernel-too-old, bpf-forbidden, compile-failed or load-failed.
    """
    bcc = _import_bcc()
    types = types_from_btf()
    if types is not None:
        os.environ["BCC_KERNEL_SOURCE"] = str(SOURCES / "bcc_kernel")
    elif kernel_headers() is None:
        raise Failed("no-kernel-headers", os.uname().release)
    tells_sends = _has_tracepoint(bcc, _SEND_TRACEPOINT)
    numbered = 1 << max(cpus - 1, 1).bit_length()
    flags = ["-w", "-g0", f"-I{SOURCES}", f"-DSVC_CPUS={numbered}", f"-DSVC_RING_BYTES={ring_bytes}", *_architecture()]
    if not tells_sends:
        flags.append("-DSVC_SEND_FUNCTIONS")
    text = (SOURCES / "svc_trace.bcc.c").read_text()
    with _failing_as("compile-failed", ""):
        bpf: _Bpf = bcc.BPF(text=(_HEADERS if types is None else types) + text, cflags=flags)
    atexit.unregister(bpf.cleanup)  # it would switch the probes off, and they are to outlive this process
    learning = _attach_to_tracepoint(bcc, bpf, "svc_learn_registers", "sys_exit")
    os.getppid()  # any system call
    os.close(learning)
    tracepoints = _TRACEPOINTS | ({"svc_socket_send": _SEND_TRACEPOINT} if tells_sends else {})
    links = [_attach_to_tracepoint(bcc, bpf, *attached) for attached in tracepoints.items()]
    if not tells_sends:
        links += _attach_to_functions(bpf)
    return Loaded(
        maps=[bcc.lib.bpf_table_fd(bpf.module, name.encode()) for name in MAPS],
        programs=[function.fd for name, function in bpf.funcs.items() if name.decode() not in _NOBODYS_LOSS],
        links=links,
    )


def _has_tracepoint(bcc: ModuleType, name: str) -> bool:
    """Whether the kernel has a raw tracepoint of that name: a program that does nothing is attached."""
    load = _declare(
        *(bcc.lib.bcc_prog_load, c_int, c_int, c_char_p, c_char_p, c_int, c_char_p, c_uint),
        *(c_int, c_char_p, c_uint),
    )
    program = load(bcc.BPF.RAW_TRACEPOINT, b"svc_nothing", _NOTHING, len(_NOTHING), b"GPL", 0, 0, None, 0)
    if program < 0:
        raise Failed("bpf-forbidden", _error_name())
    link: int = bcc.lib.bpf_attach_raw_tracepoint(program, name.encode())
    os.close(program)
    if link >= 0:
        os.close(link)
    return link >= 0


def _attach_to_tracepoint(bcc: ModuleType, bpf: _Bpf, program: str, tracepoint: str) -> int:
    """Not by bcc's method of that name, which attaches one program only to a tracepoint."""
    with _failing_as("load-failed", program):
        loaded = bpf.load_func(program, bpf.RAW_TRACEPOINT)
    link: int = bcc.lib.bpf_attach_raw_tracepoint(loaded.fd, tracepoint.encode())
    if link < 0:
        raise Failed("load-failed", f"{tracepoint}: {_error_name()}")
    return link


def _attach_to_functions(bpf: _Bpf) -> list[int]:
    for program in (*_SEND_FUNCTIONS.values(), _SEND_ENDS):
        with _failing_as("load-failed", program):
            bpf.load_func(program, bpf.KPROBE)
    for function, program in _SEND_FUNCTIONS.items():
        try:
            with _failing_as("load-failed", function):
                bpf.attach_kprobe(event=function, fn_name=program)
        except Failed as failed:
            if failed.detail.endswith(("ENOENT", "EINVAL")):  # the kernel has not this function
                continue
            raise
        with _failing_as("load-failed", f"{function} can be probed at its beginning, but not at its end"):
            bpf.attach_kretprobe(event=function, fn_name=_SEND_ENDS)
    if not bpf.kprobe_fds:
        raise Failed("kernel-too-old", f"tracepoint {_SEND_TRACEPOINT}, and no kprobes in its place")
    return [link for programs in bpf.kprobe_fds.values() for link in programs.values()]


@contextmanager
def _failing_as(slug: str, what: str) -> Iterator[None]:
    """What bcc raises, a bare Exception, as `Failed`, with the error that the kernel gave."""
    try:
        yield
    except Exception:  # bcc has no other
        raise Failed(slug, f"{what}: {_error_name()}" if what else "") from None


def _error_name() -> str:
    code = ctypes.get_errno()
    return errno.errorcode.get(code, str(code))


def _architecture() -> list[str]:
    names = {"x86_64": "x86", "aarch64": "arm64"}
    machine = os.uname().machine
    return [f"-D__TARGET_ARCH_{names[machine]}"] if machine in names else []


def main() -> None:
    """Send the descriptors to the socket that is named on the command line, with a word on how it went."""
    cpus, ring_bytes, *channel = map(int, sys.argv[1:] or (os.cpu_count() or 1, 1 << 20))
    loaded, failure = Loaded([], [], []), None
    try:
        loaded = load(cpus, ring_bytes)
    except Failed as failed:
        failure = failed.slug, failed.detail
    if not channel:
        sys.exit(": ".join(failure or ("the probes were compiled, loaded and attached", "now they go again")))
    answer = {"failure": failure, "programs": len(loaded.programs)}
    with socket.socket(fileno=channel[0]) as sending:
        descriptors = [*loaded.maps, *loaded.programs, *loaded.links]
        socket.send_fds(sending, [json.dumps(answer).encode()], descriptors)


if __name__ == "__main__":
    main()
