"""The default backend: the CO-RE object, loaded through the system's libbpf.so.1.

ctypes instead of a compiled extension: a dozen calls are needed, all of them at the start.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from collections.abc import Iterable
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Final

from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.capture.checks import Check
from tracer.record.capture.protocol import COMMAND_PROCESS, Event, SocketEvent
from tracer.record.capture.ringbuf import RingBuffer, map_counters, possible_cpus
from tracer.record.capture.tallies import Tallies
from tracer.record.capture.wire import CONTROL, TASK

NO_PROBES: Final = "reinstall svc-trace: pip builds them with clang (apt-get install clang llvm libbpf-dev)"
OBJECT: Final = Path(__file__).with_name("svc_trace.bpf.o")
RING_BYTES: Final = 16 << 20
"""Room for about 70,000 records between two drains; most sends need none (tallies.py)."""

_LOG_CALLBACK = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)  # libbpf_print_fn_t; va_list decays to a pointer
_LOG_INFO = 1  # LIBBPF_INFO; the next level tells every relocation
_NEWEST_TRACEPOINT: Final = b"sock_send_length"  # Linux 6.3, commit 6e6eda44b939
_RAW_TRACEPOINT: Final = 23  # BPF_TRACE_RAW_TP (include/uapi/linux/bpf.h)


def _cannot(message: str, hint: str, slug: str) -> SvcTraceError:
    return SvcTraceError(message, hint=hint, slug=slug, exit_code=ExitStatus.CANNOT_TRACE)


class _Library:
    """The calls of libbpf.so.1 that are used, with their types (bpf/libbpf.h, bpf/bpf.h)."""

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL("libbpf.so.1", use_errno=True)
        except OSError:
            raise _cannot(
                "libbpf.so.1 is not installed",
                "install it: apt-get install libbpf1 (Debian, Ubuntu) or dnf install libbpf (Fedora)",
                "no-libbpf",
            ) from None
        self.open = self._declare(library.bpf_object__open_file, c_void_p, c_char_p, c_void_p)
        self.load = self._declare(library.bpf_object__load, c_int, c_void_p)
        self.close = self._declare(library.bpf_object__close, None, c_void_p)
        self.find_map = self._declare(library.bpf_object__find_map_by_name, c_void_p, c_void_p, c_char_p)
        self.map_fd = self._declare(library.bpf_map__fd, c_int, c_void_p)
        self.set_max_entries = self._declare(library.bpf_map__set_max_entries, c_int, c_void_p, c_uint32)
        self.next_program = self._declare(library.bpf_object__next_program, c_void_p, c_void_p, c_void_p)
        self.attach = self._declare(library.bpf_program__attach, c_void_p, c_void_p)
        self.destroy_link = self._declare(library.bpf_link__destroy, c_int, c_void_p)
        self.update = self._declare(
            library.bpf_map_update_elem, c_int, c_int, POINTER(c_int), POINTER(ctypes.c_char), c_uint64
        )
        self.find_kernel_type = self._declare(library.libbpf_find_vmlinux_btf_id, c_int, c_char_p, c_int)
        self._set_print = self._declare(library.libbpf_set_print, c_void_p, c_void_p)
        self._set_print(None)  # it tells thousands of lines at debug level, each a call into Python

    def complaint(self) -> str:
        """What libbpf says of an object that it could not load: it tries again, and is listened to."""
        lines: list[str] = []
        vsnprintf = ctypes.CDLL(None).vsnprintf
        vsnprintf.argtypes = [c_char_p, c_size_t, c_char_p, c_void_p]

        def keep(level: int, form: bytes, arguments: int) -> int:
            if level <= _LOG_INFO:
                buffer = ctypes.create_string_buffer(4096)
                vsnprintf(buffer, len(buffer), form, arguments)
                lines.append(buffer.value.decode(errors="replace").strip().removeprefix("libbpf: "))
            return 0

        callback = _LOG_CALLBACK(keep)
        self._set_print(ctypes.cast(callback, c_void_p))
        try:
            loaded = self.open(os.fsencode(OBJECT), None)
            if loaded:
                self.load(loaded)
                self.close(loaded)
        finally:
            self._set_print(None)
        return next((line for line in lines if "failed" in line or "Error" in line), "libbpf says nothing more")

    @staticmethod
    def _declare(function: ctypes._NamedFuncPointer, result: object, *arguments: object) -> ctypes._NamedFuncPointer:
        function.restype = result  # type: ignore[assignment]  # any ctypes type
        function.argtypes = arguments  # type: ignore[assignment]
        return function


class LibbpfCapture:
    """`Capture` by tracepoints with BTF (kernel 6.3 or later)."""

    name = "libbpf"
    blind_to: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._library: _Library | None = None
        self._object: int | None = None
        self._links: list[int] = []
        self._ring: RingBuffer | None = None
        self._tallies: Tallies | None = None
        self._control: mmap.mmap | None = None
        self._lost: tuple[mmap.mmap, memoryview] | None = None
        self._tasks_fd = -1

    @staticmethod
    def checks() -> Iterable[Check]:
        """Whether the compiled probes are there."""
        yield Check("probes", OBJECT.exists(), str(OBJECT), NO_PROBES)

    def start(self) -> None:
        """Load and attach; takes some tens of milliseconds.

        Raises:
            SvcTraceError: not-root, no-libbpf, no-probes, no-btf, kernel-too-old or load-failed.
        """
        if os.geteuid() != 0:
            raise not_root()
        if not OBJECT.exists():
            raise _cannot(
                f"the compiled probes are missing: {OBJECT}",
                NO_PROBES,
                "no-probes",
            )
        self._library = _Library()
        try:
            self._load(self._library)
            self._attach(self._library)
        except BaseException:
            self.close()
            raise

    def _load(self, library: _Library) -> None:
        self._object = library.open(os.fsencode(OBJECT), None)
        if not self._object:
            raise self._load_error(library, ctypes.get_errno())
        cpus = possible_cpus()
        events, lost, tasks, tallies, control = (
            library.find_map(self._object, name) for name in (b"events", b"lost", b"tasks", b"tallies", b".data")
        )
        library.set_max_entries(events, RING_BYTES)
        library.set_max_entries(lost, cpus)
        result = library.load(self._object)
        if result < 0:
            raise self._load_error(library, -result)
        self._ring = RingBuffer(library.map_fd(events), RING_BYTES)
        self._lost = map_counters(library.map_fd(lost), cpus)
        self._tallies = Tallies(library.map_fd(tallies))
        self._control = mmap.mmap(library.map_fd(control), mmap.PAGESIZE)
        self._tasks_fd = library.map_fd(tasks)

    def _attach(self, library: _Library) -> None:
        program = library.next_program(self._object, None)
        while program:
            link = library.attach(program)
            if not link:
                raise self._load_error(library, ctypes.get_errno())
            self._links.append(link)
            program = library.next_program(self._object, program)

    @staticmethod
    def _load_error(library: _Library, code: int) -> SvcTraceError:
        if not Path("/sys/kernel/btf/vmlinux").exists():
            return _cannot(
                f"this kernel ({os.uname().release}) does not describe its types (/sys/kernel/btf/vmlinux)",
                "run on a kernel built with CONFIG_DEBUG_INFO_BTF: Debian 11, Ubuntu 20.10 and later have it",
                "no-btf",
            )
        if library.find_kernel_type(_NEWEST_TRACEPOINT, _RAW_TRACEPOINT) < 0:
            return _cannot(
                f"this kernel ({os.uname().release}) is too old: it has no tracepoint {_NEWEST_TRACEPOINT.decode()}",
                "run on Linux 6.3 or later",
                "kernel-too-old",
            )
        name = errno.errorcode.get(code, str(code))
        if code in (errno.EPERM, errno.EACCES):
            hint = "BPF is forbidden here: run outside the container or with --privileged, and check kernel lockdown"
        else:
            hint = "please report this with the kernel's version and the line above"
        return _cannot(f"the kernel refused the probes ({name}): {library.complaint()}", hint, "load-failed")

    def plant(self, pid: int) -> None:
        """Make the stopped child `pid` the root of the tree: its threads' entries come from fork."""
        assert self._library is not None
        pidfd = os.pidfd_open(pid)
        try:
            value = TASK.pack(COMMAND_PROCESS, pid, *[0] * 8, b"")
            if self._library.update(self._tasks_fd, byref(c_int(pidfd)), value, 0):
                code = ctypes.get_errno()
                raise OSError(code, f"cannot trace process {pid}: {os.strerror(code)}")
        finally:
            os.close(pidfd)

    def expect_boundaries(self, inode: int) -> None:
        """Let each write to this FIFO begin an epoch."""
        assert self._control is not None
        _, *rest = CONTROL.unpack_from(self._control)
        CONTROL.pack_into(self._control, 0, inode, *rest)

    def drain(self) -> Iterable[Event]:
        """Decode the events since the last call, in the kernel's order; then what it has counted in place."""
        assert self._ring is not None
        assert self._tallies is not None
        assert self._control is not None
        _, epoch, *_ = CONTROL.unpack_from(self._control)
        for event, tally in self._ring.drain():
            yield event
            if tally and isinstance(event, SocketEvent):
                self._tallies.begin(tally, event)
        yield from self._tallies.drain(epoch)

    def lost_events(self) -> int:
        """Sum the kernel's counters over all CPUs; a tally that was overwritten too early counts as one."""
        overwritten = 0 if self._tallies is None else self._tallies.overwritten
        return overwritten + (0 if self._lost is None else sum(self._lost[1]))

    def close(self) -> None:
        """Detach the programs, unmap and free."""
        if self._library is not None:
            while self._links:
                self._library.destroy_link(self._links.pop())
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        if self._tallies is not None:
            self._tallies.close()
            self._tallies = None
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._lost is not None:
            mapping, view = self._lost
            self._lost = None
            view.release()
            mapping.close()
        if self._library is not None and self._object:
            self._library.close(self._object)
            self._object = None


def not_root() -> SvcTraceError:
    """The error of a run that lacks privilege."""
    program = Path(sys.argv[0]).absolute()
    return _cannot(
        "asking the kernel needs root",
        f"run it with sudo: sudo {program} -- COMMAND (the command itself then runs as you)",
        "not-root",
    )
